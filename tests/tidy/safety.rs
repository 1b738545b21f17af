//! What `unsafe` code and atomics owe their reader.
//!
//! - `unsafe { .. }`, `unsafe impl` and `#[unsafe(..)]`: a comment with `SAFETY:` right above.
//! - `unsafe fn` and `unsafe trait`: a `# Safety` section in the documentation. A method of a trait has it there.
//! - `Acquire`, `Release`, `AcqRel` and `SeqCst` outside tests: a comment near by, or one further up in the same
//!   function that names the ordering ("Acquire here and below: ..").
//!
//! Clippy checks the first two as well, with a parser, for what a build compiles; these look at every line, whatever
//! the platform and the features.

use std::ops::Range;

use crate::Complaint;
use crate::scan::{Source, Token, closing, tokens};

/// So many lines of code may lie between a comment and what it speaks of.
const REACH: usize = 4;

pub(crate) fn unsafe_without_reason(source: &Source) -> Vec<Complaint> {
    let tokens = tokens(&source.code);
    let comments: Vec<&str> = source.comments.lines().collect();
    let code: Vec<&str> = source.code.lines().collect();
    let trait_impls = trait_impls(&tokens);
    let mut complaints = Vec::new();
    for (index, token) in tokens.iter().enumerate().filter(|(_, token)| token.text == "unsafe") {
        let (found, wanted) = match kind(&tokens, index) {
            Unsafe::Block => (said(&comments, &code, token.line, REACH, "SAFETY:"), "a `// SAFETY:` comment"),
            Unsafe::Declared if trait_impls.iter().any(|body| body.contains(&index)) => continue,
            Unsafe::Declared => {
                (said(&comments, &code, token.line, REACH, "# Safety"), "a `# Safety` section")
            }
            Unsafe::Other => continue,
        };
        if !found {
            let text = format!("`unsafe` without {wanted}");
            complaints.push(Complaint { path: source.path.clone(), line: token.line, text });
        }
    }
    complaints
}

pub(crate) fn ordering_without_reason(source: &Source) -> Vec<Complaint> {
    const STRONG: [&str; 4] = ["Acquire", "Release", "AcqRel", "SeqCst"];
    if source.path.ends_with("tests.rs") || source.path.components().any(|part| part.as_os_str() == "tests") {
        return Vec::new();
    }
    let comments: Vec<&str> = source.comments.lines().collect();
    let code: Vec<&str> = source.code.lines().collect();
    let mut complaints = Vec::new();
    let mut last_line = 0;
    let mut in_use = false;
    for token in tokens(&source.shipped) {
        match token.text {
            "use" => in_use = true,
            ";" => in_use = false,
            _ => {}
        }
        if in_use || token.line == last_line || !STRONG.contains(&token.text) {
            continue;
        }
        last_line = token.line;
        let explained = said(&comments, &code, token.line, REACH, "")
            || said_in_function(&comments, &code, token.line, token.text);
        if !explained {
            let text = format!("`{}` without a comment that says what it pairs with", token.text);
            complaints.push(Complaint { path: source.path.clone(), line: token.line, text });
        }
    }
    complaints
}

enum Unsafe {
    /// A block, an impl or an attribute.
    Block,
    /// A function, a method or a trait.
    Declared,
    /// A function pointer type, a block of foreign declarations (each of which has its own word), or no code at all
    /// but a token handed to a macro.
    Other,
}

/// What the `unsafe` at `index` begins.
fn kind(tokens: &[Token<'_>], index: usize) -> Unsafe {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut at = index + 1;
    if word(at) == "extern" {
        at += 1;
        // The name of the ABI, of which the quotes are left.
        while word(at) == "\"" {
            at += 1;
        }
    }
    match word(at) {
        "{" if at == index + 1 => Unsafe::Block,
        "impl" => Unsafe::Block,
        "(" if index > 0 && word(index - 1) == "[" => Unsafe::Block,
        "fn" if word(at + 1) != "(" => Unsafe::Declared,
        "trait" | "auto" => Unsafe::Declared,
        _ => Unsafe::Other,
    }
}

/// The bodies of `impl Trait for Type { .. }`, as ranges of tokens.
fn trait_impls(tokens: &[Token<'_>]) -> Vec<Range<usize>> {
    let mut bodies = Vec::new();
    for (index, _) in tokens.iter().enumerate().filter(|(_, token)| token.text == "impl") {
        let head = tokens[index..].iter().position(|token| matches!(token.text, "{" | ";"));
        let Some(open) = head.map(|length| index + length) else { continue };
        // `for<'a>` is no `for Type`.
        let of_a_trait =
            tokens[index..open].windows(2).any(|pair| pair[0].text == "for" && pair[1].text != "<");
        if of_a_trait && let Some(length) = closing(&tokens[open..]) {
            bodies.push(open..open + length);
        }
    }
    bodies
}

/// Whether a comment near `line` (from 1) contains `words`: on the line itself, or in the nearest comment above, with
/// at most `reach` lines of other code between. A comment counts as a whole, however long it is, and attributes do
/// not count as code.
fn said(comments: &[&str], code: &[&str], line: usize, reach: usize, words: &str) -> bool {
    let comment = |line: usize| comments[line - 1].trim();
    let says = |line: usize| !comment(line).is_empty() && comment(line).contains(words);
    if says(line) {
        return true;
    }
    let (mut above, mut between) = (line - 1, 0);
    while above > 0 && between <= reach {
        let own_line = code[above - 1].trim().is_empty();
        if says(above) {
            return true;
        }
        if !own_line && !code[above - 1].trim_start().starts_with("#[") {
            between += 1;
        }
        above -= 1;
    }
    false
}

/// Whether a comment between `line` (from 1) and the head of its function contains `word`.
fn said_in_function(comments: &[&str], code: &[&str], line: usize, word: &str) -> bool {
    let mut body = (0..line).rev().take_while(|index| !code[*index].contains("fn "));
    body.any(|index| comments[index].contains(word))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn complaints(rule: fn(&Source) -> Vec<Complaint>, text: &str) -> Vec<usize> {
        rule(&Source::new(Path::new("x.rs"), text.to_owned()))
            .iter()
            .map(|complaint| complaint.line)
            .collect()
    }

    #[test]
    fn unsafe_needs_its_comment() {
        let text = "fn f() {\n    // SAFETY: long\n    // enough.\n    unsafe { g() };\n    h(\n        unsafe { i() });\n}\n";
        assert_eq!(complaints(unsafe_without_reason, text), []);
        let far = "// SAFETY: far\na;\nb;\nc;\nd;\ne;\nunsafe { g() };\n";
        assert_eq!(complaints(unsafe_without_reason, far), [7]);
        assert_eq!(complaints(unsafe_without_reason, "unsafe impl Send for T {}\n"), [1]);
        assert_eq!(
            complaints(unsafe_without_reason, "/// # Safety\n/// x\nunsafe extern \"C\" fn f() {}\n"),
            []
        );
        assert_eq!(complaints(unsafe_without_reason, "/// Says nothing.\npub unsafe fn f() {}\n"), [2]);
        let method = "impl<T> Lock for Raw<T> where F: for<'a> G<'a> {\n    unsafe fn unlock(&self) {}\n}\n";
        assert_eq!(complaints(unsafe_without_reason, method), []);
        assert_eq!(complaints(unsafe_without_reason, "impl Raw {\n    unsafe fn unlock(&self) {}\n}\n"), [2]);
        assert_eq!(complaints(unsafe_without_reason, "type F = unsafe extern \"C\" fn(*const ());\n"), []);
        assert_eq!(complaints(unsafe_without_reason, "#[gort::test(unsafe(migrate))]\nfn f() {}\n"), []);
    }

    #[test]
    fn orderings_need_a_comment_outside_tests() {
        assert_eq!(complaints(ordering_without_reason, "a.load(Ordering::Acquire);\n"), [1]);
        assert_eq!(complaints(ordering_without_reason, "// Pairs with b.\na.load(Ordering::Acquire);\n"), []);
        assert_eq!(
            complaints(ordering_without_reason, "use Ordering::{Acquire, Relaxed};\na.load(Relaxed);\n"),
            []
        );
        let above = "// Acquire here and below.\na;\nb;\nc;\nd;\ne;\n";
        assert_eq!(complaints(ordering_without_reason, &format!("{above}a.load(Acquire);\n")), []);
        assert_eq!(complaints(ordering_without_reason, &format!("{above}a.store(Release);\n")), [7]);
        assert_eq!(
            complaints(ordering_without_reason, &format!("{above}fn f() {{\n a.load(Acquire);\n")),
            [8]
        );
        let test = "#[cfg(test)]\nmod tests { fn f() { a.load(Acquire); } }\n";
        assert_eq!(complaints(ordering_without_reason, test), []);
    }
}
