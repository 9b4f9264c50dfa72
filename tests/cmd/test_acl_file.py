"""Users in files: the aclfile and the configuration's `user` lines; what survives a restart, and what a bad file changes."""

import os
import subprocess

import pytest

from resp import Conn, Error
from skald import BIN

GOOD = "user alice on >a ~a* +@all\nuser bob on >b ~b* &ch +get +subscribe (~c +set)\n# a remark\n\n"


def names(c):
    return [x.decode() for x in c.call("ACL", "USERS")]


def lines(c):
    return [x.decode() for x in c.call("ACL", "LIST")]


@pytest.fixture
def s(fresh):
    server = fresh("--aclfile", "users.acl", start=False)
    with open(os.path.join(server.dir, "users.acl"), "w") as f:
        f.write(GOOD)
    return server.start()


def write(s, text):
    with open(os.path.join(s.dir, "users.acl"), "w") as f:
        f.write(text)


def test_the_file_makes_the_users_and_leaves_default_open(s):
    c = Conn(s.raw())
    assert names(c) == ["alice", "bob", "default"]
    assert "user default on nopass sanitize-payload ~* &* +@all" in lines(c)
    assert c.call("AUTH", "alice", "a") == "OK" and c.call("SET", "a1", "v") == "OK"
    assert str(c.call("SET", "b1", "v")) == "NOPERM No permissions to access a key"


def test_what_was_changed_lasts_when_it_was_saved(s):
    c = Conn(s.raw())
    c.call("ACL", "SETUSER", "carol", "on", ">c", "%R~c*", "+@read", "-get")
    c.call("ACL", "DELUSER", "bob")
    saved = lines(c)
    assert c.call("ACL", "SAVE") == "OK"
    c.call("ACL", "SETUSER", "dave", "on")
    s.kill9()
    s.start()
    c = Conn(s.raw())
    assert lines(c) == saved
    assert [f for f in os.listdir(s.dir) if f.startswith("users.acl")] == ["users.acl"]
    with open(os.path.join(s.dir, "users.acl")) as f:
        assert f.read().splitlines() == saved


def test_load_replaces_all_users(s):
    c = Conn(s.raw())
    c.call("ACL", "SETUSER", "carol", "on", "nopass", "+@all")
    carol, bob = Conn(s.raw()), Conn(s.raw())
    carol.call("AUTH", "carol", "")
    bob.call("AUTH", "bob", "b")
    assert bob.call("SUBSCRIBE", "ch") == [b"subscribe", b"ch", 1]
    alice = Conn(s.raw())
    alice.call("AUTH", "alice", "a")
    write(s, "user default on nopass ~* &* +@all\nuser alice on nopass ~z +get\nuser bob on >b +@all\n")
    assert c.call("ACL", "LOAD") == "OK" and names(c) == ["alice", "bob", "default"]
    for gone in (carol, bob):  # one is no user any more, the other may not hear its channel
        with pytest.raises((EOFError, ConnectionError)):
            gone.call("PING")
    assert str(alice.call("SET", "a1", "v")) == "NOPERM User alice has no permissions to run the 'set' command"
    assert alice.call("GET", "z") is None


@pytest.mark.parametrize("bad, why", [
    ("user x on\nuser y +nothing\n", "users.acl:2: Unknown command or category name in ACL. "),
    ("useless x on\n", "users.acl:1: line should start with user keyword followed by the username. "),
    ("user\n", "users.acl:1: line should start with user keyword followed by the username. "),
    ("user x on\nuser x off\n", "users.acl:2: Duplicate user 'x' found. "),
    ("user x (+get\n", "users.acl:1: Unmatched parenthesis in acl selector starting at '(+get'.. "),
])
def test_a_bad_file_changes_nothing(s, bad, why):
    c = Conn(s.raw())
    before = lines(c)
    write(s, bad)
    reply = c.call("ACL", "LOAD")
    assert isinstance(reply, Error)
    assert str(reply) == f"ERR {why}WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
    assert lines(c) == before
    os.remove(os.path.join(s.dir, "users.acl"))
    assert str(c.call("ACL", "LOAD")) == "ERR Error loading ACLs, opening file 'users.acl': No such file or directory"
    assert lines(c) == before


def test_save_that_cannot_write_leaves_the_file(s):
    c = Conn(s.raw())
    os.mkdir(os.path.join(s.dir, f"users.acl.tmp-{s.proc.pid}"))
    assert str(c.call("ACL", "SAVE")).startswith("ERR There was an error trying to save the ACLs.")
    with open(os.path.join(s.dir, "users.acl")) as f:
        assert f.read() == GOOD


def test_without_a_file(fresh):
    c = Conn(fresh().raw())
    for sub in ("LOAD", "SAVE"):
        assert str(c.call("ACL", sub)).startswith("ERR This Redis instance is not configured to use an ACL file.")


def test_users_of_the_configuration_file(fresh, tmp_path):
    conf = tmp_path / "c.conf"
    conf.write_text('requirepass root\nuser alice on >a ~a* +@all -@dangerous\nuser "bob" off\n'
                    "user default on >top ~* &* +@all\n")
    s = fresh(start=False)
    s.command_line = s.command
    s.command = lambda: [BIN, str(conf), *s.command_line()[1:]]
    s.start(wait=False)
    c = None
    while c is None:
        try:
            c = Conn(s.raw())
        except ConnectionError:
            assert s.proc.poll() is None
    assert str(c.call("PING")) == "NOAUTH Authentication required."
    assert c.call("AUTH", "default", "top") == "OK"
    assert names(c) == ["alice", "bob", "default"]
    assert [x for x in lines(c) if x.startswith("user bob")] == ["user bob off sanitize-payload resetchannels -@all"]
    assert str(c.call("CONFIG", "SET", "user", "x on")).startswith("ERR ")


@pytest.mark.parametrize("conf, why", [
    ("user alice on\naclfile users.acl\n", "declared both"),
    ("user alice +nothing\n", "Unknown command or category name in ACL"),
    ("user alice on\nuser alice off\n", "Duplicate user 'alice' found"),
    ("aclfile missing.acl\n", "opening file 'missing.acl'"),
])
def test_a_bad_configuration_does_not_start(tmp_path, conf, why):
    (tmp_path / "users.acl").write_text(GOOD)
    (tmp_path / "c.conf").write_text(conf)
    p = subprocess.run([BIN, str(tmp_path / "c.conf"), "--port", "0", "--unixsocket", str(tmp_path / "s"), "--dir",
                        str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert p.returncode == 1 and why in p.stderr


def test_config_rewrite_keeps_the_users(fresh, tmp_path):
    conf = tmp_path / "c.conf"
    conf.write_text("# mine\nuser alice on >a ~a* +@all\nuser bob off\ntimeout 0\n")
    s = fresh(start=False)
    command = s.command
    s.command = lambda: [BIN, str(conf), *command()[1:]]
    s.start()
    c = Conn(s.raw())
    c.call("ACL", "DELUSER", "bob")
    c.call("ACL", "SETUSER", "carol", "on", ">c", "(+get ~c*)")
    for _ in range(2):
        assert c.call("CONFIG", "REWRITE") == "OK"
        kept = conf.read_text().splitlines()
        assert kept[0] == "# mine" and sum(x.startswith("user ") for x in kept) == 2
        assert not any(x.startswith("user default") for x in kept)
    before = lines(c)
    s.restart()
    assert lines(Conn(s.raw())) == before
    Conn(s.raw()).call("ACL", "SETUSER", "default", "-debug")
    c = Conn(s.raw())
    assert c.call("CONFIG", "REWRITE") == "OK" and "user default on nopass sanitize-payload ~* &* +@all -debug" in conf.read_text()
    before = lines(c)
    s.restart()
    assert lines(Conn(s.raw())) == before
