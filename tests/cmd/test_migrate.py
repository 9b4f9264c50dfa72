"""MIGRATE to another Skald and to a real redis-server, by one connection that is kept, without the loop waiting."""

import socket
import threading
import time

import pytest
import redis

import reference
from helpers import error, raw


def move(r, port, *args):
    return raw(r, "MIGRATE", "127.0.0.1", port, *args)


def fill(r):
    r.set("s", "v")
    r.set("ttl", "v", px=100_000)
    r.rpush("l", *range(300))
    r.hset("h", mapping={"a": 1})
    r.zadd("z", {"a": 1.5})
    r.xadd("x", {"a": 1})


@pytest.mark.parametrize("kind", ["skald", "redis-server"])
def test_keys_move(server, fresh, r, tmp_path, kind):
    if kind == "skald":
        target = fresh().client()
        move_and_look(r, target)
    else:
        with reference.running(tmp_path) as target:
            move_and_look(r, target)


def move_and_look(r, target):
    port = target.connection_pool.connection_kwargs["port"]
    there = redis.Redis(port=port, db=9, decode_responses=True)
    fill(r)
    assert move(r, port, "nothing", 9, 60_000) == b"NOKEY"
    assert move(r, port, "s", 9, 60_000) == b"OK"
    assert not r.exists("s") and there.get("s") == "v"
    assert move(r, port, "", 9, 60_000, "KEYS", "ttl", "nothing", "l", "h", "z", "x") == b"OK"
    assert r.dbsize() == 0 and there.dbsize() == 6
    assert 90_000 < there.pttl("ttl") <= 100_000 and there.lrange("l", 0, -1) == [str(i) for i in range(300)]
    r.set("s", "new")
    assert "BUSYKEY" in error(r, "MIGRATE", "127.0.0.1", port, "s", 9, 60_000)
    assert r.get("s") == b"new" and there.get("s") == "v"
    assert move(r, port, "s", 9, 60_000, "COPY", "REPLACE") == b"OK"
    assert r.get("s") == b"new" and there.get("s") == "new"
    assert r.info("stats")["migrate_cached_sockets"] >= 1
    target.execute_command("CONFIG", "SET", "requirepass", "secret")
    there.close()
    assert move(r, port, "s", 8, 60_000, "AUTH", "secret") == b"OK"
    r.set("s", 1)
    assert "Target instance replied with error: " in error(r, "MIGRATE", "127.0.0.1", port, "s", 7, 60_000, "AUTH", "no")
    assert r.get("s") == b"1"


def test_what_was_moved_stays_moved_after_a_crash(fresh):
    a, b = fresh("--appendonly", "yes", "--appendfsync", "always"), fresh()
    r = a.client()
    r.mset({"k": 1, "left": 2})
    assert move(r, b.port, "k", 0, 60_000) in ("OK", b"OK")
    a.kill9()
    a.start()
    assert a.client().keys() == ["left"]


def test_nobody_waits_for_a_silent_target(server, r):
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    r.set("k", 1)
    said = []
    t = threading.Thread(target=lambda: said.append(error(r, "MIGRATE", "127.0.0.1", port, "k", 0, 1500)))
    t.start()
    peer, _ = silent.accept()
    assert peer.recv(9) == b"*2\r\n$6\r\nS"
    other = redis.Redis(port=server.port)
    assert other.ping()
    t.join(120)
    assert said == ["IOERR error or timeout reading to target instance"] and r.get("k") == b"1"
    peer.close()
    silent.close()
    assert error(r, "MIGRATE", "127.0.0.1", port, "k", 0, 60_000) == "IOERR error or timeout connecting to the client"
    assert error(r, "MIGRATE", "x" * 200, port, "k", 0, 5000) == "IOERR error or timeout connecting to the client"
    assert "KEYS option" in error(r, "MIGRATE", "h", port, "k", 0, 1, "KEYS", "a")


def test_a_key_that_changes_on_its_way_stays(server, r):
    target = socket.create_server(("127.0.0.1", 0))
    r.mset({"k": 1, "m": 1})
    said = []
    t = threading.Thread(target=lambda: said.append(
        error(r, "MIGRATE", "127.0.0.1", target.getsockname()[1], "", 0, 20_000, "KEYS", "k", "m")))
    t.start()
    peer, _ = target.accept()
    got = b""
    while got.count(b"RESTORE") < 2:
        got += peer.recv(4096)
    other = redis.Redis(port=server.port)
    other.incr("k")
    peer.sendall(b"+OK\r\n+OK\r\n+O")
    peer.sendall(b"K\r\n")
    t.join(120)
    assert "a key changed while it was on its way" in said[0]
    assert other.get("k") == b"2" and not other.exists("m")
    peer.close()
    target.close()
