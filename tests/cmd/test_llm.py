"""Models over the wire, against a mock provider that can do everything wrong."""

import json
import struct
import threading
import time

import pytest
from helpers import error, raw
from resp import Conn, Error, Push

pytestmark = pytest.mark.threads


@pytest.fixture
def model(r, mock):
    """model("words=5,drip=10") registers a model of that behaviour and gives its name."""
    made = []

    def make(behaviour, *more, kind="CHAT"):
        name = f"m{len(made)}"
        raw(r, "LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", mock.url, "ID", behaviour, "KIND", kind, *more)
        made.append(name)
        return name

    yield make
    for name in made:
        raw(r, "LLM.MODEL", "DEL", name)


def test_ask_and_meta(r, model):
    m = model("words=3")
    assert raw(r, "LLM.ASK", "hello", "MODEL", m) == b"word0 word1 word2"
    meta = raw(r, "LLM.ASK", "hello", "MODEL", m, "WITHMETA")
    meta = dict(zip(meta[::2], meta[1::2]))
    assert meta[b"text"] == b"word0 word1 word2" and meta[b"finish"] == b"stop" and meta[b"model"] == m.encode()
    assert meta[b"tokens-out"] > 0 and meta[b"attempts"] == 1 and len(meta[b"call"]) == 36


def test_what_is_sent(r, model, mock):
    m = model("words=1", "KEY", "secret-123")
    mock.control("reset", "")
    raw(r, "LLM.ASK", "你好", "MODEL", m, "SYSTEM", "be brief", "TEMPERATURE", "0.5", "MAX-TOKENS", 7, "STOP", "x",
        "STOP", "y", "SEED", 42, "PARAMS", '{"top_k":3}')
    sent = mock.requests()[-1]
    body = sent["body"] if isinstance(sent["body"], dict) else json.loads(sent["body"])
    assert body["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "你好"}]
    assert body["temperature"] == 0.5 and body["stop"] == ["x", "y"] and body["seed"] == 42 and body["top_k"] == 3
    assert 7 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    headers = {k.lower(): v for k, v in sent["headers"].items()}
    assert headers["authorization"] == "Bearer secret-123"
    shown = b" ".join(x for x in raw(r, "LLM.MODEL", "GET", m) if isinstance(x, bytes))
    assert b"secret-123" not in shown


def test_a_session_is_a_conversation(r, model, mock):
    m = model("mock")
    raw(r, "SESSION.CREATE", "s", "SYSTEM", "you are kind", "MODEL", m)
    assert raw(r, "LLM.CHAT", "s", "first") == b"echo: first"  # the mock echoes
    mock.control("reset", "")
    assert raw(r, "LLM.CHAT", "s", "second") == b"echo: second"
    body = mock.requests()[-1]["body"]
    body = body if isinstance(body, dict) else json.loads(body)
    assert [x["role"] for x in body["messages"]] == ["system", "user", "assistant", "user"]
    roles = [x[1] for x in raw(r, "SESSION.MESSAGES", "s")]
    assert roles == [b"user", b"assistant"] * 2


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_thought_is_kept_and_not_shown(r, model, stream):
    m = model("think=2,tool")
    assert raw(r, "LLM.CHAT", "s", "go", "MODEL", m, *["STREAM"] * stream) == b""
    m = model("think=2,words=1")
    assert raw(r, "LLM.CHAT", "t", "go", "MODEL", m, *["STREAM"] * stream) == b"word0"
    for key, has_calls in ("s", True), ("t", False):
        kept = raw(r, "SESSION.MESSAGES", key, "WITHMETA")[1]
        kept = dict(zip(kept[::2], kept[1::2]))
        assert kept[b"reasoning"] == b"thought0 thought1 " and (b"tool_calls" in kept) == has_calls
        assert b"thought" not in kept[b"content"]


def test_a_failed_call_adds_nothing(r, model):
    m = model("status=500")
    assert error(r, "LLM.CHAT", "s", "hello", "MODEL", m).startswith("UPSTREAM")
    assert r.exists("s") == 0
    r.set("str", "x")
    assert error(r, "LLM.CHAT", "str", "hello").startswith("WRONGTYPE")


FAILURES = [
    ("status=401", "UPSTREAM"), ("status=403", "UPSTREAM"), ("status=429", "QUOTA"), ("status=500", "UPSTREAM"),
    ("status=503", "UPSTREAM"), ("status=400", "INVALID"), ("garbage", "UPSTREAM"), ("error200", "UPSTREAM"),
    ("words=9,cut=3,drip=1", "UPSTREAM"), ("words=9,reset=3,drip=1", "UPSTREAM"), ("words=9,streamerror=2", "UPSTREAM"),
    ("words=9,broken=2", "UPSTREAM"),
]
OF_STREAMS = ("cut", "reset", "streamerror", "broken")


@pytest.mark.parametrize("behaviour, code, stream", [
    (b, c, s) for b, c in FAILURES for s in (True, False) if s or not any(x in b for x in OF_STREAMS)])
def test_error_classes(r, model, behaviour, code, stream):
    m = model(behaviour)
    assert error(r, "LLM.ASK", "hello", "MODEL", m, *(["STREAM"] if stream else [])).startswith(code)


def test_timeout_and_unreachable(r, model):
    m = model("never")
    text = error(r, "LLM.ASK", "hello", "MODEL", m, "TIMEOUT", 150)
    assert text.startswith("UPSTREAM") and "150" in text
    raw(r, "LLM.MODEL", "SET", "dead", "PROVIDER", "openai", "URL", "http://127.0.0.1:1/v1")
    assert error(r, "LLM.ASK", "hello", "MODEL", "dead").startswith("UPSTREAM")
    raw(r, "LLM.MODEL", "DEL", "dead")


def test_stream_on_resp3_is_pushes(server, r, model):
    m = model("words=4,drip=5")
    c = Conn(server.raw())
    c.call("HELLO", 3)
    c.send("LLM.CHAT", "s", "go", "MODEL", m, "STREAM")
    pieces, reply = [], c.read()
    while isinstance(reply, Push):
        assert reply[0] == b"llm.delta" and len(reply[1]) == 36
        pieces.append(reply[2])
        reply = c.read()
    assert reply == b"word0 word1 word2 word3" == b"".join(pieces)
    assert len(pieces) > 1
    c.close()


def test_stream_on_resp2_is_a_stream_and_a_channel(r, model):
    m = model("words=4,drip=20")
    p = r.pubsub()
    p.psubscribe("call:*")
    p.get_message(timeout=120)
    assert raw(r, "LLM.ASK", "go", "MODEL", m, "STREAM") == b"word0 word1 word2 word3"
    got = p.get_message(timeout=120)
    assert got["channel"].startswith(b"call:")
    entries = r.xrange(got["channel"])
    assert entries[0][1][b"type"] == b"begin" and entries[-1][1][b"type"] == b"done"
    assert b"".join(f[b"text"] for _, f in entries if f[b"type"] == b"delta") == b"word0 word1 word2 word3"
    assert 0 < r.ttl(got["channel"]) <= 3600
    p.close()


def test_async_is_followed_by_xread(r, model):
    m = model("words=4,drip=20")
    id = raw(r, "LLM.CHAT", "s", "go", "MODEL", m, "ASYNC")
    last, types, text = b"0", [], b""
    while b"done" not in types and b"error" not in types:
        for _, entries in r.xread({b"call:" + id: last}, block=5000):
            for last, f in entries:
                types.append(f[b"type"])
                text += f.get(b"text", b"") if f[b"type"] == b"delta" else b""
    assert types[0] == b"begin" and types[-1] == b"done" and text == b"word0 word1 word2 word3"
    assert [x[1] for x in raw(r, "SESSION.MESSAGES", "s")] == [b"user", b"assistant"]


def test_calls_and_cancel(server, r, model):
    m = model("never")
    c = Conn(server.raw())
    c.send("LLM.ASK", "hello", "MODEL", m)
    while not (calls := raw(r, "LLM.CALLS")):
        time.sleep(0.01)
    call = dict(zip(calls[0][::2], calls[0][1::2]))
    assert call[b"model"] == m.encode()
    assert raw(r, "LLM.CANCEL", call[b"id"]) == b"OK"
    assert isinstance(c.read(), Error)
    assert c.call("PING") == "PONG"
    c.send("LLM.ASK", "hello", "MODEL", m)
    while not raw(r, "LLM.CALLS"):
        time.sleep(0.01)
    c.close()  # a client that goes takes its call along
    while raw(r, "LLM.CALLS"):
        time.sleep(0.01)


def test_others_go_on_and_pipelines_wait(server, r, model, mock):
    m = model("words=2,hold")
    mock.hold()
    c = Conn(server.raw())
    c.send("LLM.ASK", "hello", "MODEL", m)
    c.send("SET", "after", "1")
    assert r.ping() and r.get("after") is None  # the pipeline waits for its turn, others do not
    mock.release()
    assert c.read() == b"word0 word1" and c.read() == "OK"
    c.close()


def test_many_calls_at_once_use_no_thread_each(server, r, model, mock):
    m = model("words=1,hold")
    mock.hold()
    n = 300
    conns = [Conn(server.raw()) for _ in range(n)]
    before = len(list(open_tasks(server)))
    for c in conns:
        c.send("LLM.ASK", "hello", "MODEL", m)
    while len(raw(r, "LLM.CALLS")) < n:
        time.sleep(0.02)
    assert len(list(open_tasks(server))) <= before + 2
    mock.release()
    assert all(c.read() == b"word0" for c in conns)
    for c in conns:
        c.close()


def open_tasks(server):
    import os
    return os.listdir(f"/proc/{server.proc.pid}/task")


def test_embed(r, model):
    m = model("dims=5", kind="EMBED")
    vs = raw(r, "LLM.EMBED", "MODEL", m, "a", "b", "FORMAT", "FP32")
    assert len(vs) == 2 and all(len(v) == 20 for v in vs)
    assert len(raw(r, "LLM.EMBED", "MODEL", m, "a")[0]) == 5
    assert len(struct.unpack("<384f", raw(r, "LLM.EMBED", "hello", "FORMAT", "FP32")[0])) == 384
    short = model("dims=5,short", kind="EMBED")
    assert error(r, "LLM.EMBED", "MODEL", short, "a", "b").startswith("UPSTREAM")


def test_vectors_by_a_remote_embedding_model(r, model):
    m = model("dims=6", kind="EMBED")
    raw(r, "VCREATE", "v", "DIM", 6, "MODEL", m)
    assert raw(r, "VADD", "v", "TEXT", "some text", "a", "SETATTR", '{"n":1}') == 1
    assert raw(r, "VADD", "v", "TEXT", "some text", "a") == 0
    assert raw(r, "VSEARCH", "v", "TEXT", "some text", "WITHATTRIBS") == [b"a", b'{"n":1}']
    wrong = model("dims=7", kind="EMBED")
    raw(r, "VCREATE", "w", "DIM", 6, "MODEL", wrong)
    assert error(r, "VADD", "w", "TEXT", "x y z", "a").startswith("INVALID Vector dimension mismatch")
    assert error(r, "VSEARCH", "w", "TEXT", "x y z").startswith("INVALID Vector dimension mismatch")
    failing = model("status=500", kind="EMBED")
    raw(r, "VCREATE", "f", "DIM", 6, "MODEL", failing)
    assert error(r, "VADD", "f", "TEXT", "x y z", "a").startswith("UPSTREAM")
    assert raw(r, "VCARD", "f") == 0


@pytest.mark.parametrize("cmd", [
    ("LLM.ASK", ""),
    ("LLM.ASK", b"\xff\xfe"),
    ("LLM.ASK", "x", "TEMPERATURE", "hot"),
    ("LLM.ASK", "x", "TEMPERATURE", "9"),
    ("LLM.ASK", "x", "MAX-TOKENS", "0"),
    ("LLM.ASK", "x", "PARAMS", "{broken"),
    ("LLM.ASK", "x", "PARAMS", "[1]"),
    ("LLM.ASK", "x", "JSON", "{broken"),
    ("LLM.ASK", "x", "TIMEOUT", "-1"),
    ("LLM.ASK", "x", "NONSENSE"),
    ("LLM.ASK", "x", "SYSTEM"),
    ("LLM.MODEL", "SET", "m", "PROVIDER", "nobody"),
    ("LLM.MODEL", "SET", "m", "PROVIDER", "openai", "URL", "ftp://x"),
    ("LLM.MODEL", "SET", "m", "PROVIDER", "openai", "TIMEOUT", "x"),
])
def test_bad_input(r, cmd):
    assert error(r, *cmd).startswith("INVALID")


def test_state_errors(r):
    assert error(r, "LLM.ASK", "x", "MODEL", "nobody").startswith("STATE")
    assert error(r, "LLM.ASK", "x", "MODEL", "builtin/hash").startswith("STATE")
    p = r.pipeline(transaction=True)
    p.execute_command("LLM.ASK", "x")
    assert any(str(x).startswith("STATE") for x in as_list(p))


def as_list(p):
    try:
        return p.execute(raise_on_error=False)
    except Exception as e:  # redis-py raises EXECABORT itself
        return [e, *(e.args or []), "STATE" if "STATE" in str(e) else ""]


def test_models_and_turns_survive(fresh, mock):
    s = fresh("--appendonly", "yes", "--appendfsync", "always")
    r = s.client(decode_responses=False)
    raw(r, "LLM.MODEL", "SET", "m", "PROVIDER", "openai", "URL", mock.url, "ID", "words=2", "KEY", "file:/no/such")
    raw(r, "LLM.MODEL", "SET", "k", "PROVIDER", "openai", "URL", mock.url, "ID", "words=2")
    raw(r, "LLM.MODEL", "DISABLE", "m")
    assert raw(r, "LLM.CHAT", "s", "hello", "MODEL", "k") == b"word0 word1"
    before = raw(r, "SESSION.MESSAGES", "s")
    for compact in (False, True):
        if compact:
            raw(r, "BGREWRITEAOF")
            while r.info("persistence")["aof_rewrite_in_progress"]:
                time.sleep(0.02)
        s.kill9()
        s.start()
        r = s.client(decode_responses=False)
        assert raw(r, "LLM.MODEL", "LIST") == [b"builtin/extract", b"builtin/hash", b"k", b"m"]
        assert raw(r, "SESSION.MESSAGES", "s") == before
        assert error(r, "LLM.ASK", "x", "MODEL", "m").startswith("STATE")
        assert raw(r, "LLM.ASK", "x", "MODEL", "k") == b"word0 word1"


def test_clean_stop_with_calls_under_way(fresh, mock):
    s = fresh()
    r = s.client()
    raw(r, "LLM.MODEL", "SET", "m", "PROVIDER", "openai", "URL", mock.url, "ID", "never")
    conns = [Conn(s.raw()) for _ in range(20)]
    for c in conns:
        c.send("LLM.ASK", "hello", "MODEL", "m")
    while len(raw(r, "LLM.CALLS")) < 20:
        time.sleep(0.01)
    s.stop()
    for c in conns:
        c.close()


def test_concurrent_turns_of_one_session_do_not_mix(server, r, model):
    m = model("delay=30")
    def chat(n):
        c = Conn(server.raw())
        for i in range(5):
            c.call("LLM.CHAT", "s", f"q{n}-{i}", "MODEL", m)
        c.close()
    threads = [threading.Thread(target=chat, args=(n,)) for n in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    msgs = raw(r, "SESSION.MESSAGES", "s")
    assert len(msgs) == 80
    for q, a in zip(msgs[::2], msgs[1::2]):
        assert q[1] == b"user" and a[1] == b"assistant" and a[2] == b"echo: " + q[2]
