"""Limits, budgets and usage over the wire: what is refused, what is counted, and that it survives kill -9."""

import glob
import os
import threading

import pytest
import redis
from helpers import error, raw
from resp import encode

SPENT = ["2026-03-05", "gpt", "bob", 3, 1, 100, 50, 10, 2500000000000, 1, 0]


@pytest.fixture
def journaled(fresh):
    return fresh("--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0")


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def limit(c, user):
    return pairs(raw(c, "LLM.LIMIT", "GET", "USER", user))


def usage(c, *options):
    return [pairs(row) for row in raw(c, "LLM.USAGE", *options)]


def set_model(c, mock, name, behaviour, *more):
    raw(c, "LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", mock.url, "ID", behaviour, "RETRIES", 0, *more)


def append(server, *commands):
    """Puts commands into the stopped server's journal."""
    path = sorted(glob.glob(os.path.join(server.dir, "appendonlydir", "*.incr.aof")))[-1]
    with open(path, "ab") as f:
        for c in commands:
            f.write(encode(*c))


def test_limits_replace_each_other(t):
    raw(t, "LLM.LIMIT", "SET", "USER", "ann", "RPM", 5, "BUDGET", "1.25", "PER", "MONTH")
    shown = limit(t, "ann")
    assert (shown["rpm"], shown["budget"], shown["budget-per"], shown["budget-left"]) == (5, "1.25", "MONTH", "1.25")
    raw(t, "LLM.LIMIT", "SET", "USER", "ann", "TPM", 7)
    shown = limit(t, "ann")
    assert (shown["rpm"], shown["tpm"]) == (0, 7) and "budget" not in shown
    assert raw(t, "LLM.LIMIT", "LIST") == ["ann"]
    raw(t, "LLM.LIMIT", "DEL", "USER", "ann")
    assert raw(t, "LLM.LIMIT", "LIST") == []
    for words in (["RPM"], ["RPM", "-1"], ["PER", "DAY"], ["BUDGET", "1e3"], ["COLOUR", "red"]):
        assert error(t, "LLM.LIMIT", "SET", "USER", "ann", *words).startswith("INVALID")
    assert error(t, "LLM.LIMIT", "SET", "USER", "", "RPM", 1).startswith("INVALID")
    assert error(t, "LLM.LIMIT", "RESET", "USER", "stranger").startswith("STATE")


def test_prices_and_budgets_of_models(t):
    raw(t, "LLM.MODEL", "SET", "gpt", "PROVIDER", "openai", "PRICE", "0.150", "0.6", "CACHED", "0.075", "BUDGET", "5",
        "PER", "day")
    shown = pairs(raw(t, "LLM.MODEL", "GET", "gpt"))
    assert (shown["price_in"], shown["price_out"], shown["price_cached"]) == ("0.15", "0.6", "0.075")
    assert (shown["budget"], shown["budget_per"]) == ("5", "DAY")
    for words in (["PRICE", "1"], ["PRICE", "1", "0.0000001"], ["CACHED", "1"], ["PER", "DAY"], ["BUDGET", "-1"]):
        assert error(t, "LLM.MODEL", "SET", "gpt", "PROVIDER", "openai", *words).startswith("INVALID")
    raw(t, "LLM.MODEL", "DEL", "gpt")


def test_only_the_journal_may_say_what_was_spent(t):
    for command in (["LLM.SPENT", "ADD", *SPENT], ["LLM.KEPT", "a", "b", 1]):
        assert error(t, *command).startswith("STATE")
        assert "no such" not in error(t, "EVAL", "return redis.call(unpack(ARGV))", 0, *command)
        raw(t, "MULTI")
        assert error(t, *command)
        raw(t, "DISCARD")
    assert raw(t, "LLM.USAGE") == []


def check_spent(c):
    bob = limit(c, "bob")
    assert bob["rpm"] == 9 and bob["budget"] == "10" and bob["spent-total"] == "5"
    assert bob["budget-left"] == "5"
    rows = usage(c, "BY", "MODEL")
    assert [r["model"] for r in rows] == ["gpt"]
    assert (rows[0]["calls"], rows[0]["failed"], rows[0]["tokens-in"], rows[0]["cost"]) == (6, 2, 200, "5")
    assert float(rows[0]["estimated"]) == pytest.approx(1 / 3)
    assert [r["day"] for r in usage(c, "BY", "DAY")] == ["2026-03-05", "2026-03-06"]
    assert usage(c, "BY", "USER", "FROM", "2026-03-06", "TO", "1772841599")[0]["calls"] == 3
    assert usage(c)[0]["tokens-cached"] == 20
    assert limit(c, "eve")["spent-total"] == "0"


def test_what_was_spent_survives(journaled):
    c = journaled.client()
    raw(c, "LLM.LIMIT", "SET", "USER", "bob", "RPM", 9, "BUDGET", 10)
    raw(c, "LLM.LIMIT", "SET", "USER", "eve", "CONCURRENCY", 1)
    raw(c, "LLM.LIMIT", "SET", "USER", "gone", "RPM", 1)
    raw(c, "LLM.LIMIT", "DEL", "USER", "gone")
    journaled.kill9()
    append(journaled, ["LLM.SPENT", "ADD", *SPENT], ["LLM.SPENT", "ADD", "2026-03-06", *SPENT[1:]])
    journaled.start()
    c = journaled.client()
    check_spent(c)
    for _ in range(2):  # as it was appended, then as it was compacted
        raw(c, "DEBUG", "LOADAOF")
        check_spent(c)
        raw(c, "BGREWRITEAOF")
        while c.info("persistence")["aof_rewrite_in_progress"]:
            pass
        journaled.kill9()
        journaled.start()
        c = journaled.client()
        check_spent(c)
    assert raw(c, "LLM.LIMIT", "LIST") == ["bob", "eve"]
    raw(c, "LLM.LIMIT", "RESET", "USER", "bob")
    journaled.kill9()
    journaled.start()
    c = journaled.client()
    assert limit(c, "bob")["spent-total"] == "0" and usage(c)[0]["cost"] == "5"


def test_a_kept_answer_survives(journaled):
    c = journaled.client()
    c.set("k", 1)
    journaled.kill9()
    now = "9999999999999"
    append(journaled, ["LLM.KEPT", "a" * 64, "b" * 64, now, "TEXT", "hello", "MODEL", "m", "IN", 3])
    journaled.start()
    c = journaled.client()
    assert c.info("models")["llm_idempotency_kept"] == 1
    raw(c, "BGREWRITEAOF")
    while c.info("persistence")["aof_rewrite_in_progress"]:
        pass
    journaled.kill9()
    journaled.start()
    assert journaled.client().info("models")["llm_idempotency_kept"] == 1


def test_calls_are_counted_and_priced(fresh, mock):
    c = fresh().client()
    set_model(c, mock, "priced", "words=5", "PRICE", "1", "2")
    set_model(c, mock, "broken", "status=500", "PRICE", "1", "2")
    set_model(c, mock, "unknown", "words=2,nousage")
    raw(c, "LLM.ASK", "hello", "MODEL", "priced")
    raw(c, "LLM.CHAT", "s", "hello", "MODEL", "priced")
    assert error(c, "LLM.ASK", "hello", "MODEL", "broken").startswith("UPSTREAM")
    raw(c, "LLM.ASK", "hello", "MODEL", "unknown")
    rows = {r["model"]: r for r in usage(c, "BY", "MODEL")}
    assert (rows["priced"]["calls"], rows["priced"]["tokens-in"], rows["priced"]["tokens-out"]) == (2, 14, 10)
    assert rows["priced"]["cost"] == "0.000034"  # 14 at 1 and 10 at 2 for a million
    assert (rows["broken"]["failed"], rows["broken"]["cost"]) == (1, "0")
    assert (rows["unknown"]["unpriced"], rows["unknown"]["cost"], float(rows["unknown"]["estimated"])) == (1, "0", 1)
    assert c.info("models")["llm_spent"] == 0.000034


def test_a_budget_refuses(fresh, mock):
    c = fresh().client()
    set_model(c, mock, "m", "words=5", "PRICE", "1", "1", "BUDGET", "0.00005", "PER", "DAY")
    assert error(c, "LLM.ASK", "hello", "MODEL", "m", "MAX-TOKENS", 900).startswith("QUOTA")
    assert raw(c, "LLM.ASK", "hello", "MODEL", "m", "MAX-TOKENS", 5) == "word0 word1 word2 word3 word4"
    set_model(c, mock, "m", "words=5", "BUDGET", "5")
    assert error(c, "LLM.ASK", "hello", "MODEL", "m").startswith("STATE")
    c.config_set("llm-budget-unpriced", "yes")
    raw(c, "LLM.ASK", "hello", "MODEL", "m")
    assert c.info("models")["llm_budget_refused"] >= 1


def test_a_budget_is_exact_whoever_asks_at_once(fresh, mock):
    """50 tokens at 5 a call: ten calls of thirty, however they meet."""
    server = fresh()
    c = server.client()
    set_model(c, mock, "m", "words=5,delay=10", "PRICE", "0", "1")
    raw(c, "LLM.LIMIT", "SET", "USER", "default", "BUDGET", "0.00005")
    ends = []

    def ask():
        own = server.client()
        for _ in range(5):
            try:
                ends.append(raw(own, "LLM.ASK", "hello", "MODEL", "m", "MAX-TOKENS", 5))
            except redis.ResponseError as e:
                ends.append(str(e).split()[0])

    askers = [threading.Thread(target=ask) for _ in range(6)]
    for a in askers:
        a.start()
    for a in askers:
        a.join()
    assert sorted(set(ends)) == ["QUOTA", "word0 word1 word2 word3 word4"]
    assert (ends.count("QUOTA"), len(ends)) == (20, 30)
    shown = limit(c, "default")
    assert (shown["spent-total"], shown["budget-left"], shown["reserved"], shown["running"]) == ("0.00005", "0", "0", 0)
    assert usage(c, "BY", "USER")[0]["tokens-out"] == 50


def test_an_answer_is_given_again_after_a_crash(journaled, mock):
    c = journaled.client()
    set_model(c, mock, "m", "words=3", "PRICE", "1", "1")
    ask = ["LLM.CHAT", "s", "hello", "MODEL", "m", "IDEMPOTENCY", "a token of mine"]
    assert raw(c, *ask) == "word0 word1 word2"
    journaled.kill9()
    with open(sorted(glob.glob(os.path.join(journaled.dir, "appendonlydir", "*.incr.aof")))[-1], "rb") as f:
        assert b"a token of mine" not in f.read()
    journaled.start()
    c = journaled.client()
    assert raw(c, *ask) == "word0 word1 word2"
    assert len(raw(c, "SESSION.MESSAGES", "s")) == 2
    assert usage(c)[0]["calls"] == 1
    assert error(c, "LLM.CHAT", "s", "bye", *ask[3:]).startswith("STATE")


def test_a_deleted_model_is_forgotten(t, mock):
    """What a model of the same name took before does not count against the new one, once its usage is not kept."""
    limits = ["PRICE", 1000, 1000, "BUDGET", "0.02", "PER", "TOTAL"]
    set_model(t, mock, "passing", "words=3", *limits)
    raw(t, "LLM.ASK", "hi", "MODEL", "passing", "MAX-TOKENS", 5)
    assert "budget" in error(t, "LLM.ASK", "hi", "MODEL", "passing", "MAX-TOKENS", 9)
    raw(t, "LLM.MODEL", "DEL", "passing")
    set_model(t, mock, "passing", "words=3", *limits)
    assert "budget" in error(t, "LLM.ASK", "hi", "MODEL", "passing", "MAX-TOKENS", 9)  # its usage is kept
    assert [row["model"] for row in usage(t, "BY", "MODEL")] == ["passing"]
