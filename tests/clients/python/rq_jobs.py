"""What the workers of test_rq.py run."""

def add(a, b):
    return a + b


def fail():
    raise ValueError("as told")
