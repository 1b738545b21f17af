//! Code that must not compile, and the words it is refused with.
//!
//! `ui/own/` holds what gort itself refuses: the texts are ours, whatever the compiler. `ui/rustc/` holds what the
//! type system refuses, in rustc's words, which change from version to version; these are compared under the version
//! they were recorded with. Record anew with `TRYBUILD=overwrite cargo test -p gort-tests --test ui`.

use std::process::Command;

/// The compiler whose words `ui/rustc/*.stderr` holds.
const RECORDED_WITH: &str = "rustc 1.95.";

#[test]
fn misuse_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/own/*.rs");
    if compiler().starts_with(RECORDED_WITH) {
        cases.compile_fail("ui/rustc/*.rs");
    } else {
        println!("ui/rustc/ is left out: it was recorded with {RECORDED_WITH}x, this is {}", compiler());
    }
}

fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("rustc runs");
    String::from_utf8(output.stdout).expect("rustc speaks UTF-8").trim().to_owned()
}
