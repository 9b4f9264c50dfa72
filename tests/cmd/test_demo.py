"""`make demo`: it runs with the builtin model and with a provider, and says in one sentence what is wrong."""

import os
import subprocess
import sys

from skald import BIN, ROOT


def demo(**env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SKALD_DEMO")}
    return subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "utils", "demo.py")], capture_output=True, text=True,
                          timeout=300, env={**clean, "SKALD_BIN": BIN, **env})


def test_it_runs_and_answers():
    d = demo()
    assert d.returncode == 0, d.stdout + d.stderr
    assert "kill -9" in d.stdout
    assert "THERE IS NO WARRANTY FOR THE PROGRAM" in d.stdout
    assert "[2] GPL-3, section 15: Disclaimer of Warranty" in d.stdout
    assert "GPL-3, section 14:" in d.stdout
    assert "its folder removed" in d.stdout
    assert d.stderr == ""


def test_it_asks_a_provider():
    mock = subprocess.Popen([sys.executable, os.path.join(ROOT, "tests", "mock", "provider.py")], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    try:
        port = mock.stdout.readline().split()[1]
        d = demo(SKALD_DEMO_URL=f"http://127.0.0.1:{port}/v1", SKALD_DEMO_MODEL="words=5", SKALD_DEMO_KEY="a-secret")
        assert d.returncode == 0, d.stdout + d.stderr
        assert "word0 word1 word2 word3 word4" in d.stdout
        assert "a-secret" not in d.stdout
    finally:
        mock.terminate()
        mock.wait()


def test_a_provider_that_is_not_there_is_told():
    d = demo(SKALD_DEMO_URL="http://127.0.0.1:1/v1", SKALD_DEMO_MODEL="m")
    assert d.returncode == 1
    assert "demo failed: FLOW.RUN was refused: UPSTREAM" in d.stdout


def test_half_a_provider_is_refused():
    d = demo(SKALD_DEMO_URL="http://127.0.0.1:1/v1")
    assert d.returncode == 1
    assert "demo failed: SKALD_DEMO_URL and SKALD_DEMO_MODEL belong together" in d.stdout


def test_no_binary_is_told():
    d = demo(SKALD_BIN="/nowhere/skald")
    assert d.returncode == 1
    assert "there is no /nowhere/skald" in d.stdout
