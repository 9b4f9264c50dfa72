"""How a vector set keeps its vectors: every quantisation finds, survives restarts, dumps and copies."""

import random
import struct

import pytest
from helpers import error, raw

DIM, N = 24, 1500  # enough elements for bits
NAMES = {"NONE": b"f32", "Q8": b"int8", "F16": b"f16", "BIN": b"bin"}


def vectors(seed):
    rng = random.Random(seed)
    places = [[rng.gauss(0, 1) for _ in range(DIM)] for _ in range(40)]
    return [[a + rng.gauss(0, 0.3) for a in rng.choice(places)] for _ in range(N)]


def blob(v):
    return struct.pack(f"<{len(v)}f", *v)


def info(r, key):
    x = raw(r, "VINFO", key)
    return dict(zip(x[::2], x[1::2])) if isinstance(x, list) else x


def fill(r, key, vs):
    p = r.pipeline(transaction=False)
    for i, v in enumerate(vs):
        p.execute_command("VADD", key, "FP32", blob(v), f"e{i}")
    assert p.execute() == [1] * len(vs)


def answers(r, key, vs):
    return [raw(r, "VSIM", key, "FP32", blob(v), "WITHSCORES", "COUNT", 10) for v in vs[::100]]


def names(found):
    return {n for n in (found if isinstance(found, dict) else found[::2])}


def recall(r, key, vs):
    good = 0
    for i in range(0, N, 50):
        got = names(raw(r, "VSIM", key, "FP32", blob(vs[i]), "WITHSCORES", "COUNT", 10))
        truth = names(raw(r, "VSIM", key, "FP32", blob(vs[i]), "WITHSCORES", "COUNT", 10, "TRUTH"))
        assert f"e{i}".encode() in got
        good += len(got & truth)
    return good / (N / 50 * 10)


@pytest.mark.parametrize("quant", NAMES)
@pytest.mark.parametrize("storage", ["MEMORY", "FILE"])
def test_finds_and_survives(fresh, quant, storage):
    s = fresh("--appendonly", "yes", "--appendfsync", "everysec", "--vector-checkpoint-seconds", "1")
    r, vs = s.client(decode_responses=False), vectors(1)
    raw(r, "VCREATE", "v", "DIM", DIM, "QUANT", quant, "METRIC", "L2", "STORAGE", storage)
    fill(r, "v", vs)
    assert info(r, "v")[b"quant-type"] == NAMES[quant]
    assert recall(r, "v", vs) > 0.9
    before = answers(r, "v", vs)
    s.restart()
    r = s.client(decode_responses=False)
    assert info(r, "v")[b"quant-type"] == NAMES[quant]
    if storage == "FILE":
        assert answers(r, "v", vs) == before
    assert recall(r, "v", vs) > 0.9
    payload = raw(r, "DUMP", "v")
    raw(r, "RESTORE", "w", 0, payload)
    assert answers(r, "w", vs) == answers(r, "v", vs)
    assert raw(r, "VCARD", "w") == N


@pytest.mark.parametrize("quant", NAMES)
def test_flat_is_exact(r, quant):
    vs = vectors(2)
    raw(r, "VCREATE", "v", "DIM", DIM, "QUANT", quant, "INDEX", "FLAT", "METRIC", "IP")
    fill(r, "v", vs)
    for v in vs[::150]:
        same = [raw(r, "VSIM", "v", "FP32", blob(v), "WITHSCORES", "COUNT", 20, *how) for how in ([], ["TRUTH"])]
        assert same[0] == same[1]


@pytest.mark.parametrize("quant", ["F16", "BIN"])
def test_vectors_come_back(r, quant):
    raw(r, "VCREATE", "v", "DIM", 3, "QUANT", quant, "METRIC", "L2")
    for x in ([0, 0, 0], [1e30, -2e30, 0], [1e-30, 0, 3e-30], [0.1, 1000, -77.77]):
        raw(r, "VADD", "v", "VALUES", 3, *x, "a")
        got, most = [float(y) for y in raw(r, "VEMB", "v", "a")], max(map(abs, x))
        assert all(abs(a - b) <= most / 2000 for a, b in zip(got, x))


def test_words_of_vadd(r):
    assert raw(r, "VADD", "b", "VALUES", 2, 1, 0, "a", "BIN") == 1
    assert info(r, "b")[b"quant-type"] == b"bin"
    assert error(r, "VADD", "b", "VALUES", 2, 1, 0, "b", "Q8") == "asked quantization mismatch with existing vector set"
    assert raw(r, "VADD", "b", "VALUES", 2, 0, 1, "b", "BIN") == raw(r, "VADD", "b", "VALUES", 2, 0, 1, "c") == 1
    assert error(r, "VCREATE", "x", "DIM", 2, "QUANT", "Q4").startswith("INVALID")
