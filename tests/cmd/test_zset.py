"""Sorted sets over RESP: agreement with a model in both encodings, every form of a range, conditions, several sets at
once, popping and blocking, both protocol versions, error texts, events, what is journaled."""

import math
import os
import random
import time

import pytest
from helpers import NOT_INT, WRONGTYPE, error, raw
from resp import Conn

own = pytest.mark.skipif("SKALD_PORT" in os.environ, reason="starts and kills a server of its own")
NOT_FLOAT = "value is not a valid float"
NO_RANGE = "min or max is not a float"
NO_LEX = "min or max not valid string range item"


@pytest.fixture(params=["listpack", "skiplist"])
def enc(r, request):
    """All sorted sets of a test are in this encoding."""
    old = r.config_get("zset-max-ziplist-entries")
    r.config_set("zset-max-ziplist-entries", 128 if request.param == "listpack" else 0)
    yield request.param
    r.config_set("zset-max-ziplist-entries", old.get("zset-max-ziplist-entries", 128))


@pytest.fixture
def conn(server, r):
    made = []

    def make(resp=2):
        c = Conn(server.raw())
        made.append(c)
        if resp == 3:
            c.call("HELLO", 3)
        return c

    yield make
    for c in made:
        c.close()


def zadd(r, key, **members):
    return r.zadd(key, members)


def flat(r, key):
    return [(m.decode(), s) for m, s in r.zrange(key, 0, -1, withscores=True)]


def order(model):
    return sorted(model.items(), key=lambda p: (p[1], p[0]))


def random_score(rng):
    return rng.choice([rng.randrange(-5, 6), rng.random() * 10 - 5, rng.randrange(10**9), math.inf, -math.inf])


@pytest.mark.parametrize("size", [40, 600])
def test_against_a_model(r, size):
    rng, model = random.Random(size), {}
    for step in range(4000):
        m, op = f"m{rng.randrange(size)}", rng.randrange(10)
        if op < 6:
            s = random_score(rng)
            assert r.zadd("z", {m: s}) == (m not in model)
            model[m] = s
        elif op < 8:
            assert r.zrem("z", m) == (m in model)
            model.pop(m, None)
        else:
            rows = order(model)
            place = [x for x, _ in rows].index(m) if m in model else None
            assert r.zrank("z", m) == place
            assert r.zrevrank("z", m) == (None if place is None else len(rows) - 1 - place)
            assert r.zscore("z", m) == model.get(m)
        if step % 250 == 0:
            rows = order(model)
            assert flat(r, "z") == rows and r.zcard("z") == len(rows)
            check_ranges(r, rng, rows)
    assert r.object("encoding", "z") == (b"listpack" if size == 40 else b"skiplist")
    payload = r.dump("z")
    r.restore("copy", 0, payload)
    assert flat(r, "copy") == order(model) and r.copy("z", "again") and flat(r, "again") == order(model)
    assert dict((m.decode(), s) for m, s in r.zscan_iter("z", count=7)) == model
    r.zrem("z", *model)
    assert not r.exists("z")


def check_ranges(r, rng, rows):
    n = len(rows)
    names = [m.encode() for m, _ in rows]
    for _ in range(20):
        a, b = rng.randrange(-n - 2, n + 3), rng.randrange(-n - 2, n + 3)
        lo, hi = (max(a + n, 0) if a < 0 else a), (b + n if b < 0 else b)
        assert r.zrange("z", a, b) == names[lo:max(hi + 1, 0)]
        assert r.zrevrange("z", a, b) == names[::-1][lo:max(hi + 1, 0)] == r.zrange("z", a, b, desc=True)
        a, b = sorted([random_score(rng), random_score(rng)])
        xa, xb = rng.choice(["", "("]), rng.choice(["", "("])
        hits = [m.encode() for m, s in rows if (s > a if xa else s >= a) and (s < b if xb else s <= b)]
        lo, hi = f"{xa}{a!r}", f"{xb}{b!r}"
        assert r.zrangebyscore("z", lo, hi) == hits and r.zcount("z", lo, hi) == len(hits)
        assert r.zrevrangebyscore("z", hi, lo) == hits[::-1] == raw(r, "ZRANGE", "z", hi, lo, "BYSCORE", "REV")
        k, l = rng.randrange(5), rng.randrange(-1, 6)
        end = None if l < 0 else k + l
        assert r.zrangebyscore("z", lo, hi, start=k, num=l) == hits[k:end]
        assert raw(r, "ZRANGE", "z", hi, lo, "LIMIT", k, l, "REV", "BYSCORE") == hits[::-1][k:end]


def test_conditions_of_zadd(r, enc):
    assert zadd(r, "z", a=1, b=2) == 2
    assert raw(r, "ZADD", "z", "NX", 9, "a", 3, "c") == 1 and raw(r, "ZADD", "z", "XX", 9, "a", 4, "d") == 0
    assert flat(r, "z") == [("b", 2), ("c", 3), ("a", 9)]
    assert raw(r, "ZADD", "z", "GT", "CH", 8, "a", 5, "b", 1, "e") == 2
    assert raw(r, "ZADD", "z", "LT", "CH", 8, "a", 6, "b") == 1
    assert flat(r, "z") == [("e", 1), ("c", 3), ("b", 5), ("a", 8)]
    assert raw(r, "ZADD", "z", "CH", 8, "a", 5.5, "b", 0, "new") == 2
    assert raw(r, "ZADD", "z", "nx", "incr", 5, "a") is None and raw(r, "ZADD", "z", "INCR", 5, "a") == b"13"
    assert raw(r, "ZADD", "z", "INCR", "GT", -1, "a") is None and raw(r, "ZADD", "z", "INCR", "LT", -1, "a") == b"12"
    assert raw(r, "ZADD", "z", "XX", "INCR", 1, "nobody") is None and raw(r, "ZINCRBY", "z", 4, "fresh") == b"4"
    assert raw(r, "ZADD", "no", "XX", 1, "a") == 0 and not r.exists("no")
    assert raw(r, "ZADD", "no", "XX", "INCR", 1, "a") is None and not r.exists("no")
    assert raw(r, "ZADD", "z", 7, "twice", 8, "twice") == 1 and r.zscore("z", "twice") == 8
    assert r.object("encoding", "z").decode() == enc


def test_errors_of_zadd(r):
    assert error(r, "ZADD", "z", "NX", "XX", 1, "a") == "XX and NX options at the same time are not compatible"
    for pair in (("GT", "LT"), ("NX", "GT"), ("NX", "LT")):
        assert error(r, "ZADD", "z", *pair, 1, "a") == "GT, LT, and/or NX options at the same time are not compatible"
    assert error(r, "ZADD", "z", "INCR", 1, "a", 2, "b") == "INCR option supports a single increment-element pair"
    for bad in ("x", "nan", "", "1x", " 1"):
        assert error(r, "ZADD", "z", 1, "a", bad, "b") == NOT_FLOAT and not r.exists("z")
    assert error(r, "ZINCRBY", "z", "x", "a") == NOT_FLOAT
    for tail in ((1,), ("CH", "NX", 1), ("NX", "CH"), (1, "a", 2)):
        assert error(r, "ZADD", "z", *tail) in ("syntax error", "wrong number of arguments for 'zadd' command")
    r.zadd("z", {"a": math.inf})
    assert error(r, "ZADD", "z", "INCR", "-inf", "a") == "resulting score is not a number (NaN)"
    assert error(r, "ZINCRBY", "z", "-inf", "a") == "resulting score is not a number (NaN)"
    assert r.zscore("z", "a") == math.inf


def test_scores_keep_their_value(r, enc):
    values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 2.0**53 + 2, -(2.0**63), 1e21, 1e-7, 3]
    for i, v in enumerate(values):
        raw(r, "ZADD", "z", repr(v), f"m{i}")
        raw(r, "ZADD", "long", f"{v:.17f}" if abs(v) > 1e300 else repr(v), f"m{i}")
    for i, v in enumerate(values):
        assert float(raw(r, "ZSCORE", "z", f"m{i}")) == float(raw(r, "ZSCORE", "long", f"m{i}")) == v
    assert float(raw(r, "ZADD", "z", "INCR", 0.2, "m0")) == 0.1 + 0.2
    assert raw(r, "ZADD", "z", 0x10, "h", "0x10", "hex", "1e2", "e") == 3 and r.zscore("z", "hex") == 16


def test_integers_and_bytes_as_members(r, enc):
    names = [b"", b"7", b"007", b"-1", b"\0\xff\r\n", b"9223372036854775807", b"a b"]
    assert r.zadd("z", {n: 1 for n in names}) == len(names)
    assert r.zrange("z", 0, -1) == sorted(names) and all(r.zscore("z", n) == 1 for n in names)
    assert [r.zrank("z", n) for n in sorted(names)] == list(range(len(names)))


def test_reading(r, enc):
    zadd(r, "z", a=1, b=2, c=3)
    assert raw(r, "ZMSCORE", "z", "c", "x", "a") == [b"3", None, b"1"] and raw(r, "ZMSCORE", "no", "x") == [None]
    assert r.zcard("z") == 3 and r.zcard("no") == 0 and r.zscore("no", "a") is None and r.zrank("no", "a") is None
    assert r.zcount("z", "(1", "+inf") == 2 and r.zcount("no", 1, 2) == 0 and r.zlexcount("z", "-", "+") == 3
    assert raw(r, "ZRANGE", "z", 0, -1, "WITHSCORES") == [b"a", b"1", b"b", b"2", b"c", b"3"]
    assert raw(r, "ZRANGE", "z", 1, 2, "WITHSCORES", "BYSCORE") == [b"a", b"1", b"b", b"2"]
    assert raw(r, "ZRANGEBYSCORE", "z", "-inf", "inf", "LIMIT", 1, 1, "WITHSCORES") == [b"b", b"2"]
    assert raw(r, "ZRANGEBYSCORE", "z", "-inf", "inf", "LIMIT", -1, 5) == []
    assert raw(r, "ZRANGEBYSCORE", "z", "-inf", "inf", "LIMIT", 0, 0) == []
    assert raw(r, "ZRANGE", "z", 3, 1) == [] and raw(r, "ZRANGE", "no", 0, -1) == []
    assert raw(r, "ZRANGEBYSCORE", "z", 3, 1) == [] and raw(r, "ZRANGEBYSCORE", "z", "(1", "(1") == []


@pytest.mark.skipif("SKALD_PORT" in os.environ, reason="Redis 7.0 knows no WITHSCORE")
def test_rank_with_score(r, enc):
    zadd(r, "z", a=1, b=2.5)
    assert raw(r, "ZRANK", "z", "b", "WITHSCORE") == [1, b"2.5"]
    assert raw(r, "ZREVRANK", "z", "b", "withscore") == [0, b"2.5"]
    assert raw(r, "ZRANK", "z", "x", "WITHSCORE") is None and raw(r, "ZRANK", "no", "x", "WITHSCORE") is None
    assert error(r, "ZRANK", "z", "b", "WITHSCORES") == "syntax error"
    assert error(r, "ZRANK", "z", "b", "WITHSCORE", "x") == "wrong number of arguments for 'zrank' command"


def test_lex_ranges(r, enc):
    words = ["alpha", "bar", "cool", "down", "elephant", "foo", "great", "hill", "omega"]
    r.zadd("z", {w: 0 for w in words})
    for lo, hi, want in [("-", "[cool", words[:3]), ("[bar", "[down", words[1:4]), ("(bar", "(down", words[2:3]),
                         ("(azz", "+", words[1:]), ("+", "-", []), ("[z", "[a", []), ("[bar", "(bar", []), ("-", "+", words)]:
        want = [w.encode() for w in want]
        assert raw(r, "ZRANGEBYLEX", "z", lo, hi) == want and raw(r, "ZLEXCOUNT", "z", lo, hi) == len(want)
        assert raw(r, "ZREVRANGEBYLEX", "z", hi, lo) == want[::-1]
        assert raw(r, "ZRANGE", "z", hi, lo, "BYLEX", "REV") == want[::-1]
        assert raw(r, "ZRANGE", "z", lo, hi, "BYLEX", "LIMIT", 1, 2) == want[1:3]
    for bad in ("foo", "", "++", "-x"):
        for cmd in (("ZRANGEBYLEX", "z", bad, "+"), ("ZLEXCOUNT", "z", "-", bad), ("ZREMRANGEBYLEX", "z", bad, "+"),
                    ("ZRANGE", "z", "-", bad, "BYLEX")):
            assert error(r, *cmd) == NO_LEX
    assert raw(r, "ZREMRANGEBYLEX", "z", "[bar", "(down") == 2 and r.zcard("z") == 7
    assert raw(r, "ZREMRANGEBYLEX", "z", "-", "+") == 7 and not r.exists("z")


def test_errors_of_ranges(r):
    zadd(r, "z", a=1)
    for cmd in ("ZRANGE", "ZREVRANGE", "ZREMRANGEBYRANK"):
        assert error(r, cmd, "z", "x", 1) == NOT_INT == error(r, cmd, "z", 1, "1.5")
    for cmd in ("ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZCOUNT", "ZREMRANGEBYSCORE"):
        for bad in ("x", "nan", "(x", "((1"):
            assert error(r, cmd, "z", bad, 1) == NO_RANGE == error(r, cmd, "z", 1, bad)
    assert error(r, "ZRANGE", "z", 0, -1, "LIMIT", 0, 1) == (
        "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
    assert error(r, "ZRANGE", "z", "-", "+", "BYLEX", "WITHSCORES") == (
        "syntax error, WITHSCORES not supported in combination with BYLEX")
    for tail in (("x",), ("BYSCORE", "BYLEX"), ("REV", "REV"), ("BYSCORE", "LIMIT", 1), ("LIMIT",)):
        assert error(r, "ZRANGE", "z", 0, 1, *tail) == "syntax error"
    assert error(r, "ZRANGE", "z", 0, 1, "BYSCORE", "LIMIT", "x", 1) == NOT_INT
    assert error(r, "ZREVRANGE", "z", 0, 1, "REV") == error(r, "ZRANGEBYSCORE", "z", 0, 1, "REV") == "syntax error"
    assert error(r, "ZRANGESTORE", "d", "z", 0, 1, "WITHSCORES") == "syntax error"


def test_removing_ranges(r, enc):
    zadd(r, "z", a=1, b=2, c=3, d=4, e=5)
    assert r.zremrangebyrank("z", 1, -3) == 2 and flat(r, "z") == [("a", 1), ("d", 4), ("e", 5)]
    assert r.zremrangebyscore("z", "(1", "(5") == 1 and r.zremrangebyscore("z", 9, 10) == 0
    assert flat(r, "z") == [("a", 1), ("e", 5)] and r.zremrangebyrank("no", 0, -1) == 0
    assert r.zremrangebyrank("z", 0, 99) == 2 and not r.exists("z")


def test_zrangestore(r, enc):
    zadd(r, "z", a=1, b=2, c=3, d=4)
    r.set("dst", "a string with a time to live", ex=100)
    assert raw(r, "ZRANGESTORE", "dst", "z", 1, 2) == 2 and flat(r, "dst") == [("b", 2), ("c", 3)] and r.ttl("dst") == -1
    assert raw(r, "ZRANGESTORE", "dst", "z", "(4", 1, "BYSCORE", "REV", "LIMIT", 0, 2) == 2
    assert flat(r, "dst") == [("b", 2), ("c", 3)]
    assert raw(r, "ZRANGESTORE", "dst", "z", "[b", "+", "BYLEX") == 3 and raw(r, "ZRANGESTORE", "z", "z", 0, 0) == 1
    assert flat(r, "z") == [("a", 1)]
    assert raw(r, "ZRANGESTORE", "dst", "z", 5, 9) == 0 and not r.exists("dst")
    assert raw(r, "ZRANGESTORE", "z", "no", 0, -1) == 0 and not r.exists("z")


def test_large_results_change_the_encoding(r):
    r.zadd("z", {f"m{i}": i for i in range(300)})
    raw(r, "ZRANGESTORE", "small", "z", 0, 9)
    raw(r, "ZRANGESTORE", "large", "z", 0, 199)
    r.zunionstore("union", ["small", "large"])
    assert [r.object("encoding", k) for k in ("z", "small", "large", "union")] == [b"skiplist", b"listpack"] + [b"skiplist"] * 2


def two(r):
    zadd(r, "a", x=1, y=2, z=3)
    zadd(r, "b", y=10, z=20, w=30)


def test_union_inter_diff(r, enc):
    two(r)
    assert r.zunionstore("d", ["a", "b"]) == 4 and flat(r, "d") == [("x", 1), ("y", 12), ("z", 23), ("w", 30)]
    assert r.zinterstore("d", ["a", "b"]) == 2 and flat(r, "d") == [("y", 12), ("z", 23)]
    assert raw(r, "ZDIFFSTORE", "d", 2, "a", "b") == 1 and flat(r, "d") == [("x", 1)]
    assert raw(r, "ZUNION", 2, "a", "b") == [b"x", b"y", b"z", b"w"]
    assert raw(r, "ZUNION", 2, "a", "b", "WEIGHTS", 2, "0.5", "WITHSCORES", "AGGREGATE", "MAX") == [
        b"x", b"2", b"y", b"5", b"z", b"10", b"w", b"15"]
    assert raw(r, "ZINTER", 2, "b", "a", "AGGREGATE", "min", "WITHSCORES") == [b"y", b"2", b"z", b"3"]
    assert raw(r, "ZDIFF", 2, "a", "b", "WITHSCORES") == [b"x", b"1"] and raw(r, "ZDIFF", 2, "a", "a") == []
    assert raw(r, "ZDIFF", 1, "a") == [b"x", b"y", b"z"] and raw(r, "ZDIFF", 2, "no", "a") == []
    assert raw(r, "ZUNION", 3, "no", "a", "a", "WITHSCORES") == [b"x", b"2", b"y", b"4", b"z", b"6"]
    assert raw(r, "ZINTER", 2, "a", "no") == [] and raw(r, "ZINTERCARD", 2, "a", "b") == 2
    assert raw(r, "ZINTERCARD", 2, "a", "b", "LIMIT", 1) == 1 and raw(r, "ZINTERCARD", 2, "a", "b", "LIMIT", 0) == 2
    assert raw(r, "ZINTERCARD", 2, "a", "no") == 0
    assert r.zinterstore("a", ["a", "no"]) == 0 and not r.exists("a")


def test_infinities_add_up(r, enc):
    r.zadd("a", {"m": math.inf})
    r.zadd("b", {"m": -math.inf})
    for cmd in ("ZUNION", "ZINTER"):
        assert raw(r, cmd, 2, "a", "b", "WITHSCORES") == [b"m", b"0"]
        assert raw(r, cmd, 1, "a", "WEIGHTS", 0, "WITHSCORES") == [b"m", b"0"]
        assert raw(r, cmd, 2, "a", "b", "AGGREGATE", "MIN", "WITHSCORES") == [b"m", b"-inf"]


def test_sets_are_sources(r, enc):
    zadd(r, "z", a=5, c=6, **{"7": 1})
    for members in (["a", "b"], ["7", "8"], ["a", "b" * 70, "7"], [str(i) for i in range(700)]):
        r.delete("s")
        r.sadd("s", *members)
        both = {"a": 5, "c": 6, "7": 1}
        union = dict(both)
        for m in members:
            union[m] = union.get(m, 0) + 2
        assert raw(r, "ZUNIONSTORE", "d", 2, "z", "s", "WEIGHTS", 1, 2) == len(union) and flat(r, "d") == order(union)
        inter = {m: s + 1 for m, s in both.items() if m in members}
        assert raw(r, "ZINTERSTORE", "d", 2, "s", "z") == len(inter) and flat(r, "d") == order(inter)
        diff = {m: s for m, s in both.items() if m not in members}
        assert raw(r, "ZDIFFSTORE", "d", 2, "z", "s") == len(diff) and flat(r, "d") == order(diff)
        assert raw(r, "ZINTERCARD", 3, "s", "z", "s", "LIMIT", 1) == min(1, len(inter))
        assert raw(r, "ZDIFF", 2, "s", "s") == [] and len(raw(r, "ZUNION", 1, "s")) == len(members)
        assert r.sadd("s", "one more") == 1


def test_random_sets_match_a_model(r):
    rng = random.Random(4)
    for _ in range(60):
        models = [{f"m{rng.randrange(60)}": rng.randrange(9) for _ in range(rng.choice([0, 5, 200]))} for _ in range(3)]
        r.flushdb()
        for i, m in enumerate(models):
            if m:
                r.zadd(f"k{i}", m)
        keys, w = ["k0", "k1", "k2"], [rng.randrange(1, 4) for _ in models]
        fold = rng.choice(["SUM", "MIN", "MAX"])
        f = {"SUM": sum, "MIN": min, "MAX": max}[fold]
        every = set().union(*models)
        union = {n: f([m[n] * k for m, k in zip(models, w) if n in m]) for n in every}
        inter = {n: s for n, s in union.items() if all(n in m for m in models)}
        diff = {n: s for n, s in models[0].items() if n not in models[1] and n not in models[2]}
        tail = ["WEIGHTS", *w, "AGGREGATE", fold]
        for cmd, want, extra in (("ZUNIONSTORE", union, tail), ("ZINTERSTORE", inter, tail), ("ZDIFFSTORE", diff, [])):
            assert raw(r, cmd, "d", 3, *keys, *extra) == len(want) and flat(r, "d") == order(want)


def test_errors_of_several_sets(r):
    two(r)
    for cmd in ("ZUNION", "ZINTER", "ZDIFF", "ZINTERCARD"):
        assert error(r, cmd, 0, "a") == f"at least 1 input key is needed for '{cmd.lower()}' command"
        assert error(r, cmd, 3, "a", "b") == "syntax error" and error(r, cmd, "x", "a") == NOT_INT
        assert error(r, cmd, 1, "a", "FOO") == "syntax error"
    for cmd in ("ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"):
        assert error(r, cmd, "d", 0, "a") == f"at least 1 input key is needed for '{cmd.lower()}' command"
        assert error(r, cmd, "d", 1, "a", "WITHSCORES") == "syntax error"
    assert error(r, "ZUNION", 2, "a", "b", "WEIGHTS", 1, "x") == "weight value is not a float"
    assert error(r, "ZUNION", 2, "a", "b", "WEIGHTS", 1) == "syntax error" == error(r, "ZDIFF", 1, "a", "WEIGHTS", 1)
    assert error(r, "ZUNION", 1, "a", "AGGREGATE", "AVG") == "syntax error" == error(r, "ZUNION", 1, "a", "AGGREGATE")
    assert error(r, "ZINTERCARD", 1, "a", "LIMIT", -1) == "LIMIT can't be negative" == error(r, "ZINTERCARD", 1, "a", "LIMIT", "x")


def test_wrong_type(r):
    r.rpush("l", "x")
    zadd(r, "z", a=1)
    for cmd in (("ZADD", "l", 1, "a"), ("ZINCRBY", "l", 1, "a"), ("ZREM", "l", "a"), ("ZCARD", "l"), ("ZSCORE", "l", "a"),
                ("ZMSCORE", "l", "a"), ("ZRANK", "l", "a"), ("ZREVRANK", "l", "a"), ("ZRANGE", "l", 0, 1),
                ("ZREVRANGE", "l", 0, 1), ("ZRANGEBYSCORE", "l", 0, 1), ("ZREVRANGEBYSCORE", "l", 0, 1),
                ("ZRANGEBYLEX", "l", "-", "+"), ("ZREVRANGEBYLEX", "l", "+", "-"), ("ZCOUNT", "l", 0, 1),
                ("ZLEXCOUNT", "l", "-", "+"), ("ZRANGESTORE", "d", "l", 0, 1), ("ZREMRANGEBYRANK", "l", 0, 1),
                ("ZREMRANGEBYSCORE", "l", 0, 1), ("ZREMRANGEBYLEX", "l", "-", "+"), ("ZPOPMIN", "l"), ("ZPOPMAX", "l", 2),
                ("ZMPOP", 2, "no", "l", "MIN"), ("BZPOPMIN", "l", 1), ("BZPOPMAX", "no", "l", 1),
                ("BZMPOP", 1, 1, "l", "MAX"), ("ZUNION", 2, "z", "l"), ("ZINTER", 2, "z", "l"), ("ZDIFF", 2, "z", "l"),
                ("ZUNIONSTORE", "d", 2, "z", "l"), ("ZINTERCARD", 2, "z", "l"), ("ZRANDMEMBER", "l"),
                ("ZRANDMEMBER", "l", 2), ("ZSCAN", "l", 0), ("LPUSH", "z", 1), ("GET", "z")):
        assert error(r, *cmd) == WRONGTYPE, cmd
    assert raw(r, "ZUNIONSTORE", "l", 1, "z") == 1 and r.type("l") == b"zset"


def test_popping(r, enc):
    zadd(r, "z", a=1, b=2, c=3, d=4, e=5)
    assert raw(r, "ZPOPMIN", "z") == [b"a", b"1"] and raw(r, "ZPOPMAX", "z", 2) == [b"e", b"5", b"d", b"4"]
    assert raw(r, "ZPOPMIN", "z", 0) == [] and raw(r, "ZPOPMIN", "no") == [] == raw(r, "ZPOPMAX", "no", 3)
    assert raw(r, "ZPOPMAX", "z", 9) == [b"c", b"3", b"b", b"2"] and not r.exists("z")
    for bad in (-1, "x"):
        assert error(r, "ZPOPMIN", "z", bad) == "value is out of range, must be positive"
    assert error(r, "ZPOPMIN", "z", 1, 2) == "syntax error"


def test_zmpop(r, enc):
    zadd(r, "z", a=1, b=2, c=3)
    assert raw(r, "ZMPOP", 2, "no", "z", "MIN") == [b"z", [[b"a", b"1"]]] and raw(r, "ZMPOP", 1, "no", "MAX") is None
    assert raw(r, "ZMPOP", 1, "z", "max", "count", 9) == [b"z", [[b"c", b"3"], [b"b", b"2"]]] and not r.exists("z")
    for n in (0, -1, "x"):
        assert error(r, "ZMPOP", n, "z", "MIN") == "numkeys should be greater than 0" == error(r, "BZMPOP", 1, n, "z", "MIN")
        assert error(r, "ZMPOP", 1, "z", "MIN", "COUNT", n) == "count should be greater than 0"
    for tail in ((2, "z", "MIN"), (1, "z", "MID"), (1, "z", "MIN", "COUNT"), (1, "z", "MIN", "COUNT", 1, "COUNT", 2),
                 (1, "z", "MIN", "X", 2), (2**60, "z", "MIN")):
        assert error(r, "ZMPOP", *tail) == "syntax error" == error(r, "BZMPOP", 1, *tail)


def wait_blocked(r, n=1):
    for _ in range(12000):
        if sum("b" in c["flags"] for c in r.client_list()) == n:
            return
        time.sleep(0.005)
    raise AssertionError("nobody waits")


def test_blocking(r, conn, enc):
    c = conn()
    zadd(r, "z", a=1, b=2, c=3)
    assert c.call("BZPOPMIN", "no", "z", 1) == [b"z", b"a", b"1"] and c.call("BZPOPMAX", "z", 1) == [b"z", b"c", b"3"]
    assert c.call("BZMPOP", 1, 1, "z", "MIN", "COUNT", 5) == [b"z", [[b"b", b"2"]]]
    for cmd in (("BZPOPMIN", "z", 0.01), ("BZPOPMAX", "z", 0.01), ("BZMPOP", 0.01, 1, "z", "MAX")):
        assert c.call(*cmd) is None
    for cmd, want in ((("BZPOPMIN", "y", "z", 0), [b"z", b"a", b"1"]), (("BZPOPMAX", "y", "z", 0), [b"z", b"b", b"2"]),
                      (("BZMPOP", 0, 2, "y", "z", "MAX", "COUNT", 2), [b"z", [[b"b", b"2"], [b"a", b"1"]]])):
        r.delete("z")
        c.send(*cmd)
        wait_blocked(r)
        zadd(r, "z", a=1, b=2)
        assert c.read() == want
    assert not r.exists("z")
    assert "timeout is negative" in str(c.call("BZPOPMIN", "z", -1))
    assert "timeout is not a float or out of range" in str(c.call("BZMPOP", "x", 1, "z", "MIN"))


def test_blocked_pop_waits_for_a_sorted_set(r, conn):
    c, d = conn(), conn()
    c.send("BZPOPMIN", "z", 0)
    wait_blocked(r)
    r.rpush("z", "no sorted set")
    r.delete("z")
    d.send("BZPOPMAX", "z", 0)
    wait_blocked(r, 2)
    zadd(r, "src", a=1, b=2)
    r.zunionstore("z", ["src"])
    assert c.read() == [b"z", b"a", b"1"] and d.read() == [b"z", b"b", b"2"] and not r.exists("z")
    c.send("BZMPOP", 0, 1, "z", "MIN")
    wait_blocked(r)
    r.rename("src", "z")
    assert c.read() == [b"z", [[b"a", b"1"]]]


def test_blocking_in_a_transaction_does_not_wait(r):
    p = r.pipeline()
    p.execute_command("BZPOPMIN", "z", 0)
    p.execute_command("BZMPOP", 0, 1, "z", "MIN")
    p.zadd("z", {"a": 1})
    p.execute_command("ZPOPMAX", "z")
    none, none2, one, _ = p.execute()
    assert none is None and none2 is None and one == 1


def test_resp3(r, conn, enc):
    c = conn(3)
    zadd(r, "z", a=1, b=2.5)
    assert c.call("ZSCORE", "z", "b") == 2.5 and c.call("ZMSCORE", "z", "a", "x") == [1.0, None]
    pairs = [[b"a", 1.0], [b"b", 2.5]]
    for cmd in (("ZRANGE", "z", 0, -1), ("ZRANGEBYSCORE", "z", 0, 9), ("ZUNION", 1, "z"), ("ZINTER", 1, "z"), ("ZDIFF", 1, "z")):
        assert c.call(*cmd, "WITHSCORES") == pairs and c.call(*cmd) == [b"a", b"b"]
    assert c.call("ZREVRANGE", "z", 0, 0, "WITHSCORES") == [[b"b", 2.5]]
    assert sorted(c.call("ZRANDMEMBER", "z", 5, "WITHSCORES")) == pairs
    assert c.call("ZINCRBY", "z", 1, "a") == 2.0 and c.call("ZADD", "z", "INCR", "NX", 1, "a") is None
    assert c.call("ZPOPMIN", "z") == [b"a", 2.0] and c.call("ZPOPMIN", "z", 1) == [[b"b", 2.5]]
    zadd(r, "z", a=1, b=2, c=3, d=4)
    assert c.call("ZMPOP", 1, "z", "MIN") == [b"z", [[b"a", 1.0]]] and c.call("BZPOPMIN", "z", 0) == [b"z", b"b", 2.0]
    assert c.call("BZMPOP", 0, 1, "z", "MAX") == [b"z", [[b"d", 4.0]]] and c.call("ZSCAN", "z", 0) == [b"0", [b"c", b"3"]]


def test_random_members(r):
    for n in (100, 700):
        r.zadd("z", {f"m{i}": i for i in range(n)})
        everything = {f"m{i}".encode() for i in range(n)}
        assert raw(r, "ZRANDMEMBER", "z") in everything
        for count in (1, 5, n // 2, n - 1, n, n + 10):
            got = raw(r, "ZRANDMEMBER", "z", count)
            assert len(got) == len(set(got)) == min(count, n) and set(got) <= everything
        got = raw(r, "ZRANDMEMBER", "z", -3 * n)
        assert len(got) == 3 * n and len(set(got)) > n // 2
        got = raw(r, "ZRANDMEMBER", "z", 7, "WITHSCORES")
        assert len(got) == 14 and all(m == b"m" + s for m, s in zip(got[::2], got[1::2]))
    assert raw(r, "ZRANDMEMBER", "no") is None and raw(r, "ZRANDMEMBER", "no", 3) == [] and raw(r, "ZRANDMEMBER", "z", 0) == []
    assert error(r, "ZRANDMEMBER", "z", "x") == NOT_INT and error(r, "ZRANDMEMBER", "z", 1, "X") == "syntax error"
    assert error(r, "ZRANDMEMBER", "z", -9223372036854770000, "WITHSCORES") == "value is out of range"
    assert "value is out of range" in error(r, "ZRANDMEMBER", "z", -9223372036854775808)


def test_scan(r):
    r.zadd("z", {f"m{i}": i for i in range(500)})
    cursor, names = 0, set()
    while True:
        cursor, page = raw(r, "ZSCAN", "z", cursor, "COUNT", 20)
        names |= set(page[::2])
        if cursor == b"0":
            break
    assert len(names) == 500
    assert {m for m, _ in r.zscan_iter("z", match="m1?", count=50)} == {f"m1{i}".encode() for i in range(10)}
    assert raw(r, "ZSCAN", "no", 0) == [b"0", []] and error(r, "ZSCAN", "z", "x") == "invalid cursor"


def events_of(r, fn):
    r.config_set("notify-keyspace-events", "EA")
    sub = r.pubsub(ignore_subscribe_messages=True)
    sub.psubscribe("__keyevent@0__:*")
    sub.get_message(timeout=5)
    fn()
    r.publish("__keyevent@0__:end", "end")
    seen = []
    while not seen or seen[-1] != ("end", "end"):
        m = sub.get_message(timeout=5)
        if m:
            seen.append((m["channel"].decode().split(":", 1)[1], m["data"].decode()))
    sub.close()
    r.config_set("notify-keyspace-events", "")
    return [s for s in seen[:-1] if s[0] != "new"]


def test_events(r):
    def work():
        zadd(r, "z", a=1, b=2, c=3, d=4, e=5, f=6, g=7)
        raw(r, "ZADD", "z", 1, "a")
        raw(r, "ZADD", "z", "XX", 1, "nobody")
        r.zincrby("z", 1, "a")
        r.zrem("z", "a", "nobody")
        r.zrem("z", "nobody")
        r.zremrangebyrank("z", 0, 0)
        r.zremrangebyscore("z", 3, 3)
        raw(r, "ZREMRANGEBYLEX", "z", "-", "[d")
        r.zpopmin("z")
        r.zpopmax("z")
        raw(r, "ZRANGESTORE", "copy", "z", 0, -1)
        r.zunionstore("u", ["z", "copy"])
        r.zinterstore("u", ["z", "copy"])
        raw(r, "ZDIFFSTORE", "u", 2, "z", "copy")
        raw(r, "ZMPOP", 1, "z", "MAX")
        raw(r, "ZRANGESTORE", "copy", "no", 0, -1)
        raw(r, "ZRANGESTORE", "copy", "no", 0, -1)

    assert events_of(r, work) == [
        ("zadd", "z"), ("zincr", "z"), ("zrem", "z"), ("zremrangebyrank", "z"), ("zremrangebyscore", "z"),
        ("zremrangebylex", "z"), ("zpopmin", "z"), ("zpopmax", "z"), ("zrangestore", "copy"), ("zunionstore", "u"),
        ("zinterstore", "u"), ("del", "u"), ("zpopmax", "z"), ("del", "z"), ("del", "copy")]


def test_key_positions(r):
    keys = lambda *cmd: [k.decode() for k in raw(r, "COMMAND", "GETKEYS", *cmd)]
    assert keys("ZUNIONSTORE", "d", 2, "a", "b", "WEIGHTS", 1, 2) == ["d", "a", "b"]
    assert keys("ZINTERCARD", 2, "a", "b", "LIMIT", 1) == ["a", "b"] == keys("ZDIFF", 2, "a", "b")
    assert keys("BZMPOP", 0, 2, "a", "b", "MIN") == ["a", "b"] == keys("BZPOPMAX", "a", "b", 0)
    assert keys("ZRANGESTORE", "d", "s", 0, 1) == ["d", "s"] and keys("ZMPOP", 1, "a", "MAX") == ["a"]
    many = [f"k{i}" for i in range(1100)]
    assert keys("ZUNIONSTORE", "d", len(many), *many)[:3] == ["d", "k0", "k1"]


def test_memory_and_object(r):
    r.zadd("z", {f"member:{i:06d}": i for i in range(20000)})
    assert 20000 * 40 < r.memory_usage("z", samples=0) < 20000 * 120
    assert r.type("z") == b"zset" and r.object("encoding", "z") == b"skiplist"
    assert [k for k in r.scan_iter(_type="zset")] == [b"z"] and r.unlink("z") == 1


def everything(r):
    return {k: r.zrange(k, 0, -1, withscores=True) for k in sorted(r.keys("*"))}


@own
def test_what_is_journaled(fresh):
    server = fresh("--appendonly", "yes", "--appendfsync", "always")
    r = server.client(decode_responses=False)
    r.zadd("big", {f"m{i}": i / 3 for i in range(400)})
    zadd(r, "z", a=1, b=2, c=3, d=4, e=5)
    r.zincrby("z", 0.1, "a")
    raw(r, "ZADD", "z", "INCR", 0.2, "a")
    raw(r, "ZADD", "z", "GT", "CH", 1, "b", 9, "c")
    raw(r, "BZPOPMIN", "no", "z", 0)
    raw(r, "ZMPOP", 2, "no", "big", "MAX", "COUNT", 3)
    raw(r, "BZMPOP", 0, 1, "big", "MIN", "COUNT", 2)
    r.zpopmax("big", 4)
    raw(r, "ZRANGESTORE", "part", "big", 10, 20)
    r.zunionstore("union", ["part", "z"])
    raw(r, "ZDIFFSTORE", "diff", 2, "big", "part")
    r.zremrangebyrank("diff", 0, 50)
    r.zremrangebyscore("diff", 60, 70)
    c = Conn(server.raw())
    c.send("BZPOPMAX", "later", 0)
    wait_blocked(r)
    zadd(r, "later", x=1, y=2)
    assert c.read() == [b"later", b"y", b"2"]
    c.close()
    before = everything(r)
    assert before[b"later"] == [(b"x", 1.0)] and len(before) == 6
    server.kill9()
    server.start()
    r = server.client(decode_responses=False)
    assert everything(r) == before
    r.bgrewriteaof()
    for _ in range(3000):
        if not int(r.info("persistence")["aof_rewrite_in_progress"]):
            break
        time.sleep(0.02)
    r.zadd("after", {"x": 1})
    before = everything(r)
    server.kill9()
    server.start()
    assert everything(server.client(decode_responses=False)) == before
