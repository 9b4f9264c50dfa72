"""What a single random command cannot show: transactions, WATCH between two connections, blocked clients, subscribers, values
that are dumped by one server and restored by the other, scripts.

A sequence is a list of operations:
    ("c", conn, argv)                  a command on connection 0 (RESP2) or 1 (RESP3)
    ("spop", conn, argv)               a draw that changes the set; afterwards both sets are made equal again
    ("blocked", argv, [argv, …])       a client that blocks, and what another one does meanwhile
    ("pubsub", proto, [(who, argv)])   who is "s", the subscriber, or "p", connection 0
    ("cross", key, target, options)    each server restores what the other one dumped
    ("audit",)                         the whole keyspace is compared
"""

import values
from compare import DOUBLES

BLOCKING = ["blpop", "brpop", "blmove", "brpoplpush", "blmpop", "bzpopmin", "bzpopmax", "bzmpop"]
LEXICAL = {b"zlexcount", b"zrangebylex", b"zrevrangebylex", b"zremrangebylex"}
PUSHES = {"l": ["rpush", "lpush", "lmove", "rpoplpush", "linsert", "rename", "del", "sort", "lpop", "set"],
          "z": ["zadd", "zadd", "zincrby", "zunionstore", "zrangestore", "rename", "del", "zpopmin", "set"]}
SCRIPTS = [
    b"return redis.call(unpack(ARGV))", b"return redis.call(unpack(ARGV))", b"return redis.pcall(unpack(ARGV))",
    b"redis.call(unpack(ARGV)) return redis.call('DBSIZE')", b"local r = redis.pcall(unpack(ARGV)) return {type(r), r}",
    b"local r = redis.pcall(unpack(ARGV)) if type(r) == 'table' and r.err then return r.err end return #tostring(r)",
    b"redis.setresp(3) return redis.call(unpack(ARGV))", b"return {1,2,{3,'x'},nil,4}", b"return {ok='fine'}", b"return {err='My error'}",
    b"return 3.99", b"return -3.99", b"return true", b"return false", b"return {KEYS, ARGV, #KEYS, #ARGV}", b"return tonumber(ARGV[1])",
    b"return tostring(tonumber(ARGV[1]))", b"return redis.sha1hex(ARGV[1] or '')", b"return redis.error_reply('ERR mine')",
    b"return redis.status_reply('FINE')", b"return cjson.encode({1, 'a', 1.5, 1e20, false})", b"return cjson.encode(ARGV)",
    b"return cjson.decode('[1,2.5,\"x\",null,{\"a\":[]}]')", b"return cmsgpack.pack({1, 'a', 1.5, -1, 70000})",
    b"return cmsgpack.unpack(cmsgpack.pack(ARGV))", b"return bit.band(0xff, tonumber(ARGV[1]) or 3)", b"return struct.pack('>I4', #ARGV)",
    b"return {redis.REDIS_VERSION_NUM > 0, redis.LOG_WARNING}", b"return x", b"x = 10", b"syntax error here", b"return #KEYS + nil",
    b"return {double=3.5}", b"return {map={a=1}}", b"return {set={a=true}}", b"error('boom')", b"error({err='BOOM table'})",
    b"return string.format('%.17g', tonumber(ARGV[1]) or 0)", b"return table.concat(ARGV, ',')", b"return redis.call()",
    b"return redis.call('nosuch')", b"return redis.call('get')", b"return redis.call('incr', ARGV[1], ARGV[2])",
]


def sane(argv):
    """Without what would wait for ever, or draw until the memory is full."""
    name = argv[0].lower()
    if name in (b"srandmember", b"hrandfield", b"zrandmember") and len(argv) > 2:
        if number(argv[2]) is not None and -2 ** 63 < number(argv[2]) < -10_000:
            argv[2] = b"-9223372036854775808"
    elif name.startswith(b"geo") and len(argv) > 1 and not argv[1].startswith(b"geo:"):
        argv[1] = b"geo:0"  # scores that are no places have no defined position
    elif name in (b"copy", b"rename", b"renamenx", b"zunionstore", b"zinterstore", b"zdiffstore", b"zrangestore", b"restore"):
        if name == b"zrangestore":  # a lexical range over different scores is not defined
            argv[1:] = [b"byscore" if a.lower() == b"bylex" else a for a in argv[1:]]
        argv[1:] = [b"zst:1" if a.startswith(b"geo:") and name != b"restore" else a for a in argv[1:]]
    elif name == b"xgroup" and len(argv) > 7:
        del argv[7 if argv[1].lower() == b"setid" else 8:]  # options given twice
    elif name == b"lrem" and len(argv) > 2 and argv[2] == b"-9223372036854775808":
        argv[2] = b"-9223372036854775807"  # 7.2 refuses it, and the lists would differ from then on
    elif name in (b"zadd", b"zincrby") and len(argv) > 1 and argv[1].startswith(b"geo:"):
        argv[1] = b"zst:0"  # a score that is no place has no defined position
    elif name in (b"append", b"setrange", b"setbit", b"bitfield", b"bitop"):
        at = 2 if name == b"bitop" else 1
        if len(argv) > at and argv[at].startswith(b"hll:"):
            argv[at] = b"str:0"  # how a damaged HyperLogLog is read is not defined
        if name == b"bitfield":  # redis-server's overflow check overflows itself for such numbers
            argv[2:] = [b"-5" if a.startswith(b"-9223372036854775") else a for a in argv[2:]]
    elif name in TTL_AT and len(argv) > 2:
        later(argv, 2, *TTL_AT[name])
    elif name in (b"set", b"getex"):
        for i in range(2, len(argv) - 1):
            if argv[i].lower() in TTL_WORDS:
                later(argv, i + 1, *TTL_WORDS[argv[i].lower()])
    elif name in (b"xread", b"xreadgroup"):
        for i in range(len(argv) - 1):
            if argv[i].lower() == b"block" and (number(argv[i + 1]) or 0) >= 0:
                argv[i + 1] = b"1"
    elif name.decode("latin-1") in BLOCKING and len(argv) > 1:
        at = 1 if name.endswith(b"mpop") else -1
        if number(argv[at]) is not None and not -1e300 < number(argv[at]) < 0:
            argv[at] = b"0.01"
    elif name == b"sort" and b"by" in [a.lower() for a in argv] and b"store" in [a.lower() for a in argv]:
        argv[:] = [a for a in argv if a.lower() != b"alpha"]  # equal weights come in any order
    elif name == b"sort" and b"store" in [a.lower() for a in argv]:
        argv.append(b"ALPHA")  # a number that was bad before may be held against this one by Redis
    elif name in LEXICAL or (b"bylex" in [a.lower() for a in argv] and name not in (b"command", b"acl", b"eval", b"eval_ro")):
        at = 2 if name == b"zrangestore" else 1
        if len(argv) > at and not argv[at].startswith(b"lex:") and argv[at] != b"nokey":
            argv[at] = values.KEYS["lex"][sum(argv[at]) % 3]
    return argv


TTL_AT = {b"expire": (10_000, 10 ** 16), b"setex": (10_000, 10 ** 16), b"pexpire": (10 ** 7, 10 ** 19), b"psetex": (10 ** 7, 10 ** 19),
          b"restore": (10 ** 7, 10 ** 15)}
TTL_WORDS = {b"ex": (10_000, 10 ** 16), b"px": (10 ** 7, 10 ** 19), b"exat": (3 * 10 ** 9, 10 ** 16), b"pxat": (3 * 10 ** 12, 10 ** 19)}


def later(argv, at, low, high):
    """A time that comes while the sequence runs becomes one that does not."""
    n = number(argv[at])
    if n is not None and (0 < n < low or n > high):
        argv[at] = b"%d" % (low + 12_345)


def number(a):
    try:
        return float(a)
    except ValueError:
        return None


class Maker:
    """Operations from a grammar and a source of values."""

    def __init__(self, grammar, common, protocol):
        self.g, self.common, self.protocol = grammar, common, protocol
        self.scenes = [
            (700, self.plain), (30, self.draw), (16, self.multi), (8, self.watch), (25, self.spop), (1, self.blocked), (0.7, self.pubsub),
            (12, self.cross), (1.5, self.databases), (1, self.stray), (3, self.blocking_now), (1, self.set_past), (0.3, self.again),
            (0.5, self.helps), (0.5, self.protocols), (3, self.sort_weights), (6, self.hll), (3, self.bitfields),
            (8, self.lexical),
        ]
        if "eval" in common:
            self.scenes.append((20, self.script))
        if "acl|dryrun" in common:
            self.scenes.append((2, self.dryrun))
        total, self.sums = 0, []
        for weight, _ in self.scenes:
            total += weight
            self.sums.append(total)

    def sequence(self, r, length):
        v = values.Values(r)
        v.clock = 0
        ops, self.conn = [], 0
        while len(ops) < length:
            if r.random() < 0.03:
                self.conn = 1 - self.conn
            before = len(ops)
            r.choices(self.scenes, cum_weights=self.sums)[0][1](v, ops)
            for op in ops[before:]:
                if op[0] == "c":
                    sane(op[2])
        ops.append(("audit",))
        return ops

    def command(self, ops, *argv):
        ops.append(("c", self.conn, [a if isinstance(a, bytes) else a.encode() for a in argv]))

    def plain(self, v, ops):
        ops.append(("c", self.conn, self.g.random(v)))

    def draw(self, v, ops):
        x = v.r.random()
        if x < 0.1:
            self.command(ops, "KEYS", "*")
            self.command(ops, "RANDOMKEY")
            return
        kind, ask, name, more = v.r.choice([("set", ["SMEMBERS"], "SRANDMEMBER", []), ("hsh", ["HGETALL"], "HRANDFIELD", ["WITHVALUES"]),
                                            ("zst", ["ZRANGE", "0", "-1", "WITHSCORES"], "ZRANDMEMBER", ["WITHSCORES"])])
        key = v.key([kind])
        self.command(ops, ask[0], key, *ask[1:])
        count = [v.count()] if v.r.random() < 0.8 else []
        if count and count[0].startswith(b"-922"):
            count = [b"-5"]
        self.command(ops, name, key, *count, *(more if count and v.r.random() < 0.5 else []))

    def spop(self, v, ops):
        ops.append(("spop", self.conn, [b"SPOP", v.key(["set"])] + ([v.count()] if v.r.random() < 0.6 else [])))

    def inside(self, v):
        """A command for MULTI or a script."""
        if v.r.random() < 0.15:
            return self.blocking(v)
        argv = self.g.random(v)
        return argv

    def blocking(self, v):
        return self.g.make(v.r.choice(BLOCKING), v)

    def multi(self, v, ops):
        self.command(ops, "MULTI")
        for _ in range(v.r.randint(0, 6)):
            ops.append(("c", self.conn, self.inside(v)))
            if v.r.random() < 0.01:
                self.command(ops, v.r.choice(["MULTI", "WATCH", "UNWATCH", "nosuch"]), *(["k"] if v.r.random() < 0.5 else []))
            elif v.r.random() < 0.02:
                self.select(v, ops)
        self.command(ops, "EXEC" if v.r.random() < 0.92 else "DISCARD")

    def watch(self, v, ops):
        mine = self.conn
        keys = [v.key() for _ in range(v.r.randint(1, 3))]
        self.command(ops, "WATCH", *keys)
        self.conn = 1 - mine if v.r.random() < 0.7 else mine
        for _ in range(v.r.randint(0, 2)):
            argv = self.g.random(v)
            if len(argv) > 1 and v.r.random() < 0.5:
                argv[1] = v.r.choice(keys)
            ops.append(("c", self.conn, argv))
        self.conn = mine
        if v.r.random() < 0.1:
            self.command(ops, "UNWATCH")
        self.multi(v, ops)

    def blocking_now(self, v, ops):
        """Blocking commands where there is something, or nothing and a short time."""
        argv = self.blocking(v)
        if v.r.random() < 0.06:
            argv = self.g.spoil(v, argv)
        if v.r.random() < 0.1:
            argv[1 if argv[0].lower() in (b"blmpop", b"bzmpop") else -1] = v.r.choice([b"-1", b"abc", b"", b"inf", b"1e400", b"nan"])
        ops.append(("c", self.conn, argv))

    def blocked(self, v, ops):
        name = v.r.choice(BLOCKING)
        kind = "z" if name.startswith("bz") else "l"
        argv = self.g.make(name, v)
        argv[1 if name in ("blmpop", "bzmpop") else -1] = b"0"
        types = ["lst"] if kind == "l" else ["zst"]
        meanwhile = []
        for _ in range(v.r.randint(1, 4)):
            name = v.r.choice(PUSHES[kind])
            other = self.g.make(name, v)
            if len(other) > 1 and v.r.random() < 0.6:
                keys = [a for a in argv if a in values.KEYS[types[0]]]
                if keys:
                    other[2 if name in ("rename", "lmove", "rpoplpush") else 1] = v.r.choice(keys)
            meanwhile.append(sane(other))
        # 7.2 runs the waiting command again: a key that was overwritten wakes it, and of several keys that a transaction filled it takes
        # the first that it names. 7.0 does neither.
        meanwhile = [m for m in meanwhile if m[0].lower() not in (b"set", b"getset", b"setex", b"psetex", b"mset", b"bitop", b"restore")]
        if v.r.random() < 0.3 and len({a for a in argv[1:] if b":" in a}) < 2:
            meanwhile = [[b"MULTI"]] + meanwhile + [[b"EXEC"]]
        ops.append(("blocked", argv, meanwhile))

    def pubsub(self, v, ops):
        steps = []
        for _ in range(v.r.randint(2, 10)):
            x = v.r.random()
            channels = [v.r.choice([b"ch1", b"ch2", b"ch3"]) for _ in range(v.r.randint(0, 3))]
            if x < 0.3:
                steps.append(("s", [v.r.choice([b"SUBSCRIBE", b"SSUBSCRIBE"])] + channels))
            elif x < 0.45:
                steps.append(("s", [b"PSUBSCRIBE"] + [v.r.choice([b"ch*", b"*", b"ch?", b"c[h]1"]) for _ in channels]))
            elif x < 0.6:
                steps.append(("s", [v.r.choice([b"UNSUBSCRIBE", b"PUNSUBSCRIBE", b"SUNSUBSCRIBE"])] + channels))
            elif x < 0.65:
                steps.append(("s", v.r.choice([[b"PING"], [b"PING", b"x"], [b"GET", b"str:0"], [b"MULTI", b"x"], [b"ECHO", b"x"]])))
            elif x < 0.75:
                steps.append(("p", [b"PUBSUB", v.r.choice([b"CHANNELS", b"NUMPAT", b"NUMSUB", b"SHARDCHANNELS", b"SHARDNUMSUB"])] + channels[:1]))
            else:
                steps.append(("p", [v.r.choice([b"PUBLISH", b"PUBLISH", b"SPUBLISH"]), v.r.choice([b"ch1", b"ch2", b"ch3"]), v.value()]))
        ops.append(("pubsub", v.r.choice([2, 3]), steps))

    def cross(self, v, ops):
        key = v.r.choice(values.ALL_KEYS)
        target = key if v.r.random() < 0.5 else v.r.choice(values.KEYS[key.decode().split(":")[0]])
        options = [b"REPLACE"] if v.r.random() < 0.9 else []
        if v.r.random() < 0.1:
            options += v.r.choice([[b"ABSTTL"], [b"IDLETIME", b"5"], [b"FREQ", b"5"], [b"x"], [b"IDLETIME", b"-1"], [b"FREQ", b"256"]])
        ttl = b"0" if v.r.random() < 0.8 else b"%d" % v.r.randint(10 ** 9, 10 ** 12) if v.r.random() < 0.9 else b"-1"
        ops.append(("cross", key, target, [ttl, options]))

    def select(self, v, ops):
        self.command(ops, "SELECT", v.r.choice(["0", "0", "0", "1", "2", "3", "3", "15", "16", "-1", "abc", "99999999999999999999", ""]))

    def databases(self, v, ops):
        if v.r.random() < 0.7:
            self.select(v, ops)
        else:
            argv = [b"SWAPDB", b"%d" % v.r.randint(0, 3), b"%d" % v.r.randint(0, 3)]
            ops.append(("c", self.conn, self.g.spoil(v, argv) if v.r.random() < 0.2 else argv))

    def stray(self, v, ops):
        self.command(ops, *v.r.choice([["EXEC"], ["DISCARD"], ["EXEC", "x"], ["UNWATCH"], ["WATCH"], ["DISCARD", "x"], ["MULTI", "x"],
                                       ["nosuch"], ["nosuch", "a", "b\r\nc"], [""], ["nosuch", "x" * 300], ["get"], ["object"], ["object", "nosuch"],
                                       ["config", "nosuch"], ["n" * 300, "y"], ["XINFO", "nosuch", "x"], ["PUBSUB", "nosuch"], ["HELLO", "4"],
                                       ["HELLO", "x"], ["\x01\xff"], ["RESTORE", "a", "0", ""],]))
        argv = self.g.random(v)
        if "command|getkeysandflags" in self.common and len(argv) > 1:
            ops.append(("c", self.conn, [b"COMMAND", v.r.choice([b"GETKEYS", b"GETKEYS", b"GETKEYSANDFLAGS"])] + argv))

    def set_past(self, v, ops):
        key = v.key(["str"])
        self.command(ops, "SET", key, "x", v.r.choice(["PXAT", "EXAT"]), "1")
        self.command(ops, "GET", key)

    def again(self, v, ops):
        """RESET, and back to the connection's protocol."""
        self.command(ops, "RESET")
        if self.conn == 1:
            self.command(ops, "HELLO", "3") if False else ops.append(("hello", 1, [b"HELLO", b"3"]))

    def helps(self, v, ops):
        name = v.r.choice(["OBJECT", "PUBSUB", "XINFO", "XGROUP", "COMMAND", "CONFIG", "MEMORY", "SLOWLOG", "SCRIPT", "FUNCTION",
                           "LATENCY", "CLIENT", "ACL", "CLUSTER", "MODULE"])
        if name.lower() + "|help" in self.common or name in ("OBJECT", "PUBSUB"):
            self.command(ops, name, "HELP")

    def protocols(self, v, ops):
        if self.protocol:
            self.command(ops, "DEBUG", "PROTOCOL", v.r.choice(["string", "integer", "double", "bignum", "null", "array", "set", "map",
                                                               "verbatim", "true", "false", "x"]))

    def sort_weights(self, v, ops):
        """What SORT … BY needs: weights under the names of elements."""
        for i in range(v.r.randint(1, 4)):
            self.command(ops, "SET", "w_%d" % v.r.randint(0, 12), v.double() if v.r.random() < 0.7 else v.value())
        self.command(ops, "RPUSH", v.key(["lst"]), *[b"%d" % v.r.randint(0, 12) for _ in range(v.r.randint(1, 8))])

    def hll(self, v, ops):
        """Enough elements to leave the sparse form."""
        n = v.r.choice([3, 30, 300])
        start = v.r.randint(0, 2000)
        self.command(ops, "PFADD", v.key(["hll"]), *[b"e%d" % i for i in range(start, start + n)])

    def lexical(self, v, ops):
        key = v.key(["lex"])
        if key.startswith(b"lex"):
            self.command(ops, "ZADD", key, *[x for _ in range(v.r.randint(1, 6)) for x in (b"0", v.member())])
        if v.r.random() < 0.2:
            self.command(ops, "ZREM", key, v.member())

    def bitfields(self, v, ops):
        argv = [b"BITFIELD", v.key(["bit"])]
        for _ in range(v.r.randint(1, 6)):
            if v.r.random() < 0.3:
                argv += [b"OVERFLOW", v.r.choice([b"WRAP", b"SAT", b"FAIL", b"wrap", b"x"])]
            kind = v.r.choice([b"GET", b"SET", b"INCRBY"])
            argv += [kind, v.bitfield_type(), v.bitfield_offset()] + ([v.integer()] if kind != b"GET" else [])
        ops.append(("c", self.conn, argv))

    def script(self, v, ops):
        if v.r.random() < 0.05:
            self.command(ops, "SCRIPT", *v.r.choice([["EXISTS", "x"], ["LOAD", "return 1"], ["EXISTS", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"],
                                                      ["LOAD", "bad code"], ["NOSUCH"], ["FLUSH", "x"]]))
            self.command(ops, "EVALSHA", v.r.choice(["e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "x", "f" * 40]), "0")
            return
        script = v.r.choice(SCRIPTS)
        args = self.inside(v) if b"unpack" in script or v.r.random() < 0.5 else [v.double(), v.value()]
        if args[0].lower() in (b"randomkey", b"srandmember", b"hrandfield", b"zrandmember", b"pfdebug", b"pfselftest", b"dump", b"bitcount", b"bitpos", b"lcs") or b"SCAN" in args[0].upper():
            args = [b"GET", v.key(["str"])]
        if b"tostring" in script and args[0].lower() in DOUBLES:
            args = [b"GET", v.key(["str"])]  # 7.0 writes doubles with more digits
        sane(args)
        keys = [v.key() for _ in range(v.r.choice([0, 0, 1, 2]))]
        argv = [v.r.choice([b"EVAL", b"EVAL", b"EVAL_RO"]), script, b"%d" % len(keys)] + keys + args
        ops.append(("c", self.conn, self.g.spoil(v, argv) if v.r.random() < 0.02 else argv))

    def dryrun(self, v, ops):
        user = b"dry%d" % v.r.randint(0, 2)
        if v.r.random() < 0.4:
            rules = [v.r.choice([b"+@all", b"-@all", b"+get", b"-set", b"+@read", b"-@write", b"~str:*", b"~*", b"%R~lst:*", b"%W~*", b"&ch*", b"resetkeys",
                                 b"allcommands", b"+config|get", b"-@dangerous", b"on", b"nopass", b"(+set ~set:*)", b"clearselectors", b"+@nosuch",
                                 b"%X~a", b"+nosuch", b"reset"]) for _ in range(v.r.randint(1, 5))]
            self.command(ops, "ACL", "SETUSER", user, *rules)
        ops.append(("c", self.conn, [b"ACL", b"DRYRUN", user] + self.g.random(v)))
