"""VSEARCH ... HYBRID: by vector and by words at once."""

import json

import pytest

from helpers import error, raw

PETS = {
    "cat": ((1, 0), "The cat sat on the mat"),
    "dog": ((0.9, 0.1), "A dog was running in the park"),
    "fish": ((0, 1), "Fish swim; cats watch them"),
    "zh": ((-1, 0), "机器学习与向量检索"),
}


@pytest.fixture
def pets(r):
    r.execute_command("VCREATE", "pets", "DIM", 2)
    for name, (v, text) in PETS.items():
        raw(r, "VADD", "pets", "VALUES", 2, *v, name, "SETATTR", json.dumps({"text": text, "n": len(name)}))
    return r


def hybrid(r, words, *options, vector=(1, 0), key="pets"):
    return [x.decode() for x in raw(r, "VSEARCH", key, "VALUES", 2, *vector, "HYBRID", words, *options)]


def test_both_lists_count(pets):
    assert hybrid(pets, "fish swimming")[0] in ("fish", "cat")  # first by words, first by vector
    # cat is first by vector and among the best by words: nobody can be better
    assert hybrid(pets, "cats")[0] == "cat"
    assert hybrid(pets, "机器 学习", vector=(-1, 0))[0] == "zh"
    assert set(hybrid(pets, "nothing has this")) == set(PETS)
    assert hybrid(pets, "dog", "COUNT", 1, "WEIGHT", 0) == ["dog"]
    assert hybrid(pets, "dog", "COUNT", 1, "WEIGHT", 1) == ["cat"]


def test_scores_of_both_kinds_of_fusion(pets):
    by_rank = raw(pets, "VSEARCH", "pets", "VALUES", 2, 1, 0, "HYBRID", "running dog", "WITHSCORES", "COUNT", 2)
    assert by_rank[0] == b"dog" and float(by_rank[1]) == pytest.approx(1 / 62 + 1 / 61)
    assert by_rank[2] == b"cat" and float(by_rank[3]) == pytest.approx(1 / 61)
    weighted = raw(pets, "VSEARCH", "pets", "VALUES", 2, 1, 0, "HYBRID", "dog", "WEIGHT", 0.25, "WITHSCORES", "COUNT", 1)
    assert weighted[0] == b"dog" and 0.75 < float(weighted[1]) < 1


def test_filters_hold_for_both(pets):
    assert hybrid(pets, "cat dog fish", "FILTER", ".n == 3 and .n < 4") == hybrid(pets, "dog cat", "FILTER", ".n == 3")
    assert set(hybrid(pets, "fish", "FILTER", ".n == 3")) == {"cat", "dog"}
    assert hybrid(pets, "fish", "FILTER", ".n > 100") == []
    with_attr = raw(pets, "VSEARCH", "pets", "VALUES", 2, 0, 1, "HYBRID", "fish", "COUNT", 1, "WITHATTRIBS", "WITHVECTORS")
    assert with_attr[0] == b"fish" and b"swim" in with_attr[1] and len(with_attr[2]) == 8


def test_changes_are_found_at_once(pets):
    assert hybrid(pets, "unicorn", "WEIGHT", 0, "COUNT", 1) != ["zh"]
    raw(pets, "VSETATTR", "pets", "zh", '{"text":"a unicorn"}')
    assert hybrid(pets, "unicorn", "WEIGHT", 0, "COUNT", 1) == ["zh"]
    raw(pets, "VADD", "pets", "VALUES", 2, 0, -1, "horse", "SETATTR", '{"text":"unicorn unicorn"}')
    assert hybrid(pets, "unicorn", "WEIGHT", 0, "COUNT", 2) == ["horse", "zh"]
    raw(pets, "VREM", "pets", "horse")
    raw(pets, "VSETATTR", "pets", "zh", "")
    assert hybrid(pets, "unicorn", "WEIGHT", 1, "COUNT", 1) == ["cat"]
    assert "horse" not in hybrid(pets, "unicorn")
    raw(pets, "VADD", "pets", "VALUES", 2, 0, -1, "cat")  # another vector, the same text
    assert hybrid(pets, "mat", "WEIGHT", 0, "COUNT", 1) == ["cat"]


def test_other_attribute_and_language(r):
    raw(r, "VCREATE", "de", "DIM", 2, "TEXTATTR", "inhalt", "LANGUAGE", "german")
    raw(r, "VADD", "de", "VALUES", 2, 1, 0, "a", "SETATTR", '{"inhalt":"Die Häuser der Stadt","text":"nichts"}')
    raw(r, "VADD", "de", "VALUES", 2, 1, 1, "b", "SETATTR", '{"inhalt":"Ein Wald"}')
    assert hybrid(r, "haus", "WEIGHT", 0, "COUNT", 1, vector=(1, 1), key="de") == ["a"]
    payload = r.dump("de")
    r.delete("de")
    r.restore("de", 0, payload)
    assert hybrid(r, "haus", "WEIGHT", 0, "COUNT", 1, vector=(1, 1), key="de") == ["a"]
    r.copy("de", "de2")
    assert hybrid(r, "haus", "WEIGHT", 0, "COUNT", 1, vector=(1, 1), key="de2") == ["a"]
    raw(r, "VCREATE", "odd", "DIM", 2, "LANGUAGE", "klingon")
    raw(r, "VADD", "odd", "VALUES", 2, 1, 0, "a")
    assert "klingon" in error(r, "VSEARCH", "odd", "VALUES", 2, 1, 0, "HYBRID", "x")


def test_large_sets_are_read_in_slices(r):
    pipe = r.pipeline(transaction=False)
    for i in range(6000):
        pipe.execute_command("VADD", "many", "VALUES", 2, i, 1, f"e{i}", "SETATTR", json.dumps({"text": f"word{i} " * 5}))
    pipe.execute()
    assert hybrid(r, "word4711", "WEIGHT", 0, "COUNT", 1, key="many") == ["e4711"]
    pipe = r.pipeline()  # in MULTI nothing may wait
    pipe.execute_command("VSETATTR", "many", "e1", '{"text":"once more"}')
    pipe.execute_command("VSEARCH", "many", "VALUES", 2, 1, 1, "HYBRID", "once", "WEIGHT", 0, "COUNT", 1)
    assert pipe.execute()[1] == [b"e1"]
    assert hybrid(r, "once", "NOTHREAD", "WEIGHT", 0, "COUNT", 1, key="many") == ["e1"]


def test_a_filter_sees_all_that_words_found(r):
    pipe = r.pipeline(transaction=False)
    for i in range(8000):
        pipe.execute_command("VADD", "many", "VALUES", 2, i, 1, f"e{i}", "SETATTR", json.dumps({"text": "common", "n": i}))
    pipe.execute()
    for how in ([], ["NOTHREAD"]):
        got = hybrid(r, "common", "WEIGHT", 0, "FILTER", ".n == 7999", "WITHSCORES", *how, key="many")
        assert got == ["e7999", "1"]  # 1: words found it too, behind 7,999 others


def test_memory_of_the_text_index_is_told(pets):
    def memory():
        info = raw(pets, "VINFO", "pets")
        return dict(zip(info[::2], info[1::2]))[b"text-bytes"], pets.memory_usage("pets")

    none, before = memory()
    assert none == 0
    hybrid(pets, "fish")
    made, after = memory()
    assert made > 500 and after >= before + made
    raw(pets, "VSETATTR", "pets", "zh", json.dumps({"text": "another word " * 1000}))
    waiting, _ = memory()
    assert waiting > made + 10000


def test_bad_input(pets):
    assert "WEIGHT" in error(pets, "VSEARCH", "pets", "VALUES", 2, 1, 0, "HYBRID", "x", "WEIGHT", 2)
    assert "syntax" in error(pets, "VSEARCH", "pets", "VALUES", 2, 1, 0, "HYBRID")
    assert "syntax" in error(pets, "VSIM", "pets", "VALUES", 2, 1, 0, "HYBRID", "x")
    assert "BATCH" in error(pets, "VSEARCH", "pets", "BATCH", 1, "FP32", b"\0" * 8, "HYBRID", "x")
    assert hybrid(pets, "") and hybrid(pets, b"\xff\xfe")
    assert raw(pets, "VSEARCH", "none", "VALUES", 2, 1, 0, "HYBRID", "x") == []
