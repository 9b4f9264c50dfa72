"""One server for all tests of commands, on a free port, in a temporary folder; `r` is a client on an empty keyspace.

SKALD_BIN names another binary; SKALD_PORT a server that runs already (a Redis server, to see whether a test is right).
"""

import os
import pathlib
import socket
import subprocess
import time

import pytest
import redis

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, folder, *options, port=None):
        self.port = port or free_port()
        self.folder = pathlib.Path(folder)
        self.options = options
        self.process = None

    def start(self):
        binary = os.environ.get("SKALD_BIN", str(ROOT / "build" / "skald"))
        self.log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen(
            [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), *self.options],
            stdout=self.log, stderr=self.log)
        deadline = time.time() + 30
        while True:
            try:
                if self.client().ping():
                    return self
            except (redis.ConnectionError, redis.BusyLoadingError):
                pass
            if self.process.poll() is not None or time.time() > deadline:
                raise RuntimeError("the server did not start:\n" + (self.folder / "server.log").read_text())
            time.sleep(0.02)

    def client(self, **options):
        return redis.Redis(host="127.0.0.1", port=self.port, **options)

    def stop(self):
        """A clean stop; the exit status. The test that stops a server checks it."""
        self.process.terminate()
        status = self.process.wait(timeout=30)
        self.log.close()
        return status

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=30)
        self.log.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    if "SKALD_PORT" in os.environ:
        yield Server(".", port=int(os.environ["SKALD_PORT"]))
        return
    s = Server(tmp_path_factory.mktemp("skald")).start()
    yield s
    assert s.stop() == 0, (s.folder / "server.log").read_text()


@pytest.fixture
def r(server):
    client = server.client()
    client.flushall()
    yield client
    client.close()
