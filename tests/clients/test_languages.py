"""Clients of other languages from Debian's packages, each with a job in its own language that says "ok" at the end."""

import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.mark.parametrize("command", [["php", "php/job.php"], ["ruby", "ruby/job.rb"], ["lua5.1", "lua/job.lua"]],
                         ids=["php-redis", "ruby-redis", "lua-redis"])
def test_a_job(command, server):
    p = subprocess.run([*command, str(server.port)], cwd=HERE, capture_output=True, text=True, timeout=120)
    assert (p.returncode, p.stdout) == (0, "ok\n"), p.stdout + p.stderr
