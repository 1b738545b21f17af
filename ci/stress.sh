#!/usr/bin/env bash
# The stress tests, optimised, over and over.
#
#   ci/stress.sh [seconds]    60 if not said
#
# A stress test has `stress` in its name; it draws a new seed each time and prints it when it fails.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-60}"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT

# A link for each of many test programs: not optimised across crates.
export CARGO_PROFILE_RELEASE_LTO=false
cargo test --workspace --exclude gort-examples-net --release --lib --tests --no-run
end=$((SECONDS + seconds))
rounds=0
tests=0
while [[ $rounds -eq 0 || $SECONDS -lt $end ]]; do
    if ! cargo test --workspace --exclude gort-examples-net --release --lib --tests stress >"$log" 2>&1; then
        cat "$log"
        echo "stress: failed in round $((rounds + 1))"
        exit 1
    fi
    tests=$((tests + $(awk '/^test result: ok/ { passed += $4 } END { print passed + 0 }' "$log")))
    rounds=$((rounds + 1))
done
if [[ $tests -eq 0 ]]; then
    echo "stress: no test has run" >&2
    exit 1
fi
echo "stress: $tests tests passed in $rounds rounds"
