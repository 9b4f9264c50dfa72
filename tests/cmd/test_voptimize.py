"""VOPTIMIZE: a graph built again while the set is read and changed."""

import random
import struct
import time

import pytest
from helpers import error, other_db, raw

DIM = 16


def vector(rng):
    return [rng.gauss(0, 1) for _ in range(DIM)]


def blob(v):
    return struct.pack(f"<{len(v)}f", *v)


def info(r, key):
    return as_map(raw(r, "VINFO", key))


def as_map(x):
    x = x if isinstance(x, dict) else dict(zip(x[::2], x[1::2]))
    return {(k.decode() if isinstance(k, bytes) else k): v for k, v in x.items()}


def add(r, key, name, v, *options):
    return raw(r, "VADD", key, "FP32", blob(v), name, *options)


def fill(r, key, vs):
    names = list(vs)
    for i in range(0, len(names), 500):
        part = names[i : i + 500]
        raw(r, "VMADD", key, "COUNT", len(part), "FP32", b"".join(blob(vs[n]) for n in part), *part)


def finished(r, key):
    until = time.monotonic() + 120
    while info(r, key)["optimizing"]:
        assert time.monotonic() < until, "it does not end"
        time.sleep(0.01)
    return info(r, key)


def nearest(r, key, v, *options):
    found = raw(r, "VSIM", key, "FP32", blob(v), "COUNT", 1, *options)
    return found[0].decode() if found and isinstance(found[0], bytes) else found and found[0]


def recall(r, key, vs):
    good = all_ = 0
    for v in list(vs.values())[::40]:
        truth = set(raw(r, "VSIM", key, "FP32", blob(v), "COUNT", 10, "TRUTH"))
        good += len(truth & set(raw(r, "VSIM", key, "FP32", blob(v), "COUNT", 10)))
        all_ += len(truth)
    return good / all_


def check(r, key, vs):
    assert raw(r, "VCARD", key) == len(vs)
    for name, v in list(vs.items())[::7]:
        assert nearest(r, key, v) == name


@pytest.mark.parametrize("quant", ["NONE", "Q8", "F16", "BIN"])
@pytest.mark.parametrize("index", ["HNSW", "FLAT"])
def test_says_the_same_as_before(r, quant, index):
    rng = random.Random(1)
    vs = {f"e{i}": vector(rng) for i in range(2500)}
    raw(r, "VCREATE", "v", "DIM", DIM, "QUANT", quant, "INDEX", index)
    fill(r, "v", vs)
    for i in range(0, 2500, 3):
        raw(r, "VREM", "v", f"e{i}")
        del vs[f"e{i}"]
    for i in range(1, 2500, 30):
        raw(r, "VSETATTR", "v", f"e{i}", f'{{"n":{i}}}')
    digest, before = raw(r, "DEBUG", "DIGEST-VALUE", "v"), info(r, "v")
    found, uid = recall(r, "v", vs), before["hnsw-max-node-uid"]
    assert before["optimizing"] == 0 and before["optimize-last-ms"] == 0
    assert raw(r, "VOPTIMIZE", "v") in (b"OK", "OK")
    after = finished(r, "v")
    assert raw(r, "DEBUG", "DIGEST-VALUE", "v") == digest
    assert recall(r, "v", vs) >= found - 0.02
    same = ("size", "attributes-count", "quant-type", "hnsw-m", "ef-construction", "metric", "index", "vset-uid")
    assert {k: after[k] for k in same} == {k: before[k] for k in same}
    assert after["deleted"] == 0 and after["hnsw-max-node-uid"] >= uid
    assert raw(r, "VGETATTR", "v", "e31") in (b'{"n":31}', '{"n":31}')
    check(r, "v", vs)


def test_again_with_ef(r):
    rng = random.Random(2)
    vs = {f"e{i}": vector(rng) for i in range(1500)}
    fill(r, "v", vs)
    for ef in (10, 400):
        raw(r, "VOPTIMIZE", "v", "EF", ef)
        assert finished(r, "v")["ef-construction"] == 200
        check(r, "v", vs)
    assert error(r, "VOPTIMIZE", "v", "FE", 3) == "syntax error"


def begun(r, key, n=4000, more=()):
    """A set that is being optimized, with the replies to commands that are sent along, so that they come while it is."""
    rng = random.Random(3)
    vs = {f"e{i}": vector(rng) for i in range(n)}
    fill(r, key, vs)
    p = r.pipeline(transaction=False)
    for cmd in (("VOPTIMIZE", key, "EF", 1000), *more, ("VINFO", key)):
        p.execute_command(*cmd)
    _, *replies, about = p.execute(raise_on_error=False)
    assert as_map(about)["optimizing"] == 1
    return rng, vs, replies


def news():
    rng = random.Random(4)
    return {f"first{i}": vector(rng) for i in range(50)}


def adding(key, vs):
    return [("VADD", key, "FP32", blob(v), name) for name, v in vs.items()]


def test_changes_meanwhile_are_there_afterwards(r):
    new = news()
    rng, vs, (refused, *added) = begun(r, "v", more=[("VOPTIMIZE", "v"), *adding("v", new)])
    assert "STATE" in str(refused) and added == [1] * len(new)
    vs.update(new)
    seen = 0
    for i in range(1200):
        what, name = i % 4, f"e{rng.randrange(4000)}"
        if what == 0:
            name = f"new{i}"
        if what == 2 and name in vs:
            assert raw(r, "VREM", "v", name) == 1
            del vs[name]
        elif what == 3 and name in vs:
            raw(r, "VSETATTR", "v", name, f'{{"at":{i}}}')
        else:
            vs[name] = vector(rng)
            add(r, "v", name, vs[name], "SETATTR", f'{{"at":{i}}}')
            assert nearest(r, "v", vs[name]) == name
            seen += 1
    assert seen
    digest = raw(r, "DEBUG", "DIGEST-VALUE", "v")
    finished(r, "v")
    assert raw(r, "DEBUG", "DIGEST-VALUE", "v") == digest
    check(r, "v", vs)
    assert recall(r, "v", vs) > 0.95


@pytest.mark.parametrize("how", ["DEL", "UNLINK", "FLUSHALL", "RENAME", "SET"])
def test_a_key_that_goes_meanwhile(r, how):
    commands = {"FLUSHALL": ("FLUSHALL",), "RENAME": ("RENAME", "v", "w"), "SET": ("SET", "v", "text")}
    _, vs, _ = begun(r, "v", 3000)
    raw(r, *commands.get(how, (how, "v")))
    if how == "RENAME":  # the set is the same one
        finished(r, "w")
        check(r, "w", vs)
    raw(r, "DEL", "v")
    add(r, "v", "one", [1] * DIM)  # another set under the name
    assert info(r, "v")["optimizing"] == 0
    raw(r, "VOPTIMIZE", "v")
    assert finished(r, "v")["size"] == 1


def test_the_last_element_goes_meanwhile(r):
    add(r, "v", "a", [1] * DIM)
    p = r.pipeline(transaction=False)
    p.execute_command("VOPTIMIZE", "v")
    p.execute_command("VREM", "v", "a")
    p.execute_command("EXISTS", "v")
    assert p.execute()[1:] == [1, 0]
    assert r.ping()


def test_moves_and_swaps_of_databases(r):
    _, vs, _ = begun(r, "v", 2000)
    raw(r, "SWAPDB", 0, 5)
    five = other_db(r, 5)
    assert finished(five, "v")["size"] == 2000
    check(five, "v", vs)
    raw(r, "SWAPDB", 0, 5)


def test_stop_and_restart_meanwhile(fresh):
    s = fresh("--appendonly", "yes")
    r = s.client(decode_responses=False)
    new = news()
    _, vs, _ = begun(r, "v", 3000, adding("v", new))
    vs.update(new)
    s.restart()
    r = s.client(decode_responses=False)
    assert info(r, "v")["optimizing"] == 0
    check(r, "v", vs)
    raw(r, "VOPTIMIZE", "v", "EF", 50)
    finished(r, "v")
    s.restart()
    r = s.client(decode_responses=False)
    check(r, "v", vs)


def test_not_for_files(fresh):
    s = fresh("--appendonly", "yes")
    r = s.client(decode_responses=False)
    raw(r, "VCREATE", "v", "DIM", 2, "STORAGE", "FILE")
    assert "STORAGE FILE" in error(r, "VOPTIMIZE", "v")
    raw(r, "SET", "s", "x")
    assert "WRONGTYPE" in error(r, "VOPTIMIZE", "s")
