"""Blocking commands beside redis-server: the same events in the same order, and every client must be told the same.

A scenario is a list of lines. `1> BLPOP a 0` is sent by client 1, which may wait; a line without a number is sent by one
that never does. A line is sent when all before it have been answered or wait. At the end whoever still waits is unblocked, so
that a client that was served too early, too late or twice shows.

Redis 7.2 runs the command that waited again, where 7.0 served it from the key that was touched; LIKE_7_2 states what differs
by that, for when the redis-server here is an older one."""

import shlex
import socket
import time

import pytest
from reference import running
from resp import Conn, Error

SCENARIOS = {
    "the oldest first": """
        1> BLPOP a 0
        2> BLPOP a 0
        3> BLPOP a 0
        RPUSH a x y""",
    "the order of the keys given": """
        1> BLPOP b a 0
        MULTI
        RPUSH a 1
        RPUSH b 2
        EXEC
        LRANGE a 0 -1""",
    "the order of the keys touched": """
        1> BLPOP b 0
        2> BLPOP a b 0
        MULTI
        RPUSH a 1
        RPUSH b 2
        EXEC""",
    "pushed and popped inside MULTI": """
        1> BLPOP a 0
        MULTI
        RPUSH a 1
        LPOP a
        EXEC
        RPUSH a 2""",
    "deleted and made again as another type": """
        1> BLPOP a 0
        2> BZPOPMIN a 0
        MULTI
        RPUSH a 1
        DEL a
        ZADD a 1 m
        EXEC
        EXISTS a
        RPUSH a 3""",
    "another type stays unread": """
        1> BLPOP a 0
        SADD a m
        DEL a
        RPUSH a 1""",
    "deleted and made again inside MULTI": """
        1> BLPOP a 0
        RPUSH b 1
        MULTI
        RPUSH a 1
        DEL a
        RPUSH a 2
        EXEC""",
    "a script that pushes": """
        1> BLPOP a 0
        2> BLMPOP 0 2 b a LEFT COUNT 2
        EVAL "redis.call('rpush','a',1) redis.call('rpush','b',2,3,4) return redis.call('llen','a')" 0
        LRANGE b 0 -1""",
    "a script takes back what it gave": """
        1> BRPOP a 0
        EVAL "redis.call('rpush','a',1) return redis.call('lpop','a')" 0
        EVAL "redis.call('rpush','a',1,2)" 0
        LLEN a""",
    "a chain of moves": """
        1> BLMOVE a b LEFT RIGHT 0
        2> BLMOVE b c LEFT RIGHT 0
        3> BLPOP c 0
        RPUSH a x
        EXISTS a b c""",
    "a move onto itself and a pop": """
        1> BRPOPLPUSH a a 0
        2> BLPOP a 0
        RPUSH a 1 2
        LRANGE a 0 -1""",
    "a move whose target is no list": """
        SET t s
        1> BLMOVE a t LEFT LEFT 0
        2> BLPOP a 0
        RPUSH a 1
        LRANGE a 0 -1""",
    "several keys, served once": """
        1> BLPOP a b c 0
        MULTI
        RPUSH c 3
        RPUSH a 1
        RPUSH b 2
        EXEC
        EXISTS a b c""",
    "the same key twice": """
        1> BLPOP a a 0
        RPUSH a 1 2
        LRANGE a 0 -1""",
    "sorted sets, lowest and highest": """
        1> BZPOPMAX z 0
        2> BZPOPMIN z y 0
        3> BZMPOP 0 1 z MIN COUNT 5
        ZADD z 1 a 2 b 3 c 4 d
        EXISTS z""",
    "a store command wakes": """
        SADD s 3 1 2
        1> BLPOP l 0
        2> BLPOP l 0
        SORT s STORE l
        LRANGE l 0 -1
        ZADD z1 1 m
        3> BZPOPMIN z2 0
        ZUNIONSTORE z2 1 z1
        EXISTS z2""",
    "rename wakes": """
        RPUSH src 1
        1> BLPOP dst 0
        RENAME src dst
        EXISTS dst""",
    "restore and copy wake": """
        RPUSH src 1
        1> BLPOP dst 0
        COPY src dst
        EXISTS dst src""",
    "swapped databases": """
        1> BLPOP a 0
        SELECT 1
        RPUSH a 1
        SELECT 0
        SWAPDB 0 1
        EXISTS a""",
    "a key moved here": """
        1> BLPOP a 0
        SELECT 1
        RPUSH a 1
        MOVE a 0
        SELECT 0
        EXISTS a""",
    "waiting is no waiting inside MULTI": """
        MULTI
        BLPOP a 0
        BZPOPMIN z 0
        XREAD BLOCK 0 STREAMS s $
        BLMOVE a b LEFT LEFT 0
        EXEC""",
    "all who read a stream are told": """
        1> XREAD BLOCK 0 STREAMS s $
        2> XREAD BLOCK 0 STREAMS t s 0 0
        3> XREAD BLOCK 0 COUNT 1 STREAMS s 5-0
        MULTI
        XADD s 4-0 f v
        XADD s 6-0 f v
        XADD s 7-0 f v
        EXEC""",
    "a stream deleted and made again": """
        XADD s 5-0 f v
        1> XREAD BLOCK 0 STREAMS s $
        MULTI
        DEL s
        XADD s 3-0 f v
        EXEC
        XADD s 6-0 f v""",
    "an entry that is gone when it is looked at": """
        1> XREAD BLOCK 0 STREAMS s $
        MULTI
        XADD s 1-0 f v
        XDEL s 1-0
        EXEC
        XADD s 2-0 f v""",
    "a group gives each entry once": """
        XGROUP CREATE s g $ MKSTREAM
        1> XREADGROUP GROUP g a BLOCK 0 STREAMS s >
        2> XREADGROUP GROUP g b BLOCK 0 STREAMS s >
        3> XREAD BLOCK 0 STREAMS s $
        XADD s 1-0 f v
        XADD s 2-0 f v
        XADD s 3-0 f v
        XPENDING s g""",
    "two groups of one stream": """
        XGROUP CREATE s g $ MKSTREAM
        XGROUP CREATE s h $
        1> XREADGROUP GROUP g a BLOCK 0 COUNT 1 STREAMS s >
        2> XREADGROUP GROUP h a BLOCK 0 STREAMS s >
        MULTI
        XADD s 1-0 f v
        XADD s 2-0 f v
        EXEC
        XPENDING s g
        XPENDING s h""",
    "a group's stream that goes": """
        XGROUP CREATE s g $ MKSTREAM
        1> XREADGROUP GROUP g a BLOCK 0 STREAMS s >
        2> XREAD BLOCK 0 STREAMS s $
        DEL s
        XADD s 1-0 f v""",
    "a group's stream made again inside MULTI": """
        XGROUP CREATE s g $ MKSTREAM
        1> XREADGROUP GROUP g a BLOCK 0 STREAMS s >
        MULTI
        DEL s
        XGROUP CREATE s g $ MKSTREAM
        EXEC
        XADD s 1-0 f v
        XPENDING s g""",
    "a group moved back wakes nobody": """
        XADD s 1-0 f v
        XGROUP CREATE s g $
        1> XREADGROUP GROUP g a BLOCK 0 STREAMS s >
        XGROUP SETID s g 0
        XADD s 2-0 f v""",
    "flushed": """
        XGROUP CREATE s g $ MKSTREAM
        1> XREADGROUP GROUP g a BLOCK 0 STREAMS s >
        2> BLPOP a 0
        FLUSHDB
        RPUSH a 1""",
    "a served client goes on with its pipeline": """
        1> BLPOP a 0 | RPUSH b 1 | BLPOP c 0
        2> BLPOP b 0
        RPUSH a 1
        RPUSH c 1""",
}

# What client 1 is told, and the reply to the last line.
LIKE_7_2 = {
    "the order of the keys given": ([b"b", b"2"], [b"1"]),
    "several keys, served once": ([b"a", b"1"], 2),
    "an entry that is gone when it is looked at": ([[b"s", [[b"2-0", [b"f", b"v"]]]]], b"2-0"),
}


class Play:
    """One scenario on one server."""

    def __init__(self, client):
        self.client = client
        self.port = client.connection_pool.connection_kwargs["port"]
        self.conns, self.asked, self.told = {}, {}, {}

    def connect(self):
        return Conn(socket.create_connection(("127.0.0.1", self.port), timeout=120))

    def waiter(self, name):
        if name not in self.conns:
            self.conns[name] = self.connect()
            self.asked[name] = 0
        return self.conns[name]

    def settled(self, waiting):
        """Until as many clients wait as are expected to."""
        for _ in range(6000):
            if self.client.info("clients")["blocked_clients"] >= waiting:
                return
            time.sleep(0.005)
        raise AssertionError("a client was answered that should wait")

    def run(self, text):
        told, plain = [], self.connect()
        for line in (x.strip() for x in text.strip().splitlines()):
            if line[1:3] != "> ":
                told.append(said(plain, *shlex.split(line)))
                continue
            before = self.client.info("clients")["blocked_clients"]
            conn, commands = self.waiter(line[0]), line[3:].split(" | ")
            for c in commands:
                conn.send(*shlex.split(c))
                self.asked[line[0]] += 1
            self.settled(before + 1)
        for name, conn in sorted(self.conns.items()):
            self.finish()
            told.append([name] + [heard(conn) for _ in range(self.asked[name])])
        for conn in [plain, *self.conns.values()]:
            conn.close()
            conn.sock.close()
        return told

    def finish(self):
        for _ in range(3):  # a client whose pipeline goes on may wait again
            for c in self.client.client_list():
                if "b" in c["flags"]:
                    self.client.execute_command("CLIENT", "UNBLOCK", c["id"])


def heard(conn):
    try:
        return plainly(conn.read())
    except Error as e:
        return f"error: {e}"


def said(conn, *cmd):
    conn.send(*cmd)
    return heard(conn)


def plainly(reply):
    if isinstance(reply, Error):
        return f"error: {reply}"
    return [plainly(x) for x in reply] if isinstance(reply, list) else reply


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("redis")) as client:
        yield client


@pytest.mark.parametrize("name", LIKE_7_2)
def test_as_redis_7_2(name, r):
    *_, last, (_, told) = Play(r).run(SCENARIOS[name])
    assert (told, last) == LIKE_7_2[name]


@pytest.mark.parametrize("name", [n for n in SCENARIOS if n not in LIKE_7_2])
def test_as_redis(name, r, redis_server):
    redis_server.flushall()
    assert Play(r).run(SCENARIOS[name]) == Play(redis_server).run(SCENARIOS[name])
