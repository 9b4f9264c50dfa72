"""String commands: replies, error texts, what expiry does to them, and agreement with a model under random use."""

import random
import time

import pytest

from helpers import NOT_INT, WRONGTYPE, error, raw

TOO_BIG = "string exceeds maximum allowed size (proto-max-bulk-len)"


@pytest.mark.parametrize("size", [0, 1, 43, 44, 45, 191, 192, 193, 255, 256, 5000, 70000, 3 << 20])
def test_values_of_every_size(r, size):
    value = bytes(i % 251 for i in range(size))
    assert r.set("k", value) is True
    assert r.get("k") == value
    assert r.strlen("k") == size
    r.expire("k", 100)
    assert r.get("k") == value and r.ttl("k") in range(90, 101)
    r.persist("k")
    assert r.get("k") == value and r.ttl("k") == -1
    r.rename("k", "n" * 300)
    assert r.get("n" * 300) == value


def test_keys_and_values_are_bytes(r):
    key, value = bytes(range(256)) * 2, bytes(range(255, -1, -1))
    r.set(key, value)
    assert r.get(key) == value
    assert r.keys("*") == [key]
    r.set(b"", b"empty key")
    assert r.get(b"") == b"empty key"


def test_set_options(r):
    assert r.set("k", "1", xx=True) is None
    assert r.set("k", "1", nx=True) is True
    assert r.set("k", "2", nx=True) is None
    assert r.set("k", "2", xx=True) is True
    assert r.set("k", "3", get=True) == b"2"
    assert raw(r, "SET", "k", "4", "NX", "GET") == b"3"
    assert r.get("k") == b"3"
    assert raw(r, "SET", "new", "4", "NX", "GET") is None
    assert r.get("new") == b"4"
    assert raw(r, "SET", "absent", "4", "XX", "GET") is None
    assert not r.exists("absent")
    r.hset("h", "f", "v")
    assert error(r, "SET", "h", "x", "GET") == WRONGTYPE
    assert r.type("h") == b"hash"
    assert r.set("h", "x") and r.type("h") == b"string"


def test_set_expiry(r):
    now = int(time.time())
    r.set("k", "v", ex=100)
    assert 90 < r.ttl("k") <= 100
    r.set("k", "v", keepttl=True)
    assert 90 < r.ttl("k") <= 100
    r.set("k", "v")
    assert r.ttl("k") == -1
    r.set("k", "v", px=100000)
    assert 98000 < r.pttl("k") <= 100000
    r.set("k", "v", exat=now + 1000)
    assert raw(r, "EXPIRETIME", "k") == now + 1000
    r.set("k", "v", pxat=(now + 1000) * 1000 + 7)
    assert raw(r, "PEXPIRETIME", "k") == (now + 1000) * 1000 + 7
    r.set("k", "v", exat=now - 10)
    assert r.get("k") is None


@pytest.mark.parametrize("args", [
    ("EX", "10", "PX", "10"), ("EX", "10", "KEEPTTL"), ("KEEPTTL", "EX", "10"), ("NX", "XX"), ("EX",), ("PERSIST",),
    ("foo",), ("EXAT", "1", "EX", "1"),
])
def test_set_syntax_errors(r, args):
    assert error(r, "SET", "k", "v", *args) == "syntax error"
    assert not r.exists("k")


@pytest.mark.parametrize("unit, value, msg", [
    ("EX", "0", "invalid expire time in 'set' command"),
    ("EX", "-5", "invalid expire time in 'set' command"),
    ("EX", "9223372036854775807", "invalid expire time in 'set' command"),
    ("PX", "9223372036854775807", "invalid expire time in 'set' command"),
    ("EXAT", "9223372036854775807", "invalid expire time in 'set' command"),
    ("PXAT", "-1", "invalid expire time in 'set' command"),
    ("EX", "abc", NOT_INT),
    ("EX", "1.5", NOT_INT),
    ("EX", "9223372036854775808", NOT_INT),
])
def test_set_bad_times(r, unit, value, msg):
    r.set("k", "old")
    assert error(r, "SET", "k", "v", unit, value) == msg
    assert r.get("k") == b"old"


def test_setex_psetex(r):
    assert r.setex("k", 100, "v") and r.ttl("k") in range(90, 101)
    assert r.psetex("k", 100000, "v") and r.ttl("k") in range(90, 101)
    assert error(r, "SETEX", "k", "0", "v") == "invalid expire time in 'setex' command"
    assert error(r, "PSETEX", "k", "-1", "v") == "invalid expire time in 'psetex' command"


def test_expired_is_gone_for_every_reader(r):
    r.psetex("k", 1, "v")
    time.sleep(0.02)
    assert r.get("k") is None
    r.psetex("k", 1, "5")
    time.sleep(0.02)
    assert r.incr("k") == 1 and r.ttl("k") == -1


def test_getex(r):
    now = int(time.time())
    r.set("k", "v")
    assert raw(r, "GETEX", "k") == b"v" and r.ttl("k") == -1
    assert raw(r, "GETEX", "k", "EX", "10") == b"v" and r.ttl("k") in range(3, 11)
    assert raw(r, "GETEX", "k", "PERSIST") == b"v" and r.ttl("k") == -1
    assert raw(r, "GETEX", "k", "PXAT", str((now + 100) * 1000)) == b"v"
    assert raw(r, "EXPIRETIME", "k") == now + 100
    assert raw(r, "GETEX", "k", "EXAT", "1") == b"v" and not r.exists("k")
    assert raw(r, "GETEX", "nothing", "EX", "10") is None
    r.set("k", "v")
    assert error(r, "GETEX", "k", "EX", "0") == "invalid expire time in 'getex' command"
    assert error(r, "GETEX", "k", "KEEPTTL") == "syntax error"
    assert error(r, "GETEX", "k", "EX", "10", "PERSIST") == "syntax error"


def test_getdel_getset(r):
    r.setex("k", 100, "v")
    assert r.getset("k", "w") == b"v" and r.ttl("k") == -1
    assert r.getdel("k") == b"w" and r.getdel("k") is None
    r.hset("h", "f", "v")
    assert error(r, "GETDEL", "h") == WRONGTYPE and error(r, "GETSET", "h", "x") == WRONGTYPE


def test_many_keys(r):
    assert r.mset({f"k{i}": i for i in range(500)})
    r.hset("h", "f", "v")
    assert r.mget(["k7", "h", "nothing", "k499"]) == [b"7", None, None, b"499"]
    assert r.msetnx({"new": 1, "k3": 2}) == 0 and not r.exists("new")
    assert r.msetnx({"new": 1, "newer": 2}) == 1
    assert error(r, "MSET", "a", "1", "b") == "wrong number of arguments for 'mset' command"
    assert error(r, "MSETNX", "a", "1", "b") == "wrong number of arguments for 'msetnx' command"


def test_append_and_strlen(r):
    total = b""
    for i in range(300):
        piece = bytes([i % 256]) * (i % 17)
        total += piece
        assert r.append("k", piece) == len(total)
    assert r.get("k") == total and r.strlen("k") == len(total)
    r.set("n", 10)
    assert r.append("n", "5") == 3 and r.incr("n") == 106
    r.setex("e", 100, "x")
    r.append("e", "y" * 500)
    assert r.ttl("e") in range(90, 101)
    r.hset("h", "f", "v")
    assert error(r, "APPEND", "h", "x") == WRONGTYPE and error(r, "STRLEN", "h") == WRONGTYPE


def test_setrange(r):
    assert r.setrange("k", 0, "") == 0 and not r.exists("k")
    assert r.setrange("k", 3, "x") == 4 and r.get("k") == b"\0\0\0x"
    r.set("k", "Hello World")
    assert r.setrange("k", 6, "Redis") == 11 and r.get("k") == b"Hello Redis"
    assert r.setrange("k", 20, "!") == 21 and r.get("k") == b"Hello Redis" + b"\0" * 9 + b"!"
    r.set("n", 1234)
    assert r.setrange("n", 1, "9") == 4 and r.get("n") == b"1934"
    assert error(r, "SETRANGE", "k", "-1", "x") == "offset is out of range"
    assert error(r, "SETRANGE", "k", "536870908", "world") == TOO_BIG
    assert error(r, "SETRANGE", "nothing", "536870912", "w") == TOO_BIG
    assert error(r, "SETRANGE", "k", "9223372036854775807", "w") == TOO_BIG
    assert error(r, "SETRANGE", "k", "a", "w") == NOT_INT
    assert not r.exists("nothing")


def test_getrange_as_python_slices(r):
    value = b"Hello World"
    r.set("k", value)
    for start in range(-14, 15):
        for end in range(-14, 15):
            s = max(start + 11, 0) if start < 0 else start
            e = max(end + 11, 0) if end < 0 else end
            want = b"" if start < 0 and end < 0 and start > end else value[s:e + 1]
            assert r.getrange("k", start, end) == want, (start, end)
    assert r.getrange("nothing", 0, -1) == b""
    assert raw(r, "SUBSTR", "k", 0, 4) == b"Hello"
    assert r.getrange("k", 0, 9223372036854775807) == value
    assert r.getrange("k", -9223372036854775808, 9223372036854775807) == value
    r.set("n", 12345)
    assert r.getrange("n", 1, 2) == b"23"


def test_incr_family(r):
    assert r.incr("k") == 1 and r.incr("k", 41) == 42 and r.decr("k") == 41 and r.decr("k", 50) == -9
    r.setex("e", 100, 5)
    assert r.incr("e") == 6 and r.ttl("e") in range(90, 101)
    r.set("k", "9223372036854775807")
    assert error(r, "INCR", "k") == "increment or decrement would overflow"
    r.set("k", "-9223372036854775808")
    assert error(r, "DECR", "k") == "increment or decrement would overflow"
    assert error(r, "DECRBY", "k", "-9223372036854775808") == "decrement would overflow"
    assert r.incr("k", 9223372036854775807) == -1
    for text in ["", " 11", "11 ", "1.5", "abc", "+1", "007", "9223372036854775808"]:
        r.set("k", text)
        assert error(r, "INCR", "k") == NOT_INT
    assert error(r, "INCRBY", "new", "x") == NOT_INT
    r.hset("h", "f", "v")
    assert error(r, "INCR", "h") == WRONGTYPE


def test_incrbyfloat(r):
    f = lambda by: raw(r, "INCRBYFLOAT", "k", by)
    assert f("1") == b"1" and f("0.25") == b"1.25" and f("1.5e3") == b"1501.25"
    r.set("k", "3.0e3")
    assert f("200") == b"3200"
    r.set("k", "1.5")
    assert f("-1.5") == b"0"
    r.set("k", "17179869184")
    assert f("1.5") == b"17179869185.5"
    r.setex("k", 100, "1.23")
    assert f("3e-10") in (b"1.2300000003", b"1.23000000030000000") and r.ttl("k") in range(90, 101)
    r.set("k", " 11")
    assert error(r, "INCRBYFLOAT", "k", "1") == "value is not a valid float"
    r.set("k", "1")
    assert error(r, "INCRBYFLOAT", "k", "+inf") == "increment would produce NaN or Infinity"
    assert error(r, "INCRBYFLOAT", "k", "x") == "value is not a valid float"
    assert r.get("k") == b"1"
    r.hset("h", "f", "v")
    assert error(r, "INCRBYFLOAT", "h", "1") == WRONGTYPE


def lcs_length(a, b):
    row = [0] * (len(b) + 1)
    for x in a:
        last = 0
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], last + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


def is_subsequence(part, whole):
    it = iter(whole)
    return all(c in it for c in part)


def test_lcs_of_random_strings(r):
    rng = random.Random(5)
    for _ in range(60):
        a = bytes(rng.choice(b"abcd") for _ in range(rng.randrange(40)))
        b = bytes(rng.choice(b"abcd") for _ in range(rng.randrange(40)))
        r.mset({"a": a, "b": b})
        text = raw(r, "LCS", "a", "b")
        assert is_subsequence(text, a) and is_subsequence(text, b)
        assert len(text) == raw(r, "LCS", "a", "b", "LEN") == lcs_length(a, b)
        reply = raw(r, "LCS", "a", "b", "IDX", "WITHMATCHLEN")
        if isinstance(reply, list):
            reply = dict(zip(reply[::2], reply[1::2]))
        runs = reply[b"matches"]
        assert reply[b"len"] == len(text) == sum(n for _, _, n in runs)
        assert b"".join(a[s:e + 1] for (s, e), _, _ in reversed(runs)) == text
        assert all(a[s:e + 1] == b[t:u + 1] and e - s + 1 == n for (s, e), (t, u), n in runs)


def test_lcs_errors(r):
    r.hset("h", "f", "v")
    r.set("a", "x")
    assert error(r, "LCS", "a", "h") == "The specified keys must contain string values"
    assert error(r, "LCS", "a", "a", "LEN", "IDX") == "If you want both the length and indexes, please just use IDX."
    assert error(r, "LCS", "a", "a", "MINMATCHLEN") == "syntax error"
    assert raw(r, "LCS", "a", "nothing") == b""


def test_arity(r):
    for cmd in ["SET k", "GET", "GET a b", "MGET", "MSET k", "INCR", "APPEND k", "SETRANGE k 1", "LCS a"]:
        name = cmd.split()[0].lower()
        assert error(r, *cmd.split()) == f"wrong number of arguments for '{name}' command"


def test_random_use_matches_a_model(r):
    rng = random.Random(9)
    model = {}
    keys = [f"key{i}" for i in range(20)]
    for _ in range(3000):
        k = rng.choice(keys)
        op = rng.randrange(7)
        blob = bytes(rng.randrange(256) for _ in range(rng.choice([0, 3, 50, 400])))
        if op == 0:
            r.set(k, blob)
            model[k] = blob
        elif op == 1:
            assert r.append(k, blob) == len(model.get(k, b"") + blob)
            model[k] = model.get(k, b"") + blob
        elif op == 2:
            assert r.delete(k) == (k in model)
            model.pop(k, None)
        elif op == 3:
            n = rng.randrange(-1 << 40, 1 << 40)
            r.set(k, n)
            assert r.incr(k, 5) == n + 5
            model[k] = str(n + 5).encode()
        elif op == 4 and blob:
            at = rng.randrange(300)
            old = model.get(k, b"")
            model[k] = old[:at].ljust(at, b"\0") + blob + old[at + len(blob):]
            assert r.setrange(k, at, blob) == len(model[k])
        elif op == 5:
            other = rng.choice(keys)
            if k in model and other != k:
                r.rename(k, other)
                model[other] = model.pop(k)
        else:
            assert r.get(k) == model.get(k)
    assert {k: v for k, v in zip(keys, r.mget(keys)) if v is not None} == model
