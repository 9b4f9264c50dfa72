#!/usr/bin/python3
"""`make bench-vectors`: measures, prints tables, and leaves JSON and SVG files in build/bench-vectors. README.md says how
to read them.

    QUICK=1          20,000 MNIST vectors by L2, fewer steps of ef
    FULL=1           all 300,000 SIFT vectors, every engine on every set, two threads everywhere (an hour and more)
    SIFT_N=n         SIFT vectors (default 100,000; the exact answers are then computed)
    ENGINES=a,b      only engines whose names contain one of these
    PARTS=inproc     or server; default both
    PASSES, BUILD_JOBS, BENCH_DATA, REDIS8 (path of a Redis 8 server to stand beside)"""

import json
import os
import platform
import subprocess
import sys
import time

import plot
import report
import server

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.join(ROOT, "build", "bench-vectors")
DATA = os.environ.get("BENCH_DATA", os.path.join(ROOT, "..", "shared", "data", "vectors"))
QUICK, FULL = os.environ.get("QUICK"), os.environ.get("FULL")
EFS = [10, 20, 40, 80, 160] if QUICK else [10, 12, 15, 20, 25, 30, 40, 50, 70, 100, 150, 200, 300, 400, 600, 800]


def cpu():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), platform.machine())
    return f"{model.replace(' ', '_')} x{os.cpu_count()}"


def debian(package):
    """The version that is installed, or a dash."""
    got = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return got.stdout or "-"


def sets():
    """(set, metric, how many vectors, 0 for all, engines, turned)."""
    engines = os.environ.get("ENGINES", "")
    turned = ("mnist784", "l2", 20000, engines or "hnswlib,skald", True)
    if QUICK:
        return [("mnist784", "l2", 20000, engines, False), turned]
    return [("mnist784", "l2", 0, engines or ("" if FULL else "hnswlib,faiss f32,skald"), False),
            turned,
            ("mnist784", "cosine", 0, engines or ("" if FULL else "hnswlib,skald"), False),
            ("sift128", "l2", int(os.environ.get("SIFT_N", 0 if FULL else 100000)), engines, False)]


def measure(name, metric, n, engines, turned):
    """One data set in its own process; None when its files are missing (inproc has said which)."""
    print(f"{name} {metric}{' turned' if turned else ''}:", file=sys.stderr)
    args = [os.path.join(OUT, "inproc"), DATA, name, metric, n, os.environ.get("PASSES", 3),
            os.environ.get("BUILD_JOBS", 2), int(bool(FULL) or name == "sift128"), OUT, *EFS]
    env = {**os.environ, "ENGINES": engines, **({"TURN": "1"} if turned else {})}
    got = subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, env=env)
    if got.returncode == 3:
        print(f"{name} {metric}: skipped, a file is missing")
        return None
    if got.returncode != 0:
        raise SystemExit(f"bench-vectors: measuring {name} {metric} failed ({got.returncode})")
    return json.loads(got.stdout)


def save(name, content):
    with open(os.path.join(OUT, name), "w", encoding="utf-8") as f:
        f.write(content)


def settings(result):
    return (f"settings cpu={cpu()} simd={result['simd']} kernel={platform.release()} "
            f"hnswlib={debian('libhnswlib-dev')} faiss={debian('libfaiss-dev')}(generic_x86-64) "
            f"M={result['m']} ef_construction={result['ef_construction']} k={result['k']} "
            f"passes={result['passes']} builds_side_by_side={result['build_jobs']} load={os.getloadavg()[0]:.1f}")


def in_process():
    results = []
    for one in sets():
        r = measure(*one)
        if r is None:
            continue
        report.inproc(r)
        print(settings(r), flush=True)
        note = (f"{r['n']:,} x {r['dim']}, M {r['m']}, ef_construction {r['ef_construction']}, one thread, "
                f"one query at a time, best of {r['passes']} passes")
        name = r["set"] + ("-turned" if r["turned"] else "")
        save(f"{name}-{r['metric']}.svg", plot.svg(f"{name}, {r['metric']}", note,
                                                      [(e["name"], e["points"]) for e in r["engines"]]))
        results.append({**r, "settings": settings(r)})
    return results


def over_socket():
    efs = [10, 40, 100] if QUICK else [10, 15, 20, 30, 50, 100, 200, 400]
    r = server.measure(os.path.join(OUT, "wire"), DATA, 20000 if QUICK else 0, efs)
    report.server(r)
    if r["servers"]:
        note = f"{r['n']:,} vectors, {r['connections']} connections at depth 1, M 16, ef_construction 200"
        save("server.svg", plot.svg(f"{r['set']}, cosine, over the socket", note,
                                    [(s["name"], s["sweep"]) for s in r["servers"]]))
    return r


def main():
    t, parts = time.monotonic(), os.environ.get("PARTS", "inproc,server")
    found = {"inproc": in_process() if "inproc" in parts else []}
    if "server" in parts:
        found["server"] = over_socket()
    save("figures.json", json.dumps(found, indent=1) + "\n")
    print(f"\nfigures and plots: build/bench-vectors ({time.monotonic() - t:.0f} s)")


if __name__ == "__main__":
    main()
