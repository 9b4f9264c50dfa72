#!/usr/bin/env bash
# Installs the Debian packages (and the tests' npm packages) that are missing, and says which. Does nothing when nothing is missing.
#   utils/deps.sh build   what building and `make demo` need
#   utils/deps.sh         that, and what the tests and benchmarks need
#   utils/deps.sh bench   what `make bench-vectors` needs: building, and the libraries that Skald's index stands beside
set -euo pipefail
cd "$(dirname "$0")/.."

# The one list. A package added here has its note in deps-notes/ when it is linked into the server.
build=(gcc make pkg-config libc6-dev libuv1-dev liburing-dev libcurl4-openssl-dev libcjson-dev liblua5.1-0-dev
       libmicrohttpd-dev libutf8proc-dev libstemmer-dev libjemalloc-dev liblzf-dev libssl-dev python3)
tests=(libcmocka-dev libhiredis-dev python3-pytest python3-pytest-xdist python3-redis redis-tools redis-server tcl dpkg-dev clang libclang-rt-14-dev curl openssl
       python3-rq python3-celery php-cli php-redis ruby ruby-redis lua5.1 lua-redis nutcracker prometheus-redis-exporter)
bench=(g++ libhnswlib-dev libfaiss-dev libhiredis-dev)
command -v node >/dev/null && command -v npm >/dev/null || tests+=(nodejs npm)

packages=("${build[@]}")
case "${1:-all}" in
build) ;;
bench) packages+=("${bench[@]}") ;;
*) packages+=("${tests[@]}") ;;
esac

# The Node.js clients of the tests, as their lock file has them. They want Node.js 20; where the machine's own is older (Debian 12
# has 18), the npm registry carries the program itself, and the tests use that one.
node_clients() {
    local dir=tests/clients/node want
    want=$(sha256sum "$dir/package-lock.json")
    if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ] && [ ! -x build/node/bin/node ]; then
        echo "deps: installing Node.js 20 from npm, for the tests only"
        npm install --silent --no-audit --no-fund --prefix build/node "node-linux-$(node -p process.arch)@20"
        mkdir -p build/node/bin
        ln -sf "../node_modules/node-linux-$(node -p process.arch)/bin/node" build/node/bin/node
    fi
    [ "$(cat "$dir/node_modules/.installed" 2>/dev/null)" != "$want" ] || return 0
    echo "deps: installing the Node.js clients from npm"
    # Not `npm ci`: it refuses a lock file without the builds for machines that a registry does not carry.
    npm install --silent --no-save --ignore-scripts --no-audit --no-fund --prefix "$dir"
    echo "$want" >"$dir/node_modules/.installed"
}

missing=()
for p in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
if [ ${#missing[@]} -eq 0 ]; then
    [ "${1:-all}" != all ] || node_clients
    exit 0
fi

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
[ "${1:-all}" != all ] || node_clients
echo "deps: done"
