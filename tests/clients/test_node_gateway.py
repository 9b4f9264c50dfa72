"""The SDKs of npm that people reach models with, pointed at Skald's HTTP door: the jobs in node/ that gateway.mjs serves.
Behind Skald stand two vendors: our mock, which can fail in every way, and an independent one that the job starts."""

import json
import os
import subprocess

import pytest
from mock import Mock
from skald import Server, free_port, providers
from test_node import NODE

HERE = os.path.dirname(os.path.abspath(__file__))
JOBS = ["openai", "ai_sdk", "langchain", "anthropic"]


def run(job, dir, *args):
    door = free_port()
    server = Server(dir, "--http-port", str(door))
    server.start()
    try:
        p = subprocess.run([NODE, f"{job}.mjs", str(server.port), str(door), *args], cwd=os.path.join(HERE, "node"),
                           capture_output=True, text=True, timeout=180)
        assert p.returncode == 0 and p.stdout.endswith("ok\n"), p.stdout[-2000:] + p.stderr[-4000:]
    finally:
        server.stop()


@pytest.mark.parametrize("job", JOBS)
def test_an_sdk(job, tmp_path, mock):
    run(job, tmp_path, str(mock.port))


def test_all_providers(tmp_path):
    """openai's SDK on every row of the table, each vendor in its own dialect."""
    vendors = Mock("vendors.py")
    try:
        run("providers", tmp_path, str(vendors.port), json.dumps(providers()))
    finally:
        vendors.stop()
