#!/usr/bin/env python3
"""Redis's own Tcl test suite, unit by unit, against build/skald; see README.md for what the columns mean.

    run.py                       all units of the file `expected`; fails when one does worse than its line there
    run.py unit/expire ...       only these (a unit without a line is measured, not judged)
    run.py -v unit/expire        also the text of every failure
    run.py --record [unit ...]   measures, and writes what came out to `expected`
    run.py --server redis-server --record-reference      measures another server, and writes `reference` anew

A unit gets a server of its own, in a folder of its own, on a free port of 127.0.0.1. What would surprise: the suite
stops at the first reply that a test did not foresee, unless it is told --durable, which is what is done here; and a unit
whose top level meets such a reply ends there, so that the tests after it are not run and count as nothing."""

import argparse
import concurrent.futures
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
CACHE = os.path.join(ROOT, "build", "redis-suite")
SUITE = os.path.join(CACHE, "suite")
COLUMNS = ("ok", "ignored", "failed", "error")
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from ports import free_port  # noqa: E402

LINE = re.compile(r"\[(ok|ignore|err|exception|TIMEOUT)\]")

# Only the pristine tarball is fetched: the tests that Debian patches in are not Redis's. The machine's own apt files say
# where from; nothing in /etc is changed.
FETCH = r"""
set -eu
A=$(mktemp -d); trap 'rm -rf "$A"' EXIT
mkdir -p "$A/parts" "$A/lists/partial"
for f in /etc/apt/sources.list.d/*.sources; do
    [ ! -e "$f" ] || sed -E 's/^Types:.*/Types: deb-src/' "$f" >"$A/parts/$(basename "$f")"
done
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -e "$f" ] || sed -E 's/^deb /deb-src /' "$f" >"$A/parts/$(basename "$f" .list).list"
done
S="-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$A/parts -o Dir::State::Lists=$A/lists"
apt-get -q $S update
apt-get -q $S source --download-only --tar-only redis
rm -rf suite.new && mkdir suite.new
tar xzf redis_7.0.15.orig.tar.gz -C suite.new --strip-components=1
for b in server cli benchmark check-aof check-rdb sentinel; do ln -sf "/usr/bin/redis-$b" "suite.new/src/redis-$b"; done
mv suite.new suite
"""


def fetch():
    if os.path.isdir(SUITE):
        return
    os.makedirs(CACHE, exist_ok=True)
    done = subprocess.run(["bash", "-c", FETCH], cwd=CACHE, capture_output=True, text=True, timeout=300)
    if done.returncode:
        sys.exit("redis-tests: the suite could not be fetched:\n" + done.stdout[-2000:] + done.stderr[-2000:])


def base_port():
    """Where the suite's own server may look for a port: it also wants the one 10,000 above to be free."""
    while True:
        port = random.randrange(20000, 50000)
        try:
            for p in (port, port + 10000):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", p))
            return port + 32
        except OSError:
            continue


class Server:
    """One server for one unit; stops with the block."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.port = binary, folder, free_port()

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.log = open(os.path.join(self.folder, "log"), "wb")
        args = [self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder, "--save", "",
                "--enable-debug-command", "yes"]
        if not is_redis(self.binary):
            args += ["--object-encoding-names", "7.0"]  # we answer as 7.2 does; the suite is of 7.0
        self.process = subprocess.Popen(args, stdout=self.log, stderr=self.log)
        for _ in range(1200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return self
            except OSError:
                if self.process.poll() is not None:
                    sys.exit(f"redis-tests: {self.binary} did not start; see {self.folder}/log")
                time.sleep(0.05)
        sys.exit(f"redis-tests: {self.binary} does not listen; see {self.folder}/log")

    def died(self):
        return self.process.poll() is not None

    def __exit__(self, *_):
        if not self.died():
            self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def left_out():
    """(unit, test) -> why it is not run against Skald."""
    reasons = {}
    with open(os.path.join(HERE, "left-out"), encoding="utf-8") as f:
        for line in f:
            if not line.startswith("#") and line.strip():
                unit, test, why = (x.strip() for x in line.split(" | "))
                reasons[unit, test] = why
    return reasons


def run_suite(port, unit, limit, skipped):
    """The suite's output, and whether it came to its end in time. Its clients are in its process group."""
    p = subprocess.Popen(["./runtest", "--host", "127.0.0.1", "--port", str(port), "--tags", "-slow", "--durable",
                          "--clients", "1", "--baseport", str(base_port()), "--single", unit,
                          *(x for test in skipped for x in ("--skiptest", test))],
                         cwd=SUITE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        out, _ = p.communicate(timeout=limit)
        return out.decode("utf-8", "replace"), True
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        out, _ = p.communicate()
        return out.decode("utf-8", "replace"), False


def count(text):
    """failed: tests whose expectation was not met. error: the unit broke off (a reply that its frame did not expect, no
    more progress, a dead server): the tests after that did not run."""
    n = dict.fromkeys(COLUMNS, 0)
    details = []
    for line in text.split("The End")[0].split("\n"):
        line = re.sub(r"\x1b\[[0-9;]*m", "", line)
        m = LINE.match(line)
        if m:
            n[{"ok": "ok", "ignore": "ignored", "err": "failed"}.get(m[1], "error")] += 1
        if m and m[1] in ("err", "exception", "TIMEOUT"):
            details.append(line)
        elif details and not line.startswith("[") and len(details[-1]) < 1500:
            details[-1] += "\n    " + line
    return n, details


def is_redis(binary):
    return "redis" in os.path.basename(binary)


def measure(binary, unit, limit):
    t0 = time.monotonic()
    skipped = [] if is_redis(binary) else [test for u, test in left_out() if u == unit]
    with Server(binary, os.path.join(CACHE, "run", unit.replace("/", "-"))) as s:
        text, in_time = run_suite(s.port, unit, limit, skipped)
        n, details = count(text)
        if not in_time:
            n["error"] += 1
            details.append(f"the unit did not end within {limit} s")
        if not n["ok"] and not n["ignored"] and not n["failed"] and not skipped:
            n["error"] += 1
            details.append(text[-1000:])
        if s.died():
            n["error"] += 1
            details.append(f"the server died; see {s.folder}/log")
    n["seconds"] = time.monotonic() - t0
    n["left_out"] = len(skipped)
    with open(os.path.join(CACHE, "run", unit.replace("/", "-"), "suite.log"), "w", encoding="utf-8") as f:
        f.write(text)
    return n, details


def read_table(name):
    table = {}
    path = os.path.join(HERE, name)
    if os.path.exists(path):
        for line in open(path, encoding="utf-8"):
            words = line.split("#")[0].split()
            if words:
                table[words[0]] = dict(zip(COLUMNS, map(int, words[1:5])))
                if words[5:]:
                    table[words[0]]["seconds"] = float(words[5])
    return table


def write_table(name, head, results, seconds=False):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as f:
        f.write(head)
        f.write(f"# {'unit':<30}{'ok':>6}{'ignored':>9}{'failed':>8}{'error':>7}{'s' if seconds else '':>7}".rstrip() + "\n")
        for unit, n in results.items():
            time_taken = f"{n['seconds']:>7.1f}" if seconds and "seconds" in n else ""
            f.write(f"{unit:<32}{n['ok']:>6}{n['ignored']:>9}{n['failed']:>8}{n['error']:>7}{time_taken}\n")


def row(n):
    """A server's figures for a unit, as they stand in the printed table."""
    if not n:
        return f"{'not measured':>34}"
    return f"{n['ok']:>6}{n['ignored']:>8}{n['failed']:>7}{n['error']:>6}" + (f"{n['seconds']:>7.1f}" if "seconds" in n else f"{'-':>7}")


def add_to_totals(passed, failed):
    """utils/test.sh sums what its steps count in this file."""
    if os.environ.get("TEST_TOTALS"):
        with open(os.environ["TEST_TOTALS"], "a", encoding="utf-8") as f:
            f.write(f"{passed} {failed}\n")


def worse(n, want):
    """Fewer passed, more failed, or more left out than is recorded."""
    return n["ok"] < want["ok"] or any(n[k] > want[k] for k in ("ignored", "failed", "error"))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("units", nargs="*")
    ap.add_argument("-v", "--verbose", action="store_true")
    ap.add_argument("--server", default=os.environ.get("SKALD_BIN", os.path.join(ROOT, "build", "skald")))
    ap.add_argument("--timeout", type=int, default=120, help="seconds a unit may take")
    ap.add_argument("--jobs", type=int, default=2, help="units at a time; each has a server of its own")
    ap.add_argument("--record", action="store_true")
    ap.add_argument("--record-reference", action="store_true")
    a = ap.parse_args()
    if not shutil.which("tclsh") or not shutil.which("apt-get"):
        sys.exit("redis-tests: needs tclsh (utils/deps.sh installs it) and Debian's apt-get")
    fetch()
    expected, reference = read_table("expected"), read_table("reference")
    units = a.units or list(reference if a.record_reference else expected)
    judged = {} if a.record or a.record_reference else expected

    def one(unit):
        n, details = measure(a.server, unit, a.timeout)
        if unit in judged and worse(n, judged[unit]):  # a busy machine: some tests look at the clock
            n, details = measure(a.server, unit, a.timeout)
            n["again"] = True
        return n, details

    columns = f"{'ok':>6}{'ignored':>8}{'failed':>7}{'error':>6}{'s':>7}"
    print(f"{'':<32}{os.path.basename(a.server):-^34}  |{'redis-server 7.0.15':-^34}\n{'unit':<32}{columns}  |{columns}")
    results, bad = {}, []
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for unit, (n, details) in zip(units, pool.map(one, units)):
            results[unit] = n
            verdict = f"  {n['left_out']} left out" if n["left_out"] else ""
            verdict += "  (second try)" if "again" in n else ""
            if unit in judged and worse(n, judged[unit]):
                w = judged[unit]
                verdict += f"  WORSE than {w['ok']} ok, {w['ignored']} ignored, {w['failed']} failed, {w['error']} error"
                bad.append(unit)
            print(f"{unit:<32}{row(n)}  |{row(reference.get(unit))}{verdict}", flush=True)
            if a.verbose or unit in bad:
                for d in details[:40]:
                    print("    " + d)
    if a.record:
        write_table("expected", "# What build/skald does; run.py fails when a unit does worse. Written by run.py "
                    "--record.\n", {**expected, **results})
    if a.record_reference:
        write_table("reference", "# What Debian's redis-server 7.0.15 does under the same flags. Written by run.py "
                    "--server redis-server --record-reference.\n", {**reference, **results}, seconds=True)
    print(f"{sum(n['ok'] for n in results.values())} ok of {sum(reference.get(u, {}).get('ok', 0) for u in results)}"
          f" that redis-server passes in these units")
    add_to_totals(sum(n["ok"] for n in results.values()), len(bad))
    if bad:
        sys.exit("redis-tests: worse than recorded: " + " ".join(bad))


if __name__ == "__main__":
    main()
