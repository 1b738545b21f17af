//! The cases of `sync_cases` on goroutines, and what only goroutines have.

mod sync_cases;

/// How this variant starts a task, waits, and lets others run.
mod env {
    pub(crate) use gort::{JoinHandle as Task, go as spawn, gosched as yield_now, sleep};
}

macro_rules! tests {
    ($($room:ident: $($case:ident)*;)*) => {
        $(mod $room {
            $(#[gort::test(unsafe(migrate))] fn $case() { crate::sync_cases::$room::$case() })*
        })*
    };
}
sync_cases::all!(tests);

mod tasks {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use gort::sync::{ErrGroup, WaitGroup};

    #[gort::test(unsafe(migrate))]
    fn wait_group_go_counts_returns_exits_and_panics() {
        let wg = WaitGroup::new();
        let ran = Arc::new(AtomicUsize::new(0));
        for i in 0..60 {
            let ran = ran.clone();
            wg.go(move || {
                ran.fetch_add(1, Ordering::Relaxed);
                match i {
                    10 => gort::goexit(),
                    20 => std::panic::resume_unwind(Box::new("on purpose")),
                    _ => gort::gosched(),
                }
            });
        }
        wg.wait();
        assert_eq!(ran.load(Ordering::Relaxed), 60);
    }

    #[gort::test(unsafe(migrate))]
    fn a_task_may_add_tasks() {
        fn tree(wg: &WaitGroup, leaves: &Arc<AtomicUsize>, depth: u32) {
            if depth == 0 {
                leaves.fetch_add(1, Ordering::Relaxed);
                return;
            }
            for _ in 0..3 {
                let (wg2, leaves) = (wg.clone(), leaves.clone());
                wg.go(move || tree(&wg2, &leaves, depth - 1));
            }
        }
        let (wg, leaves) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
        tree(&wg, &leaves, 5);
        wg.wait();
        assert_eq!(leaves.load(Ordering::Relaxed), 243);
    }

    #[gort::test(unsafe(migrate))]
    fn err_group_keeps_the_first_error_and_cancels() {
        let (group, ctx) = ErrGroup::with_context(gort::context::background());
        for i in 0..8 {
            let ctx = ctx.clone();
            group.go(move || {
                if i == 3 {
                    return Err(format!("task {i} failed"));
                }
                // Ends only because task 3 has failed.
                let _closed = ctx.done().recv();
                Err("came later".to_string())
            });
        }
        assert_eq!(group.wait(), Err("task 3 failed".to_string()));
        assert!(ctx.err().is_some());
        assert_eq!(group.wait(), Ok(()));
    }

    #[gort::test(unsafe(migrate))]
    fn err_group_without_errors_cancels_at_the_end() {
        let (group, ctx) = ErrGroup::<()>::with_context(gort::context::background());
        let seen = ctx.clone();
        group.go(move || {
            assert!(seen.err().is_none());
            Ok(())
        });
        assert_eq!(group.wait(), Ok(()));
        assert!(ctx.err().is_some());
    }

    #[gort::test(unsafe(migrate))]
    fn err_group_limit() {
        let group = ErrGroup::<()>::new();
        group.set_limit(2);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..30 {
            let (running, most) = (running.clone(), most.clone());
            group.go(move || {
                let now = running.fetch_add(1, Ordering::Relaxed) + 1;
                most.fetch_max(now, Ordering::Relaxed);
                gort::gosched();
                running.fetch_sub(1, Ordering::Relaxed);
                Ok(())
            });
        }
        group.wait().unwrap();
        assert_eq!(most.load(Ordering::Relaxed).max(2), 2);

        let (tx, rx) = gort::chan::<()>(0);
        let block = rx.clone();
        group.set_limit(1);
        assert!(group.try_go(move || block.recv().map_err(drop)));
        assert!(!group.try_go(|| Ok(())));
        tx.send(()).unwrap();
        group.wait().unwrap();
    }

    #[gort::test(unsafe(migrate))]
    fn err_group_raises_a_panic_in_wait() {
        let group = ErrGroup::<()>::new();
        group.go(|| std::panic::resume_unwind(Box::new("on purpose")));
        let payload = std::panic::catch_unwind(|| group.wait()).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
    }
}

#[gort::test(unsafe(migrate))]
fn who_has_waited_for_a_group_does_not_count_its_goroutines_any_more() {
    // Others of this binary's tests run at the same time: only what this one started may be gone, not left.
    static ENDED: gort::sync::atomic::AtomicUsize = gort::sync::atomic::AtomicUsize::new(0);
    struct Ended;
    impl Drop for Ended {
        fn drop(&mut self) {
            ENDED.fetch_add(1, gort::sync::atomic::Ordering::Relaxed);
        }
    }
    gort::local! { static LAST: Option<Ended> = Some(Ended); }
    for round in 1..=1000 {
        let all = gort::sync::WaitGroup::new();
        all.go(|| LAST.with(|last| assert!(last.is_some())));
        all.wait();
        let ended = ENDED.load(gort::sync::atomic::Ordering::Relaxed);
        assert_eq!(ended, round, "its locals are destroyed by then, and it is counted out after them");
    }
}
