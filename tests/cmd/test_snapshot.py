"""RDB files: what Skald writes is read by Redis's own server and checker, what Redis writes is read by Skald, and no damage
to a file gets further than a sentence."""

import os
import struct
import subprocess
import time

import pytest
import redis

from helpers import error, raw
import reference


def fill(r):
    r.mset({"int": 7, "min": -2147483648, "big": 2**62, "text": "x" * 300, "empty": "", "bin": bytes(range(256))})
    r.set("ttl", "v", px=10_000_000)
    r.rpush("list", *range(500))
    r.rpush("longlist", *[("e%d" % i) * 50 for i in range(300)])
    r.sadd("ints", *range(5))
    r.sadd("few", "a", "b", "c")
    r.sadd("words", *[f"w{i}" for i in range(300)])
    r.hset("hash", mapping={f"f{i}": i for i in range(700)})
    r.hset("small", mapping={"a": 1, "b": "two"})
    r.zadd("zset", {f"m{i}": i / 3 for i in range(300)})
    r.zadd("zsmall", {"a": 1, "b": float("inf"), "c": -2.5})
    for i in range(250):
        r.xadd("stream", {"n": i, "text": "hello"})
    r.xdel("stream", r.xrange("stream", count=1)[0][0])
    r.pfadd("hll", *range(1000))
    r.execute_command("SELECT", 3)
    r.set("other", "database")
    r.execute_command("SELECT", 0)


def picture(r):
    """Everything that there is, as plain data."""
    out = {}
    for db in range(16):
        r.execute_command("SELECT", db)
        for key in r.scan_iter(count=1000):
            kind = r.type(key)
            read = {
                b"string": lambda: r.get(key),
                b"list": lambda: r.lrange(key, 0, -1),
                b"set": lambda: sorted(r.smembers(key)),
                b"hash": lambda: sorted(r.hgetall(key).items()),
                b"zset": lambda: r.zrange(key, 0, -1, withscores=True),
                b"stream": lambda: (r.xrange(key), r.xinfo_stream(key)["last-generated-id"]),
            }[kind]
            out[db, key] = (kind, read(), r.pexpiretime(key))
    r.execute_command("SELECT", 0)
    return out


def one(server):
    """A client with one connection, so that SELECT holds."""
    return redis.Redis(port=server.port, single_connection_client=True, socket_timeout=120)


def same(client):
    return redis.Redis(port=client.connection_pool.connection_kwargs["port"], single_connection_client=True)


def wait_saved(r):
    end = time.monotonic() + 120
    while r.info("persistence")["rdb_bgsave_in_progress"]:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("compression", ["yes", "no"])
def test_redis_reads_what_skald_writes(fresh, tmp_path, compression):
    s = fresh("--rdbcompression", compression)
    r = one(s)
    fill(r)
    before = picture(r)
    assert r.save()
    path = os.path.join(s.dir, "dump.rdb")
    check = subprocess.run(["redis-check-rdb", path], capture_output=True, text=True)
    assert check.returncode == 0 and "Checksum OK" in check.stdout and "RDB looks OK!" in check.stdout
    with reference.running(s.dir) as theirs:
        assert picture(same(theirs)) == before


def test_skald_reads_what_redis_writes(fresh, tmp_path):
    folder = tmp_path / "redis"
    folder.mkdir()
    with reference.running(folder) as theirs:
        theirs = same(theirs)
        fill(theirs)
        theirs.set("gone", 1, px=1)
        time.sleep(0.01)
        before = picture(theirs)
        theirs.save()
    s = fresh(dir=folder)
    assert picture(one(s)) == before
    s.stop()
    journaled = fresh("--appendonly", "yes", dir=folder)  # no journal yet: the snapshot is the beginning
    r = one(journaled)
    assert picture(r) == before
    r.set("new", 1)
    while r.info("persistence")["aof_rewrite_in_progress"]:
        time.sleep(0.01)
    os.unlink(folder / "dump.rdb")
    journaled.kill9()
    journaled.start()
    after = picture(one(journaled))
    assert after.pop((0, b"new"))[1] == b"1" and after == before


def test_background_saving(fresh):
    s = fresh()
    r = s.client()
    fill(r)
    started = r.lastsave()
    r.bgsave()
    wait_saved(r)
    info = r.info("persistence")
    assert info["rdb_last_bgsave_status"] == "ok" and info["rdb_changes_since_last_save"] == 0
    assert info["rdb_saves"] == 1 and r.lastsave() >= started
    before = raw(r, "DEBUG", "DIGEST")
    s.stop()
    s.start()
    assert raw(s.client(), "DEBUG", "DIGEST") == before


def test_one_at_a_time_and_a_flush_ends_it(fresh):
    s = fresh("--rdb-key-save-delay", "100000000")
    r = s.client()
    r.mset({"a": 1, "b": 2})
    assert r.bgsave()
    assert r.info("persistence")["rdb_bgsave_in_progress"] == 1
    assert error(r, "BGSAVE") == "Background save already in progress"
    assert error(r, "SAVE") == "Background save already in progress"
    r.flushall()
    assert r.info("persistence")["rdb_bgsave_in_progress"] == 0
    assert not [f for f in os.listdir(s.dir) if f.endswith(".rdb")]


def test_scheduled_in_a_transaction(fresh):
    s = fresh()
    r = s.client()
    p = r.pipeline()
    p.set("a", 1)
    p.execute_command("BGSAVE")
    p.set("b", 2)
    assert p.execute()[1] in ("Background saving scheduled", True)
    end = time.monotonic() + 120
    while r.info("persistence")["rdb_saves"] == 0:
        assert time.monotonic() < end
        time.sleep(0.01)
    s.kill9()
    s.start()
    assert s.client().mget("a", "b") == ["1", "2"]  # the transaction is in the file whole


def test_points(fresh):
    s = fresh("--save", "1 2", "--save", "100 1")
    r = s.client()
    assert r.config_get("save") == {"save": "1 2 100 1"}
    assert "Invalid save parameters" in error(r, "CONFIG", "SET", "save", "10")
    assert "Invalid save parameters" in error(r, "CONFIG", "SET", "save", "0 1")
    assert r.config_get("save") == {"save": "1 2 100 1"}
    r.mset({"a": 1})
    r.mset({"b": 1})
    end = time.monotonic() + 120
    while r.info("persistence")["rdb_saves"] == 0:
        assert time.monotonic() < end
        time.sleep(0.02)
    r.set("c", 1)
    s.stop()  # a clean stop saves when there are points
    s.start()
    assert s.client().dbsize() == 3
    r = s.client()
    r.config_set("save", "")
    r.set("d", 1)
    s.stop()
    s.start()
    assert s.client().dbsize() == 3


def test_failing_snapshots_refuse_writes(fresh):
    s = fresh("--save", "1000000 1000000", "--dbfilename", "dump.rdb")
    r = s.client()
    r.set("a", 1)
    os.mkdir(os.path.join(s.dir, "dump.rdb"))  # nothing can be renamed to it
    r.bgsave()
    wait_saved(r)
    assert r.info("persistence")["rdb_last_bgsave_status"] == "err"
    assert error(r, "SET", "a", 2).startswith("MISCONF Redis is configured to save RDB snapshots")
    assert r.get("a") == "1"
    r.config_set("stop-writes-on-bgsave-error", "no")
    r.set("a", 3)
    r.config_set("stop-writes-on-bgsave-error", "yes")
    os.rmdir(os.path.join(s.dir, "dump.rdb"))
    r.save()
    r.set("a", 4)


def test_own_types_stay_out(fresh):
    s = fresh("--appendonly", "yes")
    r = s.client()
    r.set("a", 1)
    r.execute_command("VADD", "v", "VALUES", 2, 1, 0, "one")
    r.save()
    path = os.path.join(s.dir, "dump.rdb")
    assert b"skald-left-out" in open(path, "rb").read()
    assert "1 keys of types that Redis does not have" in s.log_text()
    with reference.running(s.dir) as theirs:
        assert theirs.keys() == [b"a"]
    assert raw(r, "DEBUG", "RELOAD") in (b"OK", "OK")
    assert r.execute_command("VCARD", "v") == 1 and r.get("a") == "1"


def test_reload_without_saving_is_journaled(fresh):
    s = fresh("--appendonly", "yes")
    r = s.client()
    r.mset({"a": 1, "b": 2})
    r.save()
    r.mset({"a": 3, "c": 4})
    assert "is there already" in error(r, "DEBUG", "RELOAD", "NOSAVE", "NOFLUSH")
    raw(r, "DEBUG", "RELOAD", "NOSAVE", "NOFLUSH", "MERGE")
    assert r.mget("a", "b", "c") == ["1", "2", "4"]
    raw(r, "DEBUG", "RELOAD", "NOSAVE")
    assert r.mget("a", "b", "c") == ["1", "2", None]
    r.ping()
    s.kill9()
    s.start()
    assert s.client().mget("a", "b", "c") == ["1", "2", None]


def old(type_byte, body, key=b"k"):
    """A file of an older Redis with one key; versions before 5 have no checksum."""
    return b"REDIS0004" + b"\xfe\x00" + bytes([type_byte]) + bytes([len(key)]) + key + body + b"\xff"


def string(b):
    assert len(b) < 64
    return bytes([len(b)]) + b


def ziplist(*elements):
    out, before = b"", 0
    tail = 10
    for e in elements:
        tail = 10 + len(out)
        if isinstance(e, bytes):
            enc = bytes([len(e)]) + e
        elif 0 <= e <= 12:
            enc = bytes([0xF1 + e])
        elif -128 <= e < 128:
            enc = b"\xfe" + struct.pack("<b", e)
        elif -(1 << 23) <= e < 1 << 23:
            enc = b"\xf0" + struct.pack("<i", e)[:3]
        else:
            enc = b"\xe0" + struct.pack("<q", e)
        one_element = bytes([before]) + enc
        before = len(one_element)
        out += one_element
    return struct.pack("<IIH", 11 + len(out), tail, len(elements)) + out + b"\xff"


OLD = {
    "zipmap": (9, string(b"\x02\x01a\x01\x001\x02bb\x03\x01twoX\xff"),
               "hash", {"a": "1", "bb": "two"}),
    "list": (10, string(ziplist(b"a", 5, -7, 300, 1 << 40)), "list", ["a", "5", "-7", "300", str(1 << 40)]),
    "zset": (12, string(ziplist(b"a", 1, b"b", b"2.5")), "zset", [("a", 1.0), ("b", 2.5)]),
    "hash": (13, string(ziplist(b"f", b"v", b"n", -100000)), "hash", {"f": "v", "n": "-100000"}),
    "quicklist": (14, b"\x02" + string(ziplist(b"a", b"b")) + string(ziplist(7)), "list", ["a", "b", "7"]),
}


@pytest.mark.parametrize("form", OLD)
def test_old_forms(fresh, tmp_path, form):
    type_byte, body, kind, want = OLD[form]
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "dump.rdb").write_bytes(old(type_byte, body))
    r = fresh(dir=tmp_path / "d").client()
    got = {"hash": r.hgetall, "list": lambda k: r.lrange(k, 0, -1),
           "zset": lambda k: r.zrange(k, 0, -1, withscores=True)}[kind]("k")
    assert got == want
    raw(r, "DEBUG", "RELOAD")
    assert r.type("k") == kind


def test_damage_stops_the_start(fresh, tmp_path):
    s = fresh()
    r = one(s)
    fill(r)
    before = picture(r)
    r.save()
    s.stop()
    path = os.path.join(s.dir, "dump.rdb")
    good = open(path, "rb").read()
    for bad, why in [(good[:-1], "checksum"), (good[: len(good) // 2], ""), (b"REDIX" + good[5:], "do not begin with REDIS"),
                     (b"REDIS0099" + good[9:], "version 99"), (good[:-1] + bytes([good[-1] ^ 1]), "checksum is wrong")]:
        open(path, "wb").write(bad)
        with pytest.raises(RuntimeError, match="dump.rdb"):
            s.start()
        assert why in s.log_text().splitlines()[-1]
    open(path, "wb").write(good)
    s.start()
    assert picture(one(s)) == before


def test_fields_that_expire_raise_the_version(fresh):
    s = fresh()
    r = s.client()
    r.hset("h", mapping={"a": 1, "b": 2})
    path = os.path.join(s.dir, "dump.rdb")
    r.save()
    assert open(path, "rb").read(9) == b"REDIS0010"
    r.execute_command("HPEXPIRE", "h", 10_000_000, "FIELDS", 1, "a")
    r.save()
    assert open(path, "rb").read(9) == b"REDIS0012"
    raw(r, "DEBUG", "RELOAD")
    assert 0 < r.execute_command("HPTTL", "h", "FIELDS", 1, "a")[0] <= 10_000_000 and r.hgetall("h") == {"a": "1", "b": "2"}
