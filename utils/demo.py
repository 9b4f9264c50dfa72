#!/usr/bin/env python3
"""The main job, once, on real text: `make demo`.

A server of its own (free port, temporary folder, journal on) gets a document as passages, answers questions about it
in a session by a flow, is killed with kill -9 and goes on. What is printed is the conversation with the server, the long
commands shortened. Anything that is not as it should be ends the demo with one sentence and exit code 1.

    SKALD_DEMO_URL    base URL of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1
    SKALD_DEMO_MODEL  the model's name there
    SKALD_DEMO_KEY    its key, if it wants one (the server reads it from its environment; it is never stored)
    SKALD_BIN         another binary than build/skald

Without the first two the answers come from builtin/extract, which quotes sentences and needs no network.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.environ.get("SKALD_BIN", os.path.join(ROOT, "build", "skald"))
DOCUMENT = "/usr/share/common-licenses/GPL-3"
WIDTH = 100
PASSAGE = 700  # characters that a passage is filled up to

QUESTION = "Does the program come with a warranty, and may I sell warranty protection?"
FOLLOW_UP = "And if I violate the license: is it reinstated when I cease all violation?"
AFTER_CRASH = "Who may publish new versions of the license?"


class Failed(Exception):
    pass


def expect(fine, sentence):
    if not fine:
        raise Failed(sentence)


# ---- a small Redis client ----


class Error(Exception):
    """An error reply; like every reply it can be printed."""


class Status(str):
    pass


class Client:
    def __init__(self, port, seconds):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.file = self.sock.makefile("rb")

    def call(self, *args):
        out = [b"*%d\r\n" % len(args)]
        for a in args:
            a = a if isinstance(a, bytes) else str(a).encode()
            out.append(b"$%d\r\n%s\r\n" % (len(a), a))
        self.sock.sendall(b"".join(out))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Failed("the server closed the connection in the middle of a reply")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"+":
            return Status(rest)
        if kind == b"-":
            return Error(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == "-1" else self.file.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return None if rest == "-1" else [self.reply() for _ in range(int(rest))]
        raise Failed(f"the server sent something that is not RESP2: {line[:40]!r}")

    def close(self):
        self.file.close()
        self.sock.close()


# ---- the server ----


class Server:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="skald-demo-")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.log = os.path.join(self.dir, "log")
        self.proc = None

    def start(self):
        """Seconds until it answered."""
        t0 = time.monotonic()
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen([BIN, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.dir,
                                          "--appendonly", "yes", "--appendfsync", "always"], stdout=log, stderr=log)
        while time.monotonic() - t0 < 20:
            if self.proc.poll() is not None:
                raise Failed(f"the server ended with {self.proc.returncode} instead of starting")
            try:
                c = Client(self.port, 5)
                up = c.call("PING") == "PONG"
                c.close()
                if up:
                    return time.monotonic() - t0
            except OSError:
                pass
            time.sleep(0.01)
        raise Failed("the server did not answer a PING within 20 seconds")

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def stop(self):
        self.proc.terminate()
        try:
            code = self.proc.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed("the server did not stop within 20 seconds after SIGTERM") from None
        expect(code == 0, f"the server ended with {code} after SIGTERM")

    def remove(self):
        if self.proc and self.proc.poll() is None:
            self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def last_log(self):
        try:
            with open(self.log, errors="replace") as f:
                return "".join(f.readlines()[-5:])
        except OSError:
            return ""


# ---- printing, as redis-cli does ----

COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def style(code, text):
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def say(text=""):
    print(text, flush=True)


def heading(text):
    say()
    say(style("1", text))
    say()


def note(text):
    for line in textwrap.wrap(text, WIDTH - 2):
        say(style("2", "# " + line))


def short(text, room):
    text = text.replace("\n", " ")
    return text if len(text) <= room else text[:room - 1].rstrip() + "…"


def quoted(arg, room):
    """An argument as one would type it, shortened."""
    arg = short(arg, room)
    if arg and not re.search(r"[\s\"']", arg):
        return arg
    return '"' + arg + '"' if '"' not in arg else "'" + arg + "'"


def shown(v, room):
    """The lines of a reply. Long texts are shortened to `room` characters, a single text is shown in full."""
    if v is None:
        return ["(nil)"]
    if isinstance(v, Error):
        return [f"(error) {v}"]
    if isinstance(v, Status):
        return [str(v)]
    if isinstance(v, int):
        return [f"(integer) {v}"]
    if isinstance(v, str):
        mark = "'" if '"' in v else '"'
        return [mark + short(v, room) + mark]
    lines = []
    for i, item in enumerate(v, 1):
        lead = f"{i:>{len(str(len(v)))}}) "
        for k, line in enumerate(shown(item, room - len(lead))):
            lines.append((lead if k == 0 else " " * len(lead)) + line)
    return lines or ["(empty array)"]


def paragraphs(text):
    """A text reply as redis-cli --raw prints it, wrapped."""
    out = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        out += textwrap.wrap(line, WIDTH, subsequent_indent=indent) or [""]
    return out


class Talk:
    """A connection whose commands and replies are printed."""

    def __init__(self, port, seconds):
        self.client = Client(port, seconds)

    def __call__(self, *args, quiet=False, raw=False, room=46):
        t0 = time.monotonic()
        reply = self.client.call(*args)
        ms = (time.monotonic() - t0) * 1000
        if not quiet:
            typed = "skald> " + " ".join(quoted(str(a), room) for a in args)
            for line in textwrap.wrap(typed, WIDTH, subsequent_indent="       ", break_long_words=False):
                say(style("36", line))
            for line in paragraphs(reply) if raw and isinstance(reply, str) else shown(reply, WIDTH - 4):
                say(line)
            say(style("2", f"({ms:.1f} ms)" if ms < 1000 else f"({ms / 1000:.1f} s)"))
        expect(not isinstance(reply, Error), f"{args[0]} was refused: {reply}")
        return reply


# ---- the document ----


def cut(path):
    """The licence's terms as passages: (section, heading, text). The preamble is section -1."""
    try:
        with open(path, encoding="utf-8") as f:
            text = f.read()
    except OSError as e:
        raise Failed(f"the demo reads {path}, which every Debian system has: {e.strerror}") from None
    text = text[text.index("Preamble") + len("Preamble"):text.index("END OF TERMS AND CONDITIONS")]
    passages, open_parts = [], []
    section, title = -1, "Preamble"

    def flush():
        if open_parts:
            passages.append((section, title, " ".join(open_parts)))
            open_parts.clear()

    for paragraph in re.split(r"\n\s*\n", text):
        p = " ".join(paragraph.split())
        begins = re.fullmatch(r"(\d+)\. ([A-Z].{0,70})\.", p)
        if begins:
            flush()
            section, title = int(begins[1]), begins[2]
        elif p and p != "TERMS AND CONDITIONS":
            if open_parts and sum(map(len, open_parts)) + len(p) > PASSAGE:
                flush()
            open_parts.append(p)
    flush()
    return passages


# ---- the flow ----

# What was quoted, as a list for people: the passages whose [number] the model wrote; all of them when it wrote none.
SOURCES = """
local cited, all = {}, {}
for i, p in ipairs(input.passages) do
  local a = p.attributes
  local line = string.format("[%d] GPL-3, section %d: %s", i, a.section, a.heading)
  all[#all + 1] = line
  if string.find(input.answer, "[" .. i .. "]", 1, true) then cited[#cited + 1] = line end
end
return {text = table.concat(#cited > 0 and cited or all, "\\n")}
"""


def make_flow(model):
    nodes = [
        {"id": "start", "kind": "start"},
        {"id": "find", "kind": "search",
         "params": {"key": "gpl", "query": "{{input.question}}", "count": 4, "filter": ".section >= 0"}},
        {"id": "prompt", "kind": "template",
         "params": {"text": "{{find.text}}\n\nQuestion: {{input.question}}"}},
        {"id": "ask", "kind": "llm",
         "params": {"model": model, "prompt": "{{prompt.text}}", "history": 6, "temperature": 0}},
        {"id": "sources", "kind": "code",
         "params": {"input": {"passages": "{{find.passages}}", "answer": "{{ask.text}}"}, "code": SOURCES}},
        {"id": "say", "kind": "answer", "params": {"text": "{{ask.text}}\n\n{{sources.text}}"}},
    ]
    order = [n["id"] for n in nodes]
    return {"title": "Answers about the GPL", "nodes": nodes,
            "edges": [{"from": a, "to": b} for a, b in zip(order, order[1:])]}


# ---- the main job ----


class Demo:
    def __init__(self, server):
        self.server = server
        self.url = os.environ.get("SKALD_DEMO_URL", "")
        self.id = os.environ.get("SKALD_DEMO_MODEL", "")
        expect(bool(self.url) == bool(self.id), "SKALD_DEMO_URL and SKALD_DEMO_MODEL belong together; set both or none")
        self.model = "demo" if self.url else "builtin/extract"
        self.patience = 120 if self.url else 20
        self.talk = None

    def run(self):
        started = self.server.start()
        say(f"server    {os.path.relpath(BIN)} on 127.0.0.1:{self.server.port}, up in {started * 1000:.0f} ms")
        say(f"data      {self.server.dir} (journal on, appendfsync always)")
        say(f"document  {DOCUMENT}")
        say("model     " + (f"{self.id} at {self.url}" if self.url else
                            "builtin/extract: quotes the sentences that fit, no network, no weights"))
        self.talk = Talk(self.server.port, self.patience)
        self.register()
        self.index()
        self.search()
        self.converse()
        self.crash()
        self.go_on()
        self.talk.client.close()
        self.server.stop()

    def register(self):
        if not self.url:
            return
        heading("0. The model")
        key = ("KEY", "env:SKALD_DEMO_KEY") if os.environ.get("SKALD_DEMO_KEY") else ()
        self.talk("LLM.MODEL", "SET", self.model, "PROVIDER", "openai", "URL", self.url, "ID", self.id, *key)

    def index(self):
        passages = cut(DOCUMENT)
        heading("1. A real document, cut into passages, becomes a vector set on file")
        self.talk("VCREATE", "gpl", "DIM", 384, "MODEL", "builtin/hash", "STORAGE", "FILE")
        number, t0 = {}, time.monotonic()
        for i, (section, title, text) in enumerate(passages):
            number[section] = number.get(section, 0) + 1
            element = f"gpl:{section}.{number[section]}" if section >= 0 else f"gpl:preamble.{number[section]}"
            attributes = json.dumps({"section": section, "heading": title, "text": text})
            added = self.talk("VADD", "gpl", "TEXT", f"{title}. {text}", element, "SETATTR", attributes, quiet=i > 0)
            expect(added == 1, f"VADD of {element} said {added}, not 1")
        note(f"… and {len(passages) - 1} more like it, each on disk before its reply: "
             f"{(time.monotonic() - t0) * 1000:.0f} ms in all.")
        self.passages = len(passages)
        expect(self.talk("VCARD", "gpl") == self.passages, "the set does not hold all the passages")

    def search(self):
        heading("2. A question that needs two passages")
        found = self.talk("VSEARCH", "gpl", "TEXT", QUESTION, "COUNT", 4, "FILTER", ".section >= 4", "WITHSCORES",
                          "WITHATTRIBS", room=90)
        sections = [json.loads(a)["section"] for a in found[2::3]]
        expect(len(sections) == 4, f"the search found {len(sections)} passages, not 4")
        expect({4, 15} <= set(sections), f"the search found sections {sections}; 4 and 15 hold the answer")
        expect(min(sections) >= 4, f"the filter let section {min(sections)} through")
        self.found = found[0::3]

    def converse(self):
        heading("3. A session, and a flow that searches, asks the model and names its sources")
        self.session = self.talk("SESSION.CREATE", "chat:1", "TITLE", "Questions about the GPL", "SYSTEM",
                                 "Answer from the numbered passages only and cite them as [1], [2].", room=80)
        flow = make_flow(self.model)
        note("The flow is JSON: nodes, and the edges between them. " + " → ".join(n["id"] for n in flow["nodes"]) + ".")
        for n in flow["nodes"]:
            for line in textwrap.wrap(short(json.dumps(n), 180), WIDTH - 8, subsequent_indent="    ", break_long_words=False):
                say("    " + line)
        self.talk("FLOW.SET", "ask-gpl", json.dumps(flow))
        self.ask(QUESTION, {4: "warranty protection for a fee", 15: "THERE IS NO WARRANTY"})
        heading("4. A follow-up in the same session")
        self.ask(FOLLOW_UP, {8: "reinstated"})

    def ask(self, question, wanted):
        """wanted: section -> words that builtin/extract must quote from it."""
        answer = self.talk("FLOW.RUN", "ask-gpl", "INPUT", json.dumps({"question": question}), "SESSION", self.session,
                           raw=True, room=110)
        expect(isinstance(answer, str) and answer.strip(), "the flow gave no answer")
        expect("GPL-3, section" in answer, "the answer does not name its sources")
        if self.url:
            return  # what a model says is its own affair
        for section, words in wanted.items():
            expect(words in answer, f"the answer does not quote section {section} (\"{words}\")")
            expect(f"section {section}:" in answer, f"the answer does not name section {section} among its sources")

    def crash(self):
        self.before = self.talk("SESSION.MESSAGES", self.session, quiet=True)
        expect(len(self.before) == 4, f"the session has {len(self.before)} messages, not 4")
        heading("5. kill -9")
        say(style("31", f"$ kill -9 {self.server.proc.pid}"))
        self.talk.client.close()
        self.server.kill()
        say(style("31", f"$ {os.path.relpath(BIN)} --port {self.server.port} --dir {self.server.dir} …"))
        seconds = self.server.start()
        note(f"Up again after {seconds * 1000:.0f} ms.")
        self.talk = Talk(self.server.port, self.patience)

    def go_on(self):
        heading("6. Nothing that was acknowledged is lost; the session goes on")
        after = self.talk("SESSION.MESSAGES", self.session)
        expect(len(after) == len(self.before),
               f"the session had {len(self.before)} messages before the kill and has {len(after)} after it")
        expect(after == self.before, "the session's messages are not what they were before the kill")
        cards = self.talk("VCARD", "gpl")
        expect(cards == self.passages, f"the set had {self.passages} passages before the kill and has {cards} after it")
        found = self.talk("VSEARCH", "gpl", "TEXT", QUESTION, "COUNT", 4, "FILTER", ".section >= 4", room=90)
        expect(found == self.found, "the search finds other passages than before the kill")
        self.ask(AFTER_CRASH, {14: "The Free Software Foundation may publish"})
        messages = self.talk("SESSION.GET", self.session, "title", "messages")
        expect(messages[1] == len(self.before) + 2, f"the session has {messages[1]} messages, not {len(self.before) + 2}")


def main():
    if not os.access(BIN, os.X_OK):
        say(f"demo: there is no {BIN}; run make first")
        return 1
    t0, server = time.monotonic(), Server()
    try:
        Demo(server).run()
    except (Failed, OSError) as e:
        say()
        say(style("1;31", f"demo failed: {e}"))
        if server.last_log():
            say("the end of the server's log:\n" + server.last_log())
        return 1
    except KeyboardInterrupt:
        say("\ndemo: interrupted")
        return 130
    finally:
        server.remove()
    say()
    say(f"Done in {time.monotonic() - t0:.1f} s; the server is stopped and its folder removed.")
    say("Go on by hand:  make run  in one terminal,  redis-cli  in another; README.md has the first five minutes.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
