//! How the models are run: `ci/loom.sh` compiles the tests named `loom_..` under `--cfg loom` and runs them.
//!
//! A model is a function that starts a few threads of loom's, which use the real rooms with tiny capacities, and asserts
//! what must hold. It is run for every order of their steps, and every value that a weak memory could show them, with
//! as many preemptions as `LOOM_MAX_PREEMPTIONS` allows. A thread that waits for ever is found as well: loom calls it a
//! deadlock.
//!
//! loom takes a SeqCst access for an AcqRel one; only a SeqCst fence is more. What relies on a locked instruction being a
//! full barrier is therefore reported, although x86 would forgive it.
//!
//! Where an argument is delicate, a `#[should_panic]` model beside it leaves something out, to show that the model can
//! fail at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Runs `model` in all its executions and says how many there were.
pub fn check(model: impl Fn() + Sync + Send + 'static) {
    explore(model, 0);
}

/// As [`check`], with one preemption less: for models with many threads or long ones.
pub fn check_large(model: impl Fn() + Sync + Send + 'static) {
    explore(model, -1);
}

/// As [`check`], with one preemption more: for models with few threads and few steps.
pub fn check_deep(model: impl Fn() + Sync + Send + 'static) {
    explore(model, 1);
}

fn explore(model: impl Fn() + Sync + Send + 'static, more_preemptions: isize) {
    const PREEMPTIONS: usize = 2;
    let mut builder = loom::model::Builder::new();
    let bound = builder.preemption_bound.unwrap_or(PREEMPTIONS);
    builder.preemption_bound = Some(bound.saturating_add_signed(more_preemptions));
    builder.max_branches = 10_000;
    let runs = Arc::new(AtomicUsize::new(0));
    let (counted, start) = (runs.clone(), Instant::now());
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let thread = std::thread::current();
    let (name, runs) = (thread.name().unwrap_or_default(), runs.load(Ordering::Relaxed));
    println!("{name}: {runs} executions in {:.1?}", start.elapsed());
}
