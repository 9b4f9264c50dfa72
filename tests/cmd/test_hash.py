"""Hash commands: replies, error texts, the change of encoding, scanning, random fields, agreement with a model."""

import random

import pytest

from helpers import WRONGTYPE, error, raw


def fill(r, key, n, width=4):
    r.hset(key, mapping={f"f{i}": f"{i:0{width}}" for i in range(n)})


@pytest.fixture(params=["listpack", "hashtable"])
def small_or_large(r, request):
    """A hash of 50 fields in either encoding."""
    fill(r, "h", 50)
    if request.param == "hashtable":
        r.hset("h", "long", "x" * 100)
        r.hdel("h", "long")
    assert r.object("encoding", "h") == request.param.encode()
    return r


def test_set_and_get(small_or_large):
    r = small_or_large
    assert r.hlen("h") == 50
    assert r.hset("h", mapping={"f1": "new", "g": "1"}) == 1
    assert r.hget("h", "f1") == b"new" and r.hget("h", "nothing") is None
    assert r.hmget("h", "g", "nothing", "f2") == [b"1", None, b"0002"]
    assert r.hexists("h", "g") and not r.hexists("h", "nothing")
    assert r.hstrlen("h", "f2") == 4 and r.hstrlen("h", "nothing") == 0
    assert r.hsetnx("h", "g", "2") == 0 and r.hsetnx("h", "new", "2") == 1
    everything = r.hgetall("h")
    assert len(everything) == 52 and everything[b"f7"] == b"0007"
    assert sorted(r.hkeys("h")) == sorted(everything) and sorted(r.hvals("h")) == sorted(everything.values())


def test_absent(r):
    assert r.hget("h", "f") is None and r.hgetall("h") == {} and r.hlen("h") == 0 and r.hkeys("h") == []
    assert r.hmget("h", "a", "b") == [None, None] and r.hdel("h", "f") == 0 and r.hvals("h") == []
    assert r.hrandfield("h") is None and r.hrandfield("h", 3) == [] and r.hscan("h") == (0, {})
    assert not r.exists("h")


def test_empty_and_binary(r):
    r.hset("h", "", "")
    r.hset("h", b"\0\r\n\xff", bytes(range(256)))
    assert r.hgetall("h") == {b"": b"", b"\0\r\n\xff": bytes(range(256))}
    assert raw(r, "HMSET", "h", "x", "") == b"OK" and r.hget("h", "x") == b""


def test_last_field_takes_the_key(small_or_large):
    r = small_or_large
    assert r.hdel("h", *[f"f{i}" for i in range(60)]) == 50
    assert not r.exists("h") and r.type("h") == b"none"


def test_encoding_changes_once(r):
    limit = int(r.config_get("hash-max-listpack-entries")["hash-max-listpack-entries"])
    fill(r, "h", limit)
    assert r.object("encoding", "h") == b"listpack"
    before = r.hgetall("h")
    r.hset("h", "one more", "1")
    assert r.object("encoding", "h") == b"hashtable"
    before[b"one more"] = b"1"
    assert r.hgetall("h") == before
    r.hset("v", "f", "x" * 64)
    assert r.object("encoding", "v") == b"listpack"
    r.hset("v", "f", "x" * 65)
    assert r.object("encoding", "v") == b"hashtable"


def test_wrong_type(r):
    r.set("s", "x")
    for cmd in ["HSET s f v", "HGET s f", "HMGET s f", "HGETALL s", "HDEL s f", "HLEN s", "HINCRBY s f 1", "HSCAN s 0",
                "HINCRBYFLOAT s f 1", "HRANDFIELD s", "HRANDFIELD s 2", "HEXISTS s f", "HSETNX s f v", "HSTRLEN s f",
                "HKEYS s", "HVALS s", "HMSET s f v"]:
        assert error(r, *cmd.split()) == WRONGTYPE
    assert r.get("s") == b"x"


def test_arity(r):
    assert error(r, "HSET", "h", "a", "1", "b") == "wrong number of arguments for 'hset' command"
    assert error(r, "HMSET", "h", "a", "1", "b") == "wrong number of arguments for 'hmset' command"
    assert error(r, "HGET", "h") == "wrong number of arguments for 'hget' command"
    assert not r.exists("h")


def test_hincrby(small_or_large):
    r = small_or_large
    assert r.hincrby("h", "n") == 1 and r.hincrby("h", "n", 41) == 42 and r.hincrby("h", "n", -100) == -58
    r.hset("h", "n", "9223372036854775807")
    assert error(r, "HINCRBY", "h", "n", "1") == "increment or decrement would overflow"
    for text in ["", " 1", "1 ", "abc", "1.5"]:
        r.hset("h", "n", text)
        assert error(r, "HINCRBY", "h", "n", "1") == "hash value is not an integer"
    assert error(r, "HINCRBY", "h", "n", "x") == "value is not an integer or out of range"
    assert r.hincrby("new", "n", -9223372036854775808) == -9223372036854775808


def test_hincrbyfloat(small_or_large):
    r = small_or_large
    f = lambda by: raw(r, "HINCRBYFLOAT", "h", "x", by)
    assert f("1.5") == b"1.5" and f("-0.5") == b"1" and f("1e3") == b"1001"
    r.hset("h", "x", "17179869184")
    assert f("1.5") == b"17179869185.5"
    r.hset("h", "x", " 1")
    assert error(r, "HINCRBYFLOAT", "h", "x", "1") == "hash value is not a float"
    assert error(r, "HINCRBYFLOAT", "h", "x", "a") == "value is not a valid float"
    assert error(r, "HINCRBYFLOAT", "new", "x", "+inf") == "value is NaN or Infinity"
    assert not r.exists("new")


def scan_all(r, key, **options):
    cursor, seen = 0, []
    while True:
        reply = raw(r, "HSCAN", key, cursor, *[x for kv in options.items() for x in kv])
        cursor = int(reply[0])
        seen += zip(reply[1][::2], reply[1][1::2])
        if cursor == 0:
            return seen


def test_hscan_finds_everything(r):
    for n in (1, 100, 3000):
        fill(r, f"h{n}", n)
        seen = scan_all(r, f"h{n}", COUNT=17)
        assert dict(seen) == r.hgetall(f"h{n}")
    assert {f for f, _ in scan_all(r, "h3000", MATCH="f1?", COUNT=100)} == {f"f1{i}".encode() for i in range(10)}
    assert len(raw(r, "HSCAN", "h3000", 0, "COUNT", 50)[1]) < 400


def test_hscan_while_it_changes(r):
    fill(r, "h", 1000)
    cursor, seen, added = 0, set(), 0
    while True:
        cursor, part = r.hscan("h", cursor, count=20)
        seen |= set(part)
        for _ in range(40):
            if added < 8000:
                r.hset("h", f"x{added}", "1")
                added += 1
        if cursor == 0:
            break
    assert {f"f{i}".encode() for i in range(1000)} <= seen


def test_hscan_errors(r):
    fill(r, "h", 3)
    assert error(r, "HSCAN", "h", "x") == "invalid cursor"
    assert error(r, "HSCAN", "h", "0", "COUNT", "0") == "syntax error"
    assert error(r, "HSCAN", "h", "0", "COUNT", "x") == "value is not an integer or out of range"
    assert error(r, "HSCAN", "h", "0", "TYPE", "string") == "syntax error"
    assert error(r, "HSCAN", "h", "0", "MATCH") == "syntax error"


def test_hrandfield(small_or_large):
    r = small_or_large
    everything = r.hgetall("h")
    assert r.hrandfield("h") in everything
    for n in (1, 5, 25, 49):
        some = r.hrandfield("h", n)
        assert len(some) == n == len(set(some)) and set(some) <= set(everything)
    assert sorted(r.hrandfield("h", 1000)) == sorted(everything)
    repeats = r.hrandfield("h", -500)
    assert len(repeats) == 500 and len(set(repeats)) > 40
    flat = r.hrandfield("h", 20, withvalues=True)
    assert dict(zip(flat[::2], flat[1::2])).items() <= everything.items()
    assert r.hrandfield("h", 0) == []
    seen = set()
    for _ in range(200):
        seen |= set(r.hrandfield("h", 5))
    assert seen == set(everything)


def test_hrandfield_of_a_large_table(r):
    fill(r, "h", 5000)
    some = r.hrandfield("h", 700)
    assert len(some) == len(set(some)) == 700


def test_hrandfield_errors(r):
    fill(r, "h", 3)
    assert error(r, "HRANDFIELD", "h", "x") == "value is not an integer or out of range"
    assert error(r, "HRANDFIELD", "h", "1", "foo") == "syntax error"
    assert error(r, "HRANDFIELD", "h", "1", "WITHVALUES", "x") == "syntax error"
    assert "value is out of range" in error(r, "HRANDFIELD", "h", "-9223372036854770000", "WITHVALUES")
    assert "value is out of range" in error(r, "HRANDFIELD", "h", "-9223372036854775808")


def test_random_use_matches_a_model(r):
    rng = random.Random(4)
    for fields in (30, 2000):
        r.delete("h", "copy", "copy2")
        model = {}
        pipe = r.pipeline(transaction=False)
        for _ in range(6000):
            f = f"field{rng.randrange(fields)}".encode()
            op = rng.randrange(4)
            if op == 0:
                pipe.hdel("h", f)
                model.pop(f, None)
            elif op == 1:
                v = str(rng.randrange(1 << 50)).encode()
                pipe.hset("h", f, v)
                model[f] = v
            else:
                v = bytes(rng.randrange(256) for _ in range(rng.choice([0, 5, 30, 60])))
                pipe.hset("h", f, v)
                model[f] = v
        pipe.execute()
        assert r.hgetall("h") == model
        payload = r.dump("h")
        r.restore("copy", 0, payload)
        assert r.hgetall("copy") == model
        r.copy("h", "copy2")
        r.hset("h", "only here", "1")
        assert r.hgetall("copy2") == model
