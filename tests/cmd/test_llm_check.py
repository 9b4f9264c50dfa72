"""LLM.MODEL CHECK and the checks in the background, for speech and transcription: the vendor is looked at, free of charge."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from helpers import error, raw
from models import pairs

pytestmark = pytest.mark.threads
KINDS = ["SPEECH", "TRANSCRIBE"]


class Vendor:
    """Answers everything with `status`; keeps the request lines and keys that it was sent."""

    def __init__(self):
        vendor = self
        self.status, self.seen = 200, []

        class Handler(BaseHTTPRequestHandler):
            wbufsize = -1

            def log_message(self, *args):
                pass

            def do_GET(self):
                self.rfile.read(int(self.headers.get("content-length", 0)))
                vendor.seen.append((self.command, self.path, self.headers.get("authorization") or self.headers.get("api-key")))
                self.send_response(vendor.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_POST = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def vendor(r):
    v = Vendor()
    yield v
    raw(r, "LLM.MODEL", "DEL", "media")
    v.server.shutdown()
    v.server.server_close()


def set_model(r, vendor, kind, provider="openai", *more):
    raw(r, "LLM.MODEL", "SET", "media", "PROVIDER", provider, "URL", vendor.url, "KIND", kind, "ID", "x", "KEY", "k", "RETRIES", 0,
        *more)


def calls_booked(r):
    return sum(pairs(row)[b"calls"] for row in raw(r, "LLM.USAGE", "BY", "MODEL") if pairs(row)[b"model"] == b"media")


@pytest.mark.parametrize("kind", KINDS)
def test_who_answers_is_there(r, vendor, kind):
    set_model(r, vendor, kind, "openai", "BUDGET", "0.000001", "RPM", 1)  # no limit stands in the way: nothing is taken
    before = calls_booked(r)
    for vendor.status in (200, 404, 405, 400):
        assert pairs(raw(r, "LLM.MODEL", "CHECK", "media"))[b"ms"] >= 0
    assert vendor.seen == [("GET", "/models", "Bearer k")] * 4 and calls_booked(r) == before


@pytest.mark.parametrize("kind", KINDS)
def test_who_fails_is_not(r, vendor, kind):
    set_model(r, vendor, kind)
    for vendor.status, said in ((503, "UPSTREAM"), (401, "UPSTREAM"), (402, "QUOTA"), (429, "QUOTA"), (302, "UPSTREAM")):
        assert error(r, "LLM.MODEL", "CHECK", "media").startswith(said), vendor.status
    raw(r, "LLM.MODEL", "SET", "media", "PROVIDER", "openai", "URL", "http://127.0.0.1:1", "KIND", kind, "RETRIES", 0)
    assert "could not connect" in error(r, "LLM.MODEL", "CHECK", "media")


def test_azures_list(r, vendor):
    set_model(r, vendor, "SPEECH", "azure")
    raw(r, "LLM.MODEL", "CHECK", "media")
    assert vendor.seen == [("GET", "/openai/models?api-version=2024-10-21", "k")]


@pytest.mark.parametrize("kind", KINDS)
def test_in_the_background(r, vendor, kind):
    set_model(r, vendor, kind)
    raw(r, "CONFIG", "SET", "llm-health-interval", 1)
    try:
        for _ in range(12000):
            if vendor.seen:
                break
            time.sleep(0.01)
    finally:
        raw(r, "CONFIG", "SET", "llm-health-interval", 0)
    assert vendor.seen[0] == ("GET", "/models", "Bearer k")
