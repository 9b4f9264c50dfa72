"""Debian's redis-cli and redis-benchmark against the server. Each call has a time limit: redis-benchmark waits for ever
for a server that is gone."""

import json
import os
import re
import subprocess

import pytest

from resp import encode
from skald import SLOW


def cli(server, *args, stdin=None, timeout=60):
    p = subprocess.run(["redis-cli", "-p", str(server.port), *args], input=stdin, capture_output=True, timeout=timeout,
                       env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})
    assert p.returncode == 0, p.stderr
    return p.stdout.decode(errors="replace")


def test_one_command(t, server):
    assert cli(server, "set", "k", "v") == "OK\n"
    assert cli(server, "get", "k") == "v\n"
    assert cli(server, "--no-raw", "rpush", "l", "a", "b") == "(integer) 2\n"
    assert cli(server, "--no-raw", "lrange", "l", "0", "-1") == '1) "a"\n2) "b"\n'
    assert cli(server, "-n", "5", "dbsize") == "0\n"
    assert cli(server, "-x", "set", "from-stdin", stdin=b"a\0b") == "OK\n"
    assert t.strlen("from-stdin") == 3


def test_commands_from_standard_input(t, server):
    said = cli(server, stdin=b'set a "x y"\nget a\nincr n\nmulti\nincr n\nincr n\nexec\n')
    assert said.split("\n")[:3] == ["OK", "x y", "1"] and said.rstrip().endswith("2\n3")


def test_mass_insertion_through_a_pipe(t, server):
    n = 2000 if SLOW else 50000
    data = b"".join(encode("SET", f"k{i}", f"value {i}") for i in range(n))
    said = cli(server, "--pipe", stdin=data)
    assert f"errors: 0, replies: {n}" in said
    assert t.dbsize() == n
    p = subprocess.run(["redis-cli", "-p", str(server.port), "--pipe"], input=encode("LPUSH", "k1", "x") + data,
                       capture_output=True, timeout=60, text=False)
    assert f"errors: 1, replies: {n + 1}".encode() in p.stdout


def test_resp3(t, server):
    t.hset("h", mapping={"a": 1, "b": 2})
    t.rpush("l", "x")
    assert cli(server, "-3", "--no-raw", "hgetall", "h") == '1# "a" => "1"\n2# "b" => "2"\n'
    assert cli(server, "-3", "--no-raw", "get", "absent") == "(nil)\n"
    assert "\nproto 3\n" in cli(server, "-3", "hello")
    assert cli(server, "-3", "--no-raw", "config", "get", "maxclients") == '1# "maxclients" => "10000"\n'
    assert json.loads(cli(server, "-3", "--json", "hgetall", "h")) == {"a": "1", "b": "2"}
    assert "redis_version:7.2" in cli(server, "-3", "info", "server")


def test_the_hints_come_from_the_rows(t, server):
    """redis-cli builds its inline hints from COMMAND DOCS; what it needs is there for every command, ours included."""
    docs = json.loads(cli(server, "-3", "--json", "command", "docs"))
    groups = {"set": "string", "lpush": "list", "hset": "hash", "session.add": "session", "vsearch": "vector",
              "llm.chat": "llm", "flow.run": "flow", "config": "server"}
    assert {name: docs[name]["group"] for name in groups} == groups
    assert [a["name"] for a in docs["set"]["arguments"]][:2] == ["key", "value"]
    for name, doc in docs.items():
        assert doc["summary"] and doc["since"], name
        for arg in doc.get("arguments", []):
            assert arg["name"] and arg["type"], name
        for sub in doc.get("subcommands", {}).values():
            assert sub["summary"], name
    said = cli(server, "help", "session.add")
    assert "key role content [ID id]" in said and "group:\x1b[0m session" in said
    assert "SESSION.VAR SET" in cli(server, "help", "@session")


def test_big_keys_and_memory_of_keys(t, server):
    t.set("small", "x")
    t.set("biggest", "x" * 5000)
    t.rpush("list", *range(1000))
    t.hset("hash", mapping={str(i): i for i in range(50)})
    said = cli(server, "--bigkeys")
    assert 'Biggest string found \'"biggest"\' has 5000 bytes' in said
    assert 'Biggest   list found \'"list"\' has 1000 items' in said
    assert 'Biggest   hash found \'"hash"\' has 50 fields' in said
    said = cli(server, "--memkeys")
    assert "Biggest string found" in said and re.search(r"biggest.* has \d{4,} bytes", said)


def test_scan_and_stat(t, server):
    for i in range(100):
        t.set(f"k{i}", i)
    assert len(cli(server, "--scan", "--pattern", "k*").split()) == 100
    p = subprocess.Popen(["stdbuf", "-oL", "redis-cli", "-p", str(server.port), "--stat", "-i", "0.1"],
                         stdout=subprocess.PIPE, text=True)
    try:
        lines = [p.stdout.readline() for _ in range(4)]
    finally:
        p.kill()
        p.communicate()
    assert re.match(r"100 +[\d.]+[KMB] ", lines[3]), lines


def test_a_subscription_is_shown(t, server):
    p = subprocess.Popen(["stdbuf", "-oL", "redis-cli", "-p", str(server.port), "subscribe", "c"],
                         stdout=subprocess.PIPE, text=True)
    try:
        assert [p.stdout.readline() for _ in range(3)] == ["subscribe\n", "c\n", "1\n"]
        assert t.publish("c", "hello") == 1
        assert [p.stdout.readline() for _ in range(3)] == ["message\n", "c\n", "hello\n"]
    finally:
        p.kill()
        p.communicate()


@pytest.mark.parametrize("more", [[], ["-P", "16"], ["-3"], ["--threads", "2"]], ids=["plain", "pipeline", "resp3", "threads"])
def test_the_benchmark_runs_through(t, server, more):
    n = 500 if SLOW else 5000
    p = subprocess.run(["redis-benchmark", "-p", str(server.port), "-n", str(n), "-c", "20", "-r", "1000", "-q", *more,
                        "-t", "ping,set,get,incr,lpush,rpush,lpop,rpop,hset,lrange_100,mset"],
                       capture_output=True, timeout=120, text=True)
    assert p.returncode == 0 and "rror" not in p.stdout + p.stderr, p.stdout + p.stderr  # it stops at the first error
    assert p.stdout.count("requests per second") >= 12
    assert os.path.exists(f"/proc/{server.proc.pid}")
