#!/usr/bin/python3
"""Sizes: files over 1,000 lines and functions over 100 lines are usually two ideas. Fails on them; prints the largest of
the rest, so that growth is seen. Run by `make check`."""

import os
import re
import sys

FILE_MAX, FUNCTION_MAX = 1000, 100
START = re.compile(r"^[a-z].*[a-z0-9_]\(.*\)?$|^\S.*\)$")


def functions(lines):
    """Yields (name, first line, length): a function body opens with `{` and closes with `}` in the first column."""
    open_at = None
    for i, line in enumerate(lines):
        if line.startswith("{"):
            open_at = i
        elif line.startswith("}") and open_at is not None:
            name = re.search(r"(\w+)\(", " ".join(lines[max(0, open_at - 3):open_at]))
            yield (name.group(1) if name else "?", open_at, i - open_at + 1)
            open_at = None


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    bad, sizes = [], []
    for folder, _, names in os.walk(os.path.join(root, "src")):
        for name in names:
            if not name.endswith((".c", ".h")):
                continue
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as f:
                lines = f.read().split("\n")
            rel = os.path.relpath(path, root)
            sizes.append((len(lines), rel))
            if len(lines) > FILE_MAX:
                bad.append(f"{rel}: {len(lines)} lines (at most {FILE_MAX})")
            for fn, at, n in functions(lines):
                if n > FUNCTION_MAX:
                    bad.append(f"{rel}:{at}: {fn}() has {n} lines (at most {FUNCTION_MAX})")
    for b in bad:
        print(b)
    total = sum(n for n, _ in sizes)
    print(f"sizes: {len(sizes)} files, {total} lines; largest: "
          + ", ".join(f"{rel} {n}" for n, rel in sorted(sizes, reverse=True)[:4]))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
