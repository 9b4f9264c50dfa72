"""Sets over RESP: against a model, the encodings, the random commands and their effects, payloads, errors."""

import random

import pytest

from helpers import NOT_INT, WRONGTYPE, error, raw


def members(r, key="s"):
    return {m.decode() for m in r.smembers(key)}


@pytest.mark.parametrize("kind", ["ints", "words", "long"])
def test_against_a_model(r, kind):
    make = {"ints": lambda i: str(i * 7919 - 300000), "words": lambda i: f"w{i}", "long": lambda i: "x" * 70 + str(i)}[kind]
    rng, model = random.Random(kind), set()
    for step in range(6000):
        m, op = make(rng.randrange(900)), rng.randrange(10)
        if op < 6:
            assert r.sadd("s", m) == (m not in model)
            model.add(m)
        elif op < 9:
            assert r.srem("s", m) == (m in model)
            model.discard(m)
        else:
            assert r.sismember("s", m) == (m in model) and r.scard("s") == len(model)
    assert members(r) == model
    assert [bool(x) for x in r.smismember("s", [make(i) for i in range(900)])] == [make(i) in model for i in range(900)]
    seen = {m.decode() for m in r.sscan_iter("s", count=7)}
    assert seen == model
    r.srem("s", *model)
    assert not r.exists("s")


def test_encodings_and_their_limits(r):
    enc = lambda: r.object("encoding", "s").decode()
    r.sadd("s", *range(512))
    assert enc() == "intset"
    r.sadd("s", 512)
    assert enc() == "hashtable" and members(r) == {str(i) for i in range(513)}
    r.delete("s")
    r.sadd("s", -(2**63), 2**63 - 1, 0, 70000)
    assert enc() == "intset" and members(r) == {str(-(2**63)), str(2**63 - 1), "0", "70000"}
    r.sadd("s", "word", "007")
    assert enc() == "listpack" and members(r) == {str(-(2**63)), str(2**63 - 1), "0", "70000", "word", "007"}
    r.sadd("s", *[f"m{i}" for i in range(122)])
    assert enc() == "listpack" and r.scard("s") == 128
    r.sadd("s", "one more")
    assert enc() == "hashtable" and r.scard("s") == 129
    r.delete("s")
    r.sadd("s", "x" * 64)
    assert enc() == "listpack"
    r.sadd("s", "x" * 65)
    assert enc() == "hashtable"
    r.config_set("object-encoding-names", "7.0")
    r.delete("s")
    r.sadd("s", "x")
    r.rpush("l", "x")
    assert (enc(), r.object("encoding", "l")) == ("hashtable", b"quicklist")
    r.config_set("object-encoding-names", "7.2")
    assert enc() == "listpack"


def test_random_members(r):
    for n in (5, 100, 400, 3000):
        r.delete("s")
        all_of = {f"{i}" if n % 2 else f"m{i}" for i in range(n)}
        r.sadd("s", *all_of)
        for count in (1, n // 10, n // 2, n - 1, n, n + 5):
            got = [m.decode() for m in r.srandmember("s", count)]
            assert len(got) == len(set(got)) == min(count, n) and set(got) <= all_of
        assert len(r.srandmember("s", -n * 2)) == n * 2 and members(r) == all_of
    assert {r.srandmember("s") for _ in range(60)} <= {m.encode() for m in all_of}
    assert r.srandmember("nothing") is None and r.srandmember("nothing", 3) == []
    assert error(r, "SRANDMEMBER", "s", "-9223372036854775808") == (
        "value is out of range, value must between -9223372036854775807 and 9223372036854775807")
    assert error(r, "SRANDMEMBER", "s", "x") == NOT_INT


def test_pop(r):
    r.sadd("s", *range(1000))
    left = members(r)
    for count in (1, 10, 400, 588):
        got = {m.decode() for m in raw(r, "SPOP", "s", count)}
        assert len(got) == count and got <= left
        left -= got
        assert members(r) == left
    assert r.spop("s").decode() in left and r.scard("s") == 0 and not r.exists("s")
    assert r.spop("s") is None and raw(r, "SPOP", "s", 3) == []
    assert error(r, "SPOP", "s", "-1") == "value is out of range, must be positive"
    r.sadd("s", 1, 2)
    assert raw(r, "SPOP", "s", 0) == [] and {m for m in raw(r, "SPOP", "s", 9)} == {b"1", b"2"} and not r.exists("s")


def test_algebra_against_a_model(r):
    rng = random.Random(3)
    for _ in range(120):
        sets = []
        for k in range(rng.randrange(1, 5)):
            size = rng.choice([0, 3, 60, 700])
            pool = [str(i) if rng.random() < 0.5 else f"w{i}" for i in range(800)]
            sets.append(set(rng.sample(pool, size)))
            r.delete(f"k{k}")
            if size:
                r.sadd(f"k{k}", *sets[-1])
        keys = [f"k{k}" for k in range(len(sets))]
        text = lambda reply: {m.decode() for m in reply}
        want = (set.intersection(*sets), set.union(*sets), sets[0].difference(*sets[1:]))
        assert (text(r.sinter(keys)), text(r.sunion(keys)), text(r.sdiff(keys))) == want
        assert (r.sinterstore("to", keys), members(r, "to")) == (len(want[0]), want[0])
        assert (r.sunionstore("k0", keys), members(r, "k0")) == (len(want[1]), want[1])
        assert raw(r, "SINTERCARD", len(keys), *keys) == len(set.intersection(want[1], *sets[1:]))
        r.delete("k0")


def test_store_replaces_any_type_and_deletes_when_empty(r):
    r.set("to", "text")
    r.sadd("a", 1, 2)
    assert r.sunionstore("to", "a", "nothing") == 2 and r.type("to") == b"set"
    assert r.sinterstore("to", "a", "nothing") == 0 and not r.exists("to")
    assert r.sdiffstore("a", "a", "a") == 0 and not r.exists("a")


def test_move(r):
    r.sadd("a", "x", "y")
    assert (r.smove("a", "b", "x"), r.smove("a", "b", "x"), r.smove("a", "a", "y"), r.smove("a", "a", "z")) == (1, 0, 1, 0)
    assert r.smove("a", "b", "y") and not r.exists("a") and members(r, "b") == {"x", "y"}
    r.set("str", 1)
    assert error(r, "SMOVE", "b", "str", "x").startswith("WRONGTYPE") and members(r, "b") == {"x", "y"}
    assert r.smove("nothing", "str", "x") == 0


def test_errors(r):
    r.set("str", 1)
    for cmd in (("SADD", "str", 1), ("SREM", "str", 1), ("SCARD", "str"), ("SMEMBERS", "str"), ("SPOP", "str"),
                ("SINTER", "nothing", "str"), ("SUNIONSTORE", "x", "str"), ("SINTERCARD", 1, "str"), ("SSCAN", "str", 0)):
        assert error(r, *cmd) == WRONGTYPE, cmd
    assert error(r, "SINTERCARD", 0, "a") == "numkeys should be greater than 0"
    assert error(r, "SINTERCARD", "x", "a") == "numkeys should be greater than 0"
    assert error(r, "SINTERCARD", 3, "a") == "Number of keys can't be greater than number of args"
    assert error(r, "SINTERCARD", 1, "a", "LIMIT", -1) == "LIMIT can't be negative"
    assert error(r, "SINTERCARD", 1, "a", "FOO") == "syntax error"
    assert raw(r, "COMMAND", "GETKEYS", "SINTERCARD", 2, "a", "b", "LIMIT", 1) == [b"a", b"b"]


def test_payloads_round_trip(r):
    for content in (range(-5, 300), [f"w{i}" for i in range(40)], ["1", "a", "70000"], [f"m{i}" for i in range(700)]):
        r.delete("s", "t")
        r.sadd("s", *content)
        payload = r.dump("s")
        r.restore("t", 0, payload)
        assert members(r) == members(r, "t") and r.object("encoding", "s") == r.object("encoding", "t")
        assert r.copy("s", "u", replace=True) and members(r, "u") == members(r)
    good = bytearray(payload)
    rng = random.Random(1)
    for _ in range(300):
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        if bad != good:
            assert error(r, "RESTORE", "v", 0, bytes(bad)) == "DUMP payload version or checksum are wrong"
    assert not r.exists("v")


def test_effects_survive_a_restart(fresh):
    s = fresh("--appendonly", "yes")
    r = s.client(decode_responses=False)
    r.sadd("s", *range(3000))
    for _ in range(20):
        r.spop("s")
    r.spop("s", 1500)
    r.sadd("gone", 1, 2)
    r.spop("gone", 2)
    r.sunionstore("u", "s", "nothing")
    want = members(r)
    s.stop()
    s.start()
    r = s.client(decode_responses=False)
    assert members(r) == want == members(r, "u") and not r.exists("gone") and len(want) == 1480
    s.stop()
