"""Fixtures of the tests that talk to models: a mock vendor, and models that point to it."""

import json
import time

import pytest
from helpers import raw


@pytest.fixture
def model(r, mock):
    """model("words=5,drip=10") registers a model of that behaviour and gives its name."""
    made = []

    def make(behaviour, *more, kind="CHAT"):
        name = f"m{len(made)}"
        raw(r, "LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", mock.url, "ID", behaviour, "KIND", kind, *more)
        made.append(name)
        return name

    yield make
    for name in made:
        raw(r, "LLM.MODEL", "DEL", name)


def pairs(flat):
    """A map as RESP2 has it."""
    return dict(zip(flat[::2], flat[1::2]))


def messages(r, key):
    """The messages of a session, each a dict with all it has."""
    return [pairs(m) for m in raw(r, "SESSION.MESSAGES", key, "WITHMETA")]


def sent(mock):
    """The body of the last request that the vendor got."""
    return json.loads(mock.requests()[-1]["body"])


def calls_end(r):
    while raw(r, "LLM.CALLS"):
        time.sleep(0.005)
