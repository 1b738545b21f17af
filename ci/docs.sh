#!/usr/bin/env bash
# The documentation builds without a warning (broken links are warnings), private items included, and its examples
# run.
set -euo pipefail
cd "$(dirname "$0")/.."

RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings" cargo doc --workspace --no-deps --document-private-items
cargo test --workspace --doc
echo "docs: no warnings, examples run"
