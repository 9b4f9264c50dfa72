"""DEBUG as test suites use it, FUNCTION without libraries, and a journal that is switched on while the server runs."""

import time

import pytest
import redis

from helpers import error, raw


def fill(r):
    r.mset({"int": 7, "text": "x" * 300, "empty": ""})
    r.setex("ttl", 1000, "v")
    r.rpush("list", *range(500))
    r.sadd("set", *range(5))
    r.sadd("words", *[f"w{i}" for i in range(300)])
    r.hset("hash", mapping={f"f{i}": i for i in range(700)})
    r.xadd("stream", {"a": 1})


def test_digest_follows_the_data(r):
    empty = raw(r, "DEBUG", "DIGEST")
    assert empty == b"0" * 40
    fill(r)
    full = raw(r, "DEBUG", "DIGEST")
    assert full != empty
    r.srem("set", 3)
    assert raw(r, "DEBUG", "DIGEST") != full
    r.sadd("set", 3)
    assert raw(r, "DEBUG", "DIGEST") == full
    a, b, c = raw(r, "DEBUG", "DIGEST-VALUE", "set", "words", "nothing")
    assert a != b and c == b"0" * 40


def test_reload_keeps_everything(r):
    fill(r)
    before, ttl = raw(r, "DEBUG", "DIGEST"), r.pttl("ttl")
    for _ in range(2):
        assert raw(r, "DEBUG", "RELOAD") == b"OK"
        assert raw(r, "DEBUG", "DIGEST") == before
    assert ttl - 5000 < r.pttl("ttl") <= ttl and r.dbsize() == 9
    assert r.lrange("list", 0, -1) == [str(i).encode() for i in range(500)]
    assert error(r, "DEBUG", "RELOAD", "NOSAVE", "FOO") == "DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."


def test_object(r):
    r.set("n", 1)
    text = raw(r, "DEBUG", "OBJECT", "n").decode()
    assert text.startswith("Value at:0x") and " encoding:int " in text and " lru_seconds_idle:0" in text
    assert error(r, "DEBUG", "OBJECT", "nothing") == "no such key"


def test_protocol_kinds(server):
    s = server.raw()
    f = s.makefile("rwb")
    ask = lambda kind: (f.write(b"DEBUG PROTOCOL %s\r\n" % kind), f.flush(), f.readline())[2]
    f.write(b"HELLO 3\r\n")
    f.flush()
    head = f.readline()
    assert head == b"%7\r\n"
    while f.readline() != b"*0\r\n":  # the modules, last of its fields
        pass
    assert ask(b"integer") == b":12345\r\n" and ask(b"true") == b"#t\r\n" and ask(b"null") == b"_\r\n"
    assert ask(b"double") == b",3.141\r\n" and ask(b"bignum") == b"(1234567999999999999999999999999999999\r\n"
    assert ask(b"nonsense").startswith(b"-ERR Wrong protocol type name.")
    assert ask(b"attrib") == b"|1\r\n"
    s.close()


def test_debug_must_be_allowed(fresh):
    r = fresh("--enable-debug-command", "no").client()
    for cmd in ("DIGEST", "RELOAD"):
        with pytest.raises(redis.ResponseError, match="DEBUG command not allowed"):
            r.execute_command("DEBUG", cmd)


def test_functions_without_libraries(r):
    assert raw(r, "FUNCTION", "LIST") == [] and raw(r, "FUNCTION", "FLUSH", "ASYNC") == b"OK"
    assert error(r, "FUNCTION", "LIST", "FOO") == "Unknown argument FOO"


def test_a_journal_switched_on_while_running_is_complete_and_survives(fresh):
    s = fresh()
    r = s.client()
    r.set("before", 1)
    r.config_set("appendonly", "yes")
    r.set("after", 2)
    end = time.monotonic() + 120
    while r.info("persistence")["aof_rewrite_in_progress"] and time.monotonic() < end:
        time.sleep(0.02)
    assert r.info("persistence")["aof_rewrite_in_progress"] == 0
    s.stop()
    s.args = ["--appendonly", "yes"]
    s.start()
    assert s.client().mget("before", "after") == ["1", "2"]
    s.stop()
