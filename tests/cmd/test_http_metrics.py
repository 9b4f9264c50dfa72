"""/metrics: what calls took, whichever door they came by."""

import pytest
from door import Door
from helpers import error, raw

pytestmark = pytest.mark.threads


def rows_of(door):
    page = door.ask("GET", "/metrics")[2].decode()
    return page, dict(line.rsplit(" ", 1) for line in page.split("\n") if line and line[0] != "#")


def test_metrics(tmp_path, mock):
    d = Door(tmp_path / "metrics", "--http-metrics-series", "3")
    try:
        r = d.client()
        for i in range(5):
            raw(r, "LLM.MODEL", "SET", f"m{i}", "PROVIDER", "openai", "URL", mock.url, "ID", "words=2", "PRICE", "1", "1")
            d.chat(f"m{i}")
        d.chat("m0", stream=True)
        d.chat("none", status=404)
        page, rows = rows_of(d)
        labels = 'model="m0",route="",class="none",door="http"'
        assert rows[f"skald_gateway_calls_total{{{labels}}}"] == "2"
        assert rows[f"skald_gateway_request_seconds_count{{{labels}}}"] == "2"
        assert rows[f'skald_gateway_request_seconds_bucket{{{labels},le="+Inf"}}'] == "2"
        buckets = [int(v) for k, v in rows.items() if k.startswith("skald_gateway_request_seconds_bucket{" + labels)]
        assert buckets == sorted(buckets)
        assert rows['skald_gateway_calls_total{model="other",route="other",class="none",door="http"}'] == "2"
        assert 'model="m4"' not in page
        assert rows['skald_http_answers_total{route="chat",status="200"}'] == "6"
        assert rows['skald_http_answers_total{route="chat",status="404"}'] == "1"
        for name in {k.split("{")[0] for k in rows}:
            base = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            assert page.count(f"# TYPE {name} ") + page.count(f"# TYPE {base} histogram") == 1, name
    finally:
        d.server.stop()


def test_metrics_of_both_doors(tmp_path, mock):
    """Every call is counted where it ends, but those that only look whether a model is back."""
    d = Door(tmp_path / "both")
    try:
        r = d.client()
        for name, behaviour, kind in (("m", "words=2", "CHAT"), ("bad", "status=500", "CHAT"), ("e", "dims=3", "EMBED"),
                                      ("s", "mock", "SPEECH"), ("k", "mock", "RERANK")):
            raw(r, "LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", mock.url, "ID", behaviour, "KIND", kind,
                "RETRIES", 0, "PRICE", "1", "1")
        raw(r, "LLM.ROUTE", "SET", "way", "STRATEGY", "PRIORITY", "MODELS", "bad", "m")
        raw(r, "LLM.ASK", "hello", "MODEL", "m")
        raw(r, "LLM.CHAT", "session", "hello", "MODEL", "m")
        raw(r, "LLM.RAW", '{"model":"m","messages":[{"role":"user","content":"hello"}]}')
        raw(r, "LLM.ASK", "hello", "MODEL", "way")
        assert error(r, "LLM.ASK", "hello", "MODEL", "bad").startswith("UPSTREAM")
        raw(r, "LLM.EMBED", "MODEL", "e", "hello")
        raw(r, "LLM.SPEAK", "MODEL", "s", "hello", "VOICE", "v")
        raw(r, "LLM.RERANK", "MODEL", "k", "hello", "COUNT", 1, "hello you", "nobody")
        raw(r, "LLM.MODEL", "CHECK", "m")
        d.chat("m")
        assert d.ask("POST", "/v1/embeddings", {"model": "e", "input": "hello"})[0] == 200
        _, rows = rows_of(d)

        def calls(model, door, cls="none", route="", of="calls_total"):
            return rows.get(f'skald_gateway_{of}{{model="{model}",route="{route}",class="{cls}",door="{door}"}}')

        assert calls("m", "resp") == "3" and calls("m", "http") == "1"
        assert calls("m", "resp", route="way") == "1" and calls("bad", "resp", "transient") == "1"
        assert calls("m", "resp", route="way", of="attempts_total") == "2"
        assert [calls(x, "resp") for x in "esk"] == ["1", "1", "1"] and calls("e", "http") == "1"
        for of in ("request_seconds_count", "first_piece_seconds_count", "overhead_seconds_count"):
            assert calls("m", "resp", of=of) == "3"
        assert calls("m", "resp", of="tokens_out_total") == str(3 * int(calls("m", "http", of="tokens_out_total")))
        assert float(calls("m", "resp", of="cost_total")) > float(calls("m", "http", of="cost_total")) > 0
    finally:
        d.server.stop()
