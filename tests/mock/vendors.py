#!/usr/bin/env python3
"""Every vendor that Skald has a row for, each in its own dialect: paths, names of fields, forms of replies.

    vendors.py          prints "port N" when it listens; the base URL of a vendor is http://127.0.0.1:N/ROW

A vendor refuses with its status for a bad request what it does not know, so what is let through by mistake is found. What
it answers is told by the request: a tool call when there are tools, JSON when that is asked for, what it sees when there
is an image, else "Hello you". Control: GET /control/requests (what it was sent), POST /control/reset.
"""
import base64
import json
import os
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

requests = []
COMMON = {"model", "messages", "stream", "temperature", "top_p", "max_tokens", "tools", "tool_choice", "response_format"}
MORE = {"stop", "seed", "user", "frequency_penalty", "presence_penalty", "parallel_tool_calls", "stream_options"}
EFFORT, THINK, ENABLE = {"reasoning_effort"}, {"thinking"}, {"enable_thinking", "thinking_budget"}
TEMPLATE = {"chat_template_kwargs"}

FILTERED = {kind: {"filtered": False, "severity": "safe"} for kind in ("hate", "self_harm", "sexual", "violence")}

# What each vendor that speaks OpenAI's form knows beyond COMMON, and how it speaks.
SHEETS = {
    "openai": dict(more=MORE | EFFORT, schema=True, images=True, base64=True),
    "azure": dict(more=MORE | EFFORT, schema=True, images=True, azure=True,
                  path="/openai/deployments/some-id/chat/completions"),
    "qwen": dict(more=MORE - {"user", "frequency_penalty"} | ENABLE, schema=True, images=True, thinks=True),
    "glm": dict(more={"stop", "user_id", "stream_options"} | THINK, images=True, thinks=True, auto=True, whole_tools=True,
                most=1),
    "spark": dict(more={"user", "frequency_penalty", "presence_penalty"} | THINK, spark=True),
    "ernie": dict(more=MORE | ENABLE, schema=True, images=True, most=1),
    "deepseek": dict(more=MORE - {"seed", "user", "parallel_tool_calls"} | EFFORT | THINK, thinks=True, comments=True),
    "moonshot": dict(more=MORE - {"seed", "user", "parallel_tool_calls"} | THINK, images=True, auto=True, most=1,
                     usage_in_choice=True),
    "doubao": dict(more=MORE - {"seed", "user"} | EFFORT | THINK, schema=True, images=True, thinks=True),
    "minimax": dict(more={"stream_options"}, schema=True, base_resp=True, tags=True, most=1, path="/text/chatcompletion_v2"),
    "hunyuan": dict(more={"stop", "seed", "stream_options"} | ENABLE, images=True, whole_tools=True),
    "siliconflow": dict(more=MORE - {"seed", "user"} | ENABLE, schema=True, images=True, tags=True),
    "vllm": dict(more=MORE | TEMPLATE, schema=True, images=True, base64=True, no_index=True, tags=True),
    "llamacpp": dict(more=MORE - {"user"} | TEMPLATE, schema=True, images=True, object_arguments=True),
    "cohere": dict(more=MORE - {"user", "parallel_tool_calls"} | EFFORT, schema=True, auto=True,
                   path="/compatibility/v1/chat/completions"),
}
CALL = {"name": "get_weather", "arguments": '{"city":"Köln"}'}
WORDS = ["Hello ", "you"]
HELD_BACK = ["It is "]  # the content filter lets no more of it pass
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


class Refused(Exception):
    """(what is wrong, the status[, the error's further members])"""


def need(ok, why, status=400, **more):
    if not ok:
        raise Refused(why, status, more)


def text_of(content):
    return content if isinstance(content, str) else "".join(p.get("text") or "" for p in content or [])


def images_of(messages):
    return [p["image_url"]["url"] for m in messages if isinstance(m["content"], list) for p in m["content"]
            if p["type"] == "image_url"]


# ---- OpenAI's form ----

def check_chat(sheet, body):
    unknown = set(body) - COMMON - sheet["more"]
    need(not unknown, f"unknown parameters {sorted(unknown)}")
    form = body.get("response_format", {}).get("type", "text")
    need(form in ("text", "json_object") or sheet.get("schema"), f"response_format {form} is not known")
    if form == "json_schema":
        need(body["response_format"]["json_schema"]["schema"]["type"] == "object", "the schema is not one")
    need(not sheet.get("auto") or body.get("tool_choice", "auto") == "auto", "tool_choice must be auto")
    need(body.get("temperature", 0) <= sheet.get("most", 2), "temperature is too high")
    need(sheet.get("images") or not images_of(body["messages"]), "there are no eyes here")
    need(all(m["role"] in ("system", "user", "assistant", "tool") for m in body["messages"]), "unknown role")


def answer(body):
    """The words that are said, or None for a tool call."""
    images = images_of(body["messages"])
    wants = body.get("response_format", {}).get("type", "text")
    told = any("JSON schema" in text_of(m["content"]) for m in body["messages"] if m["role"] == "system")
    last = body["messages"][-1]
    if body.get("tools") and last["role"] != "tool":
        return None
    if text_of(last["content"]) == "say the bad thing":
        return HELD_BACK
    if last["role"] == "tool":
        return ["The tool ", "said " + text_of(last["content"])]
    if images:
        return ["I see ", images[0][:21]]
    if wants == "json_schema" or (wants == "json_object" and told):
        return ['{"city":', '"Köln"}']
    return ['{"any":', "1}"] if wants == "json_object" else WORDS


def tool_call(sheet):
    call = {"id": "call_1", "type": "function", "function": dict(CALL)}
    if sheet.get("object_arguments"):
        call["function"]["arguments"] = json.loads(CALL["arguments"])
    if sheet.get("spark"):
        del call["id"]
    return call


def whole(sheet, body):
    said = answer(body)
    message = {"role": "assistant", "content": "".join(said) if said else None}
    if sheet.get("tags") and said:
        message["content"] = "<think>\nhm</think>\n\n" + message["content"]
    if sheet.get("thinks"):
        message["reasoning_content"] = "hm"
    if said is None:
        message["tool_calls"] = tool_call(sheet) if sheet.get("spark") else [tool_call(sheet)]
    choice = {"index": 0, "message": message, "finish_reason": "stop" if said else "tool_calls"}
    reply = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"] + "-1", "choices": [choice],
             "usage": USAGE}
    if sheet.get("spark"):
        del choice["finish_reason"], reply["object"], reply["model"], reply["created"]
        reply |= {"code": 0, "message": "Success", "sid": reply.pop("id")}
    if sheet.get("base_resp"):
        reply["base_resp"] = {"status_code": 0, "status_msg": ""}
    if sheet.get("azure"):
        reply["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": FILTERED}]
        choice["content_filter_results"] = FILTERED if said else {}
    if sheet.get("azure") and said == HELD_BACK:
        del choice["message"]
        choice["finish_reason"] = "content_filter"
    return reply


def tool_deltas(sheet):
    call = tool_call(sheet)
    if sheet.get("spark"):
        return [{"tool_calls": call}]
    index = {} if sheet.get("no_index") else {"index": 0}
    if sheet.get("whole_tools") or sheet.get("object_arguments"):
        return [{"tool_calls": [{**index, **call}]}]
    args = CALL["arguments"]
    head = {**call, **index, "function": {"name": CALL["name"], "arguments": ""}}
    return [{"tool_calls": [head]}] + [{"tool_calls": [{**index, "function": {"arguments": args[i:i + 5]}}]}
                                       for i in range(0, len(args), 5)]


def deltas_of(sheet, said):
    if sheet.get("thinks"):
        yield {"role": "assistant", "content": None, "reasoning_content": "hm"}
    if said is None:
        yield from tool_deltas(sheet)
        return
    if sheet.get("tags"):
        yield from ({"content": piece} for piece in ("<thi", "nk>\nhm</th", "ink>\n\n"))
    yield {"role": "assistant", "content": ""}
    yield from ({"content": word} for word in said)


def chunk_of(sheet, body, choices, **more):
    out = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": body["model"] + "-1", "choices": choices}
    if sheet.get("spark"):
        out = {"code": 0, "message": "Success", "sid": "x", "choices": choices}
    return {**out, **more}


def chunks(sheet, body):
    """The events of a stream, as text."""
    said = answer(body)
    wants_usage = (body.get("stream_options") or {}).get("include_usage") and not sheet.get("usage_in_choice")
    if sheet.get("azure"):
        yield {"id": "", "object": "", "model": "", "choices": [],
               "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": FILTERED}]}
    for delta in deltas_of(sheet, said):
        more = {} if sheet.get("spark") else {"finish_reason": None}
        more |= {"content_filter_results": FILTERED} if sheet.get("azure") else {}
        yield chunk_of(sheet, body, [{"index": 0, "delta": delta, **more}])
    last = {"index": 0, "delta": {}, "finish_reason": "stop" if said else "tool_calls"}
    if said == HELD_BACK:
        last |= {"finish_reason": "content_filter", "content_filter_results": FILTERED}
    if sheet.get("usage_in_choice"):
        last["usage"] = USAGE
    if sheet.get("spark"):
        yield chunk_of(sheet, body, [{"index": 0, "delta": {"role": "assistant", "content": ""}}], usage=USAGE)
    else:
        yield chunk_of(sheet, body, [last])
    if wants_usage:
        yield chunk_of(sheet, body, [], usage=USAGE)


def stream(sheet, body):
    out = []
    for c in chunks(sheet, body):
        out += [": keep-alive\n\n"] if sheet.get("comments") else []
        out.append("data: " + json.dumps(c, ensure_ascii=False) + "\n\n")
    return "".join(out) + "data: [DONE]\n\n"


def chat(sheet, body):
    check_chat(sheet, body)
    bad = sheet.get("azure") and text_of(body["messages"][-1]["content"]) == "a bad question"
    need(not bad, "The response was filtered", code="content_filter", param="prompt", type=None,
         innererror={"code": "ResponsibleAIPolicyViolation", "content_filter_result": FILTERED})
    if body.get("stream"):
        return "text/event-stream", stream(sheet, body).encode()
    return whole(sheet, body)


def native_rerank(sheet, body):
    """DashScope's own form: what is asked stands in `input`."""
    need(set(body) == {"model", "input", "parameters"} and set(body["input"]) == {"query", "documents"}, "not DashScope's form")
    need(body["model"].startswith(("gte-rerank", "qwen3-vl-rerank")), "ModelNotFound", 404)
    results = ranks(body["input"]["documents"], body["parameters"].get("top_n"))
    return {"output": {"results": results}, "usage": {"total_tokens": 9}, "request_id": "x"}


def embed(sheet, body):
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    unknown = set(body) - {"model", "input", "encoding_format", "dimensions"}
    need(not unknown, f"unknown parameters {sorted(unknown)}")
    need(len(texts) <= sheet.get("batch", 2048), "too many texts")
    packed = body.get("encoding_format") == "base64"
    need(not packed or sheet.get("base64"), "base64 is not known")
    rows = [[float(len(t)), 0.5, 0.25] for t in texts]
    if packed:
        rows = [base64.b64encode(struct.pack("<3f", *v)).decode() for v in rows]
    data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(rows)]
    return {"object": "list", "model": body["model"], "data": data,
            "usage": {"prompt_tokens": 2 * len(texts), "total_tokens": 2 * len(texts)}}


def ranks(docs, top_n, name="relevance_score"):
    """The last document is the best."""
    return [{"index": i, name: (i + 1) / len(docs)} for i in reversed(range(len(docs)))][:top_n]


def rerank(sheet, body):
    unknown = set(body) - {"model", "query", "documents", "top_n"}
    need(not unknown, f"unknown parameters {sorted(unknown)}")
    results = ranks(body["documents"], body.get("top_n"))
    return {"model": body["model"], "results": results, "usage": {"total_tokens": 9}}


def speech(sheet, body):
    unknown = set(body) - {"model", "input", "voice", "response_format", "speed", "instructions"}
    need(not unknown and body["voice"], f"unknown parameters {sorted(unknown)}")
    return "audio/mpeg", b"AUDIO " + body["input"].encode()


def transcribe(sheet, parts):
    unknown = set(parts) - {"file", "model", "language", "prompt", "response_format", "temperature"}
    need(not unknown and parts.get("model"), f"unknown parts {sorted(unknown)}")
    return {"text": f"{len(parts['file'])} bytes", "usage": {"input_tokens": 4, "output_tokens": 2}}


# ---- forms of their own ----

def anthropic(sheet, body, headers):
    unknown = set(body) - {"model", "messages", "max_tokens", "system", "stream", "temperature", "top_p", "stop_sequences",
                           "metadata", "tools", "tool_choice", "thinking", "output_config"}
    need(not unknown and body["max_tokens"] > 0, f"unknown parameters {sorted(unknown)}")
    need(headers.get("anthropic-version") and headers.get("x-api-key") == "key-anthropic", "no key", 401)
    need(body.get("temperature", 0) <= 1, "temperature is too high")
    blocks = [b for m in body["messages"] for b in m["content"]]
    image = next((b["source"] for b in blocks if b["type"] == "image"), None)
    said = WORDS
    if body.get("tools"):
        need(body["tools"][0]["input_schema"]["type"] == "object", "a tool has no schema")
        said = None
    elif image:
        said = ["I see ", (f"data:{image['media_type']};base64,{image['data']}" if image["type"] == "base64" else image["url"])[:21]]
    elif body.get("output_config", {}).get("format"):
        said = ['{"city":', '"Köln"}']
    elif any("JSON" in b["text"] for b in body.get("system", [])):
        said = ['{"any":', "1}"]
    stop, usage = "end_turn" if said else "tool_use", {"input_tokens": 7, "output_tokens": 3}
    use = {"type": "tool_use", "id": "call_1", "name": CALL["name"], "input": json.loads(CALL["arguments"])}
    if not body.get("stream"):
        return {"type": "message", "model": body["model"] + "-1", "role": "assistant", "stop_reason": stop, "usage": usage,
                "content": [{"type": "text", "text": "".join(said)} if said else use]}
    events = [{"type": "message_start", "message": {"model": body["model"] + "-1", "usage": {**usage, "output_tokens": 1}}},
              {"type": "content_block_start", "index": 0,
               "content_block": {"type": "text", "text": ""} if said else {**use, "input": {}}}, {"type": "ping"}]
    pieces = said or [CALL["arguments"][:6], CALL["arguments"][6:]]
    kind, field = ("text_delta", "text") if said else ("input_json_delta", "partial_json")
    events += [{"type": "content_block_delta", "index": 0, "delta": {"type": kind, field: p}} for p in pieces]
    events += [{"type": "content_block_stop", "index": 0},
               {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 3}},
               {"type": "message_stop"}]
    return "text/event-stream", "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events).encode()


def ollama(sheet, body):
    unknown = set(body) - {"model", "messages", "stream", "tools", "format", "options", "think", "keep_alive"}
    unknown |= set(body.get("options", {})) - {"temperature", "top_p", "num_predict", "seed", "stop", "frequency_penalty",
                                               "presence_penalty"}
    need(not unknown, f"unknown parameters {sorted(unknown)}")
    images = [i for m in body["messages"] for i in m.get("images", [])]
    form = body.get("format")
    said = (None if body.get("tools") else ["I see ", "data:image/png;base64" if images[0] == "iVBORw0KGgo=" else "?"] if images
            else ['{"city":', '"Köln"}'] if isinstance(form, dict) else ['{"any":', "1}"] if form else WORDS)
    call = {"function": {"name": CALL["name"], "arguments": json.loads(CALL["arguments"])}}
    end = {"done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 3}
    if not body["stream"]:
        message = {"role": "assistant", "content": "".join(said or [""]), **({} if said else {"tool_calls": [call]})}
        return {"model": body["model"] + "-1", "message": message, **end}
    lines = [{"role": "assistant", "content": w} for w in said or []] or [{"role": "assistant", "content": "", "tool_calls": [call]}]
    out = [{"model": body["model"] + "-1", "message": m, "done": False} for m in lines]
    out.append({"model": body["model"] + "-1", "message": {"role": "assistant", "content": ""}, **end})
    return "application/x-ndjson", b"".join(json.dumps(x).encode() + b"\n" for x in out)


def ollama_embed(sheet, body):
    need(not set(body) - {"model", "input", "dimensions"}, "unknown parameters")
    return {"model": body["model"], "embeddings": [[float(len(t)), 0.5, 0.25] for t in body["input"]],
            "prompt_eval_count": 2 * len(body["input"])}


def cohere_embed(sheet, body):
    need(body["input_type"] and body["embedding_types"] == ["float"] and len(body["texts"]) <= 96, "not Cohere's form")
    return {"id": "x", "embeddings": {"float": [[float(len(t)), 0.5, 0.25] for t in body["texts"]]},
            "meta": {"billed_units": {"input_tokens": 2 * len(body["texts"])}}}


def cohere_rerank(sheet, body):
    return {"id": "x", "results": ranks(body["documents"], body.get("top_n")), "meta": {"billed_units": {"search_units": 1}}}


def tei_rerank(sheet, body):
    need(not set(body) - {"query", "texts", "truncate", "raw_scores", "return_text"}, "unknown parameters")
    return ranks(body["texts"], None, "score")


# ---- who has what ----

def of_openai(row, rerank_path="/rerank", *kinds):
    sheet = SHEETS.get(row, {})
    out = {f"/{row}{sheet.get('path', '/chat/completions')}": (chat, sheet)} if sheet else {}
    out |= {f"/{row}/embeddings": (embed, sheet)} if "embed" in kinds else {}
    out |= {f"/{row}{rerank_path}": (rerank, sheet)} if "rerank" in kinds else {}
    out |= {f"/{row}/audio/speech": (speech, sheet)} if "speech" in kinds else {}
    out |= {f"/{row}/audio/transcriptions": (transcribe, sheet)} if "transcribe" in kinds else {}
    return out


SHEETS["qwen"]["batch"] = 10
ROUTES = {
    **of_openai("openai", "/rerank", "embed", "rerank", "speech", "transcribe"),
    **of_openai("azure"),
    "/azure/openai/deployments/some-id/embeddings": (embed, {}), "/azure/openai/deployments/some-id/audio/speech": (speech, {}),
    "/azure/openai/deployments/some-id/audio/transcriptions": (transcribe, {}),
    **of_openai("qwen", "", "embed"), "/api/v1/services/rerank/text-rerank/text-rerank": (native_rerank, {}),
    "/compatible-api/v1/reranks": (rerank, {}),
    **of_openai("glm", "/rerank", "embed", "rerank"), **of_openai("spark"), **of_openai("ernie", "/rerank", "embed", "rerank"),
    **of_openai("deepseek"), **of_openai("moonshot"), **of_openai("doubao", "", "embed"), **of_openai("minimax"),
    **of_openai("hunyuan", "", "embed"),
    **of_openai("siliconflow", "/rerank", "embed", "rerank", "speech", "transcribe"),
    **of_openai("vllm", "/rerank", "embed", "rerank", "transcribe"), **of_openai("llamacpp", "/rerank", "embed", "rerank"),
    "/tei/v1/embeddings": (embed, {"batch": 32}), "/tei/rerank": (tei_rerank, {}),
    **of_openai("jina", "/rerank", "embed", "rerank"), **of_openai("cohere"),
    "/cohere/v2/embed": (cohere_embed, {}), "/cohere/v2/rerank": (cohere_rerank, {}),
    "/anthropic/v1/messages": (anthropic, {}), "/ollama/api/chat": (ollama, {}), "/ollama/api/embed": (ollama_embed, {}),
}


def form(raw, kind):
    """The parts of a multipart body: name to bytes or text."""
    mark = b"--" + kind.split("boundary=")[1].strip('"').encode()
    parts = [p.split(b"\r\n\r\n", 1) for p in raw.split(mark)[1:-1]]
    named = {head.split(b'name="')[1].split(b'"')[0].decode(): value[:-2] for head, value in parts}
    return {k: v if k == "file" else v.decode() for k, v in named.items()}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one segment a reply

    def log_message(self, *args):
        pass

    def reply(self, status, kind, data):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def json(self, status, what):
        self.reply(status, "application/json", json.dumps(what, ensure_ascii=False).encode())

    def do_GET(self):
        self.json(200, requests)

    def serve(self, path, headers, raw):
        path, _, query = path.partition("?")
        need(path in ROUTES, f"there is no {path}", 404)
        handler, sheet = ROUTES[path]
        kind = headers["content-type"]
        body = form(raw, kind) if kind.startswith("multipart/") else json.loads(raw)
        if handler is anthropic:
            return handler(sheet, body, headers)
        row = path.split("/")[1]
        row = "qwen" if row in ("compatible-api", "api") else row
        if row == "azure":
            need(headers.get("api-key") == "key-azure" and "authorization" not in headers, "no key", 401, code="401")
            need(query == "api-version=2024-10-21", "no api-version", 404)
            return handler(sheet, body)
        need(headers.get("authorization") == f"Bearer key-{row}", "no key", 401)
        return handler(sheet, body)

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        headers = {k.lower(): v for k, v in self.headers.items()}
        if self.path == "/control/reset":
            requests.clear()
            return self.json(200, [])
        requests.append({"path": self.path, "headers": headers, "body": raw.decode("utf-8", "replace")})
        try:
            out = self.serve(self.path, headers, raw)
        except Refused as e:
            why = {"message": e.args[0], "type": "invalid_request_error", "code": None}
            return self.json(e.args[1], {"error": {**why, **e.args[2]}})
        except (KeyError, TypeError, IndexError, ValueError) as e:
            return self.json(400, {"error": {"message": f"{type(e).__name__}: {e}", "type": "invalid_request_error"}})
        return self.reply(200, *out) if isinstance(out, tuple) else self.json(200, out)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


def main():
    server = Server(("127.0.0.1", 0), Handler)
    print("port", server.server_port, flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()  # whoever started it is gone
    server.serve_forever()


if __name__ == "__main__":
    main()
