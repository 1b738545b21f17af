//! What is printed when the process dies of something that only the whole runtime can know: Go's texts, then the dump.
//!
//! Owns: the texts around a dump. Does not know: when they are due, and how the process ends (with status 2).
//! The report of a stack overflow is not here: it is written from a signal handler, where nothing of this room may be used,
//! and so lives beside the stacks in the core.

use std::fmt;

use super::Dump;
use super::format::Traceback;

/// A fatal error with the dump that belongs to it.
pub(crate) struct Fatal<'a> {
    /// The text after `fatal error: `: for a deadlock, `gort_core::deadlock::Deadlock::text`.
    pub(crate) message: &'a str,
    /// The goroutine to blame, if there is one.
    pub(crate) current: Option<u64>,
    /// All goroutines.
    pub(crate) dump: &'a Dump,
    /// How many of them to show.
    pub(crate) traceback: Traceback,
}

impl fmt::Display for Fatal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "fatal error: {}", self.message)?;
        match self.traceback.options(self.dump, self.current) {
            Some(options) if !self.dump.goroutines.is_empty() => write!(f, "\n{}", self.dump.show(options)),
            _ => Ok(()),
        }
    }
}
