"""Consumer groups: delivery, acknowledgement, claims, what survives, what is refused."""

import time

from helpers import WRONGTYPE, error, raw


def filled(t, n=10, group="g"):
    for i in range(1, n + 1):
        t.xadd("s", {"n": i}, id=f"{i}-0")
    t.xgroup_create("s", group, "0")


def ids(reply):
    return [e[0] for e in reply[0][1]] if reply else []


def test_each_entry_goes_to_one_consumer_until_it_is_acknowledged(t):
    filled(t)
    a = ids(raw(t, "XREADGROUP", "GROUP", "g", "a", "COUNT", 6, "STREAMS", "s", ">"))
    b = ids(raw(t, "XREADGROUP", "GROUP", "g", "b", "STREAMS", "s", ">"))
    assert (a, b) == ([f"{i}-0" for i in range(1, 7)], [f"{i}-0" for i in range(7, 11)])
    assert raw(t, "XREADGROUP", "GROUP", "g", "b", "STREAMS", "s", ">") is None
    assert raw(t, "XPENDING", "s", "g") == [10, "1-0", "10-0", [["a", "6"], ["b", "4"]]]
    assert raw(t, "XACK", "s", "g", "2-0", "3-0", "3-0", "99-0") == 2
    assert ids(raw(t, "XREADGROUP", "GROUP", "g", "a", "STREAMS", "s", "1-0")) == ["4-0", "5-0", "6-0"]
    [[_, owner, _, times]] = raw(t, "XPENDING", "s", "g", "4-0", "4-0", 1)
    assert (owner, times) == ("a", 2)  # once as new, once as history
    t.xdel("s", "5-0")
    assert raw(t, "XREADGROUP", "GROUP", "g", "a", "STREAMS", "s", "4-0")[0][1] == [["5-0", None], ["6-0", ["n", "6"]]]


def test_no_ack_reads_leave_nothing_pending(t):
    filled(t)
    raw(t, "XREADGROUP", "GROUP", "g", "a", "NOACK", "COUNT", 4, "STREAMS", "s", ">")
    assert raw(t, "XPENDING", "s", "g") == [0, None, None, None]
    assert ids(raw(t, "XREADGROUP", "GROUP", "g", "a", "COUNT", 1, "STREAMS", "s", ">")) == ["5-0"]


def test_claims_respect_idle_times_and_drop_what_is_gone(t):
    filled(t, 4)
    raw(t, "XREADGROUP", "GROUP", "g", "a", "STREAMS", "s", ">")
    assert raw(t, "XCLAIM", "s", "g", "b", 3600000, "1-0") == []
    assert raw(t, "XCLAIM", "s", "g", "b", 0, "1-0", "IDLE", 5000, "RETRYCOUNT", 7) == [["1-0", ["n", "1"]]]
    [[_, owner, idle, times]] = raw(t, "XPENDING", "s", "g", "1-0", "1-0", 1)
    assert owner == "b" and idle >= 5000 and times == 7
    t.xdel("s", "2-0")
    assert raw(t, "XCLAIM", "s", "g", "b", 0, "2-0") == [] and raw(t, "XPENDING", "s", "g")[0] == 3
    t.xdel("s", "3-0")
    assert raw(t, "XAUTOCLAIM", "s", "g", "c", 0, "-", "COUNT", 2) == ["4-0", [["1-0", ["n", "1"]]], ["3-0"]]
    assert raw(t, "XAUTOCLAIM", "s", "g", "c", 0, "4-0", "JUSTID") == ["0-0", ["4-0"], []]
    assert raw(t, "XCLAIM", "s", "g", "c", 0, "9-0", "FORCE", "JUSTID") == []  # there is no such entry
    assert raw(t, "XGROUP", "DELCONSUMER", "s", "g", "c") == 2 and raw(t, "XPENDING", "s", "g")[0] == 0


def test_what_is_known_of_groups_and_consumers(t):
    filled(t, 5)
    raw(t, "XREADGROUP", "GROUP", "g", "a", "COUNT", 2, "STREAMS", "s", ">")
    [g] = t.xinfo_groups("s")
    assert (g["name"], g["consumers"], g["pending"], g["last-delivered-id"], g["entries-read"], g["lag"]) == ("g", 1, 2, "2-0", 2, 3)
    raw(t, "XGROUP", "CREATECONSUMER", "s", "g", "idle")
    consumers = {c["name"]: c for c in t.xinfo_consumers("s", "g")}
    assert consumers["a"]["pending"] == 2 and consumers["a"]["inactive"] >= 0 and consumers["idle"]["inactive"] == -1
    t.xdel("s", "4-0")
    assert t.xinfo_groups("s")[0]["lag"] is None  # a hole ahead: how many are left cannot be told
    full = raw(t, "XINFO", "STREAM", "s", "FULL", "COUNT", 1)
    group = full[full.index("groups") + 1][0]
    assert group[group.index("pel-count") + 1] == 2 and len(group[group.index("pending") + 1]) == 1


def test_a_waiting_consumer_is_told(t, server):
    t.xgroup_create("s", "g", mkstream=True)
    for act, expected in ((lambda: t.xadd("s", {"a": 1}, id="1-0"), [["s", [["1-0", ["a", "1"]]]]]),
                          (lambda: raw(t, "XGROUP", "DESTROY", "s", "g"), "NOGROUP"),
                          (lambda: t.delete("s"), "UNBLOCKED")):
        waiters = []
        for name in ("x", "y"):
            c = server.client()
            conn = c.connection_pool.get_connection("_")
            conn.send_command("XREADGROUP", "GROUP", "g", name, "BLOCK", 0, "STREAMS", "s", ">")
            waiters.append(conn)
        while t.info("clients")["blocked_clients"] < 2:
            time.sleep(0.01)
        act()
        if isinstance(expected, list):
            assert waiters[0].read_response() == expected  # the first in the queue; the other waits on
            waiters[1].disconnect()
            while t.info("clients")["blocked_clients"]:
                time.sleep(0.01)
            continue
        for conn in waiters:
            try:
                said = conn.read_response()
            except Exception as e:
                said = str(e)
            assert str(said).startswith(expected)
            conn.disconnect()
        if not t.exists("s") or not t.xinfo_groups("s"):
            raw(t, "XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")


def test_groups_survive_a_kill_a_dump_and_a_copy(fresh):
    s = fresh("--appendonly", "yes", "--appendfsync", "always")
    c = s.client()
    filled(c)
    raw(c, "XREADGROUP", "GROUP", "g", "a", "COUNT", 5, "STREAMS", "s", ">")
    raw(c, "XREADGROUP", "GROUP", "g", "b", "NOACK", "COUNT", 2, "STREAMS", "s", ">")
    raw(c, "XACK", "s", "g", "1-0")
    raw(c, "XCLAIM", "s", "g", "b", 0, "2-0", "3-0")
    c.xdel("s", "4-0")
    raw(c, "XAUTOCLAIM", "s", "g", "c", 0, "4-0", "COUNT", 1)
    raw(c, "XGROUP", "CREATE", "s", "other", "$")
    raw(c, "XGROUP", "CREATECONSUMER", "s", "other", "new")

    def state(key="s"):
        pending = raw(c, "XPENDING", key, "g", "-", "+", 100)
        return ([p[:2] + p[3:] for p in pending], c.xinfo_groups(key), [i["name"] for i in c.xinfo_consumers(key, "g")], c.xlen(key))

    before, digest = state(), raw(c, "DEBUG", "DIGEST-VALUE", "s")
    s.kill9()
    s.start()
    c = s.client()
    assert state() == before
    c.restore("back", 0, raw_bytes(s, "DUMP", "s"))
    raw(c, "COPY", "s", "copied")
    assert state("back") == before and state("copied") == before
    assert raw(c, "DEBUG", "DIGEST-VALUE", "s", "back", "copied") == digest * 3
    raw(c, "BGREWRITEAOF")
    while c.info("persistence")["aof_rewrite_in_progress"]:
        time.sleep(0.01)
    s.kill9()
    s.start()
    c = s.client()
    assert state() == before


def raw_bytes(server, *cmd):
    return raw(server.client(decode_responses=False), *cmd)


def test_refusals(t):
    assert "requires the key to exist" in error(t, "XGROUP", "CREATE", "s", "g", "0")
    filled(t, 2)
    assert error(t, "XGROUP", "CREATE", "s", "g", "0") == "BUSYGROUP Consumer Group name already exists"
    assert error(t, "XGROUP", "SETID", "s", "h", "0") == "NOGROUP No such consumer group 'h' for key name 's'"
    assert error(t, "XGROUP", "SETID", "s", "g", "0", "ENTRIESREAD", -2) == "value for ENTRIESREAD must be positive or -1"
    assert error(t, "XREADGROUP", "GROUP", "h", "c", "STREAMS", "s", ">") == (
        "NOGROUP No such key 's' or consumer group 'h' in XREADGROUP with GROUP option")
    assert error(t, "XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", "$").startswith("The $ ID is meaningless")
    assert error(t, "XREADGROUP", "COUNT", 1, "NOACK", "STREAMS", "s", "s", "0", "0") == "Missing GROUP option for XREADGROUP"
    assert error(t, "XREAD", "GROUP", "g", "c", "STREAMS", "s", "0").startswith("The GROUP option is only supported by")
    assert error(t, "XPENDING", "s", "h") == "NOGROUP No such key 's' or consumer group 'h'"
    assert error(t, "XPENDING", "s", "g", "-", "+") == "syntax error"
    assert error(t, "XCLAIM", "s", "g", "c", "x", "1-0") == "Invalid min-idle-time argument for XCLAIM"
    assert error(t, "XCLAIM", "s", "g", "c", 0, "1-0", "NONSENSE") == "Unrecognized XCLAIM option 'NONSENSE'"
    assert error(t, "XAUTOCLAIM", "s", "g", "c", 0, "0", "COUNT", 0) == "COUNT must be > 0"
    assert error(t, "XACK", "s", "g", "x").startswith("Invalid stream ID")
    t.set("str", "x")
    for command in (["XACK", "str", "g", "1-0"], ["XGROUP", "CREATE", "str", "g", "0"], ["XPENDING", "str", "g"],
                    ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "str", ">"]):
        assert error(t, *command).startswith(WRONGTYPE)


def test_what_was_read_again_survives_a_kill(fresh):
    s = fresh("--appendonly", "yes", "--appendfsync", "always")
    c = s.client()
    filled(c, 150)
    raw(c, "XREADGROUP", "GROUP", "g", "a", "STREAMS", "s", ">")
    raw(c, "XREADGROUP", "GROUP", "g", "a", "COUNT", 70, "STREAMS", "s", 0)
    raw(c, "XREADGROUP", "GROUP", "g", "a", "COUNT", 10, "STREAMS", "s", 0)
    raw(c, "XCLAIM", "s", "g", "b", 0, "150-0", "149-0", "TIME", 5000, "RETRYCOUNT", 9)

    def pending():
        info = raw(c, "XINFO", "STREAM", "s", "FULL", "COUNT", 0)
        group = info[info.index("groups") + 1][0]
        return group[group.index("pending") + 1]

    before = pending()
    assert [p[3] for p in before] == [3] * 10 + [2] * 60 + [1] * 78 + [9] * 2
    assert before[-1][1:3] == ["b", 5000]
    s.kill9()
    s.start()
    c = s.client()
    assert pending() == before


def test_activity_survives_a_dump(server, t):
    filled(t, 1)
    raw(t, "XREADGROUP", "GROUP", "g", "busy", "STREAMS", "s", ">")
    assert raw_bytes(server, "DUMP", "s")[0] == 19  # seen and active are one time: the older form says all
    raw(t, "XGROUP", "CREATECONSUMER", "s", "g", "idle")
    raw(t, "XREADGROUP", "GROUP", "g", "quiet", "NOACK", "STREAMS", "s", 0)
    payload = raw_bytes(server, "DUMP", "s")
    assert payload[0] == 21
    t.restore("back", 0, payload)
    inactive = {c["name"]: c["inactive"] for c in t.xinfo_consumers("back", "g")}
    assert inactive["idle"] == inactive["quiet"] == -1 and inactive["busy"] >= 0


def test_a_forced_claim_was_delivered_once_before(t):
    filled(t, 3)
    raw(t, "XCLAIM", "s", "g", "a", 0, "1-0", "FORCE")
    raw(t, "XCLAIM", "s", "g", "a", 0, "2-0", "FORCE", "JUSTID")
    assert [p[3] for p in raw(t, "XPENDING", "s", "g", "-", "+", 10)] == [2, 1]


def test_groups_are_not_what_is_watched(t):
    filled(t)
    with t.pipeline() as p:
        p.watch("s")
        raw(t, "XGROUP", "CREATE", "s", "other", "0")
        raw(t, "XGROUP", "SETID", "s", "other", "-")
        raw(t, "XREADGROUP", "GROUP", "other", "a", "STREAMS", "s", ">")
        raw(t, "XGROUP", "DESTROY", "s", "other")
        p.multi()
        p.xlen("s")
        assert p.execute() == [10]


def test_ids_are_looked_at_stream_by_stream(t):
    filled(t)
    assert error(t, "XGROUP", "CREATE", "s", "h", "-").startswith("Invalid stream ID")
    assert error(t, "XREADGROUP", "GROUP", "g", "a", "STREAMS", "none", "s", "bad", ">").startswith("NOGROUP")
    assert error(t, "XREADGROUP", "GROUP", "g", "a", "STREAMS", "s", "none", "bad", ">").startswith("Invalid stream ID")
