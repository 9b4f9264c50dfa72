"""The smallest RESP2/RESP3 client: what it gives is what came, nothing is converted."""


class Error(Exception):
    pass


class Status(str):
    pass


class Push(list):
    pass


def encode(*args):
    out = [b"*%d\r\n" % len(args)]
    for a in args:
        a = a if isinstance(a, bytes) else str(a).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(a), a))
    return b"".join(out)


class Conn:
    def __init__(self, sock):
        self.sock = sock
        self.f = sock.makefile("rb")

    def send(self, *args):
        self.sock.sendall(encode(*args))

    def call(self, *args):
        self.send(*args)
        return self.read()

    def read(self):
        line = self.f.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("connection closed")
        t, rest = line[:1], line[1:-2]
        if t == b"+":
            return Status(rest.decode())
        if t == b"-":
            return Error(rest.decode(errors="backslashreplace"))  # it may quote what the client sent
        if t == b":":
            return int(rest)
        if t in b"$=":
            return None if rest == b"-1" else self.bulk(int(rest))
        if t == b"_":
            return None
        if t == b"#":
            return rest == b"t"
        if t == b",":
            return float(rest)
        if t == b"(":
            return int(rest)
        if t in b"*~>":
            if rest == b"-1":
                return None
            items = [self.read() for _ in range(int(rest))]
            return Push(items) if t == b">" else items
        if t == b"%":
            n = int(rest)
            return {self.key(self.read()): self.read() for _ in range(n)}
        raise ValueError(f"not RESP: {line!r}")

    @staticmethod
    def key(k):
        return tuple(k) if isinstance(k, list) else k

    def bulk(self, n):
        data = self.f.read(n + 2)
        return data[:-2]

    def close(self):
        self.f.close()
        self.sock.close()
