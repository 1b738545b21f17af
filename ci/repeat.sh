#!/usr/bin/env bash
# The test suite many times on two CPUs that two busy loops keep occupied: what passes only on an idle machine fails
# here.
#
#   ci/repeat.sh [times] [arguments of cargo test]    10 times the whole workspace if not said
set -euo pipefail
cd "$(dirname "$0")/.."

times="${1:-10}"
shift || true
if [[ $# -eq 0 ]]; then
    set -- --workspace --lib --tests
fi
cpus=0,1
if [[ "$(nproc)" -lt 2 ]]; then
    cpus=0
fi
log="$(mktemp)"
loops=()
finish() {
    for pid in "${loops[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    rm -f "$log"
}
trap finish EXIT

cargo test --no-run "$@"
for cpu in ${cpus//,/ }; do
    taskset -c "$cpu" bash -c 'while :; do :; done' &
    loops+=("$!")
done
for ((round = 1; round <= times; round++)); do
    if ! taskset -c "$cpus" cargo test "$@" >"$log" 2>&1; then
        cat "$log"
        echo "repeat: failed in round $round of $times"
        exit 1
    fi
    echo "repeat: round $round of $times passed, $(awk '/^test result: ok/ { n += $4 } END { print n + 0 }' "$log") tests"
done
echo "repeat: $times rounds passed under load"
