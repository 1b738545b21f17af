#!/usr/bin/env bash
# Formatting of the workspace and, being a workspace of its own, of the bench.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
if [[ -f bench/Cargo.toml ]]; then
    cargo fmt --manifest-path bench/Cargo.toml --check
fi
echo "fmt: everything is formatted"
