"""ACL: users, rules and their description, as the ACL commands show them. What rules allow is test_acl_checks.py's."""

import hashlib
import os
import re

import pytest

from resp import Conn, Error


@pytest.fixture
def c(server):
    conn = Conn(server.raw())
    yield conn
    for name in conn.call("ACL", "USERS"):
        if name != b"default":
            conn.call("ACL", "DELUSER", name)
    conn.close()


def text(x):
    return [text(e) for e in x] if isinstance(x, list) else x.decode() if isinstance(x, bytes) else x


def user(c, name):
    flat = text(c.call("ACL", "GETUSER", name))
    return dict(zip(flat[::2], flat[1::2]))


def line(c, name):
    return next(x for x in text(c.call("ACL", "LIST")) if x.startswith(f"user {name} "))


def refused(c, *args):
    reply = c.call(*args)
    assert isinstance(reply, Error), reply
    return str(reply)


def sha(s):
    return hashlib.sha256(s.encode()).hexdigest()


def test_at_first_there_is_default_who_may_everything(c):
    assert text(c.call("ACL", "LIST")) == ["user default on nopass sanitize-payload ~* &* +@all"]
    assert text(c.call("ACL", "USERS")) == ["default"] and c.call("ACL", "WHOAMI") == b"default"
    assert user(c, "default") == {"flags": ["on", "nopass", "sanitize-payload"], "passwords": [], "commands": "+@all",
                                  "keys": "~*", "channels": "&*", "selectors": []}


def test_a_new_user_may_nothing(c):
    assert c.call("ACL", "SETUSER", "new") == "OK"
    assert line(c, "new") == "user new off sanitize-payload resetchannels -@all"
    assert user(c, "new") == {"flags": ["off", "sanitize-payload"], "passwords": [], "commands": "-@all", "keys": "",
                              "channels": "", "selectors": []}
    assert refused(c, "AUTH", "new", "x").startswith("WRONGPASS")


def test_in_resp3_a_user_is_a_map(c):
    c.call("ACL", "SETUSER", "u", "on", "(~a)")
    c.call("HELLO", "3")
    u = c.call("ACL", "GETUSER", "u")
    assert u[b"flags"] == [b"on", b"sanitize-payload"]
    assert u[b"selectors"] == [{b"commands": b"-@all", b"keys": b"~a", b"channels": b""}]


def test_passwords_are_shown_hashed_and_may_be_given_so(c):
    c.call("ACL", "SETUSER", "u", "on", ">one", "#" + sha("two"), ">one")
    assert user(c, "u")["passwords"] == [sha("one"), sha("two")]
    assert line(c, "u") == f"user u on sanitize-payload #{sha('one')} #{sha('two')} resetchannels -@all"
    c.call("ACL", "SETUSER", "u", "!" + sha("one"))
    assert user(c, "u")["passwords"] == [sha("two")]
    c.call("ACL", "SETUSER", "u", "<two")
    assert user(c, "u")["passwords"] == []
    assert refused(c, "ACL", "SETUSER", "u", "<two").endswith(
        "modifier '<two': The password you are trying to remove from the user does not exist")
    for bad in ("#abc", "#" + sha("x").upper(), "!" + "g" * 64):
        assert refused(c, "ACL", "SETUSER", "u", bad).endswith(
            "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters")


def test_nopass_and_resetpass(c):
    c.call("ACL", "SETUSER", "u", "on", ">one", "nopass")
    assert user(c, "u")["passwords"] == [] and "nopass" in user(c, "u")["flags"]
    assert c.call("AUTH", "u", "anything") == "OK"
    c.call("AUTH", "default", "")
    c.call("ACL", "SETUSER", "u", "resetpass")
    assert refused(c, "AUTH", "u", "anything").startswith("WRONGPASS")
    c.call("ACL", "SETUSER", "u", "nopass", ">two")
    assert "nopass" not in user(c, "u")["flags"] and refused(c, "AUTH", "u", "x").startswith("WRONGPASS")


@pytest.mark.parametrize("rules, commands", [
    ("+@all -@hash -@slow +hget", "+@all -@hash -@slow +hget"),
    ("+@all -@hash -@slow +hget -@hash", "+@all -@slow +hget -@hash"),
    ("+@all -@hash +hget +@hash", "+@all +hget +@hash"),
    ("+@all -@hash +hget +@all", "+@all"),
    ("+get +set -@all", "-@all"),
    ("+@HASH +@hash +@HaSh", "-@all +@hash"),
    ("+HGET +hget +hGeT", "-@all +hget"),
    ("+@hash +@slow +@set +@set +@slow +@hash", "-@all +@set +@slow +@hash"),
    ("+hget -hset +hset -hget", "-@all +hset -hget"),
    ("+client|list +client|list +config|get +config +acl|list -acl", "-@all +client|list +config -acl"),
    ("+select|0 +select|0 +debug|object +debug", "-@all +select|0 +debug"),
    ("-@dangerous", "-@all -@dangerous"),
    ("+config +config|get -config|set +config", "-@all +config"),
    ("allcommands -config +config|get", "+@all -config +config|get"),
])
def test_what_was_said_of_commands_is_kept_once_and_in_order(c, rules, commands):
    assert c.call("ACL", "SETUSER", "u", "reset", *rules.split()) == "OK"
    assert user(c, "u")["commands"] == commands


def test_every_category_stands_in_a_description_as_it_was_given(c):
    for cat in text(c.call("ACL", "CAT")):
        for base, sign in (("+@all", "-"), ("-@all", "+")):
            c.call("ACL", "SETUSER", "u", "reset", base, f"{sign}@{cat}")
            assert user(c, "u")["commands"] == f"{base} {sign}@{cat}"


def test_patterns_and_selectors(c):
    c.call("ACL", "SETUSER", "u", "~a*", "%R~b*", "%W~c*", "%RW~d*", "&x", "&y*", "(+get ~z)", "( +set", "&w", ")")
    assert user(c, "u") == {
        "flags": ["off", "sanitize-payload"], "passwords": [], "commands": "-@all", "keys": "~a* %R~b* %W~c* ~d*",
        "channels": "&x &y*", "selectors": [["commands", "-@all +get", "keys", "~z", "channels", ""],
                                            ["commands", "-@all +set", "keys", "", "channels", "&w"]]}
    assert line(c, "u") == ("user u off sanitize-payload ~a* %R~b* %W~c* ~d* resetchannels &x &y* -@all "
                            "(~z resetchannels -@all +get) (resetchannels &w -@all +set)")
    c.call("ACL", "SETUSER", "u", "%W~b*")  # the two halves of one pattern become one
    assert user(c, "u")["keys"] == "~a* ~b* %W~c* ~d*"
    c.call("ACL", "SETUSER", "u", "clearselectors", "resetkeys", "resetchannels")
    assert line(c, "u") == "user u off sanitize-payload resetchannels -@all"


def test_reset(c):
    c.call("ACL", "SETUSER", "u", "on", ">p", "~a", "&b", "+@all", "skip-sanitize-payload", "(~x)")
    assert "skip-sanitize-payload" in user(c, "u")["flags"]
    c.call("ACL", "SETUSER", "u", "reset")
    assert line(c, "u") == "user u off sanitize-payload resetchannels -@all"


@pytest.mark.parametrize("rule, why", [
    ("+nothing", "Unknown command or category name in ACL"),
    ("-nothing", "Unknown command or category name in ACL"),
    ("+@nothing", "Unknown command or category name in ACL"),
    ("+config|nothing", "Unknown command or category name in ACL"),
    ("-get|x", "Unknown command or category name in ACL"),
    ("+config|get|x", "Allowing first-arg of a subcommand is not supported"),
    ("+select|", "Syntax error"),
    ("@all", "Syntax error"),
    ("%~a", "Syntax error"),
    ("%RR~a", "Syntax error"),
    ("%X~a", "Syntax error"),
    ("~a b", "Syntax error"),
    ("&a b", "Syntax error"),
    ("(on)", "Syntax error"),
    ("(+nothing)", "Unknown command or category name in ACL"),
])
def test_bad_rules(c, rule, why):
    c.call("ACL", "SETUSER", "u", "on", "+get")
    assert refused(c, "ACL", "SETUSER", "u", "off", rule) == f"ERR Error in ACL SETUSER modifier '{rule}': {why}"
    assert line(c, "u") == "user u on sanitize-payload resetchannels -@all +get"
    assert refused(c, "ACL", "SETUSER", "fresh", rule) and b"fresh" not in c.call("ACL", "USERS")


def test_more_bad_rules(c):
    assert refused(c, "ACL", "SETUSER", "u", "(+get", "~x") == \
        "ERR Unmatched parenthesis in acl selector starting at '(+get'."
    assert "Adding a pattern after the * pattern (or the 'allkeys' flag)" in refused(c, "ACL", "SETUSER", "u", "~*", "~a")
    assert "(or the 'allchannels' flag)" in refused(c, "ACL", "SETUSER", "u", "&*", "&a")
    assert refused(c, "ACL", "SETUSER", "a b") == "ERR Usernames can't contain spaces or null characters"
    assert refused(c, "ACL", "SETUSER", b"a\0b") == "ERR Usernames can't contain spaces or null characters"


def test_pubsub_default(c):
    assert c.call("CONFIG", "SET", "acl-pubsub-default", "allchannels") == "OK"
    c.call("ACL", "SETUSER", "u", "(~a)")
    assert line(c, "u") == "user u off sanitize-payload &* -@all (~a &* -@all)"
    c.call("CONFIG", "SET", "acl-pubsub-default", "resetchannels")
    c.call("ACL", "SETUSER", "u", "reset")
    assert line(c, "u") == "user u off sanitize-payload resetchannels -@all"


def test_cat(c):
    cats = text(c.call("ACL", "CAT"))
    assert {"keyspace", "read", "dangerous", "vector", "session", "llm", "flow"} <= set(cats)
    listed = {cat: text(c.call("ACL", "CAT", cat)) for cat in cats}
    assert "client|list" in listed["admin"] and "client|list" in listed["dangerous"] and "get" in listed["string"]
    assert {"vadd", "vsim", "vsearch"} <= set(listed["vector"]) and "flow.run" in listed["flow"]
    assert "session.add" in listed["session"] and "llm.model|set" in listed["llm"]
    for name in listed["write"]:
        assert "@write" in text(c.call("COMMAND", "INFO", name))[0][6]
    assert refused(c, "ACL", "CAT", "nothing") == "ERR Unknown category 'nothing'"


def test_every_command_is_fast_or_slow(c):
    fast, slow = (set(text(c.call("ACL", "CAT", x))) for x in ("fast", "slow"))
    assert not fast & slow
    assert {x for x in text(c.call("COMMAND", "LIST"))} <= fast | slow


def test_genpass(c):
    for bits, digits in ((None, 64), (1, 1), (5, 2), (256, 64), (4096, 1024)):
        args = [] if bits is None else [bits]
        one, two = c.call("ACL", "GENPASS", *args), c.call("ACL", "GENPASS", *args)
        assert re.fullmatch(b"[0-9a-f]{%d}" % digits, one)
        assert digits < 16 or one != two
    for bad in (0, -1, 4097):
        assert "a positive number up to 4096" in refused(c, "ACL", "GENPASS", bad)


def test_deluser_closes_its_connections(c, server):
    c.call("ACL", "SETUSER", "u", "on", "nopass", "+@all")
    one, other = Conn(server.raw()), Conn(server.raw())
    assert one.call("AUTH", "u", "x") == "OK"
    assert c.call("ACL", "DELUSER", "u", "nobody") == 1
    with pytest.raises((EOFError, ConnectionError)):
        one.call("PING")
    assert other.call("PING") == "PONG"
    assert refused(c, "ACL", "DELUSER", "default") == "ERR The 'default' user cannot be removed"
    assert c.call("ACL", "GETUSER", "u") is None
    other.close()


def test_who_deletes_itself_still_gets_its_reply(c, server):
    c.call("ACL", "SETUSER", "u", "on", "nopass", "+@all")
    one = Conn(server.raw())
    one.call("AUTH", "u", "x")
    assert one.call("ACL", "DELUSER", "u") == 1
    with pytest.raises((EOFError, ConnectionError)):
        one.call("PING")


def test_clients_show_and_are_killed_by_their_user(c, server):
    c.call("ACL", "SETUSER", "u", "on", "nopass", "+@all")
    one = Conn(server.raw())
    one.call("AUTH", "u", "x")
    ident = one.call("CLIENT", "ID")
    lines = c.call("CLIENT", "LIST").decode().splitlines()
    assert [x for x in lines if f"id={ident} " in x][0].count(" user=u ") == 1
    assert sum(" user=default " in x for x in lines) >= 1
    assert c.call("CLIENT", "KILL", "USER", "u") == 1
    with pytest.raises((EOFError, ConnectionError)):
        one.call("PING")
    assert refused(c, "CLIENT", "KILL", "USER", "nobody") == "ERR No such user 'nobody'"


def test_hello_and_reset_change_who_one_is(c):
    c.call("ACL", "SETUSER", "u", "on", ">p", "+@all")
    assert c.call("HELLO", "2", "AUTH", "u", "p")[0] == b"server"
    assert c.call("ACL", "WHOAMI") == b"u"
    assert refused(c, "HELLO", "2", "AUTH", "u", "q").startswith("WRONGPASS") and c.call("ACL", "WHOAMI") == b"u"
    c.call("RESET")
    assert c.call("ACL", "WHOAMI") == b"default"


def test_requirepass_is_the_password_of_default(fresh):
    s = fresh(start=False)
    c = Conn(s.start().raw())
    c.call("CONFIG", "SET", "requirepass", "secret")
    assert c.call("PING") == "PONG"  # who is in stays in
    assert user(c, "default")["passwords"] == [sha("secret")]
    other = Conn(s.raw())
    assert refused(other, "PING") == "NOAUTH Authentication required."
    assert refused(other, "AUTH", "wrong").startswith("WRONGPASS") and other.call("AUTH", "secret") == "OK"
    assert refused(Conn(s.raw()), "HELLO", "3").startswith("NOAUTH HELLO must be called")
    c.call("ACL", "SETUSER", "default", ">more")
    assert Conn(s.raw()).call("AUTH", "default", "more") == "OK"
    c.call("CONFIG", "SET", "requirepass", "")
    assert "nopass" in user(c, "default")["flags"] and Conn(s.raw()).call("PING") == "PONG"
    assert refused(c, "AUTH", "x").startswith("ERR AUTH <password> called without any password")
    c.call("ACL", "SETUSER", "default", "off")
    assert refused(Conn(s.raw()), "PING") == "NOAUTH Authentication required."
    c.call("ACL", "SETUSER", "default", "on")


def test_arity_and_help(c):
    assert refused(c, "ACL") == "ERR wrong number of arguments for 'acl' command"
    assert refused(c, "ACL", "NOTHING") == "ERR unknown subcommand 'NOTHING'. Try ACL HELP."
    assert refused(c, "ACL", "LOG", "1", "2") == \
        "ERR unknown subcommand or wrong number of arguments for 'LOG'. Try ACL HELP."
    assert c.call("ACL", "HELP")[0].startswith("ACL <subcommand>")


def test_passwords_are_not_shown_anywhere(fresh):
    s = fresh("--appendonly", "yes")
    c, watcher = Conn(s.raw()), Conn(s.raw())
    c.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
    watcher.call("MONITOR")
    c.call("ACL", "SETUSER", "u", "on", ">hunter2", "+@all", "~*")
    c.call("AUTH", "u", "hunter2")
    c.call("AUTH", "u", "hunter3")
    c.call("HELLO", "2", "AUTH", "u", "hunter2")
    c.call("SET", "end", "here")
    shown = b""
    while b'"end"' not in shown:
        shown += watcher.f.readline()
    slow = c.call("SLOWLOG", "GET", "-1")
    log = c.call("ACL", "LOG")
    assert b"hunter" not in shown and "hunter" not in repr(slow) and "hunter" not in repr(log)
    assert [b"ACL", b"SETUSER", b"(redacted)", b"(redacted)", b"(redacted)", b"(redacted)", b"(redacted)"] in \
        [e[3] for e in slow]
    s.stop()
    for folder, _, files in os.walk(s.dir):
        for f in files:
            with open(os.path.join(folder, f), "rb") as h:
                assert b"hunter" not in h.read()
