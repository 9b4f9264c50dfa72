#!/usr/bin/env python3
"""A mock model provider: OpenAI's wire format, with every way of failing that a client must survive.

    provider.py [--port N]          prints "port N" when it listens (port 0, the default, takes a free one)

What it does is told by the model's name, "mock" or a list "key=value,key,..." such as "words=20,drip=5,cut=3":

    words=N       answer "word0 word1 ..." instead of echoing the last message
    delay=MS      wait before the reply's head          drip=MS     wait between pieces
    cut=N         close in the middle, after N pieces   reset=N     the same with a TCP reset
    vanish        read the request and close without a byte
    never         never answer                          status=N    answer with this HTTP status and an error body
    garbage       200, and a body that is no JSON       error200    200, and a body that is an error
    streamerror=N an error object after N pieces        broken=N    half a JSON object after N pieces
    nodone        no [DONE] and no last blank line      nousage     no usage
    shred         stream bytes one at a time            comments    keep-alive comments between pieces
    tool          answer with a tool call               failfirst=N the first N requests end with status 500
    dims=N        length of embeddings                  short       one embedding fewer than asked for
    huge=N        an answer of N bytes                  retryafter=S header Retry-After
    badkey=K      401 for requests with that key
    think=N       reasoning_content of N words first    echokey     errors repeat the key that was sent
    hold=N        wait after N pieces (before the head when N is not given) until POST /control/release

Control: GET /control/requests (what it was sent), GET /control/stats, POST /control/release (it holds until the next
reset), POST /control/reset, POST /control/default with a list as body (for models that say nothing). Any other path echoes the request as JSON; /bytes/N answers with N bytes.
"""
import argparse
import asyncio
import json
import socket
import struct
import sys

requests, stats, failures = [], {"open": 0, "peak": 0, "total": 0, "connections": 0}, {}
default = {}
released = asyncio.Event()


def parse(model):
    out = dict(default)
    for part in model.split(","):
        key, _, value = part.partition("=")
        out[key] = value
    return out


def number(how, key, otherwise=None):
    return int(how[key]) if how.get(key) else otherwise


class Gone(Exception):
    pass


class Reply:
    """Writes one HTTP reply; chunked unless a whole body is given."""

    def __init__(self, writer, how):
        self.w, self.how = writer, how

    async def send(self, data):
        if "shred" in self.how:
            for i in range(len(data)):
                self.w.write(data[i:i + 1])
                await self.w.drain()
                await asyncio.sleep(0)
        else:
            self.w.write(data)
            await self.w.drain()

    def head(self, status, kind, extra=()):
        lines = [f"HTTP/1.1 {status} Mock", f"Content-Type: {kind}", f"x-request-id: req-{stats['total']}", *extra]
        if "retryafter" in self.how:
            lines.append(f"Retry-After: {self.how['retryafter']}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def whole(self, status, body, kind="application/json"):
        body = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        self.w.write(self.head(status, kind, [f"Content-Length: {len(body)}"]))
        if "cut" in self.how or "reset" in self.how:
            self.w.write(body[:len(body) // 2])
            await self.w.drain()
            self.hang_up("reset" in self.how)
        self.w.write(body)
        await self.w.drain()

    def hang_up(self, hard):
        if hard:
            self.w.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.w.transport.abort()
        raise Gone

    async def start_chunks(self, kind):
        self.w.write(self.head(200, kind, ["Transfer-Encoding: chunked"]))

    async def chunk(self, data):
        self.w.write(b"%x\r\n" % len(data))
        await self.send(data)
        self.w.write(b"\r\n")
        await self.w.drain()


def error(status, message=None):
    kinds = {401: "invalid_api_key", 429: "rate_limit_exceeded", 404: "model_not_found", 400: "invalid_value"}
    return {"error": {"message": message or f"mock error {status}", "type": "mock_error", "param": None,
                      "code": kinds.get(status)}}


def answer(how, body):
    if number(how, "huge"):
        return "x" * int(how["huge"])
    if number(how, "words"):
        return " ".join(f"word{i}" for i in range(int(how["words"])))
    last = (body.get("messages") or [{}])[-1].get("content") or ""
    return "echo: " + (last if isinstance(last, str) else json.dumps(last))


TOOL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"K\u00f6ln"}'}}


def usage(text):
    n = len(text.split())
    return {"prompt_tokens": 7, "completion_tokens": n, "total_tokens": 7 + n}


def thoughts(how):
    return [f"thought{i} " for i in range(number(how, "think", 0))]


async def chat_whole(r, how, body):
    text = answer(how, body)
    message = {"role": "assistant", "content": text}
    if "tool" in how:
        message = {"role": "assistant", "content": None, "tool_calls": [TOOL]}
    if "think" in how:
        message["reasoning_content"] = "".join(thoughts(how))
    reply = {"id": "chatcmpl-mock", "object": "chat.completion", "created": 1, "model": "mock-model-1",
             "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if "tool" in how else "stop"}]}
    if "nousage" not in how:
        reply["usage"] = usage(text)
    await r.whole(200, reply)


def pieces_of(how, body):
    for thought in thoughts(how):
        yield {"role": "assistant", "content": None, "reasoning_content": thought}
    if "tool" in how:
        fn = TOOL["function"]
        args = fn["arguments"]
        yield {"role": "assistant", "content": None}
        yield {"tool_calls": [{"index": 0, "id": TOOL["id"], "type": "function", "function": {"name": fn["name"], "arguments": ""}}]}
        for i in range(0, len(args), 5):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": args[i:i + 5]}}]}
        return
    text = answer(how, body)
    yield {"role": "assistant", "content": ""}
    words = text.split(" ")
    for i, word in enumerate(words):
        yield {"content": word + (" " if i + 1 < len(words) else "")}


async def chat_stream(r, how, body):
    await r.start_chunks("text/event-stream")
    hold, drip, cut, reset = number(how, "hold"), number(how, "drip"), number(how, "cut"), number(how, "reset")
    bad, broken = number(how, "streamerror"), number(how, "broken")

    def event(choices, **more):
        return {"id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 1, "model": "mock-model-1",
                "choices": choices, "usage": None, **more}

    async def data(obj):
        await r.chunk(b"data: " + json.dumps(obj, ensure_ascii=False).encode() + b"\n\n")

    for n, delta in enumerate(pieces_of(how, body)):
        if n == hold:
            await released.wait()
        if n in (cut, reset):
            r.hang_up(n == reset)
        if n == bad:
            await data(error(500, "the mock fails in the middle"))
            break
        if n == broken:
            await r.chunk(b'data: {"choices":[{"index"\n\n')
            break
        if "comments" in how:
            await r.chunk(b": keep-alive\n\n")
        await data(event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]))
        if drip:
            await asyncio.sleep(drip / 1000)
    else:
        await data(event([{"index": 0, "delta": {}, "finish_reason": "tool_calls" if "tool" in how else "stop"}]))
        if "nousage" not in how and (body.get("stream_options") or {}).get("include_usage"):
            await data(event([], usage=usage(answer(how, body))))
        if "nodone" not in how:
            await r.chunk(b"data: [DONE]\n\n")
    r.w.write(b"0\r\n\r\n")
    await r.w.drain()


async def embeddings(r, how, body):
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    dims = number(how, "dims", 4)
    data = [{"object": "embedding", "index": i, "embedding": [i + 0.5, float(len(t))] + [0.25] * (dims - 2)}
            for i, t in enumerate(texts)]
    if "short" in how:
        data.pop()
    data.reverse()  # the index tells the place
    await r.whole(200, {"object": "list", "model": "mock-model-1", "data": data,
                        "usage": {"prompt_tokens": 3 * len(texts), "total_tokens": 3 * len(texts)}})


async def rerank(r, how, body):
    """The more words of the query a document has, the better it is."""
    asked = set(body["query"].lower().split())
    scores = [len(asked & set(d.lower().split())) / len(asked) for d in body["documents"]]
    best = sorted(range(len(scores)), key=lambda i: -scores[i])[:body.get("top_n", len(scores))]
    await r.whole(200, {"model": "mock-rank-1", "usage": {"total_tokens": 5},
                        "results": [{"index": i, "relevance_score": scores[i]} for i in best]})


def form(raw, kind):
    """The parts of a multipart body: name to bytes."""
    mark = b"--" + kind.split("boundary=")[1].strip('"').encode()
    parts = [p.split(b"\r\n\r\n", 1) for p in raw.split(mark)[1:-1]]
    return {head.split(b'name="')[1].split(b'"')[0].decode(): value[:-2] for head, value in parts}


async def model_call(r, path, body, headers):
    model = body.get("model", "mock")
    how = r.how = parse(model)
    if number(how, "delay"):
        await asyncio.sleep(int(how["delay"]) / 1000)
    if how.get("hold") == "":
        await released.wait()
    if "vanish" in how:
        r.hang_up(False)
    if "never" in how:
        await asyncio.sleep(3600)
    failures[model] = failures.get(model, 0) + 1
    status = number(how, "status")
    if failures[model] <= number(how, "failfirst", 0):
        status = 500
    if "badkey" in how and headers.get("authorization") == "Bearer " + how["badkey"]:
        status = 401
    said = f"no such key: {headers.get('authorization')}" if "echokey" in how else None
    if status:
        await r.whole(status, error(status, said))
    elif "garbage" in how:
        await r.whole(200, b"<html>this is no JSON</html>", "text/html")
    elif "error200" in how:
        await r.whole(200, error(200, said or "an error that came with status 200"))
    elif path.endswith("/embeddings"):
        await embeddings(r, how, body)
    elif path.endswith("/rerank"):
        await rerank(r, how, body)
    elif path.endswith("/speech"):
        await r.whole(200, b"AUDIO:" + body["input"].encode(), "audio/mpeg")
    elif path.endswith("/transcriptions"):
        plain = body.get("response_format") in ("srt", "vtt", "text")
        said = f"{len(body['file'])} bytes of {body.get('language', 'some language')}"
        await r.whole(200, said.encode() if plain else {"text": said}, "text/plain" if plain else "application/json")
    elif body.get("stream"):
        await chat_stream(r, how, body)
    else:
        await chat_whole(r, how, body)


async def control(r, path, raw):
    global default
    if path == "/control/reset":
        requests.clear(), failures.clear(), released.clear()
        default = {}
    elif path == "/control/release":
        released.set()
    elif path == "/control/default":
        default = {}
        default = parse(raw.decode())
    elif path == "/control/requests":
        return await r.whole(200, requests)
    await r.whole(200, stats)


async def serve_one(reader, writer):
    first = await reader.readexactly(1)
    if first == b"\x16":  # a TLS hello
        raise Gone
    line = (first + await reader.readline()).decode("latin-1").split()
    if len(line) != 3:
        raise Gone
    headers = {}
    while True:
        h = (await reader.readline()).decode("latin-1").strip()
        if not h:
            break
        name, _, value = h.partition(":")
        headers[name.lower()] = value.strip()
    raw = await reader.readexactly(int(headers.get("content-length", 0)))
    method, path = line[0], line[1]
    r = Reply(writer, {})
    if path.startswith("/control/"):
        return await control(r, path, raw)
    stats["total"] += 1
    stats["open"] += 1
    stats["peak"] = max(stats["peak"], stats["open"])
    try:
        seen = {"method": method, "path": path, "headers": headers, "body": raw.decode("utf-8", "replace")}
        if len(requests) < 5000:
            requests.append(seen)
        if path.endswith(("/chat/completions", "/embeddings", "/rerank", "/speech")):
            await model_call(r, path, json.loads(raw), headers)
        elif path.endswith("/transcriptions"):
            parts = form(raw, headers["content-type"])
            await model_call(r, path, {k: v if k == "file" else v.decode() for k, v in parts.items()}, headers)
        elif path.startswith("/bytes/"):
            await r.whole(200, b"x" * int(path[7:]), "application/octet-stream")
        elif path.startswith("/redirect"):
            writer.write(r.head(302, "text/plain", ["Location: /bytes/3", "Content-Length: 0"]))
        else:
            await r.whole(200, seen)
    finally:
        stats["open"] -= 1


async def serve(reader, writer):
    stats["connections"] += 1
    try:
        while True:
            await serve_one(reader, writer)
    except (Gone, ConnectionError, asyncio.IncompleteReadError, ValueError):
        pass
    finally:
        writer.close()


async def main():
    args = argparse.ArgumentParser()
    args.add_argument("--port", type=int, default=0)
    server = await asyncio.start_server(serve, "127.0.0.1", args.parse_args().port, backlog=4096)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), sys.exit)  # whoever started it is gone
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
