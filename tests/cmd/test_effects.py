"""What is journaled of string, hash and generic commands: after a restart every key has the same value and expiry."""

import random
import time

import pytest

from helpers import raw


@pytest.fixture
def journaled(fresh):
    return fresh("--appendonly", "yes", "--appendfsync", "always")


def snapshot(r):
    keys = sorted(r.keys("*"))
    content = {}
    for k in keys:
        value = r.hgetall(k) if r.type(k) == b"hash" else r.get(k)
        content[k] = (r.type(k), value, raw(r, "PEXPIRETIME", k))
    return content


def after_restart(server):
    server.kill9()
    server.start()
    return snapshot(server.client(decode_responses=False))


def test_expiries_are_points_in_time(journaled):
    r = journaled.client(decode_responses=False)
    r.set("ex", 1, ex=1000)
    r.setex("setex", 1000, 1)
    r.psetex("psetex", 1000000, 1)
    r.set("k", 1)
    r.expire("k", 1000)
    r.set("getex", 1)
    raw(r, "GETEX", "getex", "EX", 1000)
    r.set("p", 1, ex=1000)
    raw(r, "GETEX", "p", "PERSIST")
    payload = r.dump("k")
    r.restore("restored", 1000000, payload)
    r.set("keep", 1, ex=1000)
    r.set("keep", 2, keepttl=True)
    raw(r, "SET", "keep", 3, "KEEPTTL", "GET")
    r.copy("keep", "copied")
    r.rename("copied", "renamed")
    before = snapshot(r)
    assert before[b"ex"][2] > 0 and before[b"p"][2] == -1 and before[b"renamed"][1] == b"3"
    time.sleep(0.05)
    assert after_restart(journaled) == before


def test_what_expired_or_was_deleted_stays_gone(journaled):
    r = journaled.client(decode_responses=False)
    r.psetex("a", 5, 1)
    r.set("b", 1)
    r.set("c", 1)
    r.set("d", 1)
    r.hset("h", "f", 1)
    time.sleep(0.05)
    assert r.get("a") is None
    r.expire("b", -1)
    raw(r, "GETEX", "c", "PXAT", 1)
    r.getdel("d")
    r.hdel("h", "f")
    assert after_restart(journaled) == {}


def test_arithmetic(journaled):
    r = journaled.client(decode_responses=False)
    for _ in range(10):
        raw(r, "INCRBYFLOAT", "f", "0.1")
        raw(r, "HINCRBYFLOAT", "h", "f", "0.3")
        r.incr("i", 7)
        r.hincrby("h", "i", -3)
    r.expire("f", 1000)
    raw(r, "INCRBYFLOAT", "f", "0.7")
    before = snapshot(r)
    assert before[b"f"][1] == b"1.7" and before[b"f"][2] > 0
    assert after_restart(journaled) == before


def random_command(rng):
    k = lambda: f"k{rng.randrange(8)}"
    h = lambda: f"h{rng.randrange(3)}"
    f = lambda: f"f{rng.randrange(30)}"
    v = lambda: bytes(rng.randrange(256) for _ in range(rng.choice([0, 3, 40, 300])))
    return rng.choice([
        lambda: ["SET", k(), v()],
        lambda: ["SET", k(), v(), "EX", rng.randrange(100, 1000)],
        lambda: ["SET", k(), v(), rng.choice(["NX", "XX", "GET", "KEEPTTL"])],
        lambda: ["SET", k(), rng.randrange(1000)],
        lambda: ["APPEND", k(), v()],
        lambda: ["SETRANGE", k(), rng.randrange(200), v()],
        lambda: ["INCRBY", k(), rng.randrange(100)],
        lambda: ["INCRBYFLOAT", k(), rng.random()],
        lambda: ["GETSET", k(), v()],
        lambda: ["MSETNX", k(), v(), k(), v()],
        lambda: ["GETEX", k(), "PX", rng.randrange(100000, 1000000)],
        lambda: ["DEL", k(), k()],
        lambda: ["RENAME", k(), k()],
        lambda: ["COPY", k(), k(), "REPLACE"],
        lambda: ["COPY", h(), h(), "REPLACE"],
        lambda: ["EXPIRE", k(), rng.randrange(100, 1000), rng.choice(["NX", "XX", "GT", "LT"])],
        lambda: ["PERSIST", k()],
        lambda: ["HSET", h(), f(), v(), f(), v()],
        lambda: ["HDEL", h(), f()],
        lambda: ["HINCRBY", h(), f(), 3],
        lambda: ["SWAPDB", 0, 1],
        lambda: ["MOVE", k(), 1],
    ])()


def test_random_commands(journaled):
    r = journaled.client(decode_responses=False)
    rng = random.Random(12)
    for _ in range(3):
        pipe = r.pipeline(transaction=False)
        for _ in range(1500):
            pipe.execute_command(*random_command(rng))
        pipe.execute(raise_on_error=False)
        before = snapshot(r)
        assert len(before) > 3
        assert after_restart(journaled) == before
        r = journaled.client(decode_responses=False)
