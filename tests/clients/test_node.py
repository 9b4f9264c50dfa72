"""Node.js clients, each doing its real job: the .mjs files in node/, which say "ok" at the end. utils/deps.sh installs the
clients from npm as node/package-lock.json names them."""

import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OWN_NODE = os.path.join(ROOT, "build", "node", "bin", "node")
NODE = OWN_NODE if os.path.exists(OWN_NODE) else "node"
JOBS = ["ioredis", "node_redis", "bullmq", "connect_redis", "redlock", "rate_limiter_flexible", "socket_io"]


@pytest.mark.parametrize("job", JOBS)
def test_a_client_of_node(job, server):
    p = subprocess.run([NODE, f"{job}.mjs", str(server.port)], cwd=os.path.join(HERE, "node"), capture_output=True, text=True,
                       timeout=180)
    assert p.returncode == 0 and p.stdout.endswith("ok\n"), p.stdout[-2000:] + p.stderr[-4000:]
