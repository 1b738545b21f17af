#!/usr/bin/env bash
# The examples: the tour, the word counter and the network programs, each run by its tests as a process of its own.
# Arguments are passed on to `cargo test`. The Redis program needs a server: where `redis-server` is not on PATH and the
# machine's packages can be installed it is installed, else its test says that it is skipped.
#
#   ci/examples.sh                     all of them
#   ci/examples.sh --test crawler      one file of tests
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v redis-server >/dev/null && [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
    echo "examples: installing redis-server"
    # Without a service that starts by itself: the test starts its own.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    { timeout 300 apt-get update && timeout 300 apt-get install --yes --no-install-recommends redis-server; } \
        >/dev/null 2>&1 || echo "examples: it can not be installed"
fi
command -v redis-server >/dev/null || echo "examples: skipped: the Redis program (no redis-server)"

packages=(-p gort-examples-net)
if [[ $# -eq 0 ]]; then
    packages+=(-p gort-examples)
fi
cargo test --no-fail-fast "${packages[@]}" "$@"
echo "examples: all have run"
