//! From registers and stack memory to the list of code addresses that are being executed.
//!
//! Owns: the walk over the frames of one stack, and the capture of the caller's own registers.
//! Does not know: names and lines, goroutines, who holds the stack still.
//!
//! ```text
//!   stack_init_trampoline   ◄── the walk ends here: it switches stacks, its caller is on the machine's stack
//!   goroutine's closure
//!   ...                     ◄── each step: unwind table of pc ─► (caller's pc, sp, fp)
//!   park                    ◄── Context { pc, sp, fp }, captured while this frame was current, and still live
//!   (the switch)                below sp: never read
//! ```
//!
//! Invariants:
//! 1. Memory is read through [`StackWords`] alone, which refuses every address outside the stack's range.
//! 2. The stack pointer grows with each step and stays inside the range, so every walk ends, also over garbage.
//! 3. An address that is not code of a loaded module ends the walk and is not part of the result.
//!
//! Three registers are enough. The frame's base is computed from `rsp` or `rbp` in everything that LLVM compiles: also
//! in frames with over-aligned locals (base `rbp`) and in those that need `rbx` to address their locals, where the unwind
//! table still names `rbp`. `rbp` itself is recovered on the way, from where each function has saved it.

use std::ops::Range;

use gort_core::snapshot::Context;

use super::modules::Modules;

/// How many frames are kept at each end of a stack: Go's number.
pub(crate) const KEPT_AT_EACH_END: usize = 50;

/// An address in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pc {
    /// The instruction that runs next in that frame.
    pub(crate) addr: usize,
    /// Whether this is where a call will return to. The call itself is then just before it, perhaps in another line, and
    /// even in another function if the call never returns.
    pub(crate) is_return: bool,
}

impl Pc {
    /// An address that is meant itself.
    pub(crate) const fn exact(addr: usize) -> Pc {
        Pc { addr, is_return: false }
    }

    /// The address a call will return to.
    pub(crate) const fn return_to(addr: usize) -> Pc {
        Pc { addr, is_return: true }
    }

    /// The address to look up in tables.
    pub(crate) const fn lookup(self) -> usize {
        self.addr.saturating_sub(self.is_return as usize)
    }
}

/// The frames of one stack, innermost first. The middle of a very deep one is only counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Trace {
    /// The innermost frames; all of them unless there are more than a hundred.
    pub(crate) inner: Box<[Pc]>,
    /// How many frames between the two ends have been left out.
    pub(crate) elided: usize,
    /// The outermost frames of a stack that has more than fit `inner`.
    pub(crate) outer: Box<[Pc]>,
    /// Whether the stack goes on where the walk could not: beyond the part of it that was copied, or in code without
    /// unwind tables.
    pub(crate) truncated: bool,
}

#[cfg(test)]
impl Trace {
    /// All the addresses kept, innermost first.
    pub(crate) fn pcs(&self) -> impl Iterator<Item = Pc> {
        self.inner.iter().chain(&self.outer).copied()
    }
}

/// A stack's memory: the live one, or a copy.
pub(crate) trait StackWords {
    /// The addresses it has words for.
    fn range(&self) -> Range<usize>;
    /// The word at `addr`, which must be aligned and in the range.
    fn word(&self, addr: usize) -> Option<u64>;
}

/// A stack that is read in place.
pub(crate) struct LiveStack(Range<usize>);

impl LiveStack {
    /// # Safety
    /// The range is readable, and nobody writes to it, as long as this value lives.
    pub(crate) unsafe fn new(range: Range<usize>) -> LiveStack {
        LiveStack(range)
    }
}

impl StackWords for LiveStack {
    fn range(&self) -> Range<usize> {
        self.0.clone()
    }

    fn word(&self, addr: usize) -> Option<u64> {
        index_of(addr, &self.0)?;
        // SAFETY: the word lies in the range, whose readability `new`'s caller vouches for, and is aligned. The read is
        // volatile because the memory belongs to frames that the compiler knows nothing of here.
        Some(unsafe { (addr as *const u64).read_volatile() })
    }
}

/// A stack that has been copied away, so that its goroutine could go on.
pub(crate) struct CopiedStack<'a> {
    /// Where the first word was.
    pub(crate) base: usize,
    /// The words.
    pub(crate) words: &'a [usize],
}

impl StackWords for CopiedStack<'_> {
    fn range(&self) -> Range<usize> {
        self.base..self.base.saturating_add(size_of_val(self.words))
    }

    fn word(&self, addr: usize) -> Option<u64> {
        self.words.get(index_of(addr, &self.range())?).map(|word| *word as u64)
    }
}

/// Which word of the range `addr` is, if it is one.
fn index_of(addr: usize, range: &Range<usize>) -> Option<usize> {
    let whole = range.contains(&addr) && range.end - addr >= size_of::<u64>();
    (whole && addr.is_multiple_of(align_of::<u64>())).then(|| (addr - range.start) / size_of::<u64>())
}

/// Walks stacks. Keeps the unwind tables at hand, and the rules found in them for addresses that come again.
pub(crate) struct Walker {
    modules: Modules,
    steps: imp::Steps,
}

impl Walker {
    /// A walker over the modules that are loaded now.
    pub(crate) fn new() -> Walker {
        let modules = Modules::loaded();
        let steps = imp::Steps::new(&modules);
        Walker { modules, steps }
    }

    /// The modules it knows.
    pub(crate) fn modules(&self) -> &Modules {
        &self.modules
    }

    /// The frames of a stack whose innermost live frame stands at `context`.
    pub(crate) fn walk(&mut self, context: Context, stack: &impl StackWords) -> Trace {
        let mut kept = Ends::default();
        let complete = self.each_frame(context, stack, |frame| kept.push(frame.pc));
        Trace { truncated: !complete, ..kept.into_trace() }
    }

    /// Calls `visit` for each frame, innermost first. Whether the stack's outermost frame was reached.
    pub(crate) fn each_frame(
        &mut self,
        context: Context,
        stack: &impl StackWords,
        mut visit: impl FnMut(Frame),
    ) -> bool {
        let range = stack.range();
        let mut regs = context;
        let mut pc = Pc::exact(context.pc);
        while range.contains(&regs.sp) && self.modules.is_code(pc.lookup()) {
            visit(Frame { pc, sp: regs.sp });
            if self.steps.ends_at(pc, &self.modules) {
                return true;
            }
            let before = regs.sp;
            match self.steps.step(pc, &mut regs, stack) {
                // Invariant 2. A frame holds at least the return address just taken, so equality is no progress either.
                Step::Caller if regs.sp > before => pc = Pc::return_to(regs.pc),
                Step::Caller | Step::Lost => return false,
                Step::End => return true,
            }
        }
        false
    }
}

/// A frame of a stack that is being walked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// Where its function stands.
    pub(crate) pc: Pc,
    /// Its lowest address. It reaches to the next frame's.
    pub(crate) sp: usize,
}

/// What became of a step to the caller's frame.
enum Step {
    /// It was made.
    Caller,
    /// There is no caller: a thread's first frame.
    End,
    /// The way is not known, or leads out of the stack.
    Lost,
}

/// Keeps the first and the last frames of a stream of unknown length: the last ones in a ring.
#[derive(Default)]
struct Ends {
    inner: Vec<Pc>,
    ring: Vec<Pc>,
    /// How many have gone through the ring.
    passed: usize,
}

impl Ends {
    fn push(&mut self, pc: Pc) {
        if self.inner.len() < KEPT_AT_EACH_END {
            self.inner.push(pc);
            return;
        }
        match self.ring.get_mut(self.passed % KEPT_AT_EACH_END) {
            Some(oldest) => *oldest = pc,
            None => self.ring.push(pc),
        }
        self.passed += 1;
    }

    fn into_trace(mut self) -> Trace {
        let elided = self.passed - self.ring.len();
        if elided > 0 {
            self.ring.rotate_left(self.passed % KEPT_AT_EACH_END);
        }
        Trace { inner: self.inner.into(), elided, outer: self.ring.into(), truncated: false }
    }
}

/// The registers of the function that this is inlined into, or `None` on a platform without a walker.
///
/// They are good for a walk as long as that function has not returned.
#[inline(always)]
pub(crate) fn capture() -> Option<Context> {
    imp::capture()
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod imp {
    use std::arch::asm;
    use std::collections::HashMap;

    use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
    use framehop::{ExplicitModuleSectionInfo, FrameAddress, Module, Unwinder};

    use super::{Context, Modules, Pc, StackWords, Step};

    pub(super) struct Steps {
        unwinder: UnwinderX86_64<&'static [u8]>,
        rules: CacheX86_64,
        /// For each address seen: whether its function switches stacks.
        last: HashMap<usize, bool>,
    }

    impl Steps {
        pub(super) fn new(modules: &Modules) -> Steps {
            let mut unwinder = UnwinderX86_64::new();
            for module in modules.iter() {
                // Addresses "as stated in the file", which is what framehop counts in, are those less the bias.
                let stated = |section: &[u8]| {
                    let start = section.as_ptr().addr().wrapping_sub(module.bias) as u64;
                    start..start + section.len() as u64
                };
                let mut info = ExplicitModuleSectionInfo::default();
                if let Some((hdr, eh_frame)) = module.sections {
                    info.eh_frame_hdr_svma = Some(stated(hdr));
                    info.eh_frame_hdr = Some(hdr);
                    info.eh_frame_svma = Some(stated(eh_frame));
                    info.eh_frame = Some(eh_frame);
                }
                let span = module.span.start as u64..module.span.end as u64;
                unwinder.add_module(Module::new(String::new(), span, module.bias as u64, info));
            }
            Steps { unwinder, rules: CacheX86_64::new(), last: HashMap::new() }
        }

        /// Whether the frame of `pc` is the last one of this stack.
        pub(super) fn ends_at(&mut self, pc: Pc, modules: &Modules) -> bool {
            let lookup = pc.lookup();
            *self
                .last
                .entry(lookup)
                .or_insert_with(|| modules.function_at(lookup).is_some_and(|f| f.switches_stack))
        }

        /// Moves `regs` from the frame of `pc` to its caller's.
        pub(super) fn step(&mut self, pc: Pc, regs: &mut Context, stack: &impl StackWords) -> Step {
            let at = match pc.is_return {
                true => FrameAddress::from_return_address(pc.addr as u64),
                false => Some(FrameAddress::from_instruction_pointer(pc.addr as u64)),
            };
            let Some(at) = at else { return Step::Lost };
            let mut now = UnwindRegsX86_64::new(regs.pc as u64, regs.sp as u64, regs.fp as u64);
            let mut read = |addr: u64| stack.word(addr as usize).ok_or(());
            match self.unwinder.unwind_frame(at, &mut now, &mut self.rules, &mut read) {
                Ok(Some(caller)) => {
                    *regs = Context { pc: caller as usize, sp: now.sp() as usize, fp: now.bp() as usize };
                    Step::Caller
                }
                Ok(None) => Step::End,
                Err(_) => Step::Lost,
            }
        }
    }

    #[inline(always)]
    pub(super) fn capture() -> Option<Context> {
        let (pc, sp, fp);
        // SAFETY: reads three registers and touches nothing.
        unsafe {
            asm!(
                "lea {pc}, [rip]",
                "mov {sp}, rsp",
                "mov {fp}, rbp",
                pc = out(reg) pc,
                sp = out(reg) sp,
                fp = out(reg) fp,
                options(nomem, nostack, preserves_flags),
            );
        }
        Some(Context { pc, sp, fp })
    }
}

/// Other platforms: a stack is its innermost address.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod imp {
    use super::{Context, Modules, Pc, StackWords, Step};

    pub(super) struct Steps;

    impl Steps {
        pub(super) fn new(_modules: &Modules) -> Steps {
            Steps
        }

        pub(super) fn ends_at(&mut self, _pc: Pc, _modules: &Modules) -> bool {
            false
        }

        pub(super) fn step(&mut self, _pc: Pc, _regs: &mut Context, _stack: &impl StackWords) -> Step {
            Step::Lost
        }
    }

    #[inline(always)]
    pub(super) fn capture() -> Option<Context> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_both_ends_of_a_deep_stack() {
        let of = |n: usize| {
            let mut ends = Ends::default();
            (1..=n).for_each(|addr| ends.push(Pc::exact(addr)));
            ends.into_trace()
        };
        for n in [0, 1, 49, 50, 51, 99, 100] {
            let trace = of(n);
            assert_eq!(trace.elided, 0, "{n}");
            assert!(trace.pcs().map(|pc| pc.addr).eq(1..=n), "{n}");
        }
        for n in [101, 149, 150, 151, 12_345] {
            let trace = of(n);
            assert_eq!(trace.elided, n - 100, "{n}");
            assert!(trace.inner.iter().map(|pc| pc.addr).eq(1..=50), "{n}");
            assert!(trace.outer.iter().map(|pc| pc.addr).eq(n - 49..=n), "{n}");
        }
    }

    #[test]
    fn words_outside_the_range_do_not_exist() {
        let words = [10, 11, 12];
        let stack = CopiedStack { base: 0x1000, words: &words };
        assert_eq!(stack.word(0x1000), Some(10));
        assert_eq!(stack.word(0x1010), Some(12));
        for addr in [0xff8, 0xfff, 0x1001, 0x1011, 0x1014, 0x1018, 0, usize::MAX, usize::MAX - 7] {
            assert_eq!(stack.word(addr), None, "{addr:#x}");
        }
        let top = CopiedStack { base: usize::MAX - 15, words: &words };
        assert_eq!(top.word(usize::MAX - 7), None);
    }
}
