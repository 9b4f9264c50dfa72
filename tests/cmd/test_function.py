"""FUNCTION and FCALL: libraries, their headers and names, flags, payloads, what survives a restart."""

import pytest
import reference
from helpers import error, raw

LIB = "#!lua name={name}\nredis.register_function('{name}_f', function(keys, args) return {{'{name}', keys[1], args[1]}} end)"
NAMES = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"


@pytest.fixture(autouse=True)
def no_functions(r):
    raw(r, "FUNCTION", "FLUSH")


def load(r, name, *options):
    return raw(r, "FUNCTION", "LOAD", *options, LIB.format(name=name))


def code(body, name="lib"):
    return f"#!lua name={name}\n{body}"


def names(r):
    return sorted(lib[1] for lib in raw(r, "FUNCTION", "LIST"))


def test_life_of_a_library(r):
    assert load(r, "one") == b"one" and load(r, "two") == b"two"
    assert raw(r, "FCALL", "one_f", 1, "k", "a") == [b"one", b"k", b"a"] == raw(r, "FCALL", "ONE_F", 1, "k", "a")
    assert error(r, "FUNCTION", "LOAD", LIB.format(name="one")) == "Library 'one' already exists"
    raw(r, "FUNCTION", "LOAD", "REPLACE", code("redis.register_function('g', function() return 7 end)", "one"))
    assert error(r, "FCALL", "one_f", 0) == "Function not found" and raw(r, "FCALL", "g", 0) == 7
    assert error(r, "FUNCTION", "LOAD", code("redis.register_function('g', function() end)")) == "Function g already exists"
    assert error(r, "FUNCTION", "LOAD", "REPLACE", code("redis.register_function('g', function() end)", "two")) == "Function g already exists"
    assert raw(r, "FCALL", "two_f", 0) == [b"two"]  # what failed has changed nothing
    assert raw(r, "FUNCTION", "DELETE", "one") == b"OK" and error(r, "FUNCTION", "DELETE", "one") == "Library not found"
    assert raw(r, "FUNCTION", "STATS") == [b"running_script", None, b"engines",
                                          [b"LUA", [b"libraries_count", 1, b"functions_count", 1]]]
    assert raw(r, "FUNCTION", "FLUSH", "ASYNC") == b"OK" and names(r) == []


def test_list(r):
    raw(r, "FUNCTION", "LOAD", code("redis.register_function{function_name='f', callback=function() end, description='about', "
                                    "flags={'no-writes', 'allow-stale'}}"))
    load(r, "other")
    [lib] = raw(r, "FUNCTION", "LIST", "WITHCODE", "LIBRARYNAME", "l*")
    assert lib[:4] == [b"library_name", b"lib", b"engine", b"LUA"] and lib[6] == b"library_code"
    [f] = lib[5]
    assert f[:5] == [b"name", b"f", b"description", b"about", b"flags"] and sorted(f[5]) == [b"allow-stale", b"no-writes"]
    assert names(r) == [b"lib", b"other"]


@pytest.mark.parametrize("text, why", [
    ("return 1", "Missing library metadata"),
    ("#!lua name=x", "Invalid library metadata"),
    ("#!lua name='x\n", "Invalid library metadata"),
    ("#!lua\n", "Library name was not given"),
    ("#!lua name=a name=b\n", "Invalid metadata value, name argument was given multiple times"),
    ("#!lua name=a b=c\n", "Invalid metadata value given: b=c"),
    ("#!js name=a\n", "Engine 'js' not found"),
    ("#!lua name=\n", NAMES),
    ("#!lua name=a-b\n", NAMES),
    (code("syntax error"), "Error compiling function: user_function:2: '=' expected near 'error'"),
    (code("return 1"), "No functions registered"),
    (code("redis.register_function('a b', function() end)"), "Error registering functions: ERR " + NAMES),
    (code("redis.register_function('a', 1)"),
     "Error registering functions: ERR second argument to redis.register_function must be a function"),
    (code("for i = 1, 2 do redis.register_function('a', function() end) end"),
     "Error registering functions: ERR Function already exists in the library"),
    (code("redis.call('PING')"),
     "Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable 'call'"),
    (code("while true do end"), "Error registering functions: ERR FUNCTION LOAD timeout"),
    (code("local f = function() while true do end end while true do pcall(f) end"), None),
])
def test_texts_that_are_no_library(r, text, why):
    got = error(r, "FUNCTION", "LOAD", text)
    assert why is None or got == why
    assert names(r) == [] and load(r, "after") == b"after" and raw(r, "FCALL", "after_f", 0) == [b"after"]


def test_calls(r):
    raw(r, "FUNCTION", "LOAD", code("local calls = 0\n"
                                    "redis.register_function('count', function() calls = calls + 1; return calls end)\n"
                                    "redis.register_function('put', function(k, a) return redis.call('SET', k[1], a[1]) end)\n"
                                    "redis.register_function('fail', function() error('x') end)\n"
                                    "redis.register_function{function_name='ro', callback=function(k) return redis.call('INCR', 'n') end, flags={'no-writes'}}"))
    assert [raw(r, "FCALL", "count", 0) for _ in range(3)] == [1, 2, 3]  # its own locals live on
    assert raw(r, "FCALL", "put", 1, "k", "v") == b"OK" and r.get("k") == b"v"
    assert error(r, "FCALL", "fail", 0) == "user_function:5: x script: fail, on @user_function:5."
    assert error(r, "FCALL_RO", "put", 1, "k", "v") == "Can not execute a script with write flag using *_ro command."
    assert error(r, "FCALL", "ro", 0).startswith("Write commands are not allowed from read-only scripts.")
    assert error(r, "FCALL", "count", "x") == "Bad number of keys provided"
    assert "nonexistent global variable 'KEYS'" in error(r, "FUNCTION", "LOAD", code("return KEYS", "k"))


def test_functions_cannot_reach_what_loads_them(r):
    raw(r, "FUNCTION", "LOAD", code("local lib = redis\n"
                                    "redis.register_function('a', function() lib.x = 1 end)\n"
                                    "redis.register_function('b', function() lib.register_function('c', function() end) end)\n"
                                    "redis.register_function('d', function() return redis.register_function('e', function() end) end)"))
    assert "Attempt to modify a readonly table" in error(r, "FCALL", "a", 0)
    assert "can only be called on FUNCTION LOAD command" in error(r, "FCALL", "b", 0)
    assert "attempt to call field 'register_function' (a nil value)" in error(r, "FCALL", "d", 0)


def test_dump_and_restore(r):
    load(r, "one"), load(r, "two")
    payload = raw(r, "FUNCTION", "DUMP")
    assert error(r, "FUNCTION", "RESTORE", payload).endswith("already exists")
    raw(r, "FUNCTION", "DELETE", "two"), load(r, "three")
    assert error(r, "FUNCTION", "RESTORE", payload, "APPEND") == "Library one already exists" and names(r) == [b"one", b"three"]
    assert raw(r, "FUNCTION", "RESTORE", payload, "REPLACE") == b"OK" and names(r) == [b"one", b"three", b"two"]
    assert raw(r, "FUNCTION", "RESTORE", payload, "FLUSH") == b"OK" and names(r) == [b"one", b"two"]
    assert raw(r, "FCALL", "two_f", 0) == [b"two"]
    assert error(r, "FUNCTION", "RESTORE", payload[:-1]) == "DUMP payload version or checksum are wrong"
    raw(r, "SET", "k", "v")
    assert error(r, "FUNCTION", "RESTORE", r.dump("k")) == "given type is not a function"
    raw(r, "FUNCTION", "FLUSH")
    raw(r, "FUNCTION", "LOAD", code("redis.register_function('two_f', function() return 4 end)", "four"))
    assert error(r, "FUNCTION", "RESTORE", payload) == "Function two_f already exists" and names(r) == [b"four"]


def test_payloads_go_both_ways(r, tmp_path):
    load(r, "one"), load(r, "two")
    raw(r, "FUNCTION", "LOAD", code("redis.register_function('big', function() return 1 end)" + " -- filler filler filler" * 50, "packed"))
    with reference.running(tmp_path) as other:
        assert raw(other, "FUNCTION", "RESTORE", raw(r, "FUNCTION", "DUMP")) == b"OK"
        assert names(other) == names(r) and raw(other, "FCALL", "one_f", 0) == [b"one"]
        payload = raw(other, "FUNCTION", "DUMP")
        raw(r, "FUNCTION", "FLUSH")
        assert raw(r, "FUNCTION", "RESTORE", payload) == b"OK" and names(r) == names(other) and raw(r, "FCALL", "big", 0) == 1


def test_functions_survive(fresh):
    s = fresh("--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "yes")
    r = s.client(decode_responses=False)
    load(r, "one"), load(r, "two"), load(r, "three")
    raw(r, "FUNCTION", "DELETE", "two")
    payload = raw(r, "FUNCTION", "DUMP")
    s.kill9()
    s.start()
    r = s.client(decode_responses=False)
    assert names(r) == [b"one", b"three"] and raw(r, "FCALL", "three_f", 0) == [b"three"]
    raw(r, "FUNCTION", "FLUSH")
    raw(r, "FUNCTION", "RESTORE", payload)
    raw(r, "BGREWRITEAOF")
    while r.info("persistence")["aof_rewrite_in_progress"]:
        pass
    s.kill9()
    s.start()
    r = s.client(decode_responses=False)
    assert names(r) == [b"one", b"three"]
    raw(r, "DEBUG", "RELOAD")
    assert names(r) == [b"one", b"three"] and raw(r, "FCALL", "one_f", 0) == [b"one"]
    raw(r, "FUNCTION", "FLUSH")
    s.kill9()
    s.start()
    assert names(s.client(decode_responses=False)) == []
