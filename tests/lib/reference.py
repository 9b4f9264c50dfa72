"""A redis-server of the machine's, beside which ours is held: started on a free port of 127.0.0.1, stopped by pid."""

import contextlib
import shutil
import subprocess
import time

import pytest
import redis

from skald import free_port


def start(dir, *args):
    """A client and the process; skips the test when there is no redis-server."""
    binary = shutil.which("redis-server")
    if not binary:
        pytest.skip("no redis-server here to compare with")
    port = free_port()
    proc = subprocess.Popen([binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(dir), "--save", "",
                             "--appendonly", "no", *args], stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port, socket_timeout=120)
    for _ in range(3000):
        try:
            client.ping()
            return client, proc
        except redis.ConnectionError:
            time.sleep(0.02)
    proc.kill()
    proc.wait()
    raise RuntimeError("redis-server did not come up")


@contextlib.contextmanager
def running(dir, *args):
    """For a with statement: the client."""
    client, proc = start(dir, *args)
    try:
        yield client
    finally:
        proc.terminate()
        proc.wait()


def reply(client, *cmd):
    """The reply as it came; an error as its text."""
    conn = client.connection_pool.get_connection("_")
    try:
        conn.send_command(*cmd)
        return conn.read_response()
    except redis.ResponseError as e:
        return f"error: {e}"
    finally:
        client.connection_pool.release(conn)
