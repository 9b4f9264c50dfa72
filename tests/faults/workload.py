"""Writers that know what they were promised.

Each writer has its own connection and its own keys, and keeps a model of them. It notes an operation before it sends it
and applies it to the model when its reply came. A server keeps the order of one connection, so after a crash the
writer's keys must be what its operations make of them up to some point between the last acknowledged and the last sent
one. Earlier means lost, half an operation means a torn transaction, anything else was invented.

An operation is a list of commands (a MULTI ... EXEC is one operation), and a function that applies it to the model and
looks at the reply.
"""

import random
import socket
import struct
import threading
from collections import deque

from resp import Conn, Error, encode

DIM = 16


def pack(vector):
    return struct.pack(f"<{len(vector)}f", *vector)


class State:
    """What the keys of one writer hold."""

    def __init__(self):
        self.strings = {}
        self.lists = {}
        self.hash = {}
        self.messages = []  # [id or None, role, content]
        self.vars = {}
        self.entries = []  # of the stream: [id or None, value]
        self.members = set()
        self.model = None
        self.vectors = {"vm": {}, "vf": {}}

    def keys(self, prefix):
        names = [*self.strings, *(k for k, v in self.lists.items() if v)]
        names += ["h"] if self.hash else []
        names += ["chat"] if self.messages or self.vars else []
        names += ["x"] if self.entries else []
        names += ["set"] if self.members else []
        return {prefix + k for k in names}


class Op:
    __slots__ = ("commands", "apply", "reply")

    def __init__(self, commands, apply):
        self.commands, self.apply, self.reply = commands, apply, None


class Writer(threading.Thread):
    """Lives over many crashes: run once a round by `go`, checked in between by `check`."""

    def __init__(self, number, seed):
        self.prefix = f"w{number}:"
        self.rng = random.Random(f"{seed}/{number}")
        self.state = State()
        self.pending = deque()  # sent, not acknowledged
        self.acked = self.serial = 0
        self.tokens = {"sent": [], "acked": []}  # what it pushed to the list that all share
        self.wrong = None

    # ---- operations ----

    def key(self, name):
        return self.prefix + name

    def value(self):
        self.serial += 1
        size = self.rng.choice([1, 10, 10, 100, 5000])
        return (f"{self.prefix}{self.serial}:" + "x" * size).encode()

    def set(self):
        k, v = f"s{self.rng.randrange(20)}", self.value()
        return Op([["SET", self.key(k), v]], lambda s, r: s.strings.__setitem__(k, v))

    def delete(self):
        k = f"s{self.rng.randrange(20)}"
        return Op([["DEL", self.key(k)]], lambda s, r: s.strings.pop(k, None))

    def append(self):
        v = self.value()[:30]

        def apply(s, r):
            s.strings["a"] = s.strings.get("a", b"") + v
            return r is None or r == len(s.strings["a"])
        return Op([["APPEND", self.key("a"), v]], apply)

    def incr(self):
        by = self.rng.randrange(1, 9)

        def apply(s, r):
            n = int(s.strings.get("n", b"0")) + by
            s.strings["n"] = b"%d" % n
            return r is None or r == n
        return Op([["INCRBY", self.key("n"), by]], apply)

    def push(self):
        k, v, left = self.rng.choice(["l", "q"]), self.value(), self.rng.random() < 0.3

        def apply(s, r):
            items = s.lists.setdefault(k, [])
            items.insert(0 if left else len(items), v)
            return r is None or r == len(items)
        return Op([["LPUSH" if left else "RPUSH", self.key(k), v]], apply)

    def pop(self):
        k = self.rng.choice(["l", "q"])

        def apply(s, r):
            v = s.lists[k].pop(0) if s.lists.get(k) else None
            return r is None or r == v
        return Op([["LPOP", self.key(k)]], apply)

    def hset(self):
        f, v = b"f%d" % self.rng.randrange(30), self.value()
        return Op([["HSET", self.key("h"), f, v]], lambda s, r: s.hash.__setitem__(f, v))

    def group(self):
        """All four or none."""
        v = self.value()

        def apply(s, r):
            s.strings["m1"] = s.strings["m2"] = v
            s.lists.setdefault("ml", []).append(v)
            n = int(s.strings.get("mn", b"0")) + 1
            s.strings["mn"] = b"%d" % n
            return r is None or (isinstance(r, list) and r[-1] == n)
        return Op([["MULTI"], ["SET", self.key("m1"), v], ["SET", self.key("m2"), v], ["RPUSH", self.key("ml"), v],
                   ["INCR", self.key("mn")], ["EXEC"]], apply)

    def message(self):
        role, text = self.rng.choice([b"user", b"assistant"]), self.value()
        return Op([["SESSION.ADD", self.key("chat"), role, text]],
                  lambda s, r: s.messages.append([r, role, text]))

    def variable(self):
        name, v = b"v%d" % self.rng.randrange(10), self.value()
        return Op([["SESSION.VAR", "SET", self.key("chat"), name, v]], lambda s, r: s.vars.__setitem__(name, v))

    def trim(self):
        def apply(s, r):
            del s.messages[:-20]
        return Op([["SESSION.TRIM", self.key("chat"), "LAST", 20]], apply)

    def vadd(self):
        k, e = self.rng.choice(["vm", "vf"]), b"e%d" % self.rng.randrange(150)
        v = pack([self.rng.gauss(0, 1) for _ in range(DIM)])
        return Op([["VADD", self.key(k), "FP32", v, e]], lambda s, r: s.vectors[k].__setitem__(e, v))

    def vrem(self):
        k, e = self.rng.choice(["vm", "vf"]), b"e%d" % self.rng.randrange(150)

        def apply(s, r):
            had = s.vectors[k].pop(e, None) is not None
            return r is None or r == had
        return Op([["VREM", self.key(k), e]], apply)

    def xadd(self):
        v = self.value()
        return Op([["XADD", self.key("x"), "MAXLEN", 50, "*", "f", v]],
                  lambda s, r: s.entries.__setitem__(slice(None), [*s.entries, [r, v]][-50:]))

    def sadd(self):
        m, add = b"m%d" % self.rng.randrange(200), self.rng.random() < 0.7

        def apply(s, r):
            changed = (m in s.members) != add
            (s.members.add if add else s.members.discard)(m)
            return r is None or r == changed
        return Op([["SADD" if add else "SREM", self.key("set"), m]], apply)

    def model(self):
        """An entry of a registry, which is no key."""
        v = f"id{self.serial}"
        self.serial += 1
        return Op([["LLM.MODEL", "SET", self.key("model"), "PROVIDER", "openai", "URL", "http://127.0.0.1:1/v1", "ID", v]],
                  lambda s, r: setattr(s, "model", v.encode()))

    def token(self):
        t = f"{self.prefix}{self.serial}".encode()
        self.serial += 1
        self.tokens["sent"].append(t)
        return Op([["MULTI"], ["RPUSH", "tokens", t], ["INCR", "count"], ["EXEC"]],
                  lambda s, r: self.tokens["acked"].append(t) if r is not None else None)

    def next_op(self):
        ops = [self.set] * 3 + [self.delete, self.append, self.incr, self.push, self.push, self.pop, self.hset,
                                self.group, self.group, self.message, self.message, self.variable, self.token,
                                self.vadd, self.vadd, self.vadd, self.vadd, self.vrem, self.xadd, self.sadd, self.model]
        if self.rng.random() < 0.02:
            return self.trim()
        return self.rng.choice(ops)()

    # ---- one round ----

    def go(self, port):
        threading.Thread.__init__(self, daemon=True)
        self.port = port
        self.start()

    def run(self):
        try:
            sock = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        except OSError:
            return
        conn = Conn(sock)
        try:
            while self.wrong is None:
                self.batch(conn)
        except (OSError, EOFError):
            pass
        finally:
            conn.close()

    def batch(self, conn):
        ops = [self.next_op() for _ in range(self.rng.choice([1, 1, 1, 2, 8]))]
        self.pending.extend(ops)
        conn.sock.sendall(b"".join(encode(*c) for op in ops for c in op.commands))
        for op in ops:
            for command in op.commands:
                reply = conn.read()
                if isinstance(reply, Error):
                    self.wrong = f"{command[0]}: {reply}"
                    return
            self.acked += 1
            self.pending.popleft()
            if op.apply(self.state, reply) is False:
                self.wrong = f"{op.commands!r} answered {reply!r}"
                return

    # ---- after a crash ----

    def check(self, conn):
        """None, or what is wrong. Afterwards the model is what the server has."""
        if self.wrong:
            return self.wrong
        has = self.read(conn)
        diff = self.compare(has)
        while diff and self.pending:
            self.pending.popleft().apply(self.state, None)
            diff = self.compare(has)
        self.pending.clear()
        for message, there in zip(self.state.messages, has["chat"]):
            message[0] = there[0]
        for entry, there in zip(self.state.entries, has["entries"]):
            entry[0] = there[0]
        diff = diff or self.check_searches(conn)
        return f"{self.prefix} {diff}" if diff else None

    def read(self, conn):
        k = self.key
        strings = [f"s{i}" for i in range(20)] + ["a", "n", "m1", "m2", "mn"]
        values = conn.call("MGET", *map(k, strings))
        pairs = conn.call("HGETALL", k("h"))
        variables = conn.call("SESSION.VAR", "LIST", k("chat"))
        has = {
            "strings": {name: v for name, v in zip(strings, values) if v is not None},
            "lists": {name: conn.call("LRANGE", k(name), 0, -1) for name in ("l", "q", "ml")},
            "hash": dict(zip(pairs[::2], pairs[1::2])),
            "chat": conn.call("SESSION.MESSAGES", k("chat")),
            "vars": dict(zip(variables[::2], variables[1::2])),
            "entries": [[i, fields[1]] for i, fields in conn.call("XRANGE", k("x"), "-", "+")],
            "members": set(conn.call("SMEMBERS", k("set"))),
        }
        model = conn.call("LLM.MODEL", "GET", k("model"))
        has["model"] = None if isinstance(model, Error) else dict(zip(model[::2], model[1::2]))[b"id"]
        for name in ("vm", "vf"):
            elements = [b"e%d" % i for i in range(150)]
            conn.sock.sendall(b"".join(encode("VEMB", k(name), e) for e in elements))
            has[name] = {e: v for e, v in ((e, conn.read()) for e in elements) if v is not None}
            has[name + "#"] = conn.call("VCARD", k(name))
        return has

    def compare(self, has):
        s = self.state
        for name in {*s.strings, *has["strings"]}:
            if s.strings.get(name) != has["strings"].get(name):
                return f"string {name}: {s.strings.get(name)!r:.80} was expected, found {has['strings'].get(name)!r:.80}"
        for name, items in has["lists"].items():
            if s.lists.get(name, []) != items:
                return f"list {name}: {len(s.lists.get(name, []))} items were expected, found {len(items)}, or others"
        if s.hash != has["hash"]:
            return "the hash differs"
        if s.vars != has["vars"]:
            return "the session's variables differ"
        if [m[1:] for m in s.messages] != [m[1:] for m in has["chat"]]:
            return f"{len(s.messages)} messages were expected, found {len(has['chat'])}, or others"
        for mine, there in zip(s.messages, has["chat"]):
            if mine[0] is not None and mine[0] != there[0]:
                return f"message {mine[0]} came back as {there[0]}"
        if [e[1] for e in s.entries] != [e[1] for e in has["entries"]]:
            return f"{len(s.entries)} entries of the stream were expected, found {len(has['entries'])}, or others"
        if any(mine[0] not in (None, there[0]) for mine, there in zip(s.entries, has["entries"])):
            return "an entry of the stream came back with another id"
        if s.members != has["members"]:
            return "the set differs"
        if s.model != has["model"]:
            return f"the model {s.model} was expected, found {has['model']}"
        return self.compare_vectors(has)

    def compare_vectors(self, has):
        for name, model in self.state.vectors.items():
            if set(model) != set(has[name]) or has[name + "#"] != len(model):
                lost, extra = set(model) - set(has[name]), set(has[name]) - set(model)
                return f"{name}: lost {lost}, too many {extra}, VCARD {has[name + '#']}"
            for e, v in model.items():
                want, got = struct.unpack(f"<{DIM}f", v), [float(x) for x in has[name][e]]
                if max(abs(a - b) for a, b in zip(want, got)) > 1e-3 * max(map(abs, want)):
                    return f"{name}: the vector of {e} is another one"
        return None

    def check_searches(self, conn):
        for name, model in self.state.vectors.items():
            sample = self.rng.sample(sorted(model.items()), min(40, len(model)))
            conn.sock.sendall(b"".join(
                encode("VSEARCH", self.key(name), "FP32", v, "COUNT", 1, "EF", 200) +
                encode("VISMEMBER", self.key(name), e) for e, v in sample))
            for e, _ in sample:
                found, member = conn.read(), conn.read()
                if found != [e] or member != 1:
                    return f"{name}: VSEARCH for the vector of {e} found {found}, VISMEMBER says {member}"
        return None


def create_sets(conn, writers):
    for w in writers:
        assert conn.call("VCREATE", w.key("vm"), "DIM", DIM) == "OK"
        assert conn.call("VCREATE", w.key("vf"), "DIM", DIM, "STORAGE", "FILE") == "OK"


def check_shared(conn, writers):
    """The list that all push to: every acknowledged token once, in its writer's order, and no unknown one."""
    tokens = conn.call("LRANGE", "tokens", 0, -1)
    count = int(conn.call("GET", "count") or 0)
    if len(tokens) != len(set(tokens)):
        return "a token is there twice"
    if count != len(tokens):
        return f"{len(tokens)} tokens but the count is {count}"
    for w in writers:
        mine = [t for t in tokens if t.startswith(w.prefix.encode())]
        lost, unknown = set(w.tokens["acked"]) - set(mine), set(mine) - set(w.tokens["sent"])
        if lost or unknown:
            return f"{w.prefix} tokens lost {lost}, never sent {unknown}"
        if mine != sorted(mine, key=lambda t: int(t.split(b":")[1])):
            return f"{w.prefix} tokens are out of order"
    return None


def unknown_keys(conn, writers):
    allowed = {b"tokens", b"count"}
    for w in writers:
        allowed |= {k.encode() for k in w.state.keys(w.prefix)}
        allowed |= {w.key("vm").encode(), w.key("vf").encode()}
    return set(conn.call("KEYS", "*")) - allowed
