"""Vector sets over the socket: Skald, and the Redis 8 server that REDIS8 names, each started for this on a free port and
asked by build/bench-vectors/wire. Used by run.py."""

import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "utils"))
REDIS8 = os.environ.get("REDIS8", "")
if REDIS8:
    os.environ["SKALD_BENCH_REDIS"] = REDIS8

import benchlib  # noqa: E402  reads SKALD_BENCH_REDIS

NAME = "mnist784"


def knows(port, command):
    return benchlib.Client(port).call("COMMAND", "INFO", command)[0] is not None


def contenders():
    """Skald and, when there is one, the Redis 8 that was named."""
    if not REDIS8:
        print("over the socket: no Redis 8 beside it, REDIS8 names no binary")
        return ["skald"]
    return ["skald", benchlib.label(REDIS8)]


def ask(wire, data, name, n, efs):
    """One server's figures; None when the data are missing."""
    with benchlib.Server(name) as s:
        if not knows(s.port, "VADD"):
            print(f"over the socket: {name} does not know VADD, left out")
            return None
        args = [wire, s.port, data, NAME, n, int(knows(s.port, "VMADD")), *efs]
        got = subprocess.run([str(a) for a in args], stdout=subprocess.PIPE)
        rss = benchlib.rss(s.proc.pid)
    if got.returncode == 3:
        print("over the socket: skipped, a file is missing")
        return None
    if got.returncode != 0:
        raise SystemExit(f"bench-vectors: asking {name} failed ({got.returncode})")
    return {"name": name, "rss_per_vector": rss / json.loads(got.stdout)["n"], **json.loads(got.stdout)}


def measure(wire, data, n, efs):
    """{set, n, connections, servers: [what wire printed, with the name]}."""
    servers = []
    for name in contenders():
        print(f"{name}: loading and searching over the socket", file=sys.stderr)
        got = ask(wire, data, name, n, efs)
        if got:
            servers.append(got)
    first = servers[0] if servers else {"n": 0, "connections": 0}
    return {"set": NAME, "n": first["n"], "connections": first["connections"], "servers": servers}
