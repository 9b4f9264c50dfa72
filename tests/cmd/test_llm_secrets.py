"""Keys of models: used, and seen nowhere else."""

import contextlib
import glob
import os
import re
import stat
import time
from pathlib import Path

from helpers import error, raw
from models import pairs
from resp import Conn

KEY = "sk-Sup3r+Secret/of_nobody=0123456789"
OTHER = "sk-An0ther.Secret~9876543210"


def grep(folder, *texts):
    """The files under folder that hold one of the texts."""
    found = []
    for path in glob.glob(f"{folder}/**/*", recursive=True):
        if os.path.isfile(path):
            with open(path, "rb") as f:
                all = f.read()
            found += [path for t in texts if t.encode() in all]
    return found


def shown(monitor):
    """What a monitor was sent until its server went."""
    with contextlib.suppress(ConnectionResetError):
        while piece := monitor.f.read1(65536):
            yield piece


def rewrite(r):
    raw(r, "BGREWRITEAOF")
    while any(r.info("persistence")[k] for k in ("aof_rewrite_in_progress", "aof_rewrite_scheduled")):
        time.sleep(0.01)


def journal(s, text):
    """Makes a data folder with a journal of one file, as an older server has left it."""
    folder = Path(s.dir) / "appendonlydir"
    folder.mkdir(parents=True)
    words = text.split(" ")
    command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words)
    (folder / "appendonly.aof.1.incr.aof").write_bytes(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n" + command)
    (folder / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")


def authorization(mock):
    return {k.lower(): v for k, v in mock.requests()[-1]["headers"].items()}["authorization"]


def test_a_key_is_in_no_file_and_no_output(fresh, mock):
    s = fresh("--appendonly", "yes", "--appendfsync", "always", "--slowlog-log-slower-than", "0", "--loglevel", "debug",
              "--save", "")
    r, m = s.client(decode_responses=False), Conn(s.raw())
    m.call("MONITOR")
    seen = []
    set = ["LLM.MODEL", "SET", "m", "PROVIDER", "openai", "URL", mock.url, "ID", "words=1", "TIMEOUT", "60000", "PRICE",
           "1", "2", "KEY"]
    raw(r, *set, KEY)
    p = r.pipeline(transaction=True)
    p.execute_command(*["n" if w == "m" else w for w in set], OTHER)
    p.execute()
    raw(r, "EVAL", "return redis.call(unpack(ARGV))", 0, *["l" if w == "m" else w for w in set], "env:NOT_THERE")
    for bad in ([*set, KEY, OTHER], [*set, OTHER, "KEY"], ["LLM.MODEL", "SET", "m", OTHER, KEY]):
        seen.append(error(r, *bad).encode())
    assert error(r, *set, "sealed:AAAA").startswith("INVALID")
    for round in range(3):
        if round == 1:
            rewrite(r)
        if round:
            s.kill9()
            seen += shown(m)
            s.start()
            r = s.client(decode_responses=False)
        assert raw(r, "LLM.ASK", "x", "MODEL", "m") == b"word0" and authorization(mock) == f"Bearer {KEY}"
        assert raw(r, "LLM.ASK", "x", "MODEL", "n") == b"word0" and authorization(mock) == f"Bearer {OTHER}"
        assert pairs(raw(r, "LLM.MODEL", "GET", "m"))[b"key"] == b"(set)"
        assert pairs(raw(r, "LLM.MODEL", "GET", "m"))[b"timeout"] == b"60000"
        m = Conn(s.raw())
        m.call("MONITOR")
        seen += [repr(raw(r, *c)).encode() for c in (
            ("INFO", "everything"), ("SLOWLOG", "GET", "-1"), ("CLIENT", "LIST"), ("LLM.MODEL", "GET", "m"), ("ACL", "LOG"),
            ("CONFIG", "GET", "*"), ("LLM.CALLS",), ("LATENCY", "LATEST"), ("COMMAND", "DOCS", "LLM.MODEL"))]
    s.stop()
    seen += shown(m)
    assert any(b"LLM.MODEL" in x and b"(redacted)" in x for x in seen)
    assert not [x for x in seen for k in (KEY, OTHER) if k.encode() in x]
    assert grep(s.dir, KEY, OTHER) == []
    assert grep(s.dir, "sealed:") and grep(s.dir, "env:NOT_THERE")  # the search does see the journal
    file = Path(s.dir) / "secret.key"
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600 and re.fullmatch(r"[0-9a-f]{64}\n", file.read_text())


def test_a_vendor_that_repeats_the_key(fresh, mock):
    s = fresh("--appendonly", "yes")
    r = s.client(decode_responses=False)
    for i, how in enumerate(("status=400", "status=500", "error200")):
        raw(r, "LLM.MODEL", "SET", f"m{i}", "PROVIDER", "openai", "URL", mock.url, "ID", f"echokey,{how}", "RETRIES", "0",
            "KEY", KEY)
        for more in ([], ["STREAM"], ["WITHMETA"]):
            said = error(r, "LLM.ASK", "x", "MODEL", f"m{i}", *more)
            assert "no such key" in said and "***" in said and KEY[:14] not in said
        id = raw(r, "LLM.ASK", "x", "MODEL", f"m{i}", "ASYNC")
        while raw(r, "LLM.CALLS"):
            time.sleep(0.005)
        assert KEY[:14].encode() not in r.xrevrange(b"call:" + id, count=1)[0][1][b"error"]
    s.stop()
    assert grep(s.dir, KEY[:14]) == []


def test_nothing_is_made_where_nothing_is_kept(fresh):
    s = fresh()
    r = s.client()
    raw(r, "LLM.MODEL", "SET", "m", "PROVIDER", "openai", "URL", "http://127.0.0.1:1", "KEY", KEY)
    assert raw(r, "SAVE") in (b"OK", "OK")
    assert not (Path(s.dir) / "secret.key").exists() and grep(s.dir, KEY) == []


def test_an_old_journal_with_clear_keys(fresh, mock):
    s = fresh("--appendonly", "yes", start=False)
    journal(s, f"LLM.MODEL SET m PROVIDER openai URL {mock.url} ID words=1 KEY {KEY}")
    s.start()
    r = s.client(decode_responses=False)
    assert raw(r, "LLM.ASK", "x", "MODEL", "m") == b"word0" and authorization(mock) == f"Bearer {KEY}"
    assert grep(s.dir, KEY)
    rewrite(r)
    s.stop()
    assert grep(s.dir, KEY) == []
    s.start()
    assert raw(s.client(), "LLM.ASK", "x", "MODEL", "m") == "word0" and authorization(mock) == f"Bearer {KEY}"


def test_without_its_key_file_a_server_starts_and_says_so(fresh, mock, tmp_path):
    s = fresh("--appendonly", "yes")
    r = s.client(decode_responses=False)
    raw(r, "LLM.MODEL", "SET", "m", "PROVIDER", "openai", "URL", mock.url, "ID", "words=1", "KEY", KEY)
    s.stop()
    (Path(s.dir) / "secret.key").rename(tmp_path / "moved.key")
    s.start()
    r = s.client(decode_responses=False)
    assert "secret-key-file" in error(r, "LLM.ASK", "x", "MODEL", "m")
    assert pairs(raw(r, "LLM.MODEL", "GET", "m"))[b"key"] == b"(sealed)"
    rewrite(r)  # keeps what it cannot read
    s.stop()
    s.args += ["--secret-key-file", str(tmp_path / "moved.key")]
    s.start()
    r = s.client(decode_responses=False)
    assert raw(r, "LLM.ASK", "x", "MODEL", "m") == b"word0" and authorization(mock) == f"Bearer {KEY}"


def test_a_key_that_cannot_be_sealed_is_not_taken(fresh, mock, tmp_path):
    (tmp_path / "bad.key").write_text("not hex")
    s = fresh("--appendonly", "yes", "--secret-key-file", str(tmp_path / "bad.key"))
    r = s.client(decode_responses=False)
    set = ["LLM.MODEL", "SET", "m", "PROVIDER", "openai", "URL", mock.url, "KEY"]
    assert "bad.key" in error(r, *set, KEY) and "64" in error(r, *set, KEY)
    assert error(r, "LLM.MODEL", "GET", "m").startswith("STATE")
    assert raw(r, *set, "env:X") == b"OK"
