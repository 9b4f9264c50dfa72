#!/usr/bin/env bash
# Installs the Debian packages that are missing, and says which. Does nothing when nothing is missing.
#   utils/deps.sh build   what building and `make demo` need
#   utils/deps.sh         that, and what the tests and benchmarks need
set -euo pipefail

# The one list. A package added here has its note in deps-notes/ when it is linked into the server.
build=(gcc make pkg-config libc6-dev libuv1-dev liburing-dev libcurl4-openssl-dev libcjson-dev liblua5.1-0-dev
       libmicrohttpd-dev libjemalloc-dev liblzf-dev python3)
tests=(libcmocka-dev libhiredis-dev python3-pytest python3-redis redis-tools redis-server tcl dpkg-dev clang libclang-rt-14-dev curl)

packages=("${build[@]}")
[ "${1:-all}" = build ] || packages+=("${tests[@]}")

missing=()
for p in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "deps: installing from Debian: ${missing[*]}"
root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "deps: run this as root, or install: ${missing[*]}" >&2; exit 1; }
    root=(sudo)
fi
# redis-server is wanted for its binary (comparisons), not as a running service.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
    "${root[@]}" chmod +x $policy
    trap '"${root[@]}" rm -f $policy' EXIT
fi
"${root[@]}" apt-get update -q >/dev/null
DEBIAN_FRONTEND=noninteractive "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
echo "deps: done"
