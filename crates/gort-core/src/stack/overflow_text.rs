//! The report of a stack overflow, written from the signal handler that finds it.
//!
//! Owns: the text, and the way to standard error. Does not know: signals, guard pages, how the process ends.
//!
//! ```text
//!   runtime: goroutine stack exceeds 262144-byte limit
//!   runtime: sp=0x7f32c4a00ff8 stack=[0x7f32c4a01000, 0x7f32c4a41000]
//!   runtime: give it a larger stack with Builder::stack_size or GORT_STACK, or recurse inside gort::maybe_grow
//!   fatal error: stack overflow
//!
//!   goroutine 18 [running labels:{"name": "worker"}]:
//!   pc=0x55d0c1a2b3c4
//! ```
//!
//! Invariants:
//! 1. Everything is async-signal-safe: the text is put together in a buffer on the (alternate) stack by plain stores, and
//!    written by `write(2)` alone. No allocation, no lock, no formatting machinery, no panic, 1 KiB of stack.
//! 2. A text that does not fit is cut, never dropped: the longest part, the name, is bounded first.

use std::ops::Range;

/// What overflowed.
#[derive(Clone, Debug)]
pub(crate) struct Overflow<'a> {
    /// The goroutine's id; 0 if it was the machine's own stack.
    pub(crate) goroutine: u64,
    /// Its name.
    pub(crate) name: Option<&'a str>,
    /// The instruction that touched the guard.
    pub(crate) pc: usize,
    /// The stack pointer at that moment.
    pub(crate) sp: usize,
    /// The usable stack, without its guard.
    pub(crate) stack: Range<usize>,
}

impl Overflow<'_> {
    /// Writes the report to standard error, as one write if the system takes it as one.
    pub(crate) fn report(&self) {
        let mut text = SignalText::new();
        self.write_to(&mut text);
        text.flush_to(libc::STDERR_FILENO);
    }

    fn write_to(&self, text: &mut SignalText) {
        let whose = if self.goroutine == 0 { "system" } else { "goroutine" };
        text.str("runtime: ").str(whose).str(" stack exceeds ");
        text.dec(self.stack.end.wrapping_sub(self.stack.start) as u64).str("-byte limit\n");
        text.str("runtime: sp=").hex(self.sp).str(" stack=[").hex(self.stack.start).str(", ");
        text.hex(self.stack.end).str("]\n");
        if self.goroutine != 0 {
            text.str("runtime: give it a larger stack with Builder::stack_size or GORT_STACK, ");
            text.str("or recurse inside gort::maybe_grow\n");
        }
        text.str("fatal error: stack overflow\n");
        if self.goroutine != 0 {
            text.str("\ngoroutine ").dec(self.goroutine).str(" [running");
            if let Some(name) = self.name {
                text.str(" labels:{\"name\": ").quoted(name, NAME_BYTES).str("}");
            }
            text.str("]:\n");
        }
        text.str("pc=").hex(self.pc).str("\n");
    }
}

/// How much of a name is shown.
const NAME_BYTES: usize = 64;

const CAPACITY: usize = 768;

/// A text under construction that needs nothing but its own memory. What does not fit is cut off.
pub(crate) struct SignalText {
    buffer: [u8; CAPACITY],
    len: usize,
}

impl SignalText {
    /// An empty text.
    pub(crate) const fn new() -> SignalText {
        SignalText { buffer: [0; CAPACITY], len: 0 }
    }

    /// Appends a string.
    pub(crate) fn str(&mut self, text: &str) -> &mut Self {
        text.as_bytes().iter().for_each(|byte| self.byte(*byte));
        self
    }

    /// Appends a number in decimal.
    pub(crate) fn dec(&mut self, number: u64) -> &mut Self {
        self.digits(number, 10)
    }

    /// Appends a number in hexadecimal, with `0x`.
    pub(crate) fn hex(&mut self, number: usize) -> &mut Self {
        self.str("0x").digits(number as u64, 16)
    }

    /// Appends at most `limit` bytes of a string, in quotes, with Go's escapes for what would break a header line.
    pub(crate) fn quoted(&mut self, text: &str, limit: usize) -> &mut Self {
        self.byte(b'"');
        for byte in text.as_bytes().iter().take(limit) {
            match byte {
                b' '..=b'~' if !matches!(byte, b'"' | b'\\' | b']') => self.byte(*byte),
                _ => {
                    self.str("\\x");
                    self.nibble(byte >> 4);
                    self.nibble(byte & 15);
                }
            }
        }
        if text.len() > limit {
            self.str("...");
        }
        self.byte(b'"');
        self
    }

    /// What has been appended.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }

    /// Writes the text to a descriptor, and empties it. Gives up on an error other than an interruption: there is nobody
    /// to tell.
    pub(crate) fn flush_to(&mut self, fd: libc::c_int) {
        let mut rest = self.as_bytes();
        while !rest.is_empty() {
            // SAFETY: the bytes are initialised and stay in place during the call.
            let written = unsafe { libc::write(fd, rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(written) {
                Ok(0) => break,
                Ok(written) => rest = rest.get(written..).unwrap_or(&[]),
                Err(_) if interrupted() => {}
                Err(_) => break,
            }
        }
        self.len = 0;
    }

    fn byte(&mut self, byte: u8) {
        if let Some(slot) = self.buffer.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
    }

    fn nibble(&mut self, value: u8) {
        self.byte(if value < 10 { b'0' + value } else { b'a' - 10 + value });
    }

    fn digits(&mut self, number: u64, base: u64) -> &mut Self {
        let mut unit = 1;
        while number / unit >= base {
            unit *= base;
        }
        while unit > 0 {
            self.nibble((number / unit % base) as u8);
            unit /= base;
        }
        self
    }
}

/// Whether the system call that has just failed on this thread was interrupted by a signal.
fn interrupted() -> bool {
    // SAFETY: errno's place is valid in every thread, signal handlers included; no switch lies between it and the call.
    unsafe { *libc::__errno_location() == libc::EINTR }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(overflow: &Overflow<'_>) -> String {
        let mut text = SignalText::new();
        overflow.write_to(&mut text);
        String::from_utf8(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn reports_a_goroutine() {
        let (name, stack) = (Some("worker"), 0x7000_0000..0x7004_0000);
        let overflow = Overflow { goroutine: 18, name, pc: 0x55d0_c1a2, sp: 0x6fff_fff8, stack };
        assert_eq!(
            text_of(&overflow),
            "runtime: goroutine stack exceeds 262144-byte limit\n\
             runtime: sp=0x6ffffff8 stack=[0x70000000, 0x70040000]\n\
             runtime: give it a larger stack with Builder::stack_size or GORT_STACK, \
             or recurse inside gort::maybe_grow\n\
             fatal error: stack overflow\n\n\
             goroutine 18 [running labels:{\"name\": \"worker\"}]:\n\
             pc=0x55d0c1a2\n"
        );
        assert!(text_of(&Overflow { name: None, ..overflow }).contains("\ngoroutine 18 [running]:\n"));
    }

    #[test]
    fn reports_a_machine() {
        let overflow = Overflow { goroutine: 0, name: None, pc: 1, sp: 2, stack: 3..10 };
        assert_eq!(
            text_of(&overflow),
            "runtime: system stack exceeds 7-byte limit\nruntime: sp=0x2 stack=[0x3, 0xa]\n\
             fatal error: stack overflow\npc=0x1\n"
        );
    }

    #[test]
    fn numbers() {
        for number in [0, 1, 9, 10, 11, 99, 100, 12_345, u64::MAX / 10, u64::MAX - 1, u64::MAX] {
            let mut text = SignalText::new();
            text.dec(number).str(" ").hex(number as usize);
            assert_eq!(text.as_bytes(), format!("{number} {number:#x}").as_bytes());
        }
    }

    #[test]
    fn names_can_not_break_the_header() {
        let mut text = SignalText::new();
        text.quoted("a\"]\\\n\u{e9}", 64).quoted("0123456789", 4);
        assert_eq!(text.as_bytes(), br#""a\x22\x5d\x5c\x0a\xc3\xa9""0123...""#);
    }

    #[test]
    fn the_longest_report_fits_and_anything_longer_is_cut() {
        let name = "\n".repeat(1000);
        let max = usize::MAX;
        let overflow = Overflow { goroutine: u64::MAX, name: Some(&name), pc: max, sp: max, stack: 1..max };
        let text = text_of(&overflow);
        assert!(text.len() < CAPACITY && text.ends_with("pc=0xffffffffffffffff\n"), "{}", text.len());
        let mut text = SignalText::new();
        text.str(&"x".repeat(2000)).str("y").dec(1);
        assert_eq!(text.as_bytes(), "x".repeat(CAPACITY).as_bytes());
    }
}
