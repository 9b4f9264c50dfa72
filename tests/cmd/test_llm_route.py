"""Routes over the wire: order, fail-over, fallback, versions, what survives; breakers, keys and limits as LLM.MODEL GET shows them."""

import json
import time

import pytest
from helpers import error, raw
from resp import Conn

pytestmark = pytest.mark.threads


@pytest.fixture
def model(r, mock):
    """model("a", "words=5", "RETRIES", 0) registers a model of that behaviour."""
    made = []

    def make(name, behaviour, *more):
        raw(r, "LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", mock.url, "ID", behaviour, *more)
        made.append(name)
        return name

    yield make
    for name in made:
        raw(r, "LLM.MODEL", "DEL", name)


@pytest.fixture
def route(r):
    made = []

    def make(name, strategy, *more):
        made.append(name)
        return raw(r, "LLM.ROUTE", "SET", name, "STRATEGY", strategy, "MODELS", *more)

    yield make
    for name in set(made):
        raw(r, "LLM.ROUTE", "DEL", name)


def as_map(reply):
    return dict(zip(reply[::2], reply[1::2]))


def ask(r, name, *more):
    return as_map(raw(r, "LLM.ASK", "hello", "MODEL", name, "WITHMETA", *more))


def state(r, name):
    return as_map(raw(r, "LLM.MODEL", "GET", name))


@pytest.mark.parametrize("behaviour", ["status=500", "status=429", "status=401", "status=402", "garbage", "error200", "reset=0"])
def test_fail_over_to_the_next_model(r, model, route, behaviour):
    model("bad", behaviour, "RETRIES", 1)
    model("good", "words=2")
    route("both", "PRIORITY", "bad", "good")
    for stream in ((), ("STREAM",)):
        got = ask(r, "both", *stream)
        assert got[b"text"] == b"word0 word1" and got[b"model"] == b"good"


def test_not_after_the_first_piece_and_not_for_bad_requests(r, model, route):
    model("half", "words=9,drip=1,cut=3", "RETRIES", 2)
    model("picky", "status=400")
    model("good", "words=2")
    route("a", "PRIORITY", "half", "good")
    route("b", "PRIORITY", "picky", "good")
    assert error(r, "LLM.ASK", "hello", "MODEL", "a", "STREAM").startswith("UPSTREAM")
    assert error(r, "LLM.ASK", "hello", "MODEL", "b").startswith("INVALID")


def test_fallback_text_is_marked(r, model, route):
    model("bad", "status=500", "RETRIES", 0)
    route("both", "PRIORITY", "bad", "nowhere", "FALLBACK", "Nobody is there.")
    assert raw(r, "LLM.ASK", "hello", "MODEL", "both") == b"Nobody is there."
    got = ask(r, "both")
    assert got[b"text"] == b"Nobody is there." and got[b"finish"] == b"stop"
    route("none", "PRIORITY", "nowhere", "FALLBACK", "Nothing here.")
    assert raw(r, "LLM.ASK", "hello", "MODEL", "none") == b"Nothing here."
    route("plain", "PRIORITY", "nowhere")
    assert error(r, "LLM.ASK", "hello", "MODEL", "plain").startswith("STATE")


def test_cheapest_and_best(r, model, route):
    model("dear", "words=1", "PRICE", 10, 30)
    model("cheap", "words=2", "PRICE", "0.1", "0.3")
    model("unknown", "words=3")
    route("c", "CHEAPEST", "unknown", "dear", "cheap")
    assert ask(r, "c")[b"model"] == b"cheap"
    route("b", "BEST", "cheap", "QUALITY", "0.5", "dear", "QUALITY", "0.9", "unknown", "QUALITY", "0.99", "CEILING", 40)
    assert ask(r, "b")[b"model"] == b"dear"
    route("b", "BEST", "cheap", "QUALITY", "0.5", "dear", "QUALITY", "0.9", "CEILING", 39)
    assert ask(r, "b")[b"model"] == b"cheap"
    route("b", "BEST", "cheap", "QUALITY", "0.5", "CEILING", "0.1")
    assert error(r, "LLM.ASK", "x", "MODEL", "b") == "STATE no model of route 'b' is known to cost less than its CEILING"


def test_versions_and_rollback(r, model, route):
    model("one", "words=1")
    model("two", "words=2")
    assert route("v", "PRIORITY", "one") == 1
    assert route("v", "PRIORITY", "two") == 2
    assert raw(r, "LLM.ASK", "x", "MODEL", "v") == b"word0 word1"
    assert raw(r, "LLM.ROUTE", "ROLLBACK", "v") == 3
    assert raw(r, "LLM.ASK", "x", "MODEL", "v") == b"word0"
    assert raw(r, "LLM.ROUTE", "ROLLBACK", "v", 2) == 4
    history = [as_map(x) for x in raw(r, "LLM.ROUTE", "HISTORY", "v")]
    assert [x[b"version"] for x in history] == [4, 3, 2, 1]
    assert [as_map(x[b"models"][0])[b"model"] for x in history] == [b"two", b"one", b"two", b"one"]
    assert error(r, "LLM.ROUTE", "ROLLBACK", "v", 9).startswith("STATE")
    assert error(r, "LLM.ROUTE", "ROLLBACK", "v", 0).startswith("INVALID")


def test_routes_and_models_share_their_names(r, model, route):
    model("taken", "words=1")
    assert error(r, "LLM.ROUTE", "SET", "taken", "STRATEGY", "PRIORITY", "MODELS", "taken").startswith("STATE")
    route("mine", "PRIORITY", "taken")
    assert error(r, "LLM.MODEL", "SET", "mine", "PROVIDER", "openai").startswith("STATE")


def test_sessions_stick(r, model, route):
    for n in "abc":
        model(n, "words=1")
    route("s", "WEIGHTED", "a", "b", "c", "STICKY", "SESSION")
    for i in range(12):
        raw(r, "SESSION.CREATE", f"s{i}", "MODEL", "s")
        seen = {as_map(raw(r, "LLM.CHAT", f"s{i}", "hi", "WITHMETA"))[b"model"] for _ in range(4)}
        assert len(seen) == 1


def test_keys_are_rotated_and_rest(r, model, mock):
    model("k", "badkey=old", "KEY", "old", "KEY", "new")
    mock.control("reset", "")
    for _ in range(4):
        assert raw(r, "LLM.ASK", "hello", "MODEL", "k") == b"echo: hello"
    sent = [x["headers"]["authorization"] for x in mock.requests()]
    assert sent.count("Bearer old") == 1 and sent.count("Bearer new") == 4
    assert state(r, "k")[b"keys-resting"] == 1
    model("dead", "badkey=old", "KEY", "old")
    assert error(r, "LLM.ASK", "hello", "MODEL", "dead").startswith("UPSTREAM")
    text = error(r, "LLM.ASK", "hello", "MODEL", "dead")
    assert text.startswith("UPSTREAM") and "no key" in text
    assert error(r, "LLM.MODEL", "CHECK", "dead").startswith("UPSTREAM the provider refused")  # a check asks all the same


def test_a_breaker_opens_and_a_check_closes_it(r, model, mock):
    model("b", "failfirst=5", "RETRIES", 0)
    mock.control("reset", "")
    for _ in range(5):
        assert error(r, "LLM.ASK", "hello", "MODEL", "b").startswith("UPSTREAM")
    assert state(r, "b")[b"breaker"] == b"open"
    assert error(r, "LLM.ASK", "hello", "MODEL", "b").startswith("QUOTA")
    raw(r, "LLM.MODEL", "CHECK", "b")
    assert state(r, "b")[b"breaker"] == b"closed"
    assert raw(r, "LLM.ASK", "hello", "MODEL", "b") == b"echo: hello"


def states(r):
    return [as_map(x)[b"state"] for x in raw(r, "LLM.CALLS")]


def test_calls_wait_for_a_place(server, r, model, mock):
    model("q", "words=3,hold", "CONCURRENCY", 1)
    mock.hold()
    conns = [Conn(server.raw()) for _ in range(5)]
    for c in conns:
        c.send("LLM.ASK", "hello", "MODEL", "q", "STREAM")
    while len(now := states(r)) < len(conns):
        time.sleep(0.005)
    assert now.count(b"queued") == len(conns) - 1
    mock.release()
    while now := states(r):
        assert len([s for s in now if s != b"queued"]) <= 1
    for c in conns:
        assert c.read() == b"word0 word1 word2"
        c.close()


def test_a_deadline_in_the_queue(server, r, model):
    model("q", "never", "CONCURRENCY", 1)
    c = Conn(server.raw())
    c.send("LLM.ASK", "hello", "MODEL", "q")
    while not raw(r, "LLM.CALLS"):
        time.sleep(0.01)
    assert error(r, "LLM.ASK", "hello", "MODEL", "q", "TIMEOUT", 50).startswith("QUOTA")
    c.close()


def test_embeddings_above_a_vendors_batch(r, mock):
    raw(r, "LLM.MODEL", "SET", "tei", "PROVIDER", "tei", "URL", mock.url, "ID", "dims=2", "KIND", "EMBED")
    mock.control("reset", "")
    texts = ["x" * (i + 1) for i in range(70)]
    got = raw(r, "LLM.EMBED", "MODEL", "tei", *texts)
    assert [int(float(v[1])) for v in got] == [len(t) for t in texts]
    sent = [json.loads(x["body"]) for x in mock.requests()]
    assert sorted(len(x["input"]) for x in sent) == [6, 32, 32]  # side by side: who comes first is chance
    raw(r, "LLM.MODEL", "DEL", "tei")


def test_what_info_says(r, model):
    model("i", "words=1")
    raw(r, "LLM.ASK", "hello", "MODEL", "i")
    line = r.info("models")["model_i"]
    assert line["breaker"] == "closed" and line["attempts"] == 1 and line["in_flight"] == 0


def test_routes_survive(fresh, mock):
    s = fresh("--appendonly", "yes", "--appendfsync", "always")
    r = s.client(decode_responses=False)
    raw(r, "LLM.MODEL", "SET", "m", "PROVIDER", "openai", "URL", mock.url, "ID", "words=2", "KEY", "a", "KEY", "b", "RETRIES", 0)
    raw(r, "LLM.ROUTE", "SET", "x", "STRATEGY", "PRIORITY", "MODELS", "m", "FALLBACK", "two\nlines")
    raw(r, "LLM.ROUTE", "SET", "x", "STRATEGY", "BEST", "MODELS", "m", "QUALITY", "0.25", "n", "CEILING", "1.5")
    raw(r, "LLM.ROUTE", "ROLLBACK", "x")
    raw(r, "LLM.ROUTE", "SET", "y", "STRATEGY", "FASTEST", "MODELS", "m")
    raw(r, "LLM.ROUTE", "DEL", "y")
    before = raw(r, "LLM.ROUTE", "HISTORY", "x")
    for compact in (False, True):
        if compact:
            raw(r, "BGREWRITEAOF")
            while r.info("persistence")["aof_rewrite_in_progress"]:
                time.sleep(0.02)
        s.kill9()
        s.start()
        r = s.client(decode_responses=False)
        assert raw(r, "LLM.ROUTE", "LIST") == [b"x"]
        assert raw(r, "LLM.ROUTE", "HISTORY", "x") == before
        assert state(r, "m")[b"keys"] == 2 and state(r, "m")[b"retries"] == b"0"
        assert raw(r, "LLM.ASK", "x", "MODEL", "x") == b"word0 word1"
    assert json.dumps(str(raw(r, "LLM.MODEL", "GET", "m"))).count("(set)") == 2
