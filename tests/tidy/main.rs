//! The house rules that no compiler checks.
//!
//! ```text
//!   arrows      which room may import which: the table is arrows.txt
//!   safety      each `unsafe` says what it relies on, each ordering above Relaxed says what it pairs with
//!   manners     each file opens with its essay, none is endless, none is unfinished, none names one machine's paths
//! ```
//!
//! Every rule reads the sources as text (`scan` takes strings and comments apart from code) and returns its
//! [`Complaint`]s; a test prints them all as `file:line: what is wrong` and fails if there are any.

mod arrows;
mod manners;
mod safety;
mod scan;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use scan::Source;

/// One broken rule at one place.
pub(crate) struct Complaint {
    pub(crate) path: PathBuf,
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.text)
    }
}

#[test]
fn rooms_import_along_the_arrows() {
    let table = fs::read_to_string(root().join(arrows::TABLE)).expect("the table of arrows is there");
    settle(arrows::check(&sources(&["crates"]), &table));
}

#[test]
fn every_unsafe_says_why_it_is_safe() {
    let mut sources = sources(&["crates", "tests", "examples"]);
    // What must not compile need not be safe.
    sources.retain(|source| !source.path.starts_with("tests/ui"));
    settle(each(&sources, safety::unsafe_without_reason));
}

#[test]
fn every_strong_ordering_says_what_it_pairs_with() {
    settle(each(&sources(&["crates"]), safety::ordering_without_reason));
}

#[test]
fn every_file_opens_with_its_essay() {
    settle(each(&sources(&["crates", "tests", "examples"]), manners::no_essay));
}

#[test]
fn no_file_is_endless() {
    settle(each(&sources(&["crates", "tests", "examples"]), manners::too_long));
}

#[test]
fn nothing_is_left_unfinished() {
    settle(each(&sources(&["crates", "tests", "examples", "bench"]), manners::unfinished));
}

#[test]
fn no_text_names_the_paths_of_one_machine() {
    settle(manners::local_paths(&root(), &texts()));
}

fn settle(complaints: Vec<Complaint>) {
    let list: Vec<String> = complaints.iter().map(Complaint::to_string).collect();
    assert!(list.is_empty(), "{} complaints:\n{}", list.len(), list.join("\n"));
}

fn each(sources: &[Source], rule: fn(&Source) -> Vec<Complaint>) -> Vec<Complaint> {
    sources.iter().flat_map(rule).collect()
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository").to_owned()
}

/// All Rust files under `dirs` of the repository, in the order of their names.
fn sources(dirs: &[&str]) -> Vec<Source> {
    let root = root();
    let paths = dirs.iter().flat_map(|dir| files(&root.join(dir)));
    let rust = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let sources: Vec<Source> = rust.map(|path| Source::read(&root, &path)).collect();
    assert!(!sources.is_empty(), "no sources under {dirs:?}: the test looks in the wrong place");
    sources
}

/// All files a reader may open: sources, manifests, documents, scripts.
fn texts() -> Vec<PathBuf> {
    files(&root())
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable directory").path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let name = path.file_name().expect("an entry has a name");
            if name != "target" && name != ".git" {
                found.extend(files(&path));
            }
        } else {
            found.push(path);
        }
    }
    found
}
