"""Sessions: every command's replies and refusals, what the rest of the server knows of the type, restarts and replay."""

import json
import random
import re
import time

import pytest
import redis
from helpers import WRONGTYPE, error, other_db, raw
from resp import Conn, Error

CALLS = json.dumps([{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}])


def cmd(r, *args):
    return r.execute_command(*args)


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def info(r, key):
    return pairs(cmd(r, "SESSION.GET", key))


def add(r, key, role, content, *more):
    return cmd(r, "SESSION.ADD", key, role, content, *more)


def texts(r, key, *more):
    return [m[2] for m in cmd(r, "SESSION.MESSAGES", key, *more)]


def numbered(r, key, n):
    for i in range(1, n + 1):
        add(r, key, "user" if i % 2 else "assistant", f"m{i}", "ID", f"{i}-1")


# --- create ---


def test_create_answers_the_key_and_keeps_all_options(t):
    assert cmd(t, "SESSION.CREATE", "s", "system", "Be brief.", "MODEL", "small", "AGENT", "guide", "TITLE", "Trip",
               "META", '{"a":1}', "TTL", 100, "CONTEXT", "TOKENS", 4000) == "s"
    got = info(t, "s")
    assert {k: got[k] for k in ("system", "model", "agent", "title", "meta", "context")} == {
        "system": "Be brief.", "model": "small", "agent": "guide", "title": "Trip", "meta": '{"a":1}',
        "context": "TOKENS 4000"}
    assert got["messages"] == 0 and got["last-id"] is None and got["tier"] == "hot"
    assert abs(got["created"] - time.time() * 1000) < 60000
    assert 0 < t.ttl("s") <= 100
    assert t.type("s") == "session"


def test_star_makes_a_new_id_each_time(t):
    a, b = cmd(t, "SESSION.CREATE", "*"), cmd(t, "SESSION.CREATE", "*")
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", a)
    assert a < b and set(t.keys()) == {a, b}


def test_create_refuses(t):
    t.set("str", "x")
    cmd(t, "SESSION.CREATE", "s")
    assert error(t, "SESSION.CREATE", "s") == "BUSYKEY Target key name already exists."
    assert error(t, "SESSION.CREATE", "str") == "BUSYKEY Target key name already exists."
    assert error(t, "SESSION.CREATE", "str", "NX") == WRONGTYPE
    assert cmd(t, "SESSION.CREATE", "s", "NX") is None
    assert "syntax error" in error(t, "SESSION.CREATE", "n", "COLOUR", "red")
    assert "syntax error" in error(t, "SESSION.CREATE", "n", "TITLE")
    assert "invalid expire" in error(t, "SESSION.CREATE", "n", "TTL", 0)
    assert "not an integer" in error(t, "SESSION.CREATE", "n", "TTL", "soon")
    assert error(t, "SESSION.CREATE", "n", "CONTEXT", "SOME", 3).startswith("INVALID the context is LAST n")
    assert error(t, "SESSION.CREATE", "n", "CONTEXT", "LAST", 0).startswith("INVALID LAST takes a number")
    assert error(t, "SESSION.CREATE", "n", "META", "[1]") == "INVALID meta must be a JSON object"
    assert error(t, "SESSION.CREATE", "n", "TITLE", b"\xff") == "INVALID title is not valid UTF-8 at byte 0"
    assert error(t, "SESSION.CREATE", "n", "MODEL", "m" * 257).startswith("INVALID model of 257 bytes is over")
    assert not t.exists("n")


# --- messages ---


def test_add_makes_ids_that_grow(t):
    now = time.time() * 1000
    ids = [add(t, "s", "user", str(i)) for i in range(200)]
    keys = [tuple(map(int, i.split("-"))) for i in ids]
    assert keys == sorted(set(keys)) and abs(keys[0][0] - now) < 60000
    assert texts(t, "s") == [str(i) for i in range(200)]


def test_add_refuses_and_then_makes_no_session(t):
    assert error(t, "SESSION.ADD", "s", "king", "x").startswith("INVALID the role is one of")
    assert error(t, "SESSION.ADD", "s", "user", b"ab\xffcd") == "INVALID content is not valid UTF-8 at byte 2"
    assert error(t, "SESSION.ADD", "s", "user", b"\xed\xa0\x80") == "INVALID content is not valid UTF-8 at byte 0"
    assert error(t, "SESSION.ADD", "s", "user", b"a\0b").startswith("INVALID content has a NUL at byte 1")
    assert error(t, "SESSION.ADD", "s", "user", "x", "ID", "0-0").startswith("INVALID ID takes a message id")
    assert error(t, "SESSION.ADD", "s", "user", "x", "ID", "1-2-3").startswith("INVALID ID takes a message id")
    assert error(t, "SESSION.ADD", "s", "user", "x", "ID", "9" * 30).startswith("INVALID ID takes a message id")
    assert "syntax error" in error(t, "SESSION.ADD", "s", "user", "x", "ID")
    assert error(t, "SESSION.ADD", "s", "user", "x", "TOOL-CALLS", CALLS).startswith("INVALID tool_calls belong")
    assert error(t, "SESSION.ADD", "s", "assistant", "x", "TOOL-CALLS", "[{]").startswith("INVALID tool_calls: bad JSON")
    assert error(t, "SESSION.ADD", "s", "user", "x", "META", "[" * 1000).startswith("INVALID meta: JSON is nested")
    assert error(t, "SESSION.ADD", "s", "user", "x", "TIME", "-1").startswith("INVALID TIME takes")
    assert "wrong number of arguments" in error(t, "SESSION.ADD", "s", "user")
    assert not t.exists("s")


def test_limits_are_settings(t):
    for name, value in (("session-max-message-bytes", "1kb"), ("session-max-messages", "2"),
                        ("session-max-variables", "1"), ("session-max-import-bytes", "1kb")):
        t.config_set(name, value)
    try:
        assert error(t, "SESSION.ADD", "s", "user", "x" * 1025) == "INVALID content of 1025 bytes is over the limit of 1024"
        assert error(t, "SESSION.CREATE", "n", "SYSTEM", "x" * 1025).startswith("INVALID system of 1025")
        numbered(t, "s", 2)
        assert error(t, "SESSION.ADD", "s", "user", "x") == (
            "STATE the session has 2 messages and the limit is 2 (session-max-messages): make room with SESSION.TRIM")
        cmd(t, "SESSION.TRIM", "s", "LAST", 1)
        add(t, "s", "user", "x")
        cmd(t, "SESSION.VAR", "SET", "s", "a", 1)
        assert error(t, "SESSION.VAR", "SET", "s", "b", 1).startswith("STATE the session has 1 variables")
        assert error(t, "SESSION.IMPORT", "n", '{"title":"%s"}' % ("x" * 1024)).startswith("INVALID the session: JSON of")
    finally:
        for name, value in (("session-max-message-bytes", "1mb"), ("session-max-messages", "100000"),
                            ("session-max-variables", "1000"), ("session-max-import-bytes", "64mb")):
            t.config_set(name, value)


def test_messages_by_range_as_streams_have_them(t):
    numbered(t, "s", 9)
    add(t, "s", "user", "m10", "ID", "9-2")
    every = [f"m{i}" for i in range(1, 11)]
    assert texts(t, "s") == texts(t, "s", "-", "+") == every
    assert texts(t, "s", "3", "5-1") == ["m3", "m4", "m5"]
    assert texts(t, "s", "(3-1", "(5-1") == ["m4"]
    assert texts(t, "s", "9", "9") == ["m9", "m10"]
    assert texts(t, "s", "5", "3") == []
    assert texts(t, "s", "REV") == texts(t, "s", "+", "-", "REV") == every[::-1]
    assert texts(t, "s", "5", "3", "REV") == texts(t, "s", "3", "5", "REV") == ["m5", "m4", "m3"]
    assert texts(t, "s", "LAST", 2) == ["m9", "m10"]
    assert texts(t, "s", "-", "5", "LAST", 2) == ["m4", "m5"]
    assert texts(t, "s", "COUNT", 2) == ["m1", "m2"]
    assert texts(t, "s", "LAST", 3, "COUNT", 2, "REV") == ["m10", "m9"]
    assert texts(t, "s", "ROLE", "assistant", "LAST", 2) == ["m6", "m8"]
    assert texts(t, "s", "COUNT", 0) == texts(t, "s", "LAST", 0) == texts(t, "s", "ROLE", "tool") == []
    assert error(t, "SESSION.MESSAGES", "s", "1-x", "+").startswith("INVALID start and end are message ids")
    assert "syntax error" in error(t, "SESSION.MESSAGES", "s", "1")
    assert "out of range" in error(t, "SESSION.MESSAGES", "s", "LAST", "-1")
    assert error(t, "SESSION.MESSAGES", "s", "ROLE", "king").startswith("INVALID the role")


def test_random_ranges_against_a_list(t):
    rng = random.Random(5)
    ids, at = [], 0
    for _ in range(300):
        at += rng.randrange(3)
        new = (at, 0) if not ids or at > ids[-1][0] else (at, ids[-1][1] + 1)
        if new == (0, 0):
            continue
        ids.append(new)
        add(t, "s", "user", "%d-%d" % new, "ID", "%d-%d" % new)
    for _ in range(300):
        lo, hi = sorted((rng.randrange(at + 2), rng.randrange(4)) for _ in range(2))
        want = ["%d-%d" % i for i in ids if lo <= i <= hi]
        more, n = [], rng.randrange(20)
        if rng.random() < 0.5:
            more, want = ["LAST", n], want[len(want) - min(n, len(want)):]
        if rng.random() < 0.5:
            more, want = more + ["REV"], want[::-1]
        assert texts(t, "s", "%d-%d" % lo, "%d-%d" % hi, *more) == want


def test_withmeta_gives_everything_there_is(server, t):
    add(t, "s", "assistant", "", "ID", "1-1", "NAME", "bot", "TOOL-CALLS", CALLS)
    add(t, "s", "tool", "21C", "ID", "1-2", "TOOL-CALL-ID", "c1", "META", '{"ms":3}')
    a, b = map(pairs, cmd(t, "SESSION.MESSAGES", "s", "WITHMETA"))
    assert a.pop("tokens") > 0 and b.pop("tokens") > 0
    assert a == {"id": "1-1", "role": "assistant", "content": "", "name": "bot", "tool_calls": CALLS}
    assert b == {"id": "1-2", "role": "tool", "content": "21C", "tool_call_id": "c1", "meta": '{"ms":3}'}
    c = Conn(server.raw())
    c.call("HELLO", 3)
    reply = c.call("SESSION.MESSAGES", "s", "WITHMETA", "COUNT", 1)
    assert reply[0][b"role"] == b"assistant"
    assert c.call("SESSION.GET", "s")[b"messages"] == 2
    c.close()


def test_trim_drops_the_oldest_and_ids_go_on(t):
    numbered(t, "s", 10)
    assert cmd(t, "SESSION.TRIM", "s", "LAST", 8) == 2
    assert cmd(t, "SESSION.TRIM", "s", "LAST", 8) == 0
    assert cmd(t, "SESSION.TRIM", "s", "BEFORE", "5") == 2
    assert texts(t, "s") == [f"m{i}" for i in range(5, 11)]
    assert cmd(t, "SESSION.TRIM", "s", "LAST", 0) == 6
    assert cmd(t, "SESSION.TRIM", "absent", "LAST", 1) == 0
    assert error(t, "SESSION.ADD", "s", "user", "x", "ID", "10-1").startswith("INVALID the id 10-1 is not greater")
    assert error(t, "SESSION.TRIM", "s", "BEFORE", "x").startswith("INVALID BEFORE takes")
    assert "syntax error" in error(t, "SESSION.TRIM", "s", "FIRST", 3)
    assert "out of range" in error(t, "SESSION.TRIM", "s", "LAST", -1)


# --- context ---


def test_context_never_splits_a_tool_turn(t):
    cmd(t, "SESSION.CREATE", "s", "SYSTEM", "sys", "CONTEXT", "LAST", 3)
    add(t, "s", "user", "weather?")
    add(t, "s", "assistant", "", "TOOL-CALLS", CALLS)
    assert cmd(t, "SESSION.CONTEXT", "s") == [["system", "sys"], ["user", "weather?"]]
    add(t, "s", "tool", "21C", "TOOL-CALL-ID", "c1")
    add(t, "s", "assistant", "It is 21C.")
    assert cmd(t, "SESSION.CONTEXT", "s") == [
        ["system", "sys"], ["assistant", ""], ["tool", "21C"], ["assistant", "It is 21C."]]
    assert cmd(t, "SESSION.CONTEXT", "s", "LAST", 2) == [["system", "sys"], ["assistant", "It is 21C."]]
    assert cmd(t, "SESSION.CONTEXT", "s", "TOKENS", 1) == [["system", "sys"]]
    whole = json.loads(cmd(t, "SESSION.CONTEXT", "s", "LAST", 100, "FORMAT", "JSON"))
    assert whole == [{"role": "system", "content": "sys"}, {"role": "user", "content": "weather?"},
                     {"role": "assistant", "content": None, "tool_calls": json.loads(CALLS)},
                     {"role": "tool", "content": "21C", "tool_call_id": "c1"},
                     {"role": "assistant", "content": "It is 21C."}]
    cmd(t, "SESSION.TRIM", "s", "LAST", 2)
    assert cmd(t, "SESSION.CONTEXT", "s", "LAST", 9) == [["system", "sys"], ["assistant", "It is 21C."]]
    meta = pairs(cmd(t, "SESSION.CONTEXT", "s", "WITHMETA"))
    assert meta["context"] == "LAST 3" and meta["left-out"] == 1 and meta["tokens"] > 0
    assert [pairs(m)["role"] for m in meta["messages"]] == ["system", "assistant"]


def test_context_by_stored_summary(t):
    numbered(t, "s", 6)
    cmd(t, "SESSION.SET", "s", "summary", "Six things.", "context", "SUMMARY 2")
    assert [m[1] for m in cmd(t, "SESSION.CONTEXT", "s")] == [
        "Summary of the conversation so far:\nSix things.", "m5", "m6"]
    assert cmd(t, "SESSION.GET", "s", "summary-to") == "6-1"
    cmd(t, "SESSION.SET", "s", "summary-to", "4-1")
    assert cmd(t, "SESSION.GET", "s", "summary-to") == "4-1"
    assert error(t, "SESSION.SET", "s", "summary-to", "7-1").startswith("INVALID summary-to is")
    cmd(t, "SESSION.FORK", "s", "f", "AT", "3-1")
    assert cmd(t, "SESSION.GET", "f", "summary") is None


def test_context_refuses(t):
    assert cmd(t, "SESSION.CONTEXT", "absent") == []
    assert cmd(t, "SESSION.CONTEXT", "absent", "FORMAT", "JSON") == "[]"
    for bad in (["LAST"], ["LAST", "1", "TOKENS", "2"], ["FORMAT"]):
        assert "syntax error" in error(t, "SESSION.CONTEXT", "s", *bad)
    assert error(t, "SESSION.CONTEXT", "s", "FORMAT", "XML") == "INVALID FORMAT takes RESP or JSON"
    assert error(t, "SESSION.CONTEXT", "s", "NEXT", "1").startswith("INVALID the context is")
    assert error(t, "SESSION.CONTEXT", "s", "TOKENS", "1e3").startswith("INVALID TOKENS takes a number")


# --- search ---


def test_search(t):
    add(t, "s", "user", "Ships sail to the harbour.", "ID", "1-1")
    add(t, "s", "assistant", "The harbour is closed; no harbour pilot.", "ID", "2-1")
    add(t, "s", "user", "What about trains?", "ID", "3-1")
    assert [m[0] for m in cmd(t, "SESSION.SEARCH", "s", "Harbour")] == ["2-1", "1-1"]
    assert cmd(t, "SESSION.SEARCH", "s", "harbour", "COUNT", 1)[0][1] == "assistant"
    hit = pairs(cmd(t, "SESSION.SEARCH", "s", "trains", "WITHMETA")[0])
    assert hit["id"] == "3-1" and float(hit["score"]) > 0
    assert cmd(t, "SESSION.SEARCH", "absent", "x") == []
    assert error(t, "SESSION.SEARCH", "s", b"\xff").startswith("INVALID the text is not valid UTF-8")
    assert "out of range" in error(t, "SESSION.SEARCH", "s", "x", "COUNT", 1001)
    t.set("k", "v")
    assert error(t, "SESSION.SEARCH", "k", "x") == WRONGTYPE


@pytest.mark.threads
def test_long_searches_wait_on_a_worker(server, t):
    p = t.pipeline(transaction=False)
    for i in range(3000):
        p.execute_command("SESSION.ADD", "s", "user", f"filler {i} " * 40)
    p.execute_command("SESSION.ADD", "s", "user", "the needle")
    p.execute()
    waiting = [Conn(server.raw()) for _ in range(6)]
    for c in waiting[:-1]:
        c.send("SESSION.SEARCH", "s", "needle")
    waiting[-1].send("SESSION.SEARCH", "s", "filler", "COUNT", 1000)
    while sum(c["cmd"] == "session.search" for c in t.client_list()) < len(waiting):
        pass
    waiting.pop().close()
    assert t.delete("s") == 1
    for c in waiting:
        assert c.read()[0][2] == b"the needle"
        c.close()
    add(t, "s", "user", "needle " * 60000)
    m = t.pipeline(transaction=True)
    m.execute_command("SESSION.SEARCH", "s", "needle", "COUNT", 1)
    assert len(m.execute()[0]) == 1


# --- fields and variables ---


def test_set_is_all_or_nothing(t):
    cmd(t, "SESSION.SET", "s", "title", "A", "model", "m")
    assert error(t, "SESSION.SET", "s", "title", "B", "messages", 3).startswith("INVALID 'messages' cannot be set")
    assert error(t, "SESSION.SET", "s", "title", "B", "context", "LAST x").startswith("INVALID the context is")
    assert "wrong number" in error(t, "SESSION.SET", "s", "title", "B", "model")
    assert cmd(t, "SESSION.GET", "s", "title", "model") == ["A", "m"]
    cmd(t, "SESSION.SET", "s", "model", "")
    assert cmd(t, "SESSION.GET", "s", "model") is None
    assert error(t, "SESSION.SET", "n", "summary-to", "1-1").startswith("INVALID")
    assert not t.exists("n")


def test_variables(t):
    assert cmd(t, "SESSION.VAR", "GET", "s", "a") is None
    assert cmd(t, "SESSION.VAR", "LIST", "s") == []
    assert cmd(t, "SESSION.VAR", "DEL", "s", "a") == 0
    cmd(t, "SESSION.VAR", "set", "s", "b", "")
    cmd(t, "SESSION.VAR", "SET", "s", "a", "会话")
    assert pairs(cmd(t, "SESSION.VAR", "LIST", "s")) == {"a": "会话", "b": ""}
    assert cmd(t, "SESSION.VAR", "GET", "s", "b") == ""
    assert cmd(t, "SESSION.VAR", "DEL", "s", "a") == 1
    assert error(t, "SESSION.VAR", "SET", "s", "", "x") == "INVALID a variable needs a name"
    assert error(t, "SESSION.VAR", "SET", "s", "x", b"\xff").startswith("INVALID the variable's value is not valid UTF-8")
    assert "unknown subcommand" in error(t, "SESSION.VAR", "FLIP", "s").lower()


# --- fork, export, import ---


def test_fork_shares_the_past(t):
    cmd(t, "SESSION.CREATE", "a", "TITLE", "T", "TTL", 100)
    numbered(t, "a", 5)
    cmd(t, "SESSION.VAR", "SET", "a", "v", "1")
    assert cmd(t, "SESSION.FORK", "a", "b", "AT", "3-1") == "b"
    assert cmd(t, "SESSION.FORK", "a", "c") == "c"
    star = cmd(t, "SESSION.FORK", "a", "*")
    assert len(star) == 36
    add(t, "b", "user", "other", "ID", "4-1")
    assert texts(t, "b") == ["m1", "m2", "m3", "other"] and texts(t, "a")[3] == "m4"
    assert texts(t, "c") == texts(t, star) == texts(t, "a")
    assert cmd(t, "SESSION.GET", "b", "title") == "T" and cmd(t, "SESSION.VAR", "GET", "b", "v") == "1"
    assert t.ttl("b") == -1
    t.delete("a")
    assert texts(t, "c") == ["m1", "m2", "m3", "m4", "m5"]
    assert error(t, "SESSION.FORK", "absent", "d") == "no such key"
    assert error(t, "SESSION.FORK", "c", "b").startswith("BUSYKEY")
    assert error(t, "SESSION.FORK", "c", "d", "AT", "9-9") == "STATE the session has no message with the id 9-9"
    assert error(t, "SESSION.FORK", "c", "d", "AT", "x").startswith("INVALID AT takes")


def test_export_and_import(t):
    cmd(t, "SESSION.CREATE", "s", "SYSTEM", "say \"hi\"\n", "META", '{"a":[1,null]}', "CONTEXT", "LAST", 4)
    add(t, "s", "user", "héllo 会话 😀 \\ \x01", "NAME", "ann")
    add(t, "s", "assistant", "", "TOOL-CALLS", CALLS)
    add(t, "s", "tool", "x", "TOOL-CALL-ID", "c1", "META", '{"k":"v"}')
    cmd(t, "SESSION.VAR", "SET", "s", "city", "Delft")
    text = cmd(t, "SESSION.EXPORT", "s")
    doc = json.loads(text)
    assert doc["format"] == "skald.session" and doc["version"] == 1 and len(doc["messages"]) == 3
    assert doc["messages"][1]["content"] is None and doc["variables"] == {"city": "Delft"}
    assert cmd(t, "SESSION.IMPORT", "copy", text) == "copy"
    assert json.loads(cmd(t, "SESSION.EXPORT", "copy")) == doc
    assert error(t, "SESSION.IMPORT", "copy", text).startswith("BUSYKEY")
    t.set("str", "x")
    assert cmd(t, "SESSION.IMPORT", "str", text, "REPLACE") == "str"
    assert t.type("str") == "session"
    key = cmd(t, "SESSION.IMPORT", "*", '{"messages":[{"role":"user","content":"from elsewhere"}]}')
    assert texts(t, key) == ["from elsewhere"]


def test_import_says_where_it_is_wrong_and_changes_nothing(t):
    add(t, "s", "user", "here")
    for text, says in (('{"messages":[{"role":"user","content":"a"},{"role":"user","content":7}]}',
                        "INVALID messages[1].content must be a string"),
                       ('{"messages":[{"role":"tool","content":"a"}]}', "INVALID messages[0]: a message of the role tool"),
                       ('{"variables":{"x":1}}', "INVALID variables.x must be a string"),
                       ('{"colour":1}', "INVALID colour is not a member"), ("{", "INVALID the session: bad JSON"),
                       ('"x"', "INVALID a session must be a JSON object"), ('{"title":"\\u0000"}', "INVALID the session's"),
                       (b'{"title":"\xff"}', "INVALID the session: JSON is not valid UTF-8")):
        assert error(t, "SESSION.IMPORT", "s", text, "REPLACE").startswith(says)
    assert texts(t, "s") == ["here"]


# --- as any key ---


def test_wrong_type_everywhere(t):
    t.set("k", "x")
    for args in (["ADD", "k", "user", "x"], ["MESSAGES", "k"], ["CONTEXT", "k"], ["GET", "k"], ["SET", "k", "title", "x"],
                 ["TRIM", "k", "LAST", 1], ["FORK", "k", "n"], ["EXPORT", "k"]):
        assert error(t, "SESSION." + args[0], *args[1:]) == WRONGTYPE
    for args in (["SET", "k", "a", "b"], ["GET", "k", "a"], ["DEL", "k", "a"], ["LIST", "k"]):
        assert error(t, "SESSION.VAR", *args) == WRONGTYPE
    add(t, "s", "user", "x")
    assert error(t, "GET", "s") == WRONGTYPE
    assert error(t, "HSET", "s", "a", "b") == WRONGTYPE


def test_generic_commands(r):
    add(r, "s", "user", "hello", "ID", "1-1")
    cmd(r, "SESSION.VAR", "SET", "s", "v", "1")
    text = cmd(r, "SESSION.EXPORT", "s")
    dump = r.dump("s")
    r.restore("restored", 0, dump)
    assert r.copy("s", "copied")
    r.rename("s", "renamed")
    assert not r.exists("s")
    for key in ("restored", "copied", "renamed"):
        assert cmd(r, "SESSION.EXPORT", key) == text
        assert r.dump(key) == dump
    r.pexpire("copied", 50)
    time.sleep(0.1)
    assert cmd(r, "SESSION.GET", "copied") is None and not r.exists("copied")
    assert r.memory_usage("renamed") > 100
    assert r.object("encoding", "renamed") == b"session"
    assert sorted(r.scan_iter(_type="session")) == [b"renamed", b"restored"]
    r.move("renamed", 1)
    assert cmd(other_db(r, 1), "SESSION.EXPORT", "renamed") == text
    assert r.delete("restored") == 1
    other_db(r, 1).flushdb()


def test_restore_refuses_what_is_damaged(r):
    numbered(r, "s", 20)
    cmd(r, "SESSION.SET", "s", "title", "T")
    dump = r.dump("s")
    assert "checksum" in error(r, "RESTORE", "x", 0, dump[:-1])
    assert "checksum" in error(r, "RESTORE", "x", 0, dump[:30] + b"\xff" + dump[31:])


def test_memory_grows_and_shrinks(r):
    add(r, "s", "user", "x")
    small = r.memory_usage("s", samples=0)
    for _ in range(100):
        add(r, "s", "user", "y" * 1000)
    assert 100_000 < r.memory_usage("s", samples=0) - small < 140_000
    cmd(r, "SESSION.TRIM", "s", "LAST", 1)
    assert r.memory_usage("s", samples=0) < small + 2000


def test_multi_and_watch(t):
    p = t.pipeline(transaction=True)
    p.execute_command("SESSION.CREATE", "s", "TITLE", "T")
    p.execute_command("SESSION.ADD", "s", "user", "one", "ID", "1-1")
    p.execute_command("SESSION.ADD", "s", "king", "two")
    p.execute_command("SESSION.CONTEXT", "s")
    out = p.execute(raise_on_error=False)
    assert out[:2] == ["s", "1-1"] and "INVALID" in str(out[2]) and out[3] == [["user", "one"]]
    with t.pipeline() as w:
        w.watch("s")
        add(t, "s", "user", "two")
        w.multi()
        w.execute_command("SESSION.TRIM", "s", "LAST", 0)
        with pytest.raises(Exception):
            w.execute()
    assert texts(t, "s") == ["one", "two"]


def test_events(server, t):
    t.config_set("notify-keyspace-events", "Ed")
    try:
        c = Conn(server.raw())
        c.call("PSUBSCRIBE", "__keyevent@0__:*")
        cmd(t, "SESSION.CREATE", "s")
        add(t, "s", "user", "x")
        cmd(t, "SESSION.SET", "s", "title", "x")
        cmd(t, "SESSION.VAR", "SET", "s", "a", "b")
        cmd(t, "SESSION.FORK", "s", "f")
        cmd(t, "SESSION.TRIM", "s", "LAST", 0)
        cmd(t, "SESSION.IMPORT", "i", "{}")
        got = [c.read()[2:] for _ in range(7)]
        c.close()
    finally:
        t.config_set("notify-keyspace-events", "")
    assert [(g[0].decode().split(":")[1], g[1].decode()) for g in got] == [
        ("session.create", "s"), ("session.add", "s"), ("session.set", "s"), ("session.var", "s"), ("session.fork", "f"),
        ("session.trim", "s"), ("session.import", "i")]


def test_command_knows_the_keys(t):
    keys = ["COMMAND", "GETKEYS"]
    assert raw(t, *keys, "SESSION.ADD", "s", "user", "x") == ["s"]
    assert raw(t, *keys, "SESSION.FORK", "s", "f") == ["s", "f"]
    assert raw(t, *keys, "SESSION.VAR", "SET", "s", "a", "b") == ["s"]


def test_half_a_command_then_gone(server, t):
    s = server.raw()
    s.sendall(b"*4\r\n$11\r\nSESSION.ADD\r\n$1\r\ns\r\n$4\r\nuser\r\n$100\r\nhalf")
    s.close()
    assert t.ping() and not t.exists("s")


# --- restarts ---


def digest(r):
    """Every key with the bytes of its value and its expiry."""
    b = redis.Redis(port=r.connection_pool.connection_kwargs["port"])
    return {k: (b.dump(k), cmd(b, "PEXPIRETIME", k)) for k in b.keys()}


def everything(r):
    """Changes sessions in every way; the journal has to make the same again."""
    key = cmd(r, "SESSION.CREATE", "*", "SYSTEM", "sys", "META", '{"a": 1}', "TTL", 5000, "CONTEXT", "LAST", 9)
    for i in range(30):
        add(r, key, "user", f"q{i}")
        add(r, key, "assistant", "", "TOOL-CALLS", CALLS, "NAME", "bot")
        add(r, key, "tool", "1", "TOOL-CALL-ID", "c1", "META", '{"x":2}')
    add(r, "auto", "user", "made by adding")
    cmd(r, "SESSION.SET", "set", "title", "made by setting", "summary", "s")
    cmd(r, "SESSION.VAR", "SET", "var", "a", "made by a variable")
    cmd(r, "SESSION.VAR", "SET", key, "x", "1")
    cmd(r, "SESSION.VAR", "SET", key, "y", "2")
    cmd(r, "SESSION.VAR", "DEL", key, "x")
    cmd(r, "SESSION.TRIM", key, "LAST", 40)
    cmd(r, "SESSION.FORK", key, "*")
    at = cmd(r, "SESSION.MESSAGES", key, "COUNT", 20, "REV")[-1][0]
    cmd(r, "SESSION.FORK", key, "fork", "AT", at)
    cmd(r, "SESSION.IMPORT", "*", '{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]}')
    cmd(r, "SESSION.IMPORT", "imported", cmd(r, "SESSION.EXPORT", key))
    cmd(r, "SESSION.IMPORT", "auto", "{}", "REPLACE")
    r.delete("set")
    p = r.pipeline(transaction=True)
    p.execute_command("SESSION.CREATE", "*", "TITLE", "in a transaction")
    p.execute_command("SESSION.ADD", "tx", "user", "in a transaction")
    p.execute()
    return key


def test_restart_brings_the_same_sessions_back(fresh):
    s = fresh("--appendonly", "yes", "--appendfsync", "always")
    r = s.client()
    key = everything(r)
    before = digest(r)
    s.kill9()
    time.sleep(0.01)
    s.start()
    r = s.client()
    assert digest(r) == before
    assert 0 < r.ttl(key) <= 5000
    last = cmd(r, "SESSION.GET", key, "last-id")
    assert add(r, key, "user", "and on") > last
    s.stop()


def test_replay_ignores_limits_that_were_lowered(fresh):
    s = fresh("--appendonly", "yes")
    r = s.client()
    numbered(r, "s", 20)
    add(r, "s", "user", "x" * 5000)
    before = digest(r)
    s.stop()
    s.args += ["--session-max-messages", "5", "--session-max-message-bytes", "1024"]
    s.start()
    assert digest(s.client()) == before


def test_journal_rewrite_keeps_sessions(fresh):
    s = fresh("--appendonly", "yes")
    r = s.client()
    everything(r)
    before = digest(r)
    cmd(r, "BGREWRITEAOF")
    end = time.monotonic() + 60
    while r.info("persistence").get("aof_rewrite_in_progress", 0) and time.monotonic() < end:
        time.sleep(0.02)
    add(r, "after", "user", "the rewrite")
    assert digest(r) != before
    before = digest(r)
    s.kill9()
    s.start()
    assert digest(s.client()) == before


# --- nonsense ---


def test_random_arguments_never_break_the_server(server, r):
    rng = random.Random(9)
    words = ["s", "*", "user", "LAST", "TOKENS", "SUMMARY", "-1", "0", "1-1", "99999999999999999999", "{}", "[]", CALLS, "",
             "TTL", "CONTEXT", "META", "ID", "TIME", "AT", "REV", "ROLE", "title", "context", "summary-to", "updated",
             "FORMAT", "JSON", "WITHMETA", "SET", "GET", "DEL", "LIST", "a\0b", b"\xff\xfe", "(5", "+", "-", "NX",
             "REPLACE", '{"messages":[{"role":"user","content":"x"}]}', "BEFORE", "tool", "assistant", "TOOL-CALLS"]
    names = ["CREATE", "SEARCH", "ADD", "MESSAGES", "CONTEXT", "GET", "SET", "VAR", "TRIM", "FORK", "EXPORT", "IMPORT"]
    c = Conn(server.raw())
    fine = 0
    for _ in range(5000):
        got = c.call("SESSION." + rng.choice(names), *rng.choices(words, k=rng.randrange(7)))
        fine += not isinstance(got, Error)
        if isinstance(got, Error):
            assert got.args[0].split(" ")[0] in ("ERR", "INVALID", "STATE", "BUSYKEY", "WRONGTYPE"), got
    assert fine > 50
    for key in r.keys():
        assert cmd(r, "SESSION.EXPORT", key)
    c.close()


def test_thoughts_and_parts_are_carried(r, t):
    parts = '[{"type":"text","text":"What?"},{"type":"image_url","image_url":{"url":"https://example.org/a.png"}}]'
    thinking = '[{"type":"thinking","thinking":"Hm.","signature":"AbC="}]'
    raw(r, "SESSION.ADD", "s", "user", "What?", "ID", "1-1", "PARTS", parts)
    raw(r, "SESSION.ADD", "s", "assistant", "A cat.", "ID", "1-2", "REASONING", "It purrs.", "THINKING", thinking)
    assert raw(r, "SESSION.MESSAGES", "s") == [[b"1-1", b"user", b"What?"], [b"1-2", b"assistant", b"A cat."]]
    before = raw(r, "SESSION.MESSAGES", "s", "WITHMETA")
    assert parts.encode() in before[0] and before[1][before[1].index(b"reasoning") + 1] == b"It purrs."
    assert thinking.encode() in before[1]
    sent = raw(t, "SESSION.CONTEXT", "s", "FORMAT", "JSON")
    assert json.loads(sent)[0]["content"] == json.loads(parts) and "purrs" not in sent and "Hm." not in sent
    raw(r, "SESSION.IMPORT", "i", raw(r, "SESSION.EXPORT", "s"))
    r.restore("d", 0, r.dump("s"))
    raw(r, "SESSION.FORK", "s", "f")
    r.execute_command("DEBUG", "RELOAD")
    for key in "sidf":
        assert raw(r, "SESSION.MESSAGES", key, "WITHMETA") == before
    for bad in (("user", "x", "REASONING", "y"), ("assistant", "x", "THINKING", "{}"), ("user", "x", "PARTS", "[1]")):
        assert error(r, "SESSION.ADD", "s", *bad).startswith("INVALID")
