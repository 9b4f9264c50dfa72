"""python3-rq: jobs through worker processes, with failures, retries, dependencies, schedules."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
import redis
from rq import Queue, Retry
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python")
sys.path.insert(0, HERE)
import rq_jobs  # noqa: E402


@pytest.fixture
def conn(server):
    c = redis.Redis(port=server.port)
    c.flushall()
    yield c
    c.close()


def work(server, *queues):
    p = subprocess.run(["rq", "worker", "--burst", "--quiet", "--url", f"redis://127.0.0.1:{server.port}", *queues], cwd=HERE,
                       capture_output=True, text=True, timeout=120)
    assert p.returncode == 0, p.stderr


def test_jobs_are_done_and_their_results_kept(server, conn):
    high, low = Queue("high", connection=conn), Queue("low", connection=conn)
    jobs = [low.enqueue(rq_jobs.add, i, 1) for i in range(8)] + [high.enqueue(rq_jobs.add, 100, 1)]
    after = low.enqueue(rq_jobs.add, 1, 1, depends_on=jobs[0])
    assert (len(low), len(high)) == (8, 1) and after.get_status() == "deferred"
    work(server, "high", "low")
    assert [j.result for j in jobs] == [1, 2, 3, 4, 5, 6, 7, 8, 101] and after.result == 2
    assert len(low) == 0 and len(FinishedJobRegistry(queue=low)) == 9
    started = {j.id: Job.fetch(j.id, connection=conn).started_at for j in jobs}
    assert started[jobs[-1].id] == min(started.values())  # the other queue comes first


def test_a_failed_job_is_tried_again_and_then_registered(server, conn):
    q = Queue("q", connection=conn)
    job = q.enqueue(rq_jobs.fail, retry=Retry(max=2))
    work(server, "q")
    failed = FailedJobRegistry(queue=q)
    assert failed.get_job_ids() == [job.id] and "ValueError: as told" in Job.fetch(job.id, connection=conn).exc_info
    failed.requeue(job)
    assert len(q) == 1 and len(failed) == 0


def test_a_job_for_later_and_one_that_is_cancelled(server, conn):
    q = Queue("later", connection=conn)
    q.enqueue_in(timedelta(hours=1), rq_jobs.add, 1, 2)
    assert len(ScheduledJobRegistry(queue=q)) == 1 and len(q) == 0
    gone = q.enqueue(rq_jobs.add, 1, 2)
    gone.cancel()
    work(server, "later")
    assert gone.get_status() == "canceled" and gone.result is None
