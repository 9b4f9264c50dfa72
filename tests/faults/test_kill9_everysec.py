"""kill -9 with `appendfsync everysec`: what was acknowledged is in the file, if not on the disk, and a process that dies
does not lose it. (A machine that dies may: that is what `always` is for.)"""

import random
import time

import pytest


@pytest.mark.parametrize("policy", ["everysec", "no"])
@pytest.mark.parametrize("engine", ["io_uring", "thread"])
def test_an_acknowledged_write_outlives_the_process(fresh, engine, policy):
    s = fresh("--appendonly", "yes", "--appendfsync", policy, "--file-engine", engine)
    n = 0
    for _ in range(6):
        c = s.client()
        end = time.monotonic() + random.uniform(0.3, 1.3)
        while True:
            n += 1
            c.set("n", n)
            if time.monotonic() > end:
                break
        s.kill9()
        s.start()
        assert int(s.client().get("n")) == n
