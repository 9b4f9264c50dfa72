"""The HTTP door: chat completions, embeddings, models; who may, sessions, clients that vanish."""

import base64
import json
import socket
import ssl
import struct
import subprocess
import threading

import pytest
from door import Door, events
from helpers import raw

pytestmark = pytest.mark.threads


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    d = Door(tmp_path_factory.mktemp("door"))
    yield d
    d.server.stop()


@pytest.fixture
def r(door):
    c = door.client()
    c.flushall()
    yield c
    c.close()


@pytest.fixture
def model(r, mock):
    made = []

    def make(behaviour, *more, kind="CHAT"):
        name = f"m{len(made)}"
        raw(r, "LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", mock.url, "ID", behaviour, "KIND", kind,
            "RETRIES", 0, *more)
        made.append(name)
        return name

    yield make
    for name in made:
        raw(r, "LLM.MODEL", "DEL", name)


def test_whole_answer(door, model):
    m = model("words=3", "PRICE", "1", "2")
    head, got = door.chat(m)
    assert got["object"] == "chat.completion" and got["model"] == m
    assert got["choices"][0]["message"]["content"] == "word0 word1 word2"
    assert got["choices"][0]["finish_reason"] == "stop" and got["usage"]["total_tokens"] > 0
    assert got["id"] == "chatcmpl-" + head["x-request-id"] == "chatcmpl-" + head["x-skald-call-id"]
    assert head["x-skald-model"] == m and head["x-skald-attempts"] == "1"
    assert float(head["x-skald-overhead-ms"]) >= 0 and head["content-type"] == "application/json"


def test_stream(door, model):
    m = model("words=4")
    head, got = door.chat(m, stream=True)
    assert head["content-type"].startswith("text/event-stream") and len(head["x-request-id"]) == 36
    assert got[-1] == ("", "[DONE]")
    chunks = [e for _, e in got[:-1]]
    assert len({c["id"] for c in chunks}) == 1 and all(c["object"] == "chat.completion.chunk" for c in chunks)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == "word0 word1 word2 word3"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert not any(c.get("usage") for c in chunks)
    _, got = door.chat(m, stream=True, stream_options={"include_usage": True})
    assert got[-2][1]["choices"] == [] and got[-2][1]["usage"]["completion_tokens"] > 0


def test_errors(door, model):
    head, got = door.chat("nobody", status=404)
    assert got["error"]["code"] == "model_not_found" and head["x-should-retry"] == "false" and head["x-request-id"]
    status, _, data = door.ask("POST", "/v1/chat/completions", '{"model": oops')
    assert status == 400 and "near" in json.loads(data)["error"]["message"]
    status, _, data = door.ask("POST", "/v1/chat/completions", "[]")
    assert status == 400
    status, _, data = door.ask("POST", "/v1/chat/completions", {"model": "m", "messages": [{"role": "nobody"}]})
    error = json.loads(data)["error"]
    assert status == 400 and error["param"].startswith("messages[0]") and error["type"] == "invalid_request_error"
    head, got = door.chat(model("status=429,retryafter=7"), status=429, stream=True)
    assert head["x-should-retry"] == "true" and got["error"]["type"] == "rate_limit_error"
    head, got = door.chat(model("status=401"), status=502)
    assert head["x-should-retry"] == "true"
    head, got = door.chat(model("status=400"), status=400)
    assert head["x-should-retry"] == "false"
    assert door.ask("GET", "/v1/chat/completions")[0] == 405
    assert door.ask("POST", "/v1/nothing")[0] == 404
    assert door.chat("m", status=400, headers={"x_skald_priority": "12"})[1]["error"]["param"] == "x-skald-priority"


def test_error_in_a_stream(door, model):
    _, got = door.chat(model("words=6,streamerror=3"), stream=True)
    assert "error" in got[-1][1] and not any(e == "[DONE]" for _, e in got)


def test_too_large(tmp_path):
    d = Door(tmp_path / "small", "--http-max-body", "2kb")
    try:
        status, head, data = d.ask("POST", "/v1/chat/completions", "x" * 3000)
        assert status == 413 and json.loads(data)["error"]["code"] == "request_too_large"
        status, head, data = d.ask("POST", "/v1/messages", iter([b"x" * 1500] * 2))  # in chunks: no length is told
        assert status == 413 and json.loads(data)["error"]["type"] == "request_too_large"
    finally:
        d.server.stop()


def test_timeout_header(door, model):
    for stream in (False, True):
        head, got = door.chat(model("never"), status=504, stream=stream, headers={"x_skald_timeout_ms": "50"})
        assert "50 ms" in got["error"]["message"] and got["error"]["code"] == "timeout"
        assert head["x-should-retry"] == "true"
    body = {"model": model("never"), "max_tokens": 5, "messages": [{"role": "user", "content": "go"}]}
    status, _, data = door.ask("POST", "/v1/messages", body, x_skald_timeout_ms="50")
    assert status == 504 and json.loads(data)["error"]["type"] == "timeout_error"


def test_session(door, r, model, mock):
    m = model("words=2")
    raw(r, "SESSION.CREATE", "s1", "SYSTEM", "be brief", "MODEL", m)
    door.chat(m, "first", headers={"x_skald_session": "s1"})
    mock.control("reset", "")
    body = {"messages": [{"role": "user", "content": "old"}, {"role": "assistant", "content": "old"},
                         {"role": "user", "content": [{"type": "text", "text": "second"}]}],
            "metadata": {"session": "s1"}, "stream": True}
    status, _, data = door.ask("POST", "/v1/chat/completions", body)
    assert status == 200 and events(data)[-1][1] == "[DONE]"
    sent = json.loads(mock.requests()[-1]["body"]) if isinstance(mock.requests()[-1]["body"], str) \
        else mock.requests()[-1]["body"]
    assert "metadata" not in sent
    assert [x["role"] for x in sent["messages"]] == ["system", "user", "assistant", "user"]
    kept = raw(r, "SESSION.CONTEXT", "s1", "FORMAT", "JSON")
    assert [(x["role"], x["content"]) for x in json.loads(kept)] == [
        ("system", "be brief"), ("user", "first"), ("assistant", "word0 word1"), ("user", "second"),
        ("assistant", "word0 word1")]
    body["messages"] = body["messages"][:2]
    assert door.ask("POST", "/v1/chat/completions", body)[0] == 400
    r.set("text", "x")
    assert door.chat(m, status=400, headers={"x_skald_session": "text"})[1]["error"]["code"] == "wrong_type"


def test_a_tools_answer_goes_with_its_call(door, r, model, mock):
    """In both forms, and whatever the session's strategy would leave out."""
    tool, m = model("tool"), model("words=1")
    raw(r, "SESSION.CREATE", "weather", "CONTEXT", "LAST", 1)
    answers = (("/v1/chat/completions", {"role": "tool", "tool_call_id": "call_1", "content": "sun"}),
               ("/v1/messages", {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1",
                                                              "content": "sun"}]}))
    for path, said in answers:
        door.chat(tool, "Rain?", headers={"x_skald_session": "weather"})
        wrong = json.loads(json.dumps(said).replace("call_1", "call_2"))
        for message, status in ((wrong, 400), (said, 200)):
            body = {"model": m, "max_tokens": 9, "messages": [message]}
            got, _, data = door.ask("POST", path, body, x_skald_session="weather")
            assert got == status, data
        sent = json.loads(mock.requests()[-1]["body"])["messages"]
        assert [x["role"] for x in sent] == ["assistant", "tool"]
        assert sent[0]["tool_calls"][0]["id"] == sent[1]["tool_call_id"] == "call_1"
    kept = json.loads(raw(r, "SESSION.EXPORT", "weather"))["messages"]
    assert [x["role"] for x in kept] == ["user", "assistant", "tool", "assistant"] * 2


def test_vanished_client(door, r, model, mock):
    """The call ends soon after its client hung up; what had come stays in the session, marked."""
    for stream in (True, False):
        m = model("words=1000,drip=20" if stream else "never")
        c = door.connect()
        body = {"model": m, "stream": stream, "messages": [{"role": "user", "content": "go"}]}
        c.request("POST", "/v1/chat/completions", json.dumps(body), {"x-skald-session": "gone"})
        if stream:
            assert b"data: " in c.getresponse().read(100)
        else:
            while not raw(r, "LLM.CALLS"):
                pass
        c.sock.close() if c.sock else None
        c.close()
        while raw(r, "LLM.CALLS"):
            pass
    messages = json.loads(raw(r, "SESSION.EXPORT", "gone"))["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant"] and "client" in json.dumps(messages[1])


def test_embeddings(door, model):
    m = model("dims=3", kind="EMBED")
    status, head, data = door.ask("POST", "/v1/embeddings", {"model": m, "input": ["a", "b"]})
    got = json.loads(data)
    assert status == 200 and [len(x["embedding"]) for x in got["data"]] == [3, 3] and got["usage"]["total_tokens"] > 0
    status, _, data = door.ask("POST", "/v1/embeddings", {"model": m, "input": ["a", "b"], "encoding_format": "base64"})
    again = json.loads(data)
    for x, y in zip(got["data"], again["data"]):
        assert list(struct.unpack("<3f", base64.b64decode(y["embedding"]))) == pytest.approx(x["embedding"])
    assert door.ask("POST", "/v1/embeddings", {"model": m})[0] == 400


def test_models(door, model):
    m = model("words=1")
    names = [x["id"] for x in json.loads(door.ask("GET", "/v1/models")[2])["data"]]
    assert m in names and "builtin/extract" in names
    one = json.loads(door.ask("GET", "/v1/models/builtin/extract")[2])
    assert one["id"] == "builtin/extract" and one["object"] == "model"
    assert door.ask("GET", "/v1/models/none")[0] == 404


def test_passwords_and_permissions(tmp_path, mock):
    d = Door(tmp_path / "auth")
    try:
        r = d.client()
        raw(r, "CONFIG", "SET", "requirepass", "pass:word")
        raw(r, "LLM.MODEL", "SET", "m", "PROVIDER", "openai", "URL", mock.url, "ID", "words=1")
        raw(r, "ACL", "SETUSER", "ann", "on", ">secret", "+@llm", "~mine:*")
        raw(r, "ACL", "SETUSER", "bob", "on", ">secret", "+get", "~*")
        head, got = d.chat("m", status=401)
        assert got["error"]["code"] == "invalid_api_key" and head["www-authenticate"] == "Bearer"
        d.chat("m", status=401, headers={"authorization": "Bearer wrong"})
        d.chat("m", status=401, headers={"authorization": "Bearer ann:wrong"})
        d.chat("m", headers={"authorization": "Bearer pass:word"})
        d.chat("m", headers={"authorization": "bearer ann:secret"})
        d.chat("m", headers={"x_api_key": "ann:secret"})
        d.chat("m", status=403, headers={"authorization": "Bearer bob:secret"})
        d.chat("m", headers={"authorization": "Bearer ann:secret", "x_skald_session": "mine:1"})
        d.chat("m", status=403, headers={"authorization": "Bearer ann:secret", "x_skald_session": "yours"})
        assert r.exists("mine:1") and not r.exists("yours")
        assert len(raw(r, "ACL", "LOG")) >= 3
        assert d.ask("GET", "/healthz")[0] == 200
        assert d.ask("GET", "/v1/models")[0] == 401
    finally:
        d.server.stop()


def test_pages_of_other_sites(door, model):
    door.chat(model("words=1"), status=403, headers={"sec_fetch_site": "cross-site"})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls(tmp_path, mock):
    pem = str(tmp_path / "door.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", pem, "-out", str(tmp_path / "cert.pem")],
                   check=True, capture_output=True)
    with open(pem, "a") as f:
        f.write(open(tmp_path / "cert.pem").read())
    trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    d = Door(tmp_path / "tls", "--http-tls-cert", pem, tls=trust)
    try:
        r = d.client()
        raw(r, "LLM.MODEL", "SET", "m", "PROVIDER", "openai", "URL", mock.url, "ID", "words=50,drip=1")
        raw(r, "LLM.MODEL", "SET", "slow", "PROVIDER", "openai", "URL", mock.url, "ID", "never")
        assert d.ask("GET", "/healthz")[0] == 200
        assert d.chat("m", stream=True)[1][-1][1] == "[DONE]"
        old = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, OSError)):
            old.wrap_socket(socket.create_connection(("127.0.0.1", d.http), 30), server_hostname="127.0.0.1")
        c = d.connect()
        c.request("POST", "/v1/chat/completions",
                  json.dumps({"model": "slow", "messages": [{"role": "user", "content": "go"}]}))
        while not raw(r, "LLM.CALLS"):
            pass
        c.close()
        while raw(r, "LLM.CALLS"):
            pass
    finally:
        d.server.stop()


def test_many_at_once(door, model):
    m, good = model("words=20,drip=2"), []

    def one():
        if door.chat(m, stream=True)[1][-1][1] == "[DONE]":
            good.append(1)

    threads = [threading.Thread(target=one) for _ in range(50)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(good) == 50


def test_idempotency(door, r, model, mock):
    m = model("words=5")
    mock.control("reset", "")
    first = door.chat(m, headers={"idempotency_key": "k1"})
    again = door.chat(m, headers={"idempotency_key": "k1"})
    assert again[1]["choices"] == first[1]["choices"] and again[0]["x-skald-replayed"] == "true"
    assert "x-skald-replayed" not in first[0] and len(mock.requests()) == 1
    head, got = door.chat(m, "other", status=409, headers={"idempotency_key": "k1"})
    assert got["error"]["code"] == "idempotency_key_conflict" and head["x-should-retry"] == "false"
    for _ in range(2):
        _, got = door.chat(m, stream=True, headers={"idempotency_key": "k2"})
        text = "".join(c["choices"][0]["delta"].get("content") or "" for _, c in got[:-1])
        assert text == "word0 word1 word2 word3 word4" and got[-1][1] == "[DONE]"
    tool = model("tool")
    calls = []
    for _ in range(2):
        _, got = door.chat(tool, stream=True, headers={"idempotency_key": "k3"})
        deltas = [d for _, c in got[:-1] for d in c["choices"][0]["delta"].get("tool_calls") or []]
        calls.append((deltas[0]["id"], deltas[0]["function"]["name"],
                      "".join(d["function"].get("arguments") or "" for d in deltas)))
    assert calls[0] == calls[1] and json.loads(calls[0][2]) is not None
    assert door.chat(m, status=400, headers={"idempotency_key": "x" * 256})[1]["error"]["param"] == "Idempotency-Key"


def test_idempotency_joined(door, r, model, mock):
    """Who comes while the first is under way gets the same pieces from one call, also when the first one leaves."""
    m = model("words=60,hold=3")
    body = json.dumps({"model": m, "stream": True, "messages": [{"role": "user", "content": "go"}]})
    head = {"idempotency-key": "joined"}
    mock.hold()
    first, second = door.connect(), door.connect()
    first.request("POST", "/v1/chat/completions", body, head)
    one = first.getresponse()
    assert b"data: " in one.read(30)
    second.request("POST", "/v1/chat/completions", body, head)
    two = second.getresponse()
    start = two.read(30)
    one.close()
    first.close()
    mock.release()
    got = events(start + two.read())
    text = "".join(c["choices"][0]["delta"].get("content") or "" for _, c in got[:-1])
    assert text.split() == [f"word{i}" for i in range(60)] and got[-1][1] == "[DONE]"
    assert len(mock.requests()) == 1
    second.close()


def test_rate_headers(door, model):
    head, _ = door.chat(model("words=1", "RPM", 60, "TPM", 100000))
    assert head["x-ratelimit-limit-requests"] == "60" and int(head["x-ratelimit-remaining-requests"]) <= 60
    assert head["x-ratelimit-limit-tokens"] == "100000" and head["x-ratelimit-reset-tokens"][-1] == "s"
