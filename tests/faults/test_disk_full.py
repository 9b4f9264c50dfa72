"""A disk without room: writes are refused and reads go on; when there is room again writes resume; nothing that was
acknowledged is lost, whenever the server is killed.

Two ways to a full disk: a small tmpfs (needs root), which is the real thing, and a limit on the size of files, which
anybody can set and lift while the server runs.
"""

import glob
import os
import resource
import select
import subprocess
import threading
import time

import pytest

from resp import Conn, Error

JOURNAL = ["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"]
ENGINES = ["io_uring", "thread"]


class Tmpfs:
    """Three megabytes, of which one is taken by a file that can go."""

    def __init__(self, dir):
        self.dir = str(dir)
        os.makedirs(self.dir)
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", self.dir],
                                               capture_output=True).returncode != 0:
            pytest.skip("mounting a small tmpfs needs root and the right to mount")
        self.fill(1 << 20)

    def fill(self, most=1 << 30):
        """Takes what there is, up to `most`."""
        with open(self.dir + "/ballast", "ab", buffering=0) as f:
            try:
                for _ in range(most // 4096):
                    f.write(bytes(4096))
            except OSError:
                pass

    def started(self, server):
        pass

    def preexec(self):
        pass

    def make_room(self):
        os.truncate(self.dir + "/ballast", 0)

    def close(self):
        subprocess.run(["umount", "-l", self.dir], check=True)


class Limit:
    """No file of the server may be larger than 2 MB."""

    def __init__(self, dir):
        self.dir = str(dir)

    def preexec(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))

    def started(self, server):
        self.pid = server.proc.pid

    def make_room(self):
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def close(self):
        pass


@pytest.fixture(params=[Tmpfs, Limit], ids=["tmpfs", "limit"])
def disk(request, tmp_path):
    d = request.param(tmp_path / "disk")
    yield d
    d.close()


@pytest.fixture
def tmpfs(tmp_path):
    d = Tmpfs(tmp_path / "disk")
    yield d
    d.close()


def on_disk(fresh, disk, engine, tmp_path, *more):
    server = fresh(*JOURNAL, "--file-engine", engine, *more, dir=disk.dir, start=False)
    server.log = str(tmp_path / "log")
    server.start(preexec=disk.preexec)
    disk.started(server)
    return server


def wait_for(what, seconds=120):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def misconf(reply):
    """Refused because of the disk: by the journal, or by the file of a vector set that cannot grow."""
    return isinstance(reply, Error) and (str(reply).startswith("MISCONF") or "cannot extend a vector index" in str(reply))


def fill_up(server, write):
    """Sends write(i) until the disk refuses. The numbers of the acknowledged writes, and the connection whose reply waits
    for the disk with its number (None: it was refused at once)."""
    c, other = Conn(server.raw()), Conn(server.raw())
    acked, i = [], 0
    while True:
        c.send(*write(i))
        while not select.select([c.sock], [], [], 0.3)[0]:
            if b"aof_last_write_status:err" in other.call("INFO", "persistence"):
                return acked, c, i
        reply = c.read()
        if misconf(reply):
            c.close()
            return acked, None, i
        assert reply in ("OK", 1), reply
        acked.append(i)
        i += 1
        assert i < 5000, "the disk never became full"


def put(i):
    return ["SET", f"k{i}", f"{i}:" + "v" * 4000]


def check_strings(server, acked, refused=()):
    r = server.client()
    for i in acked:
        assert r.get(f"k{i}") == f"{i}:" + "v" * 4000, f"k{i} was acknowledged"
    for i in refused:
        assert r.get(f"k{i}") is None, f"k{i} was refused"


def assert_only_reads(server, acked):
    """What a full disk means for everybody else."""
    c = Conn(server.raw())
    assert c.call("PING") == "PONG"
    assert c.call("GET", f"k{acked[0]}") is not None
    for command in (["SET", "x", 1], ["DEL", f"k{acked[0]}"], ["RPUSH", "x", 1], ["SESSION.ADD", "x", "user", "hi"],
                    ["VADD", "x", "VALUES", 2, 1, 1, "a"], ["FLUSHALL"], ["EXPIRE", f"k{acked[0]}", 1]):
        reply = c.call(*command)
        assert misconf(reply) and "Errors writing to the AOF file: " in str(reply), f"{command}: {reply}"
    assert c.call("MULTI") == "OK" and misconf(c.call("SET", "x", 1))
    assert str(c.call("EXEC")).startswith("EXECABORT")
    assert b"aof_last_write_status:err" in c.call("INFO", "persistence")
    assert c.call("EXISTS", "x") == 0
    c.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_writes_stop_reads_go_on_writes_resume(fresh, disk, engine, tmp_path):
    server = on_disk(fresh, disk, engine, tmp_path)
    acked, waits, n = fill_up(server, put)
    assert len(acked) > 100
    assert_only_reads(server, acked)
    disk.make_room()
    refused = []
    if waits:
        assert waits.read() == "OK"  # the journal took it after all
        acked.append(n)
    else:
        refused.append(n)
    c = Conn(server.raw())
    wait_for(lambda: not misconf(c.call("SET", "again", 1)))
    for i in range(10000, 10100):
        assert c.call(*put(i)) == "OK"
        acked.append(i)
    assert b"aof_last_write_status:ok" in c.call("INFO", "persistence")
    server.kill9()
    server.start(preexec=disk.preexec if isinstance(disk, Tmpfs) else None)
    check_strings(server, acked, refused)


def test_a_reader_at_the_moment_of_the_failure_goes_on(fresh, disk, tmp_path):
    """Its reply waits for the disk with the writes before it, but not for as long as the disk is full."""
    server = on_disk(fresh, disk, "io_uring", tmp_path)
    stop, counts = threading.Event(), [0] * 4

    def read(n):
        c = Conn(server.raw())
        while not stop.is_set():
            c.call("MULTI")
            c.call("GET", "k0")
            c.call("EXEC") if n % 2 else c.call("DISCARD")
            c.call("GET", "k0")
            counts[n] += 1

    readers = [threading.Thread(target=read, args=(n,), daemon=True) for n in range(len(counts))]
    for t in readers:
        t.start()
    fill_up(server, put)
    wait_for(lambda: b"aof_last_write_status:err" in Conn(server.raw()).call("INFO", "persistence"))
    before = list(counts)
    wait_for(lambda: all(now > then for now, then in zip(counts, before)))
    stop.set()
    disk.make_room()
    for t in readers:
        t.join(120)
        assert not t.is_alive()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("end", ["kill -9", "a clean stop"])
def test_an_end_while_the_disk_is_full(fresh, disk, engine, end, tmp_path):
    server = on_disk(fresh, disk, engine, tmp_path)
    acked, waits, n = fill_up(server, put)
    if end == "kill -9":
        server.kill9()
    else:
        server.stop()  # checks the exit code
    server.start(preexec=disk.preexec)  # with the disk as full as it was
    disk.started(server)
    check_strings(server, acked)
    disk.make_room()
    c = Conn(server.raw())
    wait_for(lambda: c.call("SET", "again", 1) == "OK")
    server.kill9()
    server.start()
    check_strings(server, acked)
    assert server.client().get("again") == "1"


@pytest.mark.parametrize("policy", ["everysec", "no"])
def test_the_other_policies_refuse_too(fresh, disk, policy, tmp_path):
    server = on_disk(fresh, disk, "io_uring", tmp_path, "--appendfsync", policy)
    acked, _, _ = fill_up(server, put)
    assert_only_reads(server, acked)
    disk.make_room()
    c = Conn(server.raw())
    wait_for(lambda: not misconf(c.call("SET", "again", 1)))
    server.stop()
    server.start()
    check_strings(server, acked)  # nothing was lost: the bytes had stayed in memory


@pytest.mark.parametrize("engine", ENGINES)
def test_vectors_and_sessions_on_a_full_disk(fresh, tmpfs, engine, tmp_path):
    server = on_disk(fresh, tmpfs, engine, tmp_path, "--vector-checkpoint-seconds", "1")
    c = Conn(server.raw())
    assert c.call("VCREATE", "set", "DIM", 8, "STORAGE", "FILE") == "OK"

    def add(i):
        return ["VADD", "set", "VALUES", 8, *((i >> b & 1) * 2 - 1 + b / 100 + i / 1e5 for b in range(8)), f"e{i}",
                "SETATTR", '{"text":"%s"}' % ("x" * 2000)]
    acked, waits, n = fill_up(server, add)
    assert len(acked) > 50
    for i in acked[:20]:
        assert c.call("VSEARCH", "set", "ELE", f"e{i}", "COUNT", 1, "EF", 500) == [f"e{i}".encode()]
    if waits:  # else the set's file was first to find no room, and the journal may have some
        assert misconf(c.call("SESSION.ADD", "chat", "user", "hello"))
    tmpfs.make_room()
    if waits:
        assert waits.read() == 1
        acked.append(n)
    wait_for(lambda: not misconf(c.call("SESSION.ADD", "chat", "user", "hello")))
    server.kill9()
    server.start()
    c = Conn(server.raw())
    for i in acked:
        assert c.call("VISMEMBER", "set", f"e{i}") == 1
    assert len(c.call("SESSION.MESSAGES", "chat")) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_compaction_without_room_changes_nothing(fresh, tmpfs, engine, tmp_path):
    server = on_disk(fresh, tmpfs, engine, tmp_path)
    c = Conn(server.raw())
    for i in range(250):
        assert c.call(*put(i)) == "OK"
    tmpfs.fill()
    tmpfs_free = os.statvfs(tmpfs.dir).f_bavail
    os.truncate(tmpfs.dir + "/ballast", os.path.getsize(tmpfs.dir + "/ballast") - 400_000)
    assert tmpfs_free == 0
    assert not isinstance(c.call("BGREWRITEAOF"), Error)
    wait_for(lambda: b"aof_last_bgrewrite_status:err" in c.call("INFO", "persistence"))
    wait_for(lambda: b"aof_rewrite_in_progress:0" in c.call("INFO", "persistence"))
    assert "gave up" in server.log_text()
    assert not glob.glob(tmpfs.dir + "/appendonlydir/*tmp*")
    wait_for(lambda: c.call(*put(250)) == "OK")
    server.kill9()
    server.start()
    check_strings(server, range(251))
    os.truncate(tmpfs.dir + "/ballast", 0)
    c = Conn(server.raw())
    assert not isinstance(c.call("BGREWRITEAOF"), Error)
    wait_for(lambda: b"aof_rewrite_in_progress:0" in c.call("INFO", "persistence"))
    assert b"aof_last_bgrewrite_status:ok" in c.call("INFO", "persistence")
    server.kill9()
    server.start()
    check_strings(server, range(251))


def test_no_room_at_the_start(fresh, tmpfs, tmp_path):
    """A full disk from the first moment: a sentence, or a server that refuses writes; no crash."""
    tmpfs.fill()
    server = fresh(*JOURNAL, dir=tmpfs.dir, start=False)
    server.log = str(tmp_path / "log")
    server.start(wait=False)
    wait_for(lambda: server.proc.poll() is not None or "ready to accept" in server.log_text())
    if server.proc.poll() is not None:
        assert server.proc.returncode == 1 and "No space left" in server.log_text()
        return
    assert server.client().ping()
