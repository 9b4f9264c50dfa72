"""HyperLogLog: counts, encodings, damage, and the same bytes as a redis-server for the same commands."""

import random

import pytest
import reference

from helpers import WRONGTYPE, error, raw

NO_HLL = "WRONGTYPE Key is not a valid HyperLogLog string value."
DAMAGED = "INVALIDOBJ Corrupted HLL object detected"


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    client, proc = reference.start(tmp_path_factory.mktemp("redis"))
    yield client
    client.close()
    proc.terminate()
    proc.wait()


def add_many(r, key, numbers):
    numbers = list(numbers)
    for i in range(0, len(numbers), 500):
        r.execute_command("PFADD", key, *numbers[i:i + 500])


def test_the_bytes_of_an_empty_one(r):
    assert raw(r, "PFADD", "h") == 1
    assert r.get("h") == b"HYLL\x01" + bytes(10) + b"\x80\x7f\xff"
    assert raw(r, "PFADD", "h") == 0
    assert raw(r, "PFCOUNT", "h") == 0
    assert r.get("h") == b"HYLL\x01" + bytes(11) + b"\x7f\xff"


def test_counts_are_near(r):
    total = 0
    for step in (10, 90, 900, 9000, 40000):
        add_many(r, "h", range(total, total + step))
        total += step
        assert abs(raw(r, "PFCOUNT", "h") - total) <= total * 0.05


def test_a_count_is_kept_and_forgotten(r):
    raw(r, "PFADD", "h", "a", "b")
    assert r.getrange("h", 15, 15) == b"\x80"
    assert raw(r, "PFCOUNT", "h") == 2
    assert r.getrange("h", 8, 15) == b"\x02" + bytes(7)
    r.setrange("h", 8, b"\x2a")
    assert raw(r, "PFCOUNT", "h") == 42
    raw(r, "PFADD", "h", "c")
    assert raw(r, "PFCOUNT", "h") == 3


def test_sparse_becomes_dense_by_size(r):
    r.config_set("hll-sparse-max-bytes", 60)
    try:
        i = 0
        while raw(r, "PFDEBUG", "ENCODING", "h") == b"sparse" if i else True:
            raw(r, "PFADD", "h", f"e{i}")
            i += 1
            assert raw(r, "PFCOUNT", "h") > 0
        assert 10 < i < 40 and r.strlen("h") == 12304
        assert raw(r, "PFDEBUG", "TODENSE", "h") == 0
    finally:
        r.config_set("hll-sparse-max-bytes", 3000)


def test_merge(r):
    raw(r, "PFADD", "a", *range(100))
    raw(r, "PFADD", "b", *range(50, 150))
    union = raw(r, "PFCOUNT", "a", "b", "none")
    assert abs(union - 150) < 8
    assert raw(r, "PFMERGE", "m", "a", "b", "none") == b"OK"
    assert raw(r, "PFCOUNT", "m") == union
    assert raw(r, "PFDEBUG", "ENCODING", "m") == b"sparse"
    raw(r, "PFDEBUG", "TODENSE", "a")
    assert raw(r, "PFMERGE", "m", "a") == b"OK"
    assert raw(r, "PFDEBUG", "ENCODING", "m") == b"dense" and raw(r, "PFCOUNT", "m") == union
    assert raw(r, "PFMERGE", "empty") == b"OK" and raw(r, "PFCOUNT", "empty") == 0


def test_expiry_stays(r):
    raw(r, "PFADD", "h", "a")
    r.expire("h", 100)
    raw(r, "PFADD", "h", "b")
    raw(r, "PFCOUNT", "h")
    raw(r, "PFMERGE", "h", "h")
    assert 0 < r.ttl("h") <= 100


def test_what_is_none(r):
    r.lpush("l", "x")
    bad = {"text": b"hello", "int": b"12345678901234567", "magic": b"HYLX\x01" + bytes(13), "enc": b"HYLL\x02" + bytes(13),
           "short": b"HYLL\x01" + bytes(10), "dense": b"HYLL\x00" + bytes(12298)}
    for key, value in bad.items():
        r.set(key, value)
    for key in (*bad, "l"):
        why = WRONGTYPE if key == "l" else NO_HLL
        for cmd in (("PFADD", key, "x"), ("PFCOUNT", key), ("PFCOUNT", "none", key), ("PFMERGE", "none", key),
                    ("PFMERGE", key, "none"), ("PFDEBUG", "ENCODING", key)):
            assert error(r, *cmd) == why, cmd
    assert r.exists("none") == 0
    assert {k: r.get(k) for k in bad} == bad


@pytest.mark.parametrize("runs", [b"", b"\x7f", b"\x7f\xfe", b"\x7f\xff\x00", b"\x7f\xff\x80", b"\x7f\xff\x7f\xff",
                                  b"\x7f\xfd\x83", b"\x3f\x7f\xff", b"\x80" * 3000])
def test_damaged_runs(r, runs):
    value = b"HYLL\x01" + bytes(10) + b"\x80" + runs
    r.set("h", value)
    for cmd in (("PFCOUNT", "h"), ("PFCOUNT", "h", "none"), ("PFMERGE", "none", "h"), ("PFMERGE", "h"),
                ("PFDEBUG", "GETREG", "h"), ("PFDEBUG", "TODENSE", "h")):
        assert error(r, *cmd) == DAMAGED, cmd
    assert r.get("h") == value and r.exists("none") == 0


def test_random_damage_is_told_or_harmless(r):
    rng = random.Random(3)
    for i in range(300):
        r.delete("h")
        raw(r, "PFADD", "h", *[rng.random() for _ in range(rng.randrange(300))])
        if i % 3 == 0:
            raw(r, "PFDEBUG", "TODENSE", "h")
        value = bytearray(r.get("h"))
        for _ in range(rng.randint(1, 10)):
            value[rng.randrange(len(value))] = rng.randrange(256)
        if rng.random() < 0.3:
            value = value[:rng.randrange(len(value))]
        r.set("h", bytes(value))
        for cmd in (("PFADD", "h", "x", "y"), ("PFCOUNT", "h"), ("PFMERGE", "h", "h"), ("PFDEBUG", "GETREG", "h")):
            got = reference.reply(r, *cmd)
            assert not isinstance(got, str) or got in (f"error: {DAMAGED}", f"error: {NO_HLL}"), (cmd, got)


def test_debug(r):
    assert error(r, "PFDEBUG", "ENCODING", "none") == "The specified key does not exist"
    raw(r, "PFADD", "h", "a", "b", "c")
    assert raw(r, "PFDEBUG", "DECODE", "h").count(b"v:") == 3
    assert error(r, "PFDEBUG", "NONSENSE", "h") == "Unknown PFDEBUG subcommand 'NONSENSE'"
    regs = raw(r, "PFDEBUG", "GETREG", "h")
    assert len(regs) == 16384 and sum(1 for v in regs if v) == 3
    assert error(r, "PFDEBUG", "DECODE", "h") == "HLL encoding is not sparse"
    assert raw(r, "PFSELFTEST") == b"OK"


def test_events(r):
    r.config_set("notify-keyspace-events", "EA")
    p = r.pubsub()
    p.psubscribe("__keyevent@0__:*")
    p.get_message(timeout=120)
    for cmd in (("PFADD", "h", "a"), ("PFADD", "h", "a"), ("PFCOUNT", "h"), ("PFMERGE", "h", "none")):
        raw(r, *cmd)
    r.publish("__keyevent@0__:end", "end")
    got = []
    while not got or got[-1] != "end":
        got.append(p.get_message(timeout=120)["channel"].split(b":")[1].decode())
    p.close()
    r.config_set("notify-keyspace-events", "")
    assert got == ["pfadd", "pfadd", "end"]


def test_a_transaction_sees_that_counting_changed_the_key(r):
    raw(r, "PFADD", "h", "a")
    with r.pipeline() as p:
        p.watch("h")
        raw(r, "PFCOUNT", "h")
        p.multi()
        p.set("x", 1)
        with pytest.raises(Exception, match="Watched"):
            p.execute()


def random_command(rng):
    key = rng.choice("abcd")
    which = rng.randrange(10)
    if which < 6:
        return ["PFADD", key, *[rng.randrange(rng.choice([20, 3000, 1 << 40])) for _ in range(rng.randrange(60))]]
    if which == 6:
        return ["PFCOUNT", *[rng.choice("abcde") for _ in range(rng.randint(1, 3))]]
    if which == 7:
        return ["PFMERGE", *[rng.choice("abcde") for _ in range(rng.randint(1, 3))]]
    if which == 8:
        return ["PFDEBUG", rng.choice(["ENCODING", "DECODE", "DECODE", "TODENSE" if rng.random() < 0.1 else "DECODE"]), key]
    return ["DEL", key] if rng.random() < 0.2 else ["PFCOUNT", key]


@pytest.mark.parametrize("limit", [0, 100, 3000, 100000])
def test_the_same_bytes_as_redis(r, redis_server, limit):
    rng = random.Random(limit)
    redis_server.flushall()
    for c in (r, redis_server):
        c.config_set("hll-sparse-max-bytes", limit)
    try:
        for _ in range(1200):
            cmd = random_command(rng)
            assert reference.reply(r, *cmd) == reference.reply(redis_server, *cmd), cmd
            assert r.get(cmd[1]) == redis_server.get(cmd[1]), cmd
    finally:
        for c in (r, redis_server):
            c.config_set("hll-sparse-max-bytes", 3000)


def test_elements_of_every_length_hash_as_in_redis(r, redis_server):
    rng = random.Random(5)
    redis_server.flushall()
    for n in range(80):
        element = rng.randbytes(n)
        for c in (r, redis_server):
            raw(c, "PFADD", "h", element)
        assert r.get("h") == redis_server.get("h"), n


def test_values_travel_to_redis_and_back(r, redis_server):
    redis_server.flushall()
    for n in (3, 300, 30000):
        r.delete("h")
        add_many(r, "h", range(n))
        redis_server.restore("h", 0, r.dump("h"), replace=True)
        assert raw(redis_server, "PFCOUNT", "h") == raw(r, "PFCOUNT", "h")
        r.delete("h")
        r.restore("h", 0, redis_server.dump("h"))
        assert r.get("h") == redis_server.get("h")


def test_a_restart_keeps_every_byte(fresh):
    s = fresh("--appendonly", "yes")
    c = s.client(decode_responses=False)
    add_many(c, "big", range(5000))
    add_many(c, "small", range(50))
    raw(c, "PFMERGE", "both", "big", "small")
    raw(c, "PFCOUNT", "big")
    raw(c, "PFCOUNT", "small")
    want = {k: c.get(k) for k in ("big", "small", "both")}
    c.close()
    s.restart()
    c = s.client(decode_responses=False)
    assert {k: c.get(k) for k in want} == want
    c.close()
