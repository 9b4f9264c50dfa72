"""ACL LOG: what was refused, grouped, and its limits; INFO's counters of the same."""

import pytest

from resp import Conn, Error


@pytest.fixture
def c(server):
    conn = Conn(server.raw())
    conn.call("ACL", "SETUSER", "u", "on", "nopass", "+get", "+publish", "+acl", "+multi", "+exec", "~a*", "&c*")
    conn.call("ACL", "LOG", "RESET")
    yield conn
    conn.call("ACL", "DELUSER", "u")
    conn.close()


@pytest.fixture
def u(server, c):
    conn = Conn(server.raw())
    assert conn.call("AUTH", "u", "x") == "OK"
    yield conn
    conn.close()


def entries(c, *args):
    return [{k.decode(): v.decode() if isinstance(v, bytes) else v for k, v in zip(e[::2], e[1::2])}
            for e in c.call("ACL", "LOG", *args)]


def test_an_entry(c, u):
    assert isinstance(u.call("GET", "secret"), Error)
    (e,) = entries(c)
    assert list(e) == ["count", "reason", "context", "object", "username", "age-seconds", "client-info", "entry-id",
                       "timestamp-created", "timestamp-last-updated"]
    assert (e["count"], e["reason"], e["context"], e["object"], e["username"]) == (1, "key", "toplevel", "secret", "u")
    assert 0 <= float(e["age-seconds"]) < 60 and " user=u " in e["client-info"] and "cmd=" in e["client-info"]
    assert e["timestamp-created"] == e["timestamp-last-updated"] > 1600000000000


def test_the_reasons(c, u):
    u.call("SET", "a", "1")
    u.call("GET", "b")
    u.call("PUBLISH", "x", "m")
    u.call("AUTH", "nobody", "p")
    assert [(e["reason"], e["object"], e["username"]) for e in entries(c)] == [
        ("auth", "AUTH", "nobody"), ("channel", "x", "u"), ("key", "b", "u"), ("command", "set", "u")]


def test_subcommands_are_named_whole(c, u):
    u.call("CONFIG", "GET", "x")
    assert entries(c)[0]["object"] == "config|get"


def test_the_same_again_counts_up_and_comes_first(c, u):
    u.call("GET", "b")
    u.call("GET", "c")
    u.call("GET", "b")
    u.call("GET", "b")
    assert [(e["object"], e["count"]) for e in entries(c)] == [("b", 3), ("c", 1)]
    b, other = entries(c)
    assert b["entry-id"] == other["entry-id"] - 1 and b["timestamp-last-updated"] >= b["timestamp-created"]


def test_a_transaction_is_a_context_of_its_own(c, u):
    u.call("MULTI")
    assert isinstance(u.call("GET", "b"), Error)
    u.call("EXEC")
    u.call("GET", "b")
    assert [(e["context"], e["count"]) for e in entries(c)] == [("toplevel", 1), ("multi", 1)]


def test_count_reset_and_limit(c, u):
    for i in range(15):
        u.call("GET", f"k{i}")
    assert len(entries(c)) == 10 and len(entries(c, 3)) == 3 and len(entries(c, 100)) == 15
    assert entries(c, 0) == [] and entries(c, 1)[0]["object"] == "k14"
    c.call("CONFIG", "SET", "acllog-max-len", "4")
    assert [e["object"] for e in entries(c)] == ["k14", "k13", "k12", "k11"]
    u.call("GET", "k99")
    assert [e["object"] for e in entries(c)] == ["k99", "k14", "k13", "k12"]
    c.call("CONFIG", "SET", "acllog-max-len", "0")
    u.call("GET", "k1")
    assert entries(c) == []
    c.call("CONFIG", "SET", "acllog-max-len", "128")
    u.call("GET", "k1")
    assert c.call("ACL", "LOG", "RESET") == "OK" and entries(c) == []
    assert str(c.call("ACL", "LOG", "x")) == "ERR value is not an integer or out of range"


def test_info_counts(c, u):
    def counts():
        lines = c.call("INFO", "stats").decode().split("\r\n")
        return [int(x.split(":")[1]) for x in lines if x.startswith("acl_access_denied_")]
    before = counts()
    u.call("SET", "a", "1")
    u.call("GET", "b")
    u.call("GET", "b")
    u.call("PUBLISH", "x", "m")
    u.call("AUTH", "u2", "p")
    assert [b - a for a, b in zip(before, counts())] == [1, 1, 2, 1]
