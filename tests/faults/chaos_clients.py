"""Clients for the chaos tests, on asyncio: each asks its questions one after the other and notes what became of each, or
vanishes in the middle. Nothing here asserts; the notes are judged by the tests."""

import asyncio
import itertools
import json
import struct
from zlib import crc32

from resp import encode


class Note:
    """What became of one question: `answer` (the whole text), `error` (its text), or gone (both None)."""

    def __init__(self, tag, kind, session=None):
        self.tag, self.kind, self.session = tag, kind, session
        self.answer = self.error = self.meta = None
        self.pieces, self.replies = [], 0

    def __repr__(self):
        return f"<{self.tag} {self.kind} {self.session} answer={self.answer!r} error={self.error!r} pieces={len(self.pieces)}>"


class Resp:
    """One RESP3 connection."""

    async def open(self, port):
        self.r, self.w = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        await self.call("HELLO", 3)
        return self

    def send(self, *words):
        self.w.write(encode(*words))

    async def call(self, *words):
        self.send(*words)
        return await self.read()

    async def read(self):
        line = await self.r.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        kind, rest = chr(line[0]), line[1:-2]
        if kind == "$":
            return (await self.r.readexactly(int(rest) + 2))[:-2] if rest != b"-1" else None
        if kind in "*>%":
            items = [await self.read() for _ in range(int(rest) * (2 if kind == "%" else 1))]
            return ("push", items) if kind == ">" else dict(zip(items[::2], items[1::2])) if kind == "%" else items
        if kind == "-":
            return ("error", rest.decode())
        return int(rest) if kind == ":" else float(rest) if kind == "," else None if kind == "_" else rest

    def vanish(self, hard):
        if hard:
            self.w.transport.abort()
        else:
            self.w.close()


async def by_resp(port, note, model, vanish=None, timeout=60000, token=None):
    """vanish: None, "at once", or "at a piece"; the latter needs a stream. token: of idempotency."""
    c = await Resp().open(port)
    words = ["LLM.CHAT", note.session] if note.session else ["LLM.ASK"]
    stream = note.kind == "stream"
    c.send(*words, f"{note.tag} what?", "MODEL", model, "TIMEOUT", timeout, *(["STREAM"] if stream else []),
           *(["WITHMETA"] if note.kind == "meta" else []), *(["IDEMPOTENCY", token] if token else []))
    await c.w.drain()
    try:
        if vanish == "at once":
            return
        while True:
            got = await c.read()
            if not (isinstance(got, tuple) and got[0] == "push"):
                break
            note.pieces.append(got[1][2].decode())
            if vanish:
                return
        take(note, got)
    finally:
        c.vanish(crc32(note.tag.encode()) % 2)


def take(note, got):
    note.replies += 1
    if isinstance(got, tuple):
        note.error = got[1]
    elif isinstance(got, dict):
        note.answer, note.meta = got[b"text"].decode(), got
    else:
        note.answer = got.decode()


async def http_body(r, head):
    """The pieces of a body as they come; raises IncompleteReadError when it is not whole."""
    length = next((int(h.split(b":")[1]) for h in head if h.lower().startswith(b"content-length:")), None)
    if length is not None:
        yield await r.readexactly(length)
        return
    while True:
        size = int(await r.readuntil(b"\r\n"), 16)
        data = await r.readexactly(size + 2)
        if not size:
            return
        yield data[:-2]


def post(path, body, *headers):
    data = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


async def by_http(port, note, model, vanish=None, timeout=60000, token=None):
    """The same by POST /v1/chat/completions."""
    r, w = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    body = {"model": model, "messages": [{"role": "user", "content": f"{note.tag} what?"}]}
    if note.session:
        body["metadata"] = {"session": note.session}
    if note.kind == "stream":
        body.update(stream=True, stream_options={"include_usage": True})
    w.write(post("/v1/chat/completions", body, f"x-skald-timeout-ms: {timeout}", *([f"Idempotency-Key: {token}"] if token else [])))
    await w.drain()
    try:
        if vanish == "at once":
            return
        head = (await r.readuntil(b"\r\n\r\n")).split(b"\r\n")
        status, text = int(head[0].split()[1]), b""
        async for piece in http_body(r, head):
            text += piece
            if vanish and b'"content":"' in text.replace(b'"content":""', b""):
                return
        note.replies += 1
        take_stream(note, text) if note.kind == "stream" and status == 200 else take_whole(note, status, json.loads(text))
    except (asyncio.IncompleteReadError, ConnectionError):
        note.replies += 1
        note.error = "CUT the connection ended in the middle"
    finally:
        w.transport.abort() if crc32(note.tag.encode()) % 2 else w.close()


def take_whole(note, status, obj):
    if status == 200:
        note.answer = obj["choices"][0]["message"]["content"]
        note.meta = {b"tokens-in": obj["usage"]["prompt_tokens"], b"tokens-out": obj["usage"]["completion_tokens"]}
    else:
        note.error = f"{status} {obj['error']['type']}"


def take_stream(note, text):
    ended = False
    for event in text.decode().split("\n\n"):
        if not event.startswith("data:"):
            continue
        if event[5:].strip() == "[DONE]":
            ended = True
            continue
        obj = json.loads(event[5:])
        if "error" in obj:
            note.error = f"MID {obj['error']['type']}"
            return
        if obj.get("usage"):
            note.meta = {b"tokens-in": obj["usage"]["prompt_tokens"], b"tokens-out": obj["usage"]["completion_tokens"]}
        for choice in obj["choices"]:
            if choice["delta"].get("content"):
                note.pieces.append(choice["delta"]["content"])
    if ended:
        note.answer = "".join(note.pieces)
    else:
        note.error = "CUT without [DONE]"


async def embed_by_resp(port, note, model, texts):
    c = await Resp().open(port)
    got = await c.call("LLM.EMBED", "MODEL", model, *texts, "TIMEOUT", 60000, "FORMAT", "FP32", "WITHMETA")
    note.replies += 1
    if isinstance(got, tuple):
        note.error = got[1]
    else:
        note.answer = [list(struct.unpack(f"<{len(v) // 4}f", v)) for v in got[b"vectors"]]
    c.vanish(False)


async def embed_by_http(port, note, model, texts):
    r, w = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    w.write(post("/v1/embeddings", {"model": model, "input": texts}, "x-skald-timeout-ms: 60000"))
    head = (await r.readuntil(b"\r\n\r\n")).split(b"\r\n")
    got = json.loads(b"".join([piece async for piece in http_body(r, head)]))
    note.replies += 1
    if head[0].split()[1] == b"200":
        note.answer = [x["embedding"] for x in got["data"]]
    else:
        note.error = f"{head[0].split()[1].decode()} {got['error']['type']}"
    w.close()


async def until_answered(how, port, note, model, token):
    """Asks with the same token until there is an answer; the errors on the way."""
    errors = []
    while note.answer is None:
        note.error, note.pieces = None, []
        await how(port, note, model, token=token)
        if note.error:
            errors.append(note.error.split()[0])
        assert len(errors) < 60, note
    return errors


async def until_refused(port, number, model, text, timeout, ends):
    """One question after the other, until one was not answered in time."""
    c = await Resp().open(port)
    for i in itertools.count():
        got = await c.call("LLM.ASK", f"q-{number}-{i} {text}", "MODEL", model, "MAX-TOKENS", 16, "TIMEOUT", timeout)
        if isinstance(got, tuple):
            ends.append(got[1].split()[0])
            break
    c.vanish(False)


async def in_lanes(jobs, lanes):
    """Runs coroutine functions, so many at a time."""
    left = iter(jobs)

    async def lane():
        for job in left:
            await job()

    await asyncio.gather(*(lane() for _ in range(lanes)))
