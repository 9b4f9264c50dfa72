"""Thousands of calls through a vendor to whom everything happens, by clients of whom many vanish: every call ends once,
answers are whole and their own, sessions have no torn turn, counts are exact, and nothing is left over.

CHAOS_CALLS says how many calls a test makes (default 2,000)."""

import asyncio
import functools
import json
import os
import random
import time
from decimal import Decimal

import chaos_clients as clients
import pytest
from chaos import answer_of, misfortune, vectors_of
from chaos_clients import Note
from mock import Mock
from provider import parse
from resp import Conn
from skald import SLOW, free_port

pytestmark = pytest.mark.threads
CALLS = int(os.environ.get("CHAOS_CALLS", 300 if SLOW else 2000))
LANES = 150
RETRIES = 2
CLASSES = {"UPSTREAM", "QUOTA"}
STATUSES = {"429", "502", "503", "504", "MID"}  # MID: an error event in a stream that had begun
NO_BREAKER = ["--llm-breaker-calls", "1000000", "--llm-breaker-failures", "1000000"]


@pytest.fixture
def vendor():
    m = Mock("chaos.py")
    yield m
    m.stop()


@pytest.fixture
def server(fresh, request):
    s = fresh("--llm-max-calls", "100000", "--llm-retry-pause", "20", start=False)
    s.http = free_port()
    s.args += ["--http-port", str(s.http), *getattr(request, "param", NO_BREAKER)]
    s.start()
    yield s
    assert s.proc.poll() is None, s.log_text()[-2000:]
    s.stop()  # asserts a clean end


@pytest.fixture
def good(server):
    c = Conn(server.raw())
    yield c
    c.close()


def set_model(good, vendor, name, behaviour, *more, retries=RETRIES):
    assert good.call("LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", vendor.url, "ID", behaviour, "RETRIES", retries, *more) == "OK"


def calls_end(good):
    end = time.monotonic() + 120
    while good.call("LLM.CALLS"):
        assert time.monotonic() < end, "calls are left over"
        time.sleep(0.01)


def wholes(entries):
    return [e for e in entries if e["whole"]]


def judge(notes, ledger, models=1):
    """What holds for every call, whoever asked it."""
    for n in notes:
        entries = ledger.get(n.tag, [])
        assert len(entries) <= (1 + RETRIES) * models, (n, entries)
        assert len(wholes(entries)) <= 1, (n, entries)  # an answer that came was not asked for again
        assert not entries or not wholes(entries[:-1])
        spoken = [e for e in entries if e["stream"] and e["pieces"] > 1]
        assert len(spoken) <= 1 and (not spoken or spoken[0] is entries[-1]), (n, entries)  # nothing after the first piece
        if n.replies == 0:
            continue  # it vanished
        assert n.replies == 1
        if n.answer is not None:
            assert wholes(entries) and n.answer == entries[-1]["text"], (n, entries)
            if n.pieces:
                assert "".join(n.pieces) == n.answer
            if n.meta and entries[-1]["fault"] != "lost-usage":
                usage = entries[-1]["usage"]
                assert (n.meta[b"tokens-in"], n.meta[b"tokens-out"]) == (usage["prompt_tokens"], usage["completion_tokens"]), n
        else:
            assert not wholes(entries), (n, entries)  # no answer was lost
            if n.pieces:
                assert entries[-1]["text"].startswith("".join(n.pieces)), (n, entries)


def judge_session(good, name, notes):
    """Questions and answers in turn, each at most once, the answer belonging to its question, or a marked beginning of it."""
    messages = [dict(zip(m[::2], m[1::2])) for m in good.call("SESSION.MESSAGES", name, "WITHMETA") or []]
    by_tag = {n.tag: n for n in notes if n.session == name}
    assert [m[b"role"] for m in messages] == [b"user", b"assistant"] * (len(messages) // 2), (name, messages)
    seen = set()
    for q, a in zip(messages[::2], messages[1::2]):
        tag = q[b"content"].decode().split()[0]
        assert tag not in seen and tag in by_tag, (name, tag)
        seen.add(tag)
        text, partial = a[b"content"].decode(), b"meta" in a and json.loads(a[b"meta"]).get("partial")
        full = answer_of(tag)[0]
        assert full.startswith(text) if partial else text == full, (name, tag, text)
        if by_tag[tag].answer is not None:
            assert not partial
    answered = {n.tag for n in by_tag.values() if n.answer is not None}
    assert answered <= seen, answered - seen


def questions(dice, sessions=()):
    """One note for each call, of all kinds."""
    for i in range(CALLS):
        kind = dice.choice(["plain", "meta", "stream", "stream"])
        yield Note(f"q-{i}", kind, dice.choice(sessions) if sessions and dice.random() < 0.4 else None)


def meets_never(note, behaviour):
    """Such a call is to run out of time; all others have plenty, whatever the machine."""
    return any(misfortune(parse(behaviour), note.tag, n, note.kind == "stream") == "never" for n in range(1 + RETRIES))


def job(how, note, port, model, dice, timeout):
    vanish = None
    if dice.random() < 0.25:
        vanish = "at a piece" if note.kind == "stream" and dice.random() < 0.7 else "at once"
    return functools.partial(how, port, note, model, vanish, timeout)


def usage(good):
    """The sums of LLM.USAGE."""
    rows = good.call("LLM.USAGE")
    return dict(zip(rows[0][::2], rows[0][1::2])) if rows else {}


@pytest.mark.parametrize("door", ["resp", "http"])
def test_calls(server, good, vendor, door):
    behaviour = "chaos,percent=45,seed=1"
    set_model(good, vendor, "wild", behaviour)
    dice = random.Random(5)
    sessions = [f"s{i}" for i in range(40)]
    notes = list(questions(dice, sessions))
    how, port, expected = (clients.by_resp, server.port, CLASSES) if door == "resp" else (clients.by_http, server.http, STATUSES)
    jobs = [job(how, n, port, "wild", dice, 4000 if meets_never(n, behaviour) else 60000) for n in notes]
    asyncio.run(clients.in_lanes(jobs, LANES))
    calls_end(good)
    judge(notes, vendor.control("ledger"))
    for s in sessions:
        judge_session(good, s, notes)
    stayed = [n for n in notes if n.replies]
    assert {n.error.split()[0] for n in stayed if n.error} <= expected
    assert sum(n.answer is not None for n in stayed) > len(stayed) * 0.6
    set_model(good, vendor, "calm", "calm")
    assert good.call("LLM.ASK", "q-end what?", "MODEL", "calm") == answer_of("q-end")[0].encode()


@pytest.mark.parametrize("server", [[]], indirect=True, scope="function")
def test_a_route_counts_to_the_token(server, good, vendor):
    """Three models, of which the last is well; limits that make calls wait, a budget, both doors; everybody stays."""
    prices, limits = {"first": (3, 15), "second": (1, 2), "third": (0.25, 0.5)}, ["CONCURRENCY", "40"]
    for name, behaviour in (("first", "chaos,percent=60,seed=2,clean"), ("second", "chaos,percent=30,seed=3,clean"), ("third", "calm")):
        set_model(good, vendor, name, behaviour, "PRICE", *map(str, prices[name]), *limits)
    good.call("LLM.ROUTE", "SET", "way", "STRATEGY", "WEIGHTED", "MODELS", "first", "WEIGHT", "5", "second", "WEIGHT", "5", "third", "WEIGHT", "2")
    assert good.call("LLM.LIMIT", "SET", "USER", "default", "BUDGET", "1000", "PER", "TOTAL") == "OK"
    dice = random.Random(6)
    notes = list(questions(dice, ["a", "b", "c"]))
    jobs = [functools.partial(clients.by_resp, server.port, n, "way", timeout=300000) if i % 2 else
            functools.partial(clients.by_http, server.http, n, "way", timeout=300000) for i, n in enumerate(notes)]
    asyncio.run(clients.in_lanes(jobs, LANES))
    calls_end(good)
    ledger = vendor.control("ledger")
    judge(notes, ledger, models=3)
    for s in ("a", "b", "c"):
        judge_session(good, s, notes)
    assert sum(n.answer is not None for n in notes) == len(notes), [n for n in notes if n.error][:3]

    names = {"chaos,percent=60,seed=2,clean": "first", "chaos,percent=30,seed=3,clean": "second", "calm": "third"}
    told = [(names[e["model"]], e["usage"]) for entries in ledger.values() for e in entries if e["whole"]]
    spent = sum((Decimal(str(prices[m][0])) * u["prompt_tokens"] + Decimal(str(prices[m][1])) * u["completion_tokens"]) / 1000000 for m, u in told)
    sums = usage(good)
    assert len(told) == len(notes) and {m for m, _ in told} == set(prices)
    assert (sums[b"tokens-in"], sums[b"tokens-out"]) == (sum(u["prompt_tokens"] for _, u in told), sum(u["completion_tokens"] for _, u in told))
    assert sums[b"calls"] - sums[b"failed"] == len(notes) and Decimal(sums[b"cost"].decode()) == spent
    limit = good.call("LLM.LIMIT", "GET", "USER", "default")
    limit = dict(zip(limit[::2], limit[1::2]))
    assert Decimal(limit[b"budget-left"].decode()) == 1000 - spent


def test_embeddings(server, good, vendor):
    """By both doors; everybody stays: the vectors are those of the texts, in their order, and counted once."""
    set_model(good, vendor, "vectors", "chaos,percent=45,seed=4,clean", "KIND", "EMBED")
    notes = [Note(f"q-{i}", "embed") for i in range(CALLS // 3)]
    texts = [[f"{n.tag} is text {k}" for k in range(1 + i % 5)] for i, n in enumerate(notes)]
    jobs = [functools.partial(clients.embed_by_resp, server.port, n, "vectors", t) if i % 2 else
            functools.partial(clients.embed_by_http, server.http, n, "vectors", t) for i, (n, t) in enumerate(zip(notes, texts))]
    asyncio.run(clients.in_lanes(jobs, LANES))
    calls_end(good)
    ledger = vendor.control("ledger")
    judge(notes, ledger)
    assert all(n.answer == vectors_of(t) for n, t in zip(notes, texts) if n.answer is not None)
    assert {n.error.split()[0] for n in notes if n.error} <= CLASSES | STATUSES
    told = [e["usage"]["prompt_tokens"] for entries in ledger.values() for e in wholes(entries)]
    sums = usage(good)
    assert len(told) == sum(n.answer is not None for n in notes) == sums[b"calls"] - sums[b"failed"] > len(notes) * 0.6
    assert (sums[b"tokens-in"], sums[b"tokens-out"]) == (sum(told), 0)


@pytest.mark.parametrize("door", ["resp", "http"])
def test_a_token_is_one_call(server, good, vendor, door):
    """Many ask at once with the same token, and again when it failed: one of them pays, all are told the same."""
    set_model(good, vendor, "wild", "chaos,percent=55,seed=7,clean", "PRICE", "1", "2", retries=0)
    how, port, expected = (clients.by_resp, server.port, CLASSES) if door == "resp" else (clients.by_http, server.http, STATUSES)
    kinds = ["plain", "stream", "meta"] if door == "resp" else ["plain", "stream"]  # a stream is another request
    notes = [Note(f"q-{i}", kinds[i % len(kinds)]) for i in range(CALLS // 10) for _ in range(6)]
    met = []

    async def ask(note):
        met.extend(await clients.until_answered(how, port, note, "wild", f"token of {note.tag}"))

    asyncio.run(clients.in_lanes([functools.partial(ask, n) for n in notes], LANES))
    calls_end(good)
    ledger = vendor.control("ledger")
    assert all(len(wholes(entries)) == 1 and entries[-1]["whole"] for entries in ledger.values())
    for n in notes:
        assert n.answer == answer_of(n.tag)[0] and (not n.pieces or "".join(n.pieces) == n.answer), n
    assert met and set(met) <= expected
    told, sums = [answer_of(tag)[1] for tag in ledger], usage(good)
    tokens_in, tokens_out = sum(u["prompt_tokens"] for u in told), sum(u["completion_tokens"] for u in told)
    assert sums[b"calls"] - sums[b"failed"] == len(ledger) == CALLS // 10
    assert (sums[b"tokens-in"], sums[b"tokens-out"]) == (tokens_in, tokens_out)
    assert Decimal(sums[b"cost"].decode()) == Decimal(tokens_in + 2 * tokens_out) / 1000000


def minutes(good, begin):
    """How many times a limit per minute may have been taken since then: by the server's clock, and a second for its parts."""
    return (int(good.call("TIME")[0]) + 1 - begin) // 60 + 1


@pytest.mark.parametrize("limit, most", [("RPM", 120), ("TPM", 6000)])
def test_what_a_minute_may_take_is_not_exceeded(server, good, vendor, limit, most):
    """Everybody asks until nothing is given within the time that they wait; the storm that begins tells the first ones 429,
    which counts as a request, and is tried again."""
    set_model(good, vendor, "limited", "chaos,percent=0", limit, most)
    text, ends, begin = "and " * 120, [], int(good.call("TIME")[0])  # taken for more tokens than the vendor says that it is
    lanes = [functools.partial(clients.until_refused, server.port, n, "limited", text, 2000, ends) for n in range(40)]
    asyncio.run(clients.in_lanes(lanes, len(lanes)))
    calls_end(good)
    entries = [e for entries in vendor.control("ledger").values() for e in entries]
    taken = len(entries) if limit == "RPM" else sum(e["usage"]["total_tokens"] for e in entries if e["whole"])
    assert most / 4 < taken <= most * minutes(good, begin)
    assert ends == ["QUOTA"] * len(lanes) and {"rate", None} == {e["fault"] for e in entries}


def test_an_answer_without_end_is_given_up(server, good, vendor):
    set_model(good, vendor, "huge", "chaos,only=huge", retries=0)
    assert str(good.call("LLM.ASK", "q-1 what?", "MODEL", "huge")).startswith("UPSTREAM")
    assert vendor.control("ledger")["q-1"][0]["fault"] == "huge"
    calls_end(good)
