#!/usr/bin/env bash
# All tests of the workspace: unit tests, integration tests, what must not compile, the house rules, the examples in
# the documentation. Arguments are passed on to `cargo test`. The last line counts what has run.
#
#   ci/test.sh                     everything
#   ci/test.sh -p gort channel     what `cargo test -p gort channel` runs
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ $# -eq 0 ]]; then
    set -- --workspace
fi
log="$(mktemp)"
trap 'rm -f "$log"' EXIT

# Most tests wait for something, most of the time.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$((2 * $(nproc)))}"
status=0
cargo test --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?

awk '
    /^test result: / {
        # test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.05s
        passed += $4; failed += $6; ignored += $8; groups += 1
    }
    / \.\.\. FAILED$/ || / has been running for over / { print "test: " $0 }
    END {
        printf "test: %d passed, %d failed, %d ignored, in %d groups\n", passed, failed, ignored, groups
        exit (passed + failed == 0)
    }
' "$log" || { echo "test: nothing has run"; exit 1; }
exit "$status"
