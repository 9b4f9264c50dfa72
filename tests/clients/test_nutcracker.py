"""nutcracker (twemproxy) in front of two servers: its sharding of keys, its pipelining, its split of multi-key commands."""

import signal
import socket
import subprocess
import time

import pytest
import redis

from skald import free_port

CONFIG = """pool:
  listen: 127.0.0.1:{port}
  hash: murmur
  distribution: ketama
  redis: true
  auto_eject_hosts: false
  timeout: 10000
  servers:
   - 127.0.0.1:{a}:1 one
   - 127.0.0.1:{b}:1 two
"""


def wait_for(port):
    for _ in range(3000):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("nutcracker did not come up")


@pytest.fixture
def proxied(fresh, tmp_path):
    servers = [fresh(), fresh()]
    port, stats = free_port(), free_port()
    conf = tmp_path / "nutcracker.yml"
    conf.write_text(CONFIG.format(port=port, a=servers[0].port, b=servers[1].port))
    proc = subprocess.Popen(["nutcracker", "-c", str(conf), "-s", str(stats), "-a", "127.0.0.1", "-o", str(tmp_path / "nutcracker.log")],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(port)
    yield redis.Redis(port=port, decode_responses=True, socket_timeout=120), [s.client() for s in servers]
    proc.send_signal(signal.SIGTERM)
    proc.wait(120)


def test_keys_are_spread_and_found_again(proxied):
    proxy, servers = proxied
    keys = {f"k{i}": str(i) for i in range(400)}
    assert proxy.mset(keys)
    assert proxy.mget(*keys) == list(keys.values())
    sizes = [s.dbsize() for s in servers]
    assert sum(sizes) == 400 and min(sizes) > 50
    assert proxy.delete(*list(keys)[:100]) == 100 and sum(s.dbsize() for s in servers) == 300


def test_every_type_and_a_deep_pipeline(proxied):
    proxy, _ = proxied
    proxy.hset("h", mapping={"a": 1})
    proxy.zadd("z", {"m": 1.5})
    proxy.rpush("l", *range(100))
    proxy.sadd("s", "x")
    assert (proxy.hgetall("h"), proxy.zscore("z", "m"), proxy.lrange("l", 98, 99), proxy.smembers("s")) == (
        {"a": "1"}, 1.5, ["98", "99"], {"x"})
    assert proxy.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", 1, "n", 5) == 5
    pipe = proxy.pipeline(transaction=False)
    for i in range(2000):
        pipe.set(f"p{i}", i)
        pipe.get(f"p{i}")
    assert pipe.execute()[1::2] == [str(i) for i in range(2000)]
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        proxy.lpush("h", "x")
