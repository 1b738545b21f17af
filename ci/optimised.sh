# Sourced by scripts that test optimised builds. The flags are those of docs/SAFETY.md for thread-locals, which goroutines need
# there. Optimising across crates would do as well, but each program would have to wait for a link of its own.
CARGO_BUILD_TARGET="$(rustc -vV | sed -n 's/^host: //p')"
RUSTFLAGS="${RUSTFLAGS:-} -C relocation-model=pie"
CARGO_PROFILE_RELEASE_LTO=false
export CARGO_BUILD_TARGET RUSTFLAGS CARGO_PROFILE_RELEASE_LTO
