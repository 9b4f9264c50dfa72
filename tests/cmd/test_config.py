"""Configuration: Redis's own file is read, CONFIG SET is all or nothing, CONFIG REWRITE keeps what a person wrote."""

import os
import re
import socket
import time

import pytest

from helpers import error, raw
from skald import Server, free_port

DEBIAN = "/etc/redis/redis.conf"


class FromFile(Server):
    """A server that gets its settings from a file; the port and the folder are options."""

    def __init__(self, dir, text):
        super().__init__(dir)
        self.file = os.path.join(self.dir, "skald.conf")
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(text)

    def command(self):
        args = super().command()
        return [args[0], self.file, *args[1:]]

    def lines(self):
        with open(self.file, encoding="utf-8") as f:
            return f.read().split("\n")


@pytest.fixture
def from_file(tmp_path):
    made = []

    def make(text):
        made.append(FromFile(tmp_path / f"srv{len(made)}", text))
        return made[-1].start()

    yield make
    for s in made:
        s.stop(check=False)


@pytest.mark.skipif(not os.path.exists(DEBIAN), reason="Debian's redis-server is not installed")
def test_the_file_that_debian_ships_is_read(from_file):
    with open(DEBIAN, encoding="utf-8") as f:
        text = f.read()
    text = re.sub(r"(?m)^(daemonize|pidfile|logfile|dir|port|bind) .*\n", "", text)
    s = from_file(text)
    c = s.client()
    assert c.config_get("stream-node-max-bytes") == {"stream-node-max-bytes": "4096"}
    assert c.config_get("proc-title-template") == {"proc-title-template": "{title} {listen-addr} {server-mode}"}
    before = s.lines()
    assert raw(c, "CONFIG", "REWRITE") == "OK"
    after = s.lines()
    assert set(before) - set(after) <= {line for line in before if line.startswith("client-output-buffer-limit")}


def test_rewrite_keeps_comments_order_and_units(from_file):
    s = from_file('# mine: "half a quotation\nmaxmemory 100mb\n\ntimeout 10\n  # indented\ntimeout 20\nslave-priority 7\nrequirepass ""\n')
    c = s.client()
    c.config_set("timeout", 33)
    c.config_set("slowlog-max-len", 5)
    c.config_set("requirepass", 'a "b" \\ c  d')
    c = s.client(password='a "b" \\ c  d')
    raw(c, "CONFIG", "REWRITE")
    lines = s.lines()
    assert lines[:6] == ['# mine: "half a quotation', "maxmemory 100mb", "", "timeout 33", "  # indented", "slave-priority 7"]
    added = lines.index("# Added by CONFIG REWRITE")
    assert "slowlog-max-len 5" in lines[added:] and not any(line.startswith("databases") for line in lines)
    s.stop()
    s.start(wait=False)
    for _ in range(3000):
        try:
            c = s.client(password='a "b" \\ c  d')
            assert c.config_get("timeout") == {"timeout": "33"}
            break
        except Exception as e:
            if "refused" not in str(e):
                raise
            time.sleep(0.02)
    assert c.config_get("slowlog-max-len") == {"slowlog-max-len": "5"} and c.config_get("replica-priority") == {"replica-priority": "7"}
    before = s.lines()
    raw(c, "CONFIG", "REWRITE")  # nothing has changed since
    assert s.lines() == before


def test_rewrite_without_a_file(t):
    assert error(t, "CONFIG", "REWRITE") == "The server is running without a config file"


def test_a_rewrite_that_fails_leaves_the_file(from_file):
    s = from_file("timeout 10\n")
    c = s.client()
    c.config_set("timeout", 20)
    os.rename(s.file, s.file + ".moved")
    os.mkdir(s.file)
    assert error(c, "CONFIG", "REWRITE").startswith("Rewriting config file: ")
    assert not [f for f in os.listdir(s.dir) if f.endswith(".new")]


def test_settings_of_redis_without_a_meaning_here(t, tmp_path):
    assert t.config_set("io-threads", 4) and t.config_get("io-threads") == {"io-threads": "4"}
    t.config_set("io-threads", 1)
    assert error(t, "CONFIG", "SET", "cluster-enabled", "yes").endswith("there is no cluster mode")
    assert t.config_set("cluster-enabled", "no")
    for name, value, why in (("tls-port", "6380", "no encrypted port"), ("rename-command", "CONFIG ''", "ACL rules")):
        s = Server(tmp_path / name, f"--{name}", value)
        with pytest.raises(RuntimeError, match=why):
            s.start()


def test_every_setting_takes_its_own_value(t):
    for name, value in t.config_get("*").items():
        try:
            t.config_set(name, value)
        except Exception as e:
            pytest.fail(f"CONFIG SET {name} {value!r}: {e}")


def test_all_or_nothing(t):
    before = t.config_get("timeout")
    assert "'maxclients'" in error(t, "CONFIG", "SET", "timeout", "77", "maxclients", "none")
    assert t.config_get("timeout") == before
    assert error(t, "CONFIG", "SET", "timeout", "1", "nonsense", "2").startswith("Unknown option or number of arguments")
    assert "duplicate parameter" in error(t, "CONFIG", "SET", "timeout", "1", "timeout", "2")
    assert raw(t, "CONFIG", "HELP")[0].startswith("CONFIG <subcommand>")


REDIS_FIELDS = {
    "server": "redis_version redis_git_sha1 redis_build_id redis_mode os arch_bits multiplexing_api process_id run_id tcp_port "
              "uptime_in_seconds uptime_in_days lru_clock executable config_file",
    "clients": "connected_clients cluster_connections maxclients client_recent_max_input_buffer blocked_clients",
    "memory": "used_memory used_memory_human used_memory_rss used_memory_peak used_memory_peak_perc used_memory_overhead "
              "used_memory_startup used_memory_dataset allocator_allocated allocator_active allocator_resident total_system_memory "
              "maxmemory maxmemory_human maxmemory_policy allocator_frag_ratio mem_fragmentation_ratio mem_clients_normal mem_allocator "
              "lazyfree_pending_objects used_memory_lua number_of_cached_scripts number_of_functions",
    "persistence": "loading async_loading rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time "
                   "rdb_last_bgsave_status aof_enabled aof_rewrite_in_progress aof_last_bgrewrite_status aof_last_write_status",
    "stats": "total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes "
             "total_net_output_bytes instantaneous_input_kbps rejected_connections expired_keys evicted_keys keyspace_hits "
             "keyspace_misses pubsub_channels pubsub_patterns pubsubshard_channels total_error_replies",
    "replication": "role connected_slaves master_repl_offset",
    "cpu": "used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children used_cpu_sys_main_thread",
    "cluster": "cluster_enabled",
}


def test_info_has_what_dashboards_read(t):
    t.get("x")
    text = raw(t, "INFO", "everything")
    names = [line.split(":")[0] for line in text.split("\r\n") if line and not line.startswith("#")]
    twice = {n for n in names if names.count(n) > 1}
    assert not twice
    for section, fields in REDIS_FIELDS.items():
        have = t.info(section)
        assert not [f for f in fields.split() if f not in have], section
    memory = t.info("memory")
    assert memory["allocator_resident"] >= memory["allocator_active"] >= memory["allocator_allocated"] >= memory["used_memory"] * 0.8 or (
        memory["allocator_resident"] == 0)  # an allocator without figures: a build under a sanitizer
    # Only the sum is exact: the system scales the split into user and system time for each thread by itself.
    thread, whole = t.info("cpu"), t.info("cpu")
    assert thread["used_cpu_user_main_thread"] + thread["used_cpu_sys_main_thread"] <= whole["used_cpu_user"] + whole["used_cpu_sys"] + 1e-5


def test_the_port_and_the_addresses_change_while_running(fresh):
    s = fresh()
    old = s.client()
    assert old.ping()
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    assert "Unable to listen on this port" in error(old, "CONFIG", "SET", "timeout", "9", "port", taken.getsockname()[1])
    assert old.config_get("timeout") == {"timeout": "0"} and old.config_get("port") == {"port": str(s.port)}
    s.client().ping()  # still there
    was, s.port = s.port, free_port()
    old.config_set("port", s.port)
    assert s.client().ping() and old.ping()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", was))
    assert "Failed to bind" in error(old, "CONFIG", "SET", "bind", "203.0.113.1")
    assert s.client().ping()
    old.config_set("bind", "127.0.0.1 127.0.0.2")
    socket.create_connection(("127.0.0.2", s.port)).close()
    assert old.config_get("bind") == {"bind": "127.0.0.1 127.0.0.2"}
    taken.close()
