"""Fields of hashes that expire: replies, conditions, errors, what other commands see, events, effects, payloads."""

import time

import pytest

from helpers import WRONGTYPE, error, raw

FAR = 33177117420000  # the year 3021
OPS = ["HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT"]


@pytest.fixture(params=["listpackex", "hashtable"])
def h(r, request):
    """A hash with the fields f0 to f9, of which f9 expires; in either encoding."""
    r.hset("h", mapping={f"f{i}": str(i) for i in range(10)})
    if request.param == "hashtable":
        r.hset("h", "long", "x" * 100)
        r.hdel("h", "long")
    raw(r, "HPEXPIREAT", "h", FAR, "FIELDS", 1, "f9")
    assert r.object("encoding", "h") == request.param.encode()
    return r


def ttls(r, key, *fields):
    return raw(r, "HPEXPIRETIME", key, "FIELDS", len(fields), *fields)


def soon(r, key, *fields, ms=30):
    """Lets fields expire, and waits until they have; only the clock decides, so the wait is made longer than needed."""
    r.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    assert raw(r, "HPEXPIRE", key, ms, "FIELDS", len(fields), *fields) == [1] * len(fields)
    time.sleep(ms / 1000 + 0.05)


@pytest.fixture(autouse=True)
def active_again(r):
    yield
    r.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "1")


def test_set_and_ask(h):
    now = int(time.time())
    assert raw(h, "HEXPIRE", "h", 100, "FIELDS", 3, "f1", "f2", "none") == [1, 1, -2]
    assert all(99 <= x <= 100 for x in raw(h, "HTTL", "h", "FIELDS", 2, "f1", "f2"))
    assert raw(h, "HEXPIREAT", "h", FAR // 1000, "FIELDS", 1, "f3") == [1]
    assert raw(h, "HPEXPIREAT", "h", FAR + 1, "FIELDS", 1, "f4") == [1]
    assert raw(h, "HEXPIRETIME", "h", "FIELDS", 2, "f3", "f4") == [FAR // 1000, FAR // 1000 + 1]
    assert ttls(h, "h", "f3", "f4", "f5", "none") == [FAR, FAR + 1, -1, -2]
    assert now + 99 <= raw(h, "HEXPIRETIME", "h", "FIELDS", 1, "f1")[0] <= now + 102
    assert raw(h, "HPERSIST", "h", "FIELDS", 3, "f3", "f5", "none") == [1, -1, -2]
    assert ttls(h, "h", "f3") == [-1]
    for op in OPS:
        assert raw(h, op, "nothing", FAR // 1000, "FIELDS", 2, "a", "b") == [-2, -2]
    for op in ["HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST"]:
        assert raw(h, op, "nothing", "FIELDS", 2, "a", "b") == [-2, -2]


def test_conditions(h):
    def at(*args):
        return raw(h, "HPEXPIREAT", "h", *args)[0]

    assert at(FAR, "XX", "FIELDS", 1, "f1") == 0 and at(FAR, "GT", "FIELDS", 1, "f1") == 0
    assert at(FAR, "LT", "FIELDS", 1, "f1") == 1 and at(FAR, "NX", "FIELDS", 1, "f1") == 0
    assert at(FAR, "GT", "FIELDS", 1, "f1") == 0 and at(FAR + 1, "GT", "FIELDS", 1, "f1") == 1
    assert at(FAR + 1, "LT", "FIELDS", 1, "f1") == 0 and at(FAR, "lt", "FIELDS", 1, "f1") == 1
    assert at(FAR + 5, "XX", "FIELDS", 1, "f1") == 1 and at(FAR, "NX", "FIELDS", 1, "f2") == 1
    assert ttls(h, "h", "f1", "f2") == [FAR + 5, FAR]


def test_past_deletes(h):
    assert raw(h, "HPEXPIREAT", "h", 1, "FIELDS", 3, "f1", "f1", "f2") == [2, -2, 2]
    assert h.hlen("h") == 8 and h.hget("h", "f1") is None
    rest = [f"f{i}" for i in range(10)]
    assert raw(h, "HEXPIRE", "h", 0, "FIELDS", 10, *rest) == [2 if i not in (1, 2) else -2 for i in range(10)]
    assert not h.exists("h")


def test_errors(r):
    r.set("s", "x")
    r.hset("h", "f", "v")
    missing = "Mandatory argument FIELDS is missing or not at the right position"
    mismatch = "The `numfields` parameter must match the number of arguments"
    positive = "Number of fields must be a positive integer"
    for op in OPS:
        assert error(r, op, "s", "x", "FIELDS", 1, "f") == WRONGTYPE
        assert error(r, op, "h", "x", "FIELDS", 1, "f") == "value is not an integer or out of range"
        assert error(r, op, "h", -1, "FIELDS", 1, "f") == "invalid expire time, must be >= 0"
        assert error(r, op, "h", (1 << 46), "FIELDS", 1, "f") == f"invalid expire time in '{op.lower()}' command"
        assert error(r, op, "h", 100, "NX", "XX", "FIELDS", 1, "f") == missing
        assert error(r, op, "h", 100, "FIELD", 1, "f") == missing
        for n in (0, -1, "x"):
            assert error(r, op, "h", 100, "FIELDS", n, "f") == "Parameter `numFields` should be greater than 0"
        assert error(r, op, "h", 100, "FIELDS", 2, "f") == mismatch
        assert error(r, op, "h", 100, "FIELDS", 1, "f", "g") == mismatch
    for op in ["HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST", "HGETDEL"]:
        assert error(r, op, "s", "FIELDS", 1, "f") == WRONGTYPE
        assert error(r, op, "h", "FIELD", 1, "f") == missing
        assert error(r, op, "h", "FIELDS", 0, "f") == positive
        assert error(r, op, "h", "FIELDS", 2, "f") == mismatch
    assert r.hgetall("h") == {b"f": b"v"} and ttls(r, "h", "f") == [-1]


def test_errors_of_getex_and_setex(r):
    r.set("s", "x")
    for op, more, word in (("HGETEX", [], "PERSIST"), ("HSETEX", ["v"], "KEEPTTL")):
        one = ["FIELDS", 1, "f", *more]
        assert error(r, op, "s", *one) == WRONGTYPE
        assert error(r, op, "h", "EX", 1, "PX", 1, *one) == (
            f"Only one of EX, PX, EXAT, PXAT or {word} arguments can be specified")
        assert error(r, op, "h", word, "PX", 1, *one) == (
            f"Only one of EX, PX, EXAT, PXAT or {word} arguments can be specified")
        assert error(r, op, "h", "EX", "x", *one) == "value is not an integer or out of range"
        assert error(r, op, "h", "EX", -1, *one) == "invalid expire time, must be >= 0"
        assert error(r, op, "h", "PXAT", 1 << 46, *one) == f"invalid expire time in '{op.lower()}' command"
        assert error(r, op, "h", "what", *one) == "unknown argument: what"
        assert error(r, op, "h", "FIELDS", 0, "f", *more) == "invalid number of fields"
        assert error(r, op, "h", "FIELDS", 2, "f", *more) == f"wrong number of arguments for '{op.lower()}' command"
    assert error(r, "HSETEX", "h", "FNX", "FXX", "FIELDS", 1, "f", "v") == (
        "Only one of FXX or FNX arguments can be specified")
    assert error(r, "HSETEX", "h", "FIELDS", 1, "f", "v", "g") == "wrong number of arguments for 'hsetex' command"
    assert not r.exists("h")


def test_invisible_at_once(h):
    h.hset("names", mapping={"3": "three", "4": "four"})
    soon(h, "h", "f1", "f2")
    assert h.hlen("h") == 8 and h.hget("h", "f1") is None and not h.hexists("h", "f2")
    assert h.hmget("h", "f1", "f3") == [None, b"3"] and h.hstrlen("h", "f1") == 0
    assert b"f1" not in h.hgetall("h") and b"f1" not in h.hkeys("h") and b"1" not in h.hvals("h")
    assert b"f1" not in dict(h.hscan_iter("h")) and b"f1" not in h.hrandfield("h", 100)
    assert ttls(h, "h", "f1") == [-2] and h.hdel("h", "f1") == 0
    assert h.hincrby("h", "f1", 5) == 5 and h.hsetnx("h", "f2", "new") == 1
    assert ttls(h, "h", "f1", "f2", "f9") == [-1, -1, FAR]


def test_sort_sees_no_expired_field(r):
    r.rpush("l", 1, 2)
    r.hset("w1", "w", 9)
    r.hset("w2", mapping={"w": 1, "other": 1})
    assert raw(r, "SORT", "l", "BY", "w*->w", "GET", "w*->w") == [b"1", b"9"]
    soon(r, "w2", "w")
    assert raw(r, "SORT", "l", "GET", "w*->w") == [b"9", None]


def test_key_goes_with_its_last_field(h):
    fields = [f"f{i}" for i in range(10)]
    soon(h, "h", *fields)
    assert not h.exists("h") and h.type("h") == b"none" and h.dbsize() == 0


def test_expired_without_a_look(fresh):
    r = fresh().client()
    before = r.info("stats")["expired_subkeys"]
    for k in range(20):
        raw(r, "HSET", f"k{k}", "a", 1, "b", 2)
        raw(r, "HPEXPIRE", f"k{k}", 1, "FIELDS", 2 if k % 2 else 1, *(["a", "b"] if k % 2 else ["a"]))
    end = time.monotonic() + 120
    while r.info("stats")["expired_subkeys"] - before < 30 and time.monotonic() < end:
        time.sleep(0.02)
    assert r.info("stats")["expired_subkeys"] - before == 30 and r.dbsize() == 10
    assert r.info("keyspace")["db0"]["subexpiry"] == 0


def test_many_fields_of_one_hash_expire_in_slices(fresh):
    r = fresh().client()
    n = 5000
    r.hset("h", mapping={f"f{i}": i for i in range(n)} | {"stays": 1})
    raw(r, "HPEXPIRE", "h", 1, "FIELDS", n, *[f"f{i}" for i in range(n)])
    end = time.monotonic() + 120
    while r.info("stats")["expired_subkeys"] < n and time.monotonic() < end:
        time.sleep(0.02)
    assert r.info("stats")["expired_subkeys"] == n and raw(r, "HKEYS", "h") == ["stays"]


def test_who_clears_and_who_keeps(h):
    raw(h, "HPEXPIREAT", "h", FAR, "FIELDS", 4, "f1", "f2", "f3", "f4")
    h.hset("h", "f1", "new")
    assert h.hincrby("h", "f2", 1) == 3 and h.hincrbyfloat("h", "f3", 0.5) == 3.5
    assert ttls(h, "h", "f1", "f2", "f3", "f4") == [-1, FAR, FAR, FAR]
    h.hdel("h", "f4")
    h.hset("h", "f4", "again")
    assert ttls(h, "h", "f4") == [-1]


def test_no_expiry_left_is_a_plain_hash(h):
    timed = h.memory_usage("h", samples=0)
    assert h.info("keyspace")["db0"]["subexpiry"] == 1
    raw(h, "HPERSIST", "h", "FIELDS", 1, "f9")
    assert h.object("encoding", "h") in (b"listpack", b"hashtable") and h.memory_usage("h", samples=0) < timed
    assert h.info("keyspace")["db0"]["subexpiry"] == 0
    h.hset("plain", mapping={f"f{i}": str(i) for i in range(10)})
    if h.object("encoding", "h") == b"listpack":
        assert h.memory_usage("h", samples=0) <= h.memory_usage("plain", samples=0)


def test_getdel(h):
    assert raw(h, "HGETDEL", "h", "FIELDS", 4, "f9", "f1", "f1", "none") == [b"9", b"1", None, None]
    assert h.hlen("h") == 8 and h.info("keyspace")["db0"]["subexpiry"] == 0
    rest = [f"f{i}" for i in range(10)]
    raw(h, "HGETDEL", "h", "FIELDS", 10, *rest)
    assert not h.exists("h") and raw(h, "HGETDEL", "h", "FIELDS", 1, "f") == [None]


def test_getex(h):
    assert raw(h, "HGETEX", "h", "FIELDS", 2, "f9", "none") == [b"9", None] and ttls(h, "h", "f9") == [FAR]
    assert raw(h, "HGETEX", "h", "PXAT", FAR + 7, "FIELDS", 2, "f1", "none") == [b"1", None]
    assert raw(h, "HGETEX", "h", "PERSIST", "FIELDS", 2, "f9", "f2") == [b"9", b"2"]
    assert ttls(h, "h", "f1", "f9", "f2") == [FAR + 7, -1, -1]
    assert raw(h, "HGETEX", "h", "EXAT", 1, "FIELDS", 2, "f1", "f1") == [b"1", None] and not h.hexists("h", "f1")
    assert raw(h, "HGETEX", "nothing", "EX", 10, "FIELDS", 2, "a", "b") == [None, None] and not h.exists("nothing")


def test_setex(h):
    assert raw(h, "HSETEX", "h", "FXX", "PXAT", FAR, "FIELDS", 2, "f1", "a", "none", "b") == 0
    assert raw(h, "HSETEX", "h", "FNX", "PXAT", FAR, "FIELDS", 2, "f1", "a", "none", "b") == 0
    assert h.hget("h", "f1") == b"1" and ttls(h, "h", "f1") == [-1]
    assert raw(h, "HSETEX", "h", "FXX", "PXAT", FAR, "FIELDS", 2, "f1", "a", "f2", "b") == 1
    assert raw(h, "HSETEX", "h", "KEEPTTL", "FIELDS", 2, "f1", "c", "new", "d") == 1
    assert h.hmget("h", "f1", "f2", "new") == [b"c", b"b", b"d"]
    assert ttls(h, "h", "f1", "f2", "new") == [FAR, FAR, -1]
    assert raw(h, "HSETEX", "h", "FIELDS", 1, "f1", "e") == 1 and ttls(h, "h", "f1") == [-1]
    assert raw(h, "HSETEX", "h", "EXAT", 1, "FIELDS", 1, "f1", "dead") == 1 and not h.hexists("h", "f1")
    assert raw(h, "HSETEX", "dead", "EXAT", 1, "FIELDS", 1, "f", "v") == 1 and not h.exists("dead")
    assert raw(h, "HSETEX", "nothing", "FXX", "FIELDS", 1, "f", "v") == 0 and not h.exists("nothing")


def test_copy_rename_and_dump(h):
    h.copy("h", "copy")
    payload = h.dump("h")
    digest = raw(h, "DEBUG", "DIGEST-VALUE", "h")
    h.rename("h", "other")
    h.restore("back", 0, payload)
    for key in ("copy", "other", "back"):
        assert ttls(h, key, "f9", "f1") == [FAR, -1] and h.hlen(key) == 10
        assert raw(h, "DEBUG", "DIGEST-VALUE", key) == digest
    assert payload[0] in (24, 25) and payload[-10:-8] == b"\x0c\0" and h.info("keyspace")["db0"]["subexpiry"] == 3
    raw(h, "HPERSIST", "other", "FIELDS", 1, "f9")
    assert h.dump("other")[0] in (4, 16) and h.dump("other")[-10:-8] == b"\x0a\0"
    assert raw(h, "DEBUG", "DIGEST-VALUE", "other") != digest
    h.flushall()
    assert h.dbsize() == 0


def test_events(r):
    r.config_set("notify-keyspace-events", "KEA")
    p = r.pubsub()
    p.psubscribe("__keyspace@0__:h")
    assert p.get_message(timeout=120)["type"] == "psubscribe"

    def seen(*cmd):
        raw(r, *cmd)
        r.publish("__keyspace@0__:h", "end")
        got = []
        while (m := p.get_message(timeout=120))["data"] != b"end":
            got.append(m["data"].decode())
        return got

    try:
        assert seen("HSETEX", "h", "EX", 100, "FIELDS", 2, "a", 1, "b", 2)[-2:] == ["hset", "hexpire"]
        assert seen("HEXPIRE", "h", 50, "FIELDS", 1, "a") == ["hexpire"]
        assert seen("HEXPIRE", "h", 50, "XX", "FIELDS", 1, "none") == []
        assert seen("HPERSIST", "h", "FIELDS", 2, "a", "b") == ["hpersist"]
        assert seen("HPERSIST", "h", "FIELDS", 2, "a", "b") == []
        assert seen("HGETEX", "h", "EX", 9, "FIELDS", 1, "a") == ["hexpire"]
        assert seen("HGETEX", "h", "PERSIST", "FIELDS", 1, "a") == ["hpersist"]
        assert seen("HEXPIRE", "h", 0, "FIELDS", 1, "a") == ["hdel"]
        assert seen("HGETDEL", "h", "FIELDS", 1, "b") == ["hdel", "del"]
        raw(r, "HSET", "h", "a", 1, "b", 2)
        soon(r, "h", "a")
        assert seen("HGET", "h", "b")[-1:] == ["hexpired"]
        soon(r, "h", "b")
        assert seen("HGET", "h", "b")[-2:] == ["hexpired", "del"]
    finally:
        r.config_set("notify-keyspace-events", "")
        p.close()


def test_watch(r):
    r.hset("h", mapping={"a": 1, "b": 2})
    with r.pipeline() as p:
        p.watch("h")
        raw(r, "HEXPIRE", "h", 100, "FIELDS", 1, "a")
        p.multi()
        p.get("x")
        with pytest.raises(Exception, match="Watched variable changed"):
            p.execute()


def test_survives_a_kill(fresh):
    s = fresh("--appendonly", "yes")
    r = s.client(decode_responses=False)
    r.hset("h", mapping={f"f{i}": str(i) for i in range(10)})
    raw(r, "HPEXPIREAT", "h", FAR, "FIELDS", 3, "f1", "f2", "f3")
    r.hincrbyfloat("h", "f2", 1.5)
    raw(r, "HSETEX", "h", "EX", 10000, "FIELDS", 1, "x", "y")
    raw(r, "HGETEX", "h", "PERSIST", "FIELDS", 1, "f3")
    raw(r, "HGETEX", "h", "EX", 0, "FIELDS", 1, "f4")
    raw(r, "HGETDEL", "h", "FIELDS", 1, "f5")
    raw(r, "HPEXPIRE", "h", 20, "FIELDS", 1, "f6")
    time.sleep(0.1)
    assert r.hsetnx("h", "f6", "again") == 1
    want, times = r.hgetall("h"), ttls(r, "h", "f1", "f2", "f3", "f6", "x")
    assert times[:4] == [FAR, FAR, -1, -1] and times[4] > 0
    s.kill9()
    s.start()
    r = s.client(decode_responses=False)
    assert r.hgetall("h") == want and ttls(r, "h", "f1", "f2", "f3", "f6", "x") == times
    r.bgrewriteaof()
    end = time.monotonic() + 60
    while r.info("persistence").get("aof_rewrite_in_progress") and time.monotonic() < end:
        time.sleep(0.05)
    s.kill9()
    s.start()
    r = s.client(decode_responses=False)
    assert r.hgetall("h") == want and ttls(r, "h", "f1", "f2", "f3", "f6", "x") == times
    r.save()
    raw(r, "DEBUG", "RELOAD")
    assert r.hgetall("h") == want and ttls(r, "h", "f1", "f2", "f3", "f6", "x") == times


def crc64(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return crc


def payload(kind, body):
    data = bytes([kind]) + body + b"\x0c\0"
    return data + crc64(data).to_bytes(8, "little")


def listpack(*elements):
    """Short strings, and numbers as 64-bit integers."""
    body = b""
    for e in elements:
        if isinstance(e, int):
            one = b"\xf4" + e.to_bytes(8, "little")
        else:
            one = bytes([0x80 | len(e)]) + e
        body += one + bytes([len(one)])
    return (len(body) + 7).to_bytes(4, "little") + len(elements).to_bytes(2, "little") + body + b"\xff"


def far(n):
    return b"\x81" + n.to_bytes(8, "big")


def string(s):
    assert len(s) < 64
    return bytes([len(s)]) + s


FIRST = FAR.to_bytes(8, "little")
TRIPLES = string(listpack(b"a", b"x", FAR, b"b", b"y", FAR + 5, b"c", b"z", 0))


@pytest.mark.parametrize("kind, body", [
    (22, b"\3" + far(FAR) + b"\1a\1x" + far(FAR + 5) + b"\1b\1y" + b"\0\1c\1z"),
    (24, FIRST + b"\3" + b"\1\1a\1x" + b"\6\1b\1y" + b"\0\1c\1z"),
    (23, TRIPLES),
    (25, FIRST + TRIPLES),
])
def test_forms_of_74_are_read(r, kind, body):
    r.restore("h", 0, payload(kind, body))
    assert r.hgetall("h") == {b"a": b"x", b"b": b"y", b"c": b"z"}
    assert ttls(r, "h", "a", "b", "c") == [FAR, FAR + 5, -1]


@pytest.mark.parametrize("kind, body", [
    (24, FIRST + b"\1" + far((1 << 64) - 1) + b"\1a\1x"),
    (24, b"\xff" * 8 + b"\1\1\1a\1x"),
    (24, FIRST + b"\2\1\1a\1x\1\1a\1y"),
    (24, FIRST + b"\0"),
    (24, FIRST + b"\x81" + b"\xff" * 8),
    (22, b"\1" + far(1 << 60) + b"\1a\1x"),
    (25, FIRST + b"\x0e" + b"\x0e\0\0\0\2\0\x81a\2\x81x\2\0\xff"),
    (24, FIRST[:4]),
])
def test_damaged_payloads_are_refused(r, kind, body):
    assert error(r, "RESTORE", "h", 0, payload(kind, body)).startswith("Bad data format")
    assert not r.exists("h")


def test_a_field_without_a_name(h):
    """The empty string is a field like any other: it has a time, survives DUMP and RESTORE, and expires."""
    key = "unnamed"
    h.hset(key, mapping={"": "x", "b": "y"})
    assert h.execute_command("HPEXPIRE", key, 100000, "FIELDS", 1, "") == [1]
    payload = h.dump(key)
    h.delete(key)
    h.restore(key, 0, payload)
    assert h.hget(key, "") == b"x" and ttls(h, key, "")[0] > 0
    soon(h, key, "")
    assert h.hget(key, "") is None and h.hkeys(key) == [b"b"]
