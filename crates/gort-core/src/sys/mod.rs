//! What the operating system and the language give us, made uniform: atomics (std's, or loom's under
//! `--cfg loom`), the futex, the per-thread word, pages. No policy lives here.

pub(crate) mod atomic;
pub(crate) mod door;
#[cfg(not(loom))]
pub(crate) mod futex;
#[cfg(loom)]
#[path = "futex_model.rs"]
pub(crate) mod futex;
pub(crate) mod mem;
pub(crate) mod membarrier;
#[cfg(loom)]
pub(crate) mod model;
pub(crate) mod thread;
pub(crate) mod thread_clock;
#[cfg(loom)]
pub(crate) mod waiters;
pub(crate) mod word;

use std::fmt;

/// The runtime is broken, or can not go on: says so in Go's form and ends the process with status 2.
///
/// Writes from a buffer on the stack straight to descriptor 2: it may be called with any lock held.
#[cold]
pub(crate) fn throw(what: fmt::Arguments<'_>) -> ! {
    warn(format_args!("fatal error: {what}"));
    // SAFETY: _exit takes no pointers and does not return.
    unsafe { libc::_exit(2) }
}

/// Writes a line to stderr, with no lock taken and nothing allocated.
#[cold]
pub(crate) fn warn(what: fmt::Arguments<'_>) {
    use fmt::Write;
    let mut line = Line { text: [0; 512], len: 0 };
    let _ = writeln!(line, "{what}");
    line.flush();
}

/// A line in a fixed buffer; what does not fit is cut off.
struct Line {
    text: [u8; 512],
    len: usize,
}

impl Line {
    fn flush(&self) {
        crate::stderr::write(&self.text[..self.len]);
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = self.text.len() - self.len;
        let n = s.len().min(room);
        self.text[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}
