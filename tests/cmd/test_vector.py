"""Vector sets over the wire: exactness, options, errors, restarts in memory and on files."""

import fcntl
import math
import os
import random
import struct
import threading
import time

import pytest
import redis
from helpers import WRONGTYPE, error, raw

pytestmark = pytest.mark.threads


def blob(v):
    return struct.pack(f"<{len(v)}f", *v)


def unit(rng, dim):
    v = [rng.gauss(0, 1) for _ in range(dim)]
    n = math.sqrt(sum(x * x for x in v))
    return [x / n for x in v]


def fill(r, key, n, dim, seed=1, prefix="e"):
    rng = random.Random(seed)
    vs = {f"{prefix}{i}".encode(): unit(rng, dim) for i in range(n)}
    p = r.pipeline(transaction=False)
    for name, v in vs.items():
        p.execute_command("VADD", key, "FP32", blob(v), name)
    assert p.execute() == [1] * n
    return vs


def exact(vs, q, k):
    return sorted(vs, key=lambda n: -sum(a * b for a, b in zip(vs[n], q)))[:k]


def recall(r, key, vs, queries, k=10, *options):
    rng, hits = random.Random(99), 0
    dim = len(next(iter(vs.values())))
    for _ in range(queries):
        q = unit(rng, dim)
        got = raw(r, "VSEARCH", key, "FP32", blob(q), "COUNT", k, *options)
        hits += len(set(got) & set(exact(vs, q, k)))
    return hits / (queries * k)


def test_recall_against_an_exact_scan(r):
    vs = fill(r, "v", 3000, 24)
    assert recall(r, "v", vs, 30, 10, "EF", 200) > 0.97
    assert recall(r, "v", vs, 10, 10, "TRUTH") == 1


def test_scores_of_each_metric(r):
    raw(r, "VCREATE", "l2", "DIM", 2, "METRIC", "L2")
    raw(r, "VCREATE", "ip", "DIM", 2, "METRIC", "IP")
    for key in ("cos", "l2", "ip"):
        raw(r, "VADD", key, "VALUES", 2, 3, 4, "a")
    assert float(raw(r, "VSEARCH", "cos", "VALUES", 2, 3, 4, "WITHSCORES")[1]) == pytest.approx(1)
    assert float(raw(r, "VSEARCH", "cos", "VALUES", 2, -3, -4, "WITHSCORES")[1]) == pytest.approx(0, abs=1e-6)
    assert float(raw(r, "VSEARCH", "l2", "VALUES", 2, 0, 0, "WITHSCORES")[1]) == pytest.approx(5)
    assert float(raw(r, "VSEARCH", "ip", "VALUES", 2, 1, 2, "WITHSCORES")[1]) == pytest.approx(11)


def test_flat_index_is_exact(r):
    raw(r, "VCREATE", "f", "DIM", 8, "INDEX", "FLAT")
    vs = fill(r, "f", 500, 8)
    assert recall(r, "f", vs, 20) == 1


def test_update_and_remove(r):
    vs = fill(r, "v", 400, 8)
    for name in list(vs)[:200]:
        assert raw(r, "VREM", "v", name) == 1
        del vs[name]
    rng = random.Random(5)
    for name in list(vs)[:100]:
        vs[name] = unit(rng, 8)
        assert raw(r, "VADD", "v", "FP32", blob(vs[name]), name) == 0
    assert raw(r, "VCARD", "v") == 200
    for name, v in vs.items():
        assert raw(r, "VSEARCH", "v", "FP32", blob(v), "COUNT", 1) == [name]
    for name in list(vs):
        raw(r, "VREM", "v", name)
    assert r.exists("v") == 0


def test_filters_and_attributes(r):
    rng = random.Random(2)
    for i in range(600):
        raw(r, "VADD", "v", "FP32", blob(unit(rng, 8)), f"e{i}", "SETATTR",
            '{"year":%d,"tag":"%s"}' % (1900 + i % 100, "odd" if i % 2 else "even"))
    got = raw(r, "VSEARCH", "v", "FP32", blob(unit(rng, 8)), "COUNT", 20, "FILTER",
              '.year >= 1990 and .tag == "even"', "WITHATTRIBS")
    assert len(got) == 40
    for attr in got[1::2]:
        assert b'"even"' in attr and b'"year":199' in attr
    assert error(r, "VSIM", "v", "ELE", "e1", "FILTER", ".year >").startswith("syntax error in FILTER expression near")
    assert raw(r, "VSETATTR", "v", "e1", "not json") == 1
    assert raw(r, "VSETATTR", "v", "nobody", "{}") == 0
    assert raw(r, "VGETATTR", "v", "nobody") is None


def test_text(r):
    for name, text in [("cat", "a cat sat on the mat"), ("car", "the engine of a car"), ("law", "合同的解除与违约责任")]:
        assert raw(r, "VADD", "t", "TEXT", text, name) == 1
    assert raw(r, "VSEARCH", "t", "TEXT", "cats on mats", "COUNT", 1) == [b"cat"]
    assert raw(r, "VSEARCH", "t", "TEXT", "违约责任是什么", "COUNT", 1) == [b"law"]
    assert error(r, "VADD", "t", "TEXT", b"\xff\xfe bad", "x").startswith("INVALID")
    assert error(r, "VADD", "t", "TEXT", "", "x").startswith("INVALID")
    raw(r, "VCREATE", "m", "DIM", 4, "MODEL", "no/such")
    assert error(r, "VADD", "m", "TEXT", "hello", "x").startswith("STATE")


def test_resp3_shapes(server, r):
    from resp import Conn
    raw(r, "VADD", "v", "VALUES", 2, 1, 0, "a", "SETATTR", '{"n":1}')
    c = Conn(server.raw())
    c.call("HELLO", 3)
    assert c.call("VADD", "v", "VALUES", 2, 0, 1, "b") is True
    assert c.call("VSIM", "v", "ELE", "a") == [b"a", b"b"]
    assert c.call("VSIM", "v", "ELE", "a", "COUNT", 1, "WITHSCORES") == {b"a": 1.0}
    assert c.call("VSIM", "v", "ELE", "a", "WITHSCORES", "WITHATTRIBS") == {b"a": [1.0, b'{"n":1}'], b"b": [0.5, None]}
    assert c.call("VSIM", "v", "ELE", "a", "WITHATTRIBS") == {b"a": b'{"n":1}', b"b": None}
    assert c.call("VINFO", "v")[b"size"] == 2
    c.close()


@pytest.mark.parametrize("cmd", [
    ("VSEARCH", "v", "ELE", "a", "COUNT", "0"),
    ("VSEARCH", "v", "ELE", "a", "COUNT", "1001"),
    ("VSEARCH", "v", "ELE", "a", "RADIUS", "far"),
    ("VCREATE", "w", "DIM", "0"),
    ("VCREATE", "w", "DIM", "70000"),
    ("VCREATE", "w", "DIM", "8", "QUANT", "NIBBLE"),
    ("VCREATE", "w", "DIM", "8", "METRIC"),
    ("VCREATE", "w", "DIM", "8", "UID", "0" * 32),
    ("VCREATE", "w", "METRIC", "L2"),
])
def test_bad_input_is_refused_and_changes_nothing(r, cmd):
    raw(r, "VADD", "v", "VALUES", 2, 1, 0, "a")
    assert error(r, *cmd).startswith("INVALID")
    assert raw(r, "VCARD", "v") == 1 and r.keys() == [b"v"]


def test_other_errors(r):
    raw(r, "VADD", "v", "VALUES", 2, 1, 0, "a")
    r.set("s", "x")
    for cmd in (["VADD", "s", "VALUES", 1, 1, "x"], ["VSIM", "s", "ELE", "x"], ["VCARD", "s"], ["VREM", "s", "x"]):
        assert error(r, *cmd) in (WRONGTYPE, "WRONGTYPE Operation against a key holding the wrong kind of value")
    assert error(r, "VSIM", "v", "ELE", "nobody") == "element not found in set"
    assert error(r, "VSIM", "v", "ELE", "a", "NONSENSE") == "syntax error in VSIM command"
    assert error(r, "VADD", "v", "NONSENSE", "1", "x") == "invalid vector specification"
    assert error(r, "VDIM", "nothing") == "key does not exist"


def test_generic_commands_work_on_vector_sets(r):
    vs = fill(r, "v", 200, 8)
    assert r.type("v") == b"vectorset" and r.object("encoding", "v") == b"vectorset"
    assert r.rename("v", "w") and raw(r, "VCARD", "w") == 200
    assert r.copy("w", "x") and recall(r, "x", vs, 10) > 0.9
    payload = r.dump("x")
    r.delete("x")
    r.restore("y", 0, payload)
    assert recall(r, "y", vs, 10) > 0.9
    for at in random.Random(1).sample(range(len(payload)), 40):
        broken = bytearray(payload)
        broken[at] ^= 0x55
        with pytest.raises(redis.ResponseError):
            r.restore("z", 0, bytes(broken))
    assert r.expire("y", 100) and r.ttl("y") > 0
    assert list(r.scan_iter(_type="vectorset"))


def test_in_a_transaction(r):
    p = r.pipeline(transaction=True)
    p.execute_command("VADD", "v", "VALUES", 2, 1, 0, "a")
    p.execute_command("VSIM", "v", "VALUES", 2, 1, 0)
    p.execute_command("VADD", "v", "TEXT", "does not fit", "b")
    out = p.execute(raise_on_error=False)
    assert out[:2] == [1, [b"a"]]


@pytest.mark.parametrize("storage", ["MEMORY", "FILE"])
def test_survives_kill_and_compaction(fresh, storage):
    s = fresh("--appendonly", "yes", "--appendfsync", "always", "--vector-checkpoint-seconds", "1")
    r = s.client(decode_responses=False)
    raw(r, "VCREATE", "v", "DIM", 8, "STORAGE", storage)
    vs = fill(r, "v", 300, 8)
    for round in range(4):
        if round == 1:
            raw(r, "BGREWRITEAOF")
        more = fill(r, "v", 50, 8, seed=round + 10, prefix=f"r{round}-")
        vs.update(more)
        gone = list(vs)[round]
        assert raw(r, "VREM", "v", gone) == 1
        del vs[gone]
        if round == 2:
            time.sleep(1.5)  # a checkpoint by time comes in between
        s.kill9()
        s.start()
        r = s.client(decode_responses=False)
        assert raw(r, "VCARD", "v") == len(vs)
        for name, v in vs.items():
            assert raw(r, "VSEARCH", "v", "FP32", blob(v), "COUNT", 1) == [name]
    s.restart()
    r = s.client(decode_responses=False)
    assert raw(r, "VCARD", "v") == len(vs)
    assert raw(r, "VINFO", "v")[raw(r, "VINFO", "v").index(b"storage") + 1] == storage.encode()
    r.delete("v")
    s.kill9()
    s.start()
    assert s.client().exists("v") == 0


def test_file_storage_needs_the_journal(r):
    assert error(r, "VCREATE", "v", "DIM", 4, "STORAGE", "FILE").startswith("STATE")


def locked_set(fresh):
    s = fresh("--appendonly", "yes", "--appendfsync", "always")
    r = s.client(decode_responses=False)
    raw(r, "VCREATE", "v", "DIM", 2, "STORAGE", "FILE")
    raw(r, "VADD", "v", "VALUES", 2, 1, 0, "a")
    raw(r, "BGREWRITEAOF")
    while r.info("persistence")["aof_rewrite_in_progress"]:
        time.sleep(0.02)
    s.kill9()
    (name,) = [n for n in os.listdir(f"{s.dir}/vectors") if n.endswith(".vec")]
    f = open(f"{s.dir}/vectors/{name}", "rb")
    fcntl.flock(f, fcntl.LOCK_EX)
    return s, f


def test_a_lock_that_outlives_a_killed_server_is_waited_for(fresh):
    """A child of the killed server may hold its locks for a moment."""
    s, f = locked_set(fresh)
    threading.Timer(0.3, f.close).start()
    s.start()
    assert raw(s.client(decode_responses=False), "VISMEMBER", "v", "a") == 1


def test_a_file_that_cannot_be_opened_stops_the_start_and_stays(fresh):
    s, f = locked_set(fresh)
    with pytest.raises(RuntimeError, match="in use by another process.*journal-skip-refused"):
        s.start()
    f.close()
    s.start()
    assert raw(s.client(decode_responses=False), "VISMEMBER", "v", "a") == 1


# ---- many at once ----

def many(rng, n, dim, prefix="m"):
    vs = {f"{prefix}{i}".encode(): unit(rng, dim) for i in range(n)}
    return vs, b"".join(blob(v) for v in vs.values())


def test_vmadd_adds_what_vadd_adds(r):
    vs, bytes_ = many(random.Random(11), 300, 8)
    assert raw(r, "VMADD", "v", "COUNT", 300, "FP32", bytes_, *vs) == 300
    assert recall(r, "v", vs, 10) > 0.99
    assert raw(r, "VMADD", "v", "COUNT", 300, "FP32", bytes_, *vs) == 0
    assert raw(r, "VMADD", "v", "COUNT", 3, "FP32", blob([1] * 8 + [2] * 8 + [3] * 8), "new", "m0", "new") == 1
    assert [float(x) for x in raw(r, "VEMB", "v", "new")] == pytest.approx([3] * 8, rel=0.01)  # the last one counts
    assert raw(r, "VCARD", "v") == 301


@pytest.mark.parametrize("cmd", [
    ("COUNT", "2", "FP32", blob([1, 0, 0, 1]), "x"),
    ("COUNT", "1", "FP32", blob([1, 0, 0, 1]), "x", "y"),
    ("COUNT", "0", "FP32", b"", "x"),
    ("COUNT", "-1", "FP32", blob([1, 0]), "x"),
    ("COUNT", "4294967297", "FP32", blob([1, 0]), "x"),
    ("COUNT", "2", "FP32", blob([1, 0, 0]), "x", "y"),
    ("COUNT", "2", "FP32", b"", "x", "y"),
    ("COUNT", "2", "FP32", blob([1, 0, 0, math.nan]), "x", "y"),
    ("COUNT", "2", "FP32", blob([1, 0, 0, 1]), "x", ""),
    ("COUNT", "2", "FP32", blob([1, 0, 0, 1]), "x", "y" * 70000),
])
def test_vmadd_adds_all_or_nothing(r, cmd):
    for key, there in (("fresh", 0), ("v", 1)):
        if there:
            raw(r, "VADD", key, "VALUES", 2, 1, 0, "a")
        assert error(r, "VMADD", key, *cmd).startswith("INVALID")
        assert raw(r, "VCARD", key) == there == r.exists(key)


def test_vmadd_refuses(r):
    raw(r, "VADD", "v", "VALUES", 2, 1, 0, "a")
    r.set("s", "x")
    assert error(r, "VMADD", "v", "COUNT", 1, "FP32", blob([1, 2, 3]), "x") == "Vector dimension mismatch - got 3 but set has 2"
    assert "wrong kind of value" in error(r, "VMADD", "s", "COUNT", 1, "FP32", blob([1, 2, 3]), "x")
    assert error(r, "VMADD", "v", "NUMBER", 1, "FP32", blob([1, 2]), "x") == "syntax error"
    assert error(r, "VMADD", "v", "COUNT", 1, "FP16", blob([1, 2]), "x") == "syntax error"


def test_a_long_vmadd_lets_others_go_first(server, r):
    from resp import Conn
    vs, bytes_ = many(random.Random(12), 5000, 32)
    c, between = Conn(server.raw()), 0
    c.send("VMADD", "v", "COUNT", len(vs), "FP32", bytes_, *vs)
    while 0 < (n := raw(r, "VCARD", "v")) < len(vs) or n == 0:
        between += n > 0
        if n:
            assert raw(r, "VISMEMBER", "v", "m0") == 1
    assert between > 10  # seen half done
    assert c.read() == len(vs)
    c.close()
    assert recall(r, "v", vs, 10) > 0.9


def test_a_vmadd_whose_set_goes_away(server, r):
    from resp import Conn
    vs, bytes_ = many(random.Random(13), 4000, 32)
    c = Conn(server.raw())
    c.send("VMADD", "v", "COUNT", len(vs), "FP32", bytes_, *vs)
    while raw(r, "VCARD", "v") == 0:
        pass
    r.delete("v")
    raw(r, "VADD", "v", "VALUES", 2, 1, 0, "other")
    answer = c.read()
    assert isinstance(answer, Exception) and str(answer).startswith("STATE the vector set was deleted")
    c.close()
    assert raw(r, "VRANGE", "v", "-", "+") == [b"other"]


def test_a_vmadd_whose_client_goes_away_ends(server, r):
    from resp import Conn
    vs, bytes_ = many(random.Random(14), 4000, 32)
    c = Conn(server.raw())
    c.send("VMADD", "v", "COUNT", len(vs), "FP32", bytes_, *vs)
    while raw(r, "VCARD", "v") == 0:
        pass
    c.close()
    before = -1
    while before != (now := raw(r, "VCARD", "v")):
        before = now
        time.sleep(0.1)
    assert 0 < now <= len(vs)


def test_vmadd_in_a_transaction_and_in_a_script(r):
    vs, bytes_ = many(random.Random(15), 500, 8)
    p = r.pipeline(transaction=True)
    p.execute_command("VMADD", "v", "COUNT", 500, "FP32", bytes_, *vs)
    p.execute_command("VCARD", "v")
    assert p.execute() == [500, 500]
    assert r.eval("return redis.call('VMADD', KEYS[1], 'COUNT', 500, 'FP32', unpack(ARGV))", 1, "w", bytes_, *vs) == 500


@pytest.mark.parametrize("storage", ["MEMORY", "FILE"])
def test_what_vmadd_acknowledged_survives_a_kill(fresh, storage):
    s = fresh("--appendonly", "yes", "--appendfsync", "always")
    r = s.client(decode_responses=False)
    raw(r, "VCREATE", "v", "DIM", 16, "STORAGE", storage)
    vs, bytes_ = many(random.Random(16), 1500, 16)
    assert raw(r, "VMADD", "v", "COUNT", len(vs), "FP32", bytes_, *vs) == len(vs)
    from resp import Conn
    more, bytes_ = many(random.Random(17), 3000, 16, "later")
    c = Conn(s.raw())
    c.send("VMADD", "v", "COUNT", len(more), "FP32", bytes_, *more)
    while (seen := raw(r, "VCARD", "v")) == len(vs):
        pass
    s.kill9()
    c.close()
    s.start()
    r = s.client(decode_responses=False)
    assert seen <= raw(r, "VCARD", "v") <= len(vs) + len(more)
    names = raw(r, "VRANGE", "v", "-", "+")
    assert set(vs) <= set(names)
    for name in list(vs)[::50]:
        assert raw(r, "VSEARCH", "v", "FP32", blob(vs[name]), "COUNT", 1) == [name]
    count = len(names) - len(vs)
    assert set(names) - set(vs) == set(list(more)[:count])  # what was seen is the beginning


def test_batch_is_many_searches(r):
    rng = random.Random(18)
    vs = fill(r, "v", 2000, 8)
    for i, name in enumerate(vs):
        raw(r, "VSETATTR", "v", name, '{"i":%d}' % i)
    queries = [unit(rng, 8) for _ in range(100)]
    bytes_ = b"".join(blob(q) for q in queries)
    for options in [(), ("COUNT", 3, "WITHSCORES"), ("FILTER", ".i < 300", "WITHATTRIBS"), ("TRUTH", "NOTHREAD", "WITHVECTORS")]:
        got = raw(r, "VSEARCH", "v", "BATCH", 100, "FP32", bytes_, *options)
        assert got == [raw(r, "VSEARCH", "v", "FP32", blob(q), *options) for q in queries]
    assert raw(r, "VSEARCH", "nothing", "BATCH", 100, "FP32", bytes_) == []
    p = r.pipeline(transaction=True)
    p.execute_command("VSEARCH", "v", "BATCH", 2, "FP32", bytes_[:64])
    assert [len(x) for x in p.execute()[0]] == [10, 10]


def test_with_vectors(server, r):
    from resp import Conn
    raw(r, "VADD", "v", "VALUES", 2, 3, 4, "a", "SETATTR", "{}")
    assert raw(r, "VSEARCH", "v", "ELE", "a", "WITHVECTORS") == [b"a", blob([3, 4])]
    assert raw(r, "VSEARCH", "v", "ELE", "a", "WITHVECTORS", "WITHATTRIBS", "WITHSCORES") == [b"a", b"1", b"{}", blob([3, 4])]
    c = Conn(server.raw())
    c.call("HELLO", 3)
    assert c.call("VSEARCH", "v", "ELE", "a", "WITHVECTORS") == {b"a": blob([3, 4])}
    assert c.call("VSEARCH", "v", "BATCH", 1, "FP32", blob([3, 4]), "WITHVECTORS", "WITHSCORES") == [{b"a": [1.0, blob([3, 4])]}]
    c.close()


@pytest.mark.parametrize("cmd", [
    ("BATCH", "2", "FP32", blob([1, 0])),
    ("BATCH", "1", "FP32", blob([1, 0, 1])),
    ("BATCH", "0", "FP32", blob([1, 0])),
    ("BATCH", "65537", "FP32", blob([1, 0])),
    ("BATCH", "x", "FP32", blob([1, 0])),
    ("BATCH", "1", "FP32", blob([1, math.inf])),
    ("BATCH", "1", "VALUES", "2", "1", "0"),
    ("BATCH", "1"),
])
def test_batch_refuses(r, cmd):
    raw(r, "VADD", "v", "VALUES", 2, 1, 0, "a")
    assert error(r, "VSEARCH", "v", *cmd).startswith("INVALID")


def test_vmadd_of_names_that_come_again_and_of_neighbours_side_by_side(r):
    """Above a thousand elements workers look for the links of several at once."""
    rng = random.Random(19)
    vs = fill(r, "v", 1500, 16)
    names, vectors = [], []
    for i in range(500):
        base = unit(rng, 16)
        for k in range(6):  # close to each other, and one after the other
            names.append(f"c{i}-{k}".encode() if k < 4 else f"again{rng.randrange(40)}".encode())
            vectors.append([x + rng.gauss(0, 0.02) for x in base])
    new = dict(zip(names, vectors))
    assert raw(r, "VMADD", "v", "COUNT", len(names), "FP32", b"".join(map(blob, vectors)), *names) == len(new)
    assert raw(r, "VCARD", "v") == len(vs) + len(new)
    for name, v in new.items():
        assert [float(x) for x in raw(r, "VEMB", "v", name)] == pytest.approx(v, abs=1e-3)  # the last one counts
    found = sum(raw(r, "VSEARCH", "v", "FP32", blob(v), "COUNT", 1) == [name] for name, v in new.items())
    assert found > 0.99 * len(new)
    vs.update({name: [x / math.sqrt(sum(y * y for y in v)) for x in v] for name, v in new.items()})
    assert recall(r, "v", vs, 20) > 0.95


def test_vinfo_tells_the_shape_of_the_graph(r):
    pipe = r.pipeline(transaction=False)
    for i in range(300):
        pipe.execute_command("VADD", "v", "VALUES", 2, i % 17, i // 17 + 1, f"e{i}", "M", 4, "SETATTR", f'{{"n":{i}}}')
    pipe.execute()
    flat = raw(r, "VINFO", "v")
    info = dict(zip(flat[::2], flat[1::2]))
    assert info[b"levels"] == info[b"max-level"] + 1 >= 1
    assert 2 <= float(info[b"mean-degree"]) <= 8  # 2 M at most
    assert info[b"filter-columns"] >= 0 and info[b"deleted"] == 0 and info[b"size"] == 300
    raw(r, "VREM", "v", "e7")
    flat = raw(r, "VINFO", "v")
    assert dict(zip(flat[::2], flat[1::2]))[b"deleted"] == 1
