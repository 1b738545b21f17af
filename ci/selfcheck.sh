#!/usr/bin/env bash
# The figures gort promises, held against their bounds: memory per goroutine, cost of starting and waking, idling, leaks,
# how late sleepers wake.
#
#   ci/selfcheck.sh                      everything at full size: a million goroutines, some gigabytes, minutes
#   ci/selfcheck.sh --quick              a tenth of the sizes
#   ci/selfcheck.sh [--quick] name..     parked daisy skynet idle growth sleepers
set -euo pipefail
cd "$(dirname "$0")/.."

echo "selfcheck: $(nproc) CPUs, $(awk '/MemAvailable/ { printf "%d MiB", $2 / 1024 }' /proc/meminfo) available"
cargo build --release -p gort-tests --bin selfcheck
exec "${CARGO_TARGET_DIR:-target}/release/selfcheck" "$@"
