"""maxmemory: what is refused, what is evicted, and that our own types are evicted like any key."""

import pytest
import redis
from helpers import raw


@pytest.fixture
def small(r):
    used = r.info("memory")["used_memory"]
    yield lambda extra, policy: (r.config_set("maxmemory-policy", policy), r.config_set("maxmemory", used + extra))
    r.config_set("maxmemory", 0)
    r.config_set("maxmemory-policy", "noeviction")


def test_writes_are_refused_and_reads_go_on(r, small):
    r.set("a", "x")
    small(2 << 20, "noeviction")
    with pytest.raises(redis.ResponseError, match="OOM|command not allowed"):
        for i in range(10000):
            r.set(f"k{i}", "x" * 1000)
    assert r.get("a") == b"x"
    assert r.delete("k1") == 1


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-ttl", "volatile-lru"])
def test_keys_go(r, small, policy):
    small(4 << 20, policy)
    for i in range(10000):
        r.set(f"k{i}", "x" * 1000, ex=1000 + i)
    assert r.info("stats")["evicted_keys"] > 0
    assert 100 < r.dbsize() < 10000


def test_sessions_and_vector_sets_are_evicted(r, small):
    small(4 << 20, "allkeys-random")
    for i in range(4000):
        raw(r, "SESSION.ADD", f"s{i}", "user", "x" * 1000)
        raw(r, "VADD", f"v{i}", "VALUES", 4, 1, 2, 3, i, "e")
    assert r.info("stats")["evicted_keys"] > 0
    types = {r.type(k) for k in r.scan_iter()}
    assert types == {b"session", b"vectorset"}


def test_volatile_policies_spare_keys_without_a_ttl(r, small):
    r.set("keep", "x")
    small(1 << 20, "volatile-lru")
    with pytest.raises(redis.ResponseError):
        for i in range(10000):
            r.set(f"k{i}", "x" * 1000)
    assert r.get("keep") == b"x"
