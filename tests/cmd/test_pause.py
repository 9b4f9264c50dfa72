"""CLIENT PAUSE: what waits, in which order it goes on, and what time does meanwhile."""

import time

import pytest
from resp import Conn


@pytest.fixture
def conns(server, r):
    made = [Conn(server.raw()) for _ in range(4)]
    yield made
    made[0].call("CLIENT", "UNPAUSE")
    for c in made:
        c.close()


def waiting(c, n):
    while b"blocked_clients:%d\r" % n not in c.call("INFO", "clients"):
        time.sleep(0.005)


def test_writes_wait_and_reads_do_not(conns):
    a, b, c, _ = conns
    assert a.call("CLIENT", "PAUSE", 100000, "WRITE") == "OK"
    b.send("SET", "k", 1)
    b.send("INCR", "k")  # behind it, in the same pipeline
    c.send("PUBLISH", "ch", "x")
    waiting(a, 2)
    assert a.call("GET", "k") is None
    assert str(a.call("SET", "k")) == "ERR wrong number of arguments for 'set' command"
    assert a.call("CLIENT", "UNPAUSE") == "OK"
    assert b.read() == "OK" and b.read() == 2 and c.read() == 0


def test_who_came_first_goes_first(conns):
    a, *others = conns
    a.call("CLIENT", "PAUSE", 100000, "WRITE")
    for i, c in enumerate(reversed(others)):
        c.send("RPUSH", "l", i)
        waiting(a, i + 1)
    a.call("CLIENT", "UNPAUSE")
    assert [c.read() for c in reversed(others)] == [1, 2, 3]
    assert a.call("LRANGE", "l", 0, -1) == [b"0", b"1", b"2"]


def test_transactions_and_scripts(conns):
    a, b, c, d = conns
    for k in (b, c):
        k.call("MULTI")
        k.call(*(("SET", "k", 1) if k is b else ("GET", "k")))
    a.call("CLIENT", "PAUSE", 100000, "WRITE")
    b.send("EXEC")
    waiting(a, 1)
    assert c.call("EXEC") == [None]
    assert c.call("EVAL", "#!lua flags=no-writes\nreturn 7", 0) == 7 and c.call("EVAL_RO", "return 8", 0) == 8
    d.send("EVAL", "return 9", 0)
    waiting(a, 2)
    a.call("CLIENT", "UNPAUSE")
    assert b.read() == ["OK"] and d.read() == 9


def test_all_wait_until_the_time_is_over(conns):
    a, b, _, _ = conns
    begin = time.monotonic()
    a.call("CLIENT", "PAUSE", 150)
    b.send("PING")
    a.send("CLIENT", "UNPAUSE")  # waits, too: only time ends it
    assert b.read() == "PONG" and time.monotonic() - begin > 0.14
    assert a.read() == "OK"


def test_a_longer_and_stricter_pause_stays(conns):
    a, b, _, _ = conns
    a.call("CLIENT", "PAUSE", 100000, "WRITE")
    a.call("CLIENT", "PAUSE", 1, "WRITE")
    b.send("SET", "k", 1)
    waiting(a, 1)
    time.sleep(0.02)
    assert a.call("EXISTS", "k") == 0
    a.call("CLIENT", "UNPAUSE")
    assert b.read() == "OK"


def test_nothing_expires_meanwhile(conns, r):
    a, b, _, _ = conns
    before = r.info("stats")["expired_keys"]
    a.call("MULTI")
    a.call("SET", "k", 1, "PX", 5)
    a.call("SET", "l", 1, "PX", 5)
    a.call("CLIENT", "PAUSE", 100000, "WRITE")
    a.call("EXEC")
    while a.call("GET", "k") is not None or a.call("EXISTS", "l"):
        pass
    assert r.info("stats")["expired_keys"] == before and a.call("DBSIZE") == 2 and a.call("KEYS", "*") == []
    a.call("CLIENT", "UNPAUSE")
    assert a.call("GET", "k") is None and a.call("EXISTS", "l") == 0
    assert r.info("stats")["expired_keys"] == before + 2


def test_a_key_whose_time_has_come_may_be_set_in_a_pause(conns):
    """The transaction that pauses goes on writing."""
    a = conns[0]
    a.call("SET", "old", 7, "PX", 30)
    a.call("SET", "new", 7, "PX", 30)
    a.call("MULTI")
    for line in (["CLIENT", "PAUSE", 100000, "WRITE"], ["SET", "from", 1], ["RENAME", "from", "old"],
                 ["SADD", "new", "x"], ["GET", "old"]):
        assert a.call(*line) == "QUEUED"
    time.sleep(0.04)
    assert a.call("EXEC")[-1] == b"1"
    assert a.call("TTL", "old") == -1


def test_who_leaves_while_waiting(conns):
    a, b, c, _ = conns
    a.call("CLIENT", "PAUSE", 100000, "WRITE")
    b.send("SET", "k", 1)
    waiting(a, 1)
    b.close()
    waiting(a, 0)
    c.send("CLIENT", "REPLY", "SKIP")
    c.send("SET", "k", 2)
    c.send("GET", "k")
    waiting(a, 1)
    a.call("CLIENT", "UNPAUSE")
    assert c.read() == b"2"


@pytest.mark.parametrize("args, error", [
    (["x"], "ERR timeout is not an integer or out of range"),
    (["-1"], "ERR timeout is negative"),
    (["10", "SOME"], "ERR CLIENT PAUSE mode must be WRITE or ALL"),
])
def test_refused(conns, args, error):
    assert str(conns[1].call("CLIENT", "PAUSE", *args)) == error
