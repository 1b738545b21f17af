#!/usr/bin/env bash
# The test programs that draw lots (what to do, in which order, how long), optimised, over and over.
#
#   ci/stress.sh [seconds]    60 if not said
#
# Most draw a new seed each time; what fails prints its seed. The flags are those of docs/SAFETY.md for thread-locals: optimising
# across crates would do as well, but each program would have to wait for a link of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-60}"
programs=(
    block_on_futures chan_order context_tree go_ports go_stress net_close net_deadlines pollfd_goroutines
    sync_goroutines sync_mixed sync_threads time_timers
)
host="$(rustc -vV | sed -n 's/^host: //p')"
export RUSTFLAGS="${RUSTFLAGS:-} -C relocation-model=pie"
export CARGO_PROFILE_RELEASE_LTO=false
tests=(cargo test -p gort -p gort-tests --release --target "$host")
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
