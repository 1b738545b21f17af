//! What signals are called: numbers to Go's words. Knows no signal's meaning.

use std::fmt;

/// A signal as Go prints it: `interrupt`, `user defined signal 1`, and `signal 28` where Go has no words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) i32);

const WORDS: [&str; 15] = [
    "hangup",
    "interrupt",
    "quit",
    "illegal instruction",
    "trace/breakpoint trap",
    "aborted",
    "bus error",
    "floating point exception",
    "killed",
    "user defined signal 1",
    "segmentation fault",
    "user defined signal 2",
    "broken pipe",
    "alarm clock",
    "terminated",
];

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = usize::try_from(self.0).ok().and_then(|number| WORDS.get(number.checked_sub(1)?));
        match words {
            Some(words) => f.write_str(words),
            None => write!(f, "signal {}", self.0),
        }
    }
}

/// A set of signals: bit n-1 stands for signal n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set(pub(crate) u64);

impl Set {
    pub(crate) fn one(signal: i32) -> Set {
        debug_assert!((1..=64).contains(&signal));
        Set(1 << (signal - 1))
    }

    pub(crate) fn has(self, signal: i32) -> bool {
        self.0 & Set::one(signal).0 != 0
    }

    pub(crate) fn with(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    pub(crate) fn without(self, other: Set) -> Set {
        Set(self.0 & !other.0)
    }

    /// The signals, by number.
    pub(crate) fn iter(self) -> impl Iterator<Item = i32> {
        (1..=64).filter(move |&signal| self.has(signal))
    }
}

/// As Go prints a list of them: `[hangup interrupt]`.
impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (nth, signal) in self.iter().enumerate() {
            let gap = if nth == 0 { "" } else { " " };
            write!(f, "{gap}{}", Name(signal))?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_go_s() {
        let names = [1, 2, 15, 16, 28, 64, 0, -3].map(|signal| Name(signal).to_string());
        let words = ["hangup", "interrupt", "terminated", "signal 16", "signal 28", "signal 64", "signal 0"];
        assert_eq!(names[..7], words);
        assert_eq!(names[7], "signal -3");
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let set = Set::one(2).with(Set::one(1)).with(Set::one(64));
        assert_eq!(set.to_string(), "[hangup interrupt signal 64]");
        assert_eq!(set.without(Set::one(1)).iter().collect::<Vec<_>>(), [2, 64]);
        assert_eq!(Set::default().to_string(), "[]");
    }
}
