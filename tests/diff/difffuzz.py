#!/usr/bin/python3
"""The same random commands to Skald and to redis-server; every reply must be the same. See README.md.

    tests/diff/difffuzz.py --seed 1 --commands 100000
    tests/diff/difffuzz.py --seed 1 --epoch 17         only that part of the run
    tests/diff/difffuzz.py --list                      what is sent, and what is left out and why
"""

import argparse
import collections
import os
import random
import sys
import tempfile
import time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]

import compare  # noqa: E402
import grammar  # noqa: E402
from pair import Mismatch, Pair  # noqa: E402
from scenes import Maker  # noqa: E402
from wire import Gone, Link, show  # noqa: E402

CLEAN = [(9, e) for e in (2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25)]  # for make test
EPOCH = 2000  # operations that begin on empty servers; a mismatch is replayed from the beginning of its epoch


def tree(reply):
    """A reply as dicts, lists and text; maps of COMMAND DOCS."""
    kind, value = reply
    if kind == "%":
        return {tree(k): tree(x) for k, x in zip(value[::2], value[1::2])}
    return [tree(x) for x in value] if isinstance(value, list) else value.decode() if value is not None else None


def names(link):
    return {n.lower() for n in tree(link.call(b"COMMAND", b"LIST"))}


def settings(r):
    return {"hash-max-listpack-entries": r.choice(["4", "8", "8", "128"]), "hash-max-listpack-value": r.choice(["8", "20", "64"]),
            "zset-max-listpack-entries": r.choice(["4", "8", "128"]), "zset-max-listpack-value": r.choice(["8", "20", "64"]),
            "set-max-intset-entries": r.choice(["4", "8", "512"]), "list-max-listpack-size": r.choice(["2", "4", "-2", "-1", "128"]),
            "stream-node-max-entries": r.choice(["3", "10", "100"]), "hll-sparse-max-bytes": r.choice(["40", "300", "3000"])}


class Fuzzer:
    def __init__(self, pair):
        self.pair = pair
        ctl = pair.link("ctl")
        common = names(ctl[0]) & names(ctl[1])
        wide = Link(pair.ports["redis"])
        wide.call(b"HELLO", b"3")
        docs = tree(wide.call(b"COMMAND", b"DOCS"))
        wide.close()
        protocol = ctl[1].call(b"DEBUG", b"PROTOCOL", b"integer")[0] != "-"
        self.grammar = grammar.Grammar(docs, common)
        self.maker = Maker(self.grammar, common, protocol)
        pair.full_stream = "xinfo|stream" in common
        self.counts = collections.Counter()
        self.restarts = 0
        self.reported = set()

    def epoch(self, seed, number):
        r = random.Random(f"{seed}:{number}")
        return settings(r), self.maker.sequence(r, EPOCH)

    def seen(self, argv, reply):
        self.counts[argv[0].lower()[:20]] += 1

    def run(self, seed, number, ops, config):
        self.pair.begin(config)
        self.pair.run(ops, self.seen)
        for op in ops:
            if op[0] != "c":
                self.counts[b"(" + op[0].encode() + b")"] += 1
        if number % 10 == 9:
            self.pair.restart_skald("kill" if number % 20 == 9 and self.pair.journal else "reload")
            self.restarts += 1

    def fails(self, ops, config, restart=None):
        """The mismatch of that sequence on fresh servers' data, or None."""
        try:
            self.pair.begin(config)
            self.pair.run(ops)
            if restart:
                self.pair.restart_skald(restart)
        except Mismatch as m:
            return m
        return None

    def minimise(self, ops, config, name):
        """The shortest sequence found whose last operation still differs on the same command."""
        def bad(trial):
            m = self.fails(trial, config)
            return m if m is not None and signature(m) == name else None
        step = max(1, len(ops) // 2)
        deadline = time.monotonic() + 120
        while step >= 1 and time.monotonic() < deadline:
            at, shrunk = 0, False
            while at < len(ops) - 1 and time.monotonic() < deadline:
                trial = ops[:at] + ops[min(at + step, len(ops) - 1):]
                m = bad(trial)
                if m:
                    ops, shrunk = trial[:m.index + 1], True
                else:
                    at += step
            if step == 1 and not shrunk:
                break
            step = step // 2 if step > 1 else (1 if shrunk else 0)
        return ops


def signature(m):
    """Mismatches of one kind."""
    return (m.what[0].lower(), compare.text(m.a)[:12] if m.a[0] == "-" else m.a[0], compare.text(m.b)[:12] if m.b[0] == "-" else m.b[0])


def lines(ops):
    out, conn = [], 0
    for op in ops:
        if op[0] in ("c", "spop"):
            if op[1] != conn:
                conn = op[1]
                out.append(f"# connection {conn} ({'RESP3' if conn else 'RESP2'})")
            out.append(show(op[2]))
        elif op[0] == "blocked":
            out += [f"# another client: {show(op[1])}"] + [show(x) for x in op[2]]
        elif op[0] == "cross":
            out.append(f"# DUMP {show(op[1:2])}; each server restores what the other one made to {show(op[2:3])} with {op[3]}")
        elif op[0] == "pubsub":
            out += [f"# {'subscriber' if who == 's' else 'publisher'} RESP{op[1]}: {show(x)}" for who, x in op[2]]
        else:
            out.append("# the whole keyspace is compared")
    return out


def report(fuzzer, seed, number, m, ops, config):
    print(f"\nMISMATCH seed {seed}, epoch {number}, operation {m.index}: {show(m.what)[:600]}")
    print(f"  redis: {compare.text(m.a)[:1500]!r}\n  skald: {compare.text(m.b)[:1500]!r}")
    again = fuzzer.fails(ops[:m.index + 1], config)
    if again is None:
        print("  (it does not happen again from the beginning of the epoch)")
        return
    short = fuzzer.minimise(ops[:again.index + 1], config, signature(again))
    again = fuzzer.fails(short, config) or again
    print("  shortest sequence found, settings " + " ".join(f"{k}={v}" for k, v in config.items()))
    for line in lines(short):
        print("    " + line[:1000])
    print(f"  at: {show(again.what)[:600]}\n  redis: {compare.text(again.a)[:1500]!r}\n  skald: {compare.text(again.b)[:1500]!r}", flush=True)


def fuzz(fuzzer, seed, commands, first=0, only=False, limit=1, out=print):
    """The number of mismatches; stops at `limit`."""
    bad, number, t0, done = 0, first, time.monotonic(), 0
    while done < commands:
        config, ops = fuzzer.epoch(seed, number)
        try:
            fuzzer.run(seed, number, ops, config)
        except Mismatch as m:
            bad += 1
            kind = signature(m)
            if kind not in fuzzer.reported:
                fuzzer.reported.add(kind)
                report(fuzzer, seed, number, m, ops, config)
        except Gone as e:
            out(f"\nGONE seed {seed}, epoch {number}: {e}; ended: {fuzzer.pair.procs['skald'].poll()}")
            bad += 1
            break
        done += len(ops)
        number += 1
        if number % 50 == 0:
            out(f"seed {seed}: {done} operations, {bad} mismatches, {done / (time.monotonic() - t0):.0f}/s", flush=True)
        if bad >= limit or only:
            break
    return bad


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--seed", default="1", help="one, or several: 1-5")
    p.add_argument("--commands", type=int, default=100_000, help="operations for each seed")
    p.add_argument("--epoch", type=int, help="run only this epoch of the seed")
    p.add_argument("--keep-going", type=int, default=1, metavar="N", help="stop after N mismatches")
    p.add_argument("--no-journal", action="store_true", help="Skald without its journal, never killed")
    p.add_argument("--list", action="store_true")
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="skald-diff-") as folder:
        pair = Pair(folder, journal=not args.no_journal)
        bad = 0
        try:
            f = Fuzzer(pair)
            if args.list:
                print("sent:", " ".join(f.grammar.names))
                print("left to the server that has it:", " ".join(f.grammar.unknown))
                for name, why in sorted(f.grammar.left_out.items()):
                    print(f"left out: {name}: {why}")
                return 0
            low, _, high = args.seed.partition("-")
            for seed in range(int(low), int(high or low) + 1):
                bad += fuzz(f, seed, args.commands, args.epoch or 0, args.epoch is not None, args.keep_going - bad)
                if bad >= args.keep_going:
                    break
            print(f"{sum(f.counts.values())} operations, {f.restarts} restarts, {bad} mismatches")
            print("by command:", " ".join(f"{k.decode('latin-1')}={n}" for k, n in f.counts.most_common()))
            for k in compare.KNOWN:
                print(f"known: {k.hits} x {k.why}")
        finally:
            pair.stop()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
