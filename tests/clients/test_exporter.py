"""prometheus-redis-exporter: what it scrapes from INFO, CONFIG, SLOWLOG, LATENCY, SCAN-checked keys."""

import re
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from skald import free_port


@pytest.fixture
def scrape(t, server, tmp_path):
    port = free_port()
    log = open(tmp_path / "exporter.log", "wb")
    proc = subprocess.Popen(["prometheus-redis-exporter", "-redis.addr", f"redis://127.0.0.1:{server.port}", "-web.listen-address",
                             f"127.0.0.1:{port}", "-check-keys", "db0=queue*", "-check-streams", "db0=events"],
                            stdout=log, stderr=log)

    def get():
        for _ in range(3000):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120) as reply:
                    return reply.read().decode()
            except urllib.error.URLError:
                time.sleep(0.02)
        raise RuntimeError("the exporter did not come up")

    yield get
    proc.terminate()
    proc.wait(120)
    log.close()


def value(text, series):
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.M)
    assert found, f"{series} is missing"
    return float(found.group(1))


def test_a_dashboard_has_its_figures(t, scrape):
    t.set("a", 1, ex=1000)
    t.rpush("queue1", *range(7))
    t.get("a")
    t.get("absent")
    for _ in range(3):
        t.xadd("events", {"f": "v"})
    t.xgroup_create("events", "g", "0")
    text = scrape()
    assert value(text, "redis_up") == 1
    assert value(text, "redis_exporter_last_scrape_error{err=\"\"}") == 0
    assert value(text, "redis_connected_clients") >= 2
    assert value(text, 'redis_db_keys{db="db0"}') == 3 and value(text, 'redis_db_keys_expiring{db="db0"}') == 1
    assert value(text, "redis_memory_used_bytes") > 100000
    assert value(text, 'redis_commands_total{cmd="rpush"}') >= 1
    assert value(text, 'redis_commands_duration_seconds_total{cmd="get"}') > 0
    assert value(text, "redis_keyspace_hits_total") >= 1 and value(text, "redis_keyspace_misses_total") >= 1
    assert value(text, 'redis_key_size{db="db0",key="queue1"}') == 7
    assert value(text, 'redis_stream_length{db="db0",stream="events"}') == 3
    assert value(text, "redis_config_maxclients") == 10000
    assert value(text, "redis_slowlog_length") >= 0
    assert 'role="master"' in re.search(r"^redis_instance_info.*$", text, re.M).group(0)
    for name in ("redis_uptime_in_seconds", "redis_commands_processed_total", "redis_net_input_bytes_total",
                 "redis_net_output_bytes_total", "redis_evicted_keys_total", "redis_expired_keys_total", "redis_cpu_sys_seconds_total",
                 "redis_cpu_user_seconds_total", "redis_connections_received_total", "redis_rejected_connections_total",
                 "redis_memory_max_bytes", "redis_memory_used_rss_bytes", "redis_mem_fragmentation_ratio", "redis_blocked_clients",
                 "redis_pubsub_channels", "redis_latest_fork_seconds", "redis_rdb_changes_since_last_save", "redis_aof_enabled",
                 "redis_loading_dump_file", "redis_master_repl_offset", "redis_connected_slaves"):
        value(text, name)
