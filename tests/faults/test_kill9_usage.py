"""kill -9 while model calls are being settled, with `appendfsync always`: what was answered is in the usage, and a turn
that is in a session has been paid for, exactly once."""

import random
import threading

import redis

from skald import SLOW

WORKERS = 6
ROUNDS = 2 if SLOW else 4
IN, OUT = 7, 3  # what the mock says of every call


def raw(c, *command):
    return c.execute_command(*command)


class Worker(threading.Thread):
    def __init__(self, server, n, enough):
        super().__init__()
        self.client, self.key, self.enough, self.answered = server.client(), f"session{n}", enough, 0
        self.start()

    def run(self):
        try:
            while True:
                raw(self.client, "LLM.CHAT", self.key, "hello", "MODEL", "m")
                self.answered += 1
                self.enough.release()
        except (redis.ConnectionError, redis.TimeoutError):
            pass


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def turns(c):
    return sum(len(raw(c, "SESSION.MESSAGES", k)) for k in c.keys("session*")) / 2


def test_what_was_answered_is_paid_for(fresh, mock):
    server = fresh("--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0")
    c = server.client()
    raw(c, "LLM.MODEL", "SET", "m", "PROVIDER", "openai", "URL", mock.url, "ID", f"words={OUT}", "PRICE", "1", "1000")
    answered = 0
    for n in range(ROUNDS):
        enough = threading.Semaphore(0)
        workers = [Worker(server, n, enough) for n in range(WORKERS)]
        for _ in range(random.randrange(5, 60)):
            enough.acquire()
        if n % 2:
            raw(c, "BGREWRITEAOF")
        server.kill9()
        for w in workers:
            w.join()
            answered += w.answered
        server.start()
        c = server.client()
        row = pairs(raw(c, "LLM.USAGE", "BY", "MODEL")[0])
        calls = row["calls"] - row["failed"]
        assert answered <= calls <= answered + WORKERS * (n + 1)
        assert turns(c) == calls
        assert (row["tokens-in"], row["tokens-out"]) == (calls * IN, calls * OUT)
        assert round(float(row["cost"]) * 10**6) == calls * (IN + OUT * 1000)
