"""The application that test_celery.py and its worker share. CELERY_PORT names the server."""

import os

from celery import Celery

url = f"redis://127.0.0.1:{os.environ['CELERY_PORT']}"
app = Celery("celery_app", broker=url + "/0", backend=url + "/1")
app.conf.update(task_acks_late=True, worker_hijack_root_logger=False, broker_connection_retry_on_startup=True,
                result_extended=True)


@app.task
def add(a, b):
    return a + b


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=3)
def third_time_lucky(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.01)
    return self.request.retries


@app.task
def fail():
    raise KeyError("as told")
