#!/usr/bin/env bash
# Clippy and the compiler's lints, on everything there is to compile; a warning is an error.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --workspace --all-targets -- -D warnings
echo "clippy: no warnings"
