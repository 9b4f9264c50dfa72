"""Idempotency-Key on the routes that answer whole: one call for equal requests, whoever comes when."""

import json

import pytest
from door import Door, form
from helpers import error, raw

pytestmark = pytest.mark.threads


@pytest.fixture(scope="module")
def door(tmp_path_factory, mock):
    d = Door(tmp_path_factory.mktemp("once"))
    r = d.client()
    for name, kind in (("e", "EMBED"), ("k", "RERANK"), ("s", "SPEECH"), ("t", "TRANSCRIBE")):
        raw(r, "LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", mock.url, "ID", "mock", "KIND", kind, "RETRIES", 0,
            "PRICE", "1", "1")
    yield d
    d.server.stop()


@pytest.fixture
def r(door):
    c = door.client()
    yield c
    c.close()


ASKED = [("/v1/embeddings", {"model": "e", "input": ["one", "two"]}, {"model": "e", "input": ["one"]}),
         ("/v1/rerank", {"model": "k", "query": "one", "documents": ["one", "two"]},
          {"model": "k", "query": "two", "documents": ["one", "two"]}),
         ("/v1/audio/speech", {"model": "s", "input": "one", "voice": "v"}, {"model": "s", "input": "two", "voice": "v"})]


@pytest.mark.parametrize("path,body,other", ASKED)
def test_replayed(door, mock, path, body, other):
    mock.control("reset", "")
    key = {"idempotency_key": path}
    first, again = (door.ask("POST", path, body, **key) for _ in range(2))
    assert first[0] == again[0] == 200 and first[2] == again[2] and first[1]["content-type"] == again[1]["content-type"]
    assert "x-skald-replayed" not in first[1] and again[1]["x-skald-replayed"] == "true"
    assert again[1]["x-skald-model"] == body["model"] and len(mock.requests()) == 1
    status, head, data = door.ask("POST", path, other, **key)
    assert status == 409 and head["x-should-retry"] == "false"
    assert json.loads(data)["error"]["code"] == "idempotency_key_conflict"
    assert len(mock.requests()) == 1
    assert door.ask("POST", path, body, idempotency_key="x" * 256)[0] == 400


def test_replayed_form(door, mock):
    """Of a form the parts are compared: clients draw another boundary for each try."""
    mock.control("reset", "")
    got = []
    for boundary, sound in (("one", "RIFF"), ("two", "RIFF"), ("two", "RAFF")):
        got.append(door.ask("POST", "/v1/audio/transcriptions", form(boundary, model="t", file=sound),
                            content_type=f"multipart/form-data; boundary={boundary}", idempotency_key="form"))
    assert [x[0] for x in got] == [200, 200, 409] and got[0][2] == got[1][2] and len(mock.requests()) == 1


def test_errors(door, mock, r):
    """The same again would be wrong again; what may pass frees the key."""
    mock.control("reset", "")
    for status, want, calls in (("400", 400, 1), ("500", 502, 2)):
        mock.control("reset", "")
        mock.control("default", f"status={status}")
        for _ in range(2):
            assert door.ask("POST", *ASKED[0][:2], idempotency_key="error" + status)[0] == want
        assert len(mock.requests()) == calls
    mock.control("reset", "")
    assert door.ask("POST", *ASKED[0][:2], idempotency_key="error500")[0] == 200


def calls(r):
    return [call[call.index(b"id") + 1] for call in raw(r, "LLM.CALLS")]


def joins(r):
    return r.info("models")["llm_idempotency_joins"]


def test_joined(door, mock, r):
    """Who comes while the first waits for a limit gets its answer, also when the first one leaves."""
    mock.control("reset", "")
    mock.control("default", "never")
    raw(r, "LLM.MODEL", "SET", "one", "PROVIDER", "openai", "URL", mock.url, "ID", "mock", "KIND", "EMBED",
        "CONCURRENCY", 1, "RETRIES", 0)
    body, key, before = json.dumps({"model": "one", "input": "x"}), {"idempotency-key": "joined"}, joins(r)
    asked = []
    for headers, ready in (({}, lambda: mock.requests()), (key, lambda: len(calls(r)) == 2),
                           (key, lambda: joins(r) == before + 1), (key, lambda: joins(r) == before + 2)):
        c = door.connect()
        c.request("POST", "/v1/embeddings", body, headers)
        asked.append(c)
        while not ready():
            pass
    asked[1].close()  # the first of the key: the others wait on
    asked[3].close()
    mock.control("default", "dims=3")
    raw(r, "LLM.CANCEL", calls(r)[0])
    answer = asked[2].getresponse()
    assert answer.status == 200 and answer.getheader("x-skald-replayed") == "true"
    assert len(json.loads(answer.read())["data"]) == 1 and len(mock.requests()) == 2
    assert asked[0].getresponse().status == 499
    assert error(r, "LLM.CANCEL", "nobody")
