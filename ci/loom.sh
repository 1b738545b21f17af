#!/usr/bin/env bash
# Model checks: every interleaving, within bounds, of the lock-free parts, under loom.
#
#   ci/loom.sh [small|large]    small: two preemptions at most, a minute or two; large: three, as long as it takes
#
# LOOM_MAX_PREEMPTIONS and the other variables of loom overrule the size. A check is a unit test of gort-core or
# gort that is named `loom_..` and compiled under `--cfg loom`.
set -euo pipefail
cd "$(dirname "$0")/.."

size="${1:-small}"
case "$size" in
    small) preemptions=2 ;;
    large) preemptions=3 ;;
    *) echo "usage: ci/loom.sh [small|large]" >&2; exit 2 ;;
esac
export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-$preemptions}"
export RUSTFLAGS="${RUSTFLAGS:-} --cfg loom"
# Other flags would rebuild everything else, and everything else this.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
# Models gain nothing from being optimised across crates, and their links take longer.
export CARGO_PROFILE_RELEASE_LTO=false
cargo test -p gort-core -p gort --lib --release loom_ -- --show-output 2>&1 | tee "$log"
checks="$(awk '/^test result: ok/ { passed += $4 } END { print passed + 0 }' "$log")"
if [[ "$checks" -eq 0 ]]; then
    echo "loom: no check has run" >&2
    exit 1
fi
echo "loom: $checks checks hold with up to $LOOM_MAX_PREEMPTIONS preemptions"
