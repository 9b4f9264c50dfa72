#!/usr/bin/env python3
"""A mock vendor whose every request may meet another misfortune, and which keeps a ledger of what it did.

    chaos.py [--port N]          prints "port N" when it listens

The model's name says how bad it is: "calm" (nothing happens), or "chaos" with "percent=N" (40 by default) and "seed=N",
such as "chaos,percent=60,seed=3"; "only=FAULT" has that one happen every time, "clean" only what leaves no tokens behind
without telling how many. What happens to a request depends on the
seed, on its tag (the first word of the last message, such as "q-17") and on how often that tag was asked before: not on
the clock and not on the others. Beside that a storm comes over all of them from time to time: for a while every request
is told 429.

The answer to q-17 is "a-17 w1 w2 ...", and its usage is made from the tag too, so that every answer and every count can
be told from every other; the embedding of a text belongs to the text. GET /control/ledger tells, for each tag, what was answered to each of its requests: fault,
model, stream, whole (it was written to its end), text, usage.

The wire and the rest of /control are provider.py's.
"""
import asyncio
import json
import random
import zlib

import provider

ledger = {}
seen = 0

# (name, weight). Those of STREAMS only happen to streams.
FAULTS = [("status500", 5), ("status503", 4), ("rate", 5), ("reset", 4), ("close", 4), ("garbage", 4), ("error200", 4),
          ("headonly", 4), ("never", 1), ("slow", 4), ("half", 8), ("halfreset", 4), ("html", 3), ("lost-usage", 2),
          ("broken", 3), ("mid-error", 3), ("huge", 0)]
STREAMS = {"broken", "mid-error", "lost-usage"}
UNCOUNTED = {"half", "halfreset", "broken", "mid-error", "lost-usage", "never"}
STORM_EVERY, STORM_LENGTH = 400, 40
SOON = ["retry-after-ms: 5"]


def tag_of(body):
    if "input" in body:
        return body["input"][0].split()[0]
    content = body["messages"][-1]["content"]
    if not isinstance(content, str):
        content = next(p["text"] for p in content if p["type"] == "text")
    return content.split()[0]


def answer_of(tag):
    """(text, usage) that belong to a tag for ever."""
    h = zlib.crc32(tag.encode())
    n = 4 + h % 13
    text = " ".join(["a" + tag[1:], *(f"w{i}" for i in range(1, n))])
    return text, {"prompt_tokens": 10 + h % 90, "completion_tokens": n, "total_tokens": 10 + h % 90 + n}


def vectors_of(texts):
    """What floats of 32 bits hold exactly."""
    return [[zlib.crc32(t.encode()) % 1000 / 8, len(t) / 2, 0.25] for t in texts]


def chat_body(text, usage):
    return {"id": "chatcmpl-chaos", "object": "chat.completion", "created": 1, "model": "chaos-1", "usage": usage,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}


def embedding_body(vectors, usage):
    return {"object": "list", "model": "chaos-1", "data": [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)],
            "usage": {"prompt_tokens": usage["prompt_tokens"], "total_tokens": usage["prompt_tokens"]}}


def misfortune(how, tag, attempt, stream):
    if "calm" in how:
        return None
    if how.get("only"):
        return how["only"]
    dice = random.Random(f"{how.get('seed', 1)}/{tag}/{attempt}")
    if dice.randrange(100) >= int(how.get("percent") or 40):
        return None
    names, weights = zip(*((n, w) for n, w in FAULTS
                           if (stream or n not in STREAMS) and ("clean" not in how or n not in UNCOUNTED)))
    return dice.choices(names, weights)[0]


async def whole(r, entry, text, usage):
    fault = entry["fault"]
    body = json.dumps((chat_body if isinstance(text, str) else embedding_body)(text, usage)).encode()
    r.w.write(r.head(200, "application/json", [f"Content-Length: {len(body)}"]))
    if fault in ("half", "halfreset", "headonly"):
        r.w.write(b"" if fault == "headonly" else body[:len(body) // 2])
        await r.w.drain()
        r.hang_up(fault == "halfreset")
    if fault == "slow":
        for i in range(0, len(body), 40):
            await asyncio.sleep(0.01)  # before, so that the last bytes and the ledger's "whole" are of one step
            r.w.write(body[i:i + 40])
            await r.w.drain()
    else:
        r.w.write(body)
    await r.w.drain()
    entry["whole"] = True


async def stream(r, entry, text, usage):
    fault = entry["fault"]
    await r.start_chunks("text/event-stream")

    async def data(choices, **more):
        obj = {"id": "chatcmpl-chaos", "object": "chat.completion.chunk", "created": 1, "model": "chaos-1", "choices": choices}
        await r.chunk(b"data: " + json.dumps({**obj, **more}).encode() + b"\n\n")

    async def delta(d, finish=None):
        await data([{"index": 0, "delta": d, "finish_reason": finish}])

    if fault == "headonly":
        r.hang_up(False)
    await delta({"role": "assistant", "content": ""})
    words = text.split(" ")
    for i, word in enumerate(words):
        if i == len(words) // 2:
            if fault in ("half", "halfreset"):
                r.hang_up(fault == "halfreset")
            if fault == "broken":
                await r.chunk(b'data: {"choices":[{"ind\n\n')
                return
            if fault == "mid-error":
                await r.chunk(b"data: " + json.dumps(provider.error(500, "chaos in the middle")).encode() + b"\n\n")
                return
        await delta({"content": word + (" " if i + 1 < len(words) else "")})
        entry["pieces"] += 1
        if fault == "slow":
            await asyncio.sleep(0.01)
    await delta({}, "stop")
    if fault != "lost-usage":
        await data([], usage=usage)
    await r.chunk(b"data: [DONE]\n\n")
    r.w.write(b"0\r\n\r\n")
    await r.w.drain()
    entry["whole"] = True


async def without_answer(r, fault):
    """True when that was all."""
    if fault == "never":
        await asyncio.sleep(20)
        r.hang_up(True)
    if fault in ("reset", "close"):
        r.hang_up(fault == "reset")
    if fault in ("status500", "status503", "rate"):
        status = 429 if fault == "rate" else int(fault[6:])
        body = json.dumps(provider.error(status)).encode()
        r.w.write(r.head(status, "application/json", [f"Content-Length: {len(body)}", *SOON]) + body)
    elif fault == "html":
        await r.whole(200, b"<html><body>Please log in</body></html>", "text/html")
    elif fault == "garbage":
        await r.whole(200, b'{"id":"x","choices":[{"index":0,"mess\x00\xff', "application/json")
    elif fault == "error200":
        await r.whole(200, provider.error(500, "an error that came with status 200"))
    elif fault == "huge":
        await r.whole(200, b'{"choices":[{"message":{"content":"' + b"x" * (40 << 20) + b'"}}]}')
    else:
        return False
    await r.w.drain()
    return True


async def model_call(r, path, body, *_):
    global seen
    seen += 1
    how, tag = provider.parse(body["model"]), tag_of(body)
    entries = ledger.setdefault(tag, [])
    streams = bool(body.get("stream"))
    fault = misfortune(how, tag, len(entries), streams)
    if "calm" not in how and "only" not in how and seen % STORM_EVERY < STORM_LENGTH:
        fault = "rate"
    text, usage = answer_of(tag)
    if "input" in body:
        text = vectors_of(body["input"])
    entry = {"model": body["model"], "stream": streams, "fault": fault, "whole": False, "pieces": 0, "text": text, "usage": usage}
    entries.append(entry)
    if fault and await without_answer(r, fault):
        return
    await (stream if streams else whole)(r, entry, text, usage)


plain_control = provider.control


async def control(r, path, raw):
    if path == "/control/ledger":
        await r.whole(200, ledger)
    elif path == "/control/forget":
        ledger.clear()
        await r.whole(200, {})
    else:
        await plain_control(r, path, raw)


if __name__ == "__main__":
    provider.model_call, provider.control = model_call, control
    try:
        asyncio.run(provider.main())
    except KeyboardInterrupt:
        pass
