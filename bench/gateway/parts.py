"""The processes that take part: the mock vendor, Skald, the peer; and what the system says about them."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.join(ROOT, "build", "bench-gateway")
sys.path.insert(0, os.path.join(ROOT, "utils"))

from benchlib import SKALD, Client, encode, free_port, rss  # noqa: E402,F401

PEER = "@portkey-ai/gateway"
PEER_VERSION = "1.15.2"
# It asks for any 1.x of this and was written with the first; with the latest of them its streams fail with status 500.
PEER_PACKAGE = {"name": "bench-peer", "private": True, "dependencies": {PEER: PEER_VERSION},
                "overrides": {"@hono/node-server": "1.3.3"}}
OWN_NODE = os.path.join(ROOT, "build", "node", "bin", "node")
NODE = OWN_NODE if os.path.exists(OWN_NODE) else "node"

# About a thousand bytes of conversation: what is asked of every contender.
MESSAGES = [{"role": "system", "content": "You are the assistant of a shop. Answer in one sentence, in the language of the question."},
            {"role": "user", "content": "I bought a kettle two weeks ago and its lid does not close any more. " * 5},
            {"role": "assistant", "content": "I am sorry to hear that; do you still have the receipt of your order?"},
            {"role": "user", "content": "Yes, I have it here, it says \u201c4711\u201d and was paid by card. What shall I do now? " * 4}]


def cpu_seconds(pid):
    """User and system time of a process so far, of all its threads."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answers(url, seconds=30, proc=None):
    """Waits until something answers there, whatever it says."""
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > end or (proc and proc.poll() is not None):
                raise RuntimeError(f"{url} does not answer") from None
            time.sleep(0.05)


class Process:
    """A child that ends with the context."""

    def __exit__(self, *_):
        self.proc.terminate()
        try:
            self.proc.wait(30)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        if self.proc.stdin:
            self.proc.stdin.close()

    def rss(self):
        return rss(self.proc.pid)

    def cpu(self):
        return cpu_seconds(self.proc.pid)


class Mock(Process):
    def __enter__(self):
        self.proc = subprocess.Popen([os.path.join(OUT, "mock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.proc.stdout.readline().split()[1])
        return self


class Skald(Process):
    """Both doors of one server. `http` is False where its HTTP door has no chat completions."""

    def __init__(self, mock):
        self.mock, self.models = mock, {}

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="skald-bench-")
        self.port, self.http_port = free_port(), free_port()
        self.proc = subprocess.Popen([SKALD, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.dir,
                                      "--http-port", str(self.http_port), "--maxclients", "20000", "--loglevel", "warning"])
        answers(f"http://127.0.0.1:{self.http_port}/healthz", proc=self.proc)
        self.client = Client(self.port)
        self.http = self.has_chat()
        return self

    def __exit__(self, *args):
        super().__exit__(*args)
        shutil.rmtree(self.dir, ignore_errors=True)

    def has_chat(self):
        q = urllib.request.Request(f"http://127.0.0.1:{self.http_port}/v1/chat/completions", data=b"{}", method="POST")
        try:
            urllib.request.urlopen(q, timeout=5).close()
        except urllib.error.HTTPError as e:
            return e.code != 404
        return True

    def model(self, settings):
        """The name of a model that reaches the mock with these settings."""
        if settings not in self.models:
            name = "bench" + settings.replace("/", "-")
            self.client.call("LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", f"http://127.0.0.1:{self.mock.port}{settings}/v1",
                             "ID", "bench-1", "KEY", "sk-bench", "TIMEOUT", "120000")
            self.models[settings] = name
        return self.models[settings]


class Peer(Process):
    """The gateway from npm, installed under build/ when it is not there."""

    def __enter__(self):
        home = os.path.join(OUT, "peer")
        program = os.path.join(home, "node_modules", PEER, "build", "start-server.js")
        if not os.path.exists(program):
            os.makedirs(home, exist_ok=True)
            print(f"installing {PEER} {PEER_VERSION} from npm", file=sys.stderr)
            with open(os.path.join(home, "package.json"), "w", encoding="utf-8") as f:
                json.dump(PEER_PACKAGE, f)
            subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", home], check=True)
        self.port = free_port()
        self.proc = subprocess.Popen([NODE, program, f"--port={self.port}", "--headless"], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL, env={**os.environ, "NODE_ENV": "production"})
        answers(f"http://127.0.0.1:{self.port}/", proc=self.proc)
        return self


def file_of(name, data):
    path = os.path.join(OUT, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def body_file(model, stream):
    body = {"model": model, "messages": MESSAGES, "max_tokens": 200, "temperature": 0.2}
    if stream:
        body.update(stream=True, stream_options={"include_usage": True})
    return file_of(f"{model}-{'stream' if stream else 'plain'}.json", json.dumps(body).encode())


def load(*words, **options):
    """Runs the load generator; what it printed, as a dict."""
    words = [os.path.join(OUT, "load"), *words, *(f"{k}={v}" for k, v in options.items())]
    got = subprocess.run(words, stdout=subprocess.PIPE, check=True)
    return json.loads(got.stdout)


class Contender:
    """One way to the mock: its name, its process (None: the mock itself), and the words that tell `load` about it."""

    def __init__(self, name, process, words):
        self.name, self.process, self.words = name, process, words

    def run(self, settings, stream, **options):
        """One run; the seconds of processor that one request cost are added."""
        before = self.process.cpu() if self.process else 0
        got = load(*self.words(settings, stream), stream=int(stream), **options)
        if self.process:
            got["cpu_us"] = (self.process.cpu() - before) * 1e6 / max(got["all"], 1)
        return got


def contenders(mock, skald, peer):
    def direct(settings, stream):
        return [f"port={mock.port}", f"path={settings}/v1/chat/completions", f"body={body_file('bench-1', stream)}",
                "header=Authorization: Bearer sk-bench"]

    def http(settings, stream):
        return [f"port={skald.http_port}", f"body={body_file(skald.model(settings), stream)}"]

    def resp(settings, stream):
        words = ["LLM.ASK", MESSAGES[3]["content"], "MODEL", skald.model(settings), "SYSTEM", MESSAGES[1]["content"]]
        return [f"port={skald.port}", f"resp={file_of('ask.resp', encode(*words))}"]

    def by_peer(settings, stream):
        return [f"port={peer.port}", f"body={body_file('bench-1', stream)}", "header=Authorization: Bearer sk-bench",
                "header=x-portkey-provider: openai", f"header=x-portkey-custom-host: http://127.0.0.1:{mock.port}{settings}/v1"]

    out = [Contender("direct", None, direct)]
    if skald.http:
        out.append(Contender("skald", skald, http))
    out.append(Contender("skald-resp", skald, resp))
    if peer:
        out.append(Contender("portkey", peer, by_peer))
    return out
