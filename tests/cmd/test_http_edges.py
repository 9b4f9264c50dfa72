"""The HTTP door's edges: other methods, browsers, bad bodies, counting tokens."""

import json

import pytest
from door import Door
from helpers import raw

pytestmark = pytest.mark.threads
PAGE, OTHER = "https://page.example", "https://other.example"


@pytest.fixture(scope="module")
def door(tmp_path_factory, mock):
    d = Door(tmp_path_factory.mktemp("edges"))
    r = d.client()
    raw(r, "LLM.MODEL", "SET", "org/m", "PROVIDER", "openai", "URL", mock.url, "ID", "words=2", "RETRIES", 0)
    raw(r, "LLM.ROUTE", "SET", "way", "STRATEGY", "PRIORITY", "MODELS", "org/m")
    yield d
    d.server.stop()


@pytest.fixture
def r(door):
    c = door.client()
    yield c
    c.execute_command("CONFIG", "SET", "http-allow-origin", "")
    c.close()


def test_models_by_id(door):
    for name, owner in (("org/m", "openai"), ("org%2Fm", "openai"), ("way", "skald")):
        status, _, data = door.ask("GET", "/v1/models/" + name)
        assert status == 200 and json.loads(data)["owned_by"] == owner
    status, head, data = door.ask("HEAD", "/v1/models/way")
    assert status == 200 and data == b"" and int(head["content-length"]) > 0
    status, _, data = door.ask("GET", "/v1/models/none")
    assert status == 404 and json.loads(data)["error"]["code"] == "model_not_found"
    status, head, _ = door.ask("DELETE", "/v1/models/way")
    assert status == 405 and head["allow"] == "GET"


def test_bad_bodies(door):
    for path in ("/v1/chat/completions", "/v1/embeddings", "/v1/rerank", "/v1/audio/speech", "/v1/messages"):
        status, head, data = door.ask("POST", path, '{"model": "m", oops}')
        error = json.loads(data)["error"]
        assert status == 400 and "at byte 1" in error["message"] and error["type"] == "invalid_request_error"
        assert head["x-should-retry"] == "false"
        assert door.ask("POST", path, "")[0] == 400


def test_unknown_paths(door):
    status, _, data = door.ask("POST", "/chat/completions", {})
    assert status == 404 and "/v1" in json.loads(data)["error"]["message"]
    status, _, data = door.ask("POST", "/v1/messages/batches", {})
    assert status == 404 and json.loads(data)["type"] == "error"
    status, head, data = door.ask("GET", "/v1/messages/count_tokens")
    assert status == 405 and head["allow"] == "POST" and json.loads(data)["error"]["type"] == "invalid_request_error"


def test_options(door, r):
    status, head, data = door.ask("OPTIONS", "/v1/chat/completions", origin=PAGE)
    assert (status, head["allow"], data) == (204, "POST, OPTIONS", b"")
    assert not any(name.startswith("access-control") for name in head)
    assert door.ask("OPTIONS", "/v1/nothing", origin=PAGE)[0] == 404
    raw(r, "CONFIG", "SET", "http-allow-origin", "https://first.example " + PAGE)
    status, head, _ = door.ask("OPTIONS", "/v1/chat/completions", origin=PAGE, access_control_request_method="POST",
                               access_control_request_headers="authorization,content-type")
    assert status == 204 and head["access-control-allow-origin"] == PAGE and head["vary"] == "Origin"
    assert "POST" in head["access-control-allow-methods"]
    assert head["access-control-allow-headers"] == "authorization,content-type"
    assert "access-control-allow-origin" not in door.ask("OPTIONS", "/v1/chat/completions", origin=OTHER)[1]


def test_answers_to_pages(door, r):
    """What a page may read, errors too; and a page that nobody named needs a password."""
    raw(r, "CONFIG", "SET", "http-allow-origin", PAGE)
    head, _ = door.chat("org/m", headers={"origin": PAGE, "sec_fetch_site": "cross-site"})
    assert head["access-control-allow-origin"] == PAGE and head["access-control-expose-headers"] == "*"
    head, _ = door.chat("org/m", stream=True, headers={"origin": PAGE})
    assert head["access-control-allow-origin"] == PAGE
    head, _ = door.chat("none", status=404, headers={"origin": PAGE})
    assert head["access-control-allow-origin"] == PAGE
    head, _ = door.chat("org/m", status=403, headers={"origin": OTHER, "sec_fetch_site": "cross-site"})
    assert "access-control-allow-origin" not in head
    raw(r, "CONFIG", "SET", "http-allow-origin", "*")
    head, _ = door.chat("org/m", status=403, headers={"origin": OTHER, "sec_fetch_site": "cross-site"})
    assert head["access-control-allow-origin"] == OTHER
    door.chat("org/m", status=403, headers={"origin": "*", "sec_fetch_site": "cross-site"})


def test_counting_tokens(door, mock):
    mock.control("reset", "")

    def count(status=200, **body):
        got, head, data = door.ask("POST", "/v1/messages/count_tokens", {"model": "way", **body})
        assert got == status and head["request-id"], data
        return json.loads(data)

    def said(text):
        return [{"role": "user", "content": text}]

    few, many = count(messages=said("one two")), count(messages=said("one two three four five six"))
    assert few["estimated"] is True and 0 < few["input_tokens"] < many["input_tokens"]
    tools = [{"name": "weather", "description": "What the sky does.", "input_schema": {"type": "object"}}]
    assert count(messages=said("one two"), tools=tools, system="Be brief.")["input_tokens"] > few["input_tokens"]
    assert count(404, model="none", messages=said("x"))["error"]["type"] == "not_found_error"
    assert count(400, messages=7)["error"]["type"] == "invalid_request_error"
    assert mock.requests() == []
