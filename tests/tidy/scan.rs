//! Reading Rust as text: code apart from comments and literals, and test code apart from the rest.
//!
//! The text is split into layers of equal length, so that a position means the same in all of them:
//!
//! ```text
//!   text       let n = "a // b"; // why
//!   code       let n = "      ";              literals and comments are blanks
//!   comments                     // why
//!   shipped    code without the items under #[cfg(test)]
//! ```
//!
//! This is no parser. It knows strings, raw strings, characters (told from lifetimes), nested comments and brackets,
//! and nothing of types or macros.

use std::fs;
use std::path::{Path, PathBuf};

/// One file, in layers.
pub(crate) struct Source {
    /// Relative to the repository.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) code: String,
    pub(crate) comments: String,
    pub(crate) shipped: String,
}

impl Source {
    pub(crate) fn read(root: &Path, path: &Path) -> Source {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Source::new(path.strip_prefix(root).unwrap_or(path), text)
    }

    pub(crate) fn new(path: &Path, text: String) -> Source {
        let (code, comments) = layers(&text);
        let shipped = without_tests(&code);
        Source { path: path.to_owned(), text, code, comments, shipped }
    }
}

/// A word or a single character of code, with its line (from 1) and its place in the layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
    pub(crate) at: usize,
}

/// The tokens of a layer of code: words, `::`, and every other character on its own.
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let bytes = code.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let end = match bytes[at] {
            b'\n' => {
                line += 1;
                at += 1;
                continue;
            }
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            byte if is_word(byte) => word_end(bytes, at),
            b':' if bytes.get(at + 1) == Some(&b':') => at + 2,
            _ => at + 1,
        };
        tokens.push(Token { text: &code[at..end], line, at });
        at = end;
    }
    tokens
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn word_end(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| is_word(**byte)).count()
}

/// Code and comments, each with blanks where the other stands. Bytes outside ASCII become blanks in both: the rules
/// look for ASCII words only.
fn layers(text: &str) -> (String, String) {
    let bytes = text.as_bytes();
    let blank = |byte: &u8| if *byte == b'\n' { b'\n' } else { b' ' };
    let mut code: Vec<u8> = bytes.iter().map(blank).collect();
    let mut comments = code.clone();
    let mut at = 0;
    while at < bytes.len() {
        let piece = Piece::at(bytes, at);
        let (layer, from, to) = match piece {
            Piece::Code(end) => (&mut code, at, end),
            Piece::Comment(end) => (&mut comments, at, end),
            Piece::Literal(end) => {
                // The delimiters stay, so that `f("x")` does not read as `f()`.
                code[at] = b'"';
                code[end - 1] = b'"';
                at = end;
                continue;
            }
        };
        for place in from..to {
            if bytes[place].is_ascii() {
                layer[place] = bytes[place];
            }
        }
        at = to;
    }
    let ascii = "only ASCII was copied";
    (String::from_utf8(code).expect(ascii), String::from_utf8(comments).expect(ascii))
}

/// What starts at a position, and where it ends.
enum Piece {
    Code(usize),
    Comment(usize),
    Literal(usize),
}

impl Piece {
    fn at(bytes: &[u8], at: usize) -> Piece {
        let rest = &bytes[at..];
        match rest {
            [b'/', b'/', ..] => Piece::Comment(at + rest.iter().take_while(|byte| **byte != b'\n').count()),
            [b'/', b'*', ..] => Piece::Comment(block_comment_end(bytes, at)),
            [b'"', ..] => Piece::Literal(string_end(bytes, at)),
            [b'\'', ..] => match character_end(bytes, at) {
                Some(end) => Piece::Literal(end),
                None => Piece::Code(at + 1),
            },
            [byte, ..] if is_word(*byte) => {
                let end = word_end(bytes, at);
                // A prefix belongs to its literal: b"", c"", r"", br"", cr"", b''.
                match (&bytes[at..end], bytes.get(end)) {
                    (b"r" | b"br" | b"cr", Some(b'"' | b'#')) => match raw_string_end(bytes, end) {
                        Some(end) => Piece::Literal(end),
                        None => Piece::Code(end),
                    },
                    (b"b" | b"c", Some(b'"')) => Piece::Literal(string_end(bytes, end)),
                    (b"b", Some(b'\'')) => Piece::Literal(character_end(bytes, end).unwrap_or(end)),
                    _ => Piece::Code(end),
                }
            }
            _ => Piece::Code(at + 1),
        }
    }
}

fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut end) = (0, at);
    while end < bytes.len() {
        match &bytes[end..] {
            [b'/', b'*', ..] => (depth, end) = (depth + 1, end + 2),
            [b'*', b'/', ..] => (depth, end) = (depth - 1, end + 2),
            _ => end += 1,
        }
        if depth == 0 {
            break;
        }
    }
    end
}

fn string_end(bytes: &[u8], quote: usize) -> usize {
    let mut end = quote + 1;
    while end < bytes.len() && bytes[end] != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    (end + 1).min(bytes.len())
}

/// From the hashes or the quote after `r`. `None` if it is a raw identifier.
fn raw_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at..].iter().take_while(|byte| **byte == b'#').count();
    let open = at + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = open + 1;
    let length = bytes[body..].windows(close.len()).position(|window| window == close);
    Some(length.map_or(bytes.len(), |length| body + length + close.len()))
}

/// `None` if the quote begins a lifetime.
fn character_end(bytes: &[u8], quote: usize) -> Option<usize> {
    match bytes.get(quote + 1)? {
        b'\\' => {
            let close = bytes.get(quote + 3..)?.iter().position(|byte| *byte == b'\'')?;
            Some(quote + 3 + close + 1)
        }
        _ => {
            // One character of any width stands between the quotes of a literal.
            let width = bytes[quote + 2..].iter().take_while(|byte| (**byte & 0xC0) == 0x80).count();
            let close = quote + 2 + width;
            (bytes.get(close) == Some(&b'\'')).then_some(close + 1)
        }
    }
}

/// Code with every item under a `#[cfg(..test..)]` made blank.
fn without_tests(code: &str) -> String {
    let mut bytes = code.as_bytes().to_vec();
    let tokens = tokens(code);
    let mut next = 0;
    while next < tokens.len() {
        match test_attribute(&tokens[next..]) {
            Some(length) => {
                let last = item_end(&tokens, next + length);
                let to = tokens.get(last).map_or(code.len(), |token| token.at + token.text.len());
                bytes[tokens[next].at..to]
                    .iter_mut()
                    .filter(|byte| **byte != b'\n')
                    .for_each(|byte| *byte = b' ');
                next = last + 1;
            }
            None => next += 1,
        }
    }
    String::from_utf8(bytes).expect("blanks are ASCII")
}

/// Whether `tokens` begin with `#[cfg(..)]` that wants `test`, and over how many of them it goes.
pub(crate) fn test_attribute(tokens: &[Token<'_>]) -> Option<usize> {
    let words: Vec<&str> = tokens.iter().take(4).map(|token| token.text).collect();
    if words != ["#", "[", "cfg", "("] {
        return None;
    }
    let length = 1 + closing(&tokens[1..])? + 1;
    let condition: Vec<&str> = tokens[..length].iter().map(|token| token.text).collect();
    let wants =
        condition.contains(&"test") && !condition.windows(3).any(|words| words == ["not", "(", "test"]);
    wants.then_some(length)
}

/// The index of the token that ends the item at `start`: its `;`, or the end of its body.
fn item_end(tokens: &[Token<'_>], start: usize) -> usize {
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        match token.text {
            ";" | "," | "}" => return at,
            "{" => return at + closing(&tokens[at..]).unwrap_or(0),
            "(" | "[" => at += closing(&tokens[at..]).unwrap_or(0),
            _ => {}
        }
        at += 1;
    }
    tokens.len()
}

/// The index of the bracket that closes the one at the front of `tokens`.
pub(crate) fn closing(tokens: &[Token<'_>]) -> Option<usize> {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(Path::new("x.rs"), text.to_owned())
    }

    #[test]
    fn strings_and_comments_are_no_code() {
        let source =
            source(r###"let a = "unsafe // \" {"; /* b /* c */ d */ let e = r#"f "g" unsafe"#; // unsafe"###);
        assert!(!source.code.contains("unsafe"));
        assert!(source.code.contains("let e = "));
        assert!(source.comments.contains("/* b /* c */ d */"));
        assert!(source.comments.ends_with("// unsafe"));
        assert_eq!(source.code.len(), source.text.len());
    }

    #[test]
    fn characters_are_told_from_lifetimes() {
        let source =
            source(r"fn f<'a>(x: &'a str) { g('a', '\'', '\u{1F600}', 'ß', b'\\', 'x'); 'outer: loop {} }");
        let code = source.code;
        assert!(code.contains("<'a>(x: &'a str)"), "{code}");
        assert!(code.contains("'outer: loop {}"), "{code}");
        assert_eq!(code.matches(',').count(), 5, "{code}");
    }

    #[test]
    fn test_items_are_not_shipped() {
        let source = source(
            "use a;\n#[cfg(test)]\nuse b::{c};\n#[cfg(all(test, loom))]\n#[path = \"x\"]\nmod tests { fn d() { } }\nfn e() {}\n\
             #[cfg(not(test))]\nfn f() {}",
        );
        let words: Vec<&str> = tokens(&source.shipped).into_iter().map(|token| token.text).collect();
        let words = words.join(" ");
        assert_eq!(words, "use a ; ; fn e ( ) { } # [ cfg ( not ( test ) ) ] fn f ( ) { }");
    }
}
