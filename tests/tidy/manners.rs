//! How a file presents itself: its opening, its length, its loose ends, its references.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Complaint;
use crate::scan::{Source, tokens};

/// Longer files hold more than one concept.
const LINES_MAX: usize = 700;

pub(crate) fn no_essay(source: &Source) -> Vec<Complaint> {
    let opens = source.text.trim_start().starts_with("//! ");
    one_if(!opens, source, 1, "the file does not open with `//!`: what it is, and what it leaves to others")
}

pub(crate) fn too_long(source: &Source) -> Vec<Complaint> {
    let lines = source.text.lines().count();
    one_if(lines > LINES_MAX, source, LINES_MAX, &format!("{lines} lines, at most {LINES_MAX}"))
}

/// Code that is to be written later, and comments that say so.
pub(crate) fn unfinished(source: &Source) -> Vec<Complaint> {
    const MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];
    // Spelled so that this file does not complain of itself.
    let notes = ["TODO", "FIXME", "XXX", "HACK"];
    let mut complaints = Vec::new();
    let code = tokens(&source.code);
    for pair in code.windows(3) {
        let words = [pair[0].text, pair[1].text, pair[2].text];
        let text = match words {
            [name, "!", "(" | "[" | "{"] if MACROS.contains(&name) => format!("`{name}!`"),
            ["#", "[", "ignore"] => "an ignored test is no test".to_owned(),
            _ => continue,
        };
        complaints.push(Complaint { path: source.path.clone(), line: pair[0].line, text });
    }
    for token in tokens(&source.comments).iter().filter(|token| notes.contains(&token.text)) {
        complaints.push(Complaint {
            path: source.path.clone(),
            line: token.line,
            text: format!("a note to oneself: {}", token.text),
        });
    }
    complaints
}

/// Paths that exist on one machine only: this checkout, and where it is kept.
pub(crate) fn local_paths(root: &Path, files: &[PathBuf]) -> Vec<Complaint> {
    // Put together here, so that this file does not complain of itself.
    let homes = [format!("/{}/", "work"), format!("{}/", root.display())];
    let mut complaints = Vec::new();
    for file in files {
        // What is not text names no path that a reader could follow.
        let Ok(text) = fs::read_to_string(file) else { continue };
        for (index, line) in text.lines().enumerate() {
            if let Some(home) = homes.iter().find(|home| names(line, home)) {
                let path = file.strip_prefix(root).unwrap_or(file).to_owned();
                complaints.push(Complaint { path, line: index + 1, text: format!("a path under {home}") });
            }
        }
    }
    complaints
}

/// Whether `home` stands in `line` as the start of a path, not inside a longer one such as a link.
fn names(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| !(before.is_alphanumeric() || "._-/*".contains(before)))
    })
}

fn one_if(broken: bool, source: &Source, line: usize, text: &str) -> Vec<Complaint> {
    let complaint = Complaint { path: source.path.clone(), line, text: text.to_owned() };
    if broken { vec![complaint] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loose_ends_are_found_outside_strings() {
        let text = "fn f() {\n    todo!();\n    let s = \"todo!()\";\n    // FIXME: later\n}\n#[ignore]\nfn g() {}\n";
        let source = Source::new(Path::new("x.rs"), text.to_owned());
        let lines: Vec<usize> = unfinished(&source).iter().map(|complaint| complaint.line).collect();
        assert_eq!(lines, [2, 6, 4]);
    }

    #[test]
    fn only_the_start_of_a_path_counts() {
        let home = format!("/{}/", "home");
        assert!(names(&format!("see {home}me/x"), &home));
        assert!(!names(&format!("see https://example.org{home}me/x"), &home));
    }
}
