"""SLOWLOG: what is kept, how it is cut, what is hidden."""

import pytest

from helpers import error, raw


@pytest.fixture
def log(r):
    """Everything is slow; afterwards nothing is."""
    r.config_set("slowlog-log-slower-than", 0)
    raw(r, "SLOWLOG", "RESET")
    yield r
    r.config_set("slowlog-log-slower-than", 10000)
    r.config_set("slowlog-max-len", 128)


def commands(r, n=-1):
    return [e[3] for e in raw(r, "SLOWLOG", "GET", n)]


def test_entries(log):
    log.client_setname("me")
    log.set("k", "v")
    newest = raw(log, "SLOWLOG", "GET", 1)[0]
    assert len(newest) == 6 and newest[3] == [b"SET", b"k", b"v"] and newest[4].startswith(b"127.0.0.1:") and newest[5] == b"me"
    assert newest[2] >= 0 and newest[0] > 0
    log.config_set("slowlog-log-slower-than", -1)
    before = raw(log, "SLOWLOG", "LEN")
    log.get("k")
    assert raw(log, "SLOWLOG", "LEN") == before == len(commands(log))
    assert raw(log, "SLOWLOG", "RESET") == b"OK" and raw(log, "SLOWLOG", "LEN") == 0


def test_only_the_slow_are_kept(log):
    log.config_set("slowlog-log-slower-than", 100000)
    raw(log, "SLOWLOG", "RESET")
    log.set("k", "v")
    raw(log, "DEBUG", "SLEEP", "0.15")
    (e,) = raw(log, "SLOWLOG", "GET")
    assert e[3] == [b"DEBUG", b"SLEEP", b"0.15"] and e[2] >= 150000


def test_the_length_is_bounded_and_cut_when_lowered(log):
    log.config_set("slowlog-max-len", 5)
    for i in range(20):
        log.set("k", i)
    assert [c[2] for c in commands(log)] == [b"19", b"18", b"17", b"16", b"15"]
    log.config_set("slowlog-max-len", 0)
    assert raw(log, "SLOWLOG", "LEN") == 0


def test_long_commands_are_cut(log):
    log.sadd("s", *range(40))
    assert commands(log, 1)[0][31:] == [b"... (11 more arguments)"]
    log.set("k", "x" * 300)
    assert commands(log, 1)[0][2] == b"x" * 128 + b"... (172 more bytes)"


def test_secrets_are_not_kept(log):
    raw(log, "CONFIG", "SET", "requirepass", "")
    assert commands(log, 1)[0] == [b"CONFIG", b"SET", b"requirepass", b"(redacted)"]
    error(log, "AUTH", "someone", "secret")
    assert commands(log, 1)[0] == [b"AUTH", b"(redacted)", b"(redacted)"]
    error(log, "HELLO", "2", "AUTH", "someone", "secret", "SETNAME", "x")
    assert commands(log, 1)[0] == [b"HELLO", b"2", b"AUTH", b"(redacted)", b"(redacted)", b"SETNAME", b"x"]
    raw(log, "ACL", "SETUSER", "someone", ">secret")
    assert commands(log, 1)[0] == [b"ACL", b"SETUSER", b"(redacted)", b"(redacted)"]
    raw(log, "ACL", "DELUSER", "someone")
    error(log, "LLM.MODEL", "SET", "m", "PROVIDER", "nothing", "KEY", "secret", "ID", "x")
    assert commands(log, 1)[0][4:] == [b"nothing", b"KEY", b"(redacted)", b"ID", b"x"]
    raw(log, "MIGRATE", "h", "1", "", "0", "1", "AUTH2", "someone", "secret", "KEYS", "auth", "k")
    assert b"secret" not in b" ".join(b" ".join(c) for c in commands(log))


def test_a_transaction_is_logged_by_its_commands_and_a_waiter_when_it_is_served(log, server):
    p = log.pipeline(transaction=True)
    p.set("a", 1)
    p.get("a")
    p.execute()
    assert [c[0] for c in commands(log, 3)] == [b"GET", b"SET", b"MULTI"]
    s = server.raw()
    s.sendall(b"BLPOP l 0\r\n")
    while not log.info("clients")["blocked_clients"]:
        pass
    log.rpush("l", "x")
    assert s.recv(100).startswith(b"*2")
    assert commands(log, 1)[0] == [b"BLPOP", b"l", b"0"]
    s.close()
