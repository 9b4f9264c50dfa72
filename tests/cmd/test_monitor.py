"""MONITOR; what CONFIG SET and CLIENT KILL accept; pushes under CLIENT REPLY OFF; eviction without a command."""

import time

from helpers import error, raw


class Line:
    """A connection by hand: what redis-py would hide."""

    def __init__(self, server):
        self.s = server.raw()
        self.f = self.s.makefile("rb")

    def ask(self, *words):
        self.send(*words)
        return self.f.readline()

    def send(self, *words):
        parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.s.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))

    def close(self):
        self.f.close()
        self.s.close()


def test_monitor_shows_commands_as_they_run(server, r):
    m = Line(server)
    assert m.ask("MONITOR") == b"+OK\r\n"
    r.set("k", b'a "b"\\\n\x00\xff')
    line = m.f.readline()
    assert line.startswith(b"+") and b"[0 127.0.0.1:" in line
    assert line.endswith(b'] "SET" "k" "a \\"b\\"\\\\\\n\\x00\\xff"\r\n')
    c = Line(server)
    for words in (("MULTI",), ("SET", "a", 1), ("EXEC",)):
        c.send(*words)
    assert [m.f.readline().split(b"] ")[1] for _ in range(3)] == [b'"MULTI"\r\n', b'"SET" "a" "1"\r\n', b'"EXEC"\r\n']
    c.ask("AUTH", "someone", "secret")
    assert m.f.readline().endswith(b'"AUTH" "(redacted)" "(redacted)"\r\n')
    r.config_set("timeout", 0)  # administrative: not shown
    assert " flags=O " in next(x for x in raw(r, "CLIENT", "LIST").decode().split("\n") if "cmd=monitor" in x)
    assert m.ask("RESET") == b"+RESET\r\n"
    r.get("k")
    assert m.ask("PING") == b"+PONG\r\n"
    m.close()
    c.close()


def test_subscribing_is_answered_under_reply_off(server, r):
    c = Line(server)
    c.send("CLIENT", "REPLY", "OFF")
    c.send("PING")
    assert c.ask("SUBSCRIBE", "ch") == b"*3\r\n"
    assert [c.f.readline() for _ in range(5)] == [b"$9\r\n", b"subscribe\r\n", b"$2\r\n", b"ch\r\n", b":1\r\n"]
    assert r.publish("ch", "x") == 1 and c.f.readline() == b"*3\r\n"
    c.close()


def test_config_set_of_a_fixed_setting_to_what_it_is(r):
    databases = r.config_get("databases")["databases"]
    assert r.config_set("databases", databases)
    assert "can't set immutable config" in error(r, "CONFIG", "SET", "databases", int(databases) + 1)


def test_client_kill_by_user(r):
    assert error(r, "CLIENT", "KILL", "USER", "nobody") == "No such user 'nobody'"
    assert raw(r, "CLIENT", "KILL", "USER", "default", "ID", "999999") == 0


def test_lowering_maxmemory_evicts_by_itself(r):
    r.set("k", "v")
    r.config_set("maxmemory-policy", "allkeys-lru")
    r.config_set("maxmemory", 1)
    end = time.monotonic() + 60
    while r.dbsize() and time.monotonic() < end:
        time.sleep(0.02)
    left = r.dbsize()
    r.config_set("maxmemory", 0)
    r.config_set("maxmemory-policy", "noeviction")
    assert left == 0


def test_loadaof_gives_the_same_data(fresh):
    r = fresh("--appendonly", "yes").client()
    r.set("s", 1, ex=1000)
    r.rpush("l", *range(300))
    r.sadd("set", *range(300))
    r.spop("set", 100)
    r.hset("h", "f", "v")
    r.incrbyfloat("f", 0.1)
    before = r.execute_command("DEBUG", "DIGEST")
    assert r.execute_command("DEBUG", "LOADAOF") == "OK" and r.execute_command("DEBUG", "DIGEST") == before
    r.set("later", 1)
    assert r.execute_command("DEBUG", "LOADAOF") == "OK" and r.get("later") == "1" and 990 < r.ttl("s") <= 1000


def test_loadaof_needs_a_journal(r):
    assert "there is no journal" in error(r, "DEBUG", "LOADAOF")
