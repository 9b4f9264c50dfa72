#!/usr/bin/env python3
"""usage: utils/bench_memory.py [ITEMS] [SERVER...]

Bytes an item for the usual kinds of keys, as used_memory and as resident memory tell: build/skald beside redis-server where
that is installed, or the servers named. A load is the same bytes for each server; each gets a process of its own.
A million items of each kind take about a minute a server."""

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def text(rng, n):
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=n))


def strings(i, rng):
    return "SET", f"key:{i:012d}", text(rng, 64)


def strings_ttl(i, rng):
    return "SET", f"key:{i:012d}", text(rng, 64), "EX", "1000000"


def integers(i, rng):
    return "SET", f"key:{i:012d}", str(rng.randrange(1 << 31))


def hashes(i, rng):
    return "HSET", f"key:{i:012d}", *(x for f in range(5) for x in (f"field{f}", text(rng, 16)))


def set_members(i, rng):
    return "SADD", "s", f"member:{i:012d}"


def zset_members(i, rng):
    return "ZADD", "z", str(rng.randrange(1 << 31)), f"member:{i:012d}"


def list_elements(i, rng):
    return "RPUSH", "l", text(rng, 64)


LOADS = [strings, strings_ttl, integers, hashes, set_members, zset_members, list_elements]


class Server:
    def __init__(self, binary):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.dir = tempfile.mkdtemp()
        self.proc = subprocess.Popen([binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                                      "--dir", self.dir], stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while True:
            try:
                self.sock = socket.create_connection(("127.0.0.1", self.port))
                break
            except OSError:
                if time.monotonic() > end or self.proc.poll() is not None:
                    raise
                time.sleep(0.05)
        self.file = self.sock.makefile("rb")

    def send(self, commands):
        self.sock.sendall(b"".join(
            b"*%d\r\n" % len(c) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a.encode()) for a in c) for c in commands))
        for _ in commands:
            line = self.file.readline()
            if line[:1] not in b"+:":
                raise RuntimeError(line)

    def memory(self):
        self.sock.sendall(b"INFO memory\r\n")
        n = int(self.file.readline()[1:])
        info = dict(x.split(":", 1) for x in self.file.read(n + 2).decode().split("\r\n") if ":" in x)
        return int(info["used_memory"]), int(info["used_memory_rss"])

    def stop(self):
        self.proc.terminate()
        self.proc.wait()
        shutil.rmtree(self.dir)


def measure(binary, load, items):
    server = Server(binary)
    try:
        rng = random.Random(1)
        before = server.memory()
        for at in range(0, items, 1000):
            server.send([load(i, rng) for i in range(at, min(at + 1000, items))])
        time.sleep(1)  # tables that still move, buffers that are given back
        after = server.memory()
        return [(b - a) / items for a, b in zip(before, after)]
    finally:
        server.stop()


def main():
    args = sys.argv[1:]
    items = int(args.pop(0)) if args and args[0].isdigit() else 1_000_000
    servers = args or [os.path.join(ROOT, "build", "skald")] + list(filter(None, [shutil.which("redis-server")]))
    print(f"bytes an item of {items:,}: used_memory (resident)")
    for load in LOADS:
        row = [measure(s, load, items) for s in servers]
        print(f"{load.__name__.replace('_', ' '):<14}" + "".join(
            f"  {os.path.basename(s)} {used:6.1f} ({rss:6.1f})" for s, (used, rss) in zip(servers, row)), flush=True)


if __name__ == "__main__":
    main()
