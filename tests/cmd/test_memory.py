"""maxmemory: what is refused, what is evicted, and that our own types are evicted like any key."""

import random
import time

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
    types = {r.type(k) for k in r.scan_iter()} - {b"none"}  # one may go between the two commands
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
    r.config_set("lfu-decay-time", 0)  # else a count is one less when a minute has just ended
    yield lambda name: r.config_set("maxmemory-policy", name)
    r.config_set("lfu-decay-time", 1)
    r.config_set("maxmemory-policy", "noeviction")


def test_what_is_kept_of_use(r, policy):
    r.set("k", "v")
    assert r.object("idletime", "k") < 30
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
    assert raw(r, "OBJECT", "FREQ", "k2") == 77


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


def test_lfu_keeps_what_is_used_often(r, policy):
    ratio = {p: hit_ratio(r, p) for p in ("allkeys-random", "volatile-random", "allkeys-lfu", "volatile-lfu")}
    by_chance = max(ratio["allkeys-random"], ratio["volatile-random"])
    for name in ("allkeys-lfu", "volatile-lfu"):
        assert ratio[name] > by_chance + 0.03, ratio


def hot_left(r, name):
    """A quarter of the keys is used again, then half of all must go: how much of that quarter is left?"""
    r.flushall()
    r.config_set("maxmemory-policy", name)
    for k in range(2000):
        r.set(f"k{k}", "x" * 1000, ex=100000)
    time.sleep(0.3)
    for k in range(500):
        r.get(f"k{k}")
    time.sleep(0.3)
    r.config_set("maxmemory", r.info("memory")["used_memory"])
    for k in range(1000):
        r.set(f"new{k}", "x" * 1000, ex=100000)
    r.config_set("maxmemory", 0)
    return sum(r.exists(f"k{k}") for k in range(500)) / 500


def test_lru_keeps_what_was_used_last(r, policy):
    left = {p: hot_left(r, p) for p in ("allkeys-random", "allkeys-lru", "volatile-lru")}
    for name in ("allkeys-lru", "volatile-lru"):
        assert left[name] > left["allkeys-random"] + 0.15, left


def test_stats_name_what_redis_names(t):
    t.set("k", "v", ex=100)
    s = t.memory_stats()
    for name in ("peak.allocated", "total.allocated", "startup.allocated", "clients.normal", "overhead.total",
                 "keys.count", "dataset.bytes", "allocator.active", "fragmentation"):
        assert name in s
    assert s["keys.count"] == 1 and s["db.0"]["overhead.hashtable.expires"] > 0
    assert s["total.allocated"] <= s["peak.allocated"]
    assert s["dataset.bytes"] + s["overhead.total"] == s["total.allocated"]
    assert "hardly any data" in raw(t, "MEMORY", "DOCTOR")
    t.set("large", "x" * (8 << 20))
    assert "hardly any data" not in raw(t, "MEMORY", "DOCTOR")
    assert raw(t, "MEMORY", "PURGE") == "OK" and raw(t, "MEMORY", "MALLOC-STATS")


def wait_for(what):
    for _ in range(4000):
        if what():
            return
        time.sleep(0.05)
    pytest.fail("it did not happen")


def fill_every_encoding(r):
    """Small and large values of each type, with expiries of keys and of fields."""
    p = r.pipeline(transaction=False)
    for i in range(300):
        p.set(f"string:{i}", "x" * (i * 3), ex=10000 if i % 3 == 0 else None)
        p.set(f"int:{i}", i)
    for name, n in ("small", 20), ("large", 3000):
        p.rpush(f"list:{name}", *(f"element {i}" * (1 + i % 40) for i in range(n)))
        p.sadd(f"set:{name}", *(f"member {i}" * (1 + i % 40) for i in range(n)))
        p.sadd(f"intset:{name}", *range(n))
        p.zadd(f"zset:{name}", {f"member {i}" * (1 + i % 20): i // 5 for i in range(n)})
        p.hset(f"hash:{name}", mapping={f"field {i}": "v" * (i % 200) for i in range(n)})
        p.hset(f"timed:{name}", mapping={f"field {i}": "v" * (i % 50) for i in range(n)})
        p.execute_command("HPEXPIRE", f"timed:{name}", 10000000, "FIELDS", n // 2, *(f"field {i}" for i in range(0, n, 2)))
        for i in range(n):
            p.xadd(f"stream:{name}", {"field": f"value {i}" * (1 + i % 30)})
        p.xgroup_create(f"stream:{name}", "group", id="0")
        p.xreadgroup("group", "consumer", {f"stream:{name}": ">"}, count=n // 2)
    p.execute()


def test_everything_can_move(t):
    t.flushall()
    fill_every_encoding(t)
    rng = random.Random(5)
    for round in range(8):
        before = raw(t, "DEBUG", "DIGEST")
        assert raw(t, "DEBUG", "RELOCATE") == "OK"
        assert raw(t, "DEBUG", "DIGEST") == before
        # Whatever still pointed to where things were would be found now: each structure is walked and changed.
        for i in rng.sample(range(3000), 300):
            t.srem("set:large", f"member {i}" * (1 + i % 40))
            t.sadd("set:large", f"new {round} {i}")
            t.zadd("zset:large", {f"member {i}" * (1 + i % 20): rng.random() * 600})
            t.zrem("zset:large", f"member {i + 1}" * (1 + (i + 1) % 20))
            t.hdel("timed:large", f"field {i}")
            t.hset("hash:large", f"field {i}", "w" * rng.randrange(300))
            t.lset("list:large", i % 2000, "changed" * rng.randrange(20))
        assert t.zcount("zset:large", "-inf", "inf") == t.zcard("zset:large") == len(t.zrange("zset:large", 0, -1))
        assert len(list(t.sscan_iter("set:large"))) >= t.scard("set:large") == len(t.smembers("set:large"))
        pending = t.xpending_range("stream:large", "group", "-", "+", 10)
        t.xack("stream:large", "group", *(p["message_id"] for p in pending))
        t.expire("string:0", 5000 + round)
        t.lpop("list:large", 100)
    assert t.ttl("string:3") > 0 and t.execute_command("HTTL", "timed:small", "FIELDS", 1, "field 0")[0] > 0
    t.flushall()
    assert raw(t, "DEBUG", "RELOCATE") == "OK"


def test_defragmentation_gives_pages_back(fresh):
    r = fresh("--activedefrag", "no", "--active-defrag-ignore-bytes", "1mb", "--active-defrag-threshold-lower", "5",
              "--active-defrag-cycle-max", "60", "--active-defrag-cycle-min", "40").client()
    if r.info("memory")["allocator_active"] == 0:  # an allocator without figures: a build under a sanitizer
        assert "does not tell how full its pages are" in error(r, "CONFIG", "SET", "activedefrag", "yes")
        assert r.config_get("activedefrag") == {"activedefrag": "no"}
        return
    p = r.pipeline(transaction=False)
    for i in range(60000):
        p.set(f"string:{i}", "x" * (40 + i % 100))
    for i in range(0, 60000, 20):
        p.sadd("set", *(f"a member of some length, number {i + k}" for k in range(20)))
        p.zadd("zset", {f"a member of some length, number {i + k}": i + k for k in range(20)})
        p.hset("hash", mapping={f"a field of some length, number {i + k}": "value" for k in range(20)})
    p.execute()
    for i in range(60000):
        if i % 10:
            p.delete(f"string:{i}")
            p.srem("set", f"a member of some length, number {i}")
            p.zrem("zset", f"a member of some length, number {i}")
            p.hdel("hash", f"a field of some length, number {i}")
    p.execute()
    digest = raw(r, "DEBUG", "DIGEST")
    wasted = r.info("memory")["allocator_frag_bytes"]
    assert wasted > 4 << 20
    r.config_set("activedefrag", "yes")
    wait_for(lambda: r.info("memory")["allocator_frag_bytes"] < wasted / 2)
    stats = r.info("stats")
    assert stats["active_defrag_hits"] > 10000 and stats["active_defrag_key_hits"] > 1000
    assert raw(r, "DEBUG", "DIGEST") == digest
    r.config_set("activedefrag", "no")
    wait_for(lambda: r.info("memory")["active_defrag_running"] == 0)
    assert r.scard("set") == r.zcard("zset") == r.hlen("hash") == 6000


def test_large_values_are_freed_by_workers(fresh):
    r = fresh().client()
    for key in ("a", "b"):
        r.sadd(key, *[f"m{i}" for i in range(1000)])
    r.unlink("a")
    r.flushall(asynchronous=True)
    end = time.monotonic() + 120
    while r.info("memory")["lazyfreed_objects"] < 2 and time.monotonic() < end:
        time.sleep(0.01)
    m = r.info("memory")
    assert m["lazyfreed_objects"] == 2 and m["lazyfree_pending_objects"] == 0
    r.config_resetstat()
    assert r.info("memory")["lazyfreed_objects"] == 0


def many(n, name, *args):
    return lambda r: [raw(r, name, f"{name}:{k:06d}", *args) for k in range(n)]


def one_large(n, name, args):
    def load(r):
        for at in range(0, n, 500):
            raw(r, name, "k", *(x for i in range(at, at + 500) for x in args(i)))
    return load


LOADS = {
    "short strings": many(3000, "SET", "x" * 64),
    "long strings": many(500, "SET", "x" * 3000),
    "integers": many(3000, "SET", 12345),
    "with a ttl": many(3000, "SET", "x" * 64, "EX", 1000),
    "small hashes": many(2000, "HSET", *(x for f in range(5) for x in (f"f{f}", "v" * 16))),
    "small sets": many(2000, "SADD", *(f"member{i}" for i in range(8))),
    "intsets": many(2000, "SADD", *range(100, 120)),
    "small zsets": many(2000, "ZADD", *(x for i in range(8) for x in (i, f"member{i}"))),
    "short lists": many(2000, "RPUSH", *(f"element{i}" for i in range(8))),
    "a large hash": one_large(20000, "HSET", lambda i: (f"field:{i}", f"value:{i}")),
    "a large set": one_large(20000, "SADD", lambda i: (f"member:{i:012d}",)),
    "a large zset": one_large(20000, "ZADD", lambda i: (i, f"member:{i:012d}")),
    "a long list": one_large(20000, "RPUSH", lambda i: (f"element number {i:012d}",)),
    "a stream": lambda r: [raw(r, "XADD", "k", "*", "field", f"value{i}") for i in range(5000)],
    "hashes with times": lambda r: [raw(r, "HSETEX", f"h{k}", "EX", 1000, "FIELDS", 3, "a", 1, "b", 2, "c", 3)
                                    for k in range(2000)],
}


@pytest.mark.parametrize("load", LOADS)
def test_usage_is_honest(fresh, load):
    """The sum of MEMORY USAGE over all keys against what the server's memory grew by."""
    r = fresh().client(decode_responses=False)

    def said():
        return sum(raw(r, "MEMORY", "USAGE", k, "SAMPLES", 0) for k in r.scan_iter(count=50))

    LOADS[load](r)  # what a command takes when it is used first (its histogram, its reply's room) is not the keys'
    said()
    r.flushall(asynchronous=False)
    end = time.monotonic() + 120
    while r.info("memory")["lazyfree_pending_objects"] and time.monotonic() < end:
        time.sleep(0.01)
    before = r.info("memory")["used_memory"]
    LOADS[load](r)

    def apart():
        told, grew = said(), r.info("memory")["used_memory"] - before
        return abs(told - grew) >= grew / 10 and (told, grew)

    end = time.monotonic() + 10
    while apart() and time.monotonic() < end:  # a table that is growing is two tables; the server finishes that while nothing happens
        time.sleep(0.1)
    assert not apart(), apart()
