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
from chaos import answer_of
from chaos_clients import Note
from mock import Mock
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
    end = time.monotonic() + 60
    while good.call("LLM.CALLS"):
        assert time.monotonic() < end, "calls are left over"
        time.sleep(0.01)


def wholes(entries):
    return [e for e in entries if e["whole"]]


def judge(notes, ledger, models=1):
    """What holds for every call, whoever asked it."""
    for n in notes:
        entries = ledger.get(n.tag, [])
        # A kept connection that ends before a byte came is tried anew by libcurl itself: it may just have grown old.
        counted = [e for e in entries if e["fault"] not in ("reset", "close", "never")]
        assert len(counted) <= (1 + RETRIES) * models and len(entries) <= 2 * (1 + RETRIES) * models, (n, entries)
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


def job(how, note, port, model, dice):
    vanish = None
    if dice.random() < 0.25:
        vanish = "at a piece" if note.kind == "stream" and dice.random() < 0.7 else "at once"
    return functools.partial(how, port, note, model, vanish)


def usage(good):
    """The sums of LLM.USAGE."""
    rows = good.call("LLM.USAGE")
    return dict(zip(rows[0][::2], rows[0][1::2])) if rows else {}


@pytest.mark.parametrize("door", ["resp", "http"])
def test_calls(server, good, vendor, door):
    set_model(good, vendor, "wild", "chaos,percent=45,seed=1")
    dice = random.Random(5)
    sessions = [f"s{i}" for i in range(40)]
    notes = list(questions(dice, sessions))
    how, port, expected = (clients.by_resp, server.port, CLASSES) if door == "resp" else (clients.by_http, server.http, STATUSES)
    asyncio.run(clients.in_lanes([job(how, n, port, "wild", dice) for n in notes], LANES))
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
    jobs = [functools.partial(clients.by_resp, server.port, n, "way", timeout=20000) if i % 2 else
            functools.partial(clients.by_http, server.http, n, "way", timeout=20000) for i, n in enumerate(notes)]
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


def test_an_answer_without_end_is_given_up(server, good, vendor):
    set_model(good, vendor, "huge", "chaos,only=huge", retries=0)
    assert str(good.call("LLM.ASK", "q-1 what?", "MODEL", "huge")).startswith("UPSTREAM")
    assert vendor.control("ledger")["q-1"][0]["fault"] == "huge"
    calls_end(good)
