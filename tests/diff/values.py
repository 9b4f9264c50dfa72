"""What arguments are made of: keys by type, numbers at their edges, strings at the thresholds of the encodings.

The pools are small on purpose: commands must meet on the same keys, members and fields. Every method takes its randomness
from self.r, so a seed gives the same sequence on every machine."""

KEYS = {t: [b"%s:%d" % (t.encode(), i) for i in range(n)] for t, n in
        {"str": 5, "bit": 3, "hll": 4, "lst": 5, "hsh": 5, "set": 5, "zst": 5, "stm": 4, "geo": 2, "lex": 3}.items()}
ODD_KEYS = [b"", b"\x00bin\xff\r\n", b"key with space", b"{tag}a", b"{tag}b", b"k" * 100, b"nokey", b"nokey2"]
GROUP_TYPES = {"string": ["str"], "bitmap": ["bit", "bit", "str"], "hyperloglog": ["hll"], "list": ["lst"], "hash": ["hsh"],
               "set": ["set"], "sorted-set": ["zst"], "stream": ["stm"], "geo": ["geo"]}
TYPES = list(KEYS)
# Under lex:… all scores are 0: with others the answers of the lexical commands are not defined.
ALL_KEYS = [k for t in TYPES if t != "lex" for k in KEYS[t]]

INTS = [b"-9223372036854775808", b"9223372036854775807", b"9223372036854775806", b"-9223372036854775807", b"4294967295",
        b"4294967296", b"2147483647", b"2147483648", b"-2147483648", b"-2147483649", b"65535", b"65536", b"32767", b"32768",
        b"-32768", b"-32769", b"127", b"128", b"-128", b"-129", b"255", b"256", b"8388607", b"8388608", b"-8388609", b"12",
        b"13", b"4095", b"4096", b"-4097", b"9999", b"10000"]
NOT_INTS = [b"9223372036854775808", b"-9223372036854775809", b"18446744073709551615", b"18446744073709551616", b"007", b"+5",
            b" 5", b"5 ", b"1e3", b"", b"abc", b"-0", b"3.0", b"0x10", b"--1", b"1\x00", b"-", b"(1", b"99999999999999999999999"]
FLOATS = [b"0", b"-0", b"-0.0", b"1.5", b"-1.5", b"3.14", b"1e10", b"1e15", b"1e16", b"1e17", b"123456789012345678", b"1e20",
          b"1e21", b"1e22", b"-1e22", b"1e-5", b"0.0001", b"0.00001", b"1e-7", b"2.2250738585072014e-308",
          b"1.7976931348623157e308", b"-1.7976931348623157e308", b"inf", b"-inf", b"+inf", b"Infinity", b"0.1", b"0.2",
          b"0.30000000000000004", b"9007199254740992", b"9007199254740993", b"0.3333333333333333", b"0x1p3", b"4503599627370497.5",
          b"99999999999999999999", b"1.0", b"2.50", b"1e0", b"+3", b".5", b"5.", b"3.0e2", b"17179869184", b"-4611686018427387904"]
NOT_FLOATS = [b"nan", b"NaN", b"-nan", b"1e400", b"-1e400", b"abc", b"", b" 1", b"1 ", b"1x", b"1,5", b"--1", b"(5",
              b"1\x002", b"infi", b"0x", b"1e", b"e1", b"12345678901234567890123456789012345678901234567890"]
WORDS = [b"a", b"b", b"c", b"d", b"e", b"aa", b"ab", b"abc", b"hello", b"foo", b"bar"]
STRINGS = [b"", b"\x00", b"\xff\xfe\xfd", b"line\r\nbreak", b"x" * 10, b"y" * 20, b"z" * 21, b"e" * 44, b"r" * 45, b"l" * 63,
           b"m" * 64, b"n" * 65, b"h\xc3\xa9llo", b"A", b"B", b"with space", b"ohmytext", b"mynewtext", b"foobar", b"3.0e3",
           b"1.5", b"-1", b"*", b"?", b"[", b"q" * 300, b"str:0", b"hsh:1"]
PATTERNS = [b"*", b"*", b"str:*", b"?tr:?", b"[a-m]*", b"[^a]*", b"*:1", b"nokey*", b"", b"a*", b"*[0-3]", b"h?llo", b"\\*", b"[",
            b"[a", b"*a*b*", b"[z-a]*", b"*\xff*", b"k*", b"{tag}?", b"\\", b"f*", b"m1*"]
LEX = [b"-", b"+", b"-", b"+", b"[a", b"(a", b"[b", b"(c", b"[", b"(", b"[m1", b"(m5", b"[zzz", b"[\xff", b"a", b"", b"[abc", b"++"]
GARBAGE = [b"", b"xyzzy", b"-1", b"1.5", b"abc", b"COUNT", b"WITHSCORES", b"LIMIT", b"NX", b"GET", b"\xff\x00", b"99999999999999999999",
           b"STORE", b"-9223372036854775808", b"KEEPTTL", b"MATCH", b"withvalues", b"BYSCORE", b"REPLACE"]


class Values:
    def __init__(self, r):
        self.r = r
        self.group = ""

    def key(self, types=None):
        r, x = self.r, self.r.random()
        if x < 0.90:
            types = types or GROUP_TYPES.get(self.group)
            return r.choice(KEYS[r.choice(types)]) if types else r.choice(ALL_KEYS)
        return r.choice(ALL_KEYS) if x < 0.96 else r.choice(ODD_KEYS)

    def small(self):
        x = self.r.random()
        if x < 0.8:
            return b"%d" % self.r.randint(0, 12)
        return b"%d" % self.r.randint(-13, 120)

    def index(self):
        x = self.r.random()
        if x < 0.75:
            return b"%d" % self.r.randint(-12, 12)
        if x < 0.9:
            return self.r.choice([b"0", b"-1", b"0", b"-1", b"-100", b"100"])
        return self.integer()

    def integer(self):
        x = self.r.random()
        if x < 0.7:
            return self.small()
        return self.r.choice(INTS) if x < 0.93 else self.r.choice(NOT_INTS)

    def count(self):
        x = self.r.random()
        if x < 0.75:
            return b"%d" % self.r.randint(0, 8)
        if x < 0.92:
            return b"%d" % self.r.randint(-8, 30)
        return self.r.choice([b"9223372036854775807", b"-9223372036854775808", b"4294967296", b"abc", b"", b"1.5"])

    def positive(self):
        return b"%d" % self.r.randint(1, 5) if self.r.random() < 0.85 else self.count()

    def double(self):
        x = self.r.random()
        if x < 0.35:
            return self.small()
        if x < 0.5:
            return b"%.17g" % self.r.uniform(-1000, 1000)
        if x < 0.6:
            return b"%.*g" % (self.r.randint(1, 17), self.r.uniform(-1, 1) * 10 ** self.r.randint(-30, 30))
        return self.r.choice(FLOATS) if x < 0.95 else self.r.choice(NOT_FLOATS)

    def score_bound(self):
        x = self.r.random()
        if x < 0.3:
            return self.r.choice([b"-inf", b"+inf", b"inf", b"(-inf", b"(+inf"])
        return (b"(" if x < 0.5 else b"") + self.double()

    def lex(self):
        return self.r.choice(LEX) if self.r.random() < 0.7 else self.r.choice([b"[", b"("]) + self.member()

    def member(self):
        x = self.r.random()
        if x < 0.4:
            return b"m%d" % self.r.randint(0, 14)
        if x < 0.65:
            return b"%d" % self.r.randint(0, 14)
        return self.r.choice(WORDS) if x < 0.85 else self.r.choice(STRINGS) if x < 0.95 else self.r.choice(INTS)

    def field(self):
        x = self.r.random()
        if x < 0.7:
            return b"f%d" % self.r.randint(0, 10)
        return self.member()

    def value(self):
        x = self.r.random()
        if x < 0.2:
            return self.r.choice(WORDS)
        if x < 0.45:
            return self.small()
        if x < 0.7:
            return self.r.choice(STRINGS)
        if x < 0.8:
            return self.r.choice(INTS)
        if x < 0.9:
            return self.double()
        if x < 0.98:
            return bytes(self.r.choices(b"ab01\x00\xff", k=self.r.randint(0, 40)))
        return bytes([self.r.randint(97, 122)]) * self.r.randint(0, 3000)

    def pattern(self):
        return self.r.choice(PATTERNS)

    def stream_id(self):
        x = self.r.random()
        if x < 0.6:
            return b"%d-%d" % (self.r.randint(0, 30), self.r.randint(0, 3))
        if x < 0.8:
            return b"%d" % self.r.randint(0, 40)
        return self.r.choice([b"0", b"0-0", b"0-1", b"-", b"+", b"18446744073709551615-18446744073709551615", b"18446744073709551615",
                              b"1-", b"-1", b"a-1", b"1-1-1", b"", b"18446744073709551616-1", b"$", b"5-18446744073709551615", b"01-02"])

    # Times are so far apart and so far away that no two of them change places while the other server is a moment behind.
    def seconds(self):
        x = self.r.random()
        if x < 0.9:
            return b"%d" % self.r.randint(10_000, 2_000_000_000)
        return self.r.choice([b"0", b"-1", b"-1000", b"abc", b"", b"1.5", b"9223372036854775807", b"-9223372036854775808",
                              b"9223372036854775", b"9223372036854776"])

    def milliseconds(self):
        x = self.r.random()
        if x < 0.9:
            return b"%d" % self.r.randint(10_000_000, 2_000_000_000_000)
        return self.r.choice([b"0", b"-1", b"-1000", b"abc", b"", b"1.5", b"9223372036854775807", b"-9223372036854775808"])

    def unix_s(self):
        x = self.r.random()
        if x < 0.85:
            return b"%d" % self.r.randint(3_000_000_000, 9_000_000_000)
        return self.r.choice([b"0", b"-1", b"1", b"abc", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775"])

    def unix_ms(self):
        x = self.r.random()
        if x < 0.85:
            return b"%d" % self.r.randint(3_000_000_000_000, 9_000_000_000_000)
        return self.r.choice([b"0", b"-1", b"1", b"abc", b"9223372036854775807", b"-9223372036854775808"])

    def bit_offset(self):
        x = self.r.random()
        if x < 0.9:
            return b"%d" % self.r.randint(0, 400)
        return self.r.choice([b"-1", b"4294967295", b"4294967296", b"9223372036854775807", b"8388608", b"100000", b"abc", b""])

    def bitfield_type(self):
        x = self.r.random()
        if x < 0.9:
            return b"%s%d" % (self.r.choice([b"u", b"i"]), self.r.choice([1, 2, 3, 5, 7, 8, 9, 15, 16, 31, 32, 33, 62, 63]))
        return self.r.choice([b"i64", b"u64", b"u0", b"i0", b"i65", b"x8", b"u", b"8", b"", b"I8", b"U8", b"u-1"])

    def bitfield_offset(self):
        x = self.r.random()
        if x < 0.6:
            return b"%d" % self.r.randint(0, 200)
        if x < 0.92:
            return b"#%d" % self.r.randint(0, 12)
        return self.r.choice([b"-1", b"#-1", b"#", b"abc", b"4294967296", b"9223372036854775807", b"#9223372036854775807"])

    def longitude(self):
        x = self.r.random()
        if x < 0.9:
            return b"%.6f" % self.r.uniform(-180, 180)
        return self.r.choice([b"180.1", b"-181", b"abc", b"0", b"13.361389", b"nan", b"inf"])

    def radius(self):
        return b"%.3f" % self.r.uniform(0, 5000) if self.r.random() < 0.9 else self.r.choice([b"0", b"-1", b"abc", b"nan", b"", b"1e3"])

    def latitude(self):
        x = self.r.random()
        if x < 0.9:
            return b"%.6f" % self.r.uniform(-85, 85)
        return self.r.choice([b"85.1", b"90", b"abc", b"0", b"38.115556", b"nan"])
