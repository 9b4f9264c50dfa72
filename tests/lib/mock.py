"""The mock provider as a child process, for tests and benchmarks."""

import json
import os
import subprocess
import sys
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))


class Mock:
    def __init__(self, program="provider.py"):
        path = os.path.join(HERE, "..", "mock", program)
        self.proc = subprocess.Popen([sys.executable, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.proc.stdout.readline().split()[1])
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def control(self, what, body=None):
        data = None if body is None else body.encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/control/{what}", data=data, timeout=60) as f:
            text = f.read()
        return json.loads(text) if text[:1] in b"[{" else text

    def hold(self):
        """From now on who is to be held is held."""
        self.control("reset", "")

    def release(self):
        """Lets all go on that are held, and those that come later."""
        self.control("release", "")

    def requests(self):
        return self.control("requests")

    def stop(self):
        self.proc.terminate()
        self.proc.wait(60)
        self.proc.stdin.close()
        self.proc.stdout.close()
