#!/usr/bin/env bash
# All tests, in the order of what they cost; each step says how long it took and what it counted, a step that fails does
# not keep the next from running, what failed is named again at the end, and the last line is the sum. `make test` runs
# this after the build.
#   utils/test.sh [asan|tsan]   only that step
#   TEST_CRASH_ROUNDS           rounds of kill -9 (default in tests/faults)
#   FUZZ_SECONDS                seconds per fuzz target
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
mkdir -p build
export TEST_TOTALS=$PWD/build/test-totals
: >"$TEST_TOTALS"
failed_steps=()
failures=build/test-failures
: >"$failures"

step() {
    local name=$1 t0=$SECONDS result=passed log=build/test-step.log
    shift
    echo "=== $name"
    "$@" 2>&1 | tee "$log" || {
        result=FAILED
        failed_steps+=("$name")
        grep -aE '^(FAILED|ERROR) |passed, [1-9][0-9]* failed|runtime error:|(ERROR|WARNING): [A-Za-z]+Sanitizer' "$log" |
            head -40 >>"$failures"
    }
    echo "=== $name: $result, $((SECONDS - t0)) s"
}
# Two files at a time: each has its own servers.
side_by_side=(-n 2 --dist loadfile)
# pytest's own last line says what to count.
py() {
    local log=build/pytest.log rc=0
    /usr/bin/python3 -m pytest -q -p no:cacheprovider "$@" | tee "$log" || rc=$?
    tail -1 "$log" | awk -v rc=$rc '{ for (i = 2; i <= NF; i++) {
        if ($i ~ /^passed/) p = $(i - 1); else if ($i ~ /^(failed|errors?),?$/) f += $(i - 1) } }
        END { print p + 0, (f + 0) ? f : (rc ? 1 : 0) }' >>"$TEST_TOTALS"
    return $rc
}
build() { make -s -j3 "$@" skald unit-bins; }
asan_tests() {
    local rc=0
    export UBSAN_OPTIONS=print_stacktrace=1
    build VARIANT=asan || return 1
    # shellcheck disable=SC2046
    utils/units.py $(make -s VARIANT=asan list-unit) || rc=1
    SKALD_BIN=$PWD/build/asan/skald py "${side_by_side[@]}" tests/cmd tests/faults -m "not slow" || rc=1
    return $rc
}
# The folders with threads; of vec/ only the test that has some, for the others take minutes and would show nothing.
tsan_tests() {
    local rc=0 programs
    export TSAN_OPTIONS="halt_on_error=1 suppressions=$PWD/tests/tsan.supp"
    build VARIANT=tsan || return 1
    programs=$(make -s VARIANT=tsan list-unit | tr ' ' '\n' | grep -E '/((io|net|llm|script|persist|flow|text)/|vec/test_threads)')
    # shellcheck disable=SC2086
    utils/units.py $programs || rc=1
    SKALD_BIN=$PWD/build/tsan/skald py "${side_by_side[@]}" tests/cmd tests/faults -m threads || rc=1
    return $rc
}

case "${1:-all}" in
asan) step "address and undefined-behaviour sanitizers" asan_tests ;;
tsan) step "thread sanitizer" tsan_tests ;;
all)
    step "checks and unit tests" make -s check
    step "commands over RESP" py "${side_by_side[@]}" tests/cmd
    step "the same as redis-server" py tests/diff
    step "clients" py tests/clients
    step "Redis's own suite" redis-tests-compat/run.py
    step "faults" py tests/faults
    step "address and undefined-behaviour sanitizers" asan_tests
    step "thread sanitizer" tsan_tests
    step "fuzzing" make -s -j3 fuzz FUZZ_SECONDS="${FUZZ_SECONDS:-4}"
    ;;
*)
    echo "usage: utils/test.sh [asan|tsan]" >&2
    exit 2
    ;;
esac
[ -s "$failures" ] && cat "$failures"
echo "=== all of it: $SECONDS s${failed_steps:+, failed:$(printf ' [%s]' "${failed_steps[@]}")}"
# A step that failed without a count (a check, a build) is one failure.
read -r passed failed < <(awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }' "$TEST_TOTALS")
[ "$failed" -ge ${#failed_steps[@]} ] || failed=${#failed_steps[@]}
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
