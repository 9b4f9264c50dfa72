"""Fixtures for every test that talks to a server.

    server   one server for a whole test file, on a free port in its own folder, stopped by pid at the end
    r        a redis-py client of it (bytes come back), on an emptied server
    t        the same with text decoded
    mock     a mock vendor of models for a whole test file (tests/lib/mock.py)
    fresh    a factory: fresh("--appendonly", "yes") starts another server, which the test may kill and start again

SKALD_PORT names a server that runs already (a Redis server, to see whether a test is right). SKALD_BIN names the binary (build/skald by default), so that a sanitizer build runs the same tests.
"""

import os
import sys

import pytest
import redis

for folder in ("lib", "mock"):
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), folder))

from mock import Mock  # noqa: E402
from skald import Server  # noqa: E402


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("skald"))
    s.start()
    yield s
    s.stop()


@pytest.fixture(scope="module")
def mock():
    m = Mock()
    yield m
    m.stop()


@pytest.fixture
def r(server):
    c = redis.Redis(port=server.port, socket_timeout=120)
    c.flushall()
    yield c
    c.close()


@pytest.fixture
def t(server):
    c = redis.Redis(port=server.port, decode_responses=True, socket_timeout=120)
    c.flushall()
    yield c
    c.close()


@pytest.fixture
def fresh(tmp_path):
    made = []

    def make(*args, dir=None, start=True):
        s = Server(dir or tmp_path / f"srv{len(made)}", *args)
        made.append(s)
        if start:
            s.start()
        return s

    yield make
    for s in made:
        s.stop(check=False)
