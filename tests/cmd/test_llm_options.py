"""What LLM.CHAT and LLM.ASK may be asked with, and what they tell besides the answer."""

import base64
import json

import pytest
from helpers import error, raw
from models import calls_end, messages, model, pairs, sent  # noqa: F401
from resp import Conn, Push

pytestmark = pytest.mark.threads
PNG = b"\x89PNG\r\n\x1a\nwhatever follows"
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
URL = "https://example.org/cat.jpg"


def test_images_become_parts_and_stay_in_the_session(r, model, mock):
    m = model("words=1")
    raw(r, "LLM.CHAT", "s", "What is it?", "MODEL", m, "IMAGE", URL, "IMAGE", PNG)
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": URL}},
             {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(PNG).decode()}}]
    assert sent(mock)["messages"][0]["content"] == parts
    assert raw(r, "LLM.CHAT", "s", "And its colour?", "MODEL", m) == b"word0"
    assert sent(mock)["messages"][0]["content"] == parts
    assert [x[b"content"] for x in messages(r, "s")][::2] == [b"What is it?", b"And its colour?"]
    raw(r, "LLM.ASK", "What?", "IMAGE", "data:image/gif;base64,R0lGODlh", "MODEL", m)
    assert sent(mock)["messages"][0]["content"][1]["image_url"]["url"] == "data:image/gif;base64,R0lGODlh"


@pytest.mark.parametrize("choice, json_of", [
    ("auto", "auto"), ("REQUIRED", "required"), ("none", "none"),
    ("get_weather", {"type": "function", "function": {"name": "get_weather"}}),
    ('{"type":"function","function":{"name":"x"}}', {"type": "function", "function": {"name": "x"}})])
def test_tools(r, model, mock, choice, json_of):
    m = model("tool")
    reply = pairs(raw(r, "LLM.ASK", "Rain?", "MODEL", m, "TOOLS", json.dumps(TOOLS), "TOOL-CHOICE", choice, "WITHMETA"))
    assert json.loads(reply[b"tool-calls"])[0]["function"]["name"] == "get_weather" and reply[b"text"] == b""
    assert sent(mock)["tools"] == TOOLS and sent(mock)["tool_choice"] == json_of


@pytest.mark.parametrize("options", [
    ["IMAGE", "ftp://example.org/x.png"], ["IMAGE", b"\x00\x01"], ["IMAGE", b"https://\xff"], ["IMAGE", URL] * 17,
    ["TOOLS", "{}"], ["TOOLS", "[]"], ["TOOLS", "[1]"], ["TOOLS", "["], ["TOOL-CHOICE", ""], ["TOOL-CHOICE", "{1}"],
    ["EFFORT", "huge"], ["USER", b"\xff"], ["PRIORITY", "10"], ["PRIORITY", "-1"], ["IDEMPOTENCY", ""],
    ["IDEMPOTENCY", "x" * 256], ["JSON", "{"], ["EFFORT"], ["COLOUR", "red"]])
def test_bad_options(r, options):
    assert error(r, "LLM.ASK", "x", *options).startswith("INVALID")
    assert error(r, "LLM.CHAT", "s", "x", *options).startswith("INVALID")
    assert r.exists("s") == 0


def test_a_question_that_no_session_could_keep_is_not_asked(r, model, mock):
    m = model("words=1")
    mock.control("reset", "")
    assert error(r, "LLM.CHAT", "s", "x" * (1 << 20) + "x", "MODEL", m).startswith("INVALID")
    assert mock.requests() == []


def test_meta(r, model):
    m = model("words=3", "PRICE", "2", "10")
    meta = pairs(raw(r, "LLM.CHAT", "s", "go", "MODEL", m, "EFFORT", "low", "USER", "u1", "PRIORITY", "0", "WITHMETA"))
    assert meta[b"message"] == messages(r, "s")[1][b"id"] and meta[b"model"] == m.encode()
    assert meta[b"tokens-in"] == 7 and meta[b"tokens-out"] == 3 and meta[b"cost"] == b"0.000044"
    assert meta[b"fallback"] == 0 and meta[b"replayed"] == 0 and meta[b"request-id"].startswith(b"req-")
    for name in (b"route", b"tokens-cached", b"tokens-reasoning", b"vendor-ms", b"notes", b"reasoning"):
        assert name in meta
    free = pairs(raw(r, "LLM.ASK", "go", "MODEL", model("words=1"), "WITHMETA"))
    assert free[b"cost"] is None


@pytest.mark.parametrize("status, name", [(429, "rate"), (500, "transient"), (401, "auth"), (400, "bad_request")])
def test_errors_tell_their_class(r, model, status, name):
    m = model(f"status={status}", "RETRIES", "0")
    assert f"[class {name}, attempts " in error(r, "LLM.ASK", "x", "MODEL", m, "WITHMETA")
    assert "[class" not in error(r, "LLM.ASK", "x", "MODEL", m)


def streamed(server, *cmd):
    """The pushes of a call, and its reply."""
    c = Conn(server.raw())
    c.call("HELLO", 3)
    c.send(*cmd)
    pushes, reply = [], c.read()
    while isinstance(reply, Push):
        pushes.append(reply)
        reply = c.read()
    c.close()
    return pushes, reply


def test_pieces_of_other_kinds(server, r, model):
    pushes, reply = streamed(server, "LLM.ASK", "go", "MODEL", model("think=2,words=2"), "STREAM")
    assert [(p[0], p[2]) for p in pushes if p[0] == b"llm.reasoning"] == [
        (b"llm.reasoning", b"thought0 "), (b"llm.reasoning", b"thought1 ")]
    assert b"".join(p[2] for p in pushes if p[0] == b"llm.delta") == reply == b"word0 word1"
    pushes, reply = streamed(server, "LLM.ASK", "go", "MODEL", model("tool"), "STREAM", "WITHMETA")
    tools = [p for p in pushes if p[0] == b"llm.tool"]
    assert all(p[2] == b"0" for p in tools) and tools[0][3:5] == [b"call_1", b"get_weather"]
    assert json.loads(b"".join(p[5] for p in tools)) == {"city": "Köln"}


def test_other_kinds_in_the_stream_of_a_call(r, model):
    id = raw(r, "LLM.ASK", "go", "MODEL", model("think=1,tool"), "ASYNC")
    calls_end(r)
    entries = [f for _, f in r.xrange(b"call:" + id)]
    assert {f[b"type"] for f in entries} == {b"begin", b"reasoning", b"tool", b"done"}
    assert json.loads(entries[-1][b"tool-calls"])[0]["id"] == "call_1"


def asked(mock):
    return len(mock.requests())


def test_the_same_token_is_answered_once(r, model, mock):
    m = model("words=3")
    mock.control("reset", "")
    cmd = ["LLM.CHAT", "s", "go", "MODEL", m, "IDEMPOTENCY", "t1", "WITHMETA"]
    first, again = pairs(raw(r, *cmd)), pairs(raw(r, *cmd))
    assert (first[b"text"], first[b"replayed"]) == (b"word0 word1 word2", 0)
    assert (again[b"text"], again[b"replayed"]) == (b"word0 word1 word2", 1)
    assert asked(mock) == 1 and len(messages(r, "s")) == 2 and b"message" not in again
    assert error(r, "LLM.CHAT", "s", "no", "MODEL", m, "IDEMPOTENCY", "t1").startswith("STATE")


def test_replay_under_async(r, model, mock):
    cmd = ["LLM.ASK", "go", "MODEL", model("words=2"), "IDEMPOTENCY", "t2", "ASYNC"]
    mock.control("reset", "")
    for _ in range(2):
        id = raw(r, *cmd)
        calls_end(r)
        last = r.xrevrange(b"call:" + id, count=1)[0][1]
        assert last[b"type"] == b"done" and last[b"text"] == b"word0 word1"
    assert asked(mock) == 1


def test_a_failure_frees_the_token(r, model, mock):
    m = model("failfirst=1,words=1", "RETRIES", "0")
    mock.control("reset", "")
    assert error(r, "LLM.ASK", "go", "MODEL", m, "IDEMPOTENCY", "t3").startswith("UPSTREAM")
    assert raw(r, "LLM.ASK", "go", "MODEL", m, "IDEMPOTENCY", "t3") == b"word0"


def begin(server, *cmd):
    """A connection that has got its first piece, and that piece."""
    c = Conn(server.raw())
    c.call("HELLO", 3)
    c.send(*cmd)
    first = c.read()
    assert isinstance(first, Push), first
    return c, first


def test_equal_calls_at_the_same_time_are_one(server, r, model, mock):
    cmd = ["LLM.CHAT", "s", "go", "MODEL", model("words=20,hold=3"), "IDEMPOTENCY", "t4", "STREAM"]
    mock.hold()
    begun = [begin(server, *cmd) for _ in range(5)]
    mock.release()
    whole = b" ".join(b"word%d" % i for i in range(20))
    for c, first in begun:
        pushes, reply = [first], c.read()
        while isinstance(reply, Push):
            pushes.append(reply)
            reply = c.read()
        assert reply == whole == b"".join(p[2] for p in pushes)
        c.close()
    assert asked(mock) == 1 and len(messages(r, "s")) == 2


def test_who_began_goes_and_who_joined_gets_the_answer(server, r, model, mock):
    cmd = ["LLM.CHAT", "s", "go", "MODEL", model("words=30,hold=3"), "IDEMPOTENCY", "t5", "STREAM"]
    mock.hold()
    conns = [begin(server, *cmd)[0] for _ in range(3)]
    conns[0].close()
    conns[1].close()
    mock.release()
    while isinstance(reply := conns[2].read(), Push):
        pass
    assert reply.endswith(b" word29") and asked(mock) == 1
    assert [x[b"role"] for x in messages(r, "s")] == [b"user", b"assistant"] and b"meta" not in messages(r, "s")[1]
    conns[2].close()


def test_calls_are_their_users(server, r, model):
    m = model("words=1")
    r.execute_command("ACL", "SETUSER", "ann", "on", "nopass", "~*", "+@all")
    c = Conn(server.raw())
    c.call("AUTH", "ann", "x")
    assert c.call("LLM.ASK", "go", "MODEL", m) == b"word0"
    assert any(b"ann" in row for row in raw(r, "LLM.USAGE", "BY", "USER"))
    c.close()
