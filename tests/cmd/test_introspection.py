"""What the server says of itself and of its connections: fields, their order, and the errors of what does not exist."""

import redis
import pytest
from resp import Conn

# CLIENT LIST's fields as Redis 7.2 has them; tools cut the line at these names.
FIELDS = """id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs rbp obl
oll omem tot-mem events cmd user redir resp lib-name lib-ver""".split()
SECTIONS = """Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats Latencystats Cluster
Keyspace""".split()


def error(r, *args):
    with pytest.raises(redis.ResponseError) as e:
        r.execute_command(*args)
    return str(e.value)


@pytest.fixture
def c(server, r):
    made = Conn(server.raw())
    yield made
    made.close()


def test_client_line(c):
    c.call("CLIENT", "SETINFO", "LIB-NAME", "lib")
    before = c.call("CLIENT", "INFO").decode()
    assert " cmd=client|info " in before and " multi=-1 " in before
    c.call("MULTI")
    c.call("SET", "k", "x" * 1000)
    c.call("CLIENT", "INFO")
    line = c.call("EXEC")[1].decode()
    pairs = [f.split("=", 1) for f in line.strip().split(" ")]
    assert [p[0] for p in pairs] == FIELDS
    got = dict(pairs)
    assert got["lib-name"] == "lib" and got["resp"] == "2" and got["redir"] == "-1" and got["user"] == "default"
    assert got["cmd"] == "exec" and int(got["tot-mem"]) > 1000


def test_client_list_filters(t, c):
    mine = c.call("CLIENT", "ID")
    c.call("SUBSCRIBE", "ch")
    assert [x["id"] for x in t.client_list(_type="pubsub")] == [str(mine)]
    assert [x["id"] for x in t.client_list(client_id=[str(mine)])] == [str(mine)]
    assert c.call("RESET") == "RESET" and c.call("CLIENT", "LIST", "TYPE", "MASTER") == b""
    assert error(t, "CLIENT", "LIST", "TYPE", "person") == "Unknown client type 'person'"
    assert error(t, "CLIENT", "LIST", "ID", "x") == "Invalid client ID"
    assert error(t, "CLIENT", "LIST", "ID") == "syntax error"


def test_client_kill_filters(t, c):
    mine = c.call("CLIENT", "ID")
    assert t.execute_command("CLIENT", "KILL", "ID", mine, "TYPE", "pubsub") == 0
    assert t.execute_command("CLIENT", "KILL", "ID", mine, "MAXAGE", 1000) == 0
    assert t.execute_command("CLIENT", "KILL", "ID", mine, "TYPE", "normal", "USER", "default") == 1
    with pytest.raises((EOFError, ConnectionError)):
        c.call("PING")
    assert error(t, "CLIENT", "KILL", "TYPE", "person") == "Unknown client type 'person'"
    assert error(t, "CLIENT", "KILL", "MAXAGE", "0") == "maxage should be greater than 0"
    assert error(t, "CLIENT", "KILL", "ID", "0") == "client-id should be greater than 0"
    assert error(t, "CLIENT", "KILL", "SKIPME", "maybe") == "syntax error"
    assert error(t, "CLIENT", "KILL", "1.2.3.4:5") == "No such client"


def test_info_sections(c):
    assert str(c.call("GET")).startswith("ERR wrong number")
    heads = [line[2:] for line in c.call("INFO", "everything").decode().split("\r\n") if line.startswith("# ")]
    assert [h for h in heads if h in SECTIONS] == SECTIONS
    assert c.call("INFO", "modules").split() == [b"#", b"Modules"]


def test_config_get_lists_older_names(t):
    got = t.config_get("*-max-*list*-entries")
    assert got["hash-max-ziplist-entries"] == got["hash-max-listpack-entries"]
    assert {"zset-max-ziplist-entries", "zset-max-listpack-entries"} <= set(got)
    assert {"replicaof", "slaveof"} <= set(t.config_get("*of"))
    assert "user" not in t.config_get("*")


@pytest.mark.parametrize("name", ["CLIENT", "CONFIG", "COMMAND", "OBJECT", "MEMORY", "XGROUP", "XINFO", "PUBSUB", "SCRIPT",
                                  "FUNCTION", "ACL", "LATENCY", "SLOWLOG", "MODULE", "DEBUG"])
def test_every_container_helps(c, name):
    lines = c.call(name, "HELP")
    assert lines[0] == f"{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert "HELP" in lines[1:]


def test_there_is_no_cluster(t):
    for line in ["CLUSTER INFO", "CLUSTER NODES", "CLUSTER KEYSLOT k", "CLUSTER HELP", "READONLY", "READWRITE", "ASKING"]:
        assert error(t, *line.split()) == "This instance has cluster support disabled"
    assert t.info("cluster")["cluster_enabled"] == 0 and t.execute_command("MODULE", "LIST") == []


def test_what_is_not_under_way(t):
    assert error(t, "SHUTDOWN", "ABORT") == "No shutdown in progress."
    assert error(t, "SHUTDOWN", "SAVE", "NOSAVE") == "syntax error"
    assert error(t, "FAILOVER") == "FAILOVER requires connected replicas."
    assert error(t, "FAILOVER", "ABORT") == "No failover in progress."
    assert error(t, "FAILOVER", "TIMEOUT", "0") == "FAILOVER timeout must be greater than 0"


def test_monitor_hides_passwords_and_nothing_else(c, t):
    assert c.call("MONITOR") == "OK"
    error(t, "AUTH", "who", "secret")
    error(t, "HELLO", "2", "AUTH", "who", "secret", "SETNAME", "me")
    t.execute_command("HELLO", "2", "SETNAME", "auth")
    shown = []
    while len(shown) < 3:
        line = str(c.read())
        if '"AUTH"' in line or '"HELLO"' in line:
            shown.append(line.split("] ", 1)[1])
    assert shown == ['"AUTH" "(redacted)" "(redacted)"',
                     '"HELLO" "2" "AUTH" "(redacted)" "(redacted)" "SETNAME" "me"',
                     '"HELLO" "2" "SETNAME" "auth"']
