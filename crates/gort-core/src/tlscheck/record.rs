//! What is known of a machine's thread: where its thread-locals are, and whether they still are.
//!
//! Those of the program itself, std's among them, lie directly below the thread pointer, at the same distance for all
//! threads. Beyond it, at the pointer, the C library keeps its own description of the thread.
//! ```text
//!                         start                  thread pointer (%fs:0)
//!      │ of shared libraries │ of the program       │ C library's │
//! ```
//! Thread-locals of shared libraries are not looked for: what Rust code has to do with them, such as `errno`, it does in
//! passing, and leaves addresses behind on the stack.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::scan::{Marks, word_at};
use crate::lock::Spin;
use crate::m::M;

/// A machine's thread. Never freed, and never used for another: a few dozen bytes for each thread ever made, while the
/// check is on.
pub(crate) struct Record {
    machine: &'static M,
    /// The program's thread-locals, up to and including the thread pointer.
    block: Range<usize>,
    /// Under the lock the block is not unmapped.
    alive: Spin<bool>,
    ended: AtomicBool,
}

thread_local! {
    static THIS: Cell<*const Record> = const { Cell::new(ptr::null()) };
}

/// The calling thread's record, or null. Not inlined, so that nobody keeps the address of the thread-local.
#[inline(never)]
pub(crate) fn this_thread() -> *const Record {
    THIS.get()
}

/// Marks the end of the thread when it is dropped.
pub(crate) struct Ending(&'static Record);

impl Record {
    /// A record for the calling thread, which is the machine's; none if nothing is checked.
    #[inline(never)]
    pub(crate) fn of_this_thread(machine: &'static M) -> Option<Ending> {
        if !super::on() {
            return None;
        }
        let pointer = thread_pointer();
        let record = Box::leak(Box::new(Record {
            machine,
            // The pointer itself as well: with some flags the compiler keeps it, and adds the rest later.
            block: pointer - layout().below..pointer + 1,
            alive: Spin::new(true),
            ended: AtomicBool::new(false),
        }));
        THIS.set(record);
        Some(Ending(record))
    }

    /// The machine whose thread it was. The machine may have another by now.
    pub(crate) fn machine(&self) -> &'static M {
        self.machine
    }

    /// Its thread-locals are gone, or about to go.
    pub(crate) fn has_ended(&self) -> bool {
        // Relaxed: a hint; what reads the block asks under the lock.
        self.ended.load(Ordering::Relaxed)
    }

    /// What on a goroutine's stack would be this thread's.
    pub(super) fn marks(&self, stack: &Range<usize>) -> Marks {
        let mut marks = Marks::new(self.block.clone());
        let alive = self.alive.lock();
        if *alive {
            for at in self.block.clone().step_by(size_of::<usize>()) {
                let word = word_at(at);
                if self.may_be_shared(word, stack) {
                    marks.add(word, at - self.block.start);
                }
            }
        }
        drop(alive);
        marks
    }

    /// Whether a word in a thread-local looks like a pointer to the heap.
    fn may_be_shared(&self, word: usize, stack: &Range<usize>) -> bool {
        const LEAST: usize = 1 << 16;
        const MOST: usize = 1 << 47;
        (LEAST..MOST).contains(&word)
            && word.is_multiple_of(align_of::<usize>())
            // The runtime's own word: which machine this is.
            && word != ptr::from_ref(self.machine).addr()
            && !self.block.contains(&word)
            && !stack.contains(&word)
            && !layout().is_static(word)
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        *self.0.alive.lock() = false;
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

/// What is where in this process.
struct Layout {
    /// Bytes of the program's thread-locals below the thread pointer.
    below: usize,
    /// Code and statics of the modules.
    modules: [(usize, usize); MODULES],
    count: usize,
    pointer: usize,
}

const MODULES: usize = 32;

fn layout() -> &'static Layout {
    static LAYOUT: OnceLock<Layout> = OnceLock::new();
    LAYOUT.get_or_init(|| {
        let mut layout = Layout { below: 0, modules: [(0, 0); MODULES], count: 0, pointer: thread_pointer() };
        // SAFETY: the callback gets this very value back as its last argument, and is called only before the return.
        unsafe { libc::dl_iterate_phdr(Some(add_module), (&raw mut layout).cast()) };
        layout
    })
}

impl Layout {
    fn is_static(&self, word: usize) -> bool {
        self.modules[..self.count].iter().any(|(start, end)| (*start..*end).contains(&word))
    }

    fn add(&mut self, span: Range<usize>, locals: Option<usize>) {
        if let Some(slot) = self.modules.get_mut(self.count) {
            *slot = (span.start, span.end);
            self.count += 1;
        }
        // The first module is the program.
        if self.count <= 1 {
            self.below = locals.map_or(0, |start| self.pointer.saturating_sub(start));
        }
    }
}

/// Called by `dl_iterate_phdr` for each module.
///
/// # Safety
/// `info` is valid for the call, and `layout` is what `dl_iterate_phdr` was given, borrowed by nobody else.
unsafe extern "C" fn add_module(info: *mut libc::dl_phdr_info, _size: usize, layout: *mut c_void) -> c_int {
    // SAFETY: `dl_iterate_phdr` passes a valid description, and the pointer that it was given.
    let (info, layout) = unsafe { (&*info, &mut *layout.cast::<Layout>()) };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the description's header table has this length and lives as long as the module.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let bias = info.dlpi_addr as usize;
    let spans = headers.iter().filter(|header| header.p_type == libc::PT_LOAD).map(|header| {
        let start = bias.wrapping_add(header.p_vaddr as usize);
        start..start.saturating_add(header.p_memsz as usize)
    });
    let Some(span) = spans.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)) else { return 0 };
    // The calling thread's copy, if it has one.
    layout.add(span, Some(info.dlpi_tls_data.addr()).filter(|at| *at != 0));
    0
}

/// The end of the calling thread's static block.
#[cfg(target_arch = "x86_64")]
fn thread_pointer() -> usize {
    let pointer;
    // SAFETY: reads the word that the ABI puts there: its own address.
    unsafe {
        std::arch::asm!("mov {}, qword ptr fs:[0]", out(reg) pointer, options(nostack, preserves_flags, readonly));
    }
    pointer
}

/// Not known; nothing is checked there.
#[cfg(not(target_arch = "x86_64"))]
fn thread_pointer() -> usize {
    0
}

#[cfg(all(test, target_arch = "x86_64", target_os = "linux", not(loom), not(miri)))]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::{layout, thread_pointer};

    thread_local! {
        static PLAIN: Cell<u64> = const { Cell::new(7) };
        static LAZY: Rc<Cell<u64>> = Rc::new(Cell::new(7));
    }

    #[test]
    fn the_block_holds_the_programs_thread_locals_on_any_thread() {
        let inside = || {
            let block = thread_pointer() - layout().below..thread_pointer();
            assert!(PLAIN.with(|plain| block.contains(&(&raw const *plain).addr())));
            assert!(LAZY.with(|lazy| block.contains(&(&raw const *lazy).addr())));
            // SAFETY: the address of the calling thread's errno, which is the C library's.
            assert!(!block.contains(&unsafe { libc::__errno_location() }.addr()));
        };
        inside();
        std::thread::spawn(inside).join().expect("they are there on other threads as well");
    }

    #[test]
    fn statics_are_told_from_the_heap() {
        static HERE: u64 = 7;
        let boxed = Box::new(7u64);
        assert!(layout().is_static((&raw const HERE).addr()));
        assert!(layout().is_static(thread_pointer as *const () as usize));
        assert!(!layout().is_static((&raw const *boxed).addr()));
    }
}
