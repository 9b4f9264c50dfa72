"""Pipelines: the same commands, sent at once or one by one, give the same replies and the same keyspace, though a server
that gets them at once looks at all of them before it runs the first."""

import random
import time

import pytest
from resp import Conn, Error, encode


@pytest.fixture
def c(server, r):
    conn = Conn(server.raw())
    yield conn
    conn.close()


def at_once(c, commands):
    c.sock.sendall(b"".join(encode(*cmd) for cmd in commands))
    return [c.read() for _ in commands]


def one_by_one(c, commands):
    return [c.call(*cmd) for cmd in commands]


def plain(reply):
    return f"-{reply}" if isinstance(reply, Error) else [plain(x) for x in reply] if isinstance(reply, list) else reply


def random_command(rng):
    """Few keys, all types under all of them, so that keys come, go, grow and change their type all the time."""
    k, k2 = (f"k{rng.randrange(12)}" for _ in range(2))
    m, n = f"m{rng.randrange(40)}", rng.randrange(1000)
    return rng.choice([
        ("SET", k, "v" * rng.randrange(300)), ("SET", k, n), ("set", k, m, "KEEPTTL"), ("GET", k), ("INCR", k),
        ("APPEND", k, m), ("DEL", k, k2), ("UNLINK", k), ("RENAME", k, k2), ("COPY", k, k2), ("MSET", k, m, k2, n),
        ("MGET", k, k2), ("HSET", k, m, n), ("HSET", k, m, "x" * 100), ("HGET", k, m), ("HDEL", k, m), ("HLEN", k),
        ("SADD", k, m, n), ("SREM", k, m), ("SISMEMBER", k, m), ("SCARD", k), ("ZADD", k, n, m), ("ZADD", k, n, "y" * 100),
        ("ZSCORE", k, m), ("ZREM", k, m), ("ZRANK", k, m), ("LPUSH", k, m), ("RPOP", k), ("LRANGE", k, 0, -1),
        ("XADD", k, f"{n}-1", "f", m), ("XLEN", k), ("TYPE", k), ("OBJECT", "ENCODING", k), ("EXPIRE", k, 1000), ("PERSIST", k),
        ("PEXPIRE", k, -1), ("GET",), ("NOSUCH", k), ("Object", "nosuch", k), ("SELECT", rng.choice([0, 0, 1])), ("DBSIZE",),
        ("FLUSHDB",) if rng.random() < 0.1 else ("EXISTS", k, k2), ("MULTI",), ("EXEC",), ("DISCARD",) if rng.random() < 0.2 else ("EXEC",),
        ("WATCH", k), ("ECHO", "z" * rng.randrange(2000)), ("",), ("get", b"\x00\xff" + k.encode()),
    ])


@pytest.mark.parametrize("seed", range(6))
def test_same_as_one_by_one(server, r, seed):
    rng = random.Random(seed)
    commands = [random_command(rng) for _ in range(3000)]
    outcomes = []
    for run in (at_once, one_by_one):
        r.flushall()
        c = Conn(server.raw())
        replies = []
        for first in range(0, len(commands), 500):
            replies += run(c, commands[first:first + 500])
        c.call("DISCARD")
        state = []
        for db in (0, 1):
            c.call("SELECT", db)
            state += [(k, c.call("TYPE", k), c.call("DUMP", k)) for k in sorted(c.call("KEYS", "*"))]
        c.close()
        outcomes.append(([plain(x) for x in replies], state))
    assert outcomes[0][1] == outcomes[1][1]
    for i, (a, b) in enumerate(zip(outcomes[0][0], outcomes[1][0])):
        assert a == b, f"command {i}, {commands[i]!r}: {a!r} in a pipeline, {b!r} alone"


def test_a_key_that_expires_within(c):
    c.call("SET", "k", "v", "PX", 1)
    c.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    time.sleep(0.01)
    assert at_once(c, [("GET", "k"), ("SET", "k", "w"), ("GET", "k"), ("PEXPIRE", "k", 0), ("GET", "k")]) == [None, "OK", b"w", 1, None]
    c.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)


def test_time_goes_on_within(c):
    """Each command begins when the one before it has ended, not when the pipeline came."""
    got = at_once(c, [("SET", "k", "v", "PX", 200), ("EXISTS", "k"), ("DEBUG", "SLEEP", "0.25"), ("EXISTS", "k"), ("TIME",),
                      ("SET", "j", 1, "PX", 5000), ("PEXPIRETIME", "j"), ("TIME",)])
    assert got[:4] == ["OK", 1, "OK", 0]
    before, after = ((int(s) * 1000000 + int(us)) // 1000 for s, us in (got[4], got[7]))
    assert before <= got[6] - 5000 <= after


def test_slow_commands_only_are_slow(c):
    c.call("CONFIG", "SET", "slowlog-log-slower-than", 200000)
    c.call("SLOWLOG", "RESET")
    at_once(c, [("PING",), ("DEBUG", "SLEEP", "0.25"), ("PING",), ("SET", "k", "v"), ("GET", "k")])
    assert [e[3][0] for e in c.call("SLOWLOG", "GET")] == [b"DEBUG"]
    c.call("CONFIG", "SET", "slowlog-log-slower-than", 10000)


def test_blocked_in_the_middle(server, c):
    other = Conn(server.raw())
    c.sock.sendall(b"".join(encode(*x) for x in [("SET", "a", 1), ("BLPOP", "l", 0), ("INCR", "a"), ("GET", "b"), ("BLPOP", "l", 0), ("INCR", "a")]))
    assert c.read() == "OK"
    other.call("SET", "b", "later")  # what the commands behind the wait find is what is there when they run
    assert other.call("GET", "a") == b"1"
    assert other.call("RPUSH", "l", "x") == 1
    assert [c.read() for _ in range(3)] == [[b"l", b"x"], 2, b"later"]
    assert at_once(other, [("RPUSH", "l", "y"), ("LLEN", "l")]) == [1, 0]
    assert [c.read(), c.read()] == [[b"l", b"y"], 3]
    other.close()


def test_cut_anywhere(c):
    """The same bytes in every cut of two."""
    commands = [("SET", "k", "v" * 20), ("GET", "k"), ("INCR", "n"), ("DEL", "n")]
    data = b"".join(encode(*x) for x in commands)
    for cut in range(1, len(data)):
        c.sock.sendall(data[:cut])
        c.sock.sendall(data[cut:])
        assert [c.read() for _ in commands] == ["OK", b"v" * 20, 1, 1]


def test_inline_between(c):
    data = encode("SET", "k", 1) + b"INCR k\r\n" + encode("INCR", "k") + b"\r\nGET k\r\n" + encode("GET", "k")
    c.sock.sendall(data)
    assert [c.read() for _ in range(5)] == ["OK", 2, 3, b"3", b"3"]


def test_an_error_ends_it_after_what_came_before(c):
    c.sock.sendall(encode("SET", "k", "v") + encode("GET", "k") + b"*1\r\n$x\r\n" + encode("DEL", "k"))
    assert c.read() == "OK" and c.read() == b"v"
    assert str(c.read()) == "ERR Protocol error: invalid bulk length"
    with pytest.raises(EOFError):
        c.read()


def test_every_command_counts(c):
    c.call("CONFIG", "RESETSTAT")
    at_once(c, [("GET", "k")] * 70 + [("SET", "k", "v")] * 70 + [("HGET", "k", "f")])
    stats = dict(line.split(":", 1) for line in c.call("INFO", "commandstats").decode().split("\r\n") if ":" in line)
    assert stats["cmdstat_get"].startswith("calls=70,") and stats["cmdstat_set"].startswith("calls=70,")
    assert "failed_calls=1" in stats["cmdstat_hget"]
    info = dict(line.split(":", 1) for line in c.call("INFO", "stats").decode().split("\r\n") if ":" in line)
    assert int(info["keyspace_hits"]) == 1 and int(info["keyspace_misses"]) == 70
