//! Finding and running the examples from their tests.
//!
//! Cargo tells a test where the package's *binaries* lie, but not its examples, and `cargo test --test tour` would not
//! even build them. So the first test asks cargo for a build, which is instant when it is up to date.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the example `name` in the profile and for the target of this test, and gives the path of its program.
pub(crate) fn build_example(name: &str) -> PathBuf {
    // <target dir>/[<triple>/]<profile dir>/deps/<this test>
    let test = std::env::current_exe().expect("a test knows where its program lies");
    let profile_dir = test.ancestors().nth(2).expect("a test's program lies in <profile>/deps");
    let path = profile_dir.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));

    // Without cargo (tests that were built elsewhere and copied here) what lies there must do.
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "gort-examples", "--example", name]);
        build.arg("--manifest-path").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
        match file_name(profile_dir) {
            "debug" => {}
            profile => drop(build.args(["--profile", profile])),
        }
        let parent = profile_dir.parent().expect("the profile's directory has a parent");
        // A target directory may be called anything; only in its root cargo keeps its notes on the compiler.
        if file_name(parent).matches('-').count() >= 2 && !parent.join(".rustc_info.json").exists() {
            build.args(["--target", file_name(parent)]);
            build.arg("--target-dir").arg(parent.parent().expect("a triple lies in the target directory"));
        } else {
            build.arg("--target-dir").arg(parent);
        }
        let status = build.status().expect("cargo can be started");
        assert!(status.success(), "the example {name} does not build");
    }
    assert!(path.exists(), "{} has not been built: run `cargo test -p gort-examples`", path.display());
    path
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
