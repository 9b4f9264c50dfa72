"""List commands: replies, error texts, encodings, agreement with a model."""

import random

import pytest

from helpers import NOT_INT, WRONGTYPE, error, raw


@pytest.fixture(params=["listpack", "quicklist"])
def either(r, request):
    """The list l of 0..19 in either encoding."""
    if request.param == "quicklist":
        r.rpush("l", "x" * 9000)
    r.rpush("l", *range(20))
    if request.param == "quicklist":
        r.rpush("l", "y" * 9000)
    assert r.object("encoding", "l") == request.param.encode()
    return r


def test_push_and_ends(r):
    assert r.rpush("l", "a", "b") == 2
    assert r.lpush("l", "c", "d") == 4
    assert r.lrange("l", 0, -1) == [b"d", b"c", b"a", b"b"]
    assert r.lpushx("none", "x") == 0 and r.rpushx("none", "x") == 0 and not r.exists("none")
    assert r.lpushx("l", "x", "y") == 6 and r.rpushx("l", "z") == 7
    assert raw(r, "LPOP", "l") == b"y" and raw(r, "RPOP", "l") == b"z"
    assert raw(r, "LPOP", "l", 2) == [b"x", b"d"]
    assert raw(r, "RPOP", "l", 99) == [b"b", b"a", b"c"]
    assert not r.exists("l") and raw(r, "LPOP", "l") is None and raw(r, "LPOP", "l", 2) is None
    r.rpush("l", "a")
    assert raw(r, "LPOP", "l", 0) == [] and r.llen("l") == 1


def test_index_range_set_trim(either):
    r = either
    n = r.llen("l")
    everything = r.lrange("l", 0, -1)
    assert [r.lindex("l", i) for i in range(n)] == everything
    assert [r.lindex("l", i - n) for i in range(n)] == everything
    assert r.lindex("l", n) is None and r.lindex("l", -n - 1) is None
    for start in (-30, -3, 0, 4, 30):
        for stop in (-30, -2, 0, 9, 30):
            lo = max(start + n if start < 0 else start, 0)
            hi = stop + n if stop < 0 else stop
            assert r.lrange("l", start, stop) == everything[lo : hi + 1 if hi >= 0 else 0]
    assert r.lset("l", -1, "last") and r.lset("l", 3, "three")
    assert error(r, "LSET", "l", n, "x") == "index out of range"
    everything[-1], everything[3] = b"last", b"three"
    assert r.ltrim("l", 2, -1) and r.lrange("l", 0, -1) == everything[2:]
    assert r.ltrim("l", 5, 1) and not r.exists("l")


def test_insert_and_remove(either):
    r = either
    before = r.llen("l")
    assert r.linsert("l", "BEFORE", "7", "six and a half") == before + 1
    assert r.linsert("l", "after", "7", "x" * 10000) == before + 2
    assert r.linsert("l", "AFTER", "nobody", "x") == -1
    assert raw(r, "LINSERT", "none", "BEFORE", "a", "b") == 0
    values = r.lrange("l", 0, -1)
    at = values.index(b"7")
    assert values[at - 1] == b"six and a half" and values[at + 1] == b"x" * 10000
    r.rpush("l", *["again"] * 5)
    assert r.lrem("l", 2, "again") == 2 and r.lrem("l", -1, "again") == 1 and r.lrem("l", 0, "again") == 2
    assert r.lrem("l", 0, "nobody") == 0 and r.lrem("none", 0, "x") == 0


def test_lpos(either):
    r = either
    r.rpush("l", 3, 4, 3)
    first, n = r.lrange("l", 0, -1).index(b"3"), r.llen("l")
    assert raw(r, "LPOS", "l", 3) == first
    assert raw(r, "LPOS", "l", 3, "RANK", 2) == n - 3
    assert raw(r, "LPOS", "l", 3, "RANK", -1) == n - 1
    assert raw(r, "LPOS", "l", 3, "COUNT", 0) == [first, n - 3, n - 1]
    assert raw(r, "LPOS", "l", 3, "COUNT", 2, "RANK", -1) == [n - 1, n - 3]
    assert raw(r, "LPOS", "l", 3, "MAXLEN", 2) is None
    assert raw(r, "LPOS", "l", 3, "MAXLEN", 1, "RANK", -1) == n - 1
    assert raw(r, "LPOS", "l", "nobody") is None and raw(r, "LPOS", "l", "nobody", "COUNT", 1) == []
    assert raw(r, "LPOS", "none", 1) is None and raw(r, "LPOS", "none", 1, "COUNT", 1) == []
    assert error(r, "LPOS", "l", 3, "RANK", 0).startswith("RANK can't be zero")
    assert error(r, "LPOS", "l", 3, "COUNT", -1) == "COUNT can't be negative"
    assert error(r, "LPOS", "l", 3, "MAXLEN", -1) == "MAXLEN can't be negative"


def test_moves(r):
    r.rpush("a", 1, 2, 3)
    assert raw(r, "LMOVE", "a", "b", "LEFT", "RIGHT") == b"1"
    assert raw(r, "LMOVE", "a", "b", "right", "left") == b"3"
    assert r.lrange("b", 0, -1) == [b"3", b"1"]
    assert raw(r, "LMOVE", "a", "a", "LEFT", "RIGHT") == b"2" and r.lrange("a", 0, -1) == [b"2"]
    assert raw(r, "RPOPLPUSH", "a", "b") == b"2" and not r.exists("a")
    assert raw(r, "RPOPLPUSH", "a", "b") is None
    assert raw(r, "RPOPLPUSH", "b", "b") == b"1" and r.lrange("b", 0, -1) == [b"1", b"2", b"3"]
    r.set("s", 1)
    assert error(r, "LMOVE", "b", "s", "LEFT", "LEFT") == WRONGTYPE and r.llen("b") == 3


def test_lmpop(r):
    r.rpush("b", 1, 2, 3)
    assert raw(r, "LMPOP", 2, "a", "b", "LEFT") == [b"b", [b"1"]]
    assert raw(r, "LMPOP", 2, "a", "b", "RIGHT", "COUNT", 9) == [b"b", [b"3", b"2"]]
    assert raw(r, "LMPOP", 2, "a", "b", "RIGHT") is None
    assert error(r, "LMPOP", 0, "a", "LEFT") == "numkeys should be greater than 0"
    assert error(r, "LMPOP", 1, "a", "LEFT", "COUNT", 0) == "count should be greater than 0"
    assert error(r, "LMPOP", 2, "a", "LEFT") == "syntax error"
    assert raw(r, "COMMAND", "GETKEYS", "LMPOP", 2, "a", "b", "LEFT") == [b"a", b"b"]
    assert raw(r, "COMMAND", "GETKEYS", "BLMPOP", 0, 2, "a", "b", "LEFT") == [b"a", b"b"]


def test_wrong_type_and_bad_numbers(r):
    r.set("s", 1)
    for cmd in ("LPUSH s x", "RPUSHX s x", "LPOP s", "RPOP s 1", "LLEN s", "LINDEX s 0", "LSET s 0 x", "LRANGE s 0 1",
                "LTRIM s 0 1", "LREM s 0 x", "LPOS s x", "LINSERT s BEFORE a b", "LMPOP 1 s LEFT", "RPOPLPUSH s x",
                "BLPOP s 0", "BRPOP none s 0", "BLMPOP 0 1 s LEFT", "BLMOVE s x LEFT LEFT 0"):
        assert error(r, *cmd.split()) == WRONGTYPE, cmd
    r.rpush("l", 1)
    for cmd in ("LINDEX l x", "LSET l x y", "LRANGE l x 1", "LRANGE l 0 y", "LTRIM l x 1", "LREM l x y"):
        assert error(r, *cmd.split()) == NOT_INT, cmd
    assert error(r, "LPOP", "l", -1) == "value is out of range, must be positive"
    assert error(r, "LINSERT", "l", "BESIDE", 1, 2) == "syntax error"
    assert error(r, "LSET", "none", 0, 1) == "no such key"
    assert error(r, "LPUSH", "l") == "wrong number of arguments for 'lpush' command"


def test_encoding_follows_the_setting(r):
    old = r.config_get("list-max-listpack-size")["list-max-listpack-size"]
    try:
        r.config_set("list-max-listpack-size", 4)
        r.rpush("l", *"abcd")
        assert r.object("encoding", "l") == b"listpack"
        r.rpush("l", "e")
        assert r.object("encoding", "l") == b"quicklist"
        r.ltrim("l", 0, 0)
        assert r.object("encoding", "l") == b"listpack"
    finally:
        r.config_set("list-max-listpack-size", old)


def test_dump_and_copy(either):
    r = either
    payload = r.dump("l")
    assert r.restore("back", 0, payload) and r.copy("l", "copy")
    for key in ("back", "copy"):
        assert r.lrange(key, 0, -1) == r.lrange("l", 0, -1)
        assert r.object("encoding", key) == r.object("encoding", "l")


def test_model(r):
    rng = random.Random(5)
    model = []
    for _ in range(4000):
        v = rng.choice([b"1", b"word", b"long" * 200, b"x" * 9000]) if rng.random() < 0.9 else b"z" * rng.randrange(20000)
        what = rng.randrange(8)
        if what < 3:
            r.rpush("l", v)
            model.append(v)
        elif what < 5:
            r.lpush("l", v)
            model.insert(0, v)
        elif what == 5:
            got = r.lpop("l") if rng.random() < 0.5 else r.rpop("l")
            assert got is None if not model else got in (model[0], model[-1])
            model = r.lrange("l", 0, -1)
        elif what == 6 and model:
            i = rng.randrange(len(model))
            r.lset("l", i, v)
            model[i] = v
        elif what == 7 and len(model) > 300:
            r.ltrim("l", 50, -51)
            model = model[50:-50]
    assert r.lrange("l", 0, -1) == model


def test_journaled(fresh):
    server = fresh("--appendonly", "yes", "--appendfsync", "always")
    r = server.client(decode_responses=False)
    rng = random.Random(11)
    keys = ["a", "b", "c"]
    for _ in range(1500):
        k, j, v = rng.choice(keys), rng.choice(keys), rng.choice(["1", "word", "x" * 3000])
        end = rng.choice(["LEFT", "RIGHT"])
        cmd = rng.choice([
            ("RPUSH", k, v, v), ("LPUSH", k, v), ("RPUSH", k, v), ("LPOP", k), ("RPOP", k, 2), ("LMOVE", k, j, end, "LEFT"),
            ("RPOPLPUSH", k, j), ("LMPOP", 2, k, j, end, "COUNT", 3), ("BLMPOP", 0.001, 2, k, j, end), ("LREM", k, 1, v),
            ("BLPOP", k, j, 0.001), ("BLMOVE", k, j, end, end, 0.001), ("BRPOPLPUSH", k, j, 0.001), ("LTRIM", k, 0, 40),
            ("LINSERT", k, "BEFORE", v, "in"), ("LPUSHX", k, v)])
        raw(r, *cmd)
    before = [r.lrange(k, 0, -1) for k in keys]
    server.kill9()
    server.start()
    r = server.client(decode_responses=False)
    assert [r.lrange(k, 0, -1) for k in keys] == before and any(before)
