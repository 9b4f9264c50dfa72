"""The commands part of `make bench`: redis-benchmark over the usual commands, at pipeline 1, 16 and 64, every server of
contenders() in turn, several rounds. Three tables from the same runs:

    requests a second     the client, redis-benchmark, is one thread and often what is slowest, above all at pipeline 1
    server CPU            nanoseconds of all the server's threads for one request, the kernel's share included: the kernel's
                          own account (/proc/PID/task/*/schedstat), so it does not depend on the client's speed and hardly
                          on what else the machine does
    latency               p50, p99, p99.9 as redis-benchmark sees them, of a whole pipeline

All servers are up at the same time and hold the same data; one is asked at a time. A run is sized to take about a second,
the same number of requests for all. A figure that could not be measured is a dash, with the reason below."""

import glob
import re
import statistics
import subprocess
import time

from benchlib import Client, Server, contenders, title

KEYS, VALUE, CLIENTS, PIPELINES = 1_000_000, 64, 50, (1, 16, 64)
DATA = "x" * VALUE

# name: (redis-benchmark's arguments, commands to run before each run, what to fill before each run)
COMMANDS = {
    "SET": (["-t", "set"], [], None),
    "GET": (["-t", "get"], [], None),
    "INCR": (["-t", "incr"], [], None),
    "MSET (10 keys)": (["-t", "mset"], [], None),
    "LPUSH": (["-t", "lpush"], [("DEL", "mylist")], None),
    "LRANGE_100": (["LRANGE", "mylist", "0", "99"], [], None),
    "SADD": (["-t", "sadd"], [], None),
    "SPOP": (["-t", "spop"], [], ["-t", "sadd"]),
    "HSET": (["-t", "hset"], [], None),
    "ZADD": (["-t", "zadd"], [], None),
    "XADD": (["XADD", "mystream", "*", "field", DATA], [("DEL", "mystream")], None),
}


def run(server, pipeline, n, args):
    """{rps, p50, p99, p999 in ms}, or the reason why there is none."""
    command = ["redis-benchmark", "-p", str(server.port), "-c", str(CLIENTS), "-n", str(n), "-P", str(pipeline),
               "-r", str(KEYS), "-d", str(VALUE), "--precision", "3", *args]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)  # without a server it waits for ever
    except subprocess.TimeoutExpired:
        return f"{server.name}: redis-benchmark did not end in 60 s"
    out = done.stdout + done.stderr
    rps = re.findall(r"throughput summary: ([\d.]+) requests", out)
    points = [(float(p), float(ms)) for p, ms in re.findall(r"([\d.]+)% <= ([\d.]+) milliseconds",
                                                          out.split("Cumulative distribution")[0])]
    if done.returncode or "rror" in out or len(rps) != 1 or not points:
        return f"{server.name}: redis-benchmark said {out.strip().splitlines()[-1:]!r}"
    at = lambda share: next(ms for p, ms in points if p >= share)
    summary = re.search(r"latency summary.*\n.*\n\s+(.*)", out).group(1).split()
    return {"rps": float(rps[0]), "p50": float(summary[2]), "p99": float(summary[4]), "p999": at(99.9)}


def cpu_ns(server):
    total = 0
    for path in glob.glob(f"/proc/{server.proc.pid}/task/*/schedstat"):
        with open(path) as f:
            total += int(f.read().split()[0])
    return total


def one(server, pipeline, n, args, before, fill):
    c = Client(server.port)
    for command in before:
        c.call(*command)
    if fill:
        filled = run(server, 64, KEYS, fill)
        if isinstance(filled, str):
            return filled
    start = cpu_ns(server)
    got = run(server, pipeline, n, args)
    if isinstance(got, dict):
        got["cpu"] = (cpu_ns(server) - start) / n
    return got


def fill(server):
    """A million keys and large containers, so that lookups miss the cache as they do in earnest."""
    for args in (["-t", "set"], ["-t", "sadd"], ["-t", "hset"], ["-t", "zadd"]):
        for _ in range(2):
            got = run(server, 64, KEYS, args)
            if isinstance(got, str):
                raise RuntimeError(got)
    run(server, 64, 1000, ["-t", "lpush"])


def measure(servers, rounds, seconds, give_up):
    """{(command, pipeline): {server: [run, ...]}}, and why some are missing."""
    results, missing = {}, []
    for what, (args, before, filling) in COMMANDS.items():
        for pipeline in PIPELINES:
            if time.monotonic() > give_up:
                missing.append(f"{what} pipeline {pipeline}: the time for this part was over")
                continue
            n = {1: 5_000, 16: 30_000, 64: 60_000}[pipeline]
            tried = one(servers[0], pipeline, n, args, before, filling)
            if isinstance(tried, dict):
                n = min(max(n, int(tried["rps"] * seconds)), KEYS)
            got = results.setdefault((what, pipeline), {})
            for i in range(rounds):
                for s in servers if i % 2 == 0 else servers[::-1]:  # in turn, so that a noisy moment hits all
                    r = one(s, pipeline, n, args, before, filling)
                    if isinstance(r, dict):
                        got.setdefault(s.name, []).append(r)
                    else:
                        missing.append(f"{what} pipeline {pipeline}: {r}")
    return results, missing


def median(runs, figure):
    return statistics.median(r[figure] for r in runs)


def table(results, names, figure, ratio_up):
    """One line a command and pipeline; ratios so that above 1 is in Skald's favour."""
    others = [n for n in names if n != "skald"]
    print(f"  {'':16}{'P':>4}{'skald':>12}" + "".join(f"{n:>16}{'ratio':>8}" for n in others))
    for (what, pipeline), got in results.items():
        mine = median(got["skald"], figure) if "skald" in got else None
        line = f"  {what:16}{pipeline:>4}" + (f"{mine:>12,.0f}" if mine else f"{'-':>12}")
        for n in others:
            theirs = median(got[n], figure) if n in got else None
            line += f"{theirs:>16,.0f}" if theirs else f"{'-':>16}"
            line += f"{mine / theirs if ratio_up else theirs / mine:>7.2f}x" if mine and theirs else f"{'-':>8}"
        print(line)


def latency_table(results, names):
    print(f"  {'':16}{'P':>4}" + "".join(f"{n:>14} p50{'p99':>8}{'p99.9':>8}" for n in names))
    for (what, pipeline), got in results.items():
        line = f"  {what:16}{pipeline:>4}"
        for n in names:
            line += (f"{median(got[n], 'p50'):>18.3f}{median(got[n], 'p99'):>8.3f}{median(got[n], 'p999'):>8.3f}"
                     if n in got else f"{'-':>18}{'-':>8}{'-':>8}")
        print(line)


def commands(quick):
    rounds, seconds, limit = (1, 0.25, 120) if quick else (3, 0.8, 480)
    names = list(contenders())
    settings = (f"{CLIENTS} clients, keys and members out of {KEYS:,}, {VALUE}-byte values, no journal; "
                f"{rounds} round{'s' if rounds > 1 else ''}, medians")
    running = []
    try:
        for n in names:
            running.append(Server(n).__enter__())
            fill(running[-1])
        results, missing = measure(running, rounds, seconds, time.monotonic() + limit)
    finally:
        for s in running:
            s.__exit__()
    title("Requests a second (redis-benchmark)", settings)
    table(results, names, "rps", True)
    title("Server CPU of a request, nanoseconds", "from the same runs; the ratio is the other server's over Skald's")
    table(results, names, "cpu", False)
    title("Latency, milliseconds", "from the same runs; of a pipeline, not of one command in it")
    latency_table(results, names)
    for m in missing:
        print(f"  not measured: {m}")
