"""Stream commands: ids, ranges, trimming, reading, replies of both protocol versions, what is journaled."""

import pytest
from resp import Conn

from helpers import WRONGTYPE, error, raw

SMALLER = "The ID specified in XADD is equal or smaller than the target stream top item"
INVALID = "Invalid stream ID specified as stream command argument"


def fill(r, n, key="s"):
    for i in range(1, n + 1):
        r.execute_command("XADD", key, f"{i}-0", "n", i)


def ids(entries):
    return [e[0] for e in entries]


def test_ids(r):
    assert raw(r, "XADD", "s", "5-1", "f", "v") == b"5-1"
    assert raw(r, "XADD", "s", "5-*", "f", "v") == b"5-2"
    assert raw(r, "XADD", "s", "7", "f", "v") == b"7-0"
    assert raw(r, "XADD", "s", "7-*", "f", "v") == b"7-1"
    for low in ("7-1", "7-0", "7", "1-*"):
        assert error(r, "XADD", "s", low, "f", "v") == SMALLER
    for bad in ("x", "1-x", "-", "+", "1-2-3", "18446744073709551616"):
        assert error(r, "XADD", "s", bad, "f", "v") == INVALID
    assert error(r, "XADD", "none", "0-0", "f", "v") == "The ID specified in XADD must be greater than 0-0"
    assert not r.exists("none")
    assert raw(r, "XADD", "zero", "0-*", "f", "v") == b"0-1"
    auto = raw(r, "XADD", "s", "*", "f", "v")
    assert int(auto.split(b"-")[0]) > 1_000_000_000_000
    top = "18446744073709551615-18446744073709551615"
    assert raw(r, "XADD", "s", top, "f", "v") == top.encode()
    assert error(r, "XADD", "s", "*", "f", "v").startswith("The stream has exhausted the last possible ID")


def test_automatic_ids_never_go_back(r):
    r.execute_command("XADD", "s", "99999999999999-7", "f", "v")
    assert raw(r, "XADD", "s", "*", "f", "v") == b"99999999999999-8"


def test_arguments(r):
    for args in ("s * f", "s * f v g", "s MAXLEN 5 * f"):
        assert "wrong number of arguments for 'xadd' command" in error(r, "XADD", *args.split())
    assert raw(r, "XADD", "none", "NOMKSTREAM", "*", "f", "v") is None and not r.exists("none")
    assert error(r, "XADD", "s", "MAXLEN", -1, "*", "f", "v") == "The MAXLEN argument must be >= 0."
    assert error(r, "XADD", "s", "MAXLEN", 1, "MINID", 1, "*", "f", "v").startswith("syntax error, MAXLEN and MINID")
    assert error(r, "XADD", "s", "MAXLEN", "=", 1, "LIMIT", 1, "*", "f", "v").endswith("special ~ option")
    assert error(r, "XTRIM", "s", "LIMIT", 1, "LIMIT", 1).startswith("syntax error, LIMIT cannot be used without")
    r.set("str", 1)
    for cmd in ("XADD str * f v", "XLEN str", "XRANGE str - +", "XDEL str 1", "XTRIM str MAXLEN 1",
                "XREAD STREAMS str 0", "XINFO STREAM str", "XSETID str 1-1"):
        assert error(r, *cmd.split()) == WRONGTYPE, cmd


def test_ranges(r):
    fill(r, 500)
    assert r.xlen("s") == 500
    everything = raw(r, "XRANGE", "s", "-", "+")
    assert everything == [[b"%d-0" % i, [b"n", b"%d" % i]] for i in range(1, 501)]
    assert raw(r, "XREVRANGE", "s", "+", "-") == everything[::-1]
    assert raw(r, "XRANGE", "s", 100, 102) == everything[99:102]
    assert raw(r, "XRANGE", "s", "(100", "(102-0") == everything[100:101]
    assert raw(r, "XREVRANGE", "s", 250, "-", "COUNT", 3) == everything[247:250][::-1]
    assert raw(r, "XRANGE", "s", 400, "+", "COUNT", 2) == everything[399:401]
    assert raw(r, "XRANGE", "s", 5, 4) == [] and raw(r, "XRANGE", "none", "-", "+") == []
    assert raw(r, "XRANGE", "s", "-", "+", "COUNT", 0) is None
    assert error(r, "XRANGE", "s", "(18446744073709551615-18446744073709551615", "+") == "invalid start ID for the interval"
    assert error(r, "XRANGE", "s", "-", "(0-0") == "invalid end ID for the interval"


def test_entries_with_other_fields(r):
    raw(r, "XADD", "s", "1", "a", "1", "b", "2")
    raw(r, "XADD", "s", "2", "a", "1")
    raw(r, "XADD", "s", "3", "a", "x", "b", "")
    raw(r, "XADD", "s", "4", "b", "2", "a", "1", "a", "again")
    want = [[b"1-0", [b"a", b"1", b"b", b"2"]], [b"2-0", [b"a", b"1"]], [b"3-0", [b"a", b"x", b"b", b""]],
            [b"4-0", [b"b", b"2", b"a", b"1", b"a", b"again"]]]
    assert raw(r, "XRANGE", "s", "-", "+") == want
    assert raw(r, "XREVRANGE", "s", "+", "-") == want[::-1]


def test_delete(r):
    fill(r, 300)
    assert raw(r, "XDEL", "s", 5, 6, 999, 5) == 2
    assert raw(r, "XDEL", "none", 1) == 0
    assert error(r, "XDEL", "s", 7, "x") == INVALID and r.xlen("s") == 298
    assert b"5-0" not in ids(raw(r, "XRANGE", "s", "-", "+"))
    for i in range(1, 301):
        raw(r, "XDEL", "s", i)
    assert r.xlen("s") == 0 and r.exists("s") and raw(r, "XRANGE", "s", "-", "+") == []
    assert error(r, "XADD", "s", "300", "f", "v") == SMALLER  # it remembers its last id


def test_trim(r):
    fill(r, 1000)
    assert raw(r, "XTRIM", "s", "MAXLEN", "=", 700) == 300
    assert ids(raw(r, "XRANGE", "s", "-", "+", "COUNT", 1)) == [b"301-0"]
    assert raw(r, "XTRIM", "s", "MINID", 350) == 49
    approx = raw(r, "XTRIM", "s", "MAXLEN", "~", 333)
    assert 0 < approx <= 651 - 333 and r.xlen("s") == 651 - approx
    left = r.xlen("s")
    assert raw(r, "XTRIM", "s", "MAXLEN", "~", 0, "LIMIT", 1) == 0
    assert raw(r, "XADD", "s", "MAXLEN", 10, "5000", "f", "v") == b"5000-0" and r.xlen("s") == 10
    assert left > 10
    assert raw(r, "XADD", "s", "MINID", "~", 4999, "5001", "f", "v") == b"5001-0"
    assert raw(r, "XTRIM", "s", "MAXLEN", 0) == r.xlen("s") or r.xlen("s") == 0
    assert r.exists("s")


def test_read(r):
    fill(r, 3, "a")
    fill(r, 2, "b")
    assert raw(r, "XREAD", "STREAMS", "a", "b", 1, 0) == [
        [b"a", [[b"2-0", [b"n", b"2"]], [b"3-0", [b"n", b"3"]]]],
        [b"b", [[b"1-0", [b"n", b"1"]], [b"2-0", [b"n", b"2"]]]]]
    assert raw(r, "XREAD", "COUNT", 1, "STREAMS", "a", "b", 1, 2) == [[b"a", [[b"2-0", [b"n", b"2"]]]]]
    assert raw(r, "XREAD", "STREAMS", "a", "$") is None
    assert raw(r, "XREAD", "STREAMS", "none", 0) is None
    assert raw(r, "XREAD", "BLOCK", 5, "STREAMS", "a", "$") is None
    raw(r, "XDEL", "a", 3)
    assert raw(r, "XREAD", "STREAMS", "a", 2) is None  # what is left after it was deleted
    assert "list of streams: for each stream key an ID or '$'" in error(r, "XREAD", "STREAMS", "a", "b", 1)
    assert error(r, "XREAD", "BLOCK", -1, "STREAMS", "a", 0) == "timeout is negative"
    assert error(r, "XREAD", "STREAMS", "a", ">").startswith("The > ID can be specified only when calling XREADGROUP")
    assert raw(r, "COMMAND", "GETKEYS", "XREAD", "COUNT", 1, "STREAMS", "a", "b", 0, 0) == [b"a", b"b"]


def test_read_is_a_map_in_resp3(server, r):
    fill(r, 1, "a")
    c = Conn(server.raw())
    c.call("HELLO", 3)
    assert c.call("XREAD", "STREAMS", "a", 0) == {b"a": [[b"1-0", [b"n", b"1"]]]}
    assert c.call("XINFO", "STREAM", "a")[b"length"] == 1
    assert c.call("XREAD", "STREAMS", "a", "$") is None
    c.close()


def test_info_and_setid(r):
    fill(r, 5)
    raw(r, "XDEL", "s", 1, 3)
    got = raw(r, "XINFO", "STREAM", "s")
    info = dict(zip(got[::2], got[1::2]))
    assert info[b"length"] == 3 and info[b"entries-added"] == 5 and info[b"groups"] == 0
    assert info[b"last-generated-id"] == b"5-0" and info[b"max-deleted-entry-id"] == b"3-0"
    assert info[b"recorded-first-entry-id"] == b"2-0"
    assert info[b"first-entry"] == [b"2-0", [b"n", b"2"]] and info[b"last-entry"] == [b"5-0", [b"n", b"5"]]
    full = raw(r, "XINFO", "STREAM", "s", "FULL", "COUNT", 1)
    assert dict(zip(full[::2], full[1::2]))[b"entries"] == [[b"2-0", [b"n", b"2"]]]
    assert error(r, "XINFO", "STREAM", "none") == "no such key"
    assert error(r, "XSETID", "s", "4-0") == "The ID specified in XSETID is smaller than the target stream top item"
    assert raw(r, "XSETID", "s", "90-0", "ENTRIESADDED", 100, "MAXDELETEDID", "4-0") in (b"OK", "OK", True)
    assert error(r, "XADD", "s", "89-0", "f", "v") == SMALLER
    assert error(r, "XSETID", "none", "1-0") == "no such key"


def test_dump_and_copy(r):
    fill(r, 450)
    raw(r, "XDEL", "s", 7, 8, 450)
    payload = r.dump("s")
    assert r.restore("back", 0, payload) and r.copy("s", "copy")
    for key in ("back", "copy"):
        assert raw(r, "XRANGE", key, "-", "+") == raw(r, "XRANGE", "s", "-", "+")
        assert raw(r, "XINFO", "STREAM", key) == raw(r, "XINFO", "STREAM", "s")
    assert r.object("encoding", "s") == b"stream" and r.type("s") == b"stream"


def test_journaled(fresh):
    server = fresh("--appendonly", "yes", "--appendfsync", "always")
    r = server.client(decode_responses=False)
    for i in range(250):
        raw(r, "XADD", "auto", "MAXLEN", "~", 120, "*", "i", i)
    fill(r, 250)
    raw(r, "XTRIM", "s", "MINID", "~", 130)
    raw(r, "XDEL", "s", 200)
    raw(r, "XADD", "s", "260-*", "f", "v")
    raw(r, "XSETID", "s", "400-0")

    def state(c):
        return [raw(c, "XRANGE", k, "-", "+") for k in ("auto", "s")], raw(c, "XINFO", "STREAM", "s")[7:9]

    before = state(r)
    server.kill9()
    server.start()
    assert state(server.client(decode_responses=False)) == before


@pytest.mark.parametrize("size", [1, 100, 5000, 300000])
def test_large_values(r, size):
    for i in range(1, 8):
        raw(r, "XADD", "s", i, "f" * (size // 2 + 1), "v" * size)
    assert raw(r, "XREVRANGE", "s", "+", "-", "COUNT", 1) == [[b"7-0", [b"f" * (size // 2 + 1), b"v" * size]]]
    assert r.xlen("s") == 7
