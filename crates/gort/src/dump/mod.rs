//! The dump: every goroutine with its state, its stack, and where it was started, in Go's layout.
//!
//! Owns: the way from the core's snapshot to text. Does not know: the scheduler, which it neither stops nor asks.
//!
//! ```text
//!   core's snapshot (registers, copied       modules   what code is loaded, and its unwind tables
//!       │                     stack)         unwind    registers + stack ─► code addresses
//!       ▼  Dump::collect
//!   Dump (addresses; equal stacks once)      symbol    address ─► functions, files, lines
//!       │  Dump::show: any time later        plumbing  which frames a reader wants to see
//!       ▼                                    format    Go's layout
//!       │                                    known     what former dumps have resolved
//!   text                                     fatal     what stands before the dump when the process dies
//!                                            held      what stands before it when a goroutine holds a thread-local
//! ```
//!
//! The core copies stacks while goroutines go on, and vouches for each copy. So nothing here hurries: names, which take
//! milliseconds to look up, are looked up when the text is written.

pub(crate) mod fatal;
pub(crate) mod format;
mod held;
mod known;
mod live;
pub(crate) mod modules;
pub(crate) mod plumbing;
pub(crate) mod symbol;
pub(crate) mod unwind;

pub(crate) use live::{all, at_the_end, register};

use std::collections::HashMap;
use std::mem;
use std::rc::Rc;

use gort_core::snapshot::{self, Context, Status};

use unwind::{CopiedStack, LiveStack, Trace, Walker};

/// A goroutine in a dump.
pub(crate) struct Goroutine {
    /// What the core said about it. The copy of its stack is gone.
    pub(crate) about: snapshot::Goroutine,
    /// Its stack, if it could be walked.
    pub(crate) stack: Stack,
}

/// The stack of a goroutine in a dump.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stack {
    /// Its frames; goroutines that stand at the same place share them.
    Walked(Rc<Trace>),
    /// It runs on another thread.
    Elsewhere,
    /// It has not run yet.
    NotStarted,
}

/// All goroutines at one moment, with their stacks as lists of code addresses.
pub(crate) struct Dump {
    /// The goroutines, by id.
    pub(crate) goroutines: Vec<Goroutine>,
    walker: Walker,
    distinct: HashMap<Rc<Trace>, ()>,
}

impl Dump {
    /// Walks the copied stacks of all goroutines.
    pub(crate) fn collect(snapshots: impl IntoIterator<Item = snapshot::Goroutine>) -> Dump {
        let mut dump = Dump { goroutines: Vec::new(), walker: Walker::new(), distinct: HashMap::new() };
        for mut about in snapshots {
            let copy = mem::take(&mut about.stack);
            let stack = match (about.context, about.status) {
                (Some(context), _) => {
                    let trace =
                        dump.walker.walk(context, &CopiedStack { base: about.stack_at, words: &copy });
                    dump.share(trace)
                }
                (None, Status::Running) => Stack::Elsewhere,
                (None, _) => Stack::NotStarted,
            };
            dump.goroutines.push(Goroutine { about, stack });
        }
        dump.goroutines.sort_by_key(|goroutine| goroutine.about.id);
        dump
    }

    /// Adds the stack of the goroutine that makes the dump, which runs, and so has no copy.
    ///
    /// # Safety
    /// `id` is the caller's goroutine, on the same stack as when its snapshot was taken, which says where that ends;
    /// `context` is from [`unwind::capture`] in a frame that has not returned.
    pub(crate) unsafe fn add_own_stack(&mut self, id: u64, context: Context) {
        let Ok(at) = self.goroutines.binary_search_by_key(&id, |goroutine| goroutine.about.id) else {
            return;
        };
        let top = self.goroutines[at].about.stack_at;
        // SAFETY: from a live frame to the top of the stack that it is on; nobody else writes there, and what the
        // frames below do is outside the range.
        let stack = unsafe { LiveStack::new(context.sp..top) };
        let trace = self.walker.walk(context, &stack);
        self.goroutines[at].stack = self.share(trace);
    }

    fn share(&mut self, trace: Trace) -> Stack {
        let trace = Rc::new(trace);
        Stack::Walked(Rc::clone(self.distinct.entry(trace).insert_entry(()).key()))
    }
}
