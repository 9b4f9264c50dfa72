"""Flows over the wire: the registry, runs, branches and joins, bounds, hosts, cancelling, following, restart."""

import http.server
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
import redis
from helpers import error, raw
from resp import Conn, Push
from skald import ROOT, SLOW

pytestmark = pytest.mark.threads

START = {"id": "s", "kind": "start"}


def node(id, kind, params=None, **more):
    return {"id": id, "kind": kind, "params": params or {}, **more}


def answer(text, id="a"):
    return node(id, "answer", {"text": text})


def edges(*pairs):
    out = []
    for p in pairs:
        a, b, *branch = p.split(">")
        out.append({"from": a, "to": b, **({"branch": branch[0]} if branch else {})})
    return out


def flow(nodes, *pairs):
    return json.dumps({"nodes": [START, *nodes], "edges": edges(*pairs)})


def make(r, nodes, *pairs, name="f"):
    assert r.execute_command("FLOW.SET", name, flow(nodes, *pairs)) in (b"OK", "OK", True)


def run(r, *args, name="f", **input):
    return r.execute_command("FLOW.RUN", name, "INPUT", json.dumps(input), *args)


def fields(reply):
    """The flat list that RESP2 makes of a map."""
    return dict(zip(reply[::2], reply[1::2]))


def trace(t, run_id):
    return {n["node"]: n for n in map(fields, t.execute_command("FLOW.TRACE", run_id))}


def eventually(check, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = check()
        if got:
            return got
        time.sleep(0.01)
    raise AssertionError("it did not happen")


# ---- a host to call: it says what the test wants it to, when the test wants it to ----


class Host:
    def __init__(self):
        self.gate = threading.Event()
        self.seen = []
        self.waiting = 0
        self.most = 0
        self.lock = threading.Lock()
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                host.serve(self)

            def do_POST(self):
                host.serve(self)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 256

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, h):
        body = h.rfile.read(int(h.headers.get("content-length") or 0)).decode()
        with self.lock:
            self.seen.append((h.command, h.path, dict(h.headers), body))
        status, out = 200, json.dumps({"path": h.path, "echo": body})
        if h.path.startswith("/wait"):
            with self.lock:
                self.waiting += 1
                self.most = max(self.most, self.waiting)
            self.gate.wait(60)
            with self.lock:
                self.waiting -= 1
        if h.path.startswith("/status/"):
            status = int(h.path.rsplit("/", 1)[1])
        if h.path.startswith("/large"):
            out = "x" * (2 << 20)
        h.send_response(status)
        if status in (301, 302):
            h.send_header("Location", "http://169.254.169.254/")
        h.send_header("Content-Type", "application/json")
        h.send_header("Content-Length", str(len(out)))
        h.end_headers()
        try:
            h.wfile.write(out.encode())
        except OSError:
            pass  # the caller went away, which some tests want

    def close(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def host(t):
    h = Host()
    t.config_set("flow-http-allow", f"127.0.0.1:{h.port}")
    t.config_set("flow-http-private", "yes")
    yield h
    t.config_set("flow-http-allow", "")
    t.config_set("flow-http-private", "no")
    h.close()


@pytest.fixture(autouse=True)
def no_flows(r):
    names = r.execute_command("FLOW.LIST")
    if names:
        r.execute_command("FLOW.DEL", *names)


# ---- the registry ----


def test_set_get_list_del(t):
    text = flow([answer("x")], "s>a")
    assert t.execute_command("FLOW.SET", "one", text) == "OK"
    assert t.execute_command("FLOW.SET", "two", text) == "OK"
    assert t.execute_command("FLOW.GET", "one") == text
    assert t.execute_command("FLOW.LIST") == ["one", "two"]
    assert fields(t.execute_command("FLOW.GET", "one", "WITHMETA"))["nodes"] == 2
    assert t.execute_command("FLOW.SET", "one", text) == "OK"
    assert fields(t.execute_command("FLOW.GET", "one", "WITHMETA"))["version"] == 2
    assert t.execute_command("FLOW.DEL", "one", "none") == 1
    assert t.execute_command("FLOW.GET", "one") is None
    assert error(t, "FLOW.RUN", "one").startswith("STATE there is no flow 'one'")


def test_check_lists_all_and_set_names_the_first(t):
    bad = flow([node("x", "serch"), answer("{{y.text}} {{x", "b")], "s>x", "x>b", "b>x", "q>b")
    problems = t.execute_command("FLOW.CHECK", bad)
    for part in ("node x: unknown kind 'serch'", "there is no node 'q'", "node b: is part of a cycle",
                 "there is no node 'y'", "without '}}'"):
        assert any(part in p for p in problems), (part, problems)
    assert "FLOW.CHECK lists them" in error(t, "FLOW.SET", "bad", bad)
    assert error(t, "FLOW.SET", "bad", "{nodes").startswith("INVALID flow: bad JSON")
    assert error(t, "FLOW.SET", "bad name", "{}").startswith("INVALID a flow's name")
    assert t.execute_command("FLOW.CHECK", flow([answer("x")], "s>a")) == []


def test_flows_survive_kill(fresh):
    s = fresh("--appendonly", "yes", "--appendfsync", "always")
    c = s.client()
    make(c, [answer("Hello {{input.name}}")], "s>a", name="hello")
    make(c, [answer("gone")], "s>a", name="gone")
    c.execute_command("FLOW.DEL", "gone")
    assert run(c, "SESSION", "chat", name="hello", question="who?") == "Hello "
    s.kill9()
    s.start()
    c = s.client()
    assert c.execute_command("FLOW.LIST") == ["hello"]
    c.bgrewriteaof()
    eventually(lambda: c.info("persistence")["aof_rewrite_in_progress"] == 0)
    s.kill9()
    s.start()
    c = s.client()
    assert run(c, name="hello") == "Hello "
    assert [m[1:3] for m in c.execute_command("SESSION.MESSAGES", "chat")] == [["user", "who?"], ["assistant", "Hello "]]


# ---- running ----


def test_answer_and_outputs(t):
    make(t, [node("v", "variable", {"assign": {"n": "{{input.n}}", "list": ["{{input.a}}", 2]}}),
             node("e", "end", {"outputs": {"n": "{{v.n}}", "list": "{{v.list}}"}})], "s>v", "v>e")
    assert json.loads(run(t, n=5, a="x")) == {"n": 5, "list": ["x", 2]}
    make(t, [answer("{{input.n}} and {{sys.flow}}")], "s>a")
    assert run(t, n=5) == "5 and f"
    meta = fields(run(t, "WITHMETA", "TRACE", n=5))
    assert (meta["state"], meta["answer"], meta["outputs"]) == ("succeeded", "5 and f", None)
    assert [fields(n)["node"] for n in meta["trace"]] == ["s", "a"]


def test_bad_options(t):
    make(t, [answer("x")], "s>a")
    assert error(t, "FLOW.RUN", "f", "INPUT", "[1]").startswith("INVALID INPUT must be a JSON object")
    assert error(t, "FLOW.RUN", "f", "INPUT", "{").startswith("INVALID INPUT: bad JSON")
    assert error(t, "FLOW.RUN", "f", "TIMEOUT", "0") == "value is out of range, value must between 1 and 86400000"
    assert error(t, "FLOW.RUN", "f", "NOPE") == "syntax error"
    t.set("str", "x")
    assert error(t, "FLOW.RUN", "f", "SESSION", "str").startswith("WRONGTYPE")


def test_parallel_branches_and_one_join(t, host):
    make(t, [node(n, "http", {"url": f"{host.url}/wait/{n}"}) for n in "xyz"]
         + [node("j", "template", {"text": "{{x.json.path}} {{y.json.path}} {{z.json.path}}"}), answer("{{j.text}}")],
         "s>x", "s>y", "s>z", "x>j", "y>j", "z>j", "j>a")
    run_id = run(t, "ASYNC")
    eventually(lambda: host.waiting == 3)  # all three are under way at once
    assert fields(t.execute_command("FLOW.STATUS", run_id))["running-nodes"] == 3
    host.gate.set()
    done = eventually(lambda: (s := fields(t.execute_command("FLOW.STATUS", run_id)))["state"] != "running" and s)
    assert done["answer"] == "/wait/x /wait/y /wait/z"
    assert trace(t, run_id)["j"]["attempts"] == 1
    assert len(host.seen) == 3


def test_condition_skips_and_join_still_runs(t):
    make(t, [node("c", "condition", {"cases": [{"branch": "big", "all": [{"value": "{{input.n}}", "op": ">", "to": 10}]}]}),
             node("b", "template", {"text": "big"}), node("b2", "template", {"text": "{{b.text}}!"}),
             node("l", "template", {"text": "little"}),
             node("v", "variable", {"first": {"t": ["b2.text", "l.text"]}}), answer("{{v.t}}")],
         "s>c", "c>b>big", "b>b2", "b2>v", "c>l>else", "l>v", "v>a")
    assert run(t, n=11) == "big!"
    meta = fields(run(t, "WITHMETA", n=3))
    assert meta["answer"] == "little"
    nodes = trace(t, meta["run"])
    assert {n: nodes[n]["state"] for n in ("b", "b2", "l", "v")} == {
        "b": "skipped", "b2": "skipped", "l": "succeeded", "v": "succeeded"}


def test_a_failed_node_is_named(t):
    make(t, [node("c", "code", {"code": "local x = nil\nreturn x.y"}), answer("{{c.y}}")], "s>c", "c>a")
    assert error(t, "FLOW.RUN", "f") == "INVALID node c: code line 2: attempt to index local 'x' (a nil value)"
    make(t, [node("m", "llm", {"model": "no-such-model", "prompt": "x"}), answer("{{m.text}}")], "s>m", "m>a")
    assert error(t, "FLOW.RUN", "f").startswith("STATE node m: ")
    t.set("str", "x")
    make(t, [node("x", "search", {"key": "str", "query": "q"}, on_error="branch"), answer("{{x.text}}"),
             answer("failed: {{x.error}}", "b")], "s>x", "x>a", "x>b>error")
    assert run(t).startswith("failed: Operation against a key")


@pytest.mark.parametrize("code, why", [
    ("while true do end", "instructions"),
    ("local t = {} while true do t[#t+1] = ('x'):rep(10000) .. #t end", "memory"),
    ("return ('x'):rep(1e9)", "memory"),
    ("return os.execute('true')", "global 'os'"),
    ("return ('a'):rep(200000):find(('a-'):rep(40) .. 'b')", "still running after 100 ms"),
])
def test_code_is_bounded(t, code, why):
    make(t, [node("c", "code", {"code": code, "timeout": 100 if "100 ms" in why else 5000}), answer("{{c.result}}")],
         "s>c", "c>a")
    said = error(t, "FLOW.RUN", "f")
    assert why in said or (SLOW and "still running" in said)  # a sanitizer may make time run out first


def test_a_busy_run_does_not_delay_others(t, server):
    make(t, [node("c", "code", {"code": "while true do end", "timeout": 2000}), answer("x")], "s>c", "c>a")
    run_id = run(t, "ASYNC")
    c = Conn(server.raw())
    eventually(lambda: trace(t, run_id)["c"]["state"] == "running")
    for _ in range(100):
        assert c.call("PING") == "PONG"
    assert t.execute_command("FLOW.CANCEL", run_id) == 1
    c.close()


# ---- hosts ----


def test_http_needs_the_allow_list(t, host):
    make(t, [node("h", "http", {"url": "{{input.url}}"}), answer("{{h.body}}")], "s>h", "h>a")
    assert json.loads(run(t, url=host.url + "/x"))["path"] == "/x"
    with pytest.raises(redis.exceptions.NoPermissionError, match="node h: the host example.com is not in flow-http-allow"):
        run(t, url="http://example.com/")
    assert "carries a password" in error(t, "FLOW.RUN", "f", "INPUT", json.dumps(
        {"url": f"http://127.0.0.1:{host.port}@example.com/"}))
    assert "http or https" in error(t, "FLOW.RUN", "f", "INPUT", '{"url":"file:///etc/passwd"}')
    t.config_set("flow-http-private", "no")
    before = len(host.seen)
    assert "node h: " in error(t, "FLOW.RUN", "f", "INPUT", json.dumps({"url": host.url}))
    assert len(host.seen) == before
    t.config_set("flow-http-allow", "")
    assert "not in flow-http-allow" in error(t, "FLOW.RUN", "f", "INPUT", json.dumps({"url": host.url}))


def test_http_request_and_reply(t, host):
    make(t, [node("h", "http", {"url": host.url + "/q?x={{input.x | url}}", "method": "POST",
                                "headers": {"X-Token": "t {{input.x}}"}, "body": {"x": "{{input.x}}", "n": "{{input.n}}"}}),
             node("e", "end", {"outputs": {"status": "{{h.status}}", "echo": "{{h.json.echo}}"}})], "s>h", "h>e")
    out = json.loads(run(t, x='a "b" & c', n=3))
    assert out["status"] == 200 and json.loads(out["echo"]) == {"x": 'a "b" & c', "n": 3}
    method, path, headers, _ = host.seen[-1]
    assert (method, path, headers["X-Token"]) == ("POST", "/q?x=a%20%22b%22%20%26%20c", 't a "b" & c')
    assert headers["Content-Type"] == "application/json"
    assert "one line of text" in error(t, "FLOW.RUN", "f", "INPUT", json.dumps({"x": "a\r\nHost: evil", "n": 1}))


def test_http_status_and_size(t, host):
    make(t, [node("h", "http", {"url": host.url + "/status/{{input.s}}"}), answer("{{h.status}}")], "s>h", "h>a")
    assert run(t, s=204) == "204"
    assert error(t, "FLOW.RUN", "f", "INPUT", '{"s":500}') == "UPSTREAM node h: the host answered with status 500"
    assert error(t, "FLOW.RUN", "f", "INPUT", '{"s":302}') == "UPSTREAM node h: the host answered with status 302"
    make(t, [node("h", "http", {"url": host.url + "/status/404", "any_status": True}), answer("{{h.status}}")], "s>h", "h>a")
    assert run(t) == "404"
    make(t, [node("h", "http", {"url": host.url + "/large"}), answer("{{h.status}}")], "s>h", "h>a")
    assert error(t, "FLOW.RUN", "f").startswith("UPSTREAM node h: ")
    make(t, [node("h", "http", {"url": host.url + "/wait", "timeout": 50}), answer("{{h.status}}")], "s>h", "h>a")
    assert error(t, "FLOW.RUN", "f").startswith("UPSTREAM node h: ")


# ---- ending early ----


def waiting_flow(t, host):
    make(t, [node("h", "http", {"url": host.url + "/wait"}), answer("{{h.status}}")], "s>h", "h>a")


def test_timeout(t, host):
    waiting_flow(t, host)
    assert error(t, "FLOW.RUN", "f", "TIMEOUT", "50") == "UPSTREAM the flow was not done after 50 ms"


def test_cancel(t, host, server):
    waiting_flow(t, host)
    c = Conn(server.raw())
    c.send("FLOW.RUN", "f", "SESSION", "chat", "INPUT", '{"question":"q"}')
    eventually(lambda: host.waiting)
    run_id = fields(t.execute_command("FLOW.STATUS")[0])["run"]
    assert t.execute_command("FLOW.CANCEL", run_id) == 1
    assert str(c.read()) == "STATE the run was cancelled"
    assert t.execute_command("FLOW.CANCEL", run_id) == 0
    assert trace(t, run_id)["h"]["state"] == "cancelled"
    assert t.exists("chat") == 0
    assert c.call("PING") == "PONG"
    c.close()


def test_a_client_that_goes_away_cancels(t, host, server):
    waiting_flow(t, host)
    c = server.raw()
    c.sendall(b"FLOW.RUN f\r\n")
    eventually(lambda: host.waiting)
    run_id = fields(t.execute_command("FLOW.STATUS")[0])["run"]
    c.close()
    eventually(lambda: fields(t.execute_command("FLOW.STATUS", run_id))["state"] == "cancelled")


# ---- following ----


def entries(t, key, until):
    got, last = [], "0"
    while not got or got[-1][1]["type"] not in until:
        reply = t.xread({key: last}, block=20000)
        assert reply, got
        got += reply[0][1]
        last = got[-1][0]
    return [e for _, e in got]


def test_async_is_followed_by_xread(t, host):
    waiting_flow(t, host)
    run_id = run(t, "ASYNC", "SESSION", "chat", question="q")
    key = "call:" + run_id
    assert t.type(key) == "stream" and 0 < t.pttl(key) <= 3600000
    eventually(lambda: host.waiting)
    threading.Timer(0.05, host.gate.set).start()
    got = entries(t, key, ("done", "error"))
    assert got[0] == {"type": "begin", "command": "flow.run"}
    assert {"type": "node", "node": "h", "kind": "http", "state": "running"} in got
    assert {"type": "node", "node": "h", "kind": "http", "state": "succeeded"} in got
    assert "".join(e["text"] for e in got if e["type"] == "delta") == "200"
    assert got[-1] == {"type": "done", "text": "200", "state": "succeeded"}
    assert [m[1:3] for m in t.execute_command("SESSION.MESSAGES", "chat")] == [["user", "q"], ["assistant", "200"]]


def test_async_tells_of_failure(t):
    make(t, [node("c", "code", {"code": "error('no')"}), answer("x")], "s>c", "c>a")
    got = entries(t, "call:" + run(t, "ASYNC"), ("done", "error"))
    assert got[-1] == {"type": "error", "error": "INVALID node c: code line 1: no"}


PROMPT = "[1] Cats sleep a lot.\\n[2] Dogs bark at night.\\n\\nQuestion: {{input.question}}"


def asking(t):
    make(t, [node("m", "llm", {"model": "builtin/extract", "prompt": PROMPT.replace("\\n", "\n")}),
             answer("Found: {{m.text}}")], "s>m", "m>a")


def test_stream_pushes_on_resp3(t, server):
    asking(t)
    c = Conn(server.raw())
    c.call("HELLO", "3")
    c.send("FLOW.RUN", "f", "STREAM", "INPUT", '{"question":"what do dogs do?"}')
    pushes, reply = [], c.read()
    while isinstance(reply, Push):
        pushes.append(reply)
        reply = c.read()
    text = reply.decode()
    assert "Dogs bark" in text
    assert {p[0] for p in pushes} == {b"llm.delta"} and len({p[1] for p in pushes}) == 1
    assert b"".join(p[2] for p in pushes).decode() == text
    assert c.call("PING") == "PONG"
    c.close()


def test_stream_on_resp2_is_published(t, host):
    make(t, [node("h", "http", {"url": host.url + "/wait"}), answer("one {{h.status}} two")], "s>h", "h>a")
    threads_reply = []
    other = redis.Redis(port=t.connection_pool.connection_kwargs["port"], decode_responses=True)
    th = threading.Thread(target=lambda: threads_reply.append(run(other, "STREAM")))
    th.start()
    eventually(lambda: host.waiting)
    run_id = fields(t.execute_command("FLOW.STATUS")[0])["run"]
    p = t.pubsub(ignore_subscribe_messages=True)
    p.subscribe("call:" + run_id)
    eventually(lambda: t.pubsub_numsub("call:" + run_id)[0][1] == 1)
    host.gate.set()
    th.join(60)
    got = ""
    end = time.monotonic() + 60
    while got != " two" and got != "200 two" and got != "one 200 two" and time.monotonic() < end:
        m = p.get_message(timeout=1)
        got += m["data"] if m else ""
    assert got.endswith(" two")
    assert threads_reply == ["one 200 two"]
    assert [e["type"] for e in entries(t, "call:" + run_id, ("done",))][-1] == "done"
    p.close()


# ---- passages, sessions and models ----

PASSAGES = {
    "hours": "The library opens at nine in the morning.",
    "cats": "Cats sleep for most of the day.",
    "fines": "A book that comes back late costs ten cents a day.",
}


def library(t):
    t.execute_command("VCREATE", "docs", "DIM", "256", "MODEL", "builtin/hash")
    for i, (name, text) in enumerate(PASSAGES.items()):
        t.execute_command("VADD", "docs", "TEXT", text, name, "SETATTR", json.dumps({"text": text, "n": i}))


def test_search_finds_passages(t):
    library(t)
    make(t, [node("f", "search", {"key": "docs", "query": "{{input.question}}", "count": 2}),
             node("e", "end", {"outputs": {"p": "{{f.passages}}", "text": "{{f.text}}", "n": "{{f.count}}"}})], "s>f", "f>e")
    out = json.loads(run(t, question="when does the library open in the morning"))
    assert out["n"] == 2 and out["p"][0]["id"] == "hours" and out["p"][0]["score"] > out["p"][1]["score"]
    assert out["p"][0]["attributes"]["n"] == 0
    assert out["text"].startswith("[1] " + PASSAGES["hours"] + "\n\n[2] ")
    make(t, [node("f", "search", {"key": "docs", "query": "library", "filter": ".n == {{input.n}}"}),
             answer("{{f.text}}")], "s>f", "f>a")
    assert run(t, n=1) == "[1] " + PASSAGES["cats"]
    assert run(t, n=7) == ""
    assert "node f: " in error(t, "FLOW.RUN", "f", "INPUT", '{"n":"=="}')


def test_a_grounded_answer(t):
    library(t)
    make(t, [node("f", "search", {"key": "docs", "query": "{{input.question}}", "count": 3}),
             node("m", "llm", {"model": "builtin/extract", "prompt": "{{f.text}}\n\nQuestion: {{input.question}}", "history": 6}),
             answer("{{m.text}}")], "s>f", "f>m", "m>a")
    text = run(t, "SESSION", "talk", question="What does a late book cost?")
    assert "ten cents" in text
    assert "nine" in run(t, "SESSION", "talk", question="When does the library open?")
    assert len(t.execute_command("SESSION.MESSAGES", "talk")) == 4



def test_history_and_session(t):
    make(t, [node("m", "llm", {"model": "builtin/extract", "prompt": "{{input.question}}", "history": 4}),
             answer("{{m.text}}")], "s>m", "m>a")
    t.execute_command("SESSION.ADD", "chat", "user", "[1] The library opens at nine.")
    meta = fields(run(t, "SESSION", "chat", "WITHMETA", "TRACE", question="When does the library open?"))
    sent = json.loads(trace(t, meta["run"])["m"]["input"])["messages"]
    assert [m["content"] for m in sent] == ["[1] The library opens at nine.", "When does the library open?"]
    got = t.execute_command("SESSION.MESSAGES", "chat")
    assert [m[1] for m in got] == ["user", "user", "assistant"]
    assert got[2][2] == meta["answer"]


@pytest.fixture(scope="module")
def provider():
    p = subprocess.Popen([sys.executable, os.path.join(ROOT, "tests", "mock", "provider.py")], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
    port = int(p.stdout.readline().split()[1])
    yield f"http://127.0.0.1:{port}"
    p.terminate()
    p.wait()


@pytest.fixture
def model(t, provider):
    """A factory: model("words=5,drip=20") makes a model that behaves so, and gives its name."""
    made = []

    def make_model(how):
        name = f"mock{len(made)}"
        t.execute_command("LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", provider + "/v1", "ID", how, "KEY", "k",
                          "RETRIES", "0")
        made.append(name)
        return name

    yield make_model
    for name in made:
        t.execute_command("LLM.MODEL", "DEL", name)


def provider_stats(provider):
    return json.load(urllib.request.urlopen(provider + "/control/stats"))


def test_two_models_stream_in_the_answers_order(t, server, model):
    slow, quick = model("words=8,drip=30"), model("words=3")
    make(t, [node("x", "llm", {"model": slow, "prompt": "p"}), node("y", "llm", {"model": quick, "prompt": "p"}),
             answer("X {{x.text}} Y {{y.text}} Z")], "s>x", "s>y", "x>a", "y>a")
    c = Conn(server.raw())
    c.call("HELLO", "3")
    c.send("FLOW.RUN", "f", "STREAM")
    pieces, reply = [], c.read()
    while isinstance(reply, Push):
        pieces.append(reply[2].decode())
        reply = c.read()
    words = [f"word{i}" for i in range(8)]
    assert reply.decode() == f"X {' '.join(words)} Y {' '.join(words[:3])} Z" == "".join(pieces)
    assert len(pieces) > 5  # it came as it was made
    c.close()


def test_a_stream_that_breaks_off_fails_the_run(t, model):
    make(t, [node("m", "llm", {"model": model("words=8,cut=3"), "prompt": "p"}), answer("{{m.text}}")], "s>m", "m>a")
    assert error(t, "FLOW.RUN", "f", "SESSION", "chat", "INPUT", '{"question":"q"}').startswith("UPSTREAM node m: ")
    assert t.exists("chat") == 0
    make(t, [node("m", "llm", {"model": model("status=429"), "prompt": "p"}), answer("{{m.text}}")], "s>m", "m>a")
    assert error(t, "FLOW.RUN", "f").startswith("QUOTA node m: ")


def test_a_node_is_tried_again(t, model):
    make(t, [node("m", "llm", {"model": model("failfirst=2,words=2,x=retry"), "prompt": "p"}, retries=3, retry_wait=5),
             answer("{{m.text}}")], "s>m", "m>a")
    meta = fields(run(t, "WITHMETA"))
    assert meta["answer"] == "word0 word1"
    assert trace(t, meta["run"])["m"]["attempts"] == 3


def test_going_away_cancels_the_models_call(t, server, model, provider):
    make(t, [node("m", "llm", {"model": model("never"), "prompt": "p"}), answer("{{m.text}}")], "s>m", "m>a")
    before = provider_stats(provider)["open"]
    c = server.raw()
    c.sendall(b"FLOW.RUN f\r\n")
    eventually(lambda: len(t.execute_command("LLM.CALLS")) == 1)
    c.close()
    eventually(lambda: len(t.execute_command("LLM.CALLS")) == 0)
    eventually(lambda: provider_stats(provider)["open"] <= before + 1)  # one is this question itself


def test_refused_in_multi(t):
    make(t, [answer("x")], "s>a")
    p = t.pipeline(transaction=True)
    p.execute_command("FLOW.RUN", "f")
    with pytest.raises(redis.ResponseError, match="STATE|EXECABORT|calls a model"):
        p.execute()
    assert raw(t, "FLOW.RUN", "f") == "x"


def test_many_at_once(t, host, server):
    waiting_flow(t, host)
    conns = [Conn(server.raw()) for _ in range(100)]
    for c in conns:
        c.send("FLOW.RUN", "f")
    eventually(lambda: host.waiting >= 50)
    assert t.ping()
    host.gate.set()
    assert [c.read() for c in conns] == [b"200"] * 100
    for c in conns:
        c.close()


def test_a_stop_ends_runs(fresh):
    s, host = fresh("--flow-http-allow", "*", "--flow-http-private", "yes"), Host()
    c = s.client()
    make(c, [node("h", "http", {"url": host.url + "/wait"}), node("l", "code", {"code": "while true do end"}),
             answer("{{h.status}}")], "s>h", "s>l", "h>a", "l>a")
    waiting = Conn(s.raw())
    waiting.send("FLOW.RUN", "f")
    c.execute_command("FLOW.RUN", "f", "ASYNC")
    eventually(lambda: host.waiting == 2)
    s.stop()  # checks the exit status
    host.close()


def test_a_search_whose_model_fails_at_once_fails_the_run(t):
    t.execute_command("VCREATE", "docs", "DIM", 4, "MODEL", "no/such")
    t.execute_command("VADD", "docs", "VALUES", 4, 1, 0, 0, 0, "a")
    make(t, [node("f", "search", {"key": "docs", "query": "anything"}), answer("{{f.text}}")], "s>f", "f>a")
    for _ in range(3):
        with pytest.raises(redis.ResponseError, match="STATE.*f.*no/such"):
            run(t)
    assert t.ping()


def test_client_reply_off_holds_for_replies_that_come_later(server, t):
    t.execute_command("VADD", "docs", "VALUES", 2, 1, 0, "a")
    c = Conn(server.raw())
    c.send("CLIENT", "REPLY", "SKIP")
    c.send("VSIM", "docs", "ELE", "a")
    assert c.call("PING") == "PONG"
    c.close()
