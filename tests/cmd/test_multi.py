"""Transactions: queueing, EXECABORT, watched keys, one group in the journal."""

import time

import pytest
from resp import Conn, Error, encode


@pytest.fixture
def conns(server, r):
    made = [Conn(server.raw()) for _ in range(3)]
    yield made
    for c in made:
        c.close()


def run(c, *commands):
    """MULTI, the commands, EXEC; gives EXEC's reply."""
    c.call("MULTI")
    for cmd in commands:
        c.call(*cmd.split())
    return c.call("EXEC")


def test_queue_and_exec(conns):
    c, other, _ = conns
    assert c.call("MULTI") == "OK"
    assert c.call("SET", "k", "v") == "QUEUED" and c.call("LPUSH", "l", "a", "b") == "QUEUED"
    assert other.call("EXISTS", "k", "l") == 0
    assert c.call("EXEC") == ["OK", 2]
    assert other.call("EXISTS", "k", "l") == 2
    assert run(c) == []
    assert run(c, "SELECT 1", "SET k other", "SELECT 0") == ["OK", "OK", "OK"]
    assert c.call("GET", "k") == b"v"
    other.call("SELECT", 1)
    other.call("FLUSHDB")


def test_discard_and_nesting(conns):
    c = conns[0]
    assert str(c.call("EXEC")) == "ERR EXEC without MULTI"
    assert str(c.call("DISCARD")) == "ERR DISCARD without MULTI"
    c.call("MULTI")
    assert str(c.call("MULTI")) == "ERR MULTI calls can not be nested"
    assert str(c.call("WATCH", "k")) == "ERR WATCH inside MULTI is not allowed"
    c.call("SET", "k", 1)
    assert c.call("DISCARD") == "OK"
    assert c.call("EXISTS", "k") == 0
    c.call("MULTI")
    assert c.call("RESET") == "RESET" and c.call("PING") == "PONG"


@pytest.mark.parametrize("bad", ["NOSUCH x", "GET", "CONFIG NOSUCH"])
def test_refused_command_aborts(conns, bad):
    c = conns[0]
    c.call("MULTI")
    c.call("SET", "k", 1)
    assert isinstance(c.call(*bad.split()), Error)
    assert str(c.call("EXEC")) == "EXECABORT Transaction discarded because of previous errors."
    assert c.call("EXISTS", "k") == 0 and run(c, "PING") == ["PONG"]


def test_refused_exec_says_why(conns):
    c = conns[0]
    c.call("MULTI")
    assert "EXECABORT Transaction discarded because of: wrong number of arguments" in str(c.call("EXEC", "x"))
    assert str(c.call("EXEC")) == "ERR EXEC without MULTI"


def test_errors_inside_do_not_stop_the_rest(conns):
    got = run(conns[0], "SET s v", "LPUSH s x", "INCR s", "APPEND s w")
    assert got[0] == "OK" and got[3] == 2
    assert str(got[1]).startswith("WRONGTYPE") and str(got[2]).startswith("ERR value is not an integer")


def test_watch(conns):
    c, other, _ = conns
    c.call("WATCH", "k", "j")
    other.call("SET", "unrelated", 1)
    assert run(c, "PING") == ["PONG"]
    c.call("WATCH", "k", "j")
    other.call("SET", "j", 1)
    assert run(c, "SET k v") is None and c.call("EXISTS", "k") == 0
    assert run(c, "PING") == ["PONG"]  # watches end with EXEC
    c.call("WATCH", "k")
    c.call("SET", "k", "mine")  # its own change counts, too
    assert run(c, "PING") is None
    for stop in ("UNWATCH", "DISCARD"):
        c.call("WATCH", "k")
        other.call("APPEND", "k", "x")
        if stop == "DISCARD":
            c.call("MULTI")
        c.call(stop)
        assert run(c, "PING") == ["PONG"]


@pytest.mark.parametrize("change", ["DEL k", "RENAME k z", "RENAME z k", "EXPIRE k 100", "PERSIST e", "LPUSH l x",
                                    "RPOPLPUSH l k2", "HSET h f v", "XADD x 1 f v", "FLUSHDB", "FLUSHALL", "SWAPDB 0 1",
                                    "LPOP l", "COPY z k REPLACE", "SETRANGE k 0 x", "RESTORE"])
def test_what_counts_as_a_change(conns, change):
    c, other, _ = conns
    for setup in ("SET k v", "SET z v", "SET e v EX 100", "RPUSH l a"):
        other.call(*setup.split())
    key = {"PERSIST e": "e", "LPUSH l x": "l", "RPOPLPUSH l k2": "l", "HSET h f v": "h", "XADD x 1 f v": "x",
           "LPOP l": "l"}.get(change, "k")
    c.call("WATCH", key)
    if change == "RESTORE":
        other.call("RESTORE", "k", 0, other.call("DUMP", "z"), "REPLACE")
    else:
        other.call(*change.split())
    assert run(c, "PING") is None
    if change == "SWAPDB 0 1":
        other.call(*change.split())


def test_what_does_not(conns):
    c, other, _ = conns
    c.call("WATCH", "absent")
    for cmd in ("FLUSHALL", "DEL absent", "LPOP absent", "SWAPDB 0 1", "SWAPDB 0 1", "EXPIRE absent 5"):
        other.call(*cmd.split())
    other.call("SELECT", 1)
    other.call("SET", "absent", 1)  # another database's
    assert run(c, "PING") == ["PONG"]
    other.call("DEL", "absent")


def test_watched_key_that_expires(conns):
    c, other, _ = conns
    other.call("SET", "k", "v", "PX", 1)
    time.sleep(0.01)
    c.call("WATCH", "k")  # had expired already
    other.call("GET", "k")
    assert run(c, "PING") == ["PONG"]
    c.sock.sendall(encode("SET", "k", "v", "PX", 100) + encode("WATCH", "k"))  # in one go: it must not have expired between
    assert [c.read(), c.read()] == ["OK", "OK"]
    time.sleep(0.12)
    assert run(c, "PING") is None


def test_blocking_commands_do_not_block(conns):
    got = run(conns[0], "BLPOP l 0", "BLMOVE a b LEFT LEFT 0", "BLMPOP 0 1 l LEFT", "XREAD BLOCK 0 STREAMS s $",
              "RPUSH l x", "BLPOP l 0")
    assert got == [None, None, None, None, 1, [b"l", b"x"]]


def test_survives_as_one(fresh):
    server = fresh("--appendonly", "yes", "--appendfsync", "always")
    c = Conn(server.raw())
    assert run(c, "SET a 1", "RPUSH l x y z", "LPOP l", "XADD s 1-* f v", "INCR a") == ["OK", 3, b"x", b"1-0", 2]
    server.kill9()
    server.start()
    c = Conn(server.raw())
    assert c.call("GET", "a") == b"2" and c.call("LRANGE", "l", 0, -1) == [b"y", b"z"] and c.call("XLEN", "s") == 1
    c.close()
