"""Publish and subscribe in both protocol versions, PUBSUB, keyspace notifications."""

import pytest
from resp import Conn, Push


@pytest.fixture(params=[2, 3])
def conns(server, r, request):
    """Three connections: two subscribers of either protocol version, and one that publishes."""
    made = [Conn(server.raw()) for _ in range(3)]
    for c in made[:2]:
        c.call("HELLO", request.param)
        c.resp = request.param
    yield made
    for c in made:
        c.close()


@pytest.fixture
def pub(server):
    c = Conn(server.raw())
    yield c
    c.call("CONFIG", "SET", "notify-keyspace-events", "")
    c.close()


def test_channels_and_patterns(conns):
    a, b, pub = conns
    a.send("SUBSCRIBE", "one", "two", "one")
    assert [a.read() for _ in range(3)] == [[b"subscribe", b"one", 1], [b"subscribe", b"two", 2], [b"subscribe", b"one", 2]]
    assert b.call("PSUBSCRIBE", "o*") == [b"psubscribe", b"o*", 1]
    assert pub.call("PUBLISH", "one", "hello") == 2
    assert pub.call("PUBLISH", "two", "x") == 1 and pub.call("PUBLISH", "three", "x") == 0
    assert a.read() == [b"message", b"one", b"hello"] and a.read() == [b"message", b"two", b"x"]
    assert b.read() == [b"pmessage", b"o*", b"one", b"hello"]
    assert a.call("PSUBSCRIBE", "on?") == [b"psubscribe", b"on?", 3]
    assert pub.call("PUBLISH", "one", "both") == 3
    assert a.read() == [b"message", b"one", b"both"] and a.read() == [b"pmessage", b"on?", b"one", b"both"]
    got = a.call("UNSUBSCRIBE", "two")
    assert got == [b"unsubscribe", b"two", 2] and isinstance(got, Push) == (a.resp == 3)
    assert a.call("UNSUBSCRIBE") == [b"unsubscribe", b"one", 1]
    assert a.call("UNSUBSCRIBE") == [b"unsubscribe", None, 1]
    assert a.call("PUNSUBSCRIBE") == [b"punsubscribe", b"on?", 0]
    assert a.call("PUNSUBSCRIBE", "x") == [b"punsubscribe", b"x", 0]
    assert a.call("ECHO", "free") == b"free"
    assert pub.call("PUBLISH", "one", "x") == 1


def test_subscribed_client(conns):
    a = conns[0]
    a.call("SUBSCRIBE", "c")
    if a.resp == 2:
        assert str(a.call("GET", "k")).startswith("ERR Can't execute 'get': only (P|S)SUBSCRIBE")
        assert a.call("PING") == [b"pong", b""] and a.call("PING", "x") == [b"pong", b"x"]
    else:
        assert a.call("GET", "k") is None and a.call("PING") == "PONG"
    assert a.call("RESET") == "RESET"
    assert conns[2].call("PUBLISH", "c", "x") == 0


def test_shard_channels(conns):
    a, b, pub = conns
    assert a.call("SSUBSCRIBE", "s") == [b"ssubscribe", b"s", 1]
    assert a.call("SUBSCRIBE", "s") == [b"subscribe", b"s", 1]  # counted apart
    assert pub.call("SPUBLISH", "s", "m") == 1 and a.read() == [b"smessage", b"s", b"m"]
    assert pub.call("PUBLISH", "s", "n") == 1 and a.read() == [b"message", b"s", b"n"]
    assert pub.call("PUBSUB", "SHARDCHANNELS") == [b"s"] and pub.call("PUBSUB", "SHARDNUMSUB", "s", "t") == [b"s", 1, b"t", 0]
    assert a.call("SUNSUBSCRIBE") == [b"sunsubscribe", b"s", 0]
    assert a.call("SUNSUBSCRIBE", "s") == [b"sunsubscribe", b"s", 0]


def test_pubsub_command(conns):
    a, b, pub = conns
    a.send("SUBSCRIBE", "news.a", "news.b")
    a.read(), a.read()
    b.call("SUBSCRIBE", "news.a")
    b.call("PSUBSCRIBE", "x*")
    assert sorted(pub.call("PUBSUB", "CHANNELS")) == [b"news.a", b"news.b"]
    assert pub.call("PUBSUB", "CHANNELS", "*b") == [b"news.b"]
    assert pub.call("PUBSUB", "NUMSUB", "news.a", "none") == [b"news.a", 2, b"none", 0]
    assert pub.call("PUBSUB", "NUMSUB") == [] and pub.call("PUBSUB", "NUMPAT") == 1
    a.close()
    a.sock.close()
    for _ in range(200):  # the server learns of it on its own time
        if pub.call("PUBSUB", "NUMSUB", "news.a") == [b"news.a", 1]:
            break
    assert pub.call("PUBSUB", "CHANNELS", "news.*") == [b"news.a"]


def test_own_messages_come_after_the_reply(server, r):
    c = Conn(server.raw())
    c.call("HELLO", 3)
    c.call("SUBSCRIBE", "c")
    assert c.call("PUBLISH", "c", "one") == 1
    assert c.read() == [b"message", b"c", b"one"]
    c.call("MULTI")
    for cmd in ("PING", "PUBLISH c two", "PUBLISH c three"):
        c.call(*cmd.split())
    assert c.call("EXEC") == ["PONG", 1, 1]
    assert c.read() == [b"message", b"c", b"two"] and c.read() == [b"message", b"c", b"three"]
    c.close()


@pytest.mark.parametrize("given,shown", [("KEA", "AKE"), ("KEg$lshzxetd", "AKE"), ("gKE$lx", "g$lxKE"), ("Km", "Km"),
                                         ("", "")])
def test_event_setting(pub, given, shown):
    assert pub.call("CONFIG", "SET", "notify-keyspace-events", given) == "OK"
    assert pub.call("CONFIG", "GET", "notify-keyspace-events")[1] == shown.encode()


def test_event_setting_refused(pub):
    assert "Invalid event class character. Use 'Ag$lshzxeKEtmdn'." in str(
        pub.call("CONFIG", "SET", "notify-keyspace-events", "qK"))


def test_keyspace_notifications(conns, pub):
    a, b, _ = conns
    pub.call("CONFIG", "SET", "notify-keyspace-events", "KEA")
    a.call("PSUBSCRIBE", "__key*@0__:*")

    def events(*commands):
        for cmd in commands:
            pub.call(*cmd.split())
        pub.call("PUBLISH", "__keyend@0__:", "")
        got = []
        while (m := a.read())[2] != b"__keyend@0__:":
            got.append((m[2].decode(), m[3].decode()))
        assert got[1::2] == [(f"__keyevent@0__:{e}", k.split(":", 1)[1]) for k, e in got[::2]]
        return [(e, k.split(":", 1)[1]) for k, e in got[::2]]

    assert events("LPUSH l a b", "RPUSH l c", "LSET l 0 x", "LINSERT l BEFORE a y", "LPOP l") == [
        ("lpush", "l"), ("rpush", "l"), ("lset", "l"), ("linsert", "l"), ("lpop", "l")]
    assert events("LMOVE l m LEFT RIGHT", "LREM l 0 a", "LTRIM l 5 6", "RPOP m", "LPOP none") == [
        ("rpush", "m"), ("lpop", "l"), ("lrem", "l"), ("ltrim", "l"), ("del", "l"), ("rpop", "m"), ("del", "m")]
    assert events("RPUSH l a", "LMPOP 1 l RIGHT", "BLPOP none 0.01") == [("rpush", "l"), ("rpop", "l"), ("del", "l")]
    assert events("XADD s 1 f v", "XADD s MAXLEN 1 2 f v", "XTRIM s MAXLEN 5", "XDEL s 2", "XSETID s 9-0") == [
        ("xadd", "s"), ("xadd", "s"), ("xtrim", "s"), ("xdel", "s"), ("xsetid", "s")]
    assert events("SELECT 1", "SET other 1", "DEL other", "SELECT 0") == []
    pub.call("CONFIG", "SET", "notify-keyspace-events", "El")
    pub.call("RPUSH", "l", "a")
    assert a.read()[2:] == [b"__keyevent@0__:rpush", b"l"]
