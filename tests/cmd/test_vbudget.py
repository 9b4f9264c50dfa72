"""Vector sets on files with a BUDGET: what VCREATE takes, what VINFO says, what of the file's mapping is in memory."""

import random
import re
import struct

import pytest
import redis

DIM = 768


def info(r, key):
    flat = r.execute_command("VINFO", key)
    return {k.decode() if isinstance(k, bytes) else k: v for k, v in zip(flat[::2], flat[1::2])}


def resident(pid, uid):
    """Bytes of the mappings of a set's file that the process has in memory."""
    total, ours = 0, False
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                ours = uid in line
            elif ours and line.startswith("Rss:"):
                total += int(line.split()[1]) * 1024
    return total


def vectors(n, seed=1):
    rnd = random.Random(seed)
    return [struct.pack(f"{DIM}f", *(rnd.gauss(0, 1) for _ in range(DIM))) for _ in range(n)]


def load(c, key, xs):
    p = c.pipeline(transaction=False)
    for i, x in enumerate(xs):
        p.execute_command("VADD", key, "FP32", x, f"e{i}")
    return p.execute()


def settle(c, key):
    """Until everything is on file."""
    import time

    for _ in range(3000):
        if info(c, key)["dirty-bytes"] == 0:
            time.sleep(0.3)  # a tick after the checkpoint
            return
        time.sleep(0.05)
    raise AssertionError("no checkpoint came")


SETTINGS = ("--appendonly", "yes", "--vector-checkpoint-seconds", "1")


@pytest.mark.parametrize("reads", ["buffered", "direct"])
def test_data_four_times_the_budget(fresh, reads):
    s = fresh(*SETTINGS, "--vector-file-reads", reads)
    c = redis.Redis(port=s.port, socket_timeout=120)
    n = 1600
    xs, budget = vectors(n), n * DIM  # a quarter of the floats
    c.execute_command("VCREATE", "v", "DIM", DIM, "QUANT", "BIN", "STORAGE", "FILE", "BUDGET", budget)
    c.execute_command("VCREATE", "m", "DIM", DIM, "QUANT", "BIN")
    assert load(c, "v", xs) == [1] * n
    load(c, "m", xs)
    settle(c, "v")
    was = info(c, "v")
    assert was["budget-bytes"] == budget
    assert 0 < was["resident-bytes"] <= budget
    assert was["file-bytes"] > 2 * budget
    for again in range(2):
        before = info(c, "v")["reads"]
        found = 0
        for x in xs[::40]:
            got = c.execute_command("VSIM", "v", "FP32", x, "COUNT", 10, "EF", 200)
            truth = c.execute_command("VSIM", "m", "FP32", x, "COUNT", 10, "TRUTH")
            found += len(set(got) & set(truth))
        assert found >= 0.9 * 10 * len(xs[::40])
        now = info(c, "v")
        assert now["reads"] >= before + 10 * len(xs[::40])
        assert now["resident-bytes"] <= budget
        assert resident(s.proc.pid, now["file"].decode()) <= budget + (256 << 10)  # pages around those in use
        if not again:
            s.stop()
            s.start()
            c = redis.Redis(port=s.port, socket_timeout=120)
            assert info(c, "v")["budget-bytes"] == budget


def test_codes_and_links_beyond_the_budget_are_refused(fresh):
    s = fresh(*SETTINGS)
    c = redis.Redis(port=s.port, socket_timeout=120)
    xs = vectors(600)
    c.execute_command("VCREATE", "v", "DIM", DIM, "STORAGE", "FILE", "BUDGET", "300kb")
    with pytest.raises(redis.ResponseError, match="BUDGET of 307200 bytes"):
        load(c, "v", xs)
    held = c.execute_command("VCARD", "v")
    assert 200 < held < 320
    with pytest.raises(redis.ResponseError, match="^OOM"):
        c.execute_command("VADD", "v", "FP32", xs[0], "one more")
    assert c.execute_command("VREM", "v", "e0") == 1
    s.kill9()
    s.start()
    c = redis.Redis(port=s.port, socket_timeout=120)
    assert c.execute_command("VCARD", "v") == held - 1  # what was taken is taken again
    assert info(c, "v")["budget-bytes"] == 300 * 1024


def test_mapped_reads_nothing(fresh):
    s = fresh(*SETTINGS, "--vector-file-reads", "mapped")
    c = redis.Redis(port=s.port, socket_timeout=120)
    xs = vectors(300)
    c.execute_command("VCREATE", "v", "DIM", DIM, "QUANT", "BIN", "STORAGE", "FILE", "BUDGET", "1mb")
    load(c, "v", xs)
    settle(c, "v")
    assert c.execute_command("VSIM", "v", "FP32", xs[7], "COUNT", 1, "TRUTH") == [b"e7"]
    assert info(c, "v")["reads"] == 0


def test_words(fresh):
    s = fresh(*SETTINGS)
    c = redis.Redis(port=s.port, socket_timeout=120)
    for budget, want in (("1m", 1000000), ("2gb", 2 << 30), ("7000", 7000)):
        c.execute_command("VCREATE", f"b{budget}", "DIM", 4, "BUDGET", budget, "STORAGE", "FILE")
        assert info(c, f"b{budget}")["budget-bytes"] == want
    for wrong in ("0", "-1", "many", "1x", ""):
        with pytest.raises(redis.ResponseError, match="INVALID VCREATE does not take BUDGET"):
            c.execute_command("VCREATE", "w", "DIM", 4, "STORAGE", "FILE", "BUDGET", wrong)
    with pytest.raises(redis.ResponseError, match="BUDGET goes with STORAGE FILE"):
        c.execute_command("VCREATE", "w", "DIM", 4, "BUDGET", "1m")
    c.execute_command("VCREATE", "plain", "DIM", 4)
    assert info(c, "plain")["budget-bytes"] == 0 and info(c, "plain")["reads"] == 0
