"""Commands from the argument trees that redis-server itself gives (COMMAND DOCS), so that no command is forgotten.

A tree is compiled once into closures; an argument's value comes from its type and name, or from SPECIAL where a tree cannot
know better (a BITFIELD type, a lexical bound). Some commands in a hundred are then spoilt: an argument is dropped, doubled,
moved or replaced by garbage."""

import values

# command or container -> why it is not sent by the fuzzer
LEFT_OUT = {
    "acl": "changes who may do what; tests/cmd/test_acl*.py and Redis's unit/acl look at it",
    "asking": "cluster", "cluster": "cluster", "readonly": "cluster", "readwrite": "cluster",
    "auth": "tells of users and passwords, not of data", "bgrewriteaof": "background work", "bgsave": "background work",
    "client": "ids, addresses and times of the connection; CLIENT UNBLOCK is used by the blocking scene",
    "command": "tells of the server's own commands, which are more; tests/cmd/test_install.py",
    "config": "settings differ by server; used by the fuzzer to set thresholds",
    "debug": "internals; DEBUG PROTOCOL and RELOAD are used by scenes",
    "eval": "made by a scene", "eval_ro": "made by a scene", "evalsha": "made by a scene", "evalsha_ro": "made by a scene",
    "failover": "replication", "fcall": "needs a loaded library", "fcall_ro": "needs a loaded library",
    "function": "libraries outlive FLUSHALL; Redis's unit/functions looks at it",
    "hello": "made by a scene: the protocol must be known", "info": "figures of the server", "lastsave": "time",
    "latency": "time", "lolwut": "art", "memory": "allocator", "migrate": "two servers that reach each other", "module": "modules",
    "monitor": "turns the connection into a feed", "psync": "replication", "replconf": "replication", "replicaof": "replication",
    "slaveof": "replication", "sync": "replication", "save": "writes a file", "shutdown": "ends the server",
    "slowlog": "time", "script": "made by a scene", "quit": "closes the connection", "reset": "made by a scene",
    "restore-asking": "cluster", "role": "replication", "wait": "replication", "time": "time",
    "psubscribe": "made by a scene", "punsubscribe": "made by a scene", "subscribe": "made by a scene",
    "unsubscribe": "made by a scene", "ssubscribe": "made by a scene", "sunsubscribe": "made by a scene",
    "multi": "made by a scene", "exec": "made by a scene", "discard": "made by a scene", "watch": "made by a scene",
    "blpop": "made by a scene", "brpop": "made by a scene", "blmove": "made by a scene", "brpoplpush": "made by a scene",
    "blmpop": "made by a scene", "bzpopmin": "made by a scene", "bzpopmax": "made by a scene", "bzmpop": "made by a scene",
    "spop": "made by a scene: what was drawn must be brought back in step",
    "select": "made by a scene", "swapdb": "made by a scene",
}
# The commands that scenes make out of the same trees.
SCENE = {"blpop", "brpop", "blmove", "brpoplpush", "blmpop", "bzpopmin", "bzpopmax", "bzmpop", "spop"}

WEIGHTS = {
    "set": 4, "append": 2, "setrange": 2, "setbit": 3, "bitfield": 3, "incrbyfloat": 3, "incrby": 2, "mset": 1, "pfadd": 5, "pfmerge": 2,
    "lpush": 4, "rpush": 5, "linsert": 2, "lset": 2, "hset": 7, "hincrby": 2, "hincrbyfloat": 3, "sadd": 7, "zadd": 10, "zincrby": 4,
    "zrange": 4, "zrangestore": 2, "xadd": 6, "xrange": 2, "xgroup": 4, "xreadgroup": 5, "xack": 2, "xclaim": 3, "xautoclaim": 2,
    "xpending": 2, "sort": 3, "sort_ro": 1, "copy": 1, "geoadd": 4, "geosearch": 4, "geosearchstore": 2,
    "del": 0.4, "unlink": 0.2, "getdel": 0.3, "flushdb": 0.01, "flushall": 0.01, "rename": 0.4, "renamenx": 0.3, "move": 0.5, "ltrim": 0.5,
    "expire": 0.6, "pexpire": 0.6, "expireat": 0.6, "pexpireat": 0.6, "ping": 0.1, "echo": 0.1, "dbsize": 0.2, "lcs": 1,
    "keys": 0.5, "randomkey": 0.3, "pfselftest": 0.0002, "pfdebug": 0.3, "publish": 0.2, "spublish": 0.1, "unwatch": 0.05, "pubsub": 0.5,
    "xdel": 0.5, "xtrim": 0.5, "xsetid": 0.3, "zremrangebyrank": 0.4, "zremrangebyscore": 0.4, "zremrangebylex": 0.4, "dump": 0.3,
    "object": 3, "restore": 0.5,
}

V = values.Values


def one_of(*options):
    options = [o if isinstance(o, bytes) else o.encode() for o in options]
    return lambda v: v.r.choice(options)


def xadd_id(v):
    x = v.r.random()
    if x < 0.55:  # a growing clock, so that most of them are accepted
        v.clock += v.r.choice([0, 0, 1, 1, 2])
        return b"%d-*" % v.clock if v.r.random() < 0.5 else b"%d-%d" % (v.clock, v.r.randint(1, 9))
    return v.stream_id() if x < 0.9 else v.r.choice([b"0-*", b"5-*", b"abc-*", b"18446744073709551615-*", b"-*", b"*-*", b"*-1"])


def any_pattern(v):
    return v.r.choice([b"*", b"#", b"nosort", b"str:*", b"hsh:*->f1", b"hsh:*->f2", b"w_*", b"zst:*", b"", b"str:*->", b"->f1", b"*->*",
                       b"hsh:0->f*"])


def dbnum(v):
    return b"%d" % v.r.randint(0, 3) if v.r.random() < 0.9 else v.r.choice([b"16", b"-1", b"abc", b"", b"15", b"4294967296"])


BY_NAME = {
    "member": V.member, "member1": V.member, "member2": V.member, "element": V.value, "field": V.field, "value": V.value,
    "min": V.lex, "max": V.lex, "pivot": V.value, "pattern": V.pattern, "id": V.stream_id, "encoding": V.bitfield_type,
    "group": one_of("g1", "g1", "g1", "g2", "g3"), "consumer": one_of("c1", "c1", "c2", "c3"), "last-id": V.stream_id, "start": V.index,
    "end": V.index, "stop": V.index, "index": V.index, "rank": V.index, "count": V.count, "cursor": one_of("0", "0", "0", "5", "abc", "-1", ""),
    "seconds": V.seconds, "milliseconds": V.milliseconds, "bit": one_of("0", "1", "0", "1", "2", "-1", "abc", ""),
    "unix-time-seconds": V.unix_s, "unix-time-milliseconds": V.unix_ms, "db": dbnum, "destination-db": dbnum, "index1": dbnum, "index2": dbnum,
    "longitude": V.longitude, "latitude": V.latitude, "type": one_of("string", "list", "hash", "set", "zset", "stream", "STRING", "x", ""),
    "channel": one_of("ch1", "ch2", "ch3", "x\r\ny"), "shardchannel": one_of("sc1", "sc2"), "message": V.value, "timeout": one_of("0.01"),
    "min-idle-time": one_of("0", "0", "0", "100000000", "-1", "abc"), "threshold": V.positive, "weight": V.double, "len": V.count,
    "num-matches": V.count, "radius": V.radius, "width": V.radius, "height": V.radius, "entries_added": V.count,
    "max_deleted_entry_id": V.stream_id, "frequency": one_of("0", "1", "255", "256", "-1", "abc"),
    "ttl": V.milliseconds, "operation": one_of("AND", "OR", "XOR", "NOT", "and", "nand"), "ms": V.integer,
    "unix-time": V.unix_ms,
}
SPECIAL = {
    ("setrange", "offset"): lambda v: v.bit_offset() if v.r.random() < 0.9 else b"1048570",
    ("setbit", "offset"): V.bit_offset, ("getbit", "offset"): V.bit_offset, ("bitfield", "offset"): V.bitfield_offset,
    ("bitfield_ro", "offset"): V.bitfield_offset, ("xadd", "id"): xadd_id, ("xsetid", "last-id"): V.stream_id,
    ("zrange", "start"): lambda v: v.r.choice([V.index, V.index, V.score_bound, V.lex])(v),
    ("zrange", "stop"): lambda v: v.r.choice([V.index, V.index, V.score_bound, V.lex])(v),
    ("zrange", "min"): lambda v: v.r.choice([V.index, V.index, V.score_bound, V.lex])(v),
    ("zrange", "max"): lambda v: v.r.choice([V.index, V.index, V.score_bound, V.lex])(v),
    ("zrangestore", "min"): lambda v: v.r.choice([V.index, V.index, V.score_bound, V.lex])(v),
    ("zrangestore", "max"): lambda v: v.r.choice([V.index, V.index, V.score_bound, V.lex])(v),
    ("bitfield", "increment"): V.integer, ("bitfield", "value"): V.integer, ("restore", "serialized-value"): V.value,
    ("sort", "pattern"): any_pattern, ("sort_ro", "pattern"): any_pattern, ("pfdebug", "subcommand"):
        one_of("getreg", "encoding", "todense", "ENCODING", "decode", "x"), ("xrange", "start"): V.stream_id, ("xrange", "end"): V.stream_id,
    ("xrevrange", "start"): V.stream_id, ("xrevrange", "end"): V.stream_id, ("xpending", "start"): V.stream_id,
    ("xautoclaim", "start"): V.stream_id, ("xpending", "end"): V.stream_id, ("lpop", "count"): V.count, ("pubsub", "pattern"): V.pattern,
    ("scan", "count"): one_of("100000", "100000", "100000", "1", "0", "-1", "abc"), ("psetex", "milliseconds"): V.milliseconds,
    ("setex", "seconds"): V.seconds, ("object", "key"): V.key, ("incrbyfloat", "increment"): V.double,
    ("xgroup", "id"): lambda v: v.r.choice([b"0", b"$", b"0", v.stream_id()]),
    ("xreadgroup", "id"): lambda v: v.r.choice([b">", b">", b"0", v.stream_id()]),
    ("xadd", "threshold"): lambda v: v.positive() if v.r.random() < 0.8 else v.stream_id(),
    ("set", "unix-time-seconds"): lambda v: b"%d" % v.r.randint(3_000_000_000, 9_000_000_000),
    ("set", "unix-time-milliseconds"): lambda v: b"%d" % v.r.randint(3_000_000_000_000, 9_000_000_000_000),
}
for scan in ("sscan", "hscan", "zscan"):
    SPECIAL[scan, "count"] = SPECIAL["scan", "count"]
KEY_TYPES = {
    ("sort", "key"): ["lst", "set", "zst"], ("sort_ro", "key"): ["lst", "set", "zst"], ("sort", "destination"): ["lst"],
    ("zunion", "key"): ["zst", "zst", "zst", "set"], ("zinter", "key"): ["zst", "zst", "set"], ("zdiff", "key"): ["zst", "zst", "set"],
    ("zunionstore", "key"): ["zst", "zst", "set"], ("zinterstore", "key"): ["zst", "zst", "set"], ("zdiffstore", "key"): ["zst", "set"],
    ("bitop", "destkey"): ["bit"], ("lcs", "key1"): ["str"], ("lcs", "key2"): ["str"], ("xgroup", "key"): ["stm"],
    ("geosearchstore", "destination"): ["geo", "zst"], 
}
# Commands that change keys of one type into another's name; kept within the types, or all keys would be wrong soon.
SAME_TYPE = {"rename", "renamenx", "copy"}


class Grammar:
    def __init__(self, docs, common):
        """docs: COMMAND DOCS as nested dicts; common: the lower-case names (with `a|b`) that both servers have."""
        self.commands = {}  # name -> (group, words, function that appends the arguments)
        self.left_out, self.unknown = {}, []
        for name, doc in sorted(docs.items()):
            self.add(name, doc, common)
        self.names = [n for n in self.commands if n.split("|")[0] not in LEFT_OUT]
        self.weights = [WEIGHTS.get(n, WEIGHTS.get(n.split("|")[0], 0) / self.siblings(n) or 1) for n in self.names]

    def siblings(self, name):
        return max(1, sum(n.split("|")[0] == name.split("|")[0] for n in self.names)) if "|" in name else 1

    def add(self, name, doc, common):
        if name not in common and not (name.split("|")[0] in ("object", "pubsub") and name.split("|")[0] in common):
            self.unknown.append(name)
            return
        top = name.split("|")[0]
        if top in LEFT_OUT and "|" not in name:
            self.left_out[name] = LEFT_OUT[top]
        if top in LEFT_OUT and top not in SCENE:
            return
        if "subcommands" in doc:
            for sub, sub_doc in sorted(doc["subcommands"].items()):
                self.add(sub, sub_doc, common)
            return
        parts = [self.compile(a, top) for a in doc.get("arguments", [])]
        self.commands[name] = (doc.get("group", "generic"), [w.encode() for w in name.split("|")], parts)

    def make(self, name, v):
        group, words, parts = self.commands[name]
        v.group, v.same, v.numkeys_at, v.keys_made = group, None, None, 0
        if words[0].decode() in SAME_TYPE:
            v.same = [v.r.choice(values.TYPES)]
        out = list(words)
        for part in parts:
            part(v, out)
        if v.r.random() < 0.1:
            out[0] = out[0].upper() if v.r.random() < 0.5 else out[0].title()
        return out

    def spoil(self, v, argv):
        x, r = v.r.random(), v.r
        if len(argv) > 1:
            at = r.randint(1, len(argv) - 1)
            if x < 0.2:
                del argv[at]
            elif x < 0.5:
                argv[at] = r.choice(values.GARBAGE)
            elif x < 0.65:
                argv.insert(at, argv[at])
            elif x < 0.8:
                other = r.randint(1, len(argv) - 1)
                argv[at], argv[other] = argv[other], argv[at]
            elif x < 0.9:
                argv[at] = v.integer()
        if x >= 0.9 or len(argv) == 1:
            argv.append(r.choice(values.GARBAGE))
        return argv

    def random(self, v):
        """Any command that needs no scene."""
        argv = self.make(v.r.choices(self.names, cum_weights=self.cumulative())[0], v)
        return self.spoil(v, argv) if v.r.random() < 0.04 and argv[0].lower() not in (b"zrank", b"zrevrank") else argv

    def cumulative(self):
        if not hasattr(self, "sums"):
            total, self.sums = 0, []
            for w in self.weights:
                total += w
                self.sums.append(total)
        return self.sums

    # One argument of the tree becomes a function (values, argv so far).
    def compile(self, arg, cmd):
        value = self.compile_value(arg, cmd)
        flags = arg.get("flags", ())
        token = arg.get("token", "").encode()
        pure = arg["type"] == "pure-token"
        name = arg["name"]

        def one(v, out):
            if token and not pure:
                out.append(token if v.r.random() < 0.9 else token.lower())
            value(v, out)

        def several(v, out):
            n = v.r.choice((1, 1, 1, 2, 2, 3, 4))
            if name in ("id", "weight") and v.keys_made and v.r.random() < 0.95:
                n = v.keys_made
            for i in range(n):
                if token and (i == 0 or "multiple_token" in flags):
                    out.append(token)
                value(v, out)
            if arg["type"] == "key":
                v.keys_made = n
                if v.numkeys_at is not None and v.r.random() < 0.96:
                    out[v.numkeys_at] = b"%d" % n

        emit = several if "multiple" in flags else one
        if "optional" not in flags:
            return emit
        chance = 0.3 if cmd in ("zadd", "xadd", "sort", "set") else 0.45

        def maybe(v, out):
            if v.r.random() < chance:
                emit(v, out)
        return maybe

    def compile_value(self, arg, cmd):
        kind, name = arg["type"], arg["name"]
        if kind == "pure-token":
            token = arg.get("token", name).encode()
            low = token.lower()
            return lambda v, out: out.append(token if v.r.random() < 0.85 else low)
        if name == "id_or_auto":
            return lambda v, out: out.append(xadd_id(v))
        if kind == "oneof":
            options = [self.compile(a, cmd) for a in arg["arguments"]]
            return lambda v, out: v.r.choice(options)(v, out)
        if kind == "block":
            parts = [self.compile(a, cmd) for a in arg["arguments"]]

            def block(v, out):
                for p in parts:
                    p(v, out)
            return block
        if kind == "key":
            types = KEY_TYPES.get((cmd, name))
            return lambda v, out: out.append(v.key(types or v.same))
        if name == "numkeys":
            def numkeys(v, out):
                v.numkeys_at = len(out)
                out.append(v.count())
            return numkeys
        f = SPECIAL.get((cmd, name)) or BY_NAME.get(name)
        if kind == "double" and name in ("min", "max"):
            f = V.score_bound
        elif kind == "integer" and name in ("min", "max"):
            f = V.integer
        if f is None:
            f = {"integer": V.integer, "double": V.double, "pattern": V.pattern, "unix-time": V.unix_ms}.get(kind, V.value)
        return lambda v, out: out.append(f(v))
