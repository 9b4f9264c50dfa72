"""Every command that COMMAND lists, with too few and too many arguments, with values of every wrong kind, and with keys
that hold another type: the answer is a reply or a clear error, and the server lives."""

import random

import pytest

from resp import Conn, Error

# What is not called here, and why.
NOT_CALLED = {
    "shutdown": "it would do it",
    "quit": "it closes the connection, whatever follows",
    "monitor": "its replies are everybody's commands",
    "psubscribe": "replies once per argument",
    "subscribe": "replies once per argument",
    "ssubscribe": "replies once per argument",
    "punsubscribe": "replies once per argument",
    "unsubscribe": "replies once per argument",
    "sunsubscribe": "replies once per argument",
    "client|reply": "it turns replies off",
    "client|kill": "it would kill this client",
    "client|pause": "it would pause this client",
    "debug|sleep": "it would",
    "sync": "what follows is a snapshot and a stream, not replies",
    "psync": "the same",
    "replconf": "an ACK has no reply",
}
# They wait for what does not come, so they are not called with arguments that are right.
MAY_WAIT = {"blpop", "brpop", "blmove", "brpoplpush", "blmpop", "xread", "xreadgroup", "wait", "waitaof", "bzpopmin",
            "bzpopmax", "bzmpop"}


@pytest.fixture
def conn(server):
    c = Conn(server.raw())
    yield c
    c.close()


def rows(conn):
    """(the words of the command, its arity), subcommands included."""
    def walk(entries):
        for e in entries:
            name, arity, subs = e[0].decode().lower(), e[1], e[9]
            if name not in NOT_CALLED:
                yield name.split("|"), arity
            yield from walk(subs)
    return sorted(walk(conn.call("COMMAND")))


def reset(conn):
    conn.call("RESET")
    conn.call("FLUSHALL")


def test_the_list_is_whole(conn):
    names = {"|".join(words) for words, _ in rows(conn)}
    assert len(names) > 100 and {"get", "config|set", "session.add"} <= names
    assert conn.call("COMMAND", "COUNT") == len(conn.call("COMMAND"))


def test_too_few_and_too_many_arguments(conn):
    for words, arity in rows(conn):
        least = abs(arity)
        counts = [n for n in range(len(words), least)]
        if arity > 0:
            counts += [least + 1, least + 7]
        for n in counts:
            reset(conn)
            reply = conn.call(*words, *["1"] * (n - len(words)))
            assert isinstance(reply, Error), f"{words} with {n} words: {reply!r}"
            # A container's second word is a subcommand's name, whatever the number of words.
            clear = ("ERR wrong number of arguments for '", "ERR unknown subcommand '",
                     "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec'")
            assert str(reply).startswith(clear), f"{words} with {n} words: {reply}"
    assert conn.call("PING") == "PONG"


VALUES = ["", "0", "-1", "1", "abc", "9223372036854775807", "-9223372036854775808", "18446744073709551616", "1e400", "nan",
          "inf", "-inf", "0x10", "1.5", " 1", "\0", b"\xff\xfe\xfd", "*", "[", "{}", "{", "[1,2", "x" * 3000, "EX", "COUNT",
          "k", "s", "h", "l", "chat", "NX", "GET", "STREAMS", "FP32", "VALUES", "LIMIT", "BY", "1-1", "-", "+", "$", "("]


@pytest.mark.parametrize("seed", range(4))
def test_arguments_of_every_wrong_kind(conn, server, seed):
    """Whatever comes, one reply per command comes back, and errors are one line."""
    rng = random.Random(seed)
    for words, arity in rows(conn):
        if words[0] in MAY_WAIT or words[0] in ("debug", "config"):
            continue
        for _ in range(6):
            conn.call("RESET")
            conn.call("SET", "s", "text")
            conn.call("HSET", "h", "f", "v")
            conn.call("RPUSH", "l", "x")
            n = max(abs(arity) - len(words), 0) + rng.choice([0, 0, 1, 2, 3]) * (arity < 0)
            args = [rng.choice(VALUES) for _ in range(n)]
            reply = conn.call(*words, *args)
            if isinstance(reply, Error):
                code = str(reply).split(" ")[0]
                assert code.isupper() and code.isalpha() and len(str(reply)) > len(code) + 5, f"{words} {args}: {reply}"
            if words == ["multi"]:
                conn.call("DISCARD")
            assert conn.call("PING") == "PONG", f"{words} {args!r:.300}: a reply too many, after {reply!r:.300}"
    assert server.proc.poll() is None


def test_a_key_of_another_type(conn):
    """Commands with a key argument, on a key that has each other type: a reply or WRONGTYPE, no crash."""
    make = {"s": ["SET", "k", "v"], "h": ["HSET", "k", "f", "v"], "l": ["RPUSH", "k", "v"],
            "chat": ["SESSION.ADD", "k", "user", "hello"]}
    wrongtype = 0
    for words, arity in rows(conn):
        if words[0] in MAY_WAIT or words[0] in ("debug", "config", "client"):
            continue
        for create in make.values():
            reset(conn)
            assert not isinstance(conn.call(*create), Error)
            reply = conn.call(*words, "k", *["1"] * max(abs(arity) - len(words) - 1, 0))
            wrongtype += isinstance(reply, Error) and str(reply).startswith("WRONGTYPE")
            if words == ["multi"]:
                conn.call("DISCARD")
            assert conn.call("PING") == "PONG", words
    assert wrongtype > 100


def test_unknown_names(conn):
    for words in (["NOSUCH"], ["NOSUCH", "a" * 500], ["get\0"], [""], ["x" * 100000], [b"\xff\xfe"], ["CONFIG", "NOSUCH"],
                  ["CLIENT", ""], ["SESSION.VAR", "NOSUCH", "k"], ["CONFIG"], ["a\r\nb"]):
        reply = conn.call(*words)
        assert isinstance(reply, Error) and "\n" not in str(reply) and len(str(reply)) < 1000, words
        assert conn.call("PING") == "PONG"
