"""A vendor that reads a request on a kept connection and answers nothing: it may have done the work, so it is asked again by
our own retries only, which are counted."""

import pytest
from chaos import answer_of
from mock import Mock
from resp import Conn


@pytest.fixture
def vendor():
    m = Mock("chaos.py")
    yield m
    m.stop()


@pytest.fixture
def good(fresh):
    c = Conn(fresh("--llm-retry-pause", "20").raw())
    yield c
    c.close()


def usage(good):
    rows = good.call("LLM.USAGE")
    return dict(zip(rows[0][::2], rows[0][1::2]))


@pytest.mark.parametrize("fault", ["close", "reset"])
def test_a_kept_connection_that_dies_is_one_attempt(good, vendor, fault):
    for name, behaviour, retries in (("calm", "calm", 0), ("once", f"chaos,only={fault}", 0), ("thrice", f"chaos,only={fault}", 2)):
        assert good.call("LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", vendor.url, "ID", behaviour, "RETRIES", retries) == "OK"
    for name, attempts in (("once", 1), ("thrice", 3)):
        assert good.call("LLM.ASK", "q-0 what?", "MODEL", "calm") == answer_of("q-0")[0].encode()  # leaves a connection
        error = str(good.call("LLM.ASK", f"q-{name} what?", "MODEL", name, "WITHMETA"))
        assert error.startswith("UPSTREAM") and f"attempts {attempts}" in error, error
        assert len(vendor.control("ledger")[f"q-{name}"]) == attempts
    assert usage(good)[b"calls"] == 2 + 1 + 3
