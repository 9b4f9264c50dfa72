"""SIGTERM in the middle of things: the server ends with 0. Under the sanitizers that also means no report and no leak."""

import signal
import time

import pytest

from resp import Conn

JOURNAL = ["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"]


def filled(fresh, *more, keys=20000):
    server = fresh(*JOURNAL, *more)
    r = server.client()
    p = r.pipeline(transaction=False)
    for i in range(keys):
        p.set(f"k{i}", f"value {i} " * 10)
    p.execute()
    return server, r


@pytest.mark.parametrize("engine", ["io_uring", "thread"])
def test_while_loading(fresh, engine):
    """Whether the signal comes before, during or after the replay, nothing is lost."""
    server, r = filled(fresh, "--file-engine", engine)
    r.close()
    server.stop()
    for wait in (0.02, 0.05, 0.1, 0.2):  # where in the start it falls is left to chance
        server.start(wait=False)
        time.sleep(wait)
        server.proc.send_signal(signal.SIGTERM)
        assert server.proc.wait(60) in (0, -signal.SIGTERM)
        assert "ERROR: " not in server.log_text()
    server.start()
    assert server.client().dbsize() == 20000


@pytest.mark.parametrize("engine", ["io_uring", "thread"])
def test_while_a_compaction_runs(fresh, engine):
    server, r = filled(fresh, "--file-engine", engine)
    for _ in range(3):
        r.execute_command("BGREWRITEAOF")
        r.set("last", 1)
        server.stop()
        server.start()
        r = server.client()
        assert r.dbsize() == 20001 and r.get("last") == "1"


def test_with_a_hundred_clients_that_wait(fresh):
    server, r = filled(fresh, keys=10)
    r.execute_command("VADD", "v", "VALUES", 3, 1, 0, 0, "a")
    r.execute_command("SESSION.ADD", "s", "user", "a word")
    waiting = [Conn(server.raw()) for _ in range(100)]
    for i, c in enumerate(waiting):
        c.send(*[("BLPOP", "none", 0), ("XREAD", "BLOCK", 0, "STREAMS", "x", "$"), ("SUBSCRIBE", "news"),
                 ("VSEARCH", "v", "VALUES", 3, 1, 0, 0), ("SESSION.SEARCH", "s", "word"), ("MULTI",)][i % 6])
    while sum(c["cmd"] in ("blpop", "xread", "subscribe", "vsearch", "session.search", "multi")
              for c in r.client_list()) < len(waiting):
        pass
    server.stop()
    for c in waiting:
        c.close()
