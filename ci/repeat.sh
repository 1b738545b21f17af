#!/usr/bin/env bash
# The test suite many times, optimised, on two CPUs that two busy loops keep occupied: what passes only on an idle machine
# fails here.
#
#   ci/repeat.sh [times] [at once] [arguments of cargo test]    10 times the whole workspace, one after the other, if not said
#
# Several at once load the machine with more than the loops, and need less time in all: most tests wait for something.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/optimised.sh

times="${1:-10}"
at_once="${2:-1}"
shift $(($# < 2 ? $# : 2))
if [[ $# -eq 0 ]]; then
    set -- --workspace --lib --tests
fi
cpus=0,1
if [[ "$(nproc)" -lt 2 ]]; then
    cpus=0
fi
logs="$(mktemp -d)"
finish() {
    # shellcheck disable=SC2046 # words are wanted
    kill $(jobs -p) 2>/dev/null || true
    rm -rf "$logs"
}
trap finish EXIT

# One round in so many, beginning with this one, until one fails somewhere.
rounds() {
    local first="$1" round log
    shift
    for ((round = first; round <= times; round += at_once)); do
        [[ ! -e "$logs/failed" ]] || return 0
        log="$logs/$round"
        if ! taskset -c "$cpus" cargo test --release "$@" >"$log" 2>&1; then
            touch "$logs/failed"
            cat "$log"
            echo "repeat: failed in round $round of $times"
            return 1
        fi
        echo "repeat: round $round of $times passed, $(awk '/^test result: ok/ { n += $4 } END { print n + 0 }' "$log") tests"
    done
}

cargo build --release --workspace --examples
cargo test --release --no-run "$@"
for cpu in ${cpus//,/ }; do
    taskset -c "$cpu" bash -c 'while :; do :; done' &
done
streams=()
for ((first = 1; first <= at_once; first++)); do
    rounds "$first" "$@" &
    streams+=("$!")
done
wait "${streams[@]}"
[[ ! -e "$logs/failed" ]]
echo "repeat: $times rounds passed under load"
