"""Models that do not chat: rerank, speech, transcription, embeddings; searches that a rerank model orders."""

import time

import pytest
from helpers import error, raw
from models import calls_end, model, pairs, sent  # noqa: F401
from resp import Conn

pytestmark = pytest.mark.threads
DOCS = ["the sea is deep", "Delft is a town in Holland", "Holland is flat"]


def test_rerank(server, r, model, mock):
    m = model("rank", kind="RERANK")
    cmd = ["LLM.RERANK", "MODEL", m, "a town in Holland", "COUNT"]
    assert raw(r, *cmd, 2, *DOCS) == [DOCS[1].encode(), DOCS[2].encode()]
    assert sent(mock)["documents"] == DOCS and sent(mock)["top_n"] == 2
    assert raw(r, *cmd, 2, *DOCS, "WITHSCORES") == [DOCS[1].encode(), b"1", DOCS[2].encode(), b"0.25"]
    assert len(raw(r, *cmd, 9, *DOCS, "TIMEOUT", "60000", "PRIORITY", "1")) == 3
    meta = pairs(raw(r, *cmd, 1, *DOCS, "WITHMETA"))
    assert meta[b"model"] == m.encode() and pairs(meta[b"results"][0])[b"index"] == 1 and meta[b"tokens-in"] == 5
    c = Conn(server.raw())
    c.call("HELLO", 3)
    assert c.call(*cmd, 1, *DOCS, "WITHSCORES") == [[DOCS[1].encode(), 1.0]]
    c.close()


def test_rerank_refuses(r, model):
    m = model("rank", kind="RERANK")
    for bad in (["COUNT", "0", "a"], ["COUNT", "x", "a"], ["COUNT", "1", "a", "b", "TIMEOUT", "0"]):
        assert error(r, "LLM.RERANK", "MODEL", m, "q", *bad).startswith("INVALID")
    assert error(r, "LLM.RERANK", "MODEL", m, "q", "FOO", "1", "a") == "syntax error"
    assert error(r, "LLM.RERANK", "MODEL", "builtin/extract", "q", "COUNT", 1, "a").startswith("STATE")
    assert error(r, "LLM.RERANK", "q", "COUNT", 1, "a").startswith(("STATE", "INVALID"))
    assert error(r, "LLM.RERANK", "MODEL", model("status=500", "RETRIES", "0", kind="RERANK"), "q", "COUNT", 1,
                 "a").startswith("UPSTREAM")


def test_speak(r, model, mock):
    m = model("voice", kind="SPEECH")
    assert raw(r, "LLM.SPEAK", "MODEL", m, "Good morning", "VOICE", "alloy", "FORMAT", "mp3", "SPEED", "1.5") == \
        b"AUDIO:Good morning"
    assert sent(mock)["voice"] == "alloy" and sent(mock)["response_format"] == "mp3" and sent(mock)["speed"] == 1.5
    meta = pairs(raw(r, "LLM.SPEAK", "MODEL", m, "Hm", "VOICE", "alloy", "WITHMETA"))
    assert meta[b"audio"] == b"AUDIO:Hm" and meta[b"type"] == b"audio/mpeg" and meta[b"bytes"] == 8
    for bad in (["COLOUR", "x"], ["VOICE"], ["VOICE", b"\xff"], ["SPEED", "9"], ["SPEED", "nan"]):
        assert error(r, "LLM.SPEAK", "MODEL", m, "Hm", *bad).startswith("INVALID")


def test_transcribe(r, model, mock):
    m = model("ear", kind="TRANSCRIBE")
    audio = bytes(range(256)) * 4
    assert raw(r, "LLM.TRANSCRIBE", "MODEL", m, audio, "LANG", "nl") == b"1024 bytes of nl"
    assert raw(r, "LLM.TRANSCRIBE", "MODEL", m, audio, "FORMAT", "srt") == b"1024 bytes of some language"
    meta = pairs(raw(r, "LLM.TRANSCRIBE", "MODEL", m, audio, "TEMPERATURE", "0.5", "WITHMETA"))
    assert meta[b"text"] == b"1024 bytes of some language" and meta[b"model"] == m.encode()
    assert error(r, "LLM.TRANSCRIBE", "MODEL", m, audio, "TEMPERATURE", "5").startswith("INVALID")


def test_embed(r, model, mock):
    m = model("dims=5", kind="EMBED")
    meta = pairs(raw(r, "LLM.EMBED", "MODEL", m, *["text"] * 50, "DIM", "5", "FORMAT", "FP32", "WITHMETA"))
    assert meta[b"dim"] == 5 and [len(v) for v in meta[b"vectors"]] == [20] * 50 and meta[b"tokens-in"] == 150
    assert sent(mock)["dimensions"] == 5
    assert len(raw(r, "LLM.EMBED", "MODEL", m, "FORMAT", "VALUES")) == 2  # one text is left, whatever it is
    for bad in (["DIM", "0"], ["FORMAT", "BLOB"], ["TIMEOUT", "x"]):
        assert error(r, "LLM.EMBED", "MODEL", m, "a", "b", *bad).startswith("INVALID")


@pytest.mark.parametrize("cmd", [
    ["LLM.RERANK", "MODEL", None, "q", "COUNT", 1, "a"], ["LLM.SPEAK", "MODEL", None, "hi", "VOICE", "v"],
    ["LLM.TRANSCRIBE", "MODEL", None, "audio"], ["LLM.EMBED", "MODEL", None, "text"]])
def test_who_goes_cancels(server, r, model, cmd):
    kind = {"LLM.RERANK": "RERANK", "LLM.SPEAK": "SPEECH", "LLM.TRANSCRIBE": "TRANSCRIBE", "LLM.EMBED": "EMBED"}[cmd[0]]
    m = model("never", kind=kind)
    c = Conn(server.raw())
    c.send(*[m if w is None else w for w in cmd])
    while not raw(r, "LLM.CALLS"):
        time.sleep(0.005)
    c.close()
    calls_end(r)
    for refused in (lambda: error(r, "EVAL", "return redis.call(unpack(ARGV))", 0, *[m if w is None else w for w in cmd]),):
        assert refused().startswith("STATE")


# ---- VSEARCH ... RERANK ----

@pytest.fixture
def towns(r):
    raw(r, "VCREATE", "v", "DIM", 2)
    for i, text in enumerate(DOCS):
        raw(r, "VADD", "v", "VALUES", 2, 1, i / 10, f"d{i}", "SETATTR", '{"text":"%s","note":"note %d"}' % (text, i))
    raw(r, "VADD", "v", "VALUES", 2, 1, 0.01, "bare")
    raw(r, "VADD", "v", "VALUES", 2, 1, 0.02, "number", "SETATTR", '{"text":7}')
    return ["VSEARCH", "v", "VALUES", 2, 1, 0]


def test_a_model_orders_what_was_found(r, model, mock, towns):
    m = model("rank", kind="RERANK")
    assert raw(r, *towns, "COUNT", 1) == [b"d0"]
    assert raw(r, *towns, "COUNT", 2, "RERANK", m, "QUERY", "a town in Holland") == [b"d1", b"d2"]
    assert sent(mock)["query"] == "a town in Holland" and sorted(sent(mock)["documents"]) == sorted(DOCS)
    assert raw(r, *towns, "RERANK", m, "BY", "note", "QUERY", "note 2", "COUNT", 1) == [b"d2"]
    all = raw(r, *towns, "RERANK", m, "QUERY", "Holland is flat", "WITHSCORES", "WITHATTRIBS")
    assert all[0] == b"d2" and float(all[1]) == 1 and b"note 2" in all[2]
    assert [all[-6], all[-3]] == [b"bare", b"number"] and all[-4] is None and float(all[-5]) == 0
    hybrid = raw(r, *towns, "HYBRID", "Holland town", "RERANK", m, "COUNT", 1, "NOTHREAD")
    assert hybrid == [b"d1"] and sent(mock)["query"] == "Holland town"
    raw(r, "VCREATE", "t", "DIM", 384)
    for text in DOCS:
        raw(r, "VADD", "t", "TEXT", text, text[:3], "SETATTR", '{"text":"%s"}' % text)
    assert raw(r, "VSEARCH", "t", "TEXT", "a town in Holland", "RERANK", m, "COUNT", 1) == [b"Del"]


def test_rerank_of_a_search_refuses(r, model, towns):
    m = model("rank", kind="RERANK")
    assert "QUERY" in error(r, *towns, "RERANK", m)
    assert "has a text" in error(r, *towns, "RERANK", m, "BY", "colour", "QUERY", "x")
    assert error(r, *towns, "RERANK", "nobody", "QUERY", "x").startswith("STATE")
    assert error(r, *towns, "RERANK", model("status=500", "RETRIES", "0", kind="RERANK"), "QUERY", "x").startswith("UPSTREAM")
    assert error(r, "VSEARCH", "v", "BATCH", 1, "FP32", b"\0" * 8, "RERANK", m).startswith("INVALID")
    assert "syntax" in error(r, "VSIM", "v", "VALUES", 2, 1, 0, "RERANK", m)
    assert "syntax" in error(r, *towns, "RERANK")
    assert raw(r, *towns, "FILTER", ".note == 'none'", "RERANK", m, "QUERY", "x") == []
    assert error(r, "EVAL", "return redis.call(unpack(ARGV))", 0, *towns, "RERANK", m, "QUERY", "x").startswith("STATE")


def test_elements_may_go_while_the_model_thinks(server, r, model, mock, towns):
    m = model("rank,hold", kind="RERANK")
    mock.hold()
    c, gone = Conn(server.raw()), Conn(server.raw())
    for conn in (c, gone):
        conn.send(*towns, "RERANK", m, "QUERY", "a town in Holland", "WITHATTRIBS")
    while len(raw(r, "LLM.CALLS")) < 2:
        time.sleep(0.005)
    raw(r, "VREM", "v", "d1")
    raw(r, "VSETATTR", "v", "d2", '{"text":"new"}')
    gone.close()
    while len(raw(r, "LLM.CALLS")) > 1:
        time.sleep(0.005)
    mock.release()
    reply = c.read()
    assert reply[0] == b"d2" and reply[1] == b'{"text":"new"}' and b"d1" not in reply
    c.close()
    r.delete("v")
    calls_end(r)
