"""The leader's side of replication: a snapshot and then every effect, to a reader by hand and to a real redis-server; who
waits for followers or for the disk."""

import socket
import threading
import time

import pytest
import redis

import reference
from helpers import error, raw


def until(what, seconds=120):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


class Stream:
    """A follower by hand."""

    def __init__(self, server, *say, ask=b"SYNC"):
        self.s = socket.create_connection(("127.0.0.1", server.port), timeout=120)
        self.f = self.s.makefile("rb")
        for line in say:
            self.s.sendall(line + b"\r\n")
            assert self.f.readline() == b"+OK\r\n"
        self.s.sendall(ask + b"\r\n")
        self.head = b""
        line = self.line()
        if line.startswith(b"+FULLRESYNC"):
            self.head, line = line, self.line()
        if line.startswith(b"$EOF:"):
            self.mark, got = line[5:], bytearray()
            while not got.endswith(self.mark):
                got += self.f.read1(65536)
            self.rdb = bytes(got[: -len(self.mark)])
        else:
            self.mark, self.rdb = None, self.f.read(int(line[1:]))
        assert self.rdb.startswith(b"REDIS0010")

    def line(self):
        while True:
            line = self.f.readline()
            assert line
            if line != b"\n":
                return line.strip()

    def next(self):
        n = int(self.line()[1:])
        words = []
        for _ in range(n):
            words.append(self.f.read(int(self.line()[1:])))
            assert self.f.read(2) == b"\r\n"
        return b" ".join(words).decode("latin-1")

    def expect(self, *lines):
        for line in lines:
            got = self.next()
            while got == "PING":
                got = self.next()
            assert got == line

    def ack(self, offset, *more):
        words = [b"REPLCONF", b"ACK", b"%d" % offset, *more]
        self.s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def close(self):
        self.f.close()
        self.s.close()


def test_a_stream_by_hand(server, r):
    r.set("before", 1)
    s = Stream(server)
    assert b"before" in s.rdb and s.mark is None
    r.set("a", 1)
    r.set("gone", 1, px=1)
    p = r.pipeline()
    p.incr("a")
    p.incr("a")
    p.get("a")
    p.execute()
    s.expect("SELECT 0", "SET a 1")
    assert s.next().startswith("SET gone 1 PXAT ")
    got = [s.next()]
    if got == ["DEL gone"]:
        got = [s.next()]
    assert got == ["MULTI"]
    s.expect("INCRBY a 1", "INCRBY a 1", "EXEC")
    other = redis.Redis(port=server.port, db=5)
    other.rpush("l", "x")
    assert other.execute_command("GETDEL", "nothing") is None
    other.publish("channel", "message")
    other.close()
    line = s.next()
    while line in ("DEL gone", "PING", "SELECT 0"):
        line = s.next()
    assert line == "SELECT 5"
    s.expect("RPUSH l x", "PUBLISH channel message")
    clients = raw(r, "CLIENT", "LIST", "TYPE", "replica").decode()
    assert " flags=S " in clients and " cmd=sync " in clients
    info = r.info("replication")
    assert info["connected_slaves"] == 1 and info["slave0"]["state"] == "online" and info["master_repl_offset"] > 100
    role = r.execute_command("ROLE")
    now = r.info("replication")["master_repl_offset"]  # the end of what expires may come at any time
    assert role[0] == b"master" and info["master_repl_offset"] <= role[1] <= now and role[2][0][0] == b"127.0.0.1"
    assert raw(r, "CLIENT", "KILL", "TYPE", "slave") == 1
    assert s.f.read() == b""
    until(lambda: r.info("replication")["connected_slaves"] == 0)
    s.close()


def test_psync_and_acknowledgements(server, r):
    s = Stream(server, b"REPLCONF listening-port 7777", b"REPLCONF ip-address 10.0.0.1 capa psync2", ask=b"PSYNC ? -1")
    word, stream_id, offset = s.head.split()
    info = r.info("replication")
    assert stream_id.decode() == info["master_replid"] and s.mark is None
    until(lambda: r.info("replication")["slave0"]["state"] == "online")
    assert r.info("replication")["slave0"]["ip"] == "10.0.0.1" and r.info("replication")["slave0"]["port"] == 7777
    r.set("k", 1)
    assert r.wait(1, 20) == 0
    s.expect("SELECT 0", "SET k 1", "REPLCONF GETACK *")
    reached = r.info("replication")["master_repl_offset"]
    got = []
    t = threading.Thread(target=lambda: got.append(redis.Redis(port=server.port).execute_command("ROLE")))
    t.start()
    t.join()
    waiting = redis.Redis(port=server.port)
    waiting.set("k", 2)
    done = []
    t = threading.Thread(target=lambda: done.append(waiting.connection_pool and raw(waiting, "WAIT", 1, 0)))
    t.start()
    s.expect("SET k 2", "REPLCONF GETACK *")
    s.ack(reached)  # not yet
    s.ack(r.info("replication")["master_repl_offset"])
    t.join(120)
    assert done == [1]
    p = r.pipeline()
    p.set("k", 3)
    p.execute_command("WAIT", 1, 0)
    assert p.execute() == [True, 1]  # nothing waits inside a transaction: what is known now
    assert error(r, "REPLCONF", "what", "ever") == "Unrecognized REPLCONF option: what"
    s.close()


def test_through_a_pipe(server, r):
    r.config_set("repl-diskless-sync", "yes")
    r.set("big", "x" * 3_000_000)
    r.config_set("rdbcompression", "no")
    s = Stream(server, b"REPLCONF capa eof capa psync2", ask=b"PSYNC ? -1")
    assert len(s.mark) == 40 and len(s.rdb) > 3_000_000
    r.config_set("rdbcompression", "yes")
    r.set("after", 1)
    s.s.settimeout(0.3)
    with pytest.raises(TimeoutError):
        s.f.read(1)  # nothing follows the mark until the follower has said that it is there
    s = Stream(server, b"REPLCONF capa eof", b"REPLCONF rdb-only 1", b"REPLCONF rdb-filter-only functions")
    assert s.mark and len(s.rdb) < 1000
    s.close()


def test_a_redis_server_follows(fresh, tmp_path):
    ours = fresh("--appendonly", "yes")
    r = redis.Redis(port=ours.port, single_connection_client=True)
    for i in range(2000):
        r.hset(f"h{i}", mapping={"a": i, "b": "x" * (i % 100)})
    r.xadd("stream", {"a": 1})
    r.zadd("z", {"a": 1.5})
    r.execute_command("VADD", "ours", "VALUES", 2, 1, 0, "one")
    for diskless in ("yes", "no"):
        r.config_set("repl-diskless-sync", diskless)
        folder = tmp_path / diskless
        folder.mkdir()
        with reference.running(folder, "--replicaof", "127.0.0.1", str(ours.port)) as theirs:
            until(lambda: theirs.info("replication")["master_link_status"] == "up")
            assert theirs.dbsize() == r.dbsize() - 1  # all but the vector set
            r.set("ttl", "v", ex=1000)
            r.lpush("list", *range(100))
            r.sadd("s", *range(50))
            r.spop("s", 10)
            r.incrbyfloat("f", 0.1)
            r.xadd("stream", {"a": 2})
            p = r.pipeline()
            p.set("t1", 1)
            p.set("t2", 2)
            p.execute()
            r.execute_command("SELECT", 3)
            r.set("there", 1)
            r.execute_command("SELECT", 0)
            assert raw(r, "WAIT", 1, 30000) == 1
            assert theirs.xrange("stream") == r.xrange("stream") and theirs.smembers("s") == r.smembers("s")
            assert theirs.get("f") == r.get("f") and abs(theirs.pttl("ttl") - r.pttl("ttl")) < 2000
            assert theirs.mget("t1", "t2") == [b"1", b"2"]
            assert theirs.lrange("list", 0, -1) == r.lrange("list", 0, -1)
            assert r.info("replication")["slave0"]["state"] == "online"
        until(lambda: r.info("replication")["connected_slaves"] == 0)


def test_not_enough_followers(server, r):
    r.set("k", 1)
    r.config_set("min-replicas-to-write", 1)
    assert error(r, "SET", "k", 2) == "NOREPLICAS Not enough good replicas to write."
    assert r.get("k") == b"1"
    s = Stream(server)
    until(lambda: r.info("replication")["slave0"]["state"] == "online")
    r.set("k", 2)
    s.close()
    until(lambda: r.info("replication")["connected_slaves"] == 0)
    assert error(r, "SET", "k", 3).startswith("NOREPLICAS")
    r.config_set("min-replicas-to-write", 0)


def test_a_follower_that_does_not_read_is_closed(server, r):
    r.config_set("client-output-buffer-limit", "replica 1mb 0 0")
    s = Stream(server)
    until(lambda: r.info("replication")["slave0"]["state"] == "online")
    for i in range(200):
        r.set("k", "x" * 200_000)
    until(lambda: r.info("replication")["connected_slaves"] == 0)
    r.config_set("client-output-buffer-limit", "replica 256mb 64mb 60")
    s.close()


def test_waiting_for_the_disk(fresh):
    s = fresh("--appendonly", "yes", "--appendfsync", "everysec")
    r = s.client()
    r.set("k", 1)
    assert raw(r, "WAITAOF", 1, 0, 0) == [1, 0]
    info = r.info("persistence")
    assert info["journal_synced_lsn"] == info["journal_lsn"]
    r.set("k", 2)
    assert raw(r, "WAITAOF", 0, 1, 10)[1] == 0
    r.config_set("appendonly", "no")
    assert error(r, "WAITAOF", 1, 0, 0) == \
        "WAITAOF cannot be used when numlocal is set but appendonly is disabled."
    assert error(r, "WAITAOF", 2, 0, 0) == "value is out of range, value must between 0 and 1"


def test_replicaof(r):
    assert raw(r, "REPLICAOF", "NO", "ONE") in (b"OK", True)
    assert "cannot follow" in error(r, "REPLICAOF", "127.0.0.1", 1)
