#!/usr/bin/python3
"""A vector set on a file with a budget of a quarter of its floats, beside the same index in memory, and beside plain page faults.

    bench/vectors/larger_than_memory.py [--n 60000] [--queries 300] [--seconds 5] [--bin build/skald]

MNIST's pixels (halved) with noise, as many as asked for; QUANT BIN, L2, M 16, ef_construction 200. Built once, on the file; the one in memory
is its DUMP restored. Recall@10 is measured against TRUTH of the same index; EF is the first of a ladder that reaches 0.95. Eight
connections, one command under way on each, one client thread.

No memory limit is set from outside. "evicted" runs stand for it: another process tells the system every 20 ms to forget all of the
file that no process has mapped, so that whatever is not resident by the budget comes from the disk. The lines:

    memory            no file
    buffered, direct  reads of the candidates in one batch, through the page cache and past it
    mapped            no reads: page faults on the mapping, one after the other

cpu_us is processor time of the server a query: on a machine that others use, the steadier figure. Each line comes --rounds times, with two
worker threads and with eight, more than this machine may have cores: who waits for a read leaves its core to others.
"""

import argparse
import array
import gzip
import json
import os
import random
import selectors
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get("BENCH_DATA", os.path.join(HERE, "../../../shared/data/vectors"))
DIM, K = 784, 10
CONNECTIONS = 8


def pixels(name, most):
    out = []
    with gzip.open(os.path.join(DATA, name)) as f:
        while len(out) < most and (head := f.read(4)):
            out.append(f.read(struct.unpack("<i", head)[0]))
    return out


HALVE, NOISE = int.from_bytes(b"\x7f" * DIM, "little"), int.from_bytes(b"\x1f" * DIM, "little")


def floats(p, rnd):
    """Pixels to floats, with up to 31 of 158 as noise; as one number of 784 bytes, which is fast here."""
    x = (int.from_bytes(p, "little") >> 1 & HALVE) + (rnd.getrandbits(DIM * 8) & NOISE)
    return array.array("f", list(x.to_bytes(DIM, "little"))).tobytes()


def encode(*args):
    parts = [b"*%d\r\n" % len(args)]
    for a in args:
        a = a if isinstance(a, bytes) else str(a).encode()
        parts += [b"$%d\r\n" % len(a), a, b"\r\n"]
    return b"".join(parts)


class Client:
    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", port))
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.f = self.s.makefile("rb", 1 << 20)

    def send(self, *args):
        self.s.sendall(encode(*args))

    def reply(self):
        line = self.f.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"$":
            return None if rest == b"-1" else self.f.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest

    def __call__(self, *args):
        self.send(*args)
        return self.reply()


class Server:
    def __init__(self, binary, folder, *args):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        cmd = [binary, "--port", self.port, "--bind", "127.0.0.1", "--dir", folder, "--appendonly", "yes", "--appendfsync", "no",
               "--vector-checkpoint-seconds", 1, *args]
        self.p = subprocess.Popen([str(a) for a in cmd], stdout=subprocess.DEVNULL)
        while True:
            try:
                self.c = Client(self.port)
                if self.c("PING") == b"PONG":
                    break
            except (OSError, RuntimeError):
                if self.p.poll() is not None:
                    sys.exit("the server did not start")
                time.sleep(0.02)

    def stop(self):
        self.p.terminate()
        self.p.wait()

    def cpu(self):
        """Seconds of processor time so far, all threads."""
        f = open(f"/proc/{self.p.pid}/stat").read().rsplit(") ", 1)[1].split()
        return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")

    def info(self, key):
        flat = self.c("VINFO", key)
        return {k.decode(): v for k, v in zip(flat[::2], flat[1::2])}

    def settle(self, key):
        while self.info(key)["dirty-bytes"]:
            time.sleep(0.1)
        time.sleep(0.3)

    def rss(self, part):
        """Bytes in memory of mappings whose name has `part`."""
        total, ours = 0, False
        for line in open(f"/proc/{self.p.pid}/smaps"):
            if "-" in line.split(" ", 1)[0] and ":" not in line.split(" ", 1)[0]:
                ours = part in line
            elif ours and line.startswith("Rss:"):
                total += int(line.split()[1]) * 1024
        return total


def build(s, a, base, budget):
    rnd = random.Random(7)
    s.c("VCREATE", "v", "DIM", DIM, "METRIC", "L2", "QUANT", "BIN", "STORAGE", "FILE", "BUDGET", budget)
    uid, most, start = s.info("v")["file"].decode(), 0, time.monotonic()
    for first in range(0, a.n, 500):
        ids = range(first, min(first + 500, a.n))
        blob = b"".join(floats(base[i % len(base)], rnd) for i in ids)
        s.c("VMADD", "v", "COUNT", len(ids), "FP32", blob, *ids)
        most = max(most, s.rss(uid))
        if first % 10000 == 0:
            print(f"  {first} at {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    took = time.monotonic() - start
    s.settle("v")
    return took, most


def recall(s, key, queries, truth, ef):
    hits = 0
    for q, t in zip(queries, truth):
        hits += len(t & set(s.c("VSIM", key, "FP32", q, "COUNT", K, "EF", ef)))
    return hits / (K * len(queries))


def load(s, key, queries, ef, seconds):
    """Queries a second over all connections, and latencies in ms."""
    cmds = [encode("VSIM", key, "FP32", q, "COUNT", K, "EF", ef) for q in queries]
    sel, times, done, at = selectors.DefaultSelector(), [], 0, 0
    for _ in range(CONNECTIONS):
        c = Client(s.port)
        sel.register(c.s, selectors.EVENT_READ, c)
    start = now = time.perf_counter()
    for k in list(sel.get_map().values()):
        k.data.began = now
        k.data.s.sendall(cmds[at % len(cmds)])
        at += 1
    while now - start < seconds:
        for k, _ in sel.select():
            c = k.data
            c.reply()
            now = time.perf_counter()
            times.append((now - c.began) * 1000)
            done += 1
            c.began = now
            c.s.sendall(cmds[at % len(cmds)])
            at += 1
    rate = done / (now - start)
    for k in list(sel.get_map().values()):
        k.data.reply()
        k.data.s.close()
    times.sort()
    return rate, times[len(times) // 2], times[int(len(times) * 0.99)]


def forget(path, always):
    """The page cache lets go of the file; always: a process that goes on with it."""
    code = ("import os,sys,time\nfd=os.open(sys.argv[1],os.O_RDONLY)\n"
            "while True:\n os.posix_fadvise(fd,0,0,os.POSIX_FADV_DONTNEED)\n"
            " if sys.argv[2]=='0': break\n time.sleep(0.02)\n")
    p = subprocess.Popen([sys.executable, "-c", code, path, "1" if always else "0"])
    if not always:
        p.wait()
    return p


def one(a, folder, name, how, queries, ef, evict, workers):
    s = Server(a.bin, folder, "--vector-file-reads", how, "--worker-threads", workers)
    uid = s.info("v")["file"].decode()
    path = os.path.join(folder, "vectors", uid + ".vec")
    forget(path, False)
    for q in queries:  # codes and links come into memory
        s.c("VSIM", "v", "FP32", q, "COUNT", K, "EF", ef * 4)
    evictor = forget(path, True) if evict else None
    before = s.info("v")["reads"]
    cpu = s.cpu()
    rate, p50, p99 = load(s, "v", queries, ef, a.seconds)
    now, cpu = s.info("v"), (s.cpu() - cpu) / (rate * a.seconds)
    line = {"run": name, "qps": round(rate), "p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "cpu_us": round(cpu * 1e6), "workers": workers,
            "reads_per_query": round((now["reads"] - before) / (rate * a.seconds), 1), "mapped_mb": round(s.rss(uid) / 1e6, 1),
            "resident_mb": round(now["resident-bytes"] / 1e6, 1)}
    if evictor:
        evictor.terminate()
        evictor.wait()
    s.stop()
    print(json.dumps(line), flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--n", type=int, default=60000)
    p.add_argument("--queries", type=int, default=300)
    p.add_argument("--seconds", type=float, default=5)
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--bin", default=os.path.join(HERE, "../../build/skald"))
    p.add_argument("--dir")
    a = p.parse_args()
    rnd = random.Random(11)
    base = pixels("mnist784_base.bvecs.gz", a.n)
    queries = [floats(q, rnd) for q in pixels("mnist784_query.bvecs.gz", a.queries)]
    budget = a.n * DIM
    with tempfile.TemporaryDirectory(dir=a.dir) as folder:
        s = Server(a.bin, folder)
        took, most = build(s, a, base, budget)
        i = s.info("v")
        print(json.dumps({"n": a.n, "floats_mb": a.n * DIM * 4 / 1e6, "budget_mb": budget / 1e6, "file_mb": i["file-bytes"] / 1e6,
                          "build_s": round(took), "most_mapped_mb_while_building": round(most / 1e6, 1)}), flush=True)
        dump = s.c("DUMP", "v")
        s.stop()
        with tempfile.TemporaryDirectory(dir=a.dir) as other:
            m = Server(a.bin, other)
            m.c("RESTORE", "m", 0, dump)
            del dump
            truth = [set(m.c("VSIM", "m", "FP32", q, "COUNT", K, "TRUTH")) for q in queries]
            for ef in (10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 400, 800):
                found = recall(m, "m", queries, truth, ef)
                if found >= 0.95:
                    break
            print(json.dumps({"ef": ef, "recall": round(found, 4)}), flush=True)
            for _ in range(a.rounds):
                cpu = m.cpu()
                rate, p50, p99 = load(m, "m", queries, ef, a.seconds)
                print(json.dumps({"run": "memory", "qps": round(rate), "p50_ms": round(p50, 2), "p99_ms": round(p99, 2),
                                  "cpu_us": round((m.cpu() - cpu) / (rate * a.seconds) * 1e6),
                                  "memory_mb": round(m.info("m")["memory-bytes"] / 1e6, 1)}), flush=True)
            m.stop()
        s = Server(a.bin, folder)
        print(json.dumps({"recall_on_file": round(recall(s, "v", queries, truth, ef), 4)}), flush=True)
        s.stop()
        for workers in [w for w in (2, 8) for _ in range(a.rounds)]:
            for evict in (False, True):
                for how in ("buffered", "direct", "mapped"):
                    one(a, folder, how + (", evicted" if evict else ""), how, queries, ef, evict, workers)


main()
