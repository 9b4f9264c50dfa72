"""Vendors that do not speak OpenAI's API, end to end: what arrives at them, and what becomes of what they say."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from helpers import error, raw

pytestmark = pytest.mark.threads


def events(*all_of_them):
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in all_of_them).encode()


CLAUDE_STREAM = events(
    {"type": "message_start", "message": {"model": "claude-9", "usage": {"input_tokens": 5, "cache_read_input_tokens": 7}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello "}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "you"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"})
CLAUDE = {"type": "message", "model": "claude-9", "content": [{"type": "text", "text": "Hello you"}],
          "stop_reason": "max_tokens", "usage": {"input_tokens": 5, "output_tokens": 3}}
LLAMA_STREAM = b"".join(json.dumps(x).encode() + b"\n" for x in [
    {"model": "llama", "message": {"role": "assistant", "content": "Hello "}, "done": False},
    {"model": "llama", "message": {"content": "you"}, "done": False},
    {"model": "llama", "message": {"content": ""}, "done": True, "done_reason": "stop", "prompt_eval_count": 5,
     "eval_count": 3}])
RANKS = {"results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]}


class Vendor:
    """Answers each path with what `says` has for it: (status, media type, bytes); keeps what it was sent."""

    def __init__(self):
        vendor = self
        self.says, self.sent = {}, []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                vendor.sent.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, kind, data = vendor.says[self.path]
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path, data, status=200, kind="application/json"):
        self.says[path] = (status, kind, data if isinstance(data, bytes) else json.dumps(data).encode())

    def body(self):
        return json.loads(self.sent[-1][2])


@pytest.fixture
def vendor():
    v = Vendor()
    yield v
    v.server.shutdown()
    v.server.server_close()


@pytest.fixture
def model(r, vendor):
    made = []

    def make(provider, *more):
        name = f"v{len(made)}"
        raw(r, "LLM.MODEL", "SET", name, "PROVIDER", provider, "URL", vendor.url, "RETRIES", "0", *more)
        made.append(name)
        return name

    yield make
    for name in made:
        raw(r, "LLM.MODEL", "DEL", name)


def ask(r, m, *more):
    meta = raw(r, "LLM.ASK", "hi", "MODEL", m, *more, "WITHMETA")
    return dict(zip(meta[::2], meta[1::2]))


def test_anthropic(r, vendor, model):
    m = model("anthropic", "ID", "claude-9", "KEY", "secret")
    vendor.answer("/v1/messages", CLAUDE)
    meta = ask(r, m, "SYSTEM", "be brief", "SEED", "7")
    assert meta[b"text"] == b"Hello you" and meta[b"finish"] == b"length"
    assert meta[b"tokens-in"] == 5 and meta[b"tokens-out"] == 3
    path, headers, _ = vendor.sent[-1]
    assert path == "/v1/messages" and headers["x-api-key"] == "secret" and headers["anthropic-version"]
    body = vendor.body()
    assert body["system"] == [{"type": "text", "text": "be brief"}] and body["max_tokens"] == 4096
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    assert "seed" not in body


def test_anthropic_streams(r, vendor, model):
    m = model("anthropic", "ID", "claude-9")
    vendor.answer("/v1/messages", CLAUDE_STREAM, kind="text/event-stream")
    meta = ask(r, m, "STREAM")
    assert meta[b"text"] == b"Hello you" and meta[b"finish"] == b"stop"
    assert meta[b"tokens-in"] == 12 and meta[b"tokens-out"] == 3
    assert vendor.body()["stream"] is True


def test_anthropic_says_no(r, vendor, model):
    m = model("anthropic", "ID", "claude-9")
    vendor.answer("/v1/messages", {"type": "error", "error": {"type": "invalid_request_error", "message": "no such thing"}},
                  status=400)
    assert "no such thing" in error(r, "LLM.ASK", "hi", "MODEL", m)
    vendor.answer("/v1/messages", events({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
                  kind="text/event-stream")
    assert "Overloaded" in error(r, "LLM.ASK", "hi", "MODEL", m, "STREAM")


def test_ollama(r, vendor, model):
    m = model("ollama", "ID", "llama")
    vendor.answer("/api/chat", LLAMA_STREAM, kind="application/x-ndjson")
    meta = ask(r, m, "STREAM", "MAX-TOKENS", "9")
    assert meta[b"text"] == b"Hello you" and meta[b"tokens-in"] == 5 and meta[b"tokens-out"] == 3
    assert vendor.body() == {"model": "llama", "messages": [{"role": "user", "content": "hi"}], "stream": True,
                             "options": {"num_predict": 9}}
    vendor.answer("/api/chat", LLAMA_STREAM.splitlines()[2].replace(b'"content": ""', b'"content": "whole"'))
    assert ask(r, m)[b"text"] == b"whole"
    e = model("ollama", "ID", "e", "KIND", "EMBED")
    vendor.answer("/api/embed", {"model": "e", "embeddings": [[1, 2], [3, 4]], "prompt_eval_count": 2})
    assert len(raw(r, "LLM.EMBED", "MODEL", e, "a", "b")) == 2
    assert vendor.body() == {"model": "e", "input": ["a", "b"]}


def test_a_good_status_with_an_error_in_it(r, vendor, model):
    m = model("spark", "ID", "lite")
    vendor.answer("/chat/completions", {"code": 10013, "message": "not to be said", "sid": "x"})
    assert "not to be said" in error(r, "LLM.ASK", "hi", "MODEL", m)
    m = model("minimax", "ID", "x")
    vendor.answer("/text/chatcompletion_v2", {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}})
    said = error(r, "LLM.ASK", "hi", "MODEL", m)
    assert "insufficient balance" in said and said.startswith("QUOTA")


def test_thinking_inside_the_answer(r, vendor, model):
    m = model("vllm", "ID", "x")
    vendor.answer("/chat/completions", {"choices": [{"message": {"content": "<think>\nhm</think>\n\nyes"}}]})
    assert ask(r, m)[b"text"] == b"yes"


def test_a_provider_without_that_kind(r, vendor):
    assert "has no models of kind EMBED" in error(r, "LLM.MODEL", "SET", "x", "PROVIDER", "anthropic", "KIND", "EMBED")
    assert "needs a URL" in error(r, "LLM.MODEL", "SET", "x", "PROVIDER", "vllm")
