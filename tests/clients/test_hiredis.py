"""hiredis_job.c, built against Debian's hiredis, run against a server."""

import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    out = str(tmp_path_factory.mktemp("hiredis") / "hiredis_job")
    subprocess.run(["gcc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-o", out,
                    os.path.join(HERE, "hiredis_job.c"), "-lhiredis"], check=True, timeout=120)
    return out


def test_a_program_in_c(job, server):
    p = subprocess.run([job, str(server.port)], capture_output=True, text=True, timeout=120)
    assert (p.returncode, p.stdout) == (0, "ok\n"), p.stderr
