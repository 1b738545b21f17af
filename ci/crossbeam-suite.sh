#!/usr/bin/env bash
# Runs crossbeam-channel's own test suite against gort's channels.
#
#   ci/crossbeam-suite.sh [threads|goroutines|all] [argument of the test harness...]
#
# threads      the tests as they are: on plain OS threads, beside the runtime       (default)
# goroutines   the same tests, where each body is a goroutine and std::thread's spawn, sleep, yield_now and
#              crossbeam_utils' scope are gort's
#
# The tests come out of the published crate, by way of cargo, into a scratch directory under target/; nothing of them is
# kept in this repository. CROSSBEAM_TESTS=<directory> takes the test files from there instead (say, of a checkout).
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
gort=${GORT_CRATE:-$root/crates/gort}
version=0.5.17
mode=${1:-threads}
shift || true
scratch=${CARGO_TARGET_DIR:-$root/target}/crossbeam-suite
export CARGO_TARGET_DIR=$scratch/target
source "$root/ci/optimised.sh"
mkdir -p "$scratch"

# The published sources: a crate that depends on them makes cargo fetch them, and cargo knows where they are.
fetch_tests() {
    local fetch=$scratch/fetch
    mkdir -p "$fetch/src"
    touch "$fetch/src/lib.rs"
    cat >"$fetch/Cargo.toml" <<TOML
[workspace]
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"
[dependencies]
crossbeam-channel = "=$version"
TOML
    cargo metadata --format-version 1 --manifest-path "$fetch/Cargo.toml" |
        grep -o '"manifest_path":"[^"]*crossbeam-channel-'"$version"'/Cargo.toml"' | head -n 1 |
        sed 's/.*:"//; s|/Cargo.toml"$|/tests|'
}

# A package that calls itself crossbeam-channel and is gort inside.
make_package() {
    local package=$1
    rm -rf "$package/src" "$package/tests"
    mkdir -p "$package/src" "$package/tests"
    cp "$tests"/*.rs "$package/tests/"
    cat >"$package/Cargo.toml" <<TOML
[workspace]
[package]
name = "crossbeam-channel"
version = "$version"
edition = "2021"
[features]
default = ["std"]
std = []
[dependencies]
gort = { path = "$gort" }
crossbeam-utils = "0.8"
[dev-dependencies]
fastrand = "2"
num_cpus = "1"
rand = "0.8"
rustversion = "1"
signal-hook = "0.3"
# With gort's debug assertions, and just as much optimisation as pays within one run.
[profile.dev]
opt-level = 1
debug = false
incremental = false
TOML
    cat >"$package/src/lib.rs" <<'RUST'
#[doc(hidden)]
pub use gort;
pub use gort::channel::*;
pub use gort::{select, select_biased};

/// The private macro that the tests of mpsc call, with a constant in their own scope.
#[macro_export]
macro_rules! crossbeam_channel_internal {
    ($($cases:tt)*) => { $crate::gort::__select!(@read (_IS_BIASED) [] [] $($cases)*) };
}
RUST
}

# The parts of std::thread and crossbeam_utils::thread that the tests use, for goroutines.
add_thread_shim() {
    cat >>"$1/src/lib.rs" <<'RUST'

/// std::thread and crossbeam_utils::thread, for goroutines.
pub mod thread {
    pub use gort::{JoinHandle, go as spawn, gosched as yield_now, sleep};
    pub use std::thread::{Result, panicking};

    pub struct Scope<'scope, 'env>(&'scope gort::Scope<'scope, 'env>);

    pub fn scope<'env, R>(
        f: impl for<'scope> FnOnce(&Scope<'scope, 'env>) -> R,
    ) -> Result<R> {
        let body = std::panic::AssertUnwindSafe(|| gort::scope(|s| f(&Scope(s))));
        std::panic::catch_unwind(body)
    }

    impl<'scope, 'env> Scope<'scope, 'env> {
        pub fn spawn<T: Send + 'scope>(
            &self,
            f: impl FnOnce(&Scope<'scope, 'env>) -> T + Send + 'scope,
        ) -> gort::ScopedJoinHandle<'scope, T> {
            let scope = self.0;
            scope.go(move || f(&Scope(scope)))
        }
    }
}
RUST
    sed -i -E \
        -e '/^#!\[forbid\(unsafe_code\)\]/d' \
        -e 's/^( *)#\[test\]/\1#[crossbeam_channel::gort::test(unsafe(migrate))]/' \
        -e 's/(::)?\bstd::thread\b/crossbeam_channel::thread/g' \
        -e 's/\bcrossbeam_utils::thread\b/crossbeam_channel::thread/g' \
        "$1"/tests/*.rs
    # Imports of the form `use std::{.., thread, ..}`.
    sed -i -E -e '/^use std::\{$/,/^\};$/ s/^    thread,$//' "$1"/tests/*.rs
    for file in "$1"/tests/*.rs; do
        if grep -q '\bthread::' "$file" && ! grep -qE '^ *use crossbeam_channel::thread;' "$file"; then
            sed -i -E '0,/^use /s//use crossbeam_channel::thread;\nuse /' "$file"
        fi
    done
}

# run MODE [argument of the test harness...]
#
# select2 of golang.rs counts what the whole process has allocated and not yet freed, in an unsigned number that it sets to
# zero in between. What an earlier test leaves behind to be freed later makes that number wrap around and the test fail,
# so it has a process of its own.
run() {
    local mode=$1 status=0 others=()
    shift
    for file in "$tests"/*.rs; do
        [ "$(basename "$file")" = golang.rs ] || others+=(--test "$(basename "$file" .rs)")
    done
    echo "== crossbeam-channel's suite on $mode"
    cd "$scratch/$mode"
    cargo test --no-fail-fast "${others[@]}" -- "$@" || status=$?
    cargo test --test golang -- --test-threads=1 --skip select2::main "$@" || status=$?
    cargo test --test golang -- --test-threads=1 --exact select2::main || status=$?
    cd "$root"
    return "$status"
}

tests=${CROSSBEAM_TESTS:-$(fetch_tests)}
[ -d "$tests" ] || { echo "no tests in the published crate at '$tests'" >&2; exit 1; }
case $mode in
threads | goroutines | all) ;;
*) echo "usage: $0 [threads|goroutines|all]" >&2; exit 2 ;;
esac
status=0
if [ "$mode" != goroutines ]; then
    make_package "$scratch/threads"
    run threads "$@" || status=$?
fi
if [ "$mode" != threads ]; then
    make_package "$scratch/goroutines"
    add_thread_shim "$scratch/goroutines"
    run goroutines "$@" || status=$?
fi
exit "$status"
