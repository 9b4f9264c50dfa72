"""RESP on raw sockets, built for pipelines: whole batches of replies are compared as bytes and only parsed when the bytes differ.

A parsed reply is (type, value): type is the first byte of the frame as a string, value is bytes or a list of replies. A null of
any kind has the value None. A map is a list of key, value, key, value."""

import socket
import time


def encode(argv):
    out = [b"*%d\r\n" % len(argv)]
    for a in argv:
        out.append(b"$%d\r\n%s\r\n" % (len(a), a))
    return b"".join(out)


class Incomplete(Exception):
    pass


def parse(buf, at=0):
    """The reply that begins at `at`, and where the next one begins."""
    end = buf.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    kind, rest, at = chr(buf[at]), bytes(buf[at + 1:end]), end + 2
    if kind in "+-:,#(":
        return (kind, rest), at
    if kind == "_":
        return (kind, None), at
    n = int(rest)
    if kind in "$=!":
        if n < 0:
            return (kind, None), at
        if len(buf) < at + n + 2:
            raise Incomplete
        return (kind, bytes(buf[at:at + n])), at + n + 2
    if kind in "*~>%|":
        if n < 0:
            return (kind, None), at
        items = []
        for _ in range(n * 2 if kind in "%|" else n):
            item, at = parse(buf, at)
            items.append(item)
        return (kind, items), at
    raise ValueError(f"not RESP at {at}: {bytes(buf[at - 20:at + 20])!r}")


def parse_all(buf):
    """All whole replies, and how many bytes they took."""
    out, at = [], 0
    while at < len(buf):
        try:
            reply, at = parse(buf, at)
        except Incomplete:
            break
        out.append(reply)
    return out, at


class Gone(Exception):
    """The server closed the connection or did not answer in time."""

    def __init__(self, why, so_far=b""):
        super().__init__(why)
        self.so_far = so_far


class Link:
    """One connection to one server."""

    def __init__(self, port, timeout=60):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError as e:
            raise Gone(str(e)) from e

    def read_until(self, tail):
        """All bytes up to and with `tail`, which must be the last that the server sends."""
        buf = bytearray()
        while not buf.endswith(tail):
            try:
                piece = self.sock.recv(1 << 18)
            except OSError as e:
                raise Gone(str(e), buf) from e
            if not piece:
                raise Gone("closed", buf)
            buf += piece
        return buf

    def call(self, *argv):
        """One command, one reply."""
        self.send(encode(argv))
        buf = bytearray()
        while True:
            piece = self.sock.recv(1 << 18)
            if not piece:
                raise Gone("closed")
            buf += piece
            replies, used = parse_all(buf)
            if replies and used == len(buf):
                return replies[-1]

    def ready(self, seconds):
        """Is there something to read within that time?"""
        self.sock.settimeout(seconds)
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK))
        except (TimeoutError, socket.timeout):
            return False
        finally:
            self.sock.settimeout(self.timeout)

    def close(self):
        self.sock.close()


def wait_port(port, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            link = Link(port, 30)
            if link.call(b"PING") == ("+", b"PONG"):
                link.close()
                return
            link.close()
        except (OSError, Gone):
            pass
        time.sleep(0.02)
    raise RuntimeError(f"nobody answers on port {port}")


def show_arg(a):
    """As redis-cli takes it."""
    if a and all(33 <= c < 127 and c not in b"\"'\\" for c in a):
        return a.decode()
    return '"' + "".join(chr(c) if 32 <= c < 127 and c not in b'"\\' else f"\\x{c:02x}" for c in a) + '"'


def show(argv):
    return " ".join(show_arg(a) for a in argv)
