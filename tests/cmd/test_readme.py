"""Every ```redis block of README.md, one after the other against one server, and every file that it points to.

In a block, `> ` begins a command; the lines up to the next one are what redis-cli prints, where `*` stands for any
characters of a line and `...` for any number of lines.
"""

import os
import re

import examples
import pytest
from resp import Conn
from skald import ROOT

README = os.path.join(ROOT, "README.md")


def text():
    with open(README, encoding="utf-8") as f:
        return f.read()


def steps():
    """[(line, command, [expected lines])]"""
    out, inside = [], False
    for number, line in enumerate(text().splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```redis"
        elif inside and line.startswith("> "):
            out.append((number, line[2:], []))
        elif inside:
            out[-1][2].append(line)
    return out


def test_the_readme_does_what_it_says(fresh):
    c = Conn(fresh("--appendonly", "yes").raw())
    for line, command, expected in steps():
        got = examples.show(c.call(*examples.words(command)))
        assert expected, f"README.md:{line}: nothing is said about the reply"
        assert examples.matches(expected, got), (
            f"README.md:{line}: > {command}\nexpected: " + "\n          ".join(expected)
            + "\ngot:      " + "\n          ".join(got))
    c.close()


def test_there_is_something_to_do():
    assert len(steps()) > 15


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", text()))))
def test_what_it_points_to_is_there(path):
    assert os.path.exists(os.path.join(ROOT, path))


def test_the_make_targets_are_there():
    with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as f:
        targets = set(re.findall(r"^([a-z-]+(?: [a-z-]+)*):(?!=)", f.read(), re.M))
    targets = {t for line in targets for t in line.split()}
    for name in set(re.findall(r"\bmake ([a-z]+)", text())):
        assert name in targets, f"README.md speaks of make {name}"
