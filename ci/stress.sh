#!/usr/bin/env bash
# The test programs that draw lots (what to do, in which order, how long), optimised, over and over.
#
#   ci/stress.sh [seconds]    60 if not said
#
# Most draw a new seed each time; what fails prints its seed.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/optimised.sh

seconds="${1:-60}"
programs=(
    block_on_futures chan_order context_tree go_ports go_stress net_close net_deadlines pollfd_goroutines
    sync_goroutines sync_mixed sync_threads time_timers
)
tests=(cargo test -p gort -p gort-tests --release)
for program in "${programs[@]}"; do
    tests+=(--test "$program")
done

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
"${tests[@]}" --no-run
end=$((SECONDS + seconds))
rounds=0
passed=0
while [[ $rounds -eq 0 || $SECONDS -lt $end ]]; do
    if ! "${tests[@]}" >"$log" 2>&1; then
        cat "$log"
        echo "stress: failed in round $((rounds + 1))"
        exit 1
    fi
    passed=$((passed + $(awk '/^test result: ok/ { passed += $4 } END { print passed + 0 }' "$log")))
    rounds=$((rounds + 1))
done
if [[ $passed -eq 0 ]]; then
    echo "stress: no test has run" >&2
    exit 1
fi
echo "stress: $passed tests passed in $rounds rounds"
