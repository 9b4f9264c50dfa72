"""Embeddings of more texts than the vendor takes at once (TEI: 32): parts side by side, put together in their order."""

import json
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from helpers import error, raw
from models import calls_end, pairs
from resp import Conn

pytestmark = pytest.mark.threads


class Vendor:
    """Answers when `meet` requests are there at once; what it does with a part is said by part(texts): a status, or None."""

    def __init__(self):
        vendor = self
        self.lock, self.open, self.peak, self.sizes = threading.Lock(), 0, 0, []
        self.gate, self.part = None, lambda texts: None

        class Handler(BaseHTTPRequestHandler):
            wbufsize = -1

            def log_message(self, *args):
                pass

            def do_POST(self):
                texts = json.loads(self.rfile.read(int(self.headers["content-length"]))).get("input")
                if texts is None:
                    return self.send_error(503)
                with vendor.lock:
                    vendor.open += 1
                    vendor.peak = max(vendor.peak, vendor.open)
                    vendor.sizes.append(len(texts))
                if vendor.gate:
                    vendor.gate.wait(60)
                status = vendor.part(texts)
                with vendor.lock:
                    vendor.open -= 1
                rows = [{"index": i, "embedding": [float(t), 0.5]} for i, t in enumerate(texts)]
                out = {"error": "no", "error_type": "Validation"} if status else {
                    "model": "e", "data": rows, "usage": {"prompt_tokens": len(texts), "total_tokens": len(texts)}}
                data = json.dumps(out).encode()
                self.send_response(status or 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def meet(self, n):
        self.gate = threading.Barrier(n)


@pytest.fixture
def vendor():
    v = Vendor()
    yield v
    v.server.shutdown()
    v.server.server_close()


@pytest.fixture
def embed(r, vendor):
    """embed(n, CONCURRENCY, 2, ...): the vectors' first numbers and all that is told, for the texts 0 to n-1."""
    def ask(n, *more, model="e"):
        raw(r, "LLM.MODEL", "SET", "e", "PROVIDER", "tei", "URL", vendor.url, "KIND", "EMBED", "PRICE", 1, 0, *more)
        meta = pairs(raw(r, "LLM.EMBED", "MODEL", model, *range(n), "FORMAT", "FP32", "WITHMETA"))
        return [struct.unpack("<2f", v)[0] for v in meta[b"vectors"]], meta

    yield ask
    raw(r, "LLM.MODEL", "DEL", "e")


def test_side_by_side(embed, vendor):
    vendor.meet(7)  # nobody is answered before all parts are there
    got, meta = embed(200)
    assert got == list(range(200)) and sorted(vendor.sizes) == [8, 32, 32, 32, 32, 32, 32]
    assert (meta[b"tokens-in"], meta[b"attempts"], meta[b"cost"]) == (200, 7, b"0.0002") and meta[b"model"] == b"e"
    assert meta[b"vendor-ms"] <= meta[b"ms"]


def test_within_the_limit(r, embed, vendor):
    vendor.meet(2)
    assert embed(128, "CONCURRENCY", 2)[0] == list(range(128))
    assert vendor.peak == 2 and vendor.sizes == [32] * 4
    vendor.gate = None
    assert embed(96, "CONCURRENCY", 1)[0] == list(range(96))
    before = raw(r, "CONFIG", "GET", "llm-queue-max")[1]
    raw(r, "CONFIG", "SET", "llm-queue-max", 0)  # none may wait: one after the other
    assert embed(96, "CONCURRENCY", 1)[0] == list(range(96))
    raw(r, "CONFIG", "SET", "llm-queue-max", before)


def test_so_many_at_once(r, embed, vendor):
    raw(r, "CONFIG", "SET", "llm-embed-parallel", 3)
    vendor.meet(3)
    assert embed(32 * 9)[0] == list(range(32 * 9)) and vendor.peak == 3
    raw(r, "CONFIG", "SET", "llm-embed-parallel", 8)


def test_only_the_part_is_tried_again(embed, vendor):
    failed = []
    vendor.part = lambda texts: 500 if texts[0] == "64" and not failed and not failed.append(1) else None
    got, meta = embed(128, "RETRIES", 1)
    assert got == list(range(128)) and len(vendor.sizes) == 5 and meta[b"attempts"] == 5 and meta[b"tokens-in"] == 128


def usage(r):
    rows = [pairs(row) for row in raw(r, "LLM.USAGE", "BY", "MODEL")]
    return [(row[b"calls"], row[b"failed"], row[b"tokens-in"]) for row in rows if row[b"model"] == b"e"][0]


def test_one_failure_fails_all(r, embed, vendor):
    calls, failed, tokens = usage(r)
    vendor.meet(4)
    vendor.part = lambda texts: 422 if texts[0] == "32" else None
    raw(r, "LLM.MODEL", "SET", "e", "PROVIDER", "tei", "URL", vendor.url, "KIND", "EMBED")
    said = error(r, "LLM.EMBED", "MODEL", "e", *range(128))
    assert said.startswith("INVALID") and "did not accept the request (422)" in said
    assert raw(r, "LLM.CALLS") == [] and usage(r)[0] == calls + 4


def test_one_call_in_the_list(server, r, embed, vendor):
    release = threading.Event()
    vendor.part = lambda texts: release.wait(60) and None
    raw(r, "LLM.MODEL", "SET", "e", "PROVIDER", "tei", "URL", vendor.url, "KIND", "EMBED")
    c = Conn(server.raw())
    c.send("LLM.EMBED", "MODEL", "e", *range(128))
    while vendor.open < 4:
        assert len(raw(r, "LLM.CALLS")) <= 1
    call = pairs(raw(r, "LLM.CALLS")[0])
    assert call[b"model"] == b"e"
    assert raw(r, "LLM.CANCEL", call[b"id"]) == b"OK"
    assert "cancelled" in str(c.read())
    calls_end(r)
    release.set()
    c.close()


def test_on_a_route(r, embed, vendor):
    """The first part finds the model; the others follow it, as many as it takes at once."""
    raw(r, "LLM.MODEL", "SET", "gone", "PROVIDER", "cohere", "URL", vendor.url + "/nowhere", "KIND", "EMBED", "RETRIES", 0)
    raw(r, "LLM.ROUTE", "SET", "two", "STRATEGY", "PRIORITY", "MODELS", "gone", "e")
    got, meta = embed(100, model="two")  # `gone` speaks another form, which this vendor does not understand
    assert got == list(range(100)) and meta[b"model"] == b"e" and sorted(vendor.sizes) == [4, 32, 32, 32]
    raw(r, "LLM.ROUTE", "DEL", "two")
    raw(r, "LLM.MODEL", "DEL", "gone")
