#!/usr/bin/python3
"""`make bench`: what Skald does on this machine, beside Debian's redis-server where both can do it, in one run.

    utils/bench.py [--quick] [only ...]     only: commands durable vectors models memory

BENCH_QUICK=1 is --quick. SKALD_BENCH_REDIS=/path/to/another/redis-server is measured too, in `commands`.

Every figure is the median of three (--quick: of one, with less work). Servers take turns; the program that measures and
the server share the machine's cores, so figures compare within a run and not between machines. Nothing here is a test:
it fails only when a server does. Takes about ten minutes; --quick about two.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from bench_commands import commands
from benchlib import REDIS, ROOT, Client, Server, contenders, encode, pair, side_by_side, title, version

KEYS, VALUE, CLIENTS = 100_000, 64, 50


# ---- with a journal ----

def redis_benchmark(port, *args):
    """Requests a second. The time limit matters: it waits for ever for a server that is gone."""
    out = subprocess.run(["redis-benchmark", "-p", str(port), "--csv", "-r", str(KEYS), "-d", str(VALUE), *args],
                         capture_output=True, text=True, timeout=120, check=True).stdout
    return {line.split(",")[0].strip('"'): float(line.split(",")[1].strip('"')) for line in out.splitlines()[1:]}


def durable(quick):
    folder = tempfile.gettempdir()
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True).stdout.strip()
    title("SET with a journal, requests a second (redis-benchmark)",
          f"{CLIENTS} clients, pipeline 1, {VALUE}-byte values; the journal is in {folder} ({kind})")
    rows = []
    for policy in ("always", "everysec"):
        got = {}
        for _ in range(1 if quick else 3):
            for name in pair():
                with Server(name, "--appendonly", "yes", "--appendfsync", policy) as s:
                    n = 60_000 // (2 if quick else 1)
                    rps = redis_benchmark(s.port, "-c", str(CLIENTS), "-n", str(n), "-t", "set")["SET"]
                    got.setdefault(name, []).append(rps)
        rows.append((f"SET appendfsync {policy}", {k: statistics.median(v) for k, v in got.items()}))
    side_by_side(rows)


# ---- PING while others search ----

def searcher(port, queries, stop, count):
    c, n = Client(port), 0
    while not stop.is_set():
        c.call("VSEARCH", "bench", "FP32", queries[n % len(queries)], "COUNT", 10)
        n += 1
    count.value = n


def ping_latency(port, seconds):
    """Microseconds, sorted."""
    c, took = Client(port), []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        t0 = time.perf_counter_ns()
        c.call("PING")
        took.append((time.perf_counter_ns() - t0) / 1000)
        time.sleep(0.0005)
    return sorted(took)


def at(took, share):
    return took[min(len(took) - 1, int(len(took) * share))]


def vectors(quick):
    n, dim, seconds = (5_000, 128, 1.5) if quick else (20_000, 128, 4)
    rng = random.Random(1)
    blob = lambda: struct.pack(f"<{dim}f", *(rng.gauss(0, 1) for _ in range(dim)))
    with Server("skald") as s:
        c = Client(s.port)
        c.call("VCREATE", "bench", "DIM", dim)
        t0 = time.monotonic()
        for first in range(0, n, 500):
            c.send(b"".join(encode("VADD", "bench", "FP32", blob(), f"e{i}") for i in range(first, first + 500)))
            for _ in range(500):
                c.read()
        built = time.monotonic() - t0
        title("PING latency while eight clients run VSEARCH, microseconds",
              f"{n:,} random vectors x {dim}, COUNT 10, default EF; inserted by one client in {built:.1f} s "
              f"({n / built:,.0f} a second); a PING every 0.5 ms")
        queries = [blob() for _ in range(200)]
        print(f"  {'':34}{'p50':>12}{'p99':>12}{'p99.9':>12}")
        for what, searchers in (("nobody searches", 0), ("8 clients search", 8)):
            runs, rate = [], []
            for _ in range(1 if quick else 3):
                stop = multiprocessing.Event()
                counts = [multiprocessing.Value("Q", 0) for _ in range(searchers)]
                procs = [multiprocessing.Process(target=searcher, args=(s.port, queries, stop, k)) for k in counts]
                for p in procs:
                    p.start()
                t0 = time.monotonic()
                runs.append(ping_latency(s.port, seconds))
                stop.set()
                for p in procs:
                    p.join(30)
                rate.append(sum(k.value for k in counts) / (time.monotonic() - t0))
            medians = [statistics.median(at(r, q) for r in runs) for q in (0.5, 0.99, 0.999)]
            print(f"  {what:34}" + "".join(f"{m:>12,.0f}" for m in medians) +
                  (f"   ({statistics.median(rate):,.0f} searches a second)" if searchers else ""))


# ---- what stands between a client and a model ----

async def direct_calls(port, clients, each):
    """The same calls without Skald: POST over kept connections."""
    took = []

    async def one(i):
        r, w = await asyncio.open_connection("127.0.0.1", port)
        for k in range(each + 1):
            body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": f"{i} {k}"}]}).encode()
            t0 = time.perf_counter()
            w.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(body) + body)
            head = await r.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            await r.readexactly(length)
            if k:  # the first call opens connections
                took.append(time.perf_counter() - t0)
        w.close()

    await asyncio.gather(*(one(i) for i in range(clients)))
    return sorted(took)


async def chat_calls(port, clients, each):
    took = []

    async def one(i):
        r, w = await asyncio.open_connection("127.0.0.1", port)
        for k in range(each + 1):
            t0 = time.perf_counter()
            w.write(encode("LLM.CHAT", f"chat:{clients}:{i}", f"{i} {k}", "MODEL", "bench"))
            line = await r.readline()
            if line[:1] != b"$":
                raise RuntimeError(f"LLM.CHAT said {line!r}")
            await r.readexactly(int(line[1:]) + 2)
            if k:
                took.append(time.perf_counter() - t0)
        w.close()

    await asyncio.gather(*(one(i) for i in range(clients)))
    return sorted(took)


MODEL = "words=8,delay=50"


def models(quick):
    mock = subprocess.Popen(["/usr/bin/python3", os.path.join(ROOT, "tests", "mock", "provider.py")],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = int(mock.stdout.readline().split()[1])
        title("LLM.CHAT against a mock provider that waits 50 ms, milliseconds",
              "added: a call through Skald, session and all, less the same call by HTTP alone; at 1,000 the mock, in Python, "
              "is what is slow")
        print(f"  {'calls at once':16}{'direct p50':>12}{'p99':>9}{'skald p50':>12}{'p99':>9}{'added p50':>12}{'p99':>9}")
        with Server("skald") as s:
            Client(s.port).call("LLM.MODEL", "SET", "bench", "PROVIDER", "openai", "URL", f"http://127.0.0.1:{port}/v1",
                                "ID", MODEL, "CONCURRENCY", 2000, "TIMEOUT", 60000)
            for clients, each in ((1, 20 if quick else 60), (100, 3 if quick else 10), (1000, 2 if quick else 3)):
                runs = []
                for _ in range(1 if quick else 3):
                    d = asyncio.run(asyncio.wait_for(direct_calls(port, clients, each), 120))
                    c = asyncio.run(asyncio.wait_for(chat_calls(s.port, clients, each), 120))
                    runs.append([at(d, 0.5), at(d, 0.99), at(c, 0.5), at(c, 0.99)])
                m = [statistics.median(col) * 1000 for col in zip(*runs)]
                m += [m[2] - m[0], m[3] - m[1]]
                print(f"  {clients:<16}" + "".join(f"{v:>{w}.2f}" for v, w in zip(m, (12, 9, 12, 9, 12, 9))))
    finally:
        mock.terminate()
        mock.wait()


# ---- memory ----

def memory(quick):
    """The tables of bench_memory.py."""
    sys.stdout.flush()
    own = os.path.join(ROOT, "utils", "bench_memory.py")
    subprocess.run([sys.executable, own, "100000" if quick else "1000000"], check=True)


PARTS = {f.__name__: f for f in (commands, durable, vectors, models, memory)}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--quick", action="store_true", help="one run of each instead of three, with less work")
    p.add_argument("only", nargs="*", metavar="part", help=", ".join(PARTS))
    args = p.parse_args()
    args.quick = args.quick or os.environ.get("BENCH_QUICK", "0") not in ("", "0")
    if unknown := set(args.only) - set(PARTS):
        p.error(f"unknown part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    t0 = time.monotonic()
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    for path in contenders().values():
        print(version([path, "--version"]))
    if not REDIS:
        print("no redis-server: nothing to compare with")
    print(f"{cpu}, {os.cpu_count()} cores, Linux {os.uname().release}; load before: {os.getloadavg()[0]:.1f}; "
          f"{'one run of each' if args.quick else 'medians of three'}")
    for name, part in PARTS.items():
        if not args.only or name in args.only:
            part(args.quick)
            sys.stdout.flush()
    print(f"\n{time.monotonic() - t0:.0f} s")


if __name__ == "__main__":
    main()
