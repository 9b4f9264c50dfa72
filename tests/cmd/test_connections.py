"""What a connection may do to the server, and the server to it: cut requests, pipelines, half-closed and silent peers,
limits, protocol errors, the HTTP door."""

import http.client
import re
import socket
import time

import pytest
from resp import Conn, Error, encode


def read_all(s):
    out = b""
    while True:
        piece = s.recv(65536)
        if not piece:
            return out
        out += piece


def alive(server):
    assert server.client().ping()


def test_cut_at_every_byte(server):
    s = server.raw()
    want = b"+PONG\r\n$5\r\nhello\r\n$3\r\na b\r\n"
    text = encode("PING") + encode("ECHO", "hello") + b'ECHO "a b"\r\n'
    for cut in range(1, len(text)):
        s.sendall(text[:cut])
        time.sleep(0.0005)
        s.sendall(text[cut:])
        got = b""
        while len(got) < len(want):
            got += s.recv(1000)
        assert got == want, cut
    s.close()


def test_long_pipeline(server):
    c = Conn(server.raw())
    c.sock.sendall(b"".join(encode("SET", f"k{i % 100}", i) for i in range(5000)) + encode("GET", "k99"))
    for _ in range(5000):
        assert c.read() == "OK"
    assert c.read() == b"4999"
    c.close()


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 65537, 1 << 20, 20 << 20])
def test_values_of_all_sizes(server, size):
    c = Conn(server.raw())
    value = bytes(i * 7 % 251 for i in range(1000)) * (size // 1000 + 1)
    value = value[:size]
    assert c.call("SET", "sized", value) == "OK"
    assert c.call("GET", "sized") == value
    assert c.call("DEL", "sized") == 1
    c.close()


def test_half_closed_peer_is_answered(server):
    s = server.raw()
    s.sendall(b"PING\r\nSET half closed\r\nGET half\r\n")
    s.shutdown(socket.SHUT_WR)
    assert read_all(s) == b"+PONG\r\n+OK\r\n$6\r\nclosed\r\n"
    s.close()


def test_half_a_command_then_gone(server):
    for text in (b"*", b"*3\r\n$3\r\nSET\r\n$5\r\nhel", b"SET a", b"*2\r\n$4\r\nECHO\r\n$400000000\r\nabc"):
        s = server.raw()
        s.sendall(text)
        s.close()
    alive(server)


@pytest.mark.parametrize(
    "sent, error",
    [
        (b"*3000000000\r\n", "invalid multibulk length"),
        (b"*1\r\n$-10\r\n", "invalid bulk length"),
        (b"*1\r\n$2000000000\r\n", "invalid bulk length"),
        (b"*2\r\n$4\r\nECHO\r\nhello\r\n", "expected '$', got 'h'"),
        (b'SET "unbalanced\r\n', "unbalanced quotes in request"),
        (b"x" * 70000, "too big inline request"),
        (b"*" + b"1" * 70000, "too big mbulk count string"),
        (b"*1\r\n$" + b"1" * 70000, "too big bulk count string"),
    ],
)
def test_protocol_errors(server, sent, error):
    c = Conn(server.raw())
    c.sock.sendall(encode("PING") + sent)
    assert c.read() == "PONG"
    got = c.read()
    assert isinstance(got, Error) and str(got) == f"ERR Protocol error: {error}"
    with pytest.raises((EOFError, ConnectionError)):
        c.read()
    alive(server)


def eventually(fn):
    end = time.monotonic() + 120
    while not fn():
        assert time.monotonic() < end
        time.sleep(0.02)


def connects(s):
    try:
        s.raw().close()
        return True
    except ConnectionError:
        return False


def test_strangers_may_send_little(fresh):
    s = fresh("--requirepass", "secret", start=False)
    s.start(wait=False)
    eventually(lambda: connects(s))
    for text, error in ((b"*11\r\n", "unauthenticated multibulk length"),
                        (b"*2\r\n$3\r\nGET\r\n$16385\r\n", "unauthenticated bulk length")):
        c = Conn(s.raw())
        c.sock.sendall(text)
        assert str(c.read()) == f"ERR Protocol error: {error}"
        c.close()
    c = Conn(s.raw())
    assert str(c.call("GET", "a")).startswith("NOAUTH")
    assert c.call("AUTH", "secret") == "OK"
    assert c.call("SET", "a", b"x" * 20000) == "OK"
    assert c.call("MSET", *range(20)) == "OK"
    assert c.call("RESET") == "RESET"
    c.sock.sendall(b"*11\r\n")
    assert str(c.read()) == "ERR Protocol error: unauthenticated multibulk length"
    c.close()


def served(c):
    try:
        return c.call("PING") == "PONG"
    except (EOFError, ConnectionError):
        return False


def test_too_many_clients(fresh):
    s = fresh("--maxclients", "8")
    keep = [Conn(s.raw())]
    while served(keep[-1]):
        assert len(keep) <= 8
        keep.append(Conn(s.raw()))
    keep.pop().close()
    assert len(keep) >= 6  # what started the server may hold one or two
    for _ in range(20):
        more = s.raw()
        assert read_all(more) == b"-ERR max number of clients reached\r\n"
        more.close()
    keep.pop().close()

    def one_more():
        keep.append(Conn(s.raw()))
        if not served(keep[-1]):
            keep.pop().close()
            return False
        return True

    eventually(one_more)
    assert all(served(c) for c in keep)
    for c in keep:
        c.close()


def test_a_client_that_never_reads(fresh):
    s = fresh("--client-output-buffer-limit", "normal 8mb 0 0")
    c = s.client()
    c.set("big", b"x" * (1 << 20))
    silent = s.raw()
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    silent.settimeout(1)
    try:
        for _ in range(100):
            silent.sendall(encode("GET", "big"))
    except OSError:
        pass
    eventually(lambda: c.info("stats")["client_output_buffer_limit_disconnections"] > 0)
    assert "output buffer limit" in s.log_text()
    assert c.ping()


def test_a_request_over_the_query_limit(fresh):
    s = fresh("--client-query-buffer-limit", "2mb")
    big = s.raw()
    with pytest.raises(OSError):
        big.sendall(encode("SET", "k", b"x" * (64 << 20)))
        read_all(big)
        raise ConnectionError("closed after the request was sent")
    c = s.client()
    assert c.info("stats")["client_query_buffer_limit_disconnections"] == 1
    assert c.exists("k") == 0
    assert "query buffer limit" in s.log_text()


def test_quit_and_what_follows(server):
    s = server.raw()
    s.sendall(encode("SET", "q", "1") + encode("QUIT") + encode("SET", "q", "2"))
    assert read_all(s) == b"+OK\r\n+OK\r\n"
    assert server.client().get("q") == "1"
    s.close()


def test_output_limit_setting(server):
    c = server.client()
    name = "client-output-buffer-limit"
    before = c.config_get(name)[name]
    c.config_set(name, "pubsub 1mb 100k 5")
    assert c.config_get(name)[name] == "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 100000 5"
    for bad in ("wrong number", "nobody 1 1 1", "normal 1x 1 1"):
        with pytest.raises(Exception):
            c.config_set(name, bad)
    c.config_set(name, before)
    assert c.config_get(name)[name] == before


def door_port(s):
    return int(s.client().info("server")["http_port"])


def ask(port, method, path):
    h = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    h.request(method, path)
    a = h.getresponse()
    body = a.read().decode()
    h.close()
    return a.status, a.getheader("Content-Type"), body


def test_http_door(fresh):
    s = fresh("--http-port", "-1")
    port = door_port(s)
    assert ask(port, "GET", "/healthz")[::2] == (200, '{"status":"ok"}\n')
    assert ask(port, "GET", "/readyz")[::2] == (200, '{"status":"ready"}\n')
    assert ask(port, "GET", "/none")[0] == 404
    assert ask(port, "PUT", "/metrics")[0] == 405
    s.client().set("a", 1)
    status, kind, text = ask(port, "GET", "/metrics")
    assert status == 200 and kind.startswith("text/plain; version=0.0.4")
    names = set()
    for line in text.splitlines():
        if line.startswith("# "):
            assert re.fullmatch(r"# (HELP \w+ \S.*|TYPE \w+ (gauge|counter|histogram))", line), line
            continue
        name, value = line.rsplit(" ", 1)
        assert name not in names, f"{name} is there twice"
        names.add(name)
        float(value)
    assert {"skald_commands_total", "skald_net_input_bytes_total", "skald_http_requests_total"} <= names


def test_http_door_is_closed_by_default(server):
    assert door_port(server) == 0


def test_http_port_that_is_taken(fresh):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(RuntimeError, match="HTTP cannot listen on 127.0.0.1 port .*in use"):
            fresh("--http-port", str(other.getsockname()[1]))
