"""EVAL and its kin: conversions, errors, the sandbox, libraries, atomicity, the cache."""

import hashlib
import socket
import struct

import pytest
import redis

import resp
from helpers import error, other_db, raw


def ev(r, script, *keys, args=()):
    return raw(r, "EVAL", script, len(keys), *keys, *args)


def sha(script):
    return hashlib.sha1(script.encode()).hexdigest()


# ---- values ----


def test_replies_of_lua_values(r):
    assert ev(r, "return 3.99") == 3 and ev(r, "return -3.99") == -3
    assert ev(r, "return 'a\\0b'") == b"a\0b" and ev(r, "return true") == 1
    assert ev(r, "return false") is None and ev(r, "return nil") is None and ev(r, "return") is None
    assert ev(r, "return {1, 'x', {2, {}}, nil, 5}") == [1, b"x", [2, []]]
    assert ev(r, "return {ok='GOOD'}") == b"GOOD" and ev(r, "return redis.status_reply('S')") == b"S"
    assert error(r, "EVAL", "return {err='MY x\\ny'}", 0) == "MY x y"
    assert error(r, "EVAL", "return redis.error_reply('CODE text')", 0) == "CODE text"
    assert ev(r, "return {double=2.5}") == b"2.5" and ev(r, "return {map={a=1}}") == [b"a", 1]
    assert ev(r, "local a = {}; a[1] = a; local ok = pcall(cjson.encode, a); return tostring(ok)") == b"false"


def test_values_of_replies(r):
    r.set("s", "text")
    r.rpush("l", "a", "b")
    script = "local v = redis.call(unpack(ARGV)); return type(v) .. ':' .. tostring(v)"
    assert ev(r, script, args=("GET", "s")) == b"string:text" and ev(r, script, args=("STRLEN", "s")) == b"number:4"
    assert ev(r, script, args=("GET", "none")) == b"boolean:false"
    assert ev(r, "return #redis.call('LRANGE', 'l', 0, -1)") == 2
    assert ev(r, "return redis.call('SET', 'k', 1).ok") == b"OK"
    assert ev(r, "return redis.pcall('LPUSH', 's', 1).err").startswith(b"WRONGTYPE")
    assert ev(r, "redis.call('SET', 'n', 2^53); redis.call('APPEND', 'n', 0.5); return redis.call('GET', 'n')") == b"90071992547409920.5"


def test_resp3_both_ways(server):
    c = resp.Conn(server.raw())

    def run(script):
        return c.call("EVAL", script, 0)

    for proto in (2, 3):
        c.call("HELLO", proto)
        c.call("HSET", "h", "f", "v")
        assert run("redis.setresp(3) return redis.call('HGETALL', 'h')") == ({b"f": b"v"} if proto == 3 else [b"f", b"v"])
        assert run("return redis.call('HGETALL', 'h')") == [b"f", b"v"]
        assert run("redis.setresp(3) return redis.call('HGETALL', 'h').map.f") == b"v"
        assert run("redis.setresp(3) return tostring(redis.call('GET', 'none'))") == b"nil"
        assert run("redis.setresp(3) return true") is (True if proto == 3 else 1)
        assert run("return {double = 2.5}") == (2.5 if proto == 3 else b"2.5")
        assert run("return true") == 1 and run("return {map = {a = 1}}") == ({b"a": 1} if proto == 3 else [b"a", 1])
    c.close()


# ---- errors ----


def test_errors_name_the_script_and_the_line(r):
    s = "local x\nerror('boom')"
    assert error(r, "EVAL", s, 0) == f"user_script:2: boom script: {sha(s)}, on @user_script:2."
    s = "redis.call('LPUSH', 's', 1)"
    r.set("s", 1)
    assert error(r, "EVAL", s, 0) == ("WRONGTYPE Operation against a key holding the wrong kind of value "
                                      f"script: {sha(s)}, on @user_script:1.")
    assert error(r, "EVAL", "return redis.pcall('LPUSH', 's', 1)", 0) == "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert "user_script:1: '<eof>' expected near 'two'" in error(r, "EVAL", "return one two", 0)
    assert "nonexistent global variable 'x'" in error(r, "EVAL", "return x", 0)
    assert error(r, "EVAL", "error({my = 'table'})", 0).startswith("unknown error")
    for cmd, why in (("'GET'", "Wrong number of args calling"), ("'NOSUCH'", "Unknown Redis command called"),
                     ("'MULTI'", "This Redis command is not allowed"), ("'BLPOP', 'x', 0", "This Redis command is not allowed"),
                     ("'EVAL', 'return 1', 0", "This Redis command is not allowed"), ("{}", "arguments must be strings or integers")):
        assert why in error(r, "EVAL", f"return redis.call({cmd})", 0)
    assert ev(r, "local ok, e = pcall(redis.call, 'GET'); return e") == b"ERR Wrong number of args calling Redis command from script"
    assert error(r, "EVAL", "return 1", 2) == "Number of keys can't be greater than number of args"
    assert error(r, "EVAL", "return 1", -1) == "Number of keys can't be negative"


def test_headers(r):
    assert ev(r, "#!lua\nreturn 1") == 1 and ev(r, "#!lua flags=no-writes,allow-stale\nreturn 1") == 1
    assert error(r, "EVAL", "#!js\nreturn 1", 0) == "Unexpected engine in script shebang: #!js"
    assert error(r, "EVAL", "#!lua x=1\nreturn 1", 0) == "Unknown lua shebang option: x=1"
    assert error(r, "EVAL", "#!lua flags=x\nreturn 1", 0) == "Unexpected flag in script shebang: x"
    assert error(r, "EVAL", "#!lua", 0) == "Invalid script shebang"
    assert "Write commands are not allowed" in error(r, "EVAL", "#!lua flags=no-writes\nredis.call('SET', 'k', 1)", 0)
    assert "*_ro command" in error(r, "EVAL_RO", "#!lua\nreturn 1", 0)
    assert "on @user_script:3." in error(r, "EVAL", "#!lua\n\nerror('x')", 0)


# ---- the sandbox ----


@pytest.mark.parametrize("attack", [
    "redis.call = 1", "string.rep = 1", "_G.x = 1", "_G._G = 1", "rawset(_G, 'x', 1)", "rawset(redis, 'call', 1)",
    "setmetatable(_G, {})", "setmetatable(redis, {})", "getmetatable(_G).__index = {}", "getmetatable(_G).__index.redis = 1",
    "getmetatable('').__index = {}", "getmetatable('').__index.rep = 1", "table.insert(redis, 1)", "table.sort(string)",
    "table.remove(_G)", "cjson.null = 1", "bit.bor = 1", "function redis.call() end", "KEYS = 1", "x = 1",
])
def test_nothing_shared_can_be_changed(r, attack):
    assert "Attempt to modify a readonly table" in error(r, "EVAL", attack, 0)
    assert ev(r, "return {redis.call('PING').ok, ('x'):rep(3), type(table.insert)}") == [b"PONG", b"xxx", b"function"]


def test_what_is_not_there(r):
    for name in ("io", "print", "require", "dofile", "loadfile", "debug", "package", "module", "newproxy", "getfenv", "setfenv"):
        assert f"nonexistent global variable '{name}'" in error(r, "EVAL", f"return {name}", 0)
    assert ev(r, "return loadstring(string.dump(function() return 1 end)) == nil and 1 or 0") == 1
    assert ev(r, "return load((function(s) return function() local x = s; s = nil; return x end end)(string.dump(function() end))) == nil and 1 or 0") == 1
    assert ev(r, "return loadstring('return 1 + 1')()") == 2
    assert error(r, "EVAL", "\x1bLua", 0)
    assert ev(r, "local n = 0; for k, v in pairs(redis) do n = n + 1 end; return n > 10 and 1 or 0") == 1


def test_nothing_stays_from_one_run_to_the_next(r):
    ev(r, "return KEYS", "a", "b", args=("c",))
    assert ev(r, "return {#KEYS, #ARGV}") == [0, 0]
    assert ev(r, "redis.setresp(3); return 1") == 1 and ev(r, "return tostring(redis.call('GET', 'none'))") == b"false"
    assert ev(r, "KEYS[1] = 'x'; return KEYS[1]", "k") == b"x" and ev(r, "return KEYS[1]", "k") == b"k"


# ---- atomicity, effects ----


def test_a_script_is_one_group_in_the_journal(fresh):
    s = fresh("--appendonly", "yes", "--appendfsync", "always")
    r = s.client(decode_responses=False)
    ev(r, "redis.call('SET', 'a', 1) redis.call('INCR', 'a') redis.call('SELECT', 5) redis.call('SET', 'b', 3, 'EX', 1000)")
    with pytest.raises(redis.ResponseError):
        ev(r, "redis.call('SET', 'half', 1) error('x')")
    ev(r, "redis.set_repl(redis.REPL_NONE) redis.call('SET', 'unseen', 1) redis.set_repl(redis.REPL_ALL) redis.call('SET', 'seen', 1)")
    assert r.exists("unseen", "seen") == 2
    ttl = raw(other_db(r, 5), "PEXPIRETIME", "b")
    s.kill9()
    s.start()
    r = s.client(decode_responses=False)
    assert r.mget("a", "half", "seen", "unseen") == [b"2", b"1", b"1", None]
    assert other_db(r, 5).get("b") == b"3" and raw(other_db(r, 5), "PEXPIRETIME", "b") == ttl


def test_in_a_transaction_with_watch(r):
    c = redis.Redis(port=r.connection_pool.connection_kwargs["port"])
    with r.pipeline() as p:
        p.watch("k")
        ev(c, "redis.call('SET', 'k', 1)")
        p.multi()
        p.eval("return redis.call('INCR', KEYS[1])", 1, "k")
        with pytest.raises(redis.WatchError):
            p.execute()
    with r.pipeline() as p:
        p.eval("return redis.call('INCR', KEYS[1])", 1, "k")
        p.eval("return redis.call('GET', KEYS[1])", 1, "k")
        assert p.execute() == [2, b"2"]
    c.close()


def test_select_inside_is_not_the_callers(r):
    r.set("k", "here")
    assert ev(r, "redis.call('SELECT', 3); redis.call('SET', 'k', 'there'); return redis.call('GET', 'k')") == b"there"
    assert r.get("k") == b"here" and other_db(r, 3).get("k") == b"there"


def test_time_stands_still(r):
    assert ev(r, "redis.call('SET', 'k', 1, 'PX', 1) local t = redis.call('TIME') "
                 "for i = 1, 200000 do local x = math.sin(i) end return redis.call('EXISTS', 'k')") == 1


def test_out_of_memory(r):
    r.set("x", 1)
    r.config_set("maxmemory", 1)
    try:
        assert error(r, "EVAL", "redis.call('SET', 'x', 2)", 0).startswith("OOM command not allowed")
        assert ev(r, "return redis.call('GET', 'x')") == b"1"
        assert error(r, "EVAL", "#!lua\nreturn 1", 0).startswith("OOM allow-oom flag is not set")
        assert ev(r, "#!lua flags=allow-oom\nreturn redis.call('SET', 'x', 2).ok") == b"OK"
        assert ev(r, "redis.call('DEL', 'y') return redis.call('SET', 'x', 3).ok") == b"OK"  # a write before makes it go on
    finally:
        r.config_set("maxmemory", 0)


# ---- the cache ----


def test_cache(r):
    s = "return 'cached'"
    raw(r, "SCRIPT", "FLUSH")
    with pytest.raises(redis.exceptions.NoScriptError):
        raw(r, "EVALSHA", sha(s), 0)
    ev(r, s)
    assert raw(r, "EVALSHA", sha(s).upper(), 0) == b"cached" == raw(r, "EVALSHA_RO", sha(s), 0)
    assert raw(r, "SCRIPT", "EXISTS", sha(s), "x", sha("other")) == [1, 0, 0]
    assert raw(r, "SCRIPT", "LOAD", "return 1").decode() == sha("return 1")
    assert r.info("memory")["number_of_cached_scripts"] == 2
    raw(r, "SCRIPT", "FLUSH", "ASYNC")
    assert raw(r, "SCRIPT", "EXISTS", sha(s)) == [0]


def test_texts_without_end_do_not_fill_the_memory(r):
    raw(r, "SCRIPT", "FLUSH")
    raw(r, "SCRIPT", "LOAD", "return 'stays'")
    before = r.info("stats")["evicted_scripts"]
    p = r.pipeline(transaction=False)
    for i in range(700):
        p.eval(f"return {i}", 0)
    assert p.execute() == list(range(700))
    assert r.info("memory")["number_of_cached_scripts"] == 501 and r.info("stats")["evicted_scripts"] == before + 200
    assert raw(r, "EVALSHA", sha("return 'stays'"), 0) == b"stays" and raw(r, "SCRIPT", "EXISTS", sha("return 0"), sha("return 699")) == [0, 1]


def test_monitor_shows_both(server, r):
    c = redis.Redis(port=server.port)
    with c.monitor() as m:
        ev(r, "redis.call('SET', 'k', 'v')")
        first, second = m.next_command(), m.next_command()
    assert first["command"].startswith("EVAL") and second["command"] == "SET k v" and second["client_type"] == "lua"
    c.close()


# ---- scripts that run for long ----


@pytest.fixture
def busy(fresh):
    """A server whose scripts are busy at once, and a connection to start one on."""
    s = fresh("--busy-reply-threshold", "5", "--appendonly", "yes", "--enable-debug-command", "yes")
    return s


def until_busy(server):
    c = resp.Conn(server.raw())
    for _ in range(3000):
        got = c.call("PING")
        if isinstance(got, resp.Error):
            assert str(got).startswith("BUSY Redis is busy running a script.")
            return c
    raise AssertionError("the script was never busy")


LONG = "local f = function() while true do end end while true do pcall(f) end"
LOAD = "#!lua name=l\nredis.register_function('long', function() {} end)\nredis.register_function{{function_name='ro', callback=function() {} end, flags={{'no-writes'}}}}"


def test_a_long_script_is_killed(busy):
    a = resp.Conn(busy.raw())
    a.sock.sendall(resp.encode("PING") + resp.encode("EVAL", LONG, 0) + resp.encode("PING"))
    c = until_busy(busy)
    assert str(c.call("FUNCTION", "KILL")) == "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
    for refused in (("GET", "k"), ("CONFIG", "GET", "x"), ("EVAL", "return 1", 0), ("EXEC",), ("SUBSCRIBE", "x"), ("INFO",)):
        assert isinstance(c.call(*refused), resp.Error)
    assert c.call("MULTI") == "OK" and str(c.call("GET", "k")).startswith("BUSY") and c.call("DISCARD") == "OK"
    assert c.call("WATCH", "k") == "OK" and c.call("UNWATCH") == "OK" and c.call("HELLO", 3)[b"proto"] == 3
    assert c.call("SCRIPT", "KILL") == "OK"
    assert a.read() == "PONG" and "Script killed by user" in str(a.read()) and a.read() == "PONG"
    assert c.call("PING") == "PONG" and str(c.call("SCRIPT", "KILL")) == "NOTBUSY No scripts in execution right now."
    assert c.call("EVAL", "return 1", 0) == 1


def test_a_long_pattern_is_killed(busy):
    a = resp.Conn(busy.raw())
    a.send("EVAL", "return string.find(string.rep('a', 5000), string.rep('a-', 60) .. 'b')", 0)
    c = until_busy(busy)
    assert c.call("SCRIPT", "KILL") == "OK" and "Script killed by user" in str(a.read())


def test_a_long_function(busy):
    c = resp.Conn(busy.raw())
    c.call("FUNCTION", "LOAD", LOAD.format(LONG, LONG))
    a = resp.Conn(busy.raw())
    a.send("FCALL", "long", 1, "key", "arg")
    c = until_busy(busy)
    assert str(c.call("SCRIPT", "KILL")) == "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
    running = c.call("FUNCTION", "STATS")[1]
    assert running[:4] == [b"name", b"long", b"command", [b"FCALL", b"long", b"1", b"key", b"arg"]] and running[5] >= 5
    assert c.call("FUNCTION", "KILL") == "OK" and "Script killed by user" in str(a.read())
    assert c.call("FUNCTION", "STATS")[1] is None


def test_in_a_transaction_a_long_script_is_killed_and_the_rest_runs(busy):
    a = resp.Conn(busy.raw())
    for cmd in (("MULTI",), ("SET", "before", 1), ("EVAL", LONG, 0), ("SET", "after", 1)):
        a.call(*cmd)
    a.send("EXEC")
    c = until_busy(busy)
    assert c.call("SCRIPT", "KILL") == "OK"
    got = a.read()
    assert got[0] == got[2] == "OK" and isinstance(got[1], resp.Error) and c.call("EXISTS", "before", "after") == 2


def test_what_waits_while_a_script_runs(busy):
    """Clients that come, go and are blocked meanwhile; expiry; the caller's own hang-up."""
    waiting = resp.Conn(busy.raw())
    waiting.send("BLPOP", "list", 0)
    soon = resp.Conn(busy.raw())
    soon.send("BLPOP", "other", "0.02")
    a = resp.Conn(busy.raw())
    a.call("DEBUG", "SET-DISABLE-DENY-SCRIPTS", 1)
    a.send("EVAL", "redis.call('LPUSH', 'list', 'first') redis.call('SET', 'short', 1, 'PX', 30) "
                   "while not string.find(redis.call('CLIENT', 'LIST'), 'name=go') do end "
                   "redis.call('LPUSH', 'list', 'second') return redis.call('EXISTS', 'short')", 0)
    c = until_busy(busy)
    assert str(c.call("SCRIPT", "KILL")).startswith("UNKILLABLE Sorry the script already executed write commands")
    gone = [resp.Conn(busy.raw()) for _ in range(20)]
    for g in gone:
        assert str(g.call("GET", "x")).startswith("BUSY")
        g.close()
    c.send("HELLO", 2, "SETNAME", "go")
    assert isinstance(c.read(), list)
    assert waiting.read() == [b"list", b"second"] and soon.read() is None  # only when the script was whole
    assert a.read() == 1 and c.call("LRANGE", "list", 0, -1) == [b"first"]
    c.call("DEBUG", "SET-DISABLE-DENY-SCRIPTS", 0)


def test_the_caller_hangs_up(busy):
    for _ in range(5):
        a = resp.Conn(busy.raw())
        a.send("EVAL", LONG, 0)
        c = until_busy(busy)
        a.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
        a.f.close()
        a.close()
        for _ in range(50):
            assert str(c.call("PING")).startswith("BUSY")
        assert c.call("SCRIPT", "KILL") == "OK" and c.call("PING") == "PONG"
        c.close()


def test_shutdown_drops_what_a_script_did_half(fresh):
    s = fresh("--busy-reply-threshold", "5", "--appendonly", "yes", "--appendfsync", "always")
    r = s.client()
    r.set("k", "before")
    a = resp.Conn(s.raw())
    a.send("EVAL", "redis.call('SET', 'k', 'half') while true do end", 0)
    c = until_busy(s)
    c.send("SHUTDOWN", "NOSAVE")
    s.proc.wait(timeout=120)
    s.start()
    assert s.client().get("k") == "before"


def test_no_threshold_means_no_turns(fresh):
    s = fresh("--busy-reply-threshold", "0")
    r = s.client()
    assert r.eval("for i = 1, 3000000 do end return 1", 0) == 1 and r.ping()
