#!/usr/bin/env bash
# Everything at once, over and over: hogs, blocking calls, channels, timers, sockets, processes, GOMAXPROCS that changes.
#
#   ci/soak.sh [seconds]    600 if not said
#
# Each round is a process of at most 20 s with a seed of its own, which it prints when it fails; the line that runs it again is
# printed as well. Rounds begin with one, two and four processors in turn.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-600}"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT

cargo build -p gort-tests --bin ending
program="${CARGO_TARGET_DIR:-target}/debug/ending"
end=$((SECONDS + seconds))
rounds=0
procs=(1 2 4)
while [[ $SECONDS -lt $end ]]; do
    length=$((end - SECONDS < 20 ? end - SECONDS : 20))
    seed=$(((RANDOM << 30) ^ (RANDOM << 15) ^ RANDOM))
    round=(env GOMAXPROCS="${procs[rounds % 3]}" "$program" soak "$length" "$seed")
    # Twice its length and 45 s is the program's own limit; after that it says where it hangs.
    if ! timeout -k 5 $((2 * length + 120)) "${round[@]}" >"$log" 2>&1; then
        cat "$log"
        echo "soak: failed in round $((rounds + 1)): ${round[*]}"
        exit 1
    fi
    rounds=$((rounds + 1))
done
echo "soak: $rounds rounds in $SECONDS s"
