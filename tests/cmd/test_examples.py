"""Every example in a comment of the command files, run against a live server."""

import os

import examples
import pytest
from resp import Conn
from skald import ROOT

ALL = list(examples.find(os.path.join(ROOT, "src")))


def ids(e):
    return f"{os.path.relpath(e[0], ROOT)}:{e[1]}"


@pytest.mark.parametrize("example", ALL, ids=ids)
def test_example(server, example):
    path, line, steps = example
    c = Conn(server.raw())
    c.call("FLUSHALL")
    c.call("FUNCTION", "FLUSH")
    for command, expected in steps:
        got = examples.show(c.call(*examples.words(command)))
        assert examples.matches(expected, got), (
            f"{os.path.relpath(path, ROOT)}:{line}: > {command}\nexpected: " + "\n          ".join(expected)
            + "\ngot:      " + "\n          ".join(got))
    c.close()


def test_there_are_examples():
    assert len(ALL) > 40
