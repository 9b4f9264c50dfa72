"""Are two replies the same? Byte by byte, but for what may differ: order where there is none, draws, and times.

KNOWN is the one table of wanted differences: Skald answers as Redis 7.2, the other side is 7.0.15."""

import decimal
import math
import re

DOUBLES = {b"zadd", b"zincrby", b"zscore", b"zmscore", b"zrange", b"zrevrange", b"zrangebyscore", b"zrevrangebyscore", b"zunion",
           b"zinter", b"zdiff", b"zpopmin", b"zpopmax", b"zmpop", b"bzpopmin", b"bzpopmax", b"bzmpop", b"zrandmember", b"zscan",
           b"geodist", b"geopos", b"georadius", b"georadiusbymember", b"geosearch", b"georadius_ro", b"georadiusbymember_ro", b"zrank", b"zrevrank"}
SETS = {b"smembers", b"sinter", b"sunion", b"sdiff", b"keys", b"hkeys", b"hvals", b"pubsub"}
MAPS = {b"hgetall", b"config"}
SCANS = {b"scan", b"sscan", b"hscan", b"zscan"}
DRAWS = {b"srandmember", b"hrandfield", b"zrandmember", b"randomkey"}
# name -> how far the numbers in a reply may be apart
TIMES = {b"ttl": 60, b"pttl": 60_000, b"expiretime": 60, b"pexpiretime": 60_000, b"xpending": 120_000, b"xinfo": 120_000}
IDLE = {b"object": 60}


class Known:
    """A wanted difference: which command, what the two replies look like, why."""

    def __init__(self, why, names, redis, skald, also=lambda argv, a, b: True):
        self.why, self.names, self.hits, self.also = why, names, 0, also
        self.redis, self.skald = re.compile(redis, re.S), re.compile(skald, re.S)

    def fits(self, name, a, b):
        return (self.names is None or name in self.names) and self.redis.search(text(a)) and self.skald.search(text(b))


KNOWN = [
    Known("7.2 looks at BITCOUNT's and BITPOS's arguments before the key", {b"bitcount", b"bitpos"}, r"^(:0|:-1|-WRONGTYPE.*)$",
          r"^-ERR (syntax error|value is not an integer|The bit)"),
    Known("small integers are not shared objects", {b"object"}, r"^:(2147483647|\d+)$", r"^:1$"),
    Known("7.2 has ZRANK and ZREVRANK with WITHSCORE: other arguments are a syntax error", {b"zrank", b"zrevrank"},
          r"^-ERR wrong number of arguments for 'z(rev)?rank' command", r"^-ERR syntax error$"),
    Known("7.2 has the command's name in this text", None, r"[-$]ERR Unbalanced XREAD list", r"[-$]ERR Unbalanced '[xreadgoup]+' list"),
    Known("a sum of INCRBYFLOAT that is an integer is kept as one", {b"object"}, r"^\$embstr$", r"^\$int$"),
    Known("7.2 has active-time in XINFO", {b"xinfo"}, r"\$seen-time|\$idle", r"\$active-time|\$inactive"),
    Known("SORT changes no encoding; Redis makes the sorted set a skiplist", {b"object"}, r"^\$skiplist$", r"^\$listpack$"),
    Known("LCS has a limit of its own, not proto-max-bulk-len", {b"lcs"}, r"exceeds proto-max-bulk-len", r""),
    Known("7.2 names the user", {b"acl"}, r"This user has no permissions", r"User dry\d has no permissions"),
    Known("which short strings are embedded depends on how they came here", {b"object"}, r"^\$(embstr|raw)$", r"^\$(embstr|raw)$"),
    Known("Redis does not clear errno before strtod", {b"sort", b"sort_ro", b"eval", b"eval_ro"}, r"can't be converted into double", r"^[*:$%]"),
    Known("in a script a negative BLOCK is told before that BLOCK is not allowed", {b"eval", b"eval_ro"}, r"not allowed with BLOCK option from scripts", r"timeout is"),
    Known("7.2 refuses the smallest integer as LPOS's RANK", {b"lpos"}, r"",
          r"^-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807$"),
    Known("7.2 gives the right reason when the sequence of an id is used up", {b"xadd"}, r"^-ERR Elements are too large to be stored$",
          r"^-ERR The ID specified in XADD is equal or smaller than the target stream top item$"),
    Known("keys are found as the handler finds them: none in arguments that it refuses", {b"command"}, r"^\*\[",
          r"^-ERR Invalid arguments specified for command"),
    Known("of STORE and STOREDIST the last one is the key", {b"command"}, r"^\*\[", r"^\*\[",
          also=lambda argv, a, b: len(argv) > 2 and argv[2].lower().startswith(b"georadius") and all(x in a[1] for x in b[1])),
    Known("a cursor is no number when it begins with a zero byte", {b"scan", b"sscan", b"hscan", b"zscan"}, r"^\*\[", r"^-ERR invalid cursor$",
          also=lambda argv, a, b: any(b"\0" in x for x in argv)),
    Known("of arguments that a command refuses the keys that are sure are named", {b"command"},
          r"^-ERR Invalid arguments specified for command", r"^\*\["),
    Known("what SPOP leaves depends on what was drawn, and so may its encoding", {b"object"}, r"^\$intset$", r"^\$hashtable$"),
    Known("a time to live that would overflow is refused before the payload is looked at", {b"restore"},
          r"^-ERR DUMP payload version or checksum are wrong$", r"^-ERR Invalid TTL value, must be >= 0$"),
    Known("strings with a zero byte are ordered by all their bytes, not by those before it", {b"sort", b"sort_ro"}, r"", r"",
          also=lambda argv, a, b: any(x.lower() == b"alpha" for x in argv) and unordered(a) == unordered(b)),
    Known("7.2 writes doubles with the fewest digits", {b"eval", b"eval_ro"}, r"", r"", also=lambda argv, a, b: doubles_shortened(a, b)),
    Known("the help texts are Skald's own", None, r"\*\[\+[A-Z]+ <subcommand>", r"\*\[\+[A-Z]+ <subcommand>"),
]


def double72(x):
    """A double as 7.2 writes it: integers as integers, else the fewest digits that give it back (7.0 gives up to 17)."""
    if x == int(x) and abs(x) < 2 ** 52:
        return ("-0" if math.copysign(1, x) < 0 else "0") if x == 0 else str(int(x))
    sign, digits, exponent = decimal.Decimal(repr(abs(x))).normalize().as_tuple()
    digits = "".join(map(str, digits))
    n, k = len(digits), exponent
    top = n + k - 1
    minus = "-" if x < 0 else ""
    if k >= 0 and top < n + 7:
        return minus + digits + "0" * k
    if k < 0 and (k > -7 or abs(top) < 4):
        point = n + k
        return minus + ("0." + "0" * -point + digits if point <= 0 else digits[:point] + "." + digits[point:])
    return minus + digits[0] + ("." + digits[1:] if n > 1 else "") + "e" + ("-" if top < 0 else "+") + str(abs(top))


def same_double(a, b):
    try:
        x = float(a)
        return not math.isinf(x) and (b.decode() == double72(x) or x == float(b) == 0)
    except ValueError:
        return False


def doubles_shortened(a, b):
    """Wanted difference: b is a, but for doubles, which 7.2 writes with the fewest digits."""
    if a[0] != b[0]:
        return False
    if isinstance(a[1], list) and isinstance(b[1], list):
        return len(a[1]) == len(b[1]) and all(doubles_shortened(x, y) for x, y in zip(a[1], b[1]))
    if a[1] == b"-0" and b == (a[0], b"0"):  # small sorted sets of 7.2 keep no sign of zero
        return True
    return a == b or (a[0] in "$," and a[1] is not None and b[1] is not None and same_double(a[1], b[1]))


def text(reply):
    kind, value = reply
    if isinstance(value, list):
        return kind + "[" + " ".join(text(x) for x in value) + "]"
    return kind + ("nil" if value is None else value.decode("latin-1"))


def unordered(reply):
    """What a script makes of replies without an order, the numbers among them as 7.2 writes them."""
    if isinstance(reply[1], list):
        return reply[0], sorted(map(unordered, reply[1]), key=repr)
    try:
        return reply[0], double72(float(reply[1])) if reply[0] in "$," and b"." in reply[1] else reply[1]
    except (ValueError, OverflowError, TypeError):
        return reply


def bag(items):
    return sorted(items, key=repr)


def pairs(items):
    return bag(zip(items[::2], items[1::2]))


def near(a, b, by):
    """Equal, but for integers that are at most `by` apart and of the same sign."""
    if a[0] == ":" and b[0] == ":":
        x, y = int(a[1]), int(b[1])
        return x == y or (x >= 0 and y >= 0 and abs(x - y) <= by)
    if isinstance(a[1], list) and isinstance(b[1], list):
        return a[0] == b[0] and len(a[1]) == len(b[1]) and all(near(x, y, by) for x, y in zip(a[1], b[1]))
    return a == b


class Comparer:
    """The comparison of one connection's replies; it remembers what was queued and what the last command returned."""

    def __init__(self):
        self.queued, self.last = None, None

    def same(self, argv, a, b):
        """a from redis-server, b from Skald."""
        name = argv[0].lower() if argv else b""
        ok = self.same_in_multi(name, argv, a, b)
        if not ok:
            for k in KNOWN:
                if k.fits(name, a, b) and k.also(argv, a, b):
                    k.hits += 1
                    ok = True
                    break
        self.last = (argv, a, b)
        return ok

    def same_in_multi(self, name, argv, a, b):
        if name == b"multi" and len(argv) == 1 and a == ("+", b"OK"):
            self.queued = []
        elif name in (b"exec", b"discard", b"reset", b"quit") and self.queued is not None:
            queued, self.queued = self.queued, None
            if name == b"exec" and a[0] == b[0] == "*" and a[1] is not None and b[1] is not None and len(a[1]) == len(b[1]) == len(queued):
                inside = Comparer()
                return all([inside.same(q, x, y) for q, x, y in zip(queued, a[1], b[1])])
        elif self.queued is not None and a == ("+", b"QUEUED"):
            self.queued.append(argv)
        return a == b or (a[0] != "-" and b[0] != "-" and self.same_value(name, argv, a, b))

    def same_value(self, name, argv, a, b):
        if name in DOUBLES and doubles_shortened(a, b):
            return True
        if name in (b"eval", b"eval_ro"):
            return repr(unordered(a)) == repr(unordered(b))
        if name in DRAWS:
            return self.same_draw(name, argv, a, b)
        if name in TIMES:
            return near(a, b, TIMES[name])
        if name == b"object" and len(argv) > 1 and argv[1].lower() == b"idletime":
            return near(a, b, 60)
        if name in (b"dump", b"time", b"memory"):
            return a[0] == b[0] and (a[1] is None) == (b[1] is None)
        if a[0] != b[0] or not isinstance(a[1], list) or not isinstance(b[1], list):
            return False
        if name in SETS:
            return bag(a[1]) == bag(b[1])
        if name in MAPS:
            return pairs(a[1]) == pairs(b[1])
        if name in SCANS:
            return self.same_scan(name, argv, a[1], b[1])
        if name in (b"sort", b"sort_ro"):
            return self.same_sort(argv, a[1], b[1])
        return False

    @staticmethod
    def same_scan(name, argv, a, b):
        if a[0] != ("$", b"0") or b[0] != ("$", b"0") or argv[1 if name == b"scan" else 2] != b"0":  # a part: cursors are each server's own
            return len(a) == len(b) == 2
        if name == b"zscan":
            x, y = sorted(set(pairs(a[1][1]))), sorted(set(pairs(b[1][1])))
            return len(x) == len(y) and all(m == n and doubles_shortened(s, t) for (m, s), (n, t) in zip(x, y))
        items = pairs if name == b"hscan" else bag
        return set(map(repr, items(a[1][1]))) == set(map(repr, items(b[1][1])))

    @staticmethod
    def same_sort(argv, a, b):
        """Where nothing says what comes first in a set, the members may come in any order, and LIMIT may cut others off."""
        words = [w.lower() for w in argv]
        by = argv[words.index(b"by", 2) + 1] if b"by" in words[2:-1] else None
        if by is None and not (b"alpha" in words and any(b"\0" in (x[1] or b"") for x in a)):  # Redis compares up to a NUL
            return False
        return len(a) == len(b) if b"limit" in words else bag(a) == bag(b)

    def same_draw(self, name, argv, a, b):
        """What Skald drew must come from the whole, which was asked for just before, and look like what Redis drew."""
        if a[0] != b[0]:
            return False
        whole = None
        if self.last and self.last[0] in ([b"KEYS", b"*"], [b"SMEMBERS", *argv[1:2]], [b"HGETALL", *argv[1:2]],
                                          [b"ZRANGE", *argv[1:2], b"0", b"-1", b"WITHSCORES"]) and self.last[2][0] != "-":
            whole = self.last[2][1]
        if not isinstance(a[1], list):
            if whole and isinstance(whole[0][1], list):
                whole = [x for p in whole for x in p[1]]
            return (a[1] is None) == (b[1] is None) and (whole is None or b[1] is None or any(b[1] == w[1] for w in whole))
        if not isinstance(b[1], list) or len(a[1]) != len(b[1]):
            return False
        if whole is None:
            return True
        drawn = b[1]
        if name != b"srandmember" and len(argv) > 3:
            drawn = [x for p in drawn for x in p[1]] if drawn and isinstance(drawn[0][1], list) else drawn
            flat = [x for p in whole for x in p[1]] if whole and isinstance(whole[0][1], list) else whole
            have = [(k[1], v[1]) for k, v in zip(flat[::2], flat[1::2])]
            drawn = [(k[1], v[1]) for k, v in zip(drawn[::2], drawn[1::2])]
        else:
            flat = [x for p in whole for x in p[1]] if whole and isinstance(whole[0][1], list) else whole
            have = [x[1] for x in (flat if name == b"srandmember" else flat[::2])]
            drawn = [x[1] for x in drawn]
        distinct = int(argv[2]) >= 0
        return all(d in have for d in drawn) and (not distinct or len(set(drawn)) == len(drawn))
