"""Vector sets as Redis 8 has them: replies, shapes, wording of errors, edges. What is Skald's own is in test_vector.py."""

import math
import random
import struct

import pytest
from helpers import WRONGTYPE, error, raw
from resp import Conn

pytestmark = pytest.mark.threads


def blob(v):
    return struct.pack(f"<{len(v)}f", *v)


def some(rng, dim):
    return [rng.gauss(0, 1) for _ in range(dim)]


def fill(r, key, n, dim, *options, seed=1):
    rng = random.Random(seed)
    vs = {f"e{i:04}".encode(): some(rng, dim) for i in range(n)}
    p = r.pipeline(transaction=False)
    for name, v in vs.items():
        p.execute_command("VADD", key, "FP32", blob(v), name, *options)
    assert p.execute() == [1] * n
    return vs


@pytest.fixture
def c3(server, r):
    c = Conn(server.raw())
    c.call("HELLO", 3)
    yield c
    c.close()


# ---- bad input ----

@pytest.mark.parametrize("cmd, message", [
    (("VALUES", "3", "1", "2", "x"), "invalid vector specification"),
    (("VALUES", "-1", "1", "x"), "invalid vector specification"),
    (("VALUES", "0", "1", "x"), "invalid vector specification"),
    (("VALUES", "99999999999", "1", "x"), "invalid vector specification"),
    (("VALUES", "18446744073709551617", "1", "x"), "invalid vector specification"),
    (("VALUES", "two", "1", "x"), "invalid vector specification"),
    (("VALUES", "2", "nan", "1", "x"), "invalid vector specification"),
    (("VALUES", "2", "inf", "1", "x"), "invalid vector specification"),
    (("VALUES", "2", "1e300", "1", "x"), "invalid vector specification"),
    (("VALUES", "2", "", "1", "x"), "invalid vector specification"),
    (("FP32", b"\x00" * 7, "x"), "invalid vector specification"),
    (("FP32", b"", "x"), "invalid vector specification"),
    (("FP32", struct.pack("<2f", math.nan, 1), "x"), "invalid vector specification"),
    (("FP16", b"\x00" * 8, "x"), "invalid vector specification"),
    (("VALUES", "3", "1", "2", "3", "x"), "Vector dimension mismatch - got 3 but set has 2"),
    (("VALUES", "2", "1", "2"), "wrong number of arguments for 'vadd' command"),
    (("VALUES", "2", "1", "2", "x", "LATER"), "invalid option after element"),
    (("VALUES", "2", "1", "2", "x", "SETATTR"), "invalid option after element"),
    (("VALUES", "2", "1", "2", "x", "EF", "0"), "invalid EF"),
    (("VALUES", "2", "1", "2", "x", "EF", "1000001"), "invalid EF"),
    (("VALUES", "2", "1", "2", "x", "EF", "many"), "invalid EF"),
    (("VALUES", "2", "1", "2", "x", "M", "3"), "invalid M"),
    (("VALUES", "2", "1", "2", "x", "M", "4097"), "invalid M"),
    (("VALUES", "2", "1", "2", "x", "M", "17"), "asked M value mismatch with existing vector set"),
])
def test_vadd_refuses(r, cmd, message):
    raw(r, "VADD", "v", "VALUES", 2, 1, 0, "a", "NOQUANT")
    assert error(r, "VADD", "v", *cmd).startswith(message)
    assert raw(r, "VCARD", "v") == 1 and r.keys() == [b"v"]


def test_vadd_of_a_first_element_that_is_refused_makes_no_key(r):
    assert error(r, "VADD", "v", "VALUES", 2, 1, "nan", "a")
    assert error(r, "VADD", "v", "VALUES", 2, 1, 1, "")
    assert r.keys() == []


@pytest.mark.parametrize("cmd, message", [
    (("ELE", "nobody"), "element not found in set"),
    (("VALUES", "3", "1", "2", "3"), "Vector dimension mismatch - got 3 but set has 2"),
    (("FP32", b"\x00" * 6), "invalid vector specification"),
    (("POINT", "3"), "invalid vector specification"),
    (("ELE", "a", "COUNT", "0"), "invalid COUNT"),
    (("ELE", "a", "COUNT", "-3"), "invalid COUNT"),
    (("ELE", "a", "COUNT", "x"), "invalid COUNT"),
    (("ELE", "a", "EF", "0"), "invalid EF"),
    (("ELE", "a", "EF", "1000001"), "invalid EF"),
    (("ELE", "a", "EPSILON", "-1"), "invalid EPSILON"),
    (("ELE", "a", "EPSILON", "0"), "invalid EPSILON"),
    (("ELE", "a", "EPSILON", "nan"), "invalid EPSILON"),
    (("ELE", "a", "FILTER-EF", "-1"), "invalid FILTER-EF"),
    (("ELE", "a", "FILTER", ".x >"), "syntax error in FILTER expression near"),
    (("ELE", "a", "FILTER", ""), "syntax error in FILTER expression near"),
    (("ELE", "a", "COUNT"), "syntax error in VSIM command"),
    (("ELE", "a", "RADIUS", "1"), "syntax error in VSIM command"),
    (("ELE", "a", "WITHVECTORS"), "syntax error in VSIM command"),
])
def test_vsim_refuses(r, cmd, message):
    raw(r, "VADD", "v", "VALUES", 2, 1, 0, "a")
    assert error(r, "VSIM", "v", *cmd).startswith(message)


def test_a_missing_key(r, c3):
    for cmd, answer in [(("VSIM", "k", "NONSENSE", "1"), []), (("VSIM", "k", "ELE", "a", "WITHSCORES"), []), (("VCARD", "k"), 0),
                        (("VREM", "k", "a"), 0), (("VEMB", "k", "a"), None), (("VEMB", "k", "a", "RAW"), None), (("VINFO", "k"), None),
                        (("VLINKS", "k", "a"), None), (("VGETATTR", "k", "a"), None), (("VSETATTR", "k", "a", "{}"), 0),
                        (("VISMEMBER", "k", "a"), 0), (("VRANDMEMBER", "k"), None), (("VRANDMEMBER", "k", "0"), []),
                        (("VRANDMEMBER", "k", "-5"), []), (("VRANGE", "k", "-", "+"), []), (("VRANGE", "k", "-", "+", "5"), [])]:
        assert raw(r, *cmd) == answer, cmd
        assert c3.call(*cmd) == answer, cmd
    assert error(r, "VDIM", "k") == "key does not exist"
    assert r.keys() == []


def test_a_key_of_another_type(r):
    r.set("s", "x")
    for cmd in [("VADD", "s", "VALUES", 1, 1, "x"), ("VSIM", "s", "ELE", "x"), ("VCARD", "s"), ("VREM", "s", "x"), ("VDIM", "s"), ("VEMB", "s", "x"),
                ("VINFO", "s"), ("VLINKS", "s", "x"), ("VGETATTR", "s", "x"), ("VSETATTR", "s", "x", "{}"), ("VISMEMBER", "s", "x"),
                ("VRANDMEMBER", "s"), ("VRANDMEMBER", "s", "3"), ("VRANGE", "s", "-", "+")]:
        assert error(r, *cmd) in (WRONGTYPE, WRONGTYPE[len("WRONGTYPE "):]), cmd


# ---- one element ----

def test_vadd_options_stand_behind_the_element_in_any_order(r):
    assert raw(r, "VADD", "v", "VALUES", 2, 1, 0, "a", "SETATTR", '{"n":1}', "M", 8, "CAS", "EF", 50, "NOQUANT") == 1
    assert raw(r, "VADD", "v", "VALUES", 2, 0, 1, "cas", "cas", "ef", 7, "setattr", '{"n":2}') == 1
    assert raw(r, "VADD", "v", "VALUES", 2, 0, 1, "a", "M", 8) == 0
    assert raw(r, "VGETATTR", "v", "a") == b'{"n":1}'  # an update keeps attributes,
    assert raw(r, "VADD", "v", "VALUES", 2, 0, 1, "a", "SETATTR", "") == 0
    assert raw(r, "VGETATTR", "v", "a") is None  # unless it gives others
    info = raw(r, "VINFO", "v")
    assert info[info.index(b"hnsw-m") + 1] == 8 and info[info.index(b"attributes-count") + 1] == 1


def test_vemb_gives_back_what_was_added(r):
    rng = random.Random(3)
    v = [x * 7 for x in some(rng, 12)]
    raw(r, "VADD", "v", "FP32", blob(v), "a", "NOQUANT")
    assert [float(x) for x in raw(r, "VEMB", "v", "a")] == pytest.approx(v, rel=1e-5)
    name, bytes_, norm = raw(r, "VEMB", "v", "a", "RAW")
    assert name == b"f32" and float(norm) == pytest.approx(math.sqrt(sum(x * x for x in v)), rel=1e-5)
    assert [x * float(norm) for x in struct.unpack("<12f", bytes_)] == pytest.approx(v, rel=1e-4)
    assert error(r, "VEMB", "v", "a", "COOKED") == "invalid option"
    assert raw(r, "VEMB", "v", "b", "RAW") is None


def test_vemb_in_resp3(r, c3):
    raw(r, "VADD", "v", "VALUES", 2, 3, 4, "a", "NOQUANT")
    assert c3.call("VEMB", "v", "a") == [3.0, 4.0]
    name, bytes_, norm = c3.call("VEMB", "v", "a", "RAW")
    assert name in (b"f32", "f32") and len(bytes_) == 8 and norm == 5.0


def test_attributes(r):
    raw(r, "VADD", "v", "VALUES", 2, 1, 0, "a")
    assert raw(r, "VSETATTR", "v", "a", "no json at all \x00") == 1
    assert raw(r, "VGETATTR", "v", "a") == b"no json at all \x00"
    assert raw(r, "VSIM", "v", "ELE", "a", "FILTER", ".x == 1") == []
    assert raw(r, "VSETATTR", "v", "a", "") == 1
    assert raw(r, "VGETATTR", "v", "a") is None
    assert raw(r, "VSETATTR", "v", "a", "") == 1
    assert raw(r, "VSETATTR", "v", "b", "{}") == 0 and raw(r, "VISMEMBER", "v", "b") == 0


def test_names_are_bytes(r):
    names = [b"\x00", b"\xff\xfe", b"a\r\nb", b" ", b"x" * 5000]
    for i, name in enumerate(names):
        assert raw(r, "VADD", "v", "VALUES", 2, 1, i, name) == 1
    for name in names:
        assert raw(r, "VISMEMBER", "v", name) == 1
    assert sorted(raw(r, "VSIM", "v", "ELE", b"\x00")) == sorted(names) == raw(r, "VRANGE", "v", "-", "+", -1)
    for name in names:
        assert raw(r, "VREM", "v", name) == 1
    assert r.exists("v") == 0


# ---- VSIM ----

def test_vsim_shapes(r, c3):
    raw(r, "VADD", "v", "VALUES", 2, 1, 0, "a", "SETATTR", '{"n":1}')
    raw(r, "VADD", "v", "VALUES", 2, 0, 1, "b")
    assert raw(r, "VSIM", "v", "ELE", "a") == [b"a", b"b"]
    assert raw(r, "VSIM", "v", "ELE", "a", "WITHSCORES") == [b"a", b"1", b"b", b"0.5"]
    assert raw(r, "VSIM", "v", "ELE", "a", "WITHATTRIBS") == [b"a", b'{"n":1}', b"b", None]
    assert raw(r, "VSIM", "v", "ELE", "a", "WITHATTRIBS", "WITHSCORES") == [b"a", b"1", b'{"n":1}', b"b", b"0.5", None]
    assert c3.call("VSIM", "v", "ELE", "a", "WITHSCORES") == {b"a": 1.0, b"b": 0.5}
    assert c3.call("VSIM", "v", "ELE", "a", "WITHSCORES", "WITHATTRIBS") == {b"a": [1.0, b'{"n":1}'], b"b": [0.5, None]}
    assert c3.call("VSIM", "v", "ELE", "a", "NOTHREAD", "TRUTH") == [b"a", b"b"]
    assert c3.call("VREM", "v", "a") is True and c3.call("VISMEMBER", "v", "a") is False


def test_epsilon_is_the_widest_distance(r):
    for name, v in {"a": (2, 1, 1), "b": (2, 0, 1), "c": (2, 0, 0), "d": (2, 0, -1), "e": (2, -1, -1)}.items():
        raw(r, "VADD", "v", "VALUES", 3, *v, name)
    q = ("VSIM", "v", "VALUES", 3, 2, 1, 1)
    scores = dict(zip(*[iter(raw(r, *q, "WITHSCORES"))] * 2))
    assert len(scores) == 5
    for epsilon in (0.01, 0.1, 0.2, 0.5, 1):
        assert raw(r, *q, "EPSILON", epsilon) == [n for n, s in scores.items() if float(s) >= 1 - epsilon]


def test_any_count_is_taken(r):
    vs = fill(r, "v", 1500, 4)
    assert set(raw(r, "VSIM", "v", "ELE", "e0000", "COUNT", 1500)) == set(vs)
    assert len(raw(r, "VSIM", "v", "ELE", "e0000", "COUNT", 2**62)) == 1500
    assert len(raw(r, "VSIM", "v", "ELE", "e0000", "COUNT", 3, "EF", 1000000)) == 3
    assert len(raw(r, "VSIM", "v", "ELE", "e0000")) == 10


def test_filter_ef(r):
    vs = fill(r, "v", 3000, 8)
    p = r.pipeline(transaction=False)
    for i, name in enumerate(vs):
        p.execute_command("VSETATTR", "v", name, '{"i":%d}' % i)
    p.execute()
    found = raw(r, "VSIM", "v", "ELE", "e0000", "COUNT", 20, "FILTER", ".i >= 2990")
    assert len(found) == 10
    assert set(raw(r, "VSIM", "v", "ELE", "e0000", "COUNT", 20, "FILTER", ".i >= 2990", "FILTER-EF", 0)) == set(found)
    assert set(raw(r, "VSIM", "v", "ELE", "e0000", "COUNT", 20, "FILTER", ".i >= 2990", "FILTER-EF", 20)) <= set(found)


# ---- VLINKS ----

def test_vlinks(r, c3):
    vs = fill(r, "v", 1200, 8, "M", 4)
    levels = 0
    for name in list(vs)[:200]:
        plain, scored = raw(r, "VLINKS", "v", name), raw(r, "VLINKS", "v", name, "WITHSCORES")
        levels = max(levels, len(plain))
        assert [level[::2] for level in scored] == plain
        assert all(name not in level and len(level) <= 4 for level in plain[:-1]) and 0 < len(plain[-1]) <= 8
        for other, score in zip(scored[-1][::2], scored[-1][1::2]):
            assert name in raw(r, "VLINKS", "v", other)[-1]  # links go both ways
            a, b = vs[name], vs[other]
            cos = sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
            assert float(score) == pytest.approx((1 + cos) / 2, abs=0.02)
    assert levels > 1
    three = c3.call("VLINKS", "v", "e0000", "withscores")
    assert [list(level) for level in three] == raw(r, "VLINKS", "v", "e0000")
    assert raw(r, "VLINKS", "v", "nobody") is None
    assert error(r, "VLINKS", "v", "e0000", "SCORES").startswith("wrong number of arguments")


# ---- VRANDMEMBER ----

@pytest.mark.parametrize("n", [1, 2, 20, 21, 60, 99, 100, 101, 2**62])
def test_random_members_differ(r, n):
    vs = fill(r, "v", 100, 4)
    for _ in range(5):
        got = raw(r, "VRANDMEMBER", "v", n)
        assert len(got) == len(set(got)) == min(n, 100) and set(got) <= set(vs)


def test_random_members(r):
    vs = fill(r, "v", 20, 4)
    for name in list(vs)[5:15]:
        raw(r, "VREM", "v", name)
        del vs[name]
    assert {raw(r, "VRANDMEMBER", "v") for _ in range(400)} == set(vs)
    assert set(raw(r, "VRANDMEMBER", "v", -400)) == set(vs) and len(raw(r, "VRANDMEMBER", "v", -400)) == 400
    for n in (1, 3, 7):
        assert {x for _ in range(200) for x in raw(r, "VRANDMEMBER", "v", n)} == set(vs)
    assert raw(r, "VRANDMEMBER", "v", 0) == []
    assert error(r, "VRANDMEMBER", "v", "x") == "COUNT value is not an integer"
    assert error(r, "VRANDMEMBER", "v", str(-2**63)).startswith("COUNT value")
    assert error(r, "VRANDMEMBER", "v", 1, 2).startswith("wrong number of arguments")


# ---- VRANGE ----

def test_vrange_edges(r):
    names = [b"a", b"ab", b"abc", b"b", b"b\x00", b"c", b"\xff"]
    for name in random.Random(4).sample(names, len(names)):
        raw(r, "VADD", "v", "VALUES", 1, 1, name)

    def got(*args):
        return raw(r, "VRANGE", "v", *args)

    assert got("-", "+") == got("-", "+", -1) == got("-", "+", 100) == got("-", "+", 2**62) == sorted(names)
    assert got("-", "+", 0) == []
    for k in range(1, 8):
        assert got("-", "+", k) == sorted(names)[:k]
    assert got("[ab", "[b") == [b"ab", b"abc", b"b"]
    assert got("(ab", "(b") == [b"abc"]
    assert got("(ab", "[b", 1) == [b"abc"]
    assert got("[b", "(b") == got("(b", "(b") == got("[z", "[a") == []
    assert got("[b", "[b") == [b"b"]
    for args, message in [(("x", "+"), "invalid start range format"), (("", "+"), "invalid start range format"), (("[", "+"), "invalid start range format"), (("-", "x"), "invalid end range format"), (("-", "("), "invalid end range format"),
                          (("+", "-"), "'-' can only be used as first argument, '+' only as second"),
                          (("-", "-"), "'-' can only be used as first argument, '+' only as second"), (("-", "+", "x"), "invalid COUNT value")]:
        assert error(r, "VRANGE", "v", *args) == message
    assert error(r, "VRANGE", "v", "-", "+", 1, 2).startswith("wrong number of arguments")


def test_going_through_everything_while_it_changes(r):
    rng = random.Random(6)
    stay = set(list(fill(r, "v", 500, 4))[::2])
    seen, start, extra = [], "-", 0
    while page := raw(r, "VRANGE", "v", start, "+", 7):
        seen += page
        start = b"(" + page[-1]
        for i in rng.sample(range(1, 500, 2), 5):
            raw(r, "VREM", "v", f"e{i:04}")
        raw(r, "VADD", "v", "FP32", blob(some(rng, 4)), f"new{extra}")
        raw(r, "VADD", "v", "FP32", blob(some(rng, 4)), rng.choice(sorted(stay)))  # an update moves nobody
        extra += 1
    assert seen == sorted(seen) and len(seen) == len(set(seen)) and stay <= set(seen)


# ---- churn ----

def test_churn(r):
    """What was acknowledged is there, what was removed is not, whatever came before."""
    rng, now = random.Random(8), {}
    for _ in range(3000):
        name = f"n{rng.randrange(150)}".encode()
        if rng.random() < 0.4:
            assert raw(r, "VREM", "v", name) == (name in now)
            now.pop(name, None)
        else:
            v = some(rng, 6)
            assert raw(r, "VADD", "v", "FP32", blob(v), name) == (name not in now)
            now[name] = v
    assert raw(r, "VCARD", "v") == len(now)
    assert raw(r, "VRANGE", "v", "-", "+") == sorted(now)
    for name, v in now.items():
        assert raw(r, "VSIM", "v", "FP32", blob(v), "COUNT", 1) == [name]
    for name in list(now):
        assert raw(r, "VREM", "v", name) == 1
    assert r.exists("v") == 0


# ---- REDUCE ----

def project(v, out):
    """The first rows of a Walsh-Hadamard matrix, as Redis has them."""
    return [sum(x * (-1 if (i & j).bit_count() % 2 else 1) for j, x in enumerate(v)) / math.sqrt(len(v)) for i in range(out)]


def test_reduce(r):
    rng = random.Random(9)
    vs = fill_reduced(r, "v", rng, 300, 100, 80)
    info = raw(r, "VINFO", "v")
    assert info[info.index(b"vector-dim") + 1] == 80 == raw(r, "VDIM", "v")
    assert info[info.index(b"projection-input-dim") + 1] == 100
    for name in list(vs)[:20]:
        assert [float(x) for x in raw(r, "VEMB", "v", name)] == pytest.approx(project(vs[name], 80), abs=0.01)
        assert raw(r, "VSIM", "v", "FP32", blob(vs[name]), "COUNT", 1) == [name]  # queries go the same way,
        assert raw(r, "VSIM", "v", "FP32", blob(project(vs[name], 80)), "COUNT", 1) == [name]  # or have gone it
        assert raw(r, "VSIM", "v", "ELE", name, "COUNT", 1) == [name]
    queries = b"".join(blob(vs[name]) for name in list(vs)[:30])
    assert raw(r, "VSEARCH", "v", "BATCH", 30, "FP32", queries, "COUNT", 1) == [[name] for name in list(vs)[:30]]
    assert raw(r, "VADD", "v", "FP32", blob(vs[b"e5"]), "without the word") == 1
    assert raw(r, "VMADD", "v", "COUNT", 30, "FP32", queries, *[f"m{i}" for i in range(30)]) == 30
    assert set(raw(r, "VSIM", "v", "FP32", blob(vs[b"e5"]), "COUNT", 3)) == {b"e5", b"m5", b"without the word"}


def fill_reduced(r, key, rng, n, dim, reduced):
    vs = {f"e{i}".encode(): some(rng, dim) for i in range(n)}
    for name, v in vs.items():
        assert raw(r, "VADD", key, "REDUCE", reduced, "FP32", blob(v), name) == 1
    return vs


def test_reduce_refuses(r):
    raw(r, "VADD", "v", "REDUCE", 2, "VALUES", 4, 1, 2, 3, 4, "a")
    raw(r, "VADD", "w", "VALUES", 4, 1, 2, 3, 4, "a")
    for cmd, message in [(("v", "REDUCE", 2, "VALUES", 3, 1, 2, 3, "b"), "Input dimension mismatch for projection - got 3 but projection expects 4"),
                         (("v", "REDUCE", 3, "VALUES", 4, 1, 2, 3, 4, "b"), "Vector dimension mismatch - got 3 but set has 2"),
                         (("w", "REDUCE", 2, "VALUES", 4, 1, 2, 3, 4, "b"), "cannot add projection to existing set without projection"),
                         (("x", "REDUCE", 0, "VALUES", 4, 1, 2, 3, 4, "b"), "invalid vector specification"),
                         (("x", "REDUCE", -1, "VALUES", 4, 1, 2, 3, 4, "b"), "invalid vector specification"),
                         (("x", "REDUCE", 65537, "VALUES", 4, 1, 2, 3, 4, "b"), "invalid vector specification"),
                         (("x", "REDUCE", "two", "VALUES", 4, 1, 2, 3, 4, "b"), "invalid vector specification"),
                         (("x", "REDUCE", 2, "VALUES"), "invalid vector specification"),
                         (("x", "VALUES", 4, 1, 2, 3, 4, "REDUCE", 2), "invalid option after element"),
                         (("x", "VALUES", 4, 1, 2, 3, 4, "b", "REDUCE", 2), "invalid option after element")]:
        assert error(r, "VADD", *cmd).startswith(message), cmd
    assert error(r, "VSIM", "v", "VALUES", 3, 1, 2, 3).startswith("Input dimension mismatch for projection - got 3")
    assert error(r, "VSIM", "v", "REDUCE", 2, "VALUES", 4, 1, 2, 3, 4) == "invalid vector specification"
    assert raw(r, "VCARD", "v") == raw(r, "VCARD", "w") == 1 and r.exists("x") == 0


def test_reduce_to_more_and_to_as_many(r):
    raw(r, "VADD", "more", "REDUCE", 6, "VALUES", 4, 1, 2, 3, 4, "a", "NOQUANT")
    assert [float(x) for x in raw(r, "VEMB", "more", "a")] == pytest.approx(project([1, 2, 3, 4], 6), abs=1e-5)
    raw(r, "VADD", "same", "REDUCE", 4, "VALUES", 4, 1, 2, 3, 5, "a", "NOQUANT")
    assert [float(x) for x in raw(r, "VEMB", "same", "a")] == pytest.approx(project([1, 2, 3, 5], 4), abs=1e-5)
    assert float(raw(r, "VSIM", "same", "VALUES", 4, 1, 2, 3, 5, "WITHSCORES")[1]) == pytest.approx(1)


@pytest.mark.parametrize("make", ["VADD", "VCREATE", "VCREATE FILE"])
def test_a_projection_is_kept(fresh, make):
    s = fresh("--appendonly", "yes", "--appendfsync", "always")
    r = s.client(decode_responses=False)
    rng = random.Random(10)
    if make != "VADD":
        raw(r, "VCREATE", "v", "DIM", 20, "REDUCE", 10, *(["STORAGE", "FILE"] if "FILE" in make else []))
    vs = fill_reduced(r, "v", rng, 100, 20, 10)
    payload = r.dump("v")
    if "FILE" not in make:
        r.copy("v", "w")
    r.restore("x", 0, payload)

    def whole(key):
        for name, v in vs.items():
            assert raw(r, "VSIM", key, "FP32", blob(v), "COUNT", 1) == [name]
        assert error(r, "VSIM", key, "VALUES", 3, 1, 2, 3).startswith("Input dimension mismatch for projection")

    for key in r.keys():
        whole(key)
    s.kill9()
    s.start()
    r = s.client(decode_responses=False)
    for key in r.keys():
        whole(key)
    raw(r, "BGREWRITEAOF")
    raw(r, "VADD", "v", "FP32", blob(vs[b"e0"]), "last")
    s.restart()
    r = s.client(decode_responses=False)
    assert set(raw(r, "VSIM", "v", "FP32", blob(vs[b"e0"]), "COUNT", 2)) == {b"e0", b"last"}


# ---- quantised vectors ----

def test_vemb_raw_of_bytes(r, c3):
    rng = random.Random(20)
    v = some(rng, 33)
    raw(r, "VADD", "v", "FP32", blob(v), "a", "Q8")
    name, bytes_, norm, span = raw(r, "VEMB", "v", "a", "RAW")
    assert name == b"int8" and len(bytes_) == 33
    assert float(norm) == pytest.approx(math.sqrt(sum(x * x for x in v)), rel=1e-4)
    got = [x * float(span) / 127 * float(norm) for x in struct.unpack("<33b", bytes_)]
    assert got == pytest.approx(v, abs=float(span) * float(norm) / 127)
    assert max(map(abs, struct.unpack("<33b", bytes_))) == 127
    assert [type(x) for x in c3.call("VEMB", "v", "a", "RAW")[2:]] == [float, float]
    raw(r, "VADD", "v", "VALUES", 33, *[0] * 33, "zero")
    assert raw(r, "VEMB", "v", "zero", "RAW")[1] == bytes(33)


def test_a_quantisation_stays(r):
    raw(r, "VADD", "q", "VALUES", 2, 1, 0, "a", "Q8")
    raw(r, "VADD", "n", "VALUES", 2, 1, 0, "a", "NOQUANT")
    mismatch = "asked quantization mismatch with existing vector set"
    assert error(r, "VADD", "q", "VALUES", 2, 1, 0, "b", "NOQUANT") == mismatch
    assert error(r, "VADD", "n", "VALUES", 2, 1, 0, "b", "Q8") == mismatch
    assert raw(r, "VADD", "q", "VALUES", 2, 1, 0, "b", "Q8") == raw(r, "VADD", "n", "VALUES", 2, 1, 0, "b", "NOQUANT") == 1
    assert raw(r, "VADD", "q", "VALUES", 2, 1, 0, "c") == raw(r, "VADD", "n", "VALUES", 2, 1, 0, "c") == 1
