"""What the HTTP door answers is on disk, with `appendfsync always`: an answer waits for the journal, and becomes an error
when the disk refuses."""

import http.client
import json
import resource
import threading
import time
import uuid

import pytest

from skald import SLOW, free_port

JOURNAL = ["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"]
OPENAI, ANTHROPIC = "/v1/chat/completions", "/v1/messages"


class Question:
    """One request on a connection of its own; its answer is read when it is asked for."""

    def __init__(self, server, body, path=OPENAI, **headers):
        self.c = http.client.HTTPConnection("127.0.0.1", server.http, timeout=60)
        self.c.request("POST", path, json.dumps(body), {k.replace("_", "-"): v for k, v in headers.items()})

    def read(self):
        a = self.c.getresponse()
        self.status, self.head, self.data = a.status, {k.lower(): v for k, v in a.getheaders()}, a.read()
        self.c.close()
        return self

    def json(self):
        return json.loads(self.read().data)


def chat(stream=False, **more):
    return {"model": "m", "max_tokens": 100, "stream": stream, "messages": [{"role": "user", "content": "hello"}], **more}


@pytest.fixture
def opened(fresh, mock):
    def start(*more, **kw):
        server = fresh(*JOURNAL, *more, start=False)
        server.http = free_port()
        server.args += ["--http-port", str(server.http)]
        server.start(**kw)
        c = server.client()
        c.execute_command("LLM.MODEL", "SET", "m", "PROVIDER", "openai", "URL", mock.url, "ID", "words=3", "RETRIES", 0)
        return server, c
    return start


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def pause(c, on):
    assert c.execute_command("DEBUG", "PAUSE-JOURNAL", int(on)) == "OK"


def held(c, n, what="answers"):
    wait_for(lambda: c.info("persistence")[f"journal_{what}_held"] == n)


def messages(c, key="s"):
    return c.execute_command("SESSION.MESSAGES", key)


@pytest.mark.parametrize("engine", ["io_uring", "thread"])
def test_answers_wait_for_the_disk(opened, engine):
    """Whole answers, ends of streams, answers given again, other kinds of calls, failures; and replies."""
    server, c = opened("--file-engine", engine)
    pause(c, True)
    asked = [Question(server, chat(), x_skald_session="s"),
             Question(server, chat(True), x_skald_session="s"),
             Question(server, chat(), ANTHROPIC, idempotency_key="k"),
             Question(server, {"model": "builtin/hash", "input": "text"}, "/v1/embeddings"),
             Question(server, chat(temperature=0.1, model="none"))]
    assert asked.pop().read().status == 404  # rests on nothing
    held(c, 4)
    asked.append(Question(server, chat(), ANTHROPIC, idempotency_key="k"))
    held(c, 5)
    other = server.raw()
    other.sendall(b"SET k v\r\n")
    held(c, 1, "replies")
    stream = asked[1].c.getresponse()
    early = stream.read1(10000)
    while b"word2" not in early:
        early += stream.read1(10000)
    assert b"[DONE]" not in early and b"finish_reason\":\"stop" not in early
    for q in [*asked[:1], *asked[2:]]:
        q.c.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            q.c.sock.recv(1)
        q.c.sock.setblocking(True)
    models = http.client.HTTPConnection("127.0.0.1", server.http, timeout=60)
    models.request("GET", "/v1/models")  # it has only read, and waits as well
    held(c, 6)
    pause(c, False)
    assert models.getresponse().status == 200
    models.close()
    assert other.recv(100) == b"+OK\r\n"
    assert b"[DONE]" in stream.read()
    for q in [*asked[:1], *asked[2:]]:
        assert q.read().status == 200, q.data
    assert asked[-1].head["x-skald-replayed"] == "true"
    held(c, 0)
    assert len(messages(c)) == 4
    text = http.client.HTTPConnection("127.0.0.1", server.http, timeout=30)
    text.request("GET", "/metrics")
    assert b'skald_http_answers_total{route="chat",status="200"} 2' in text.getresponse().read()
    text.close()


def test_who_leaves_while_the_answer_waits(opened):
    server, c = opened()
    pause(c, True)
    asked = [Question(server, chat(i % 2 == 1), x_skald_session="s") for i in range(4)]
    held(c, 4)
    for q in asked[:3]:
        q.c.close()
    held(c, 1)
    pause(c, False)
    assert asked[3].read().data.endswith(b"[DONE]\n\n")
    assert len(messages(c)) == 8


def test_a_kill_while_answers_wait_loses_nothing_that_was_said(opened):
    server, c = opened()
    Question(server, chat(), x_skald_session="s").read()
    pause(c, True)
    asked = Question(server, chat(), x_skald_session="s")
    held(c, 1)
    server.kill9()
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        asked.read()
    server.start()
    assert len(messages(server.client())) == 2


LIMIT = 200_000


def limited():
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, resource.RLIM_INFINITY))


def fill(c, mock, n):
    """An answer that the journal's file has no room for."""
    c.execute_command("LLM.MODEL", "SET", "m", "PROVIDER", "openai", "URL", mock.url, "ID", f"huge={n}", "RETRIES", 0)


@pytest.mark.parametrize("path", [OPENAI, ANTHROPIC])
@pytest.mark.parametrize("stream", [False, True])
def test_the_disk_refuses(opened, mock, path, stream):
    server, c = opened(preexec=limited)
    fill(c, mock, 2 * LIMIT)
    got = Question(server, chat(stream), path, x_skald_session="s").read()
    if stream:
        last = got.data.decode().strip().split("\n\n")[-1]
        assert got.status == 200 and "[DONE]" not in last and "message_stop" not in last
        error = json.loads(last.split("data: ")[1])["error"]
    else:
        assert got.status == 503 and got.head["x-should-retry"] == "false", got.data
        error = json.loads(got.data)["error"]
    assert "not on disk" in error["message"] and error["type"] in ("server_error", "api_error")
    mock.control("reset", "")
    refused = Question(server, chat(), path).read()  # not even a call is begun
    assert refused.status == 503 and refused.head["x-should-retry"] == "true" and b"cannot be written" in refused.data
    assert not mock.requests()
    c.execute_command("CONFIG", "SET", "loglevel", "notice")  # others are served
    resource.prlimit(server.proc.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_for(lambda: c.info("persistence")["aof_last_write_status"] == "ok")
    fill(c, mock, 10)
    assert Question(server, chat(), path, x_skald_session="s").read().status == 200
    server.kill9()
    server.start()
    assert len(messages(server.client())) == 4  # what memory had kept was written after all


class Asker(threading.Thread):
    """One question after the other in a session of its own until the server is gone."""

    def __init__(self, server, n, enough):
        super().__init__()
        self.server, self.n, self.enough, self.answered = server, n, enough, []
        self.start()

    def run(self):
        try:
            for i in range(10**6):
                words = f"{self.n} asks {uuid.uuid4()}"
                body = chat(i % 2 == 1, messages=[{"role": "user", "content": words}])
                q = Question(self.server, body, [OPENAI, ANTHROPIC][self.n % 2], x_skald_session=f"s{self.n}").read()
                whole = b"[DONE]" in q.data or b"message_stop" in q.data or i % 2 == 0
                if q.status == 200 and whole:
                    self.answered.append(words)
                    self.enough.release()
        except (OSError, http.client.HTTPException):
            pass


def test_what_was_answered_is_in_the_session_after_a_kill(opened):
    server, c = opened()
    answered = {n: [] for n in range(4)}
    for turn in range(2 if SLOW else 4):
        enough = threading.Semaphore(0)
        askers = [Asker(server, n, enough) for n in answered]
        for _ in range(40):
            enough.acquire()
        server.kill9()
        for a in askers:
            a.join()
            answered[a.n] += a.answered
        server.start()
        c = server.client()
        for n, said in answered.items():
            kept = messages(c, f"s{n}")
            assert [m[1] for m in kept] == ["user", "assistant"] * (len(kept) // 2), "half a turn"
            there = [m[2] for m in kept if m[1] == "user"]
            assert not set(said) - set(there), "answered, and not in the session"
            assert len(there) == len(set(there)) <= len(said) + turn + 1
