"""Every row of the providers' table, by both doors, against a mock that speaks that vendor's dialect: what the row says it
has arrives and works, what it says it lacks is refused, or dropped with a note. The table is the server's own."""

import base64
import json
import struct

import pytest
import redis
from door import Door, events, form
from helpers import error, raw
from mock import Mock
from models import pairs
from resp import Conn, Push
from skald import providers

pytestmark = pytest.mark.threads

PNG = "data:image/png;base64,iVBORw0KGgo="
URL = "https://example.org/cat.png"
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
KINDS = {"chat": "CHAT", "embeddings": "EMBED", "rerank": "RERANK", "speech": "SPEECH", "transcription": "TRANSCRIBE"}


TABLE = providers()
ROWS = [name for name in TABLE if name != "builtin"]


def having(feature):
    return [name for name in ROWS if TABLE[name][feature] != "-"]


class World:
    """A server with both doors, the vendors, and a model of every kind that each of them has."""

    def __init__(self, dir):
        self.vendors = Mock("vendors.py")
        self.door = Door(dir)
        self.r = redis.Redis(port=self.door.server.port, socket_timeout=120)
        for row in ROWS:
            for feature, kind in KINDS.items():
                self.models(row, feature, kind)

    def models(self, row, feature, kind):
        url = f"http://127.0.0.1:{self.vendors.port}/{row}"
        cmd = ["LLM.MODEL", "SET", f"{row}-{kind}", "PROVIDER", row, "URL", url, "ID", "some-id", "KEY", f"key-{row}",
               "KIND", kind, "RETRIES", 0]
        if TABLE[row][feature] == "-":
            assert f"has no models of kind {kind}" in error(self.r, *cmd), (row, kind)
        else:
            raw(self.r, *cmd)

    def stop(self):
        self.r.close()
        self.door.server.stop()
        self.vendors.stop()

    def sent(self):
        """What the vendors got since the last look."""
        got = self.vendors.requests()
        self.vendors.control("reset", "")
        return got

    def ask(self, row, *options, text="hi"):
        return pairs(raw(self.r, "LLM.ASK", text, "MODEL", f"{row}-CHAT", "MAX-TOKENS", 100, *options, "WITHMETA"))

    def streamed(self, *cmd):
        """The pushes of a call, and its reply."""
        c = Conn(self.door.server.raw())
        c.call("HELLO", 3)
        c.send(*cmd)
        pushes, reply = [], c.read()
        while isinstance(reply, Push):
            pushes.append(reply)
            reply = c.read()
        c.close()
        return pushes, reply


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    w = World(tmp_path_factory.mktemp("providers"))
    yield w
    w.stop()


def body(row, content="hi", **more):
    return {"model": f"{row}-CHAT", "messages": [{"role": "user", "content": content}], "max_tokens": 100, **more}


def both(world, row, content="hi", **more):
    """The answer by LLM.RAW and by HTTP: two OpenAI replies that must say the same."""
    asked = body(row, content, **more)
    status, _, data = world.door.ask("POST", "/v1/chat/completions", asked)
    assert status == 200, (row, data)
    replies = [json.loads(raw(world.r, "LLM.RAW", json.dumps(asked))), json.loads(data)]
    said = [(x["choices"][0]["message"], x["choices"][0]["finish_reason"], x["usage"]) for x in replies]
    assert said[0] == said[1], row
    return replies[0]


def both_streams(world, row, **more):
    """The chunks by LLM.RAW and by HTTP."""
    asked = body(row, stream=True, stream_options={"include_usage": True}, **more)
    status, _, data = world.door.ask("POST", "/v1/chat/completions", asked)
    assert status == 200 and data.endswith(b"data: [DONE]\n\n"), (row, data)
    pushes, reply = world.streamed("LLM.RAW", json.dumps(asked), "STREAM")
    chunks = [json.loads(p[2]) for p in pushes]
    assert json.loads(reply)["usage"]["completion_tokens"] == 3, row
    return chunks, [e for _, e in events(data) if e != "[DONE]"]


def gathered(chunks):
    """Text, tool calls, finish and usage of a stream."""
    text, calls, finish, usage = "", {}, None, None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            text += choice["delta"].get("content") or ""
            finish = choice["finish_reason"] or finish
            for call in choice["delta"].get("tool_calls") or []:
                name, args = calls.get(call["index"], ("", ""))
                calls[call["index"]] = (name + (call["function"].get("name") or ""),
                                        args + (call["function"].get("arguments") or ""))
    return text, calls, finish, usage


# ---- chat ----

@pytest.mark.parametrize("row", having("chat"))
def test_chat(world, row):
    meta = world.ask(row)
    assert meta[b"text"] == b"Hello you" and meta[b"finish"] == b"stop" and meta[b"notes"] == b"", (row, meta)
    assert (meta[b"tokens-in"], meta[b"tokens-out"], meta[b"estimated"]) == (7, 3, 0)
    reply = both(world, row)
    assert reply["choices"][0]["message"]["content"] == "Hello you" and reply["usage"]["total_tokens"] == 10
    assert raw(world.r, "LLM.CHAT", f"s-{row}", "hi", "MODEL", f"{row}-CHAT") == b"Hello you"
    assert raw(world.r, "LLM.CHAT", f"s-{row}", "and", "MODEL", f"{row}-CHAT") == b"Hello you"  # with the past before it


@pytest.mark.parametrize("row", having("stream"))
def test_stream(world, row):
    pushes, meta = world.streamed("LLM.ASK", "hi", "MODEL", f"{row}-CHAT", "STREAM", "WITHMETA")
    assert b"".join(p[2] for p in pushes if p[0] == b"llm.delta") == b"Hello you" == meta[b"text"], row
    assert (meta[b"tokens-in"], meta[b"tokens-out"], meta[b"estimated"]) == (7, 3, False)
    for chunks in both_streams(world, row):
        text, _, finish, usage = gathered(chunks)
        assert (text, finish, usage["prompt_tokens"], usage["completion_tokens"]) == ("Hello you", "stop", 7, 3)


def is_the_call(call):
    assert call["type"] == "function" and call["id"] and call["function"]["name"] == "get_weather", call
    assert json.loads(call["function"]["arguments"]) == {"city": "Köln"}


@pytest.mark.parametrize("row", having("tools"))
def test_tools(world, row):
    meta = world.ask(row, "TOOLS", json.dumps(TOOLS))
    is_the_call(json.loads(meta[b"tool-calls"])[0])
    assert meta[b"finish"] == b"tool_calls"
    choice = both(world, row, tools=TOOLS)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    is_the_call(choice["message"]["tool_calls"][0])


@pytest.mark.parametrize("row", having("tools"))
def test_tools_streamed(world, row):
    pushes, meta = world.streamed("LLM.ASK", "hi", "MODEL", f"{row}-CHAT", "TOOLS", json.dumps(TOOLS), "STREAM", "WITHMETA")
    tools = [p for p in pushes if p[0] == b"llm.tool"]
    assert tools[0][4] == b"get_weather" and json.loads(b"".join(p[5] for p in tools)) == {"city": "Köln"}
    is_the_call(json.loads(meta[b"tool-calls"])[0])
    for chunks in both_streams(world, row, tools=TOOLS):
        _, calls, finish, _ = gathered(chunks)
        assert finish == "tool_calls" and list(calls) == [0]
        assert calls[0][0] == "get_weather" and json.loads(calls[0][1]) == {"city": "Köln"}


@pytest.mark.parametrize("row", [row for row in having("tools") if row not in ("anthropic", "ollama")])
def test_a_tools_result(world, row):
    """The round goes on in a session: the vendor is sent its own call, and what the tool said."""
    key = f"t-{row}"
    raw(world.r, "LLM.RAW", json.dumps(body(row, tools=TOOLS)), "SESSION", key)
    call = pairs(raw(world.r, "SESSION.MESSAGES", key, "WITHMETA")[-1])
    id = json.loads(call[b"tool_calls"])[0]["id"]
    said = json.loads(raw(world.r, "LLM.RAW", json.dumps({
        "model": f"{row}-CHAT", "messages": [{"role": "tool", "tool_call_id": id, "content": "rain"}]}), "SESSION", key))
    assert said["choices"][0]["message"]["content"] == "The tool said rain", row


JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
ALL_ALIKE = {  # feature: options of LLM.ASK, fields of the OpenAI form (None: only one of them has it)
    "temperature": (["TEMPERATURE", 0.5], {"temperature": 0.5}),
    "top_p": (["TOP-P", 0.5], {"top_p": 0.5}),
    "frequency penalty": (None, {"frequency_penalty": 0.5}),
    "presence penalty": (None, {"presence_penalty": 0.5}),
    "stop": (["STOP", "X"], {"stop": "X"}),
    "seed": (["SEED", 7], {"seed": 7}),
    "user": (["USER", "u"], {"user": "u"}),
    "tool choice": (["TOOLS", json.dumps(TOOLS), "TOOL-CHOICE", "REQUIRED"], {"tools": TOOLS, "tool_choice": "required"}),
    "one tool at a time": (None, {"tools": TOOLS, "parallel_tool_calls": False}),
    "JSON": (["JSON"], {"response_format": {"type": "json_object"}}),
    "JSON schema": (["JSON", json.dumps(SCHEMA)], {"response_format": JSON_SCHEMA}),
    "image data": (["IMAGE", PNG], None),
    "image URL": (["IMAGE", URL], None),
    "thinking effort": (["EFFORT", "high"], {"reasoning_effort": "high"}),
    "thinking off": (["EFFORT", "none"], {"reasoning_effort": "none"}),
}
WANTED = {"JSON": b'{"any":1}', "JSON schema": '{"city":"Köln"}'.encode(), "image data": b"I see " + PNG[:21].encode(),
          "image URL": b"I see " + URL[:21].encode()}


@pytest.mark.parametrize("row", having("chat"))
@pytest.mark.parametrize("feature", [f for f, (options, _) in ALL_ALIKE.items() if options])
def test_an_option(world, row, feature):
    options, cell = ALL_ALIKE[feature][0], TABLE[row][feature]
    if cell == "refused":
        assert error(world.r, "LLM.ASK", "hi", "MODEL", f"{row}-CHAT", *options).startswith("INVALID"), row
        return
    meta = world.ask(row, *options)
    actions = {note["action"] for note in json.loads(meta[b"notes"] or b"[]")}
    assert (cell in actions) if cell in ("dropped", "mapped") else not actions, (row, feature, cell, meta[b"notes"])
    if feature in WANTED:
        assert meta[b"text"] == WANTED[feature]


@pytest.mark.parametrize("row", having("chat"))
def test_fields(world, row):
    """The same by LLM.RAW and HTTP: fields that the vendor lacks do not reach it (it would refuse them)."""
    for feature, (_, fields) in ALL_ALIKE.items():
        if fields is None:
            continue
        said = both(world, row, **fields)["choices"][0]["message"]
        if feature in WANTED:
            assert said["content"] == WANTED[feature].decode(), (row, feature)
        elif "tools" not in fields:
            assert said["content"] == "Hello you", (row, feature)


@pytest.mark.parametrize("row", having("chat"))
@pytest.mark.parametrize("url", [PNG, URL])
def test_images(world, row, url):
    cell = TABLE[row]["image data" if url == PNG else "image URL"]
    content = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": url}}]
    if cell == "refused":
        status, _, data = world.door.ask("POST", "/v1/chat/completions", body(row, content))
        assert status == 400 and json.loads(data)["error"]["type"] == "invalid_request_error", row
        assert error(world.r, "LLM.RAW", json.dumps(body(row, content))).startswith("INVALID")
    else:
        assert both(world, row, content)["choices"][0]["message"]["content"] == "I see " + url[:21], row


def test_all_dropped_at_once(world):
    """Notes name each parameter that was dropped, and nothing else."""
    for row in having("chat"):
        meta = world.ask(row, "SEED", 7, "USER", "u", "STOP", "X")
        dropped = {n["param"] for n in json.loads(meta[b"notes"] or b"[]") if n["action"] == "dropped"}
        assert dropped == {name for name in ("seed", "user", "stop") if TABLE[row][name] == "dropped"}, row


# ---- the other kinds ----

def vectors_of(world, row, **more):
    asked = {"model": f"{row}-EMBED", "input": ["a", "bcd"], **more}
    status, _, data = world.door.ask("POST", "/v1/embeddings", asked)
    assert status == 200, (row, data)
    got = json.loads(data)
    assert got["usage"]["prompt_tokens"] == 4, row
    return [d["embedding"] for d in got["data"]]


@pytest.mark.parametrize("row", having("embeddings"))
def test_embeddings(world, row):
    want = [[1, 0.5, 0.25], [3, 0.5, 0.25]]
    meta = pairs(raw(world.r, "LLM.EMBED", "MODEL", f"{row}-EMBED", "a", "bcd", "FORMAT", "FP32", "WITHMETA"))
    assert [list(struct.unpack("<3f", v)) for v in meta[b"vectors"]] == want and meta[b"tokens-in"] == 4
    assert vectors_of(world, row) == want
    packed = vectors_of(world, row, encoding_format="base64")
    assert [list(struct.unpack("<3f", base64.b64decode(v))) for v in packed] == want
    many = ["x" * (i + 1) for i in range(101)]  # more than some vendors take at once
    meta = pairs(raw(world.r, "LLM.EMBED", "MODEL", f"{row}-EMBED", *many, "FORMAT", "FP32", "WITHMETA"))
    assert [struct.unpack("<3f", v)[0] for v in meta[b"vectors"]] == [i + 1 for i in range(101)]
    assert meta[b"tokens-in"] == 202


@pytest.mark.parametrize("row", having("rerank"))
def test_rerank(world, row):
    docs = ["a", "b", "c"]
    assert raw(world.r, "LLM.RERANK", "MODEL", f"{row}-RERANK", "q", "COUNT", 2, *docs, "WITHSCORES")[::2] == [b"c", b"b"]
    status, _, data = world.door.ask("POST", "/v1/rerank", {"model": f"{row}-RERANK", "query": "q", "documents": docs,
                                                            "top_n": 2})
    assert status == 200 and [x["index"] for x in json.loads(data)["results"]] == [2, 1], (row, data)


@pytest.mark.parametrize("row", having("speech"))
def test_speech(world, row):
    assert raw(world.r, "LLM.SPEAK", "MODEL", f"{row}-SPEECH", "good day", "VOICE", "v", "FORMAT", "mp3") == b"AUDIO good day"
    status, head, data = world.door.ask("POST", "/v1/audio/speech", {"model": f"{row}-SPEECH", "input": "hm", "voice": "v"})
    assert (status, head["content-type"], data) == (200, "audio/mpeg", b"AUDIO hm"), row


@pytest.mark.parametrize("row", having("transcription"))
def test_transcription(world, row):
    assert raw(world.r, "LLM.TRANSCRIBE", "MODEL", f"{row}-TRANSCRIBE", b"RIFF1234", "LANG", "de") == b"8 bytes"
    status, _, data = world.door.ask("POST", "/v1/audio/transcriptions", form(model=f"{row}-TRANSCRIBE", file="RIFF"),
                                     content_type="multipart/form-data; boundary=here")
    assert status == 200 and json.loads(data)["text"] == "4 bytes", (row, data)


def test_qwens_other_rerankers(world):
    """Some of its models are at another address and speak another form."""
    url = f"http://127.0.0.1:{world.vendors.port}/qwen"
    for id in ("gte-rerank-v2", "qwen3-vl-rerank"):
        raw(world.r, "LLM.MODEL", "SET", "other", "PROVIDER", "qwen", "URL", url, "ID", id, "KEY", "key-qwen", "KIND", "RERANK",
            "PARAMS", '{"instruct":"be fair"}')
        assert raw(world.r, "LLM.RERANK", "MODEL", "other", "q", "COUNT", 2, "a", "b", "c") == [b"c", b"b"]
        assert json.loads(world.sent()[-1]["body"]) == {
            "model": id, "input": {"query": "q", "documents": ["a", "b", "c"]},
            "parameters": {"return_documents": False, "top_n": 2, "instruct": "be fair"}}


def test_azures_filter(world):
    """A question that the filter stops is an error of its class; an answer that it stops ends so."""
    said = error(world.r, "LLM.ASK", "a bad question", "MODEL", "azure-CHAT", "WITHMETA")
    assert "The response was filtered" in said and "[class content," in said, said
    status, _, data = world.door.ask("POST", "/v1/chat/completions", body("azure", "a bad question"))
    assert status == 400 and "filtered" in json.loads(data)["error"]["message"]
    assert both(world, "azure", "say the bad thing")["choices"][0]["finish_reason"] == "content_filter"
    pushes, meta = world.streamed("LLM.ASK", "say the bad thing", "MODEL", "azure-CHAT", "STREAM", "WITHMETA")
    assert (meta[b"text"], meta[b"finish"]) == (b"It is ", b"content_filter")


def test_azures_address(world):
    """The version stands in the URL when it is to be another one; a token goes where tokens go; the ID is one segment."""
    url = f"http://127.0.0.1:{world.vendors.port}/azure/?api-version=2025-01-01"
    raw(world.r, "LLM.MODEL", "SET", "other", "PROVIDER", "azure", "URL", url, "ID", "my model/1", "KEY", "eyJ" + "x" * 60,
        "RETRIES", 0)
    world.sent()
    assert error(world.r, "LLM.ASK", "hi", "MODEL", "other").startswith("INVALID")  # 404: there is no such deployment
    sent = world.sent()[-1]
    assert sent["path"] == "/azure/openai/deployments/my%20model%2F1/chat/completions?api-version=2025-01-01"
    assert sent["headers"]["authorization"] == "Bearer eyJ" + "x" * 60 and "api-key" not in sent["headers"]
    assert "needs a URL" in error(world.r, "LLM.MODEL", "SET", "x", "PROVIDER", "azure", "ID", "d")


def test_every_row_was_asked(world):
    """Each vendor got something at each path that its row has, and its key where it wants it."""
    assert len(TABLE) == 20 and set(ROWS) | {"builtin"} == set(TABLE)
    for row in ROWS:
        assert {f for f in KINDS if TABLE[row][f] != "-"}, row


def test_builtin(world):
    """The row that needs no vendor."""
    assert raw(world.r, "LLM.ASK", "[1] The sea is deep.\n\nHow deep is the sea?", "MODEL", "builtin/extract")
    assert len(raw(world.r, "LLM.EMBED", "MODEL", "builtin/hash", "a", "FORMAT", "VALUES")[0]) == 384
    assert vectors_builtin(world)
    for cmd in (["LLM.RERANK", "MODEL", "builtin/extract", "q", "COUNT", 1, "a"],
                ["LLM.SPEAK", "MODEL", "builtin/extract", "a"], ["LLM.TRANSCRIBE", "MODEL", "builtin/extract", "a"]):
        assert error(world.r, *cmd).startswith("STATE")


def vectors_builtin(world):
    status, _, data = world.door.ask("POST", "/v1/embeddings", {"model": "builtin/hash", "input": "a"})
    return status == 200 and json.loads(data)["data"][0]["embedding"]
