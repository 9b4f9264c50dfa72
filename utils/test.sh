#!/usr/bin/env bash
# All tests, in the order of what they cost; each step says how long it took. `make test` runs this after the build.
#   TEST_CRASH_ROUNDS   rounds of kill -9 (default in tests/faults)
#   FUZZ_SECONDS        seconds per fuzz target
set -euo pipefail
cd "$(dirname "$0")/.."
py="/usr/bin/python3 -m pytest -q -p no:cacheprovider"
step() {
    local name=$1 t0=$SECONDS
    shift
    echo "=== $name"
    "$@" || { echo "=== $name FAILED"; exit 1; }
    echo "=== $name: $((SECONDS - t0)) s"
}
units() { for t in $(make -s "$@" list-unit); do "$t" >build/unit.log 2>&1 || { cat build/unit.log; echo "$t failed"; return 1; }; done; }
asan_tests() {
    make -s -j2 VARIANT=asan skald unit-bins && units VARIANT=asan
    SKALD_BIN=$PWD/build/asan/skald $py tests/cmd tests/faults -m "not slow"
}
tsan_tests() {
    make -s -j2 VARIANT=tsan skald unit-bins
    for t in $(make -s VARIANT=tsan list-unit | tr ' ' '\n' | grep -E '/(io|vec|net|llm|script|persist|flow)/'); do
        TSAN_OPTIONS="halt_on_error=1 suppressions=$PWD/tests/tsan.supp" "$t" >build/unit.log 2>&1 || { cat build/unit.log; echo "$t failed"; return 1; }
    done
    TSAN_OPTIONS="halt_on_error=1 suppressions=$PWD/tests/tsan.supp" SKALD_BIN=$PWD/build/tsan/skald $py tests/cmd -m "threads"
}
case "${1:-all}" in
asan) step "address and undefined-behaviour sanitizers" asan_tests ;;
tsan) step "thread sanitizer" tsan_tests ;;
all)
    step "checks and unit tests" make -s check
    step "commands over RESP" $py tests/cmd
    step "clients" $py tests/clients
    step "faults" $py tests/faults
    step "address and undefined-behaviour sanitizers" asan_tests
    step "thread sanitizer" tsan_tests
    step "fuzzing" make -s fuzz FUZZ_SECONDS="${FUZZ_SECONDS:-4}"
    echo "all tests passed in $SECONDS s"
    ;;
esac
