"""A server under test: started on a free port of 127.0.0.1, stopped by pid."""

import os
import signal
import socket
import subprocess
import time

import redis

from ports import free_port

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("SKALD_BIN", os.path.join(ROOT, "build", "skald"))
SLOW = "asan" in BIN or "tsan" in BIN


def providers():
    """What each row of providers supports, {row: {feature: cell}}, as the server prints it."""
    out = subprocess.run([BIN, "--providers"], capture_output=True, text=True, check=True).stdout
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines()]
    return {row[0]: dict(zip(head[1:], row[1:])) for row in rows}


class Server:
    def __init__(self, dir, *args):
        self.dir = str(dir)
        os.makedirs(self.dir, exist_ok=True)
        self.args = list(args)
        self.port = free_port()
        self.proc = None
        self.log = os.path.join(self.dir, "log")

    def command(self):
        return [BIN, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.dir,
                "--enable-debug-command", "yes", "--llm-retry-pause", "1", *self.args]

    def start(self, wait=True, preexec=None):
        if os.environ.get("SKALD_PORT"):
            self.port = int(os.environ["SKALD_PORT"])
            return self
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen(self.command(), stdout=log, stderr=log, preexec_fn=preexec)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.proc.poll() is not None:
                raise RuntimeError(f"skald ended with {self.proc.returncode}: {self.log_text()[-2000:]}")
            try:
                c = redis.Redis(port=self.port, socket_timeout=5)
                c.ping()
                c.connection_pool.disconnect()
                return
            except (redis.ConnectionError, redis.TimeoutError, redis.exceptions.BusyLoadingError):
                time.sleep(0.02)
        raise RuntimeError("skald did not come up: " + self.log_text()[-2000:])

    def client(self, **kw):
        kw.setdefault("decode_responses", True)
        kw.setdefault("socket_timeout", 30)
        return redis.Redis(port=self.port, **kw)

    def raw(self):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=120)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def kill9(self):
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()

    def stop(self, check=True):
        if self.proc is None or self.proc.poll() is not None:
            return
        self.proc.send_signal(signal.SIGTERM)
        try:
            code = self.proc.wait(60)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            raise RuntimeError("skald did not stop on SIGTERM")
        if check and code != 0:
            raise RuntimeError(f"skald ended with {code}: {self.log_text()[-4000:]}")

    def restart(self):
        self.stop()
        self.port = free_port()
        return self.start()

    def log_text(self):
        with open(self.log, errors="replace") as f:
            return f.read()
