"""The HTTP door's streams: what their head tells, what they cost, what is said while a model thinks."""

import json

import pytest
from door import Door, events
from helpers import raw

pytestmark = pytest.mark.threads


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    d = Door(tmp_path_factory.mktemp("stream"))
    yield d
    d.server.stop()


@pytest.fixture
def r(door):
    c = door.client()
    yield c
    c.execute_command("CONFIG", "SET", "http-stream-keepalive-ms", "15000")
    c.close()


def make(r, name, mock, behaviour, *more):
    raw(r, "LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", mock.url, "ID", behaviour, "RETRIES", 0, *more)


def body_of(model, **more):
    return json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "go"}], **more})


def test_head_tells_who_answers(door, r, mock):
    make(r, "bad", mock, "status=500")
    make(r, "good", mock, "words=3", "PRICE", "1", "2")
    raw(r, "LLM.ROUTE", "SET", "both", "STRATEGY", "PRIORITY", "MODELS", "bad", "good")
    head, got = door.chat("both", stream=True, stream_options={"include_usage": True})
    assert (head["x-skald-model"], head["x-skald-route"], head["x-skald-attempts"]) == ("good", "both", "2")
    assert float(head["x-skald-overhead-ms"]) >= 0 and "x-skald-cost" not in head
    usage = got[-2][1]["usage"]
    assert usage["cost"] == pytest.approx((usage["prompt_tokens"] + 2 * usage["completion_tokens"]) / 1e6, abs=1e-15)
    head, got = door.chat("both", stream=True)
    assert not any(c.get("usage") for _, c in got[:-1])
    status, head, data = door.ask("POST", "/v1/messages", json.dumps(
        {"model": "both", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "go"}]}))
    assert status == 200 and head["x-skald-model"] == "good" and head["request-id"] == head["x-skald-call-id"]
    got = dict(events(data))
    assert "cost" not in got["message_start"]["message"]["usage"] and got["message_delta"]["usage"]["cost"] > 0


def test_whole_answers_tell_their_cost(door, r, mock):
    make(r, "good", mock, "words=3", "PRICE", "1", "2")
    make(r, "unpriced", mock, "words=3")
    head, got = door.chat("good")
    assert got["usage"]["cost"] == float(head["x-skald-cost"]) > 0
    head, got = door.chat("unpriced")
    assert "cost" not in got["usage"] and "x-skald-cost" not in head


def test_error_before_the_first_piece(door, r, mock):
    make(r, "bad", mock, "status=500")
    head, got = door.chat("bad", stream=True, status=502)
    assert head["content-type"] == "application/json" and head["x-skald-model"] == "bad" and got["error"]["message"]


def line(answer):
    return answer.readline().decode().rstrip("\n")


def test_keepalive(door, r, mock):
    """The head leaves without a first piece, comments follow, then the answer as ever."""
    mock.control("reset", "")
    mock.control("default", "never")
    make(r, "slow", mock, "mock", "CONCURRENCY", 1)
    r.execute_command("CONFIG", "SET", "http-stream-keepalive-ms", "20")
    raw(r, "LLM.ASK", "go", "MODEL", "slow", "ASYNC")
    while not mock.requests():
        pass
    c = door.connect()
    c.request("POST", "/v1/chat/completions", body_of("slow"))  # waits for the place of the one before
    answer = c.getresponse()
    assert answer.status == 200 and answer.getheader("x-skald-call-id") and not answer.getheader("x-skald-model")
    for _ in range(2):
        assert line(answer) == ": keep-alive" and line(answer) == ""
    mock.control("default", "words=3")
    mine = answer.getheader("x-skald-call-id").encode()
    for call in raw(r, "LLM.CALLS"):
        if mine not in call:
            raw(r, "LLM.CANCEL", call[call.index(b"id") + 1])
    got = [e for e in events(b"\n".join(s for s in answer.read().split(b"\n") if s[:1] != b":").lstrip(b"\n"))]
    text = "".join(e["choices"][0]["delta"].get("content") or "" for _, e in got[:-1])
    assert text == "word0 word1 word2" and got[-1][1] == "[DONE]"
    c.close()


def test_error_behind_a_keepalive(door, r, mock):
    mock.control("reset", "")
    make(r, "never", mock, "never")
    r.execute_command("CONFIG", "SET", "http-stream-keepalive-ms", "20")
    c = door.connect()
    c.request("POST", "/v1/chat/completions", body_of("never"))
    answer = c.getresponse()
    assert answer.status == 200 and line(answer) == ": keep-alive"
    raw(r, "LLM.CANCEL", answer.getheader("x-skald-call-id"))
    last = [s for s in answer.read().split(b"\n") if s.startswith(b"data: ")][-1]
    assert json.loads(last[6:])["error"]["code"] == "cancelled"
    c.close()
