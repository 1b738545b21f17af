//! Building the runtime and entering it: the only room that wires the others together.
//!
//! There is one runtime in a process. The first entry makes it; it stays until the process ends. Entering starts a main
//! goroutine and blocks the thread until it is done.

use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use crate::ids::{NO_RUNTIME, WaitReason};
use crate::m::M;
use crate::sched::{self, Runtime, runtime};
use crate::stack::class::{self, Class};
use crate::stack::overflow::{self, Suspected};
use crate::sys::membarrier;
use crate::{cpus, preempt, sysmon, tlscheck};

/// What can be decided only before the first entry.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Processors; overrides `GOMAXPROCS`.
    pub procs: Option<usize>,
}

/// The runtime exists.
pub fn is_started() -> bool {
    runtime().is_some()
}

/// Makes sure that the runtime exists. `options` count if it did not exist before.
///
/// # Errors
/// The system gives no thread, or no memory; `GORT_STACK` is no size of a stack.
pub fn start(options: Options) -> io::Result<()> {
    static STARTED: OnceLock<Result<(), io::Error>> = OnceLock::new();
    match STARTED.get_or_init(|| build(options)) {
        Ok(()) => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}

fn build(options: Options) -> io::Result<()> {
    let rt: &'static Runtime = Box::leak(Box::new(Runtime::new(default_class()?)));
    overflow::install(suspect)?;
    membarrier::register();
    preempt::init();
    tlscheck::configure();
    // On the stack that the main goroutine will then use.
    let main_class = class::for_bytes(MAIN_STACK).expect("the size is in range");
    rt.start_helper(tlscheck::model::begin(&rt.pool, main_class)?)?;
    let (procs, fixed) = match options.procs {
        Some(n) => (n, true),
        None => cpus::initial_procs(),
    };
    rt.set_procs(u32::try_from(procs).unwrap_or(u32::MAX));
    sysmon::start(rt, !fixed)?;
    // Only a whole runtime is seen by the rest of the program.
    sched::publish(rt);
    Ok(())
}

/// `GORT_STACK` in bytes, or the usual size.
fn default_class() -> io::Result<Class> {
    let Some(text) = std::env::var_os("GORT_STACK") else {
        return Ok(class::for_bytes(class::DEFAULT_BYTES).expect("the default is in range"));
    };
    let wrong = |why: &dyn fmt::Display| {
        let text = format!("GORT_STACK={}: {why}", text.to_string_lossy());
        io::Error::new(io::ErrorKind::InvalidInput, text)
    };
    let bytes = text.to_str().and_then(|text| text.trim().parse().ok());
    let bytes = bytes.ok_or_else(|| wrong(&class::NotANumber))?;
    class::for_bytes(bytes).map_err(|error| wrong(&error))
}

/// For the signal handler: reads the per-thread word and atomics, nothing else.
fn suspect() -> Option<Suspected> {
    let g = M::current()?.curg()?;
    let stack = g.stack_low.load(Ordering::Relaxed)..g.stack_high.load(Ordering::Relaxed);
    Some(Suspected { id: g.raw_id(), name: g.name_bytes(), stack })
}

/// Bytes of stack for main goroutines.
pub const MAIN_STACK: usize = class::MAIN_BYTES;

/// GOMAXPROCS: sets it to `n`, or only asks if `n` is 0. Returns the value before.
///
/// # Panics
/// Outside the runtime.
#[track_caller]
pub fn gomaxprocs(n: usize) -> usize {
    let Some(rt) = runtime() else { panic!("{NO_RUNTIME}") };
    if n == 0 {
        return rt.procs.load(Ordering::Relaxed) as usize;
    }
    sysmon::fix_procs();
    let old = rt.set_procs(u32::try_from(n).unwrap_or(u32::MAX));
    // If the caller's own processor is one too many, it is given up here and not at some later park.
    if crate::park::on_goroutine() {
        crate::park::yield_now();
    }
    old as usize
}

/// Goroutines that exist, main ones included.
pub fn num_goroutine() -> usize {
    runtime().map_or(0, |rt| rt.count() as usize)
}

/// The limit on threads of the runtime; Go's `SetMaxThreads`. Returns the old one.
///
/// # Panics
/// Outside the runtime.
#[track_caller]
pub fn set_max_threads(n: usize) -> usize {
    let Some(rt) = runtime() else { panic!("{NO_RUNTIME}") };
    rt.threads.max.swap(n.max(1), Ordering::Relaxed)
}

/// The place of a call, for goroutines that the runtime starts for the program's main functions.
#[track_caller]
pub fn caller() -> &'static Location<'static> {
    Location::caller()
}

/// Why a thread inside an entry waits.
pub const ENTRY: WaitReason = WaitReason::Main;
