"""SORT and SORT_RO: against a model, patterns, STORE, and what they refuse."""

import random

from helpers import WRONGTYPE, error, raw


def test_numbers_and_text_against_a_model(r):
    rng = random.Random(5)
    for kind in ("rpush", "sadd", "zadd"):
        for size in (1, 30, 900):
            r.delete("k")
            items = rng.sample(range(-5000, 5000), size)
            for i in items:
                raw(r, kind, "k", *([rng.random()] if kind == "zadd" else []), i)
            text = [str(i).encode() for i in items]
            assert r.sort("k") == sorted(text, key=int) and r.sort("k", desc=True) == sorted(text, key=int, reverse=True)
            assert r.sort("k", alpha=True) == sorted(text) and r.sort("k", alpha=True, desc=True) == sorted(text)[::-1]
            assert r.sort("k", start=3, num=10) == sorted(text, key=int)[3:13]
            assert raw(r, "SORT_RO", "k") == sorted(text, key=int)


def test_by_and_get(r):
    r.rpush("l", "a", "b", "c", "d")
    r.mset({"w_a": 3, "w_b": 1, "w_c": "2.5"})
    r.hset("h_a", "f", "x")
    r.hset("h_b", "f", "y")
    assert r.sort("l", by="w_*") == [b"d", b"b", b"c", b"a"]  # what has no weight weighs 0
    assert r.sort("l", by="w_*", get=["#", "w_*", "h_*->f", "none"], start=1, num=2) == [
        b"b", b"1", b"y", None, b"c", b"2.5", None, None]
    assert r.sort("l", by="h_*->f", alpha=True) == [b"c", b"d", b"a", b"b"]
    assert r.sort("l", by="nosort") == [b"a", b"b", b"c", b"d"] == r.sort("l", by="nosort", desc=True)[::-1]
    r.zadd("z", {"x": 3, "y": 1, "z": 2})
    assert r.sort("z", by="nosort") == [b"y", b"z", b"x"] and r.sort("z", by="nosort", desc=True, start=0, num=2) == [b"x", b"z"]
    r.set("h_c", "a string where a hash is looked for")
    assert r.sort("l", by="nosort", get="h_*->f") == [b"x", b"y", None, None]


def test_store(r):
    r.sadd("s", *range(200))
    r.set("to", "text")
    assert r.sort("s", store="to", desc=True) == 200 and r.lrange("to", 0, 2) == [b"199", b"198", b"197"]
    assert r.sort("s", by="nosort", store="to") == 200 and r.lrange("to", 0, -1) == sorted(r.smembers("s"))
    assert r.sort("s", get="nothing_*", store="to", start=0, num=2) == 2 and r.lrange("to", 0, -1) == [b"", b""]
    assert r.sort("absent", store="to") == 0 and not r.exists("to")
    r.rpush("l", 3, 1, 2)
    assert r.sort("l", store="l") == 3 and r.lrange("l", 0, -1) == [b"1", b"2", b"3"]
    assert raw(r, "COMMAND", "GETKEYS", "SORT", "a", "GET", "store", "LIMIT", 0, 1, "STORE", "b") == [b"a", b"b"]


def test_errors(r):
    r.set("str", 1)
    assert error(r, "SORT", "str") == WRONGTYPE
    r.rpush("l", "x", "1")
    assert error(r, "SORT", "l") == "One or more scores can't be converted into double"
    assert error(r, "SORT", "l", "FOO") == "syntax error" == error(r, "SORT_RO", "l", "STORE", "x") == error(r, "SORT", "l", "BY")
    assert error(r, "SORT", "l", "LIMIT", "a", 1) == "value is not an integer or out of range"
