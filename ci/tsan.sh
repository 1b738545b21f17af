#!/usr/bin/env bash
# ThreadSanitizer over the tests that run on plain OS threads.
#
#   ci/tsan.sh [arguments of cargo test]    the channel, lock and park tests of gort and gort-core if not said
#
# What it needs: a toolchain with the standard library's sources (`rustup component add rust-src`). The sanitizer sees
# only code it was compiled into, so std has to be rebuilt with it; with the std that ships it reports races inside
# correct uses of std's own Mutex and Arc. A nightly toolchain serves, and so does stable (it is then told to accept
# the unstable flags). TSAN_TOOLCHAIN names one; else the first suitable one is taken.
#
# What it can not do: follow goroutines. It keeps a shadow of each thread's stack and would have to be told of every
# switch. So only tests that stay on OS threads are run here. It does not understand fences either.
# Valgrind's helgrind and drd are no way around: they do not know atomics, and complain of a correct spin lock as
# loudly as of a race.
set -euo pipefail
cd "$(dirname "$0")/.."

suitable() {
    [[ -d "$(rustc "+$1" --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library" ]]
}
toolchain="${TSAN_TOOLCHAIN:-}"
if [[ -z "$toolchain" ]]; then
    for candidate in stable nightly; do
        if suitable "$candidate"; then
            toolchain="$candidate"
            break
        fi
    done
fi
if [[ -z "$toolchain" ]] || ! suitable "$toolchain"; then
    echo "tsan: not run: no toolchain with rust-src (rustup component add rust-src --toolchain nightly)" >&2
    exit 2
fi

if [[ $# -eq 0 ]]; then
    set -- -p gort -p gort-core --lib -- channel:: waitq:: lock:: park::
fi
target="$(rustc "+$toolchain" -vV | sed -n 's/^host: //p')"
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="${RUSTFLAGS:-} -Zsanitizer=thread"
export TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=0 second_deadlock_stack=1}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/tsan"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
cargo "+$toolchain" test -Zbuild-std --target "$target" "$@" 2>&1 | tee "$log"
tests="$(awk '/^test result: ok/ { passed += $4 } END { print passed + 0 }' "$log")"
if [[ "$tests" -eq 0 ]]; then
    echo "tsan: no test has run" >&2
    exit 1
fi
echo "tsan: no race in $tests tests ($(rustc "+$toolchain" --version))"
