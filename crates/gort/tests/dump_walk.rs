//! Walks of parked stacks: coroutines park in known functions, and their frames are read from outside.
//!
//! `park` here captures its registers the way the runtime's does: in its own frame, by inline assembly, before it
//! switches away. Everything holds with and without optimisation, with inlining and with fat link-time optimisation.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code, unused_imports)]
#[path = "../src/dump/mod.rs"]
mod dump;
mod heap_stack;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::hint::black_box;
use std::ops::Range;
use std::rc::Rc;

use corosensei::{Coroutine, CoroutineResult, Yielder};
use gort_core::snapshot::Context;

use dump::symbol::Symbols;
use dump::unwind::{CopiedStack, LiveStack, Pc, StackWords, Trace, Walker, capture};
use heap_stack::HeapStack;

type Y = Yielder<(), Context>;

/// A coroutine that stands still in `park`.
struct Parked {
    coroutine: Coroutine<(), Context, (), HeapStack>,
    context: Context,
    top: usize,
}

impl Parked {
    /// Runs `body` on a stack of its own until it parks.
    #[inline(never)]
    fn new(body: impl FnOnce(&Y) + 'static) -> Parked {
        let stack = HeapStack::new();
        let top = stack.top();
        let mut coroutine = Coroutine::with_stack(stack, move |yielder: &Y, ()| body(yielder));
        let CoroutineResult::Yield(context) = coroutine.resume(()) else { panic!("the body did not park") };
        Parked { coroutine, context, top }
    }

    fn stack(&self) -> Range<usize> {
        self.context.sp..self.top
    }

    fn walk(&self) -> Trace {
        // SAFETY: the coroutine is suspended and not resumed during the walk; its stack lives as long as it.
        Walker::new().walk(self.context, &unsafe { LiveStack::new(self.stack()) })
    }

    fn finish(mut self) {
        assert!(matches!(self.coroutine.resume(()), CoroutineResult::Return(())));
    }
}

#[inline(never)]
fn park(yielder: &Y) {
    let context = capture().unwrap();
    yielder.suspend(context);
    // Without anything left to do the call would be a jump, and this frame gone while it is being read.
    black_box(());
}

/// The names, without crate and module, and lines of a trace's calls; `?` where there is none.
fn named(trace: &Trace) -> Vec<(String, u32)> {
    let walker = Walker::new();
    let mut symbols = Symbols::of(walker.modules());
    let mut calls = Vec::new();
    for pc in trace.pcs() {
        for call in &symbols.resolve(pc, walker.modules()).calls {
            let path = call.function.as_deref().unwrap_or("?");
            // Generic arguments, which the newer mangling spells out, come after the name.
            let name = path.trim_start_matches("dump_walk::");
            calls.push((name.split("::<").next().unwrap().to_string(), call.line));
        }
    }
    calls
}

/// Checks that the calls in `expected` (line 0: any line) are found in this order.
#[track_caller]
fn assert_calls(trace: &Trace, expected: &[(&str, u32)]) {
    let calls = named(trace);
    let mut rest = calls.iter();
    for (name, line) in expected {
        let found = rest.find(|(call, at)| call == name && (*line == 0 || at == line));
        assert!(found.is_some(), "no {name} at line {line}, in this order, in {calls:#?}");
    }
}

thread_local! {
    static LINES: RefCell<Vec<(&'static str, u32)>> = const { RefCell::new(Vec::new()) };
}

/// Notes in which line the named function is about to call the next; innermost last.
fn note(name: &'static str, line: u32) {
    LINES.with(|lines| lines.borrow_mut().push((name, line)));
}

/// The noted calls, innermost first.
fn noted() -> Vec<(&'static str, u32)> {
    LINES.with(|lines| lines.take().into_iter().rev().collect())
}

#[inline(never)]
fn leaf(yielder: &Y) -> u64 {
    note("leaf", line!() + 1);
    park(yielder);
    black_box(1)
}

#[inline(always)]
fn inlined(yielder: &Y) -> u64 {
    note("inlined", line!() + 1);
    leaf(yielder) + black_box(1)
}

#[inline(never)]
fn outer(yielder: &Y) -> u64 {
    note("outer", line!() + 1);
    inlined(yielder) + black_box(1)
}

#[test]
fn names_and_lines_of_plain_and_inlined_calls() {
    let parked = Parked::new(|yielder| {
        black_box(outer(yielder));
    });
    let trace = parked.walk();
    let mut expected = vec![("park", 0)];
    expected.extend(noted());
    assert_calls(&trace, &expected);
    assert_eq!((trace.elided, trace.truncated), (0, false));
    parked.finish();
}

#[test]
fn ends_at_the_first_frame_of_the_coroutine() {
    let parked = Parked::new(|yielder| {
        black_box(outer(yielder));
    });
    let calls = named(&parked.walk());
    let (last, _) = calls.last().unwrap();
    assert!(last.starts_with("stack_init_trampoline"), "{calls:#?}");
    // Nothing of whoever resumed it: that is on the thread's stack.
    assert!(
        !calls.iter().any(|(name, _)| name.ends_with("Parked::new") || name.ends_with("resume")),
        "{calls:#?}"
    );
    parked.finish();
}

#[test]
fn ends_there_also_if_the_range_is_larger_than_the_stack() {
    let parked = Parked::new(|yielder| {
        black_box(outer(yielder));
    });
    let exact = parked.walk();
    let mut words = copy_of(&parked);
    // As if the runtime kept something above the first frame: plausible return addresses even.
    words.extend((0..64).map(|_| outer as *const () as usize + 4));
    let copy = CopiedStack { base: parked.context.sp, words: &words };
    assert_eq!(Walker::new().walk(parked.context, &copy), exact);
    parked.finish();
}

fn copy_of(parked: &Parked) -> Vec<usize> {
    // SAFETY: as in `walk`.
    let live = unsafe { LiveStack::new(parked.stack()) };
    parked.stack().step_by(8).map(|addr| live.word(addr).unwrap() as usize).collect()
}

#[test]
fn a_copied_stack_walks_as_the_live_one_did() {
    let parked = Parked::new(|yielder| {
        black_box(outer(yielder));
    });
    let live = parked.walk();
    let (context, words) = (parked.context, copy_of(&parked));
    parked.finish();
    let copied = Walker::new().walk(context, &CopiedStack { base: context.sp, words: &words });
    assert_eq!(live, copied);
}

#[test]
fn a_copy_that_stops_early_is_known_to() {
    let parked = Parked::new(|yielder| {
        black_box(descend(yielder, 200));
    });
    let (whole, words) = (parked.walk(), copy_of(&parked));
    assert!(!whole.truncated);
    let part = CopiedStack { base: parked.context.sp, words: &words[..words.len() / 2] };
    let trace = Walker::new().walk(parked.context, &part);
    assert!(trace.truncated && trace.inner == whole.inner && trace.elided < whole.elided);
    parked.finish();
}

#[repr(align(64))]
struct Wide([u8; 192]);

#[repr(align(4096))]
struct Page([u8; 4096]);

#[inline(never)]
fn over_aligned(yielder: &Y) -> u8 {
    let mut wide = Wide([1; 192]);
    black_box(&mut wide);
    note("over_aligned", line!() + 1);
    leaf(yielder);
    black_box(&wide).0[7]
}

#[inline(never)]
fn page_aligned(yielder: &Y) -> u8 {
    let mut page = Page([1; 4096]);
    black_box(&mut page);
    note("page_aligned", line!() + 1);
    over_aligned(yielder);
    black_box(&page).0[7]
}

#[inline(never)]
fn large_frame(yielder: &Y) -> u8 {
    let mut large = [1u8; 100_000];
    black_box(&mut large);
    note("large_frame", line!() + 1);
    page_aligned(yielder);
    black_box(&large)[7]
}

#[allow(clippy::too_many_arguments, reason = "some must go over the stack")]
#[inline(never)]
fn many_arguments(y: &Y, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: [u64; 9]) -> u64 {
    note("many_arguments", line!() + 1);
    large_frame(y);
    black_box(a + b + c + d + e + f + g + h[3])
}

/// Keeps so many values alive across the call that every callee-saved register, `rbp` and `rbx` too, holds one.
#[inline(never)]
fn full_registers(yielder: &Y, n: u64) -> u64 {
    let (a, b, c, d) = (black_box(n), black_box(n + 1), black_box(n + 2), black_box(n + 3));
    let (e, f, g, h) = (black_box(n * 4), black_box(n * 5), black_box(n * 6), black_box(n * 7));
    note("full_registers", line!() + 1);
    let sum = many_arguments(yielder, a, b, c, d, e, f, g, [h; 9]);
    black_box(a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ sum)
}

#[test]
fn frames_of_every_shape() {
    let parked = Parked::new(|yielder| {
        black_box(full_registers(yielder, 3));
    });
    let trace = parked.walk();
    assert_calls(&trace, &noted());
    assert!(named(&trace).last().unwrap().0.starts_with("stack_init_trampoline"));
    parked.finish();
}

trait Run {
    fn run(&self, yielder: &Y) -> u64;
}

struct Job<T>(T);

impl<T: Copy> Run for Job<T> {
    #[inline(never)]
    fn run(&self, yielder: &Y) -> u64 {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| outer(yielder)));
        black_box(caught.unwrap())
    }
}

#[test]
fn through_trait_objects_and_catch_unwind() {
    let parked = Parked::new(|yielder| {
        let job: Box<dyn Run> = black_box(Box::new(Job(1u8)));
        black_box(job.run(yielder));
    });
    let trace = parked.walk();
    assert_calls(&trace, &noted());
    let calls = named(&trace);
    assert!(calls.iter().any(|(name, _)| name.contains("Job") && name.ends_with("::run")), "{calls:#?}");
    parked.finish();
}

thread_local! {
    static IN_C: Cell<*const Y> = const { Cell::new(std::ptr::null()) };
}

extern "C" fn compare(a: *const libc::c_void, b: *const libc::c_void) -> libc::c_int {
    let yielder = IN_C.replace(std::ptr::null());
    if !yielder.is_null() {
        // SAFETY: set by `sorting`, whose caller's yielder is alive: it is below us on this very stack.
        outer(unsafe { &*yielder });
    }
    // SAFETY: qsort passes pointers to elements of the array.
    unsafe { *a.cast::<i32>() - *b.cast::<i32>() }
}

#[inline(never)]
fn sorting(yielder: &Y) -> i32 {
    let mut numbers = [3, 1, 2];
    IN_C.set(yielder);
    // SAFETY: the array has three elements of four bytes, and `compare` reads two of them.
    unsafe { libc::qsort(numbers.as_mut_ptr().cast(), 3, 4, Some(compare)) };
    numbers[0] + black_box(0)
}

#[test]
fn through_the_frames_of_a_c_library() {
    let parked = Parked::new(|yielder| {
        black_box(sorting(yielder));
    });
    let trace = parked.walk();
    let mut expected = noted();
    expected.extend([("compare", 0), ("sorting", 0)]);
    assert_calls(&trace, &expected);
    parked.finish();
}

#[inline(never)]
fn descend(yielder: &Y, depth: u32) -> u32 {
    if depth == 0 {
        park(yielder);
        return black_box(0);
    }
    descend(yielder, depth - 1) + black_box(1)
}

#[test]
fn a_deep_recursion_keeps_both_ends() {
    let parked = Parked::new(|yielder| {
        black_box(descend(yielder, 2_000));
    });
    let trace = parked.walk();
    assert_eq!((trace.inner.len(), trace.outer.len()), (50, 50));
    assert!(trace.elided >= 1_900, "{}", trace.elided);
    assert_calls(&trace, &[("park", 0), ("descend", 0), ("stack_init_trampoline", 0)]);
    parked.finish();
}

#[inline(never)]
fn looks_at_itself(top: usize) -> Trace {
    let context = capture().unwrap();
    // SAFETY: the range is part of the caller's own stack; the frames walked are those above this one, which stand still.
    let stack = unsafe { LiveStack::new(context.sp..top) };
    black_box(Walker::new().walk(context, &stack))
}

#[test]
fn a_stack_can_be_walked_from_itself() {
    let seen = Rc::new(RefCell::new(Trace::default()));
    let into = seen.clone();
    let stack = HeapStack::new();
    let top = stack.top();
    Coroutine::with_stack(stack, move |_: &Yielder<(), ()>, ()| *into.borrow_mut() = looks_at_itself(top))
        .resume(());
    assert_calls(&seen.borrow(), &[("looks_at_itself", 0), ("stack_init_trampoline", 0)]);
}

#[test]
fn a_threads_own_stack_ends_at_its_start() {
    let calls = std::thread::spawn(|| named(&looks_at_itself(top_of_thread()))).join().unwrap();
    let has = |part| calls.iter().any(|(name, _)| name.contains(part));
    assert!(has("looks_at_itself") && has("__rust_begin_short_backtrace"), "{calls:#?}");
}

fn top_of_thread() -> usize {
    // SAFETY: the attributes are written by `pthread_getattr_np` before they are read, and destroyed once.
    unsafe {
        let mut attributes = std::mem::zeroed();
        assert_eq!(libc::pthread_getattr_np(libc::pthread_self(), &mut attributes), 0);
        let (mut low, mut size) = (std::ptr::null_mut(), 0);
        assert_eq!(libc::pthread_attr_getstack(&attributes, &mut low, &mut size), 0);
        libc::pthread_attr_destroy(&mut attributes);
        low.addr() + size
    }
}

/// wyrand's step, to be independent of anything else.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x2d35_8dcc_aa6c_78a5);
        let wide = u128::from(self.0) * u128::from(self.0 ^ 0x8bb8_4b93_962e_acc9);
        (wide >> 64) as u64 ^ wide as u64
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

#[test]
fn garbage_neither_panics_nor_leads_outside() {
    let seed = std::process::id().into();
    println!("seed {seed}");
    let mut rng = Rng(seed);
    let mut walker = Walker::new();
    let parked = Parked::new(|yielder| {
        black_box(full_registers(yielder, 3));
    });
    let real: Vec<usize> = parked.walk().pcs().map(|pc| pc.addr).collect();
    let words_before = copy_of(&parked);
    let base = parked.context.sp;
    for _ in 0..20_000 {
        let mut words: Vec<usize> = match rng.below(2) {
            0 => words_before[words_before.len() - 400..].to_vec(),
            _ => vec![0; rng.below(200) as usize],
        };
        for _ in 0..rng.below(1 + words.len() as u64) {
            let at = rng.below(words.len() as u64) as usize;
            let word = match rng.below(6) {
                0 => rng.next(),
                1 => rng.below(64).wrapping_sub(32),
                2 => base as u64 + rng.below(2048),
                3 => real[rng.below(real.len() as u64) as usize] as u64,
                4 => (real[0] as u64).wrapping_add(rng.below(1 << 20)).wrapping_sub(1 << 19),
                _ => libc::qsort as *const () as u64 + rng.below(1 << 16),
            };
            words[at] = word as usize;
        }
        let stack = CopiedStack { base, words: &words };
        let mut register = |near| match rng.below(4) {
            0 => rng.next() as usize,
            1 => rng.below(64).wrapping_sub(32) as usize,
            _ => near + 8 * rng.below(1 + words.len() as u64) as usize,
        };
        let (sp, fp) = (register(base), register(base));
        let pc = real[rng.below(real.len() as u64) as usize];
        let trace = walker.walk(Context { pc, sp, fp }, &stack);
        assert!(trace.pcs().count() + trace.elided <= 1 + words.len());
    }
    parked.finish();
}

#[test]
fn a_wild_address_has_no_frames() {
    let words = [1, 2, 3, 4];
    let stack = CopiedStack { base: 0x1000, words: &words };
    for pc in [0, 1, 0x1000, usize::MAX] {
        let trace = Walker::new().walk(Context { pc, sp: 0x1000, fp: 0x1010 }, &stack);
        assert_eq!(trace, Trace { truncated: true, ..Trace::default() });
    }
    let pc = outer as *const () as usize;
    let elsewhere = Walker::new().walk(Context { pc, sp: 0x2000, fp: 0x1010 }, &stack);
    assert_eq!(elsewhere, Trace { truncated: true, ..Trace::default() });
}

#[test]
fn return_addresses_are_told_from_exact_ones() {
    let parked = Parked::new(|yielder| {
        black_box(outer(yielder));
    });
    let trace = parked.walk();
    assert_eq!(trace.inner[0], Pc::exact(parked.context.pc));
    assert!(trace.inner[1..].iter().all(|pc| pc.is_return));
    let distinct: HashSet<_> = trace.pcs().collect();
    assert_eq!(distinct.len(), trace.pcs().count());
    parked.finish();
}
