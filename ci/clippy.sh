#!/usr/bin/env bash
# Clippy and the compiler's lints, on the workspace and on the bench's programs for gort and for threads (the other peers
# do not use gort, and take long to compile); a warning is an error.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --workspace --all-targets -- -D warnings
cargo clippy --manifest-path bench/Cargo.toml --no-default-features --features gort,threads --bins -- -D warnings
echo "clippy: no warnings"
