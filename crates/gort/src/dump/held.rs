//! Of the words on a goroutine's stack that belong to its old thread: which the program's own frames hold, and the report.
//!
//! Owns: the judgement that the core can not make, since it does not unwind, and the text. Does not know: how the words were
//! found, and what becomes of the goroutine.
//!
//! ```text
//!   frames                 words in it
//!   gort_core, gort, std   left over from calls that have returned: passed over, but for
//!                            the places where they have saved registers of the program's frames
//!   app::worker            held
//!   LocalKey::with         held
//!   app::main::{{closure}} held
//!   how a goroutine starts passed over
//! ```
//! What frames leave uninitialised shows what was there before, often of a call that had to do with thread-locals. So a
//! word is not enough:
//! - It has to be in a frame of the program, or between two of them.
//! - The thread-local must not be std's or gort's own, which they do not hold across calls of other people's code. This is
//!   asked first: it is what most suspicions come to, and names of thread-locals are quickly had.
//! - For an address one of the calls has to be a `LocalKey::with` or one of its kin: there is no other way to have a
//!   reference to a thread-local.
//!
//! Without debug information calls that were inlined can not be seen; mostly the program's all are, into gort's function
//! that calls the goroutine's closure. Then what is outside the innermost frames of gort's counts as the program's, up to
//! that function, and the last question is not asked.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::Arc;
use std::sync::{Mutex, OnceLock, PoisonError};

use gort_core::snapshot::{self, Context};
use gort_core::tlscheck::{Finding, Kind, Word};

use super::format::Options;
use super::modules::Modules;
use super::symbol::{Call, Resolved, Symbols, ThreadLocals};
use super::unwind::{CopiedStack, Frame, LiveStack, StackWords as _, Walker};
use super::{Dump, plumbing};

/// Prints the finding, if it is one.
pub(super) fn report(finding: &Finding<'_>) -> bool {
    let mut walker = Walker::new();
    let thread_locals = thread_locals(walker.modules());
    let words: Vec<_> =
        finding.words.iter().map(|word| (word, thread_locals.at(word.offset))).filter(is_programs).collect();
    if words.is_empty() {
        return false;
    }
    let Some(about) = snapshot::goroutine(finding.goroutine) else { return false };
    let Some(context) = about.context else { return false };
    let copy = CopiedStack { base: about.stack_at, words: &about.stack };
    let mut frames = Vec::new();
    walker.each_frame(context, &copy, |frame| frames.push(frame));
    let Some(stack) = Stack::new(context, frames, walker.modules()) else { return false };
    let Some(held) = words.into_iter().find_map(|(word, name)| stack.judge(word, name)) else { return false };
    if is_new(&stack.frames[stack.first..]) {
        let id = finding.goroutine;
        let dump = Dump::collect([about]);
        let options = Options { current: Some(id), only_current: true, ..Options::default() };
        let text = format!("{}\n{}\n", Report { finding, held }, dump.show(options));
        gort_core::stderr::write(text.as_bytes());
    }
    true
}

/// Those of the program, looked up once.
fn thread_locals(modules: &Modules) -> &'static ThreadLocals {
    static ALL: OnceLock<ThreadLocals> = OnceLock::new();
    ALL.get_or_init(|| modules.program().and_then(ThreadLocals::of).unwrap_or_default())
}

fn is_programs((_, thread_local): &(&Word, Option<&str>)) -> bool {
    !thread_local.is_some_and(plumbing::is_used_in_passing)
}

/// Whether nothing has been said yet of a goroutine that stood here, with these frames of the program's. (The core tells
/// places apart by what it sees, and what calls have left behind differs from time to time.)
fn is_new(frames: &[Frame]) -> bool {
    static SAID: Mutex<BTreeSet<Vec<usize>>> = Mutex::new(BTreeSet::new());
    let place = frames.iter().map(|frame| frame.pc.addr).collect();
    SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(place)
}

/// A goroutine's stack, with the part of it that is the program's.
struct Stack {
    frames: Vec<Frame>,
    calls: Vec<Arc<Resolved>>,
    /// The index of the program's innermost frame.
    first: usize,
    /// From the program's innermost frame to its outermost.
    own: Range<usize>,
    /// Where registers of the innermost one have been saved.
    saved: Vec<usize>,
    /// A thread-local is borrowed by one of the calls, as far as can be seen.
    borrows: bool,
}

/// Something that is held.
struct Held<'a> {
    kind: Kind,
    thread_local: Option<&'a str>,
    /// None if it was inlined, and there is no debug information.
    holder: Option<&'a Call>,
}

impl Stack {
    /// None if nothing of it is the program's.
    fn new(context: Context, frames: Vec<Frame>, modules: &Modules) -> Option<Stack> {
        let calls = resolve(&frames, modules);
        let blind = closure_of(&calls).filter(|at| calls[*at].calls.iter().all(|call| call.file.is_none()));
        let (first, last) = match blind {
            Some(closure) => {
                (calls.iter().position(|at| !is_gorts(at)).unwrap_or(closure).min(closure), closure)
            }
            None => {
                let is_programs = |at: &Arc<Resolved>| programs_call(at).is_some();
                (calls.iter().position(is_programs)?, calls.iter().rposition(is_programs)?)
            }
        };
        let own = frames[first].sp..frames.get(last + 1).map_or(usize::MAX, |next| next.sp);
        let saved = saved_registers(context, &frames[..=first], modules);
        let mut all = calls[..=last].iter().flat_map(|at| &at.calls);
        let borrows = blind.is_some()
            || all.any(|call| call.function.as_deref().is_some_and(plumbing::borrows_thread_local));
        Some(Stack { frames, calls, first, own, saved, borrows })
    }

    fn judge<'a>(&'a self, word: &Word, thread_local: Option<&'a str>) -> Option<Held<'a>> {
        let frame = self.holding_frame(word.at)?;
        if word.kind == Kind::Address && !self.borrows {
            return None;
        }
        let holder = self.calls[frame..].iter().find_map(programs_call);
        Some(Held { kind: word.kind, thread_local, holder })
    }

    /// The index of the frame that holds the word at `at`, if that is one between the program's first and last.
    fn holding_frame(&self, at: usize) -> Option<usize> {
        if self.saved.contains(&at) {
            return Some(self.first);
        }
        self.own.contains(&at).then(|| self.frames.partition_point(|frame| frame.sp <= at) - 1)
    }
}

/// The innermost of the calls that stand at an address and are the program's own.
fn programs_call(at: &Arc<Resolved>) -> Option<&Call> {
    at.calls.iter().find(|call| plumbing::is_users(call.function.as_deref()))
}

/// The index of the frame that the goroutine's closure is called in.
fn closure_of(calls: &[Arc<Resolved>]) -> Option<usize> {
    let calls_it = |call: &Call| call.function.as_deref().is_some_and(plumbing::calls_the_closure);
    calls.iter().position(|at| at.calls.iter().any(calls_it))
}

/// Whether the frame is one of gort's, and can not be that of the goroutine's closure.
fn is_gorts(at: &Arc<Resolved>) -> bool {
    at.calls.iter().all(|call| {
        let gorts = |name| plumbing::is_gorts(name) && !plumbing::calls_the_closure(name);
        call.function.as_deref().is_some_and(gorts)
    })
}

fn resolve(frames: &[Frame], modules: &Modules) -> Vec<Arc<Resolved>> {
    let mut symbols = Symbols::of(modules);
    frames.iter().map(|frame| symbols.resolve(frame.pc, modules)).collect()
}

/// Where the registers that the last of `frames` has in use are, after the functions below it have saved them: those which
/// every function leaves as they were for its caller.
fn saved_registers(context: Context, frames: &[Frame], modules: &Modules) -> Vec<usize> {
    /// Their numbers in unwind tables: rbx, rbp, r12 to r15.
    const RBX: u16 = 3;
    const RBP: u16 = 6;
    let mut places = Vec::new();
    if switches_here(context, modules) {
        places.extend([(RBP, context.sp - 8), (RBX, context.sp - 16)]);
    }
    for (frame, caller) in frames.iter().zip(&frames[1..]) {
        for (register, offset) in modules.saves_at(frame.pc.lookup()) {
            places.retain(|(known, _)| *known != register);
            places.push((register, caller.sp.wrapping_add_signed(offset as isize)));
        }
    }
    places.into_iter().map(|(_, at)| at).collect()
}

/// Whether the switch was inlined into the frame of the park. Then it has put there, below that frame, `rbp`, `rbx`, and
/// the address at which the same function goes on.
fn switches_here(context: Context, modules: &Modules) -> bool {
    // SAFETY: the goroutine, whose stack this is, does not run before the report has been made.
    let below = unsafe { LiveStack::new(context.sp - 24..context.sp) };
    let resumes = below.word(context.sp - 24).unwrap_or(0) as usize;
    let here = modules.function_at(context.pc);
    here.is_some() && here == modules.function_at(resumes)
}

/// The text before the stack.
struct Report<'a> {
    finding: &'a Finding<'a>,
    held: Held<'a>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { goroutine, machine, ended, .. } = self.finding;
        write!(f, "gort: goroutine {goroutine} keeps ")?;
        self.what(f)?;
        writeln!(f, " of its OS thread (gort-m{machine}) across a call that parks")?;
        self.holder(f)?;
        f.write_str(if *ended {
            "That thread has ended, and its thread-locals with it. "
        } else {
            "It goes on on that thread if that is free within 10 ms, else on another. "
        })?;
        f.write_str(
            "What belongs to a thread has to be let go of before a call that may park, or the goroutine to be tied to its \
             thread by gort::pin_thread: docs/SAFETY.md of gort, \"The one rule\". Each place is reported once. \
             GORT_TLSCHECK=0 turns this check off, GORT_TLSCHECK=fatal ends the process here.\n",
        )
    }
}

impl Report<'_> {
    fn what(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.held.kind, self.held.thread_local) {
            (Kind::Address, Some(name)) => write!(f, "a reference to the thread-local {name}"),
            (Kind::Address, None) => write!(f, "a reference to a thread-local"),
            (Kind::Shared, Some(name)) => write!(f, "a pointer that it shares with the thread-local {name}"),
            (Kind::Shared, None) => write!(f, "a pointer that it shares with a thread-local"),
        }
    }

    /// Which function has it.
    fn holder(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Call { function, file, line }) = self.held.holder else {
            return writeln!(f, "\theld by a function that debug information would name");
        };
        write!(f, "\theld by {}", function.as_deref().unwrap_or("?"))?;
        match file {
            Some(file) => writeln!(f, ", {file}:{line}"),
            None => f.write_char('\n'),
        }
    }
}
