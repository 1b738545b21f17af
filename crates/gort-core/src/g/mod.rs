//! The goroutine: a status word, a saved context, a stack. Knows no machine and no processor.
//!
//! A `G` sits at the top of its own stack, in the stack's first page, next to the frames that run first: one page in all
//! for a goroutine that does little. It is made once per stack and reused for goroutine after goroutine; it is never
//! freed, so a pointer to a `G` is always good to read, though it may meanwhile be somebody else.
//!
//! The coroutine inside never ends either: it runs one goroutine's start function after the other, so that starting a
//! goroutine is a few stores and running it is one switch.
//!
//! ```text
//!   high ┌───────────────────────────┐
//!        │ colour (0..16 cache lines)│  so that the Gs of many stacks do not share a few cache sets
//!        │ G                         │
//!        ├───────────────────────────┤◄ base: corosensei's parent link and entry
//!        │ frames of the goroutine   │
//!        │            ▼              │
//!        │ . . . untouched . . . . . │
//!        ├───────────────────────────┤
//!        │ guard                     │
//!    low └───────────────────────────┘
//! ```

pub(crate) mod pool;
pub(crate) mod start;
pub(crate) mod status;

use std::cell::{Cell, UnsafeCell};
use std::num::NonZeroUsize;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use corosensei::stack::StackPointer;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::ids::GoroutineId;
use crate::sys::door;
use status::StatusWord;

/// What a goroutine tells the machine when it gives the processor back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Command {
    /// It waits: run the commit, then find other work.
    Park,
    /// It can go on, but lets others go first.
    Yield,
    /// Its function has returned: the `G` is free.
    Exit,
}

/// Bytes of a start function that fit into the `G` itself; larger ones are boxed by the caller.
pub(crate) const INLINE_START: usize = 64;

/// Bytes of a name that a dump shows.
pub(crate) const NAME_BYTES: usize = 24;

/// How long the stack of a free `G` has been idle, in looks of the trimmer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// Used since the last look.
    Young,
    /// Idle for at least one look.
    Old,
    /// Its memory, but for the first page, has been given back to the system.
    Trimmed,
}

/// A goroutine.
#[repr(C, align(64))]
pub(crate) struct G {
    pub(crate) status: StatusWord,
    coroutine: UnsafeCell<Option<Coroutine<(), Command, (), StackRef>>>,
    yielder: Cell<*const Yielder<(), Command>>,
    /// The machine that this goroutine must run on, or null; the pointer's meaning is the machine room's.
    pub(crate) locked_m: AtomicPtr<()>,
    /// Nesting of `lock_os_thread`, and one more while it parks in a panic.
    pub(crate) lock_count: Cell<u32>,
    /// The thread that it ran on last: a record of `tlscheck`'s, kept only while that checks.
    pub(crate) last_thread: Cell<*const ()>,
    /// Until when `tlscheck` has it wait for that thread, in nanoseconds; 0: it does not.
    pub(crate) stays_until: Cell<u64>,
    /// How the start function is run, and the function itself.
    start: Cell<unsafe fn(&G, *mut u8)>,
    start_data: UnsafeCell<[u64; INLINE_START / 8]>,
    /// It does not count as a goroutine any more, though it has not quite ended. Written by the goroutine and its machine.
    pub(crate) counted_out: AtomicBool,
    /// Goroutine-local storage: an opaque pointer of the room above, null until used.
    pub(crate) locals: Cell<*mut ()>,

    // For dumps. Atomics, because a dump reads them while others run.
    id: AtomicU64,
    pub(crate) parent: AtomicU64,
    pub(crate) wait_since: AtomicU64,
    pub(crate) context: SavedContext,
    pub(crate) created_pc: AtomicUsize,
    pub(crate) created_at: AtomicPtr<Location<'static>>,
    name: [AtomicU64; NAME_BYTES / 8],

    /// The bounds of the stack it is on now: its own, or a segment of `maybe_grow`.
    pub(crate) stack_low: AtomicUsize,
    pub(crate) stack_high: AtomicUsize,
    own_low: usize,
    pub(crate) class: u8,
    /// While the `G` is free: how long its stack has been idle.
    pub(crate) age: Cell<Age>,
    /// While the `G` is free and was used before: the stack below this address is unused.
    idle_sp: Cell<usize>,
}

/// Registers at the last park, from which a dump can walk the frames: those of `park`'s own, still live frame.
#[derive(Debug, Default)]
pub(crate) struct SavedContext {
    pub(crate) pc: AtomicUsize,
    pub(crate) sp: AtomicUsize,
    pub(crate) fp: AtomicUsize,
}

// SAFETY: cells and the coroutine are touched only by whoever owns the goroutine at that moment: the machine that runs
// it, the list that holds it, or the waker that was given the right to ready it. Ownership moves by acquire/release
// operations of queues and locks. The rest is atomic.
unsafe impl Sync for G {}
// SAFETY: as above; that its frames may move between threads is the promise of `unsafe(migrate)`.
unsafe impl Send for G {}

/// The part of a stack below its `G`, as corosensei wants to see it.
struct StackRef {
    base: StackPointer,
    limit: StackPointer,
}

// SAFETY: base and limit are aligned ends of one readable, writable region with a guard below, which belongs to this
// `G` alone and is never unmapped (`stack::slab`).
unsafe impl corosensei::stack::Stack for StackRef {
    fn base(&self) -> StackPointer {
        self.base
    }
    fn limit(&self) -> StackPointer {
        self.limit
    }
}

impl G {
    /// Makes the `G` of a new stack, in place, at `at`; the stack is `low..at` below it (with its guard below `low`).
    ///
    /// # Safety
    /// `low..at + size_of::<G>()` is zeroed memory, aligned and unused, that is never unmapped.
    pub(crate) unsafe fn seat(at: NonNull<G>, low: usize, class: u8) {
        let word = |addr: usize| NonZeroUsize::new(addr).expect("a stack is not at address zero");
        let stack = StackRef { base: word(at.as_ptr().addr() & !15), limit: word(low) };
        let g = G::new(low, stack.base.get(), class);
        // SAFETY: the caller gives the place. The coroutine borrows the `G` by address only; it is never moved.
        unsafe {
            at.write(g);
            let this = at.as_ptr().cast_const();
            *(*this).coroutine.get() =
                Some(Coroutine::with_stack(stack, move |yielder, ()| live(this, yielder)));
        }
    }

    /// A free `G` that can not run yet: it has no coroutine.
    fn new(low: usize, high: usize, class: u8) -> G {
        G {
            status: StatusWord::new(),
            coroutine: UnsafeCell::new(None),
            yielder: Cell::new(ptr::null()),
            locked_m: AtomicPtr::new(ptr::null_mut()),
            lock_count: Cell::new(0),
            last_thread: Cell::new(ptr::null()),
            stays_until: Cell::new(0),
            start: Cell::new(no_start),
            start_data: UnsafeCell::new([0; INLINE_START / 8]),
            counted_out: AtomicBool::new(false),
            locals: Cell::new(ptr::null_mut()),
            id: AtomicU64::new(0),
            parent: AtomicU64::new(0),
            wait_since: AtomicU64::new(0),
            context: SavedContext::default(),
            created_pc: AtomicUsize::new(0),
            created_at: AtomicPtr::new(ptr::null_mut()),
            name: [const { AtomicU64::new(0) }; NAME_BYTES / 8],
            stack_low: AtomicUsize::new(low),
            stack_high: AtomicUsize::new(high),
            own_low: low,
            class,
            age: Cell::new(Age::Young),
            idle_sp: Cell::new(high),
        }
    }

    /// A runnable goroutine that nobody can run, for models of those who only queue it.
    #[cfg(all(test, loom))]
    pub(crate) fn inert() -> G {
        let g = G::new(0, 0, 0);
        g.status.transition_to_spawned();
        g
    }

    /// Has the cache fetch what running `g` will touch first: the `G` and the frames below it. `g` may be null.
    #[inline]
    pub(crate) fn prefetch(g: *const G) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            const FIRST_FRAMES: usize = 4;
            let lines = size_of::<G>() / 64 + FIRST_FRAMES;
            let first = g.cast::<i8>().wrapping_sub(FIRST_FRAMES * 64);
            for line in 0..lines {
                // SAFETY: a prefetch has no effect on memory and does not fault, whatever the address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(line * 64)) };
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = g;
    }

    /// The goroutine's id; 0 in a `G` that was never used.
    pub(crate) fn raw_id(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    pub(crate) fn id(&self) -> GoroutineId {
        GoroutineId::from_u64(self.raw_id()).expect("a goroutine that runs has an id")
    }

    /// Gives the free `G` its next function.
    ///
    /// # Safety
    /// The caller owns the `G`, which is free. `start` is called once, with the `G` and the address at which `data` was
    /// copied into it, on the goroutine; it does not unwind.
    pub(crate) unsafe fn prepare<D>(&self, id: u64, start: unsafe fn(&G, *mut u8), data: D) {
        assert!(start::fits::<D>(), "a start function that does not fit is boxed");
        self.id.store(id, Ordering::Relaxed);
        self.age.set(Age::Young);
        // It stands nowhere yet.
        self.context.sp.store(0, Ordering::Relaxed);
        self.start.set(start);
        // SAFETY: size and alignment were checked above, and the caller owns the `G`.
        unsafe { self.start_data.get().cast::<D>().write(data) };
    }

    /// Runs the goroutine until it gives the processor back.
    ///
    /// # Safety
    /// The caller is a machine on its own stack that owns the goroutine, which is runnable.
    #[inline(always)]
    pub(crate) unsafe fn resume(&self) -> Command {
        // SAFETY: the owner alone touches the coroutine.
        let coroutine = unsafe { &mut *self.coroutine.get() };
        match coroutine.as_mut().map(|c| c.resume(())) {
            Some(CoroutineResult::Yield(command)) => command,
            _ => crate::sys::throw(format_args!("a goroutine's coroutine has ended")),
        }
    }

    /// Gives the processor back, from inside the goroutine. Returns when the goroutine is resumed, perhaps on another
    /// thread: nothing read from a thread-local before may be used after.
    ///
    /// # Safety
    /// The caller runs on this goroutine, and the machine knows what `command` asks of it.
    #[inline(always)]
    pub(crate) unsafe fn suspend(&self, command: Command) {
        // SAFETY: set when the coroutine first ran, and valid as long as it, that is, for ever.
        unsafe { (*self.yielder.get()).suspend(command) }
    }

    pub(crate) fn set_origin(&self, origin: start::Origin) {
        self.created_pc.store(origin.pc, Ordering::Relaxed);
        self.created_at.store(ptr::from_ref(origin.at).cast_mut(), Ordering::Relaxed);
    }

    pub(crate) fn set_name(&self, name: &str) {
        let end = name.floor_char_boundary(NAME_BYTES);
        let mut bytes = [0; NAME_BYTES];
        bytes[..end].copy_from_slice(&name.as_bytes()[..end]);
        for (word, chunk) in self.name.iter().zip(bytes.chunks_exact(8)) {
            word.store(u64::from_ne_bytes(chunk.try_into().expect("chunks of 8")), Ordering::Relaxed);
        }
    }

    pub(crate) fn clear_name(&self) {
        if self.name[0].load(Ordering::Relaxed) != 0 {
            self.name.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        }
    }

    /// The first bytes of the name, or an empty string.
    pub(crate) fn name(&self) -> String {
        let bytes = self.name_bytes();
        let len = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    }

    /// The same, filled up with zeros. Async-signal-safe.
    pub(crate) fn name_bytes(&self) -> [u8; NAME_BYTES] {
        let mut bytes = [0; NAME_BYTES];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(&self.name) {
            chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        bytes
    }

    /// While the `G` is free: the part of its stack that nobody uses. Its coroutine waits in the frames above.
    pub(crate) fn unused_stack(&self) -> std::ops::Range<usize> {
        /// Room for the frames of the switch below the one that noted the address, without optimisation.
        const FRAMES: usize = 4096;
        self.own_low..(self.idle_sp.get() - FRAMES) & !15
    }

    /// The goroutine's own stack, without the guard: lowest usable address and the address at which frames begin.
    pub(crate) fn own_stack(&self) -> std::ops::Range<usize> {
        self.own_low..(ptr::from_ref(self).addr() & !15)
    }
}

const _: () = assert!(size_of::<G>() <= 512, "a G, its colour and its first frames share one page");

/// What a `G` starts that nobody has furnished.
///
/// # Safety
/// None is needed: it touches nothing. It has the type of what `prepare` is given.
unsafe fn no_start(_: &G, _: *mut u8) {
    crate::sys::throw(format_args!("go of a goroutine without a function"));
}

/// The life of a coroutine: one goroutine after the other.
fn live(this: *const G, yielder: &Yielder<(), Command>) {
    // SAFETY: the `G` is never freed or moved.
    let g = unsafe { &*this };
    g.yielder.set(yielder);
    let here = 0u8;
    g.idle_sp.set(ptr::from_ref(&here).addr());
    loop {
        door::leave();
        // SAFETY: `prepare`'s contract: the function takes its data from there, once.
        unsafe { (g.start.get())(g, g.start_data.get().cast()) };
        door::enter();
        // SAFETY: we run on `g`, and it has ended.
        unsafe { g.suspend(Command::Exit) };
    }
}
