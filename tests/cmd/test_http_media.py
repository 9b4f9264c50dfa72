"""The HTTP door's other routes: rerank, speech, transcriptions, Anthropic's messages; a reader that does not read."""

import http.client
import http.server
import json
import socket
import threading

import pytest
from door import Door, events, form
from helpers import raw

pytestmark = pytest.mark.threads


class Vendor(http.server.BaseHTTPRequestHandler):
    """Reranks backwards, speaks its input, hears how long the file is."""

    protocol_version = "HTTP/1.1"
    seen = []

    def log_message(self, *args):
        pass

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, self.headers["Content-Type"], body))
        if self.path.endswith("/rerank"):
            n = len(json.loads(body)["documents"])
            ranks = [{"index": i, "relevance_score": (i + 1) / n} for i in reversed(range(n))]
            self.answer(200, "application/json", json.dumps({"results": ranks, "usage": {"total_tokens": 9}}).encode())
        elif self.path.endswith("/speech"):
            self.answer(200, "audio/mpeg", b"SOUND " + json.loads(body)["input"].encode())
        else:
            text = f"{body.count(b'RIFF')} file"
            self.answer(200, "application/json", json.dumps({"text": text}).encode())


@pytest.fixture(scope="module")
def vendor():
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{s.server_port}/v1"
    s.shutdown()


@pytest.fixture(scope="module")
def door(tmp_path_factory, vendor, mock):
    d = Door(tmp_path_factory.mktemp("media"))
    r = d.client()
    for name, kind in (("rank", "RERANK"), ("speak", "SPEECH"), ("hear", "TRANSCRIBE")):
        raw(r, "LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", vendor, "KIND", kind, "RETRIES", 0)
    for name, how in (("chat", "words=3"), ("tool", "tool"), ("bad", "status=400"), ("flood", "words=80000")):
        raw(r, "LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", mock.url, "ID", how, "RETRIES", 0)
    yield d
    d.server.stop()


def test_rerank(door):
    body = {"model": "rank", "query": "q", "documents": ["a", "b", "c"], "top_n": 2, "return_documents": True}
    status, head, data = door.ask("POST", "/v1/rerank", body)
    assert status == 200, data
    got = json.loads(data)["results"]
    assert [(x["index"], x["document"]["text"]) for x in got] == [(2, "c"), (1, "b")]
    assert head["x-skald-model"] == "rank"
    assert door.ask("POST", "/v1/rerank", {"model": "rank"})[0] == 400
    assert door.ask("POST", "/v1/rerank", {"model": "chat", "query": "q", "documents": ["a"]})[0] in (400, 404)


def test_speech(door):
    status, head, data = door.ask("POST", "/v1/audio/speech", {"model": "speak", "input": "hello", "voice": "alloy"})
    assert (status, head["content-type"], data) == (200, "audio/mpeg", b"SOUND hello")
    assert door.ask("POST", "/v1/audio/speech", {"model": "speak"})[0] == 400


def test_transcriptions(door):
    kind = {"content_type": "multipart/form-data; boundary=here"}
    status, _, data = door.ask("POST", "/v1/audio/transcriptions", form(model="hear", file="RIFFdata", language="de"),
                               **kind)
    assert status == 200 and json.loads(data)["text"] == "1 file"
    assert b"de" in Vendor.seen[-1][2] and b"a.wav" in Vendor.seen[-1][2]
    for bad in (form(model="hear"), form(model="hear", file="x", temperature="warm"), "no form",
                form(model="hear", file="x", stream="true")):
        assert door.ask("POST", "/v1/audio/transcriptions", bad, **kind)[0] == 400
    assert door.ask("POST", "/v1/audio/transcriptions", "{}", content_type="application/json")[0] == 400


def message(model, **more):
    return {"model": model, "max_tokens": 50, "system": "be brief", "messages": [{"role": "user", "content": "hi"}], **more}


def test_messages(door):
    status, head, data = door.ask("POST", "/v1/messages", message("chat"), x_api_key="any")
    got = json.loads(data)
    assert status == 200 and got["type"] == "message" and got["role"] == "assistant"
    assert got["content"][0] == {"type": "text", "text": "word0 word1 word2"} and got["stop_reason"] == "end_turn"
    assert got["id"].startswith("msg_") and head["request-id"] == head["x-request-id"]
    status, head, data = door.ask("POST", "/v1/messages", message("chat", stream=True))
    got = events(data)
    kinds = [kind for kind, _ in got]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"] and "[DONE]" not in str(got)
    assert all(e["type"] == kind for kind, e in got)
    assert "".join(e["delta"]["text"] for kind, e in got if kind == "content_block_delta") == "word0 word1 word2"
    assert got[0][1]["message"]["usage"]["input_tokens"] > 0
    status, _, data = door.ask("POST", "/v1/messages", message("tool"))
    assert json.loads(data)["content"][-1]["type"] == "tool_use" and json.loads(data)["stop_reason"] == "tool_use"


def test_messages_errors(door):
    for model, want, kind in (("none", 404, "not_found_error"), ("bad", 400, "invalid_request_error")):
        status, head, data = door.ask("POST", "/v1/messages", message(model))
        got = json.loads(data)
        assert (status, got["type"], got["error"]["type"]) == (want, "error", kind)
        assert got["request_id"] == head["request-id"]
    status, _, data = door.ask("POST", "/v1/messages", {"model": "chat"})
    assert status == 400 and json.loads(data)["error"]["type"] == "invalid_request_error"


def test_slow_reader(door):
    """A client that does not read stops the vendor, not the server's memory; when it reads, everything comes."""
    r = door.client()
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", door.http))
    body = json.dumps({"model": "flood", "stream": True, "messages": [{"role": "user", "content": "go"}]})
    s.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    def pieces():
        call = raw(r, "LLM.CALLS")[0]
        return dict(zip(call[::2], call[1::2]))[b"pieces"]

    before, same = -1, 0
    while same < 20:  # until nothing moves any more
        now = pieces()
        same = same + 1 if now == before and now > 0 else 0
        before = now
        r.execute_command("DEBUG", "SLEEP", "0.02")
    assert before < 80000
    answer = http.client.HTTPResponse(s)
    answer.begin()
    data = answer.read()
    assert data.endswith(b"data: [DONE]\n\n") and b"word79999" in data
    s.close()
