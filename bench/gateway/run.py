#!/usr/bin/python3
"""`make bench-gateway`: what a gateway adds to a call, beside the call itself and beside another gateway. README.md says
how it is measured and how to read the tables. figures.json is left in build/bench-gateway.

    QUICK=1        one short round of everything (about two minutes)
    FULL=1         more rounds, a million calls for the memory
    PARTS=a,b      of: rates, most, memory, streams
    PEER=no        without the other gateway"""

import json
import os
import platform
import resource
import statistics
import sys
import threading
import time

import parts

QUICK, FULL = os.environ.get("QUICK"), os.environ.get("FULL")
ROUNDS = 1 if QUICK else 7 if FULL else 3
SECONDS = 2 if QUICK else 10 if FULL else 4
WARMUP = 1
CALLS = 20_000 if QUICK else 1_000_000 if FULL else 100_000
PEER_CALLS = 2_000 if QUICK else 20_000
# A stream is two sockets of Skald's: what a process may open is the limit.
STREAMS = min(2_000 if QUICK else 10_000, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 200) // 2)
# (requests a second, stream, what the mock does): every answer has 20 pieces.
RATES = [(500, False, ""), (1000, False, ""), (3000, False, ""), (1000, False, "/d20"),
         (500, True, ""), (1000, True, ""), (3000, True, ""), (100, True, "/d20/g5")]
MB = 1 << 20


def median(runs, *path):
    """The median of what lies at that path in each run."""
    def at(run):
        for key in path:
            run = run[key]
        return run
    return statistics.median(at(r) for r in runs)


def keeps_up(runs, rate):
    return median(runs, "per_second") >= 0.95 * rate


def heading(text, columns):
    print(f"\n{text}\n  {'':12}" + "".join(f"{c:>13}" for c in columns), flush=True)


def line(name, cells):
    print(f"  {name:12}" + "".join(f"{c:>13}" for c in cells), flush=True)


def rates(ways):
    """Fixed rates: all contenders in turn, round by round, then the medians over the rounds."""
    result = []
    late = set()  # who did not keep up with a lower rate of this kind
    for rate, stream, settings in RATES:
        takes_part = [w for w in ways if (w.name, stream, settings) not in late and not (stream and w.name == "skald-resp")]
        runs = {w.name: [] for w in takes_part}
        for _ in range(ROUNDS):
            for w in takes_part:
                runs[w.name].append(w.run(settings, stream, rate=rate, seconds=SECONDS, warmup=WARMUP, conns=1024))
        late |= {(name, stream, settings) for name, got in runs.items() if not keeps_up(got, rate)}
        result.append({"rate": rate, "stream": stream, "mock": settings, "runs": runs})
        print_rates(result[-1])
    return result


def print_rates(r):
    what = "streams of 20 pieces" if r["stream"] else "plain"
    vendor = f"mock {r['mock'].replace('/d', 'delay ').replace('/g', ' gap ')} ms" if r["mock"] else "mock without delay"
    heading(f"{r['rate']} requests a second, {what}, {vendor}: milliseconds (+: added to direct)",
            ["p50", "p95", "p99", "p99.9", "answered/s", "errors", "cpu us/req"])
    direct = r["runs"]["direct"]
    for name, runs in r["runs"].items():
        base = 0 if name == "direct" else 1
        answered = sum(x["right"] for x in runs)
        cells = [f"{median(runs, 'ms', p) - base * median(direct, 'ms', p):{'+' if base else ''}.3f}" if answered else "-"
                 for p in ("p50", "p95", "p99", "p999")]
        cells += [f"{median(runs, 'per_second'):.0f}", sum(x["errors"] for x in runs)]
        cells.append(f"{median(runs, 'cpu_us'):.0f}" if base else "-")
        line(name, cells)


def most(ways):
    """A closed loop: as much as so many connections can ask."""
    result = []
    for stream in (False, True):
        takes_part = [w for w in ways if not (stream and w.name == "skald-resp")]
        heading(f"requests a second, closed loop, {'streams' if stream else 'plain'}, mock without delay",
                [f"{n} conn" for n in (1, 32, 64)] + ["cpu us/req", "errors"])
        runs = {(w.name, n): [] for w in takes_part for n in (1, 32, 64)}
        for _ in range(ROUNDS):
            for n in (1, 32, 64):
                for w in takes_part:
                    runs[w.name, n].append(w.run("", stream, seconds=SECONDS, warmup=0.5, conns=n))
        for w in takes_part:
            cells = [f"{median(runs[w.name, n], 'per_second'):.0f}" for n in (1, 32, 64)]
            cells.append(f"{median(runs[w.name, 64], 'cpu_us'):.0f}" if w.process else "-")
            line(w.name, cells + [sum(x["errors"] for n in (1, 32, 64) for x in runs[w.name, n])])
        result.append({"stream": stream, "runs": {f"{name} {n}": got for (name, n), got in runs.items()}})
    return result


def memory(ways):
    """RSS after each twentieth of many calls, plain and streamed in turn."""
    result = {}
    print("\nRSS in MB before, and after each twentieth of the calls (32 connections, plain and streams in turn)")
    for w in ways:
        if not w.process:
            continue
        calls = PEER_CALLS if w.name == "portkey" else CALLS
        points, errors = [w.process.rss()], 0
        for i in range(20):
            got = w.run("", bool(i % 2) and w.name != "skald-resp", total=calls // 20, seconds=3600, conns=32)
            errors += got["errors"]
            points.append(w.process.rss())
        result[w.name] = {"calls": calls, "rss": points, "errors": errors}
        print(f"  {w.name:12}{calls:>9} calls, {errors} errors: " + " ".join(f"{p / MB:.1f}" for p in points), flush=True)
    return result


class Highest(threading.Thread):
    """The highest RSS of a process while the context lasts."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.on, self.seen = process, True, process.rss()

    def run(self):
        while self.on:
            self.seen = max(self.seen, self.process.rss())
            time.sleep(0.1)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.on = False
        self.join()


def streams(ways):
    """Many streams open at the same time: they open over 10 s and last 25 s each."""
    result = {}
    heading(f"{STREAMS} streams at the same time, 50 pieces each, one in 500 ms",
            ["whole", "errors", "open at once", "RSS before MB", "RSS most MB", "KB a stream"])
    for w in ways:
        if w.name in ("skald-resp", "portkey"):
            continue
        options = {"rate": STREAMS // 10, "total": STREAMS, "seconds": 60, "conns": STREAMS, "marks": 50, "drain": 120}
        if not w.process:
            got = w.run("/p50/g500", True, **options)
            line(w.name, [got["right"], got["errors"], got["peak"], "-", "-", "-"])
            continue
        before = w.process.rss()
        with Highest(w.process) as high:
            got = w.run("/p50/g500", True, **options)
        got.update(rss_before=before, rss_most=high.seen, rss_after=w.process.rss())
        line(w.name, [got["right"], got["errors"], got["peak"], f"{before / MB:.1f}", f"{high.seen / MB:.1f}",
                      f"{(high.seen - before) / got['peak'] / 1024:.1f}"])
        result[w.name] = got
    return result


def warm(ways):
    """Everybody has met what will be asked: connections, and for the peer its compiler, which takes thousands of calls."""
    for w in ways:
        for stream in (False, True):
            if not (stream and w.name == "skald-resp"):
                w.run("", stream, total=500 if QUICK else 3000, seconds=60, conns=16)


def cpu_name():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        return next((x.split(":")[1].strip() for x in f if x.startswith("model name")), platform.machine())


def main():
    wanted = os.environ.get("PARTS", "rates,most,memory,streams").split(",")
    steps = {"rates": rates, "most": most, "memory": memory, "streams": streams}
    with parts.Mock() as mock, parts.Skald(mock) as skald:
        peer = None if os.environ.get("PEER") == "no" else parts.Peer().__enter__()
        try:
            print(f"bench-gateway: {cpu_name()} x{os.cpu_count()}, kernel {platform.release()}, load {os.getloadavg()[0]:.1f}, "
                  f"rounds {ROUNDS} of {SECONDS} s" + (f", {parts.PEER} {parts.PEER_VERSION}" if peer else ""))
            if not skald.http:
                print("this Skald's HTTP door has no chat completions: only RESP is measured", file=sys.stderr)
            ways = parts.contenders(mock, skald, peer)
            warm(ways)
            figures = {name: steps[name](ways) for name in wanted}
        finally:
            if peer:
                peer.__exit__()
    with open(os.path.join(parts.OUT, "figures.json"), "w", encoding="utf-8") as f:
        json.dump({"cpu": cpu_name(), "cpus": os.cpu_count(), **figures}, f, indent=1)


if __name__ == "__main__":
    main()
