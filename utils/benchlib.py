"""What the benchmarks share: the servers that are measured, a client, tables. The servers are Skald, Debian's
redis-server, and whatever SKALD_BENCH_REDIS names: paths of other servers that speak its protocol and take its settings
(a newer Redis, Valkey), separated by colons."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKALD = os.environ.get("SKALD_BIN", os.path.join(ROOT, "build", "skald"))
REDIS = shutil.which("redis-server")


def version(command):
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def label(path):
    """"redis 7.0.15" of what `redis-server --version` says."""
    m = re.match(r"(\w+) server v=(\S+)", version([path, "--version"]))
    if not m:
        raise SystemExit(f"{path} --version does not say what it is; SKALD_BENCH_REDIS names servers like redis-server")
    return f"{m.group(1).lower()} {m.group(2)}"


def contenders():
    """{name: path}, Skald first."""
    paths = ([REDIS] if REDIS else []) + [p for p in os.environ.get("SKALD_BENCH_REDIS", "").split(":") if p]
    return {"skald": SKALD, **{label(p): p for p in paths}}


def pair():
    """Skald and Debian's redis-server, for what is measured of these two."""
    return dict(list(contenders().items())[:2 if REDIS else 1])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def encode(*args):
    args = [a if isinstance(a, bytes) else str(a).encode() for a in args]
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in args)


class Client:
    """Just enough RESP2 for what is asked here."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.f = self.sock.makefile("rb")

    def send(self, data):
        self.sock.sendall(data)

    def read(self):
        line = self.f.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self.f.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        if kind == b"-" or not line:
            raise RuntimeError(f"the server said {line!r}")
        return int(rest) if kind == b":" else rest.decode()

    def call(self, *args):
        self.send(encode(*args))
        return self.read()


class Server:
    """name is one of contenders(); used as a context."""

    def __init__(self, name, *args):
        self.name, self.args = name, args
        self.binary = contenders()[name]

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="skald-bench-")
        self.port = free_port()
        own = [] if self.name == "skald" else ["--save", "", "--daemonize", "no"]
        self.proc = subprocess.Popen([self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.dir,
                                      "--loglevel", "warning", *own, *self.args],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while True:
            try:
                Client(self.port).call("PING")
                return self
            except OSError:
                if time.monotonic() > end or self.proc.poll() is not None:
                    raise RuntimeError(f"{self.name} did not start")
                time.sleep(0.02)

    def __exit__(self, *_):
        self.proc.terminate()
        try:
            self.proc.wait(30)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))


def title(text, settings):
    print(f"\n{text}\n  {settings}")


def side_by_side(rows):
    """rows: (what, {server: median}); what was not measured is a dash."""
    others = [n for n in contenders() if n != "skald" and any(n in got for _, got in rows)]
    print(f"  {'':34}{'skald':>12}" + "".join(f"{n:>16}{'ratio':>8}" for n in others))
    for what, got in rows:
        s = got["skald"]
        print(f"  {what:34}{s:>12,.0f}" +
              "".join(f"{got[n]:>16,.0f}{s / got[n]:>7.2f}x" if n in got else f"{'-':>16}{'-':>8}" for n in others))
