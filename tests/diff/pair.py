"""Skald and redis-server side by side: both get the same operations, every reply is compared."""

import os
import shutil
import signal
import subprocess
import time

from compare import Comparer, bag, pairs
from skald import BIN, free_port
from wire import Gone, Link, encode, parse, parse_all, show, wait_port

BATCH = 128
READ = {b"string": [b"GET"], b"list": [b"LRANGE", b"0", b"-1"], b"hash": [b"HGETALL"], b"set": [b"SMEMBERS"],
        b"zset": [b"ZRANGE", b"0", b"-1", b"WITHSCORES"], b"stream": [b"XRANGE", b"-", b"+"]}
DATABASES = 4


class Mismatch(Exception):
    """The operation at this index was answered differently."""

    def __init__(self, index, what, a, b):
        super().__init__(index)
        self.index, self.what, self.a, self.b = index, what, a, b


class Pair:
    def __init__(self, folder, journal=True):
        self.folder, self.links, self.procs, self.journal = str(folder), {}, {}, journal
        self.ports = {"redis": free_port(), "skald": free_port()}
        self.settings = {}
        self.start("redis")
        self.start("skald")
        self.full_stream = False

    def start(self, who):
        folder = os.path.join(self.folder, who)
        os.makedirs(folder, exist_ok=True)
        common = ["--port", str(self.ports[who]), "--bind", "127.0.0.1", "--dir", folder, "--enable-debug-command", "yes",
                  "--proto-max-bulk-len", "1mb"]
        if who == "redis":
            argv = [shutil.which("redis-server"), *common, "--save", "", "--appendonly", "no"]
        else:
            argv = [BIN, *common, "--object-encoding-names", "7.0"]
            argv += ["--appendonly", "yes", "--appendfsync", "no"] if self.journal else []
            for name, value in self.settings.items():  # a replay under other thresholds makes other encodings
                argv += [f"--{name}", value]
        log = open(os.path.join(folder, "log"), "ab")
        self.procs[who] = subprocess.Popen(argv, stdout=log, stderr=log)
        log.close()
        wait_port(self.ports[who])

    def link(self, name):
        """Two connections by that name, one to each server."""
        if name not in self.links:
            self.links[name] = (Link(self.ports["redis"]), Link(self.ports["skald"]))
        return self.links[name]

    def stop(self):
        for a, b in self.links.values():
            a.close()
            b.close()
        self.links = {}
        for p in self.procs.values():
            if p.poll() is None:
                p.terminate()
        return {who: p.wait(60) for who, p in self.procs.items()}

    def call(self, *argv, name="ctl"):
        a, b = self.link(name)
        a.send(encode(argv))
        b.send(encode(argv))
        return read_one(a), read_one(b)

    # A sequence begins on two empty servers with these settings.
    def begin(self, settings):
        for name in list(self.links):
            if name != "ctl":
                for x in self.links.pop(name):
                    x.close()
        self.settings = settings
        self.call(b"FLUSHALL")
        self.call(b"SCRIPT", b"FLUSH")
        for user in (b"dry0", b"dry1", b"dry2"):
            self.call(b"ACL", b"DELUSER", user)
        for k, value in settings.items():
            a, b = self.call(b"CONFIG", b"SET", k.encode(), value.encode())
            if a[0] == "-" or b[0] == "-":
                raise RuntimeError(f"CONFIG SET {k} {value}: {a} {b}")
        self.comparers = [Comparer(), Comparer()]
        self.call(b"HELLO", b"3", name=1)

    def run(self, ops, seen=lambda argv, reply: None):
        at = 0
        while at < len(ops):
            op = ops[at]
            if op[0] == "c":
                end, opened = at, False
                while end < len(ops) and ops[end][0] == "c" and ops[end][1] == op[1] and (end - at < BATCH or opened):
                    name = ops[end][2][0].lower()
                    opened = (opened or (name == b"multi" and len(ops[end][2]) == 1)) and name not in (b"exec", b"discard", b"reset")
                    end += 1
                self.batch(at, [o[2] for o in ops[at:end]], op[1], opened, seen)
                at = end
            else:
                getattr(self, "do_" + op[0])(at, *op[1:])
                at += 1

    def batch(self, at, commands, conn, opened, seen):
        a, b = self.link(conn)
        token = b"=%d=" % time.monotonic_ns()
        data = encode_all(commands) + (encode([b"DISCARD"]) if opened else b"") + encode([b"PING", token])
        a.send(data)
        b.send(data)
        tail = token + b"\r\n"
        who = "redis"
        try:
            x = a.read_until(tail)
            who = "skald"
            y = b.read_until(tail)
        except Gone as e:
            done = len(parse_all(e.so_far)[0])
            raise Gone(f"{who}: {e} at operation {at + done}: {show(commands[done]) if done < len(commands) else 'end'}") from e
        self.comparers[conn].last = None
        if x == y:
            for argv in commands:
                seen(argv, x)
            return
        replies_a, replies_b = parse_all(x)[0], parse_all(y)[0]
        for i, argv in enumerate(commands):
            if i >= len(replies_a) or i >= len(replies_b):
                raise Mismatch(at + i, argv, ("?", b"no reply"), ("?", b"no reply"))
            if not self.comparers[conn].same(argv, replies_a[i], replies_b[i]):
                raise Mismatch(at + i, argv, replies_a[i], replies_b[i])
            seen(argv, replies_a[i])

    def check(self, at, argv, a, b, comparer=None):
        if not (comparer or Comparer()).same(argv, a, b):
            raise Mismatch(at, argv, a, b)

    def do_hello(self, at, conn, argv):
        self.call(*argv, name=conn)

    def do_spop(self, at, conn, argv):
        before = self.call(b"SMEMBERS", argv[1], name=conn)
        a, b = self.call(*argv, name=conn)
        self.check(at, [b"SMEMBERS", argv[1]], *before)
        if a == b:
            return
        if a[0] != b[0] or a[0] == "-" or (a[1] is None) != (b[1] is None):
            raise Mismatch(at, argv, a, b)
        drawn_a, drawn_b = ([x[1] for x in r[1]] if isinstance(r[1], list) else [r[1]] for r in (a, b))
        have = {x[1] for x in before[1][1]}
        if len(drawn_a) != len(drawn_b) or len(set(drawn_b)) != len(drawn_b) or not set(drawn_b) <= have:
            raise Mismatch(at, argv, a, b)
        back = [x for x in drawn_b if x not in drawn_a]
        gone = [x for x in drawn_a if x not in drawn_b]
        if back:
            link = self.link(conn)[1]
            link.call(b"SADD", argv[1], *back)
            link.call(b"SREM", argv[1], *gone)

    def do_cross(self, at, key, target, options):
        ttl, options = options
        a, b = self.call(b"DUMP", key, name=0)
        if a[0] == b[0] == "$" and a[1] and b[1] and max(len(a[1]), len(b[1])) > 1_000_000:  # near proto-max-bulk-len
            return
        if a[1] is None or b[1] is None or a[0] == "-" or b[0] == "-":
            self.check(at, [b"DUMP", key], a, b)
            return
        la, lb = self.link(0)
        argv = [b"RESTORE", target, ttl]
        ra, rb = la.call(*argv, b[1], *options), lb.call(*argv, a[1], *options)
        self.check(at, argv + [b"<" + b[1] + b"> <" + a[1] + b">"] + options, ra, rb)
        for argv in ([b"TYPE", target], [b"OBJECT", b"ENCODING", target], [b"PEXPIRETIME", target]):
            self.check(at, argv, *self.call(*argv, name=0))
        kind = self.call(b"TYPE", target, name=0)[0][1]
        if kind in READ:
            argv = [READ[kind][0], target] + READ[kind][1:]
            self.check(at, argv, *self.call(*argv, name=0))

    def do_blocked(self, at, argv, meanwhile):
        both = self.link("blocked")
        ids = self.call(b"CLIENT", b"ID", name="blocked")
        got = []
        for side, link in enumerate(both):
            main = self.link("meanwhile")[side]
            link.send(encode(argv))
            end = time.monotonic() + 60
            while not link.ready(0.001):  # it has answered, or it waits
                if b"blocked_clients:1\r" in main.call(b"INFO", b"clients")[1]:
                    break
                if time.monotonic() > end:
                    raise Mismatch(at, argv, ("?", b""), ("?", b"neither blocked nor answered"))
            replies = [main.call(*m) for m in meanwhile]
            main.call(b"CLIENT", b"UNBLOCK", ids[side][1])
            got.append((read_one(link), replies))
        self.check(at, argv + [b"//"] + [b"; ".join(show(m).encode() for m in meanwhile)], got[0][0], got[1][0], Blocked())
        comparer = Comparer()
        for m, a, b in zip(meanwhile, got[0][1], got[1][1]):
            self.check(at, m, a, b, comparer)

    def do_pubsub(self, at, proto, steps):
        both = self.link("pubsub")
        main = self.link("publish")
        try:
            self.call(b"HELLO", b"%d" % proto, name="pubsub")
            for who, argv in steps:
                token = b"=%d=" % time.monotonic_ns()
                out = []
                for side in (0, 1):
                    (both if who == "s" else main)[side].send(encode(argv))
                    reply = b"" if who == "s" else read_one(main[side])
                    both[side].send(encode([b"PING", token]))
                    out.append((reply, both[side].read_until(token + b"\r\n")))
                if who == "p":
                    self.check(at, argv, out[0][0], out[1][0])
                if out[0][1] != out[1][1]:
                    a, b = parse_all(out[0][1])[0], parse_all(out[1][1])[0]
                    if len(a) != len(b) or [x[:1] for x in a] != [x[:1] for x in b] or not same_channels(argv, a, b):
                        raise Mismatch(at, argv, ("*", a), ("*", b))
        finally:
            for link in self.links.pop("pubsub"):
                link.send(encode([b"RESET"]))  # so that nobody counts the subscriber any more
                link.read_until(b"+RESET\r\n")
                link.close()

    def do_audit(self, at, encodings=True):
        """Every key of every database: its type, encoding, time and value."""
        audit = self.link("audit")
        for db in range(DATABASES):
            self.call(b"SELECT", b"%d" % db, name="audit")
            argv = [b"KEYS", b"*"]
            a, b = self.call(*argv, name="audit")
            self.check(at, argv, a, b)
            keys = sorted(x[1] for x in a[1])
            types = self.pipeline(audit, [[b"TYPE", k] for k in keys])
            commands = []
            for k, t in zip(keys, types[0]):
                commands += [[b"TYPE", k], [b"PEXPIRETIME", k]] + ([[b"OBJECT", b"ENCODING", k]] if encodings else [])
                if t[1] in READ:
                    commands.append([READ[t[1]][0], k] + READ[t[1]][1:])
                if t[1] == b"stream" and self.full_stream:
                    commands.append([b"XINFO", b"STREAM", k, b"FULL", b"COUNT", b"0"])
            for argv, x, y in zip(commands, *self.pipeline(audit, commands)):
                self.check(at, argv, x, y)
            self.check(at, [b"DBSIZE"], *self.call(b"DBSIZE", name="audit"))

    def pipeline(self, both, commands):
        for link in both:
            link.send(encode_all(commands) + encode([b"PING", b"=end="]))
        return [parse_all(link.read_until(b"$5\r\n=end=\r\n"))[0][:-1] for link in both]

    def restart_skald(self, kind):
        """What Skald holds must be the same after it was killed and started again, or after DEBUG RELOAD."""
        before = self.link("ctl")[1].call(b"DEBUG", b"DIGEST")
        if kind == "kill":
            for a, b in self.links.values():
                a.close()
                b.close()
            self.links = {}
            self.procs["skald"].send_signal(signal.SIGKILL)
            self.procs["skald"].wait()
            self.start("skald")
        else:
            reply = self.link("ctl")[1].call(b"DEBUG", b"RELOAD")
            if reply[0] == "-":
                raise Mismatch(0, [b"DEBUG", b"RELOAD"], ("+", b"OK"), reply)
        after = self.link("ctl")[1].call(b"DEBUG", b"DIGEST")
        if before != after:
            raise Mismatch(0, [b"DEBUG", b"DIGEST", b"after", kind.encode()], before, after)
        self.do_audit(0, encodings=False)  # what has shrunk may be small again after a restart


class Blocked(Comparer):
    pass


def same_channels(argv, a, b):
    if argv[0].upper() == b"PUBLISH":  # which pattern comes first is not defined
        return bag(a) == bag(b)
    return argv[0].upper().endswith(b"UNSUBSCRIBE") and len(argv) == 1 and \
        bag([x[1][1] for x in a if isinstance(x[1], list)]) == bag([x[1][1] for x in b if isinstance(x[1], list)])


def encode_all(commands):
    return b"".join(map(encode, commands))


def read_one(link):
    buf = bytearray()
    while True:
        piece = link.sock.recv(1 << 18)
        if not piece:
            raise Gone("closed")
        buf += piece
        replies, used = parse_all(buf)
        if replies and used == len(buf):
            return replies[-1]
