"""A clean stop while calls to models are under way: what had come of an answer is in its session, marked; those who wait
are told; what was said is on disk."""

import http.client
import json
import signal

import pytest

from resp import Conn, Error
from test_http_disk import ANTHROPIC, OPENAI, Question, chat, held, messages, opened, pause, wait_for  # noqa: F401


def model(c, mock, name, behaviour, *more):
    c.execute_command("LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", mock.url, "ID", behaviour, "RETRIES", 0, *more)


def read_until(answer, what):
    got = b""
    while what not in got:
        piece = answer.read1(10000)
        assert piece, got
        got += piece
    return got


def stop_soon(server):
    """Told to stop; what holds it up is still there."""
    server.proc.send_signal(signal.SIGTERM)
    wait_for(lambda: "SIGTERM received" in server.log_text())


def ended(server):
    assert server.proc.wait(60) == 0, server.log_text()[-3000:]
    assert "ERROR: " not in server.log_text()


def partial(server, key):
    """The text of the answer that was cut off."""
    turn = server.client().execute_command("SESSION.MESSAGES", key, "WITHMETA")
    question, answer = [dict(zip(m[::2], m[1::2])) for m in turn]
    assert (question["role"], answer["role"]) == ("user", "assistant")
    assert json.loads(answer["meta"]) == {"partial": True, "reason": "shutdown"}
    return answer["content"]


@pytest.mark.parametrize("how", ["SIGTERM", "SHUTDOWN"])
def test_calls_end_and_their_texts_are_kept(opened, mock, how):
    server, c = opened()
    model(c, mock, "slow", "words=100000,drip=5", "TIMEOUT", 600000)
    model(c, mock, "never", "never", "TIMEOUT", 600000)
    model(c, mock, "one", "never", "TIMEOUT", 600000, "CONCURRENCY", 1)
    resp = Conn(server.raw())
    resp.call("HELLO", 3)
    resp.send("LLM.CHAT", "resp", "hello", "MODEL", "slow", "STREAM")
    waits = [Conn(server.raw()) for _ in range(3)]
    waits[0].send("LLM.CHAT", "other", "hello", "MODEL", "never")
    waits[1].send("LLM.ASK", "hello", "MODEL", "one")
    waits[2].send("LLM.ASK", "hello", "MODEL", "one")  # or this one waits for its place
    streams = [(path, Question(server, chat(True, model="slow"), path, x_skald_session=f"http{i}"))
               for i, path in enumerate([OPENAI, ANTHROPIC])]
    whole = [Question(server, chat(model="never"), path) for path in (OPENAI, ANTHROPIC)]
    answers = [(path, q.c.getresponse()) for path, q in streams]
    early = [read_until(a, b"word3 ") for _, a in answers]
    while "word3" not in str(resp.read()):
        pass
    wait_for(lambda: len(c.execute_command("LLM.CALLS")) == 8)
    if how == "SIGTERM":
        server.proc.send_signal(signal.SIGTERM)
    else:
        Conn(server.raw()).send("SHUTDOWN", "NOSAVE")
    for (path, a), said in zip(answers, early):
        said += a.read()
        last = said.decode().strip().split("\n\n")[-1]
        assert "shutting down" in last and "error" in last and b"[DONE]" not in said
    for q in whole:
        assert q.read().status in (503, 529) and b"shutting down" in q.data
        assert q.head["x-should-retry"] == "true"
    for w in waits:
        got = w.read()
        assert isinstance(got, Error) and str(got).startswith("STATE") and "shutting down" in str(got)
    while not isinstance(got := resp.read(), Error):
        pass
    assert "shutting down" in str(got)
    ended(server)
    server.start()
    for key in ("resp", "http0", "http1"):
        words = partial(server, key).split()
        assert words[:4] == ["word0", "word1", "word2", "word3"] and words == [f"word{i}" for i in range(len(words))]
    assert not server.client().exists("other")
    usage = server.client().execute_command("LLM.USAGE", "BY", "MODEL")
    rows = [dict(zip(r[::2], r[1::2])) for r in usage]
    assert sum(r["calls"] for r in rows if r["model"] == "slow") == 3


def test_a_call_in_parts_ends_whole(opened, mock):
    """Parts that run and parts that wait for a place, all of one call."""
    server, c = opened()
    c.execute_command("LLM.MODEL", "SET", "e", "PROVIDER", "tei", "URL", mock.url[:-3], "ID", "never", "KIND", "EMBED",
                      "RETRIES", 0, "TIMEOUT", 600000, "CONCURRENCY", 2)
    mock.control("reset", "")
    asked = [Question(server, {"model": "e", "input": ["text"] * 200}, "/v1/embeddings") for _ in range(2)]
    wait_for(lambda: len(mock.requests()) == 2)  # the others wait
    server.proc.send_signal(signal.SIGTERM)
    for q in asked:
        assert q.read().status == 503 and b"shutting down" in q.data
    ended(server)


def test_answers_that_wait_for_the_disk_leave_before_the_end(opened, mock):
    server, c = opened()
    pause(c, True)
    asked = [Question(server, chat(i == 1), x_skald_session="s") for i in range(2)]
    held(c, 2)
    stop_soon(server)
    pause(c, False)  # the server still turns: it waits for them
    assert asked[0].read().status == 200 and asked[1].read().data.endswith(b"[DONE]\n\n")
    ended(server)
    server.start()
    assert len(messages(server.client())) == 4


def test_a_second_signal_does_not_wait(opened, mock):
    server, c = opened("--shutdown-timeout", "1000")
    pause(c, True)
    asked = Question(server, chat(), x_skald_session="s")
    held(c, 1)
    stop_soon(server)
    server.proc.send_signal(signal.SIGTERM)
    ended(server)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        asked.read()
    server.start()
    assert len(messages(server.client())) == 2  # the journal was closed whole


def test_what_would_write_waits_and_the_door_is_not_ready(opened, mock):
    server, c = opened("--shutdown-timeout", "1000")
    pause(c, True)
    asked = Question(server, chat(), x_skald_session="s")
    held(c, 1)
    stop_soon(server)
    late = Question(server, chat())
    assert late.read().status == 503 and b"shutting down" in late.data
    writer = Conn(server.raw())
    writer.send("SET", "late", "1")
    pause(c, False)
    assert asked.read().status == 200
    ended(server)
    server.start()
    assert not server.client().exists("late")
