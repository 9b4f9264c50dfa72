"""maxmemory: what is refused, what is evicted, and that our own types are evicted like any key."""

import random

import pytest
import redis
from helpers import error, raw


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


@pytest.fixture
def policy(r):
    yield lambda name: r.config_set("maxmemory-policy", name)
    r.config_set("maxmemory-policy", "noeviction")


def test_what_is_kept_of_use(r, policy):
    r.set("k", "v")
    assert r.object("idletime", "k") == 0
    assert error(r, "OBJECT", "FREQ", "k") == (
        "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between "
        "policies at runtime LRU and LFU data will take some time to adjust.")
    policy("allkeys-lfu")
    assert error(r, "OBJECT", "IDLETIME", "k") == (
        "An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies "
        "at runtime LRU and LFU data will take some time to adjust.")
    assert raw(r, "OBJECT", "FREQ", "nothing") is None
    r.set("new", "v")
    assert raw(r, "OBJECT", "FREQ", "new") == 5
    r.config_set("lfu-log-factor", 0)
    for _ in range(10):
        r.get("new")
    assert raw(r, "OBJECT", "FREQ", "new") == 15
    r.config_set("lfu-log-factor", 10)


def test_restore_takes_frequency_and_idle_time(r, policy):
    r.set("k", "v")
    payload = r.dump("k")
    r.restore("idle", 0, payload, idletime=1000)
    assert r.object("idletime", "idle") >= 1000
    policy("volatile-lfu")
    r.restore("k2", 0, payload, frequency=100)
    r.restore("k2", 0, payload, replace=True, frequency=77)
    assert raw(r, "OBJECT", "FREQ", "k2") == 77
    assert error(r, "RESTORE", "k3", 0, payload, "FREQ", 256) == "Invalid FREQ value, must be >= 0 and <= 255"
    r.execute_command("DEBUG", "RELOAD")
    assert raw(r, "OBJECT", "FREQ", "k2") in (76, 77)


def test_no_touch(server, r, policy):
    policy("allkeys-lfu")
    r.config_set("lfu-log-factor", 0)
    r.set("k", "v")
    with server.client(decode_responses=False, single_connection_client=True) as c:
        c.execute_command("CLIENT", "NO-TOUCH", "ON")
        for _ in range(20):
            c.get("k")
            c.append("k", "x")
        assert raw(r, "OBJECT", "FREQ", "k") == 5
        c.touch("k")
        assert raw(r, "OBJECT", "FREQ", "k") == 6
        r.get("k")
        assert raw(r, "OBJECT", "FREQ", "k") == 7
        c.execute_command("CLIENT", "NO-TOUCH", "OFF")
        c.get("k")
        assert raw(r, "OBJECT", "FREQ", "k") == 8
    r.config_set("lfu-log-factor", 10)


def hit_ratio(r, policy, seed=1, keys=4000, uses=60000):
    """A cache in front of something slow: what is not there is put there. Few keys are asked for often (Zipf)."""
    rng = random.Random(seed)
    weights = [1 / (k + 1) ** 0.9 for k in range(keys)]
    asked = rng.choices(range(keys), weights, k=uses)
    r.flushall()
    r.config_set("maxmemory-policy", policy)
    r.config_set("maxmemory", r.info("memory")["used_memory"] + keys * 1000 // 8)
    hits = 0
    for at in range(0, uses, 200):
        batch = asked[at:at + 200]
        with r.pipeline(transaction=False) as p:
            for k in batch:
                p.get(f"k{k}")
            got = p.execute()
            for k, v in zip(batch, got):
                if v is None:
                    p.set(f"k{k}", "x" * 900, ex=100000)
            p.execute()
        if at >= uses // 3:  # warm by then
            hits += sum(v is not None for v in got)
    r.config_set("maxmemory", 0)
    return hits / (uses - uses // 3)


def test_lru_and_lfu_keep_what_is_used(r, policy):
    ratio = {p: hit_ratio(r, p) for p in
             ("allkeys-random", "volatile-random", "allkeys-lru", "volatile-lru", "allkeys-lfu", "volatile-lfu")}
    print(ratio)
    by_chance = max(ratio["allkeys-random"], ratio["volatile-random"])
    for name in ("allkeys-lru", "volatile-lru"):
        assert ratio[name] > by_chance + 0.005, ratio
    for name in ("allkeys-lfu", "volatile-lfu"):
        assert ratio[name] > by_chance + 0.03, ratio
