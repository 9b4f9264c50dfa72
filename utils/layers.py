#!/usr/bin/python3
"""Checks the floors: a file includes headers of its own folder or of lower floors only, libuv and liburing are named in io/
alone, intrinsics in simd/ alone. Prints each violation and fails when there is one. Run by `make check`."""

import os
import re
import sys

FLOORS = {
    0: ["base"],
    1: ["io", "simd"],
    2: ["net", "vec", "text", "embed"],
    3: ["store", "llm", "auth", "script"],
    4: ["session", "kb", "persist"],
    5: ["flow", "repl"],
    6: ["cmd", "api"],
    7: ["server"],
    8: ["main.c"],
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
ONLY_IN = [
    (re.compile(r"<(uv|liburing)\.h>|<liburing/"), {"io"}),
    (re.compile(r"<(immintrin|arm_neon|x86intrin|emmintrin|avx\w*)\.h>"), {"simd"}),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*(<[^>]+>|"([^"]+)")')


def check_file(path, room):
    problems = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            m = INCLUDE.match(line)
            if not m:
                continue
            where = f"{path}:{number}"
            for pattern, rooms in ONLY_IN:
                if pattern.search(m.group(1)) and room not in rooms:
                    problems.append(f"{where}: {m.group(1)} belongs in {' or '.join(sorted(rooms))}/ only")
            target = m.group(2)
            if not target:
                continue
            other = target.split("/")[0] if "/" in target else None
            if other not in FLOOR_OF:
                problems.append(f'{where}: "{target}" is not written from src/ (room/file.h), or the room is unknown')
            elif other != room and FLOOR_OF[other] >= FLOOR_OF[room]:
                way = "sideways" if FLOOR_OF[other] == FLOOR_OF[room] else "up"
                problems.append(f"{where}: {room}/ (floor {FLOOR_OF[room]}) includes {way} into {other}/ (floor {FLOOR_OF[other]})")
    return problems


def main():
    src = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")
    problems, files = [], 0
    for folder, _, names in os.walk(src):
        for name in sorted(names):
            if not name.endswith((".c", ".h")):
                continue
            rel = os.path.relpath(os.path.join(folder, name), src)
            room = rel.split(os.sep)[0]
            files += 1
            if room not in FLOOR_OF:
                problems.append(f"src/{rel}: the room {room}/ is on no floor")
                continue
            problems += check_file(os.path.join(folder, name), room)
    for p in problems:
        print(p)
    print(f"layers: {files} files, {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
