//! Counting words: plain functions over bytes. Knows neither files nor goroutines.
//!
//! A word is a maximal run of letters and digits of any script, with apostrophes inside (`don't` is one word), in lower
//! case. Bytes that are not UTF-8 separate words. A text may be given in pieces, if it is cut where
//! [`last_cut`] says: counting the pieces then equals counting the whole.

use std::collections::HashMap;

/// How often each word occurs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    words: HashMap<String, u64>,
}

impl Counts {
    /// Counts the words of `text`.
    pub(crate) fn add_text(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        for word in words(&text) {
            self.add_word(word);
        }
    }

    fn add_word(&mut self, word: &str) {
        // Most words are known and in lower case already; those cost no allocation.
        let has_upper = word.chars().any(|c| !c.is_ascii_lowercase() && !c.is_ascii_digit());
        if !has_upper && let Some(count) = self.words.get_mut(word) {
            *count += 1;
        } else {
            *self.words.entry(word.to_lowercase()).or_default() += 1;
        }
    }

    /// Takes the counts of `other` over.
    pub(crate) fn merge(&mut self, other: Counts) {
        if self.words.is_empty() {
            *self = other;
            return;
        }
        for (word, count) in other.words {
            *self.words.entry(word).or_default() += count;
        }
    }

    /// The number of different words.
    pub(crate) fn distinct(&self) -> usize {
        self.words.len()
    }

    /// The number of words.
    pub(crate) fn total(&self) -> u64 {
        self.words.values().sum()
    }

    /// The `n` most frequent words, the most frequent first, equally frequent ones in alphabetical order.
    pub(crate) fn top(&self, n: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<_> = self.words.iter().map(|(word, &count)| (word.as_str(), count)).collect();
        all.sort_unstable_by(|(word_a, a), (word_b, b)| b.cmp(a).then_with(|| word_a.cmp(word_b)));
        all.truncate(n);
        all
    }
}

/// Whether a file that begins with `head` is taken for a binary one: it has a zero byte early on.
pub(crate) fn is_binary(head: &[u8]) -> bool {
    head.iter().take(8192).any(|&byte| byte == 0)
}

/// Where `text` may be cut so that no word is: behind its last ASCII byte that no word has, or `None` without such a
/// byte. An ASCII byte is never part of a longer UTF-8 sequence, so that no character is cut either.
pub(crate) fn last_cut(text: &[u8]) -> Option<usize> {
    let separates = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric() && *byte != b'\'';
    text.iter().rposition(separates).map(|at| at + 1)
}

/// Where `text` may be cut so that no character is, though perhaps a word: before its last character.
pub(crate) fn last_character(text: &[u8]) -> usize {
    text.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or(text.len())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '\'' || c == '’';
    text.split(move |c| !is_part(c))
        .map(|word| word.trim_matches(['\'', '’']))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &[u8]) -> Counts {
        let mut counts = Counts::default();
        counts.add_text(text);
        counts
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        let counts = count("The cat, the 'Cat': don't! ÉTÉ été 42 ''".as_bytes());
        assert_eq!(counts.top(3), [("cat", 2), ("the", 2), ("été", 2)]);
        assert_eq!((counts.total(), counts.distinct()), (8, 5));
    }

    #[test]
    fn bytes_that_are_not_utf8_separate_words() {
        assert_eq!(count(b"one\xfftwo"), count(b"one two"));
    }

    #[test]
    fn merging_adds() {
        let mut merged = count(b"a b");
        merged.merge(count(b"b c"));
        assert_eq!(merged, count(b"a b b c"));
    }

    #[test]
    fn pieces_cut_between_words_count_like_the_whole() {
        let text = "Ünïcödé  wörds\n\u{3000}and é\u{ff}é don't {\"a\":[1,2.5]}\0x \u{1F600} end".as_bytes();
        for split in 0..text.len() {
            let cut = last_cut(&text[..split]).unwrap_or(0);
            let mut pieces = count(&text[..cut]);
            pieces.merge(count(&text[cut..]));
            assert_eq!(pieces, count(text), "cut at {cut}");
        }
    }

    #[test]
    fn no_character_is_cut() {
        assert_eq!(last_character("aé".as_bytes()), 1);
        assert_eq!(last_character("né\u{1F600}".as_bytes()), 3);
        assert_eq!(last_character(b"ab"), 1);
        assert_eq!(last_character(b"\x80\x80"), 2);
    }

    #[test]
    fn a_zero_byte_marks_a_binary_file() {
        assert!(is_binary(b"ELF\0"));
        assert!(!is_binary("été".as_bytes()));
        assert!(!is_binary(b""));
    }
}
