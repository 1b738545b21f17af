//! Models of the scheduler's side of the network: an event must find whoever waits for it, and timers are kept meanwhile.

use super::*;

/// The last machine goes idle while a goroutine waits for a descriptor.
#[test]
fn loom_event_while_the_last_machine_goes_idle() {
    model::check(|| {
        let world = World::new(1, 2, 1, 0).with_descriptors(1, 0);
        assert!(world.begin_to_wait(0));
        let world = Arc::new(world);
        let threads = vec![start(&world, |world| world.machine(0, 0)), newborn(&world, 1)];
        world.event(0);
        world.settle(threads);
    });
}

/// Both machines go idle: one of them watches.
#[test]
fn loom_event_while_the_last_two_machines_go_idle() {
    model::check_large(|| {
        let world = World::new(2, 3, 1, 0).with_descriptors(1, 0);
        assert!(world.begin_to_wait(0));
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.machine(0, 0)),
            start(&world, |world| world.machine(1, 1)),
            newborn(&world, 2),
        ];
        world.event(0);
        world.settle(threads);
    });
}

/// The last machine goes idle while the other processor, which polled just before, is put out of service.
#[test]
fn loom_event_while_the_last_machine_goes_idle_and_gomaxprocs_is_lowered() {
    model::check(|| {
        let world = World::new(2, 2, 1, 0).with_descriptors(1, 0);
        assert!(world.begin_to_wait(0));
        world.make_idle(1);
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.machine(0, 0)),
            start(&world, |world| {
                world.rt.polls.note(1);
                assert_eq!(world.rt.set_procs(1), 2);
                world.event(0);
            }),
            newborn(&world, 1),
        ];
        world.settle(threads);
    });
}

/// A thread without a processor begins to wait while the last machine goes idle.
#[test]
fn loom_thread_begins_to_wait_while_the_last_machine_goes_idle() {
    model::check(|| {
        let mut world = World::new(1, 3, 0, 0).with_descriptors(0, 1);
        world.expected = 1;
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.machine(0, 0)),
            start(&world, |world| world.wait_outside(0)),
            newborn(&world, 1),
        ];
        world.event(0);
        world.settle(threads);
    });
}

/// As before, but a machine that keeps time sleeps already.
#[test]
fn loom_thread_begins_to_wait_while_a_keeper_sleeps() {
    model::check_large(|| {
        let mut world = World::new(1, 3, 1, 1).with_descriptors(0, 1);
        world.expected = 1;
        world.add_timer(0, 0, LATER);
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.machine(0, 0)),
            start(&world, |world| world.wait_outside(0)),
            newborn(&world, 1),
        ];
        world.event(0);
        world.settle(threads);
    });
}

/// A busy processor gets a timer that comes before what the keeper sleeps for, in the poller, or is about to.
#[test]
fn loom_watch_does_not_sleep_past_an_earlier_timer() {
    model::check(|| {
        let mut world = World::new(2, 3, 3, 2).with_descriptors(1, 0);
        world.expected = 1;
        assert!(world.begin_to_wait(0));
        world.add_timer(1, 1, LATER);
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.machine(0, 1)),
            newborn(&world, 1),
            start(&world, |_| futex::time_passes(SOON)),
        ];
        world.submit_timer(0, 0, SOON);
        world.settle(threads);
    });
}

/// Two goroutines are ready at once: who comes back from the poller runs one, and the other is found as well.
#[test]
fn loom_two_events_for_one_watch() {
    model::check_large(|| {
        let world = World::new(2, 3, 2, 0).with_descriptors(2, 0);
        assert!(world.begin_to_wait(0) && world.begin_to_wait(1));
        world.event(0);
        world.event(1);
        let world = Arc::new(world);
        let threads = vec![
            start(&world, |world| world.machine(0, 0)),
            start(&world, |world| world.machine(1, 1)),
            newborn(&world, 2),
        ];
        world.settle(threads);
    });
}

/// The only processor is given away while a goroutine waits for a descriptor, and nobody watches.
#[test]
fn loom_event_while_the_last_processor_is_handed_off() {
    model::check(|| {
        let world = World::new(1, 1, 1, 0).with_descriptors(1, 0);
        assert!(world.begin_to_wait(0));
        let world = Arc::new(world);
        let threads = vec![start(&world, |world| world.rt.handoff_p(world.p(0))), newborn(&world, 0)];
        world.event(0);
        world.settle(threads);
    });
}
