"""Commands on keys of any type: names, expiry, scanning, copies, payloads, databases, notifications."""

import random
import time

import pytest

from helpers import NOT_INT, error, other_db, raw


def test_del_unlink_exists_touch(r):
    r.mset({"a": 1, "b": 2, "c": 3})
    assert r.exists("a", "a", "nothing", "b") == 3
    assert r.touch("a", "nothing") == 1
    assert r.delete("a", "nothing", "b") == 2 and r.unlink("c", "c") == 1
    assert r.dbsize() == 0


def test_large_values_are_deleted(r):
    r.hset("h", mapping={f"f{i}": i for i in range(20000)})
    assert r.delete("h") == 1 and not r.exists("h")
    r.hset("h", "f", "v")
    assert r.hgetall("h") == {b"f": b"v"}


def test_type(r):
    r.set("s", 1)
    r.hset("h", "f", "v")
    assert (r.type("s"), r.type("h"), r.type("nothing")) == (b"string", b"hash", b"none")


def test_keys_and_patterns(r):
    names = ["one", "two", "three", "a[b", "h*llo", "hello", "hallo"]
    r.mset({n: 1 for n in names})
    find = lambda p: sorted(k.decode() for k in r.keys(p))
    assert find("*") == sorted(names)
    assert find("t*") == ["three", "two"] and find("h?llo") == ["h*llo", "hallo", "hello"]
    assert find("h[ae]llo") == ["hallo", "hello"] and find("h[^e]llo") == ["h*llo", "hallo"]
    assert find("h\\*llo") == ["h*llo"] and find("nothing*") == []
    r.pexpire("one", 1)
    time.sleep(0.02)
    assert "one" not in find("*")


def scan_all(r, *options):
    cursor, seen = 0, []
    while True:
        cursor, keys = raw(r, "SCAN", cursor, *options)
        seen += keys
        if int(cursor) == 0:
            return seen


def test_scan(r):
    r.mset({f"key:{i}": i for i in range(1000)})
    for i in range(30):
        r.hset(f"hash:{i}", "f", "v")
    assert len(set(scan_all(r))) == 1030
    assert len(set(scan_all(r, "COUNT", 7))) == 1030
    assert set(scan_all(r, "MATCH", "key:1??", "COUNT", 100)) == {f"key:{i}".encode() for i in range(100, 200)}
    assert set(scan_all(r, "TYPE", "hash")) == {f"hash:{i}".encode() for i in range(30)}
    assert set(scan_all(r, "TYPE", "HASH", "MATCH", "*5")) == {b"hash:5", b"hash:15", b"hash:25"}
    assert scan_all(r, "TYPE", "list") == []


def test_scan_keeps_its_promise_while_keys_come_and_go(r):
    stay = {f"stay:{i}".encode() for i in range(500)}
    r.mset({k: 1 for k in stay})
    rng = random.Random(1)
    cursor, seen, extra = 0, set(), []
    for step in range(100000):
        cursor, keys = r.scan(cursor, count=10)
        seen |= set(keys)
        if cursor == 0:
            break
        if step < 300:
            new = [f"x:{step}:{i}" for i in range(20)]
            r.mset({k: 1 for k in new})
            extra += new
        elif extra:
            rng.shuffle(extra)
            r.delete(*extra[:200])
            del extra[:200]
    assert stay <= seen


def test_scan_skips_the_expired(r):
    r.mset({f"k{i}": 1 for i in range(20)})
    for i in range(10):
        r.pexpire(f"k{i}", 1)
    time.sleep(0.02)
    assert len(scan_all(r)) == 10


def test_scan_errors(r):
    assert error(r, "SCAN", "x") == "invalid cursor"
    assert error(r, "SCAN", "0", "COUNT", "0") == "syntax error"
    assert error(r, "SCAN", "0", "COUNT", "a") == NOT_INT
    assert error(r, "SCAN", "0", "FOO", "a") == "syntax error"
    assert error(r, "SCAN", "0", "MATCH") == "syntax error"


def test_randomkey(r):
    assert r.randomkey() is None
    r.mset({f"k{i}": 1 for i in range(10)})
    assert {r.randomkey() for _ in range(500)} == {f"k{i}".encode() for i in range(10)}


def test_rename(r):
    r.setex("a", 100, "1")
    r.hset("b", "f", "v")
    assert r.rename("a", "b") and r.get("b") == b"1" and r.ttl("b") in range(90, 101) and not r.exists("a")
    r.set("c", 2)
    assert r.rename("b", "b") and r.renamenx("b", "c") == 0 and r.renamenx("b", "b") == 0
    assert r.renamenx("b", "free") == 1
    assert error(r, "RENAME", "nothing", "x") == "no such key"
    assert error(r, "RENAMENX", "nothing", "x") == "no such key"
    assert error(r, "RENAME", "nothing", "nothing") == "no such key"


def test_move(r):
    r9 = other_db(r, 9)
    r.setex("a", 100, "1")
    assert r.move("a", 9) == 1 and not r.exists("a")
    assert r9.get("a") == b"1" and r9.ttl("a") in range(90, 101)
    r.set("a", 2)
    assert r.move("a", 9) == 0 and r.get("a") == b"2" and r.move("nothing", 9) == 0
    assert error(r, "MOVE", "a", "0") == "source and destination objects are the same"
    assert error(r, "MOVE", "a", "999") == "DB index is out of range"
    assert error(r, "MOVE", "a", "x") == NOT_INT


def test_copy(r):
    r9 = other_db(r, 9)
    r.setex("a", 100, "x" * 1000)
    assert r.copy("a", "b") == 1 and r.get("b") == b"x" * 1000 and r.ttl("b") in range(90, 101)
    r.append("b", "y")
    assert r.strlen("a") == 1000
    r.set("a", "7")
    assert r.copy("a", "b") == 0 and r.copy("a", "b", replace=True) == 1
    assert r.get("b") == b"7" and r.ttl("b") == -1
    assert r.copy("a", "a", destination_db=9) == 1 and r9.get("a") == b"7"
    assert r.copy("nothing", "b", replace=True) == 0 and r.exists("b")
    r.hset("h", mapping={f"f{i}": "v" * 70 for i in range(100)})
    assert r.copy("h", "h2") == 1 and r.hgetall("h2") == r.hgetall("h")
    r.hset("h2", "f1", "other")
    assert r.hget("h", "f1") == b"v" * 70
    assert error(r, "COPY", "a", "a") == "source and destination objects are the same"
    assert error(r, "COPY", "a", "b", "DB", "99") == "DB index is out of range"
    assert error(r, "COPY", "a", "b", "DB") == "syntax error"


def test_expire_options(r):
    r.set("k", "v")
    run = lambda *a: raw(r, "EXPIRE", "k", *a)
    assert run(100, "XX") == 0 and run(100, "GT") == 0 and r.ttl("k") == -1
    assert run(100, "LT") == 1 and run(200, "NX") == 0 and run(50, "GT") == 0
    assert run(200, "GT") == 1 and run(300, "LT") == 0 and run(150, "LT") == 1 and run(160, "XX", "GT") == 1
    assert 150 <= r.ttl("k") <= 160
    assert run(200, "xx") == 1
    both = "NX and XX, GT or LT options at the same time are not compatible"
    assert error(r, "EXPIRE", "k", "1", "NX", "XX") == both and error(r, "EXPIRE", "k", "1", "NX", "GT") == both
    assert error(r, "EXPIRE", "k", "1", "GT", "LT") == "GT and LT options at the same time are not compatible"
    assert error(r, "EXPIRE", "k", "1", "AB") == "Unsupported option AB"
    assert error(r, "EXPIRE", "k", "1.5") == NOT_INT
    assert error(r, "EXPIRE", "k", "9223372036854775807") == "invalid expire time in 'expire' command"
    assert error(r, "EXPIRE", "k", "-9223372036854775808") == "invalid expire time in 'expire' command"
    assert error(r, "PEXPIRE", "k", "9223372036854775807") == "invalid expire time in 'pexpire' command"
    assert error(r, "EXPIREAT", "k", "9223372036854775807") == "invalid expire time in 'expireat' command"
    assert r.exists("k") and r.expire("nothing", 10) == 0


def test_expire_in_the_past_deletes(r):
    for cmd, when in [("EXPIRE", -1), ("EXPIRE", 0), ("PEXPIRE", -5000), ("EXPIREAT", 1), ("PEXPIREAT", 1)]:
        r.set("k", "v")
        assert raw(r, cmd, "k", when) == 1 and not r.exists("k")


def test_ttl_family(r):
    at = int(time.time()) + 1000
    r.set("k", "v")
    for cmd in ["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"]:
        assert raw(r, cmd, "k") == -1 and raw(r, cmd, "nothing") == -2
    r.expireat("k", at)
    assert raw(r, "EXPIRETIME", "k") == at and raw(r, "PEXPIRETIME", "k") == at * 1000
    assert 990 <= r.ttl("k") <= 1000 and 990000 <= r.pttl("k") <= 1000000
    assert r.persist("k") == 1 and r.persist("k") == 0 and r.persist("nothing") == 0 and r.ttl("k") == -1


def test_keys_expire_by_themselves(r):
    for i in range(200):
        r.psetex(f"k{i}", 10, "v")
    r.set("stays", 1)
    deadline = time.time() + 60
    while r.dbsize() > 1 and time.time() < deadline:
        time.sleep(0.02)
    assert r.dbsize() == 1


def test_object(r):
    r.mset({"int": 1234, "emb": "x" * 44, "raw": "x" * 45, "huge": "x" * 500})
    encoding = lambda k: r.object("encoding", k)
    assert [encoding(k) for k in ("int", "emb", "raw", "huge")] == [b"int", b"embstr", b"raw", b"raw"]
    r.append("emb", "y")
    assert encoding("emb") == b"raw"
    assert r.object("refcount", "raw") == 1 and r.object("idletime", "raw") == 0
    assert encoding("nothing") is None and r.object("idletime", "nothing") is None
    assert "An LFU maxmemory policy is not selected" in error(r, "OBJECT", "FREQ", "raw")
    assert "wrong number of arguments" in error(r, "OBJECT", "ENCODING")
    assert "nknown subcommand" in error(r, "OBJECT", "FOO", "raw")
    assert len(raw(r, "OBJECT", "HELP")) > 5


def test_memory_usage(r):
    r.mset({"s": "x", "l": "x" * 10000})
    r.hset("h", mapping={f"f{i}": "v" * 100 for i in range(1000)})
    assert 10 < r.memory_usage("s") < 200 and 10000 < r.memory_usage("l") < 20000
    assert 100000 < r.memory_usage("h") < 400000 and 100000 < r.memory_usage("h", samples=0) < 400000
    assert r.memory_usage("nothing") is None
    assert error(r, "MEMORY", "USAGE", "s", "SAMPLES", "-1") == "syntax error"


def test_dump_and_restore(r):
    values = {"small": "v", "int": "-7", "large": "x" * 5000, "empty": ""}
    r.mset(values)
    r.hset("h", mapping={"f": "v", "n": "1"})
    r.hset("t", mapping={f"f{i}": "v" * 80 for i in range(300)})
    for key in [*values, "h", "t"]:
        payload = r.dump(key)
        assert r.restore("copy", 0, payload, replace=True)
        assert r.dump("copy") == payload or key == "t"
        assert r.object("encoding", "copy") == r.object("encoding", key)
    assert r.hgetall("copy") == r.hgetall("t")
    assert r.dump("nothing") is None


def test_restore_options(r):
    r.set("k", "v")
    payload = r.dump("k")
    assert error(r, "RESTORE", "k", "0", payload) == "BUSYKEY Target key name already exists."
    r.restore("n", 100000, payload)
    assert 90 <= r.ttl("n") <= 100
    at = (int(time.time()) + 1000) * 1000
    r.restore("n", at, payload, replace=True, absttl=True)
    assert raw(r, "PEXPIRETIME", "n") == at
    r.restore("n", 0, payload, replace=True, idletime=77)
    assert 77 <= r.object("idletime", "n") <= 80
    assert r.restore("n", 1, payload, replace=True, absttl=True) and not r.exists("n")
    assert error(r, "RESTORE", "x", "-1", payload) == "Invalid TTL value, must be >= 0"
    assert error(r, "RESTORE", "x", "0", payload, "IDLETIME", "-1") == "Invalid IDLETIME value, must be >= 0"
    assert error(r, "RESTORE", "x", "0", payload, "FREQ", "256") == "Invalid FREQ value, must be >= 0 and <= 255"
    assert error(r, "RESTORE", "x", "0", payload, "FOO") == "syntax error"


def test_restore_refuses_damage(r):
    r.hset("h", mapping={"f": "v", "n": "1"})
    payload = r.dump("h")
    wrong = "DUMP payload version or checksum are wrong"
    for i in range(len(payload)):
        bad = bytearray(payload)
        bad[i] ^= 0x20
        assert error(r, "RESTORE", "x", "0", bytes(bad)) == wrong
        assert error(r, "RESTORE", "x", "0", payload[:i]) == wrong
    assert not r.exists("x")


def test_databases(r):
    r9 = other_db(r, 9)
    r.set("zero", 1)
    r9.set("nine", 1)
    assert r.swapdb(0, 9) and r.exists("nine") and r9.exists("zero") and not r.exists("zero")
    assert r.swapdb(9, 9) and r9.exists("zero")
    assert r.flushdb() and r.dbsize() == 0 and r9.dbsize() == 1
    assert r.flushall(asynchronous=True) and r9.dbsize() == 0
    assert error(r, "SWAPDB", "x", "1") == "invalid first DB index"
    assert error(r, "SWAPDB", "1", "x") == "invalid second DB index"
    assert error(r, "SWAPDB", "1", "999") == "DB index is out of range"
    assert error(r, "FLUSHDB", "FOO") == "syntax error" and error(r, "FLUSHALL", "SYNC", "ASYNC") == "syntax error"


EVENTS = [
    (["SET k v"], ["set k"]),
    (["SET k v EX 100"], ["set k", "expire k"]),
    (["SET k v", "SET k w NX"], ["set k"]),
    (["SETNX k v"], ["set k"]),
    (["MSET a 1 b 2"], ["set a", "set b"]),
    (["SET k 1", "INCR k", "INCRBYFLOAT k 1"], ["set k", "incrby k", "incrbyfloat k"]),
    (["APPEND k x", "SETRANGE k 1 y", "GETDEL k"], ["append k", "setrange k", "del k"]),
    (["SET k v", "GETEX k EX 10", "GETEX k PERSIST"], ["set k", "expire k", "persist k"]),
    (["SET k v", "EXPIRE k 10", "PERSIST k", "EXPIRE k -1"], ["set k", "expire k", "persist k", "del k"]),
    (["SET a v", "RENAME a b", "COPY b c", "DEL b c"],
     ["set a", "rename_from a", "rename_to b", "copy_to c", "del b", "del c"]),
    (["HSET h f v", "HSETNX h g v", "HINCRBY h n 1", "HINCRBYFLOAT h n 1"],
     ["hset h", "hset h", "hincrby h", "hincrbyfloat h"]),
    (["HSET h f v", "HDEL h f nothing", "HDEL h f"], ["hset h", "hdel h", "del h"]),
    (["SET k v", "MOVE k 9"], ["set k", "move_from k"]),
]


@pytest.mark.parametrize("commands, events", EVENTS, ids=[" ".join(c) for c, _ in EVENTS])
def test_keyspace_events(r, commands, events):
    r.config_set("notify-keyspace-events", "EA")
    sub = r.pubsub()
    sub.psubscribe("__keyevent@0__:*")
    assert sub.get_message(timeout=120)["type"] == "psubscribe"
    for c in commands:
        raw(r, *c.split())
    r.publish("__keyevent@0__:end", "end")
    got = []
    while True:
        m = sub.get_message(timeout=120)
        assert m is not None
        if m["data"] == b"end":
            break
        got.append(m["channel"].decode().split(":", 1)[1] + " " + m["data"].decode())
    sub.close()
    r.config_set("notify-keyspace-events", "")
    assert got == events
