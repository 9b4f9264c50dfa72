"""LLM.COMPARE: the same prompts on several models."""

import json
import time

import pytest
from helpers import error, raw
from models import calls_end, model  # noqa: F401
from resp import Conn

pytestmark = pytest.mark.threads


def compare(r, *more, **spec):
    return json.loads(raw(r, "LLM.COMPARE", json.dumps(spec), *more))


def test_a_report(r, model, mock):
    a, b = model("words=2", "PRICE", "1", "2"), model("words=3")
    broken = model("status=400")
    out = compare(r, "TIMEOUT", "60000", models=[a, b, broken, "nobody"], temperature=0.25,
                  prompts=["one", {"messages": [{"role": "user", "content": "two"}], "expect": "WORD2", "seed": 3}])
    by = {m["model"]: m for m in out["models"]}
    assert (by[a]["answered"], by[b]["answered"], by[broken]["failed"], by["nobody"]["failed"]) == (2, 2, 2, 2)
    assert by[a]["cost"] == "0.000022" and by[b]["cost"] is None and by[a]["tokens_out"] == 4
    assert by[a]["score"] == 0 and by[b]["score"] == 1 and by["nobody"]["score"] == 0
    assert by[b]["ms_median"] <= by[b]["ms_most"] and "ms_median" not in by["nobody"]
    one, two = (p["answers"] for p in out["prompts"])
    assert [x.get("text") for x in one] == ["word0 word1", "word0 word1 word2", None, None]
    assert one[2]["error"].startswith("INVALID") and one[3]["error"].startswith("STATE") and "score" not in one[0]
    bodies = [json.loads(q["body"]) for q in mock.requests() if q["path"].endswith("completions")]
    assert all(x["temperature"] == 0.25 for x in bodies) and any(x.get("seed") == 3 for x in bodies)
    assert not any("expect" in x or "prompts" in x for x in bodies)


@pytest.mark.parametrize("spec", ["", "[]", "{}", '{"models":["m"]}', '{"models":["m"],"prompts":[]}', '{"models":[1],"prompts":["x"]}',
                                  '{"models":["m"],"prompts":[7]}', json.dumps({"models": ["m"] * 17, "prompts": ["x"]})])
def test_bad_specs(r, spec):
    assert error(r, "LLM.COMPARE", spec).startswith("INVALID")


def test_who_goes_cancels_all(server, r, model):
    m = model("never")
    c = Conn(server.raw())
    c.send("LLM.COMPARE", json.dumps({"models": [m, m, m], "prompts": ["x"] * 5}))
    while len(raw(r, "LLM.CALLS")) < 3:
        time.sleep(0.005)
    c.close()
    calls_end(r)
    assert error(r, "LLM.COMPARE", "{}", "COLOUR") == "syntax error"
    assert error(r, "EVAL", "return redis.call('LLM.COMPARE', '{}')", 0).startswith("STATE")
