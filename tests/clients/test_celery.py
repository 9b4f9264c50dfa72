"""python3-celery: the server as broker and as result store, with one real worker process."""

import os
import subprocess
import sys

import pytest
import redis

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python")
sys.path.insert(0, HERE)


@pytest.fixture(scope="module")
def tasks(server, tmp_path_factory):
    redis.Redis(port=server.port).flushall()
    os.environ["CELERY_PORT"] = str(server.port)
    import celery_app
    log = tmp_path_factory.mktemp("celery") / "log"
    with open(log, "wb") as out:
        worker = subprocess.Popen(["/usr/bin/python3", "-m", "celery", "-A", "celery_app", "worker", "--concurrency", "2", "--pool",
                                   "prefork", "--loglevel", "info"], cwd=HERE, stdout=out, stderr=out)
    yield celery_app
    worker.terminate()
    try:
        worker.wait(60)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()
    celery_app.app.close()


def test_tasks_groups_chains_and_chords(tasks):
    from celery import chain, chord, group
    assert tasks.add.delay(2, 3).get(timeout=60) == 5
    assert group(tasks.add.s(i, i) for i in range(20)).apply_async().get(timeout=60) == [2 * i for i in range(20)]
    assert chain(tasks.add.s(1, 2), tasks.add.s(10), tasks.add.s(100)).apply_async().get(timeout=60) == 113
    assert chord((tasks.add.s(i, 1) for i in range(10)), tasks.total.s()).apply_async().get(timeout=60) == 55


def test_retries_failures_and_delays(tasks):
    assert tasks.third_time_lucky.delay().get(timeout=60) == 2
    failed = tasks.fail.delay()
    with pytest.raises(KeyError, match="as told"):
        failed.get(timeout=60)
    assert failed.state == "FAILURE"
    assert tasks.add.apply_async((1, 1), countdown=0.5).get(timeout=60) == 2


def test_a_worker_answers_and_can_be_told(tasks):
    control = tasks.app.control
    assert [list(p.values())[0] for p in control.ping(timeout=60, limit=1)] == [{"ok": "pong"}]
    registered = list(control.inspect(timeout=60, limit=1).registered().values())[0]
    assert {"celery_app.add", "celery_app.total"} <= set(registered)
    result = tasks.add.apply_async((1, 1), countdown=3600)
    control.revoke(result.id)
    result.forget()
