#!/usr/bin/env bash
# The start-up test of the code model, and the check of thread-locals, against builds of every kind.
#
#   ci/tls.sh
#
# Builds one of the tests' programs four ways and runs it: at release's default flags it has to complain, with each
# remedy that docs/SAFETY.md names it must not, and in all of them an `Rc` that is held across a park has to be found. Four release builds: minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

host="$(rustc -vV | sed -n 's/^host: //p')"
if [[ "$host" != x86_64-unknown-linux-* ]]; then
    echo "tls: not run: neither check is made on $host" >&2
    exit 2
fi
out="${CARGO_TARGET_DIR:-target}/tls"
complaint='gort: this program is built so that its libraries may use the wrong'

# build NAME EXPECTED-COMPLAINTS PROGRAM ARGUMENTS-OF-CARGO...
build() {
    local name="$1" expected="$2" program="$3"
    shift 3
    cargo build --quiet --target-dir "$out/$name" --package gort-tests --bin ending "$@"
    local run=(env GOMAXPROCS=1 GORT_TLSCHECK=1 "$out/$name/$program/ending" held)
    local quiet held
    quiet="$("${run[@]}" nothing busy 2>&1 >/dev/null)"
    held="$("${run[@]}" rc busy 2>&1 >/dev/null)"
    [[ "$(grep -c "$complaint" <<<"$quiet")" == "$expected" ]] || fail "$name" "code model" "$quiet"
    [[ "$(grep -c '^gort: goroutine ' <<<"$quiet")" == 0 ]] || fail "$name" "a clean program" "$quiet"
    [[ "$(grep -c '^gort: goroutine ' <<<"$held")" == 1 ]] || fail "$name" "a pointer that is held" "$held"
    echo "tls: $name: as it should be"
}
fail() {
    echo "tls: $1: wrong about $2:" >&2
    echo "$3" >&2
    exit 1
}

build debug 0 debug
build default 1 release --release --config 'profile.release.lto=false'
build thin 0 release --release --config 'profile.release.lto="thin"'
RUSTFLAGS="${RUSTFLAGS:-} -C relocation-model=pie" build pie 0 "$host/release" --release --config 'profile.release.lto=false' --target "$host"
