#!/usr/bin/env bash
# Every header compiles alone. Run by `make check`.
set -eu
cd "$(dirname "$0")/.."
bad=0 n=0
for h in src/*/*.h; do
    n=$((n + 1))
    echo "#include \"${h#src/}\"" | ${CC:-gcc} -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Isrc -fsyntax-only -x c - || {
        echo "headers: $h does not compile alone"
        bad=1
    }
done
echo "headers: $n compile alone"
exit $bad
