#!/usr/bin/python3
"""Runs test programs, two at a time, and adds up what they say: units.py [--fuzz SECONDS] PROGRAM...

A unit test is a cmocka program: its own summary is counted, and one that dies without a summary is one failure. With
--fuzz the programs are fuzz targets, each run for SECONDS over its corpus in build/fuzz-corpus, and count as one each.
Only what failed shows its output. TEST_TOTALS names a file to which "passed failed" is added for utils/test.sh.
"""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

AT_ONCE = 2
LIMIT = 600  # seconds after which a program hangs


def fuzz_command(program, seconds):
    corpus = os.path.join("build", "fuzz-corpus", os.path.basename(program))
    os.makedirs(corpus, exist_ok=True)
    return [program, f"-max_total_time={seconds}", "-verbosity=0", "-print_final_stats=1",
            f"-artifact_prefix={corpus}-", corpus]


def run(command):
    t0 = time.monotonic()
    try:
        p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT)
        code, out = p.returncode, p.stdout
    except subprocess.TimeoutExpired as e:
        code, out = -1, (e.stdout or b"") + f"\nstill running after {LIMIT} s\n".encode()
    return code, out.decode(errors="replace"), time.monotonic() - t0


def counts(code, out, fuzz):
    if fuzz:
        return (0, 1) if code else (1, 0)
    passed = sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", out, re.M)))
    failed = sum(map(int, re.findall(r"^\[  FAILED  \] (\d+) test", out, re.M)))
    return passed, failed or (1 if code else 0)


def remark(out, fuzz):
    if fuzz:
        n = re.search(r"number_of_executed_units: (\d+)", out)
        return f", {n.group(1)} inputs" if n else ""
    n = re.search(r"^skipped: .*", out, re.M)
    return f" ({n.group(0)})" if n else ""


def main():
    args = sys.argv[1:]
    seconds = None
    if args[:1] == ["--fuzz"]:
        seconds, args = int(args[1]), args[2:]
    fuzz = seconds is not None
    args.sort(key=lambda program: "/vec/" not in program)  # they take longest: begun last, they would end alone
    passed = failed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        commands = [fuzz_command(a, seconds) if fuzz else [a] for a in args]
        for program, (code, out, took) in zip(args, pool.map(run, commands)):
            p, f = counts(code, out, fuzz)
            passed, failed = passed + p, failed + f
            name = "/".join(program.split("/")[-2:])
            print(f"{name}: {p} passed, {f} failed{remark(out, fuzz)}, {took:.1f} s", flush=True)
            if f:
                print(out, flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    if "TEST_TOTALS" in os.environ:
        with open(os.environ["TEST_TOTALS"], "a") as t:
            t.write(f"{passed} {failed}\n")
    return 1 if failed else 0


sys.exit(main())
