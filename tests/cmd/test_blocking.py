"""Blocked clients: who is served and when, timeouts, CLIENT UNBLOCK, disconnects, transactions, the journal."""

import time

import pytest
from resp import Conn, encode


@pytest.fixture
def conns(server, r):
    """Makes connections; the last call's are closed at the end."""
    made = []

    def make(n):
        made.extend(Conn(server.raw()) for _ in range(n))
        return made[-n:]

    yield make
    for c in made:
        c.close()
        c.sock.close()


def blocked(r):
    return sum("b" in c["flags"] for c in r.client_list())


def wait_blocked(r, n):
    for _ in range(12000):
        if blocked(r) == n:
            return
        time.sleep(0.005)
    raise AssertionError(f"{blocked(r)} clients are blocked, not {n}")


def quiet(c):
    """Nothing has come to c: a command sent now is not answered before what it waits for."""
    c.sock.setblocking(False)
    try:
        data = c.sock.recv(1)
    except BlockingIOError:
        return True
    finally:
        c.sock.settimeout(120)
    raise AssertionError(f"{data!r} came")


def block(r, c, *cmd):
    n = blocked(r)
    c.send(*cmd)
    wait_blocked(r, n + 1)


def test_first_come_first_served(conns, r):
    waiting = conns(4)
    for c in waiting:
        block(r, c, "BLPOP", "a", "b", 0)
    assert r.rpush("b", "1", "2") == 2
    assert waiting[0].read() == [b"b", b"1"] and waiting[1].read() == [b"b", b"2"]
    assert not r.exists("b") and quiet(waiting[2])
    r.rpush("a", "3")
    r.rpush("b", "4")
    assert waiting[2].read() == [b"a", b"3"] and waiting[3].read() == [b"b", b"4"]
    assert blocked(r) == 0


def test_each_kind(conns, r):
    a, b, c, d, e = conns(5)
    block(r, a, "BRPOP", "k", 0)
    r.rpush("k", 1, 2)
    assert a.read() == [b"k", b"2"] and r.lrange("k", 0, -1) == [b"1"]
    block(r, b, "BLMOVE", "src", "dst", "LEFT", "RIGHT", 0)
    block(r, c, "BRPOPLPUSH", "src", "dst", 0)
    r.rpush("src", "x", "y")
    assert b.read() == b"x" and c.read() == b"y" and r.lrange("dst", 0, -1) == [b"y", b"x"]
    block(r, d, "BLMPOP", 0, 2, "m", "n", "RIGHT", "COUNT", 2)
    r.rpush("n", 1, 2, 3)
    assert d.read() == [b"n", [b"3", b"2"]] and r.llen("n") == 1
    block(r, e, "XREAD", "COUNT", 5, "BLOCK", 0, "STREAMS", "s", "t", "$", "5-0")
    r.execute_command("XADD", "t", "4-0", "f", "v")
    assert quiet(e)
    r.execute_command("XADD", "t", "6-0", "f", "v")
    assert e.read() == [[b"t", [[b"6-0", [b"f", b"v"]]]]]


def test_dollar_is_the_moment_of_the_call(conns, r):
    (c,) = conns(1)
    r.execute_command("XADD", "s", "1-0", "f", "old")
    block(r, c, "XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    r.execute_command("XADD", "s", "2-0", "f", "new")
    assert c.read() == [[b"s", [[b"2-0", [b"f", b"new"]]]]]


def test_all_readers_of_a_stream_are_served(conns, r):
    waiting = conns(5)
    for c in waiting:
        block(r, c, "XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    r.execute_command("XADD", "s", "1-0", "f", "v")
    assert [c.read() for c in waiting] == [[[b"s", [[b"1-0", [b"f", b"v"]]]]]] * 5


def test_a_chain_of_moves(conns, r):
    a, b, c = conns(3)
    block(r, a, "BLMOVE", "one", "two", "LEFT", "LEFT", 0)
    block(r, b, "BLMOVE", "two", "three", "LEFT", "LEFT", 0)
    block(r, c, "BLPOP", "three", 0)
    r.rpush("one", "through")
    assert a.read() == b"through" and b.read() == b"through" and c.read() == [b"three", b"through"]
    assert r.dbsize() == 0


def test_other_types_are_waited_out(conns, r):
    a, b = conns(2)
    block(r, a, "BLPOP", "k", 0)
    r.set("k", "a string")
    r.execute_command("XADD", "s", "1-0", "f", "v")
    r.rename("s", "k")
    assert quiet(a)
    r.delete("k")
    r.rpush("k", "x")
    assert a.read() == [b"k", b"x"]
    r.set("dst", "a string")
    block(r, b, "BLMOVE", "src", "dst", "LEFT", "LEFT", 0)
    r.rpush("src", "x")
    assert str(b.read()).startswith("WRONGTYPE") and r.llen("src") == 1


@pytest.mark.parametrize("bring", ["RENAME l k", "COPY l k", "LMOVE l k LEFT LEFT", "RESTORE", "SWAPDB 0 1", "MOVE k 0"])
def test_other_ways_for_a_list_to_come(conns, r, server, bring):
    (c,) = conns(1)
    other = server.client(db=1)
    r.rpush("l", "x")
    block(r, c, "BLPOP", "k", 0)
    if bring == "RESTORE":
        r.restore("k", 0, r.dump("l"))
    elif bring.startswith("SWAPDB"):
        other.rpush("k", "x")
        r.execute_command(*bring.split())
    elif bring.startswith("MOVE"):
        other.rpush("k", "x")
        other.execute_command(*bring.split())
    else:
        r.execute_command(*bring.split())
    assert c.read() == [b"k", b"x"]
    other.flushdb()


def test_transactions_wake_at_their_end(conns, r):
    a, b = conns(2)
    block(r, a, "BLPOP", "k", 0)
    for cmd in ("MULTI", "RPUSH k x", "RPUSH k y", "LPOP k", "LLEN k"):
        b.call(*cmd.split())
    assert b.call("EXEC") == [1, 2, b"x", 1]
    assert a.read() == [b"k", b"y"]
    block(r, a, "BLPOP", "k", 0)
    for cmd in ("MULTI", "RPUSH k x", "DEL k"):
        b.call(*cmd.split())
    assert b.call("EXEC") == [1, 1] and quiet(a)
    r.rpush("k", "z")
    assert a.read() == [b"k", b"z"]


def test_timeouts(conns, r):
    a, b, c, d = conns(4)
    a.send("BLPOP", "k", 0.02)
    b.send("BLMOVE", "k", "l", "LEFT", "LEFT", 0.01)
    c.send("XREAD", "BLOCK", 15, "STREAMS", "s", "$")
    assert a.read() is None and b.read() is None and c.read() is None and blocked(r) == 0
    d.call("HELLO", 3)
    d.send("BLMPOP", "0.01", 1, "k", "LEFT")
    assert d.read() is None
    block(r, a, "BLPOP", "k", 1000)
    r.rpush("k", 1)
    assert a.read() == [b"k", b"1"]
    for bad, why in (("x", "timeout is not a float or out of range"), (-1, "timeout is negative")):
        assert str(a.call("BLPOP", "k", bad)) == "ERR " + why


def test_unblock(conns, r):
    a, b = conns(2)
    ids = [c.call("CLIENT", "ID") for c in (a, b)]
    block(r, a, "BLPOP", "k", 0)
    block(r, b, "XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    assert r.execute_command("CLIENT", "UNBLOCK", ids[0]) == 1
    assert r.execute_command("CLIENT", "UNBLOCK", ids[1], "ERROR") == 1
    assert a.read() is None and str(b.read()) == "UNBLOCKED client unblocked via CLIENT UNBLOCK"
    assert r.execute_command("CLIENT", "UNBLOCK", ids[0]) == 0
    r.rpush("k", 1)
    assert r.llen("k") == 1


def test_disconnect_frees_the_place(conns, r):
    a, b = conns(2)
    block(r, a, "BLPOP", "k", 0)
    block(r, b, "BLPOP", "k", 0)
    a.close()
    a.sock.close()
    wait_blocked(r, 1)
    r.rpush("k", 1)
    assert b.read() == [b"k", b"1"]


def test_killed_while_blocked(conns, r):
    (a,) = conns(1)
    me = a.call("CLIENT", "ID")
    block(r, a, "BLPOP", "k", 0)
    assert r.execute_command("CLIENT", "KILL", "ID", me) == 1
    with pytest.raises((EOFError, ConnectionError)):
        a.read()
    wait_blocked(r, 0)
    r.rpush("k", 1)
    assert r.llen("k") == 1


def test_pipeline_stops_and_goes_on(conns, r):
    a, b = conns(2)
    b.sock.sendall(encode("BLPOP", "k", 0))
    wait_blocked(r, 1)
    a.sock.sendall(encode("SET", "x", 1) + encode("BLPOP", "k", 0) + encode("BLPOP", "k", 0) + encode("INCR", "x"))
    assert a.read() == "OK"
    wait_blocked(r, 2)
    r.rpush("k", 1, 2, 3)
    assert b.read() == [b"k", b"1"] and a.read() == [b"k", b"2"] and a.read() == [b"k", b"3"] and a.read() == 2


def test_the_same_key_twice(conns, r):
    (a,) = conns(1)
    block(r, a, "BLPOP", "k", "k", 0)
    r.rpush("k", 1)
    assert a.read() == [b"k", b"1"] and blocked(r) == 0


def test_many(conns, r):
    waiting = conns(200)
    for c in waiting:
        c.send("BLPOP", "k", "other", 0)
    wait_blocked(r, 200)
    r.rpush("k", *range(150))
    r.rpush("other", *range(50))
    got = [c.read() for c in waiting]
    assert sorted(int(v) for k, v in got if k == b"k") == list(range(150)) and len(got) == 200
    assert r.dbsize() == 0


def test_journaled(fresh):
    server = fresh("--appendonly", "yes", "--appendfsync", "always")
    r = server.client(decode_responses=False)
    a, b, c = (Conn(server.raw()) for _ in range(3))
    block(r, a, "BLPOP", "k", 0)
    block(r, b, "BLMOVE", "k", "to", "RIGHT", "LEFT", 0)
    block(r, c, "BLMPOP", 0, 1, "k", "LEFT", "COUNT", 2)
    r.rpush("k", 1, 2, 3, 4, 5)
    assert a.read() == [b"k", b"1"] and b.read() == b"5" and c.read() == [b"k", [b"2", b"3"]]
    b.call("BRPOPLPUSH", "k", "to", 1)
    r.rpush("k", "left")
    server.kill9()
    server.start()
    r = server.client(decode_responses=False)
    assert r.lrange("k", 0, -1) == [b"left"] and r.lrange("to", 0, -1) == [b"4", b"5"]
