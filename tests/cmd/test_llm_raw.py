"""LLM.RAW: OpenAI's bodies in, OpenAI's replies out, with and without a session."""

import json

import pytest
from helpers import error, raw
from models import calls_end, messages, model, sent  # noqa: F401
from resp import Conn, Push

pytestmark = pytest.mark.threads


def body(model, *said, **more):
    return json.dumps({"model": model, "messages": [m if isinstance(m, dict) else {"role": "user", "content": m}
                                                    for m in said], **more})


def test_a_reply_is_openais(r, model, mock):
    m = model("words=3")
    out = json.loads(raw(r, "LLM.RAW", body(m, {"role": "system", "content": "Be kind."}, "go", temperature=0.5, seed=7,
                                            logit_bias={"5": 1})))
    assert out["object"] == "chat.completion" and out["model"] == m and len(out["id"]) >= 36
    assert out["choices"][0]["message"]["content"] == "word0 word1 word2" and out["choices"][0]["finish_reason"] == "stop"
    assert out["usage"]["prompt_tokens"] == 7 and out["usage"]["completion_tokens"] == 3
    upstream = sent(mock)
    assert upstream["messages"] == [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "go"}]
    assert upstream["temperature"] == 0.5 and upstream["seed"] == 7 and upstream["logit_bias"] == {"5": 1}
    tools = json.loads(raw(r, "LLM.RAW", body(model("tool,think=1"), "go")))["choices"][0]
    assert tools["finish_reason"] == "tool_calls" and tools["message"]["tool_calls"][0]["id"] == "call_1"
    assert tools["message"]["reasoning_content"] == "thought0 "


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"messages":[]}', '{"messages":[{"role":"king","content":""}]}',
                                  '{"messages":[{"role":"user","content":"x"}],"n":2}'])
def test_bad_bodies(r, text):
    assert error(r, "LLM.RAW", text).startswith("INVALID")


def test_bad_options(r, model):
    b = body(model("words=1"), "go")
    for options in (["SESSION"], ["TIMEOUT", "0"], ["PRIORITY", "x"], ["IDEMPOTENCY", ""], ["COLOUR"]):
        assert error(r, "LLM.RAW", b, *options).startswith("INVALID")
    r.set("str", "x")
    assert error(r, "LLM.RAW", b, "SESSION", "str").startswith("WRONGTYPE")
    assert error(r, "LLM.RAW", body("nobody", "go")).startswith("STATE")
    assert error(r, "LLM.RAW", body(model("status=429"), "go")).startswith("QUOTA")


def test_chunks(server, r, model):
    c = Conn(server.raw())
    c.call("HELLO", 3)
    c.send("LLM.RAW", body(model("words=3,drip=2"), "go"), "STREAM")
    chunks, reply = [], c.read()
    while isinstance(reply, Push):
        assert reply[0] == b"llm.chunk" and len(reply[1]) == 36
        chunks.append(json.loads(reply[2]))
        reply = c.read()
    whole = json.loads(reply)
    assert {x["object"] for x in chunks} == {"chat.completion.chunk"} and {x["id"] for x in chunks} == {whole["id"]}
    deltas = [x["choices"][0]["delta"] for x in chunks if x["choices"]]
    assert deltas[0]["role"] == "assistant"
    assert "".join(d.get("content") or "" for d in deltas) == whole["choices"][0]["message"]["content"] == "word0 word1 word2"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    c.close()


def test_a_session_has_the_past(r, model, mock):
    m = model("words=1")
    raw(r, "SESSION.CREATE", "s", "SYSTEM", "You are kind.", "MODEL", m)
    for text in ("one", "two"):
        raw(r, "LLM.RAW", json.dumps({"messages": [{"role": "user", "content": text}]}), "SESSION", "s")
    assert [x["content"] for x in sent(mock)["messages"]] == ["You are kind.", "one", "word0", "two"]
    # a client that sends the conversation again adds what is behind the last answer
    raw(r, "LLM.RAW", body(m, {"role": "system", "content": "Be brief."}, "two", {"role": "assistant", "content": "word0"},
                           "three"), "SESSION", "s")
    assert [x["content"] for x in sent(mock)["messages"]] == ["Be brief.", "one", "word0", "two", "word0", "three"]
    assert [x[b"content"] for x in messages(r, "s")] == [b"one", b"word0", b"two", b"word0", b"three", b"word0"]
    assert error(r, "LLM.RAW", body(m, "x", {"role": "assistant", "content": "y"}), "SESSION", "s").startswith("INVALID")
    raw(r, "LLM.RAW", body(m, "hello", {"role": "assistant", "content": "hi"}, "you"), "SESSION", "new")
    assert [x[b"content"] for x in messages(r, "new")] == [b"hello", b"hi", b"you", b"word0"]


def test_a_tools_answer_finds_its_call(r, model, mock):
    raw(r, "LLM.RAW", body(model("tool"), "Rain?"), "SESSION", "s")
    m = model("words=1")
    assert error(r, "LLM.RAW", body(m, {"role": "tool", "tool_call_id": "other", "content": "no"}), "SESSION",
                 "s").startswith("INVALID")
    raw(r, "LLM.RAW", body(m, {"role": "tool", "tool_call_id": "call_1", "content": "sun"}), "SESSION", "s")
    roles = [x["role"] for x in sent(mock)["messages"]]
    assert roles == ["user", "assistant", "tool"] and sent(mock)["messages"][1]["tool_calls"][0]["id"] == "call_1"
    assert [x[b"role"] for x in messages(r, "s")] == [b"user", b"assistant", b"tool", b"assistant"]


def test_a_call_is_not_trimmed_away_from_its_answer(r, model, mock):
    raw(r, "SESSION.CREATE", "s", "CONTEXT", "LAST", 1)
    raw(r, "LLM.RAW", body(model("tool"), "Rain?"), "SESSION", "s")
    m = model("words=1")
    assert error(r, "LLM.RAW", body(m, {"role": "tool", "tool_call_id": "other", "content": "no"}, "And?"), "SESSION",
                 "s").startswith("INVALID")
    raw(r, "LLM.RAW", body(m, {"role": "tool", "tool_call_id": "call_1", "content": "sun"}, "So?"), "SESSION", "s")
    assert [x["role"] for x in sent(mock)["messages"]] == ["assistant", "tool", "user"]
    assert sent(mock)["messages"][0]["tool_calls"][0]["id"] == "call_1"
    raw(r, "SESSION.SET", "s", "CONTEXT", "LAST 3")
    raw(r, "LLM.CHAT", "s", "more", "MODEL", m)
    assert [x["role"] for x in sent(mock)["messages"]] == ["user", "assistant", "user"]


def test_images_in_a_session(r, model, mock):
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    m = model("words=1")
    raw(r, "LLM.RAW", body(m, {"role": "user", "content": parts}), "SESSION", "s")
    raw(r, "LLM.RAW", body(m, "And?"), "SESSION", "s")
    assert sent(mock)["messages"][0]["content"] == parts
    assert messages(r, "s")[0][b"content"] == b"What?\n[image_url]"


def test_cut_off_and_async_and_again(r, model, mock):
    m = model("words=9,drip=2,cut=4")
    assert error(r, "LLM.RAW", body(m, "go"), "SESSION", "s", "STREAM").startswith("UPSTREAM")
    assert json.loads(messages(r, "s")[1][b"meta"]) == {"partial": True, "reason": "upstream"}
    id = raw(r, "LLM.RAW", body(model("words=2"), "go"), "ASYNC")
    calls_end(r)
    entries = [f for _, f in r.xrange(b"call:" + id)]
    assert entries[-1][b"text"] == b"word0 word1" and b"chunk" in {f[b"type"] for f in entries}
    cmd = ["LLM.RAW", body(model("words=1"), "go"), "SESSION", "t", "IDEMPOTENCY", "raw1"]
    mock.control("reset", "")
    first, again = json.loads(raw(r, *cmd)), json.loads(raw(r, *cmd))
    assert first["choices"] == again["choices"] and len(mock.requests()) == 1 and len(messages(r, "t")) == 2


def test_its_key_is_a_key(r, model):
    assert raw(r, "COMMAND", "GETKEYS", "LLM.RAW", "{}", "STREAM", "SESSION", "k1") == [b"k1"]
    r.execute_command("ACL", "SETUSER", "bob", "on", "nopass", "~own:*", "+@all")
    assert raw(r, "ACL", "DRYRUN", "bob", "LLM.RAW", "{}", "SESSION", "other") != b"OK"
    assert raw(r, "ACL", "DRYRUN", "bob", "LLM.RAW", "{}", "SESSION", "own:1") == b"OK"


def test_not_in_a_transaction(r):
    p = r.pipeline(transaction=True)
    p.execute_command("LLM.RAW", "{}")
    with pytest.raises(Exception, match="STATE"):
        p.execute()
    assert error(r, "EVAL", "return redis.call('LLM.RAW', '{}')", 0).startswith("STATE")
