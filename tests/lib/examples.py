"""The examples in the comments of the command files.

A comment block with lines ` * > COMMAND ...` and ` * < what redis-cli prints` is one example; it runs on an emptied server.
`< ...` stands for any number of lines; a `*` inside a line for any characters.
"""

import fnmatch
import os
import re
import shlex

LINE = re.compile(r"^\s*(?:/\*|\*)\s?([><]) ?(.*?)(?:\s*\*/)?$")


def find(root):
    """Yields (file, line, [(command, [expected lines])])."""
    for folder, _, files in os.walk(root):
        for name in sorted(files):
            if name.endswith(".c"):
                yield from in_file(os.path.join(folder, name))


def in_file(path):
    steps, start = [], 0
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            m = LINE.match(line.rstrip("\n"))
            if m and m.group(1) == ">":
                if not steps:
                    start = number
                steps.append((m.group(2), []))
            elif m and steps:
                steps[-1][1].append(m.group(2))
            if "*/" in line and steps:
                yield path, start, steps
                steps = []


def words(command):
    """Splits as redis-cli does: double quotes with \\xNN and \\n escapes, single quotes raw."""
    out = []
    for w in re.findall(r'"(?:\\.|[^"\\])*"|\'[^\']*\'|\S+', command):
        if w[0] == '"':
            out.append(w[1:-1].encode("utf-8").decode("unicode_escape").encode("latin-1"))
        elif w[0] == "'":
            out.append(w[1:-1].encode())
        else:
            out.append(w.encode())
    return out


def quote(b):
    s = ""
    for c in b:
        ch = chr(c)
        if ch in '"\\':
            s += "\\" + ch
        elif ch == "\n":
            s += "\\n"
        elif ch == "\r":
            s += "\\r"
        elif ch == "\t":
            s += "\\t"
        elif 32 <= c < 127:
            s += ch
        else:
            s += f"\\x{c:02x}"
    return f'"{s}"'


def show(v, prefix=""):
    """As redis-cli prints a RESP2 reply: a list of lines."""
    if v is None:
        return ["(nil)"]
    if isinstance(v, Exception):
        return [f"(error) {v}"]
    if isinstance(v, bool):
        return ["(true)" if v else "(false)"]
    if isinstance(v, int):
        return [f"(integer) {v}"]
    if isinstance(v, str):
        return [v]  # a status
    if isinstance(v, bytes):
        return [quote(v)]
    if not v:
        return ["(empty array)"]
    width = len(str(len(v)))
    lines = []
    for i, item in enumerate(v, 1):
        inner = show(item)
        lead = f"{i:>{width}}) "
        lines.append(lead + inner[0])
        lines += [" " * len(lead) + x for x in inner[1:]]
    return lines


def matches(expected, got):
    def line(e, g):
        e, g = e.lstrip(), g.lstrip()  # redis-cli pads the numbers of long lists
        return e == g or ("*" in e and fnmatch.fnmatchcase(g, re.sub(r"([\[\]?])", r"[\1]", e)))

    if not expected:
        return True
    if expected == ["..."]:
        return True
    if expected[0] == "...":
        return any(matches(expected[1:], got[i:]) for i in range(len(got) + 1))
    return bool(got) and line(expected[0], got[0]) and (
        matches_rest(expected[1:], got[1:]))


def matches_rest(expected, got):
    if not expected:
        return not got
    return matches(expected, got)
