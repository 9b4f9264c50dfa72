"""Clients that break off, never read, send garbage or too much of everything. The server goes on answering the others."""

import os
import random
import resource
import socket
import time

import pytest

from resp import Conn, Error, encode
from skald import SLOW


@pytest.fixture
def server(fresh):
    """A server of its own for each test, which has to be alive and clean at the test's end."""
    s = fresh()
    yield s
    assert Conn(s.raw()).call("PING") == "PONG"
    s.stop()


@pytest.fixture
def good(server):
    """The client that goes on all the while."""
    c = Conn(server.raw())
    yield c
    assert c.call("PING") == "PONG"
    c.close()


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def info(good, name):
    for line in good.call("INFO").decode().split("\r\n"):
        if line.startswith(name + ":"):
            return int(line.split(":")[1])
    raise KeyError(name)


def closed(c):
    """Reads on until the server has closed; the replies that came before."""
    replies = []
    try:
        while True:
            replies.append(c.read())
    except (EOFError, ConnectionError):
        return replies


# ---- breaking off ----

@pytest.mark.parametrize("half", [
    b"*", b"*3", b"*3\r\n", b"*3\r\n$3\r\nSET\r\n", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\nabc", b"SET k", b"\r", b'"',
    b"*1\r\n$4\r\nPING\r", b"*2\r\n$4\r\nMGET\r\n$",
])
def test_half_a_command_then_gone(server, good, half):
    for end in (socket.SHUT_WR, socket.SHUT_RDWR, None):
        s = server.raw()
        s.sendall(b"PING\r\n" + half)
        if end is not None:
            s.shutdown(end)
        s.close()
    assert good.call("DBSIZE") == 0
    wait_for(lambda: info(good, "connected_clients") == 1)


def test_what_came_before_the_end_is_answered(server, good):
    """printf 'SET k v\\r\\nGET k\\r\\n' | nc: the input ends, the replies are still sent."""
    c = Conn(server.raw())
    c.sock.sendall(encode("SET", "k", "v") * 1000 + encode("GET", "k") + b"*1\r\n$4\r\nPI")
    c.sock.shutdown(socket.SHUT_WR)
    assert closed(c) == ["OK"] * 1000 + [b"v"]


def test_a_reset_in_the_middle_of_a_pipeline(server, good):
    for _ in range(20):
        s = server.raw()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.sendall(encode("RPUSH", "l", "x" * 1000) * 500 + encode("LRANGE", "l", 0, -1) * 3)
        s.close()  # an RST
    wait_for(lambda: info(good, "connected_clients") == 1)


def test_a_command_byte_by_byte(server):
    c = Conn(server.raw())
    for b in encode("SET", "k", "v") + b"GET k\r\n":
        c.sock.sendall(bytes([b]))
    assert [c.read(), c.read()] == ["OK", b"v"]


@pytest.mark.parametrize("command", [["BLPOP", "q", 0], ["BLMOVE", "q", "p", "LEFT", "LEFT", 0], ["BLMPOP", 0, 1, "q", "LEFT"]])
def test_a_client_that_is_gone_takes_nothing(server, good, command):
    """Its command was parked; what is pushed afterwards must stay."""
    waiting = [Conn(server.raw()) for _ in range(10)]
    for c in waiting:
        c.send(*command)
    wait_for(lambda: info(good, "blocked_clients") == 10)
    for c in waiting[:5]:
        c.close()
    ids = [dict(f.split("=", 1) for f in line.split(" ")) for line in
           good.call("CLIENT", "LIST").decode().strip().split("\n")]
    killed = [c["id"] for c in ids if "b" in c["flags"]][-5:]
    for i in killed:
        good.call("CLIENT", "KILL", "ID", i)
    wait_for(lambda: info(good, "blocked_clients") == 0)
    assert good.call("RPUSH", "q", "x") == 1
    assert good.call("LLEN", "q") == 1


def test_a_client_that_is_gone_leaves_its_transaction_undone(server, good):
    c = Conn(server.raw())
    assert c.call("WATCH", "k") == "OK" and c.call("MULTI") == "OK" and c.call("SET", "k", 1) == "QUEUED"
    c.close()
    wait_for(lambda: info(good, "connected_clients") == 1)
    assert good.call("GET", "k") is None


# ---- not reading ----

def test_a_client_that_never_reads_is_closed(server, good):
    good.call("CONFIG", "SET", "client-output-buffer-limit", "normal 4mb 0 0")
    good.call("SET", "big", "x" * 1000000)
    s = server.raw()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(5)
    try:
        for _ in range(200):
            s.sendall(encode("GET", "big"))
            assert good.call("PING") == "PONG"
    except OSError:
        pass
    wait_for(lambda: info(good, "client_output_buffer_limit_disconnections") == 1)
    wait_for(lambda: info(good, "connected_clients") == 1)
    assert info(good, "used_memory") < 30_000_000
    s.close()


def test_a_subscriber_that_never_reads_is_closed(server, good):
    good.call("CONFIG", "SET", "client-output-buffer-limit", "pubsub 2mb 0 0")
    lazy, eager = Conn(server.raw()), Conn(server.raw())
    lazy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.call("SUBSCRIBE", "c")
    eager.call("SUBSCRIBE", "c")
    sent = 0
    while good.call("PUBLISH", "c", "x" * 100000) == 2:
        sent += 1
        assert eager.read()[2] == b"x" * 100000
        assert sent < 1000
    assert eager.read()[2] == b"x" * 100000
    assert info(good, "client_output_buffer_limit_disconnections") == 1


def test_the_soft_limit_has_its_time(server, good):
    good.call("CONFIG", "SET", "client-output-buffer-limit", "normal 0 1mb 1")
    good.call("SET", "big", "x" * 1000000)
    s = server.raw()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.sendall(encode("GET", "big") * 20)
    wait_for(lambda: info(good, "client_output_buffer_limit_disconnections") == 1)
    s.close()


def test_a_slow_reader_gets_everything(server, good):
    good.call("SET", "big", "x" * 1000000)
    c = Conn(server.raw())
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    c.sock.sendall(encode("GET", "big") * 30)
    for _ in range(30):
        assert good.call("PING") == "PONG"
        assert len(c.read()) == 1000000


# ---- too much ----

def test_the_query_buffer_has_a_limit(server, good):
    good.call("CONFIG", "SET", "client-query-buffer-limit", "1mb")
    c = Conn(server.raw())
    try:
        c.sock.sendall(b"*2\r\n$3\r\nGET\r\n$100000000\r\n" + b"x" * 20_000_000)
    except OSError:
        pass
    wait_for(lambda: info(good, "client_query_buffer_limit_disconnections") == 1)
    assert closed(c) == []
    c = Conn(server.raw())  # many small commands are no large one
    c.sock.sendall(encode("PING") * 100000)
    for _ in range(100000):
        assert c.read() == "PONG"


def test_arguments_have_a_limit(server, good):
    good.call("CONFIG", "SET", "proto-max-bulk-len", "1mb")
    assert good.call("SET", "k", "x" * (1 << 20)) == "OK"
    c = Conn(server.raw())
    c.sock.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048577\r\n")
    assert [str(r) for r in closed(c)] == ["ERR Protocol error: invalid bulk length"]


@pytest.mark.parametrize("bytes, says", [
    (b"*1048577\r\n", "invalid multibulk length"),
    (b"*99999999999999999999\r\n", "invalid multibulk length"),
    (b"*abc\r\n", "invalid multibulk length"),
    (b"*1\r\n$-1\r\n", "invalid bulk length"),
    (b"*1\r\n$536870913\r\n", "invalid bulk length"),
    (b"*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
    (b"*1\r\n:1\r\n", "expected '$', got ':'"),
    (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
    (b"*" + b"1" * 70000, "too big mbulk count string"),
    (b"*1\r\n$" + b"1" * 70000, "too big bulk count string"),
    (b"x" * 70000, "too big inline request"),
    (b'SET k "v\r\n', "unbalanced quotes"),
    (b"SET k 'v\r\n", "unbalanced quotes"),
    (b'SET k "v"x\r\n', "unbalanced quotes"),
])
def test_a_broken_request_is_told_why_and_closed(server, good, bytes, says):
    c = Conn(server.raw())
    c.sock.sendall(b"PING\r\n" + bytes)
    replies = closed(c)
    assert replies[0] == "PONG" and len(replies) == 2
    assert isinstance(replies[1], Error) and "Protocol error" in str(replies[1]) and says in str(replies[1])


@pytest.mark.parametrize("bytes", [b"*0\r\n", b"*-1\r\n", b"*-5\r\n", b"\r\n", b"\n", b"   \r\n"])
def test_an_empty_request_is_ignored(server, bytes):
    c = Conn(server.raw())
    c.sock.sendall(bytes * 3 + b"PING\r\n")
    assert c.read() == "PONG"


def test_announced_sizes_cost_nothing(server, good):
    """A thousand headers that promise half a gigabyte each, and a million arguments."""
    before = info(good, "used_memory")
    held = [server.raw() for _ in range(200)]
    for i, s in enumerate(held):
        s.sendall(b"*1048576\r\n$3\r\nSET\r\n" if i % 2 else b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nxxx")
    assert good.call("PING") == "PONG"
    wait_for(lambda: info(good, "connected_clients") == 201)
    assert info(good, "used_memory") - before < 40_000_000
    for s in held:
        s.close()


def test_random_bytes(server, good):
    rng = random.Random(5)
    pieces = [b"*3\r\n", b"$3\r\n", b"SET", b"\r\n", b"*1\r\n$4\r\nPING\r\n", b"GET k\r\n", b'"', b"'", b"\0", b"*-1\r\n",
              b"$-1\r\n", b"+OK\r\n", b"_\r\n", b">2\r\n", b"\xff\xfe", b"%1\r\n", b"=5\r\ntxt:x\r\n", b"FLUSHALL"]
    for _ in range(150 if SLOW else 500):
        s = server.raw()
        n = rng.randrange(1, 40)
        data = b"".join(rng.choice(pieces) if rng.random() < 0.7 else rng.randbytes(rng.randrange(1, 50)) for _ in range(n))
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        except OSError:
            pass
        s.close()
    wait_for(lambda: info(good, "connected_clients") == 1)


def test_other_protocols_at_the_port(server, good):
    for hello in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a b\r\n",
                  b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), b"SSH-2.0-OpenSSH_9.2\r\n"):
        s = server.raw()
        s.sendall(hello)
        s.shutdown(socket.SHUT_WR)
        try:
            while s.recv(65536):
                pass
        except OSError:
            pass
        s.close()
    assert good.call("EXISTS", "a") == 0  # a web page that posts commands gets nothing done


# ---- many ----

def test_a_thousand_idle_connections(server, good):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 1200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    held = [server.raw() for _ in range(1000)]
    for s in held[::10]:
        s.sendall(b"PING\r\n")
    for s in held[::10]:
        assert s.recv(100) == b"+PONG\r\n"
    assert info(good, "connected_clients") == 1001
    assert good.call("SET", "k", 1) == "OK"
    for s in held:
        s.close()
    wait_for(lambda: info(good, "connected_clients") == 1)


def test_a_pipeline_of_ten_thousand_commands(server, good):
    c = Conn(server.raw())
    c.sock.sendall(b"".join(encode("SET", f"k{i}", i) + encode("GET", f"k{i}") for i in range(5000)))
    assert good.call("PING") == "PONG"
    for i in range(5000):
        assert c.read() == "OK" and c.read() == b"%d" % i


def test_a_pipeline_behind_a_parked_command_waits(server, good):
    c = Conn(server.raw())
    c.sock.sendall(encode("BLPOP", "q", 0) + b"".join(encode("INCR", "n") for _ in range(3000)))
    wait_for(lambda: info(good, "blocked_clients") == 1)
    assert good.call("GET", "n") is None
    good.call("RPUSH", "q", "x")
    assert c.read() == [b"q", b"x"]
    assert [c.read() for _ in range(3000)] == list(range(1, 3001))


def test_connections_come_and_go(server, good):
    for _ in range(300 if SLOW else 2000):
        s = server.raw()
        s.sendall(b"PING\r\n")
        assert s.recv(100) == b"+PONG\r\n"
        s.close()
    wait_for(lambda: info(good, "connected_clients") == 1)
    with open(f"/proc/{server.proc.pid}/status") as f:
        assert "State" in f.read()
    assert len(os.listdir(f"/proc/{server.proc.pid}/fd")) < 60


def test_a_large_reply_and_a_large_request(server, good):
    n = 20_000_000
    assert good.call("SET", "k", "x" * n) == "OK"
    assert len(good.call("GET", "k")) == n
    assert good.call("RPUSH", "l", *["v"] * 200_000) == 200_000
    assert len(good.call("LRANGE", "l", 0, -1)) == 200_000
