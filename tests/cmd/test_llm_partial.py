"""Answers that are cut off: what had come is kept in the session, marked, and never half a turn."""

import json
import time

import pytest
from helpers import error, raw
from models import calls_end, messages, model, sent  # noqa: F401
from resp import Conn, Error, Push

pytestmark = pytest.mark.threads
ROLES = [b"user", b"assistant"]


def partial(r, key, reason):
    """The text of the one turn of the session, whose answer must be marked so."""
    q, a = messages(r, key)
    assert [q[b"role"], a[b"role"]] == ROLES and q[b"content"] == b"go" and b"meta" not in q
    assert json.loads(a[b"meta"]) == {"partial": True, "reason": reason}
    return a[b"content"]


def begun(server, *cmd):
    """A connection whose command has had its first piece."""
    c = Conn(server.raw())
    c.call("HELLO", 3)
    c.send(*cmd)
    first = c.read()
    assert isinstance(first, Push) and first[0] == b"llm.delta"
    return c, first


@pytest.mark.parametrize("behaviour", ["cut=3", "reset=3", "streamerror=3", "broken=3"])
def test_the_vendor_breaks_off(r, model, mock, behaviour):
    m = model("words=9,drip=5," + behaviour)
    assert error(r, "LLM.CHAT", "s", "go", "MODEL", m, "STREAM").startswith("UPSTREAM")
    assert partial(r, "s", "upstream") in (b"word0 ", b"word0 word1 ")
    whole = model("words=2")
    assert raw(r, "LLM.CHAT", "s", "on", "MODEL", whole) == b"word0 word1"
    assert [x["role"] for x in sent(mock)["messages"]] == ["user", "assistant", "user"]
    assert sent(mock)["messages"][1]["content"].startswith("word0 ")
    assert len(raw(r, "SESSION.CONTEXT", "s")) == 4
    assert b"meta" not in messages(r, "s")[3]


@pytest.mark.parametrize("behaviour, stream", [("words=9,cut=1", True), ("words=9,cut=3", False), ("status=500", True)])
def test_nothing_had_come(r, model, behaviour, stream):
    m = model(behaviour)
    assert error(r, "LLM.CHAT", "s", "go", "MODEL", m, *["STREAM"] * stream).startswith("UPSTREAM")
    assert r.exists("s") == 0


def test_time_runs_out(r, model, mock):
    m = model("words=9,hold=3")
    mock.hold()
    for timeout in (300, 1200, 5000, 20000):  # the first pieces must have come by then, which a slow machine needs time for
        assert error(r, "LLM.CHAT", "s", "go", "MODEL", m, "STREAM", "TIMEOUT", timeout).startswith("UPSTREAM")
        if r.exists("s"):
            break
    assert partial(r, "s", "upstream").startswith(b"word0 ")


def test_the_client_vanishes(server, r, model):
    c, first = begun(server, "LLM.CHAT", "s", "go", "MODEL", model("words=500,drip=20"), "STREAM")
    c.close()
    calls_end(r)
    assert partial(r, "s", "client").startswith(first[2])


def test_cancel(server, r, model):
    c, first = begun(server, "LLM.CHAT", "s", "go", "MODEL", model("words=500,drip=20"), "STREAM")
    assert raw(r, "LLM.CANCEL", first[1]) == b"OK"
    got, reply = first[2], c.read()
    while isinstance(reply, Push):
        got, reply = got + reply[2], c.read()
    assert isinstance(reply, Error) and str(reply).startswith("STATE")
    assert partial(r, "s", "cancel") == got  # all that it was shown, and no more
    c.close()


def test_nobody_waits(r, model):
    id = raw(r, "LLM.CHAT", "s", "go", "MODEL", model("words=500,drip=20"), "ASYNC")
    stream = b"call:" + id
    while not any(f[b"type"] == b"delta" for _, f in r.xrange(stream)):
        time.sleep(0.005)
    assert raw(r, "LLM.CANCEL", id) == b"OK"
    calls_end(r)
    last = r.xrevrange(stream, count=1)[0][1]
    assert last[b"type"] == b"error" and last[b"error"].startswith(b"STATE")
    assert partial(r, "s", "cancel").startswith(b"word0 ")
    assert last[b"message"] == messages(r, "s")[1][b"id"]


def test_a_turn_that_does_not_fit_is_not_torn(r, model):
    r.config_set("session-max-messages", 1)
    id = raw(r, "LLM.CHAT", "s", "go", "MODEL", model("words=2"), "ASYNC")
    assert error(r, "LLM.CHAT", "s", "go", "MODEL", model("words=2")).startswith("STATE")
    calls_end(r)
    assert r.xrevrange(b"call:" + id, count=1)[0][1][b"type"] == b"error"
    r.config_set("session-max-messages", 100000)
    assert r.exists("s") == 0


def test_a_session_that_became_something_else(server, r, model):
    c, first = begun(server, "LLM.CHAT", "s", "go", "MODEL", model("words=500,drip=20"), "STREAM")
    r.set("s", "text")
    c.close()
    calls_end(r)
    assert r.get("s") == b"text"


def test_kill9_in_the_middle(fresh, mock):
    s = fresh("--appendonly", "yes", "--appendfsync", "always")
    r = s.client(decode_responses=False)
    for name, behaviour in ("short", "words=8,drip=3"), ("long", "words=2000,drip=20"):
        raw(r, "LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", mock.url, "ID", behaviour)
    kept = 0
    for round in range(3):
        streams = [begun(s, "LLM.CHAT", f"s{i}", "go", "MODEL", "short" if i else "long", "STREAM")[0] for i in range(6)]
        streams[0].close()  # and one is being kept as the server dies
        if round == 1:
            calls_end(r)
            assert messages(r, "s0")  # a read waits until all of it is on disk
        s.kill9()
        s.start()
        r = s.client(decode_responses=False)
        for i in range(6):
            said = messages(r, f"s{i}")
            assert [m[b"role"] for m in said] == ROLES * (len(said) // 2)
            kept = max(kept, len(said))
        for c in streams[1:]:
            c.close()
    assert kept and all(b"partial" in m[b"meta"] for m in messages(r, "s0")[1::2])
