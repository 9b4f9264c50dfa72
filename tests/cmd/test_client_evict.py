"""maxmemory-clients: who has too much is disconnected, who is small or protected stays."""

import time

import pytest

from helpers import error, raw


def hoard(server, name, no_evict=False):
    """A connection with megabytes of replies that it does not read."""
    s = server.raw()
    s.sendall(b"CLIENT SETNAME %s\r\n" % name.encode() + (b"CLIENT NO-EVICT ON\r\n" if no_evict else b"") + b"GET big\r\n" * 40)
    return s


def names(t):
    return {c["name"] for c in t.client_list()}


def until(what):
    for _ in range(6000):
        if what():
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def limited(t):
    t.set("big", "x" * 1_000_000)
    yield t
    t.config_set("maxmemory-clients", 0)
    t.config_set("maxmemory", 0)


def test_the_largest_goes_and_the_others_stay(limited, server):
    t = limited
    small, large, kept = server.raw(), hoard(server, "large"), hoard(server, "kept", no_evict=True)
    small.sendall(b"CLIENT SETNAME small\r\n")
    assert until(lambda: {"small", "large", "kept"} <= names(t))
    before = t.info("stats")["evicted_clients"]
    t.config_set("maxmemory-clients", "10mb")
    assert until(lambda: "large" not in names(t))
    assert {"small", "kept"} <= names(t) and t.info("stats")["evicted_clients"] == before + 1
    for s in (small, large, kept):
        s.close()


def test_a_part_of_maxmemory(limited, server):
    t = limited
    t.config_set("maxmemory", "1gb")
    large = hoard(server, "large")
    t.config_set("maxmemory-clients", "50%")
    assert t.config_get("maxmemory-clients") == {"maxmemory-clients": "50%"}
    time.sleep(0.3)
    assert "large" in names(t)
    t.config_set("maxmemory-clients", "1%")
    assert until(lambda: "large" not in names(t))
    large.close()


def test_refusals(t):
    assert error(t, "CONFIG", "SET", "maxmemory-clients", "101%") == (
        "CONFIG SET failed (possibly related to argument 'maxmemory-clients') - percentage argument must be less or equal to 100")
    for bad in ("-1", "x", "%", "-5%"):
        assert "maxmemory-clients" in error(t, "CONFIG", "SET", "maxmemory-clients", bad)
    assert raw(t, "CONFIG", "SET", "maxmemory-clients", "0") == "OK"
