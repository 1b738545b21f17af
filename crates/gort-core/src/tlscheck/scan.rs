//! The look through a stack: every word between the stack pointer and the top, against what only the old thread has.
//!
//! Conservative, as a garbage collector that knows no types: a word that looks like an address is taken for one. What
//! lies in a slot that is not used any more is found as well. Two things keep that rare: a pointer to what looks like an
//! `Rc` counts only while somebody besides the thread-local holds it, and the reporter passes over words in frames that
//! are not the program's own.

use std::ops::Range;
use std::ptr;
use std::sync::atomic::Ordering;

use crate::g::G;

/// How much of a stack is looked through.
const STACK_BYTES: usize = 64 * 1024;

/// The switch saves the registers `rbx` and `rbp` below the stack pointer that a park notes.
const SAVED_BELOW: usize = 16;

/// What a word on a goroutine's stack refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A place inside the thread's block of thread-locals.
    Address,
    /// Something on the heap that a thread-local points to as well.
    Shared,
}

/// A word on a goroutine's stack that belongs to its old thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Where it is.
    pub at: usize,
    /// What it is.
    pub value: usize,
    /// What it refers to.
    pub kind: Kind,
    /// Where the thread-local is, or the one that has the same pointer: how far from the start of the program's segment
    /// of thread-locals.
    pub offset: usize,
}

/// Pointers in a thread's thread-locals that are looked for; more are passed over.
const POINTERS: usize = 256;

/// What belongs to a thread.
pub(super) struct Marks {
    block: Range<usize>,
    /// Pointers, and where they are in the block.
    pointers: [(usize, usize); POINTERS],
    len: usize,
}

/// The words found. If there are many: the innermost, and the outermost, which calls that have returned are least likely to
/// have left.
pub(super) struct Words {
    words: [Word; WORDS],
    /// How many there were in all.
    seen: usize,
}

const WORDS: usize = 64;
const INNERMOST: usize = 16;

/// The part of the stack of `g`, which waits, that is in use.
pub(super) fn live_stack(g: &G) -> Range<usize> {
    let bounds = g.stack_low.load(Ordering::Relaxed)..g.stack_high.load(Ordering::Relaxed);
    let sp = g.context.sp.load(Ordering::Relaxed);
    match bounds.contains(&sp) {
        true => sp - SAVED_BELOW..bounds.end.min(sp + STACK_BYTES),
        false => bounds.end..bounds.end,
    }
}

impl Marks {
    pub(super) fn new(block: Range<usize>) -> Marks {
        Marks { block, pointers: [(0, 0); POINTERS], len: 0 }
    }

    pub(super) fn add(&mut self, pointer: usize, offset: usize) {
        if let Some(slot) = self.pointers.get_mut(self.len) {
            *slot = (pointer, offset);
            self.len += 1;
        }
    }

    fn meaning_of(&self, word: usize) -> Option<(Kind, usize)> {
        if self.block.contains(&word) {
            return Some((Kind::Address, word - self.block.start));
        }
        let (pointer, offset) = self.pointers[..self.len].iter().find(|(pointer, _)| *pointer == word)?;
        is_held(*pointer).then_some((Kind::Shared, *offset))
    }

    /// The words in `stack`, of a goroutine that the caller owns, that are the thread's.
    pub(super) fn scan(&self, stack: &Range<usize>) -> Words {
        let mut words = Words::none();
        let all = self.pointers[..self.len].iter().map(|(pointer, _)| *pointer).chain([self.block.start]);
        let (least, most) = (all.clone().min().unwrap_or(0), all.max().unwrap_or(0).max(self.block.end));
        for at in stack.clone().step_by(size_of::<usize>()) {
            let value = word_at(at);
            if value >= least
                && value <= most
                && let Some((kind, offset)) = self.meaning_of(value)
            {
                words.add(Word { at, value, kind, offset });
            }
        }
        words
    }
}

/// A word of memory that is mapped, and that others may be writing to.
pub(super) fn word_at(at: usize) -> usize {
    // SAFETY: the callers pass aligned addresses in stacks and in blocks of thread-locals of live threads; volatile, since
    // the compiler knows nothing of what is there.
    unsafe { ptr::with_exposed_provenance::<usize>(at).read_volatile() }
}

/// Whether what a thread-local points to is held by somebody else too. An `Rc` counts its holders in its first word, and
/// the weak ones and one more in the second: with 1 and 1 the thread-local is the only one, and the word on the stack is
/// left over from a handle that is gone. What is no `Rc` can not be asked.
fn is_held(pointer: usize) -> bool {
    let mut counts = [0usize; 2];
    let local = libc::iovec { iov_base: (&raw mut counts).cast(), iov_len: size_of_val(&counts) };
    let remote =
        libc::iovec { iov_base: ptr::without_provenance_mut(pointer), iov_len: size_of_val(&counts) };
    // By system call, for the old thread may be freeing it right now, and a load could fault.
    // SAFETY: both descriptions are of 16 bytes; the kernel checks the remote ones, and fills the local ones, which are ours.
    match unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) } {
        // Not allowed to look (EPERM, ENOSYS): it may be. Nothing there (EFAULT): a number, or freed.
        -1 => std::io::Error::last_os_error().raw_os_error() != Some(libc::EFAULT),
        _ => counts != [1, 1],
    }
}

impl Words {
    fn none() -> Words {
        Words { words: [Word { at: 0, value: 0, kind: Kind::Address, offset: 0 }; WORDS], seen: 0 }
    }

    fn add(&mut self, word: Word) {
        let at = match self.seen {
            seen if seen < WORDS => seen,
            seen => INNERMOST + (seen - INNERMOST) % (WORDS - INNERMOST),
        };
        self.words[at] = word;
        self.seen += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seen == 0
    }

    pub(super) fn as_slice(&self) -> &[Word] {
        &self.words[..self.seen.min(WORDS)]
    }

    /// A number for the place: the same for every goroutine that stands at `pc`, as deep, with the same slots taken.
    pub(super) fn place(&self, pc: usize, stack: &Range<usize>) -> u64 {
        let slots = self.as_slice().iter().map(|word| stack.end - word.at);
        [pc, stack.len()].into_iter().chain(slots).fold(0, |hash, n| mix(hash ^ n as u64))
    }
}

/// Spreads a number over all bits (the last step of splitmix64).
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use std::rc::Rc;

    use super::{Kind, Marks, is_held, word_at};

    #[test]
    fn finds_addresses_and_pointers_and_nothing_else() {
        let boxed = Box::new([7usize, 7]);
        let pointer = (&raw const *boxed).addr();
        let mut marks = Marks::new(0x7000..0x8000);
        marks.add(pointer, 16);
        let stack = [0usize, 0x7000, 0x6fff, 0x7fff, 0x8000, pointer, pointer + 8];
        let start = stack.as_ptr().expose_provenance();
        let words = marks.scan(&(start..start + size_of_val(&stack)));
        let found: Vec<_> =
            words.as_slice().iter().map(|word| ((word.at - start) / 8, word.kind, word.offset)).collect();
        assert_eq!(found, [(1, Kind::Address, 0), (3, Kind::Address, 0xfff), (5, Kind::Shared, 16)]);
        assert_eq!(word_at(start + 8), 0x7000);
    }

    #[test]
    fn of_many_words_the_first_and_the_last_are_kept() {
        let marks = Marks::new(0x7000..0x8000);
        let stack: Vec<usize> = (0..200).map(|n| 0x7000 + n).collect();
        let start = stack.as_ptr().expose_provenance();
        let words = marks.scan(&(start..start + 200 * size_of::<usize>()));
        let mut kept: Vec<_> = words.as_slice().iter().map(|word| word.offset).collect();
        kept.sort_unstable();
        assert_eq!(kept, (0..16).chain(200 - 48..200).collect::<Vec<_>>());
    }

    #[test]
    fn an_rc_is_held_while_there_are_two() {
        let one = Rc::new(5u32);
        // The counts stand before the value.
        let counts = Rc::as_ptr(&one).addr() - 16;
        assert!(!is_held(counts));
        let two = Rc::clone(&one);
        assert!(is_held(counts));
        drop(two);
        assert!(!is_held(counts));
        let weak = Rc::downgrade(&one);
        assert!(is_held(counts), "a weak one can become a strong one");
        drop(weak);
    }

    #[test]
    fn what_is_not_there_is_not_held() {
        assert!(!is_held(1 << 20));
    }
}
