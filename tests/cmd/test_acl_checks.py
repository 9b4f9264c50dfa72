"""What users may do: commands, keys with their access, channels, transactions, and what is done on somebody's behalf."""

import json
import shlex

import pytest

from resp import Conn, Error

KEY = "NOPERM No permissions to access a key"
CHANNEL = "NOPERM No permissions to access a channel"


def cmd(name):
    return f"NOPERM User u has no permissions to run the '{name}' command"


@pytest.fixture
def root(server):
    c = Conn(server.raw())
    c.call("FLUSHALL")
    yield c
    c.call("ACL", "DELUSER", "u")
    c.close()


@pytest.fixture
def become(server, root):
    """become(rules...): a connection of the user u, who has these."""
    made = []

    def make(*rules):
        assert root.call("ACL", "SETUSER", "u", "reset", "on", "nopass", *rules) == "OK"
        c = Conn(server.raw())
        made.append(c)
        assert c.call("AUTH", "u", "") == "OK"
        return c

    yield make
    for c in made:
        c.close()


def test_commands(become):
    u = become("~*", "+@all", "-@dangerous", "-get", "+client|list")
    assert u.call("SET", "k", "v") == "OK"
    assert str(u.call("GET", "k")) == cmd("get")
    assert str(u.call("FLUSHALL")) == cmd("flushall")
    assert str(u.call("CONFIG", "GET", "port")) == cmd("config|get")
    assert str(u.call("CLIENT", "KILL", "ID", "1")) == cmd("client|kill")
    assert b"user=u" in u.call("CLIENT", "LIST") and u.call("CLIENT", "ID") > 0


def test_who_may_nothing_may_still_log_in_and_leave(become):
    u = become()
    assert str(u.call("PING")) == cmd("ping")
    assert str(u.call("NOSUCH")).startswith("ERR unknown command") and str(u.call("GET")).startswith("ERR wrong number")
    assert u.call("HELLO", "3")[b"proto"] == 3
    assert u.call("RESET") == "RESET" and u.call("PING") == "PONG"


def test_first_arguments(become):
    u = become("+select|1", "+get", "~*")
    assert u.call("SELECT", "1") == "OK" and str(u.call("SELECT", "0")) == cmd("select")


def test_a_change_of_rules_is_felt_at_once(become, root):
    u = become("~*", "+get")
    assert u.call("GET", "k") is None
    root.call("ACL", "SETUSER", "u", "-get")
    assert str(u.call("GET", "k")) == cmd("get")


# (may the user, who has ~rw* %R~r* %W~w*, run it?)
KEYS = [
    ("GET r", True), ("GET w", False), ("GET rw", True), ("GET other", False),
    ("SET w v", True), ("SET r v", False), ("SET w v GET", False), ("SET rw v GET", True),
    ("GETSET w v", False), ("GETDEL rw", True), ("GETDEL w", False), ("APPEND w x", True), ("INCR w", False),
    ("MGET r rw", True), ("MGET r w", False), ("MSET w 1 rw 2", True), ("MSET w 1 r 2", False),
    ("DEL w", True), ("DEL r", False), ("UNLINK w rw", True), ("EXISTS r w rw", True), ("EXISTS x", False),
    ("TYPE w", True), ("TTL w", False), ("EXPIRE w 10", True), ("EXPIRE r 10", False), ("STRLEN w", True),
    ("COPY r w", True), ("COPY w r", False), ("COPY r rw", True), ("RENAME rw w", True), ("RENAME r w", False),
    ("BITFIELD r GET u8 0", True), ("BITFIELD r SET u8 0 1", False), ("BITFIELD rw INCRBY u8 0 1", True),
    ("BITOP AND w r rw", True), ("BITOP AND r r", False),
    ("LPUSH w a", True), ("LPUSH r a", False), ("LPOP w", False), ("LMOVE rw w LEFT LEFT", True),
    ("LMOVE r w LEFT LEFT", False), ("LMPOP 2 rw rw2 LEFT", True), ("LMPOP 2 rw r LEFT", False),
    ("BLPOP rw rw2 0.001", True), ("BLPOP rw r 0.001", False), ("BLMPOP 0.001 2 rw w LEFT", False),
    ("SUNIONSTORE w r rw", True), ("SUNIONSTORE w w", False), ("SINTERCARD 2 r rw", True), ("SINTERCARD 2 r x", False),
    ("ZUNION 2 r rw", True), ("ZUNION 2 r x", False), ("ZUNIONSTORE w 1 r", True), ("ZUNIONSTORE r 1 r", False),
    ("ZUNIONSTORE w 2 r x", False), ("ZRANGESTORE w r 0 -1", True), ("ZMPOP 1 r MIN", False),
    ("SORT r", True), ("SORT r STORE w", True), ("SORT r STORE r", False), ("SORT_RO x", False),
    ("XREAD COUNT 1 STREAMS r rw 0 0", True), ("XREAD STREAMS r x 0 0", False), ("XREAD STREAMS x r 0 0", False),
    ("PFMERGE rw r", True), ("PFMERGE rw w", False), ("PFCOUNT rw", True), ("PFADD w a", True),
    ("GEORADIUS r 1 2 3 m STORE w", True), ("GEORADIUS r 1 2 3 m STORE w STORE r", False),
    ("GEORADIUS r 1 2 3 m STOREDIST x", False), ("GEORADIUSBYMEMBER w m 1 m", False),
    ("XREADGROUP GROUP g STREAMS STREAMS r >", True), ("XREADGROUP COUNT 1 GROUP g STREAMS STREAMS x >", False),
    ("MIGRATE h 1 rw 0 1", True), ("MIGRATE h 1 r 0 1", False), ("MIGRATE h 1 \"\" 0 1 KEYS rw r", False),
    ("OBJECT ENCODING r", True), ("OBJECT ENCODING x", False), ("WATCH r", True), ("WATCH x", False),
    ("VCREATE w DIM 2", True), ("VCREATE r DIM 2", False), ("VCARD r", True), ("VSIM x ELE a", False),
    ("VSEARCH r ELE a", True), ("VSEARCH w ELE a", False), ("VADD r VALUES 2 1 0 a", False),
    ("SESSION.CREATE w", True), ("SESSION.CREATE r", False), ("SESSION.GET r", True), ("SESSION.GET w", False),
    ("SESSION.FORK r w", True), ("SESSION.FORK w rw", False), ("SESSION.VAR SET w a 1", True),
    ("SESSION.VAR GET x a", False), ("LLM.CHAT r hello", False), ("FLOW.RUN f SESSION x", False),
    ("FLOW.RUN f INPUT {} SESSION rw", True),
]


@pytest.mark.parametrize("line, allowed", KEYS, ids=[k for k, _ in KEYS])
def test_keys(root, become, line, allowed):
    become("+@all", "~rw*", "%R~r", "%W~w")
    reply = root.call("ACL", "DRYRUN", "u", *shlex.split(line))
    if allowed:
        assert reply == "OK"
    else:
        assert reply.startswith(b"User u has no permissions to access the '") and reply.endswith(b"' key")


def test_keys_as_clients_see_it(become, root):
    u = become("+@all", "~a*", "%R~b*")
    assert u.call("SET", "a1", "v") == "OK" and u.call("GET", "b1") is None
    assert str(u.call("SET", "b1", "v")) == KEY and str(u.call("GET", "c")) == KEY
    assert str(u.call("MGET", "a1", "c")) == KEY
    assert str(u.call("ZUNION", "many", "a1")) == KEY  # which arguments are keys cannot be told
    assert u.call("KEYS", "*") == [b"a1"]
    assert root.call("ACL", "DRYRUN", "u", "SET", "b1", "v") == b"User u has no permissions to access the 'b1' key"


def test_many_keys_are_all_looked_at(become):
    u = become("+@all", "~a*")
    keys = [f"a{i}" for i in range(5000)]
    assert u.call("EXISTS", *keys) == 0 and str(u.call("EXISTS", *keys, "b")) == KEY
    assert str(u.call("ZUNION", len(keys) + 1, *keys, "b")) == KEY


def test_one_selector_must_allow_all_of_it(become, root):
    u = become("+get", "~a*", "(+set ~b*)", "(+mget %R~*)")
    assert u.call("GET", "a") is None and u.call("SET", "b", "1") == "OK" and u.call("MGET", "a", "b", "c")
    assert str(u.call("GET", "b")) == KEY and str(u.call("SET", "a", "1")) == KEY
    assert str(u.call("DEL", "a")) == cmd("del")
    assert root.call("ACL", "DRYRUN", "u", "SET", "zzz", "1") == b"User u has no permissions to access the 'zzz' key"


def test_sort_by_and_get_need_every_key(become, root):
    root.call("RPUSH", "a", "2", "1")
    u = become("+sort", "+sort_ro", "~a*")
    assert u.call("SORT", "a") == [b"1", b"2"] and u.call("SORT", "a", "BY", "nosort") == [b"2", b"1"]
    for command in ("SORT", "SORT_RO"):
        assert str(u.call(command, "a", "BY", "w_*")) == \
            "ERR BY option of SORT denied due to insufficient ACL permissions."
        assert str(u.call(command, "a", "GET", "d_*")) == \
            "ERR GET option of SORT denied due to insufficient ACL permissions."
    for rules in (["%R~*"], ["(+sort %R~*)"], ["(+sort ~*)"], ["allkeys"]):
        u = become("+sort", "~a*", *rules)
        assert u.call("SORT", "a", "BY", "w_*", "GET", "d_*") == [None, None]
    assert isinstance(become("+sort", "~a*", "(+get ~*)").call("SORT", "a", "GET", "d_*"), Error)
    assert isinstance(become("+sort", "~a*", "%W~*").call("SORT", "a", "GET", "d_*"), Error)


def test_channels(become):
    u = become("+@all", "&c*")
    assert u.call("PUBLISH", "c1", "m") == 0 and str(u.call("PUBLISH", "x", "m")) == CHANNEL
    assert u.call("SPUBLISH", "c1", "m") == 0 and str(u.call("SPUBLISH", "x", "m")) == CHANNEL
    assert str(u.call("SUBSCRIBE", "c1", "x")) == CHANNEL and str(u.call("SSUBSCRIBE", "x")) == CHANNEL
    assert str(u.call("PSUBSCRIBE", "c1*")) == CHANNEL  # only the very pattern that was allowed
    assert u.call("PSUBSCRIBE", "c*") == [b"psubscribe", b"c*", 1]
    assert u.call("SUBSCRIBE", "c1") == [b"subscribe", b"c1", 2]
    assert u.call("UNSUBSCRIBE", "x") == [b"unsubscribe", b"x", 2]
    assert become("+@all", "allchannels").call("PSUBSCRIBE", "*") == [b"psubscribe", b"*", 1]


@pytest.mark.parametrize("what", [("SUBSCRIBE", "ch"), ("PSUBSCRIBE", "ch*"), ("SSUBSCRIBE", "ch")])
def test_who_may_not_hear_a_channel_any_more_is_closed(become, root, what):
    u = become("+@all", "&ch", "&ch*", "&other")
    u.call(*what)
    root.call("ACL", "SETUSER", "u", "+get")  # nothing about channels
    root.call("ACL", "SETUSER", "u", "resetchannels", "&ch*", "&ch")
    assert u.call("PING") == [b"pong", b""]
    root.call("ACL", "SETUSER", "u", "resetchannels", "&other")
    with pytest.raises((EOFError, ConnectionError)):
        u.call("PING")


def test_a_transaction_is_checked_when_it_is_queued_and_when_it_runs(become, root):
    u = become("+@all", "~a*", "&c")
    u.call("MULTI")
    assert str(u.call("GET", "b")) == KEY
    assert str(u.call("EXEC")) == "EXECABORT Transaction discarded because of previous errors."
    u.call("MULTI")
    for line in ("SET a 1", "GET a", "GET ab", "PUBLISH c m"):
        assert u.call(*line.split()) == "QUEUED"
    root.call("ACL", "SETUSER", "u", "-set", "resetkeys", "~a", "resetchannels")
    why = ("NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command "
           "is no longer allowed for the following reason: ")
    assert [str(x) for x in u.call("EXEC")] == [
        why + "no permission to execute the command or subcommand", "None", why + "no permission to touch the specified keys",
        why + "no permission to access one of the channels used as arguments to the command"]


def test_what_waits_goes_on_as_the_user_that_began(become, root):
    u = become("+@all", "~a*")
    u.send("BLPOP", "a", "0")
    while b"blocked_clients:1" not in root.call("INFO", "clients"):
        pass
    root.call("ACL", "SETUSER", "u", "resetkeys")
    root.call("RPUSH", "a", "x")
    assert u.read() == [b"a", b"x"]
    assert str(u.call("LPOP", "a")) == KEY


FLOW = {"nodes": [{"id": "in", "kind": "start"},
                  {"id": "find", "kind": "search", "params": {"key": "secret", "query": "{{input.q}}", "count": 1}},
                  {"id": "out", "kind": "answer", "params": {"text": "{{find.text}}"}}],
        "edges": [{"from": "in", "to": "find"}, {"from": "find", "to": "out"}]}


def test_a_flow_reads_with_the_permissions_of_who_runs_it(become, root):
    root.call("VCREATE", "secret", "DIM", "384")
    root.call("VADD", "secret", "TEXT", "the treasure is under the oak", "x", "SETATTR",
              json.dumps({"text": "the treasure is under the oak"}))
    assert root.call("FLOW.SET", "peek", json.dumps(FLOW)) == "OK"
    run = ("FLOW.RUN", "peek", "INPUT", '{"q": "treasure"}')
    assert b"oak" in root.call(*run)
    reply = str(become("+@all", "~public*").call(*run))
    assert "node find" in reply and "No permissions to access a key" in reply and "oak" not in reply
    reply = str(become("+flow.run", "~*").call(*run))
    assert "no permissions to run the 'vsearch' command" in reply
    assert b"oak" in become("+flow.run", "+vsearch", "%R~secret").call(*run)


def test_dryrun_refuses_nonsense(root, become):
    become("+@all")
    assert str(root.call("ACL", "DRYRUN", "nobody", "GET", "k")) == "ERR User 'nobody' not found"
    assert str(root.call("ACL", "DRYRUN", "u", "NOSUCH")) == "ERR Command 'NOSUCH' not found"
    assert str(root.call("ACL", "DRYRUN", "u", "GET")) == "ERR wrong number of arguments for 'get' command"
    assert root.call("ACL", "DRYRUN", "u", "PING") == "OK"


def test_a_script_runs_with_the_permissions_of_its_caller(become, root):
    root.call("ACL", "LOG", "RESET")
    u = become("+@scripting", "+set", "~a*", "&c")
    assert u.call("EVAL", "return redis.call('set', KEYS[1], 'v')", "1", "a1") == "OK"
    assert str(u.call("EVAL", "return 1", "1", "b")) == KEY
    reply = str(u.call("EVAL", "return redis.call('set', 'b', 'v')", "0"))
    assert reply.startswith("NOPERM ACL failure in script: No permissions to access a key")
    reply = str(u.call("EVAL", "return redis.call('get', 'a')", "0"))
    assert reply.startswith("NOPERM ACL failure in script: User u has no permissions to run the 'get' command")
    assert u.call("EVAL", "return redis.pcall('get', 'a').err", "0").startswith(b"NOPERM")
    reply = str(become("+eval", "+publish", "&c").call("EVAL", "return redis.call('publish', 'x', 'm')", "0"))
    assert reply.startswith("NOPERM ACL failure in script: No permissions to access a channel")
    assert root.call("EXISTS", "b") == 0
    assert [(e[3], e[5], e[7]) for e in root.call("ACL", "LOG")] == [
        (b"channel", b"lua", b"x"), (b"command", b"lua", b"get"), (b"key", b"lua", b"b"), (b"key", b"toplevel", b"b")]


def test_a_script_may_ask_what_it_may(become):
    u = become("+@scripting", "+set", "~x*")
    ask = "return redis.acl_check_cmd(unpack(ARGV))"
    assert u.call("EVAL", ask, "0", "set", "xx", "1") == 1
    assert u.call("EVAL", ask, "0", "hset", "xx", "f", "1") is None
    assert u.call("EVAL", ask, "0", "set", "yy", "1") is None
    assert "Invalid command passed to redis.acl_check_cmd()" in str(u.call("EVAL", ask, "0", "nothing"))
