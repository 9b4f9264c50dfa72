"""A short differential run: the same commands to Skald and to redis-server, fixed seeds. See README.md."""

import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import difffuzz  # noqa: E402
from pair import Pair  # noqa: E402


@pytest.fixture
def pair(tmp_path):
    if not shutil.which("redis-server"):
        pytest.skip("no redis-server here to compare with")
    p = Pair(tmp_path)
    yield p
    p.stop()


@pytest.mark.slow
def test_the_same_replies(pair):
    fuzzer = difffuzz.Fuzzer(pair)
    for seed, epoch in difffuzz.CLEAN:
        assert difffuzz.fuzz(fuzzer, seed, difffuzz.EPOCH, first=epoch, only=True) == 0
    assert sum(fuzzer.counts.values()) > 0.9 * difffuzz.EPOCH * len(difffuzz.CLEAN)
