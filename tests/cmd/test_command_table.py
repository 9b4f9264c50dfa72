"""COMMAND, COMMAND DOCS and COMMAND GETKEYS beside redis-server 7.0's: every command that both have must say the same, but
for what 7.2 changed and for what is listed here."""

import shutil
import subprocess
import time

import pytest

from resp import Conn, Error
from skald import free_port

KNOWN = {
    # 7.2 has other answers than 7.0
    ("zrank", "arity"), ("zrevrank", "arity"), ("command|getkeys", "arity"), ("command|getkeysandflags", "arity"),
    ("wait", "flags"), ("wait", "categories"), ("client|pause", "since"),
    # a follower does not report while a script holds it up
    ("replconf", "flags"),
}
NO_MEANING = {"no_async_loading"}  # data is never loaded while commands run
# Since 7.2; and there is no cluster whose older commands could be used.
DEPRECATED = {"setnx", "setex", "psetex", "cluster|slaves", "cluster|slots"}
KNOWN_ARGUMENTS = {
    "zrank", "zrevrank",                        # WITHSCORE of 7.2
    "bitop", "pfdebug",                         # the operations by name, as in 7.2; GETREG and its kin
    "pfmerge",                                  # sources are optional, as in 7.2
    "command|getkeys", "command|getkeysandflags",  # 7.0 forgot their arguments
    "migrate",                                  # the key may be "", which is not said
    "georadius", "georadiusbymember",           # STORE or STOREDIST, as in 7.2
    "client|kill",                              # SKIPME YES or NO, as in 7.2; MAXAGE
    "shutdown",                                 # there is no ABORT: a stop is not delayed
}


def flat(x):
    return {x[i]: x[i + 1] for i in range(0, len(x), 2)} if isinstance(x, list) else x


def plain(x):
    if isinstance(x, (list, tuple)):
        return [plain(e) for e in x]
    return x.decode() if isinstance(x, bytes) else x


@pytest.fixture(scope="module")
def redis7(tmp_path_factory):
    exe = shutil.which("redis-server")
    if not exe:
        pytest.skip("redis-server is not installed")
    port = free_port()
    p = subprocess.Popen([exe, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir",
                          str(tmp_path_factory.mktemp("redis"))], stdout=subprocess.DEVNULL)
    import socket
    while True:
        try:
            c = Conn(socket.create_connection(("127.0.0.1", port), timeout=120))
            break
        except ConnectionRefusedError:
            assert p.poll() is None
            time.sleep(0.02)
    if b"redis_version:7.0." not in c.call("INFO", "server"):
        pytest.skip("the installed redis-server is not 7.0")
    yield c
    c.close()
    p.terminate()
    p.wait()


@pytest.fixture
def skald(server):
    c = Conn(server.raw())
    yield c
    c.close()


def spec(s):
    s = flat(s)
    begin, find = flat(s["begin_search"]), flat(s["find_keys"])
    return (sorted(s["flags"]), begin["type"], flat(begin["spec"]), find["type"], flat(find["spec"]))


def table(c):
    out = {}

    def walk(rows):
        for r in rows:
            out[r[0]] = {"arity": r[1], "flags": sorted(set(r[2]) - NO_MEANING), "positions": r[3:6], "categories": sorted(r[6]),
                         "key specs": [spec(s) for s in r[8]]}
            walk(r[9])

    walk(plain(c.call("COMMAND")))
    return out


def test_rows(redis7, skald):
    theirs, ours = table(redis7), table(skald)
    both = set(theirs) & set(ours)
    assert len(both) > 250
    wrong = [f"{name} {field}: redis {theirs[name][field]}, here {ours[name][field]}"
             for name in sorted(both) for field in theirs[name]
             if theirs[name][field] != ours[name][field] and (name, field) not in KNOWN]
    assert not wrong, "\n".join(wrong)


def shape(args, top=False):
    """An argument tree without names. A token before a block, or as the first thing in it, is the same thing."""
    out = []
    for a in args:
        a = flat(a)
        kids = shape(a["arguments"]) if "arguments" in a else []
        token = a.get("token")
        if a["type"] == "block" and token is not None:
            kids, token = [("pure-token", token, (), None)] + kids, None
        flags = set(a.get("flags", []))
        if a["type"] not in ("pure-token", "block", "oneof") and token is not None:
            value = (a["type"], None, (), a.get("key_spec_index"))
            if flags & {"multiple"} and "multiple_token" not in flags:
                value, flags = (value, ("multiple",)), flags - {"multiple"}
            here = ("block", (), [("pure-token", token, (), None), value])
        elif a["type"] in ("block", "oneof"):
            here = (a["type"], (), kids)
        else:
            here = (a["type"], token, (), a.get("key_spec_index"))
        flags = tuple(sorted(flags))
        if here[0] == "block" and len(kids) == 1 and "arguments" in a:
            here = kids[0]
        if here[0] == "block" and not flags and not top:
            out.extend(here[2])
            continue
        out.append((here, flags) if flags else here)
    return out


def docs(c):
    out = {}

    def walk(entries):
        for name, d in entries.items():
            d = flat(d)
            out[name] = {"since": d["since"], "group": d["group"], "deprecated": d.get("deprecated_since"),
                         "flags": sorted(set(d.get("doc_flags", [])) & {"deprecated"}),
                         "arguments": shape(d.get("arguments", []))}
            walk(flat(d.get("subcommands", [])))

    walk(flat(plain(c.call("COMMAND", "DOCS"))))
    return out


def test_docs(redis7, skald):
    theirs, ours = docs(redis7), docs(skald)
    both = set(theirs) & set(ours)
    assert len(both) > 250
    wrong = [f"{name} {field}: redis {theirs[name][field]}, here {ours[name][field]}"
             for name in sorted(both) for field in theirs[name]
             if theirs[name][field] != ours[name][field] and not (field == "arguments" and name in KNOWN_ARGUMENTS)
             and (name, field) not in KNOWN and not (field in ("flags", "deprecated") and name in DEPRECATED)]
    assert not wrong, "\n".join(wrong)


LINES = """
get a|set a b|set a b get|set a b ex 10 get|mset a 1 b 2|del a b c|zunion 2 a b|zunion 2 a|zunion 0 a|zunion x a
zunionstore d 2 a b weights 1 2|zinterstore d 1 a|sort a|sort a store b|sort a by w_* get d_* store b|sort a by store
sort_ro a by x|xread count 1 streams a b 0 0|xread a b c|lmpop 2 a b left|blmpop 0 2 a b left|lmpop 0 a left
bitop and d a b|bitfield a get u8 0|bitfield a set u8 0 1|bitfield_ro a get u8 0|georadius a 1 2 3 m store d
georadius a 1 2 3 m|georadiusbymember a m 1 km storedist d|geosearchstore d s frommember m byradius 1 m
copy a b|rename a b|object encoding a|memory usage a|sintercard 2 a b limit 1|smove a b c|eval x 2 a b c|eval x 0
eval x 1 a|evalsha x 1 a b|lcs a b|ping|publish a b|spublish a b|config get a|nosuch a|get|watch a b|pfmerge d a b
zrangestore d a 0 1|zdiffstore d 2 a b|zmpop 1 a min|bzmpop 0 2 a b max|blpop a b 0|brpoplpush a b 0|lmove a b left left
""".replace("\n", "|").strip("|").split("|")


@pytest.mark.parametrize("line", LINES)
def test_keys_of_a_command_line(redis7, skald, line):
    for sub in ("GETKEYS", "GETKEYSANDFLAGS"):
        if len(line.split()) < 2:  # 7.2 takes a command without arguments, and says what is wrong with it
            assert isinstance(skald.call("COMMAND", sub, *line.split()), Error)
            continue
        theirs, ours = (plain(c.call("COMMAND", sub, *line.split())) for c in (redis7, skald))
        assert str(ours) == str(theirs)


def test_every_command_is_listed(skald):
    names = set(plain(skald.call("COMMAND", "LIST")))
    assert names == set(table(skald))
    assert set(plain(skald.call("COMMAND", "LIST", "FILTERBY", "PATTERN", "config|*"))) == \
        {n for n in names if n.startswith("config|")}
    scripting = plain(skald.call("COMMAND", "LIST", "FILTERBY", "ACLCAT", "scripting"))
    assert sorted(scripting) == sorted(plain(skald.call("ACL", "CAT", "scripting")))
    assert skald.call("COMMAND", "LIST", "FILTERBY", "ACLCAT", "nothing") == []
    assert skald.call("COMMAND", "LIST", "FILTERBY", "MODULE", "nothing") == []
