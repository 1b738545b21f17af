//! Contexts: cancellation, deadlines, causes, values and callbacks, by Go's rules.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use gort::context::{CancelFn, Context, ContextError, background};

const MS: Duration = Duration::from_millis(1);
/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(3600);

#[track_caller]
fn assert_open(ctx: &Context) {
    assert_eq!(ctx.err(), None, "{ctx}");
    assert!(ctx.cause().is_none(), "{ctx}");
    assert!(!ctx.done().is_closed(), "{ctx}");
}

#[track_caller]
fn assert_done(ctx: &Context, err: ContextError) {
    assert!(ctx.done().is_closed(), "{ctx}");
    assert!(ctx.done().recv().is_err(), "{ctx}");
    assert_eq!(ctx.err(), Some(err), "{ctx}");
    assert!(ctx.cause().is_some(), "{ctx}");
}

/// Waits until `ctx` is done, however long that takes.
fn wait(ctx: &Context) {
    assert!(ctx.done().recv().is_err());
}

fn cause_of(ctx: &Context) -> String {
    ctx.cause().map_or("none".to_string(), |cause| cause.to_string())
}

#[test]
fn background_is_never_done() {
    let ctx = background();
    assert_open(&ctx);
    assert_eq!(ctx.deadline(), None);
    assert_eq!(ctx.to_string(), "context.Background");
    assert_eq!(format!("{:?}", Context::default()), "context.Background");
}

#[test]
fn contexts_are_send_sync_and_unwind_safe() {
    fn check<T: Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe + 'static>() {}
    check::<Context>();
    check::<CancelFn>();
}

#[test]
fn cancel_is_seen_at_once_and_once() {
    let (ctx, cancel) = background().with_cancel();
    assert_eq!(ctx.to_string(), "context.Background.WithCancel");
    assert_open(&ctx);
    for _ in 0..2 {
        cancel.cancel();
        assert_done(&ctx, ContextError::Canceled);
        assert_eq!(ctx.err().unwrap().to_string(), "context canceled");
    }
}

#[test]
fn dropping_the_cancel_fn_cancels() {
    let (ctx, cancel) = background().with_cancel();
    drop(cancel);
    assert_done(&ctx, ContextError::Canceled);
    // A pattern that drops does the same, at once.
    let (ctx, _) = background().with_cancel();
    assert_done(&ctx, ContextError::Canceled);
}

#[test]
fn a_done_channel_taken_before_is_closed_and_one_taken_after_is_closed_too() {
    let (ctx, cancel) = background().with_cancel();
    let before = ctx.done().clone();
    let waiter = thread::spawn({
        let done = before.clone();
        move || assert!(done.recv().is_err())
    });
    cancel.cancel();
    assert!(before.is_closed());
    waiter.join().unwrap();
    let (never_asked, cancel) = background().with_cancel();
    cancel.cancel();
    assert!(never_asked.done().is_closed());
}

#[test]
fn cancellation_goes_down_and_not_up() {
    let (root, cancel_root) = background().with_cancel();
    let (left, cancel_left) = root.with_cancel();
    let (right, _cancel_right) = root.with_value(1u8).with_cancel();
    let (leaf, _cancel_leaf) = left.with_value("x").with_value(2u8).with_cancel();
    let valued = leaf.with_value(3u8);
    cancel_left.cancel();
    for ctx in [&left, &leaf, &valued] {
        assert_done(ctx, ContextError::Canceled);
    }
    for ctx in [&root, &right] {
        assert_open(ctx);
    }
    cancel_root.cancel();
    assert_done(&root, ContextError::Canceled);
    assert_done(&right, ContextError::Canceled);
}

#[test]
fn a_child_of_a_cancelled_parent_is_born_done() {
    let (parent, cancel) = background().with_cancel_cause();
    cancel.cancel_cause("too late");
    let (child, _c) = parent.with_cancel();
    let (timed, _c) = parent.with_timeout(LONG);
    let (expired, _c) = parent.with_timeout(Duration::ZERO);
    for ctx in [&child, &timed, &expired] {
        assert_done(ctx, ContextError::Canceled);
        assert_eq!(cause_of(ctx), "too late");
    }
}

/// Not by a nanosecond.
#[test]
fn no_deadline_looks_earlier_than_it_was_set_to() {
    for _ in 0..20_000 {
        let earliest = Instant::now() + LONG;
        let (ctx, _cancel) = background().with_timeout(LONG);
        assert!(ctx.deadline().unwrap() >= earliest);
    }
}

#[test]
fn deadlines_expire() {
    let start = Instant::now();
    for (name, (ctx, _cancel)) in [
        ("timeout", background().with_timeout(20 * MS)),
        ("deadline", background().with_deadline(start + 20 * MS)),
        ("inherited", {
            let (parent, cancel) = background().with_timeout(20 * MS);
            // The parent's CancelFn must live on.
            std::mem::forget(cancel);
            parent.with_timeout(LONG)
        }),
        ("below", {
            let (parent, cancel) = background().with_timeout(LONG);
            std::mem::forget(cancel);
            parent.with_value(0).with_timeout(20 * MS)
        }),
    ] {
        assert!(ctx.deadline().unwrap() >= start + 20 * MS, "{name}");
        assert!(ctx.deadline().unwrap() <= Instant::now() + 20 * MS, "{name}");
        wait(&ctx);
        assert!(Instant::now() >= ctx.deadline().unwrap(), "{name}");
        assert_done(&ctx, ContextError::DeadlineExceeded);
        assert!(ctx.err().unwrap().is_timeout());
        assert_eq!(cause_of(&ctx), "context deadline exceeded", "{name}");
    }
}

#[test]
fn passed_deadlines_are_done_at_birth() {
    let now = Instant::now();
    for (ctx, _cancel) in [
        background().with_timeout(Duration::ZERO),
        background().with_deadline(now),
        background().with_deadline(now.checked_sub(MS).unwrap_or(now)),
    ] {
        assert_done(&ctx, ContextError::DeadlineExceeded);
    }
}

#[test]
fn deadlines_keep_what_they_were_given() {
    let deadline = Instant::now() + LONG;
    let (ctx, _cancel) = background().with_deadline(deadline);
    assert_eq!(ctx.deadline(), Some(deadline));
    let (later, _cancel) = ctx.with_deadline(deadline + MS);
    assert_eq!(later.deadline(), Some(deadline));
    let (earlier, _cancel) = later.with_deadline(deadline - MS);
    assert_eq!(earlier.deadline(), Some(deadline - MS));
    let (endless, _cancel) = background().with_timeout(Duration::MAX);
    assert_eq!(endless.deadline(), None);
    assert_open(&endless);
}

#[test]
fn cancel_before_the_deadline_wins() {
    let (ctx, cancel) = background().with_timeout(LONG);
    cancel.cancel();
    assert_done(&ctx, ContextError::Canceled);
    let (ctx, cancel) = background().with_timeout(5 * MS);
    wait(&ctx);
    cancel.cancel();
    assert_done(&ctx, ContextError::DeadlineExceeded);
}

#[test]
fn many_deadlines_at_once() {
    let contexts: Vec<_> = (0..200).map(|n| background().with_timeout(MS * (n % 20))).collect();
    for (ctx, _cancel) in &contexts {
        wait(ctx);
        assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
    }
}

/// An error that can be told from others after its type.
#[derive(Debug, PartialEq)]
struct Named(&'static str);
impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
impl Error for Named {}

/// Which of two cancellations comes first, and what parent and child say afterwards.
#[test]
fn the_first_cause_wins_and_a_child_keeps_its_own() {
    type Act = fn(&CancelFn);
    let plain: Act = |c| c.cancel();
    let parents: Act = |c| c.cancel_cause(Named("parent's"));
    let childs: Act = |c| c.cancel_cause(Named("child's"));
    const PLAIN: &str = "context canceled";
    // (parent's act, child's act, parent first, then the causes of both)
    for (on_parent, on_child, parent_first, parent_says, child_says) in [
        (plain, plain, true, PLAIN, PLAIN),
        (plain, childs, true, PLAIN, PLAIN),
        (plain, childs, false, PLAIN, "child's"),
        (parents, plain, true, "parent's", "parent's"),
        (parents, plain, false, "parent's", PLAIN),
        (parents, childs, true, "parent's", "parent's"),
        (parents, childs, false, "parent's", "child's"),
    ] {
        let (parent, cancel_parent) = background().with_cancel_cause();
        let (child, cancel_child) = parent.with_value(()).with_cancel_cause();
        if parent_first {
            on_parent(&cancel_parent);
            on_child(&cancel_child);
        } else {
            on_child(&cancel_child);
            assert_open(&parent);
            on_parent(&cancel_parent);
        }
        for _ in 0..2 {
            assert_eq!((cause_of(&parent).as_str(), cause_of(&child).as_str()), (parent_says, child_says));
            cancel_parent.cancel_cause("later causes are ignored");
            cancel_child.cancel_cause("later causes are ignored");
        }
        assert_eq!(child.err(), Some(ContextError::Canceled));
    }
}

#[test]
fn causes_keep_their_type_and_values_pass_them_on() {
    let (ctx, cancel) = background().with_cancel_cause();
    cancel.cancel_cause(Named("mine"));
    let cause = ctx.with_value(5).cause().unwrap();
    assert_eq!(cause.downcast_ref::<Named>(), Some(&Named("mine")));
    let (plain, cancel) = background().with_cancel();
    cancel.cancel();
    assert_eq!(plain.cause().unwrap().downcast_ref::<ContextError>(), Some(&ContextError::Canceled));
}

#[test]
fn deadlines_have_causes() {
    let now = Instant::now();
    for (ctx, _cancel) in [
        background().with_timeout_cause(5 * MS, Named("slow")),
        background().with_deadline_cause(now + 5 * MS, Named("slow")),
        background().with_timeout_cause(Duration::ZERO, Named("slow")),
    ] {
        wait(&ctx);
        assert_done(&ctx, ContextError::DeadlineExceeded);
        assert_eq!(cause_of(&ctx), "slow");
    }
    // A cancellation by hand has its own, or none.
    let (ctx, cancel) = background().with_timeout_cause(LONG, Named("slow"));
    cancel.cancel();
    assert_eq!(cause_of(&ctx), "context canceled");
    // A later deadline than the parent's never comes, nor does its cause.
    let (parent, _cancel) = background().with_timeout_cause(5 * MS, Named("parent's"));
    let (child, _cancel) = parent.with_timeout_cause(LONG, Named("child's"));
    wait(&child);
    assert_eq!(cause_of(&child), "parent's");
}

#[test]
fn values_are_found_by_type_nearest_first() {
    #[derive(Debug, PartialEq)]
    struct User(u32);
    let root = background().with_value(User(1)).with_value("name".to_string());
    let (scoped, _cancel) = root.with_cancel();
    let inner = scoped.with_value(User(2));
    assert_eq!(root.value::<User>().as_deref(), Some(&User(1)));
    assert_eq!(inner.value::<User>().as_deref(), Some(&User(2)));
    assert_eq!(inner.value::<String>().as_deref().map(String::as_str), Some("name"));
    assert!(inner.value::<u64>().is_none());
    assert!(background().value::<User>().is_none());
    let kept = inner.value::<User>().unwrap();
    drop(inner);
    assert_eq!(*kept, User(2));
}

#[test]
fn without_cancel_keeps_values_only() {
    let (parent, cancel) = background().with_value(7u32).with_timeout(LONG);
    cancel.cancel();
    let free = parent.without_cancel();
    assert_open(&free);
    assert_eq!(free.deadline(), None);
    assert_eq!(free.value::<u32>().as_deref(), Some(&7));
    assert!(free.to_string().ends_with(".WithoutCancel"));
    let (child, cancel_child) = free.with_value(1u8).with_cancel();
    assert_open(&child);
    cancel_child.cancel();
    assert_done(&child, ContextError::Canceled);
    assert_open(&free);
}

#[test]
fn display_shows_the_way_from_the_root() {
    let (ctx, _c) = background().with_value(1u8).with_cancel();
    assert_eq!(ctx.to_string(), "context.Background.WithValue(u8).WithCancel");
    let (timed, _c) = ctx.with_timeout(LONG);
    let text = format!("{:?}", timed.without_cancel());
    assert!(text.starts_with("context.Background.WithValue(u8).WithCancel.WithDeadline([35"), "{text}");
    assert!(text.ends_with("s]).WithoutCancel"), "{text}");
    let (expired, _c) = background().with_timeout(Duration::ZERO);
    assert!(expired.to_string().starts_with("context.Background.WithDeadline([-"), "{expired}");
}

#[test]
fn after_func_runs_once_when_the_context_is_done() {
    let (ctx, cancel) = background().with_cancel();
    let (tx, rx) = mpsc::channel();
    let stop = ctx.with_value(1).after_func(move || tx.send(()).unwrap());
    assert!(rx.recv_timeout(5 * MS).is_err(), "not yet");
    cancel.cancel();
    assert_eq!(rx.recv(), Ok(()));
    assert!(!stop.stop());
    cancel.cancel();
    assert!(rx.recv().is_err(), "the function is gone, with its sender");
}

#[test]
fn after_func_of_a_done_context_runs_at_once() {
    let (tx, rx) = mpsc::channel();
    let (ctx, _) = background().with_cancel();
    ctx.after_func(move || tx.send(()).unwrap());
    assert_eq!(rx.recv(), Ok(()));
}

#[test]
fn after_func_runs_at_a_deadline() {
    let (tx, rx) = mpsc::channel();
    let (ctx, _cancel) = background().with_timeout(5 * MS);
    let seen = ctx.clone();
    ctx.after_func(move || tx.send(seen.err()).unwrap());
    assert_eq!(rx.recv(), Ok(Some(ContextError::DeadlineExceeded)));
}

#[test]
fn a_stopped_after_func_does_not_run_and_is_dropped() {
    let (ctx, cancel) = background().with_cancel();
    let token = Arc::new(());
    for ctx in [ctx, background()] {
        let held = Arc::clone(&token);
        let stop = ctx.after_func(move || unreachable!("stopped, {held:?}"));
        assert_eq!(Arc::strong_count(&token), 2);
        assert!(stop.stop());
        assert!(!stop.stop(), "only the first call stops it");
        assert_eq!(Arc::strong_count(&token), 1);
    }
    cancel.cancel();
}

#[test]
fn a_cancellation_does_not_wait_for_after_funcs() {
    let (ctx, cancel) = background().with_cancel();
    let (open, gate) = mpsc::channel::<()>();
    let (tx, rx) = mpsc::channel();
    ctx.after_func(move || {
        let _ = gate.recv();
        tx.send(()).unwrap();
    });
    cancel.cancel();
    assert!(rx.try_recv().is_err());
    open.send(()).unwrap();
    assert_eq!(rx.recv(), Ok(()));
}

#[test]
fn finished_children_leave_their_parent() {
    let (parent, cancel) = background().with_cancel();
    let token = Arc::new(());
    for round in 0..100 {
        let (child, cancel_child) = parent.with_value(Arc::clone(&token)).with_cancel();
        let stop = child.after_func({
            let held = Arc::clone(&token);
            move || drop(held)
        });
        match round % 3 {
            0 => cancel_child.cancel(),
            1 => assert!(stop.stop()),
            _ => drop(child),
        }
    }
    // A stopped callback leaves its node nowhere either, nor the contexts above it.
    let valued = parent.with_value(Arc::clone(&token));
    assert!(valued.after_func(|| unreachable!("stopped")).stop());
    drop(valued);
    while Arc::strong_count(&token) > 1 {
        thread::yield_now(); // callbacks are on their way
    }
    assert_open(&parent);
    cancel.cancel();
}

#[test]
fn deep_trees_are_cancelled_and_dropped_without_recursion() {
    const DEPTH: usize = 100_000;
    let (root, cancel_root) = background().with_cancel();
    let (mut ctx, mut cancels) = (root, Vec::new());
    for depth in 0..DEPTH {
        let (child, cancel) = ctx.with_cancel();
        cancels.push(cancel);
        ctx = if depth % 3 == 0 { child.with_value(depth) } else { child };
    }
    cancel_root.cancel();
    assert_done(&ctx, ContextError::Canceled);
    drop(cancels);
    drop(cancel_root);
    drop(ctx);
    // A chain of values alone, and walls in between.
    let mut ctx = background();
    for depth in 0..DEPTH {
        ctx = if depth % 2 == 0 { ctx.with_value(depth) } else { ctx.without_cancel() };
    }
    assert_eq!(*ctx.value::<usize>().unwrap(), DEPTH - 2);
}

#[test]
fn wide_trees_are_cancelled() {
    const WIDTH: usize = 20_000;
    let (root, cancel) = background().with_cancel();
    let children: Vec<_> = (0..WIDTH).map(|_| root.with_cancel()).collect();
    // Leaving from the middle, the front and the back.
    children[WIDTH / 2].1.cancel();
    children[0].1.cancel();
    children[WIDTH - 1].1.cancel();
    assert_open(&children[1].0);
    cancel.cancel();
    for (child, _) in &children {
        assert_eq!(child.err(), Some(ContextError::Canceled));
    }
}

/// A random number generator (splitmix64) for the stress tests.
struct Chance(u64);
impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33) as usize % n
    }
}

/// Random trees; several threads cancel random nodes at the same time. Whoever's call has returned finds everything
/// below that node done, with closed channels, even if others did part of the work.
#[test]
fn stress_cancellations_that_meet_are_each_synchronous() {
    for seed in 0..150u64 {
        let mut chance = Chance(seed);
        let mut nodes: Vec<(Context, CancelFn, usize)> = vec![];
        let (root, cancel) = background().with_cancel();
        nodes.push((root, cancel, 0));
        for at in 1..60 {
            // Mostly a chain, so that subtrees are deep.
            let above = if chance.below(3) > 0 { at - 1 } else { chance.below(at) };
            let parent = &nodes[above].0;
            let (ctx, cancel) = match chance.below(3) {
                0 => parent.with_value(at).with_cancel(),
                1 => parent.with_timeout(LONG),
                _ => parent.with_cancel(),
            };
            if chance.below(2) == 0 {
                ctx.done();
            }
            nodes.push((ctx, cancel, above));
        }
        let picks: Vec<usize> = (0..3).map(|_| chance.below(20)).collect();
        let nodes = &nodes;
        thread::scope(|s| {
            for &pick in &picks {
                s.spawn(move || {
                    nodes[pick].1.cancel();
                    for at in pick..nodes.len() {
                        let mut up = at;
                        while up > pick {
                            up = nodes[up].2;
                        }
                        if up == pick {
                            assert!(nodes[at].0.err().is_some(), "seed {seed}: node {at} below {pick}");
                            assert!(nodes[at].0.done().is_closed(), "seed {seed}: node {at} below {pick}");
                        }
                    }
                });
            }
        });
    }
}

/// Children come and go, callbacks are registered and stopped while the parent is cancelled: each callback runs or is
/// stopped, never both, never neither.
#[test]
fn stress_births_and_stops_race_with_a_cancellation() {
    for seed in 0..100u64 {
        let (parent, cancel) = background().with_cancel();
        let (ran, stopped) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        let (workers, each) = (3, 40);
        thread::scope(|s| {
            for worker in 0..workers {
                let (parent, ran, stopped) = (&parent, &ran, &stopped);
                s.spawn(move || {
                    let mut chance = Chance(seed * 8 + worker as u64);
                    for _ in 0..each {
                        let ran = Arc::clone(ran);
                        let stop = parent.after_func(move || {
                            ran.fetch_add(1, Ordering::Relaxed);
                        });
                        let (child, _cancel) = parent.with_timeout(LONG);
                        if chance.below(2) == 0 {
                            thread::yield_now();
                        }
                        if chance.below(2) == 0 && stop.stop() {
                            stopped.fetch_add(1, Ordering::Relaxed);
                        }
                        // Whoever is born below a node that is done already is done from the start.
                        if child.err().is_some() {
                            let (late, _cancel) = child.with_cancel();
                            assert!(late.err().is_some(), "seed {seed}");
                        }
                    }
                });
            }
            s.spawn(|| {
                (0..seed * 20).for_each(|_| std::hint::spin_loop());
                cancel.cancel();
            });
        });
        let start = Instant::now();
        while ran.load(Ordering::Relaxed) + stopped.load(Ordering::Relaxed) < workers * each {
            assert!(start.elapsed() < Duration::from_secs(60), "seed {seed}: a callback is missing");
            thread::yield_now();
        }
        assert_eq!(
            ran.load(Ordering::Relaxed) + stopped.load(Ordering::Relaxed),
            workers * each,
            "seed {seed}"
        );
    }
}

/// The deadline and a cancellation come at the same moment: exactly one verdict, and it stays.
#[test]
fn stress_deadline_races_with_cancel() {
    let mut counts = [0, 0];
    for seed in 0..300u64 {
        let (ctx, cancel) =
            background().with_timeout_cause(Duration::from_micros(seed % 60 + 20), Named("late"));
        (0..seed % 60 * 40).for_each(|_| std::hint::spin_loop());
        cancel.cancel_cause(Named("by hand"));
        let (err, cause) = (ctx.err().unwrap(), cause_of(&ctx));
        assert_eq!(cause, if err.is_timeout() { "late" } else { "by hand" }, "seed {seed}");
        thread::yield_now();
        assert_eq!((ctx.err().unwrap(), cause_of(&ctx)), (err, cause), "seed {seed}");
        counts[usize::from(err.is_timeout())] += 1;
    }
    assert_eq!(counts.iter().sum::<i32>(), 300);
}

#[test]
fn who_sees_the_error_finds_the_channel_closed() {
    for _ in 0..3000 {
        let (ctx, cancel) = background().with_cancel();
        let done = ctx.done().clone();
        thread::scope(|s| {
            s.spawn(|| cancel.cancel());
            while ctx.err().is_none() {
                std::hint::spin_loop();
            }
            assert!(done.is_closed());
        });
    }
}
