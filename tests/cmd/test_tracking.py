"""Client-side caching: who is told of which keys, when, and by which connection."""

import pytest
from resp import Conn, Error, Push


@pytest.fixture
def conns(server, r):
    """Four connections; the first two speak RESP3."""
    made = [Conn(server.raw()) for _ in range(4)]
    for c in made[:2]:
        c.call("HELLO", 3)
    yield made
    for c in made:
        c.close()


def told(c):
    """What a RESP3 connection is pushed; it must be an invalidation."""
    got = c.read()
    assert isinstance(got, Push) and got[0] == b"invalidate"
    return got[1]


def quiet(c):
    """Nothing was pushed to this connection before the reply to this PING."""
    return c.call("PING") == "PONG"


def fields(c):
    got = c.call("CLIENT", "TRACKINGINFO")
    got = got if isinstance(got, dict) else dict(zip(got[::2], got[1::2]))
    return {f.decode() for f in got[b"flags"]}, got[b"redirect"], sorted(got[b"prefixes"])


def test_a_key_that_was_read_is_told_once(conns):
    a, _, _, w = conns
    assert a.call("CLIENT", "TRACKING", "ON") == "OK"
    w.call("MSET", "k", 1, "other", 1)
    assert a.call("GET", "k") == b"1" and a.call("STRLEN", "other") == 1
    w.call("SET", "k", 2)
    assert told(a) == [b"k"]
    w.call("SET", "k", 3)  # not read again
    assert quiet(a)
    w.call("DEL", "other")
    assert told(a) == [b"other"]


def test_own_changes_come_after_the_reply(conns):
    a = conns[0]
    a.call("CLIENT", "TRACKING", "ON")
    a.call("GET", "k")
    assert a.call("SET", "k", 1) == "OK" and told(a) == [b"k"]
    a.call("GET", "k")
    a.call("MULTI")
    a.call("INCR", "k")
    a.call("GET", "k")
    assert a.call("EXEC") == [2, b"2"] and told(a) == [b"k"]
    a.call("CLIENT", "TRACKING", "ON", "NOLOOP")
    a.call("GET", "k")
    assert a.call("INCR", "k") == 3 and quiet(a)


def test_expiry_and_flush(conns):
    a, _, _, w = conns
    a.call("CLIENT", "TRACKING", "ON", "NOLOOP")
    for line in (["MULTI"], ["SET", "k", 1, "PX", 20], ["GET", "k"]):  # it must not have expired when it is read
        a.call(*line)
    assert a.call("EXEC") == ["OK", b"1"]
    assert told(a) == [b"k"]  # the server's doing, although the client has set it
    a.call("GET", "x")
    w.call("FLUSHALL")
    assert told(a) is None
    assert quiet(a)  # once, however many databases there are
    assert a.call("FLUSHDB") == "OK" and told(a) is None


def test_scripts_and_blocked_calls(conns):
    a, b, _, w = conns
    a.call("CLIENT", "TRACKING", "ON")
    w.call("SET", "k", 1)
    assert a.call("EVAL", "return redis.call('GET', 'k')", 0) == b"1"
    w.call("EVAL", "return redis.call('SET', 'k', '2')", 0)
    assert told(a) == [b"k"]
    b.call("CLIENT", "TRACKING", "ON")
    b.call("LRANGE", "to", 0, -1)
    b.send("BLMOVE", "from", "to", "LEFT", "LEFT", 0)
    while w.call("INFO", "clients").find(b"blocked_clients:1") < 0:
        pass
    w.call("RPUSH", "from", "x")
    assert b.read() == b"x" and told(b) == [b"to"]


def test_broadcast(conns):
    a, b, _, w = conns
    assert a.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "u:", "PREFIX", "v:") == "OK"
    assert b.call("CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP") == "OK"
    w.call("MSET", "u:1", 1, "u:2", 1, "w", 1)
    assert sorted(told(a)) == [b"u:1", b"u:2"]
    assert sorted(told(b)) == [b"u:1", b"u:2", b"w"]
    b.call("SET", "v:1", 1)
    assert told(a) == [b"v:1"] and quiet(b)
    assert a.call("CLIENT", "TRACKING", "OFF") == "OK"
    w.call("SET", "u:1", 2)
    assert quiet(a) and told(b) == [b"u:1"]


def test_opt_in_and_out(conns):
    a, _, _, w = conns
    a.call("CLIENT", "TRACKING", "ON", "OPTIN")
    a.call("GET", "k")
    w.call("SET", "k", 1)
    assert quiet(a)
    assert a.call("CLIENT", "CACHING", "YES") == "OK"
    assert fields(a)[0] == {"on", "optin", "caching-yes"}
    a.call("GET", "k")
    a.call("GET", "l")
    w.call("MSET", "k", 2, "l", 2)
    assert told(a) == [b"k"] and quiet(a)
    a.call("CLIENT", "CACHING", "YES")  # for the whole transaction
    a.call("MULTI")
    a.call("GET", "k")
    a.call("GET", "l")
    a.call("EXEC")
    w.call("MSET", "k", 2, "l", 2)
    assert told(a) == [b"k"] and told(a) == [b"l"]
    a.call("CLIENT", "TRACKING", "OFF")
    a.call("CLIENT", "TRACKING", "ON", "OPTOUT")
    a.call("CLIENT", "CACHING", "NO")
    a.call("GET", "k")
    a.call("GET", "l")
    w.call("MSET", "k", 3, "l", 3)
    assert told(a) == [b"l"] and quiet(a)


def test_redirect(conns):
    a, b, c, w = conns
    to = c.call("CLIENT", "ID")
    c.call("SUBSCRIBE", "__redis__:invalidate")
    assert w.call("CLIENT", "TRACKING", "ON", "REDIRECT", to) == "OK"
    assert w.call("CLIENT", "GETREDIR") == to
    w.call("GET", "k")
    a.call("SET", "k", 1)
    assert c.read() == [b"message", b"__redis__:invalidate", [b"k"]]
    w.call("GET", "k")
    a.call("FLUSHALL")
    assert c.read() == [b"message", b"__redis__:invalidate", None]
    a.call("CLIENT", "TRACKING", "ON", "REDIRECT", to)
    a.call("GET", "k")
    c.close()
    while b"id=%d " % to in b.call("CLIENT", "LIST"):
        pass
    b.call("SET", "k", 2)
    assert a.read() == [b"tracking-redir-broken", to]
    assert fields(a) == ({"on", "broken_redirect"}, to, [])
    assert b"flags=tR " in a.call("CLIENT", "INFO") and b"redir=%d " % to in a.call("CLIENT", "INFO")


def test_the_table_is_bounded(conns, r):
    a = conns[0]
    a.call("CLIENT", "TRACKING", "ON")
    for i in range(300):
        a.call("GET", f"k{i}")
    assert r.info("stats")["tracking_total_keys"] == 300 and r.info("stats")["tracking_total_items"] == 300
    r.config_set("tracking-table-max-keys", 10)
    gone = {told(a)[0] for _ in range(290)}
    assert len(gone) == 290 and r.info("stats")["tracking_total_keys"] == 10
    r.config_set("tracking-table-max-keys", 1000000)
    a.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "x")
    assert r.info("clients")["tracking_clients"] == 1
    a.call("CLIENT", "TRACKING", "OFF")
    assert r.info("clients")["tracking_clients"] == 0 and r.info("stats")["tracking_total_keys"] == 0


def test_evicted_keys_are_told_before_the_reply(fresh):
    s = fresh("--maxmemory-policy", "volatile-random")
    a = Conn(s.raw())
    a.call("HELLO", 3)
    a.call("CLIENT", "TRACKING", "ON")
    a.call("SETEX", "small", 1000, "x")
    a.call("GET", "small")
    used = int(a.call("INFO", "memory").split(b"used_memory:")[1].split(b"\r")[0])
    a.call("CONFIG", "SET", "maxmemory", used + 200000)
    a.send("SETBIT", "large", 8 * 400000, 1)
    a.send("GETBIT", "large", 0)
    assert a.read() == 0 and told(a) == [b"small"] and a.read() == 0
    a.close()


@pytest.mark.parametrize(
    "line, error",
    [
        ("ON PREFIX a", "ERR PREFIX option requires BCAST mode to be enabled"),
        ("ON BCAST OPTIN", "ERR OPTIN and OPTOUT are not compatible with BCAST"),
        ("ON OPTIN OPTOUT", "ERR You can't specify both OPTIN mode and OPTOUT mode"),
        ("ON REDIRECT 999999999", "ERR The client ID you want redirect to does not exist"),
        ("ON REDIRECT x", "ERR value is not an integer or out of range"),
        ("ON REDIRECT", "ERR syntax error"),
        ("MAYBE", "ERR syntax error"),
        ("ON BCAST PREFIX foo PREFIX foobar",
         "ERR Prefix 'foo' overlaps with another provided prefix 'foobar'. Prefixes for a single client must not overlap."),
    ],
)
def test_refused(conns, line, error):
    got = conns[2].call("CLIENT", "TRACKING", *line.split())
    assert isinstance(got, Error) and str(got) == error


def test_what_cannot_be_switched(conns):
    c = conns[2]
    c.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "foo")
    assert str(c.call("CLIENT", "TRACKING", "ON")).startswith("ERR You can't switch BCAST mode on/off")
    assert str(c.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "fo")).startswith(
        "ERR Prefix 'fo' overlaps with an existing prefix 'foo'")
    assert str(c.call("CLIENT", "CACHING", "YES")).startswith("ERR CLIENT CACHING can be called only")
    c.call("CLIENT", "TRACKING", "OFF")
    c.call("CLIENT", "TRACKING", "ON", "OPTIN")
    assert str(c.call("CLIENT", "TRACKING", "ON", "OPTOUT")).startswith("ERR You can't switch OPTIN/OPTOUT")
    assert str(c.call("CLIENT", "CACHING", "NO")).startswith("ERR CLIENT CACHING NO is only valid")
    assert c.call("RESET") == "RESET"
    assert fields(c) == ({"off"}, -1, [])
