"""kill -9 at random moments under concurrent writers, with `appendfsync always`.

    TEST_CRASH_ROUNDS   rounds in all, shared out over both file engines (24; thousands are for a night)
    TEST_CRASH_SEED     repeats the operations and the moments of a run whose seed a failure has named

Every round starts the server on the folder that the crash before left, so what one crash damages the next ones see. In
every second round the journal is compacted all the while, by BGREWRITEAOF and by itself.
"""

import itertools
import os
import random
import threading
import time

import pytest
import redis

from resp import Conn
from skald import SLOW
from workload import Writer, check_shared, create_sets, unknown_keys

ROUNDS = int(os.environ.get("TEST_CRASH_ROUNDS", 6 if SLOW else 24))
SEED = int(os.environ.get("TEST_CRASH_SEED", 0)) or random.SystemRandom().randrange(1 << 32)
WRITERS = 6


def settings(rng, engine, rewrites):
    args = ["--appendonly", "yes", "--appendfsync", "always", "--file-engine", engine]
    if rewrites and rng.random() < 0.5:
        args += ["--auto-aof-rewrite-percentage", "20", "--auto-aof-rewrite-min-size", "16kb"]
    else:
        args += ["--auto-aof-rewrite-percentage", "0"]
    if rng.random() < 0.5:
        args += ["--vector-checkpoint-bytes", "4096", "--hz", "100"]  # a checkpoint is nearly always under way
    return args


def compact_until(stop, server, rng):
    """Compactions one after the other, so that a crash meets each of their steps."""
    try:
        r = server.client()
        while not stop.is_set():
            try:
                r.bgrewriteaof()
            except redis.ResponseError as e:
                assert "progress" in str(e) or "under way" in str(e), str(e)
            time.sleep(rng.random() * 0.05)
    except (redis.ConnectionError, redis.TimeoutError):
        pass


def one_round(server, writers, rng, rewrites):
    """Writes, kills, starts again; what is wrong then, or None."""
    delay = rng.choice([0.02, 0.1, 0.3, 0.3, 0.6]) * rng.uniform(0.5, 1.5) * (4 if SLOW else 1)
    stop = threading.Event()
    helpers = [threading.Thread(target=compact_until, args=(stop, server, random.Random(rng.random())))] * rewrites
    for w in writers:
        w.go(server.port)
    for h in helpers:
        h.start()
    time.sleep(delay)
    server.kill9()
    stop.set()
    for thread in [*writers, *helpers]:
        thread.join(60)
    server.start()
    conn = Conn(server.raw())
    try:
        for w in writers:
            if wrong := w.check(conn):
                return wrong
        extra = unknown_keys(conn, writers)
        if extra:
            return f"keys that nobody wrote: {extra}"
        if "ahead of the journal" in server.log_text():
            return "the file of a vector set held what the journal did not"
        return check_shared(conn, writers)
    finally:
        conn.close()


@pytest.mark.parametrize("engine", ["io_uring", "thread"])
def test_what_was_acknowledged_survives(fresh, engine):
    print(f"TEST_CRASH_SEED={SEED}")
    rng = random.Random(f"{SEED}/{engine}")
    server = fresh(*settings(rng, engine, False))
    writers = [Writer(i, f"{SEED}/{engine}") for i in range(WRITERS)]
    conn = Conn(server.raw())
    create_sets(conn, writers)
    conn.close()
    for n in itertools.count():
        if n >= ROUNDS // 2 and all(w.acked for w in writers):  # on a slow machine a crash may come before the first reply
            break
        assert n < ROUNDS * 10, "hardly anything is acknowledged"
        wrong = one_round(server, writers, rng, rewrites=n % 2 == 1)
        assert wrong is None, f"round {n} of TEST_CRASH_SEED={SEED}: {wrong}\n{server.log_text()[-3000:]}"
        server.args = settings(rng, engine, n % 2 == 0)
