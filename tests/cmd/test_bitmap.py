"""Bit commands: replies, errors, events and effects; agreement with plain arithmetic and with a redis-server."""

import random

import pytest
import reference

from helpers import NOT_INT, WRONGTYPE, error, raw

OFFSET = "bit offset is not an integer or out of range"
TYPE = "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    client, proc = reference.start(tmp_path_factory.mktemp("redis"))
    yield client
    client.close()
    proc.terminate()
    proc.wait()


def events(r, *cmds):
    """The events of db 0 that these commands cause, as (event, key)."""
    r.config_set("notify-keyspace-events", "EA")
    p = r.pubsub()
    p.psubscribe("__keyevent@0__:*")
    p.get_message(timeout=120)
    for cmd in cmds:
        reference.reply(r, *cmd)
    r.publish("__keyevent@0__:end", "end")
    got = []
    while True:
        m = p.get_message(timeout=120)
        assert m, "no message came"
        if m["data"] == b"end":
            break
        got.append((m["channel"].split(b":")[1].decode(), m["data"].decode()))
    p.close()
    r.config_set("notify-keyspace-events", "")
    return got


def test_setbit_and_getbit(r):
    assert raw(r, "SETBIT", "k", 1, 1) == 0
    assert r.get("k") == b"\x40"
    assert raw(r, "SETBIT", "k", 1, 0) == 1
    assert raw(r, "SETBIT", "k", 100, 1) == 0
    assert r.get("k") == bytes(12) + b"\x08"
    assert [raw(r, "GETBIT", "k", i) for i in (1, 100, 101, 5000)] == [0, 1, 0, 0]
    assert raw(r, "GETBIT", "none", 0) == 0


def test_setbit_of_an_integer_and_with_expiry(r):
    r.set("n", 12345, ex=100)
    raw(r, "SETBIT", "n", 7, 0)
    assert r.get("n") == b"02345"
    assert 0 < r.ttl("n") <= 100


@pytest.mark.parametrize("cmd,why", [
    (("SETBIT", "k", "x", 1), OFFSET),
    (("SETBIT", "k", "-1", 1), OFFSET),
    (("SETBIT", "k", "#1", 1), OFFSET),
    (("SETBIT", "k", 8 * 512 * 1024 * 1024, 1), OFFSET),
    (("SETBIT", "k", 0, 2), "bit is not an integer or out of range"),
    (("SETBIT", "k", 0, "x"), "bit is not an integer or out of range"),
    (("SETBIT", "l", 0, 1), WRONGTYPE),
    (("GETBIT", "k", "x"), OFFSET),
    (("GETBIT", "l", 0), WRONGTYPE),
    (("BITCOUNT", "l"), WRONGTYPE),
    (("BITCOUNT", "k", 1), "syntax error"),
    (("BITCOUNT", "k", 1, 2, "BITS"), "syntax error"),
    (("BITCOUNT", "k", 1, 2, "BIT", 4), "syntax error"),
    (("BITCOUNT", "k", "a", 2), NOT_INT),
    (("BITPOS", "l", 0), WRONGTYPE),
    (("BITPOS", "k", 2), "The bit argument must be 1 or 0."),
    (("BITPOS", "k", "x"), NOT_INT),
    (("BITPOS", "k", 1, "x"), NOT_INT),
    (("BITPOS", "k", 1, 0, 1, "x"), "syntax error"),
    (("BITPOS", "k", 1, 0, 1, "BIT", "x"), "syntax error"),
    (("BITOP", "NAND", "d", "k"), "syntax error"),
    (("BITOP", "NOT", "d", "k", "k"), "BITOP NOT must be called with a single source key."),
    (("BITOP", "OR", "d", "k", "l"), WRONGTYPE),
    (("BITFIELD", "k", "GET"), "syntax error"),
    (("BITFIELD", "k", "PUT", "u8", 0), "syntax error"),
    (("BITFIELD", "k", "OVERFLOW", "NEVER"), "Invalid OVERFLOW type specified"),
    (("BITFIELD", "k", "GET", "u64", 0), TYPE),
    (("BITFIELD", "k", "GET", "i65", 0), TYPE),
    (("BITFIELD", "k", "GET", "i0", 0), TYPE),
    (("BITFIELD", "k", "GET", "8", 0), TYPE),
    (("BITFIELD", "k", "GET", "", 0), TYPE),
    (("BITFIELD", "k", "GET", "u8", "-1"), OFFSET),
    (("BITFIELD", "k", "GET", "u8", "#"), OFFSET),
    (("BITFIELD", "k", "GET", "u8", "#9223372036854775807"), OFFSET),
    (("BITFIELD", "k", "SET", "u8", 0, "x"), NOT_INT),
    (("BITFIELD", "l", "SET", "u8", 0, 1), WRONGTYPE),
    (("BITFIELD", "l", "GET", "u8", 0), WRONGTYPE),
    (("BITFIELD_RO", "k", "SET", "u8", 0, 1), "BITFIELD_RO only supports the GET subcommand"),
])
def test_errors_change_nothing(r, cmd, why):
    r.lpush("l", "x")
    r.set("k", "v")
    assert error(r, *cmd) == why
    assert sorted(r.keys("*")) == [b"k", b"l"] and r.get("k") == b"v"


def test_events(r):
    assert events(r, ("SETBIT", "k", 3, 0), ("SETBIT", "k", 3, 0), ("SETBIT", "k", 3, 1), ("SETBIT", "k", 8, 0)) == \
        [("setbit", "k")] * 3
    assert events(r, ("BITOP", "OR", "d", "k"), ("BITOP", "OR", "d", "none"), ("BITOP", "OR", "d", "none")) == \
        [("set", "d"), ("del", "d")]
    assert events(r, ("BITFIELD", "f", "SET", "u8", 0, 0), ("BITFIELD", "f", "SET", "u8", 0, 0),
                  ("BITFIELD", "f", "GET", "u8", 0), ("BITFIELD", "f", "SET", "u8", 0, 1, "INCRBY", "u8", 0, 1)) == \
        [("setbit", "f")] * 2


def test_bitop_replaces_any_type_and_ends_expiry(r):
    r.set("a", "\x0f")
    r.lpush("d", "x")
    assert raw(r, "BITOP", "NOT", "d", "a") == 1 and r.get("d") == b"\xf0"
    r.expire("d", 100)
    assert raw(r, "BITOP", "XOR", "d", "d", "a") == 1
    assert r.get("d") == b"\xff" and r.ttl("d") == -1
    r.set("n", 7)
    assert raw(r, "BITOP", "OR", "d", "n") == 1 and r.get("d") == b"7"


def bits_of(value):
    return [byte >> (7 - i) & 1 for byte in value for i in range(8)]


def test_counting_and_finding_agree_with_a_model(r):
    rng = random.Random(7)
    for _ in range(400):
        value = b"".join(rng.choice([b"\x00", b"\xff", bytes([rng.randrange(256)])]) * rng.randrange(20)
                         for _ in range(rng.randrange(8)))
        r.set("k", value)
        unit, name = rng.choice([(1, "BIT"), (8, "BYTE")])
        bits, total = bits_of(value), len(value) * 8 // unit
        start, end = rng.randint(-total - 3, total + 3), rng.randint(-total - 3, total + 3)
        a = max(start + total if start < 0 else start, 0)
        b = min(max(end + total if end < 0 else end, 0), total - 1)
        part = bits[a * unit:(b + 1) * unit] if a <= b else []
        turned = start < 0 and end < 0 and start > end
        assert raw(r, "BITCOUNT", "k", start, end, name) == (0 if turned else sum(part))
        assert raw(r, "BITCOUNT", "k") == sum(bits)
        for bit in (0, 1):
            want = part.index(bit) + a * unit if bit in part else -1
            assert raw(r, "BITPOS", "k", bit, start, end, name) == want
        open_part = bits[a * unit:] if unit == 8 else []
        if open_part:
            want = open_part.index(0) + a * 8 if 0 in open_part else len(bits)
            assert raw(r, "BITPOS", "k", 0, start) == want


def test_bitop_agrees_with_a_model(r):
    rng = random.Random(8)
    for _ in range(200):
        keys = [f"s{i}" for i in range(rng.randint(1, 5))]
        values = [rng.randbytes(rng.randrange(40)) if rng.random() < 0.8 else None for _ in keys]
        r.delete(*keys)
        for k, v in zip(keys, values):
            if v is not None:
                r.set(k, v)
        n = max(len(v or b"") for v in values)
        padded = [(v or b"").ljust(n, b"\0") for v in values]
        for name, f in (("AND", lambda x, y: x & y), ("OR", lambda x, y: x | y), ("XOR", lambda x, y: x ^ y)):
            want = padded[0]
            for p in padded[1:]:
                want = bytes(f(x, y) for x, y in zip(want, p))
            assert raw(r, "BITOP", name, "d", *keys) == n
            assert (r.get("d") or b"") == want


def test_bitfield_edges(r):
    assert raw(r, "BITFIELD", "k") == []
    assert raw(r, "BITFIELD", "k", "SET", "i64", 3, -1, "GET", "u1", 2, "GET", "u63", 3, "GET", "i64", 3) == \
        [0, 0, (1 << 63) - 1, -1]
    assert r.strlen("k") == 9
    assert raw(r, "BITFIELD", "k", "GET", "u8", "#100", "GET", "i8", 64) == [0, -32]
    assert raw(r, "BITFIELD", "n", "OVERFLOW", "SAT", "SET", "i8", 0, 1000, "SET", "u8", 0, -1, "GET", "u8", 0) == \
        [0, 127, 255]
    assert raw(r, "BITFIELD", "n", "OVERFLOW", "FAIL", "SET", "u8", 0, 256, "GET", "u8", 0) == [None, 255]
    assert r.exists("none") == 0
    assert raw(r, "BITFIELD", "none", "GET", "u8", 0) == [0] and r.exists("none") == 0


def random_field(rng):
    signed = rng.random() < 0.5
    bits = rng.randint(1, 64 if signed else 63)
    kind = f"{'i' if signed else 'u'}{bits}"
    at = rng.choice([rng.randrange(200), f"#{rng.randrange(6)}"])
    num = rng.choice([rng.randint(-3, 3), rng.randint(-(1 << bits), 1 << bits), rng.getrandbits(63),
                      -rng.getrandbits(62)])
    num = min(max(num, -(1 << 62)), (1 << 63) - 1)
    op = rng.choice(["GET", "SET", "INCRBY"])
    how = ["OVERFLOW", rng.choice(["WRAP", "SAT", "FAIL"])] if rng.random() < 0.6 else []
    return how + ([op, kind, at] if op == "GET" else [op, kind, at, num])


def random_command(rng):
    key = rng.choice(["a", "b", "c"])
    n = lambda: rng.randint(-400, 400)  # noqa: E731
    which = rng.randrange(7)
    if which == 0:
        return ["SETBIT", key, rng.randrange(300), rng.randrange(2)]
    if which == 1:
        return ["GETBIT", key, rng.randrange(320)]
    if which == 2:
        return ["BITCOUNT", key, *rng.choice([[], [n(), n()], [n(), n(), rng.choice(["BIT", "BYTE"])]])]
    if which == 3:
        return ["BITPOS", key, rng.randrange(2),
                *rng.choice([[], [n()], [n(), n()], [n(), n(), rng.choice(["BIT", "BYTE"])]])]
    if which == 4:
        op = rng.choice(["AND", "OR", "XOR", "NOT"])
        return ["BITOP", op, key, *[rng.choice("abcd") for _ in range(1 if op == "NOT" else rng.randint(1, 4))]]
    return ["BITFIELD", key, *[w for _ in range(rng.randint(1, 5)) for w in random_field(rng)]]


def test_random_commands_answer_as_redis(r, redis_server):
    rng = random.Random(9)
    redis_server.flushall()
    for i in range(3000):
        cmd = random_command(rng)
        assert reference.reply(r, *cmd) == reference.reply(redis_server, *cmd), cmd
        if i % 50 == 0:
            for key in "abc":
                assert r.get(key) == redis_server.get(key), cmd


def test_bits_survive_a_restart(fresh):
    s = fresh("--appendonly", "yes")
    c = s.client(decode_responses=False)
    raw(c, "SETBIT", "k", 77, 1)
    raw(c, "BITOP", "NOT", "d", "k")
    raw(c, "BITFIELD", "f", "SET", "i20", 13, -5, "INCRBY", "u4", "#3", 9)
    raw(c, "BITFIELD", "grown", "OVERFLOW", "FAIL", "SET", "u8", 80, 999)
    want = {k: c.get(k) for k in ("k", "d", "f", "grown")}
    assert want["grown"] == bytes(11)
    c.close()
    s.restart()
    c = s.client(decode_responses=False)
    assert {k: c.get(k) for k in want} == want
    c.close()
