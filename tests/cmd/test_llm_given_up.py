"""Calls that are given up before the vendor has said a word: one that has the request charges what it read, one that has
not charges nothing."""

import socket
import time

import pytest
from helpers import error, raw
from models import calls_end, pairs
from resp import Conn

pytestmark = pytest.mark.threads
QUESTION = "How many towns are there in Holland, and which of them lie by the sea?"


def set_model(r, url, *more):
    raw(r, "LLM.MODEL", "SET", "given-up", "PROVIDER", "openai", "URL", url, "ID", "never", "RETRIES", 0, "PRICE", 2, 9, *more)


def booked(r):
    """What the model has taken so far: calls, failed, tokens in and out, how many of the calls are estimates, cost."""
    for row in map(pairs, raw(r, "LLM.USAGE", "BY", "MODEL")):
        if row[b"model"] == b"given-up":
            n = row[b"calls"]
            return n, row[b"failed"], row[b"tokens-in"], row[b"tokens-out"], round(float(row[b"estimated"]) * n), float(row[b"cost"])
    return 0, 0, 0, 0, 0, 0.0


def more_than(r, before):
    return [round(now - then, 12) for now, then in zip(booked(r), before)]


def left(r):
    return float(pairs(raw(r, "LLM.LIMIT", "GET", "USER", "default"))[b"budget-left"])


@pytest.fixture
def budget(r):
    raw(r, "LLM.LIMIT", "SET", "USER", "default", "BUDGET", "1000", "PER", "TOTAL")
    yield
    raw(r, "LLM.LIMIT", "DEL", "USER", "default")


@pytest.mark.parametrize("stream", [[], ["STREAM"]])
def test_cancelled(server, r, mock, budget, stream):
    set_model(r, mock.url)
    before, money = booked(r), left(r)
    mock.control("reset", "")
    c = Conn(server.raw())
    c.call("HELLO", 3)
    c.send("LLM.ASK", QUESTION, "MODEL", "given-up", "MAX-TOKENS", 50, *stream)
    while not mock.requests():
        time.sleep(0.005)
    raw(r, "LLM.CANCEL", pairs(raw(r, "LLM.CALLS")[0])[b"id"])
    assert "cancelled" in str(c.read())
    c.close()
    calls, failed, tokens, out, estimated, cost = more_than(r, before)
    assert (calls, failed, out, estimated) == (1, 1, 0, 1) and 10 < tokens < 40
    assert cost == round(tokens * 2 / 1e6, 12) and round(money - left(r), 12) == cost


def test_out_of_time(r, mock, budget):
    set_model(r, mock.url)
    ms = 50
    while True:
        before, money = booked(r), left(r)
        mock.control("reset", "")
        assert "did not answer within" in error(r, "LLM.ASK", QUESTION, "MODEL", "given-up", "MAX-TOKENS", 50, "TIMEOUT", ms)
        calls, failed, tokens, out, estimated, cost = more_than(r, before)
        if mock.requests():  # it was there in time
            break
        ms *= 2
    assert (calls, failed, out, estimated) == (1, 1, 0, 1) and 10 < tokens < 40
    assert cost == round(tokens * 2 / 1e6, 12) and round(money - left(r), 12) == cost


def test_never_sent(server, r):
    """TLS with somebody who says nothing: the request does not go out."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        set_model(r, f"https://127.0.0.1:{silent.getsockname()[1]}")
        before = booked(r)
        c = Conn(server.raw())
        c.send("LLM.ASK", QUESTION, "MODEL", "given-up")
        there, _ = silent.accept()
        there.recv(1)  # the hello of TLS
        raw(r, "LLM.CANCEL", pairs(raw(r, "LLM.CALLS")[0])[b"id"])
        assert "cancelled" in str(c.read())
        c.close()
        there.close()
    assert more_than(r, before) == [1, 1, 0, 0, 0, 0]


def test_refused(r, mock):
    """A vendor that says no has charged nothing, and nor has one that is not there."""
    raw(r, "LLM.MODEL", "SET", "given-up", "PROVIDER", "openai", "URL", mock.url, "ID", "status=400", "RETRIES", 0, "PRICE", 2, 9)
    before = booked(r)
    assert error(r, "LLM.ASK", QUESTION, "MODEL", "given-up").startswith("INVALID")
    raw(r, "LLM.MODEL", "SET", "given-up", "PROVIDER", "openai", "URL", "http://127.0.0.1:1", "RETRIES", 0, "PRICE", 2, 9)
    assert error(r, "LLM.ASK", QUESTION, "MODEL", "given-up").startswith("UPSTREAM")
    calls_end(r)
    assert more_than(r, before) == [2, 2, 0, 0, 0, 0]
