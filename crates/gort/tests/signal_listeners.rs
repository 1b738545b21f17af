//! Listening to signals, inside one process. Each test has a signal to itself, or two, since they are the whole process's;
//! what ends a process is tested from outside.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use gort::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use gort::signal::{
    SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGPWR, SIGSYS, SIGTERM, SIGTRAP, SIGTTIN, SIGTTOU,
    SIGURG, SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ, SignalError, ignore, ignored, notify,
    notify_context, reset, stop,
};

const LONG: Duration = Duration::from_secs(30);

fn send(signal: i32) {
    // SAFETY: sends a signal to this process.
    assert_eq!(unsafe { libc::kill(libc::getpid(), signal) }, 0);
}

/// For signals of which some may still be on their way: the default action would end the process.
fn listen_for_good(rx: Receiver<i32>) {
    std::mem::forget(rx);
}

/// What stands at a signal.
fn disposition(signal: i32) -> usize {
    // SAFETY: only reads, into a value for which zeros are valid.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        assert_eq!(libc::sigaction(signal, std::ptr::null(), &mut action), 0);
        action.sa_sigaction
    }
}

#[gort::test(unsafe(migrate))]
fn a_signal_arrives_in_a_goroutine() {
    let rx = notify(&[SIGUSR1]);
    let waits = gort::go(move || rx.recv_timeout(LONG));
    send(SIGUSR1);
    assert_eq!(waits.join().unwrap(), Ok(SIGUSR1));
}

#[test]
fn a_signal_arrives_on_a_plain_thread() {
    let rx = notify(&[SIGUSR2]);
    send(SIGUSR2);
    assert_eq!(rx.recv_timeout(LONG), Ok(SIGUSR2));
}

#[gort::test(unsafe(migrate))]
fn several_listeners_get_each_signal_that_they_asked_for() {
    let (both, first, second) = (notify(&[SIGALRM, SIGHUP]), notify(&[SIGALRM]), notify(&[SIGHUP]));
    send(SIGALRM);
    assert_eq!([both.recv_timeout(LONG), first.recv_timeout(LONG)], [Ok(SIGALRM); 2]);
    drop(both);
    send(SIGHUP);
    assert_eq!(second.recv_timeout(LONG), Ok(SIGHUP));
    assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
}

#[gort::test(unsafe(migrate))]
fn a_select_takes_signals() {
    let rx = notify(&[SIGIO]);
    let (_tx, other) = gort::chan::<()>(0);
    send(SIGIO);
    gort::select! {
        recv(rx) -> signal => assert_eq!(signal, Ok(SIGIO)),
        recv(other) -> _ => unreachable!(),
        default(LONG) => panic!("no signal"),
    }
}

#[gort::test(unsafe(migrate))]
fn a_full_buffer_drops_signals_and_nothing_waits() {
    let (slow, quick) = (notify(&[SIGVTALRM]), notify(&[SIGVTALRM]));
    let capacity = slow.capacity().unwrap();
    assert!(capacity >= 1);
    for _ in 0..2 * capacity {
        send(SIGVTALRM);
        quick.recv_timeout(LONG).unwrap();
    }
    assert_eq!(slow.len(), capacity);
    assert!(slow.try_iter().all(|signal| signal == SIGVTALRM));
    send(SIGVTALRM);
    assert_eq!(slow.recv_timeout(LONG), Ok(SIGVTALRM));
}

#[gort::test(unsafe(migrate))]
fn signals_arrive_while_goroutines_work() {
    const SIGNALS: u32 = 1000;
    let (rx, last) = (notify(&[SIGXCPU]), notify(&[SIGXFSZ]));
    let (over_tx, over) = gort::chan::<()>(0);
    let work: Vec<_> = (0..20)
        .map(|_| {
            let over = over.clone();
            gort::go(move || {
                let (tx, rx) = gort::chan(1);
                let mut rounds = 0u64;
                loop {
                    tx.send(rounds).unwrap();
                    rounds = rx.recv().unwrap() + 1;
                    if over.try_recv() != Err(TryRecvError::Empty) {
                        return rounds;
                    }
                }
            })
        })
        .collect();
    let counts = gort::go(move || {
        let mut count = 0;
        loop {
            gort::select! {
                recv(rx) -> signal => count += u32::from(signal == Ok(SIGXCPU)),
                recv(last) -> _ => return (count, rx),
                default(LONG) => panic!("the last signal was lost after {count}"),
            }
        }
    });
    for _ in 0..SIGNALS {
        send(SIGXCPU);
    }
    // The one after which none comes is not lost among the many.
    send(SIGXFSZ);
    let (count, rx) = counts.join().unwrap();
    let rest = rx.try_iter().count() as u32;
    listen_for_good(rx);
    assert!((1..=SIGNALS).contains(&(count + rest)), "{count} and {rest}");
    drop(over_tx);
    assert!(work.into_iter().all(|goroutine| goroutine.join().unwrap() > 0));
}

#[gort::test(unsafe(migrate))]
fn nothing_arrives_after_a_stop() {
    for _ in 0..200 {
        let (rx, other) = (notify(&[SIGWINCH]), notify(&[SIGWINCH]));
        send(SIGWINCH);
        stop(&rx);
        let before = rx.len();
        other.recv_timeout(LONG).unwrap();
        assert_eq!(rx.len(), before);
        assert_eq!(rx.iter().count(), before, "closed, so this ends");
    }
}

#[gort::test(unsafe(migrate))]
fn the_last_receiver_gives_the_signal_back() {
    let before = disposition(SIGPWR);
    let rx = notify(&[SIGPWR]);
    let clone = rx.clone();
    assert_ne!(disposition(SIGPWR), before);
    drop(rx);
    assert_ne!(disposition(SIGPWR), before);
    send(SIGPWR);
    assert_eq!(clone.recv_timeout(LONG), Ok(SIGPWR));
    drop(clone);
    assert_eq!(disposition(SIGPWR), before);
    // A receiver that goes with a buffered signal, and one that goes inside a select's case.
    let rx = notify(&[SIGPWR]);
    send(SIGPWR);
    while rx.is_empty() {
        gort::sleep(Duration::from_millis(1));
    }
    drop(rx);
    assert_eq!(disposition(SIGPWR), before);
}

#[gort::test(unsafe(migrate))]
fn ignore_and_reset_undo_a_notify() {
    assert!(!ignored(SIGTTIN));
    let (both, one) = (notify(&[SIGTTIN, SIGTTOU]), notify(&[SIGTTIN]));
    ignore(&[SIGTTIN]);
    assert!(ignored(SIGTTIN) && !ignored(SIGTTOU));
    assert!(one.recv().is_err(), "it has nothing left to listen to");
    send(SIGTTIN);
    send(SIGTTOU);
    assert_eq!(both.recv_timeout(LONG), Ok(SIGTTOU));
    // Asking again makes it heard again.
    let again = notify(&[SIGTTIN]);
    assert!(!ignored(SIGTTIN));
    send(SIGTTIN);
    assert_eq!(again.recv_timeout(LONG), Ok(SIGTTIN));
    assert_eq!(both.try_recv(), Err(TryRecvError::Empty));
    reset(&[SIGTTIN, SIGTTOU]);
    assert!(again.recv().is_err() && both.recv().is_err());
    assert_eq!([disposition(SIGTTIN), disposition(SIGTTOU)], [libc::SIG_DFL; 2]);
    ignore(&[SIGTTOU]);
    reset(&[SIGTTOU]);
    assert_eq!(disposition(SIGTTOU), libc::SIG_DFL);
}

#[gort::test(unsafe(migrate))]
fn a_context_is_cancelled_by_the_first_signal() {
    // Background jobs of a shell begin with an interrupt that is ignored.
    let before = [SIGTERM, SIGINT].map(disposition);
    let parent = gort::context::background().with_value(7u8);
    let (ctx, cancel) = notify_context(&parent, &[SIGTERM, SIGINT]);
    assert_eq!(
        ctx.to_string(),
        "signal.NotifyContext(context.Background.WithValue(u8), [interrupt terminated])"
    );
    let (child, _cancel_child) = ctx.with_cancel();
    assert!(ctx.err().is_none() && child.err().is_none());
    send(SIGINT);
    assert_eq!(child.done().recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    assert_eq!(ctx.err().unwrap().to_string(), "context canceled");
    let cause = child.cause().unwrap();
    assert_eq!(cause.to_string(), "interrupt signal received");
    assert_eq!(cause.downcast_ref::<SignalError>().unwrap().signal(), SIGINT);
    assert_eq!(child.value::<u8>().as_deref(), Some(&7));
    // Until it is told to stop it takes all that follow.
    let watch = notify(&[SIGTERM]);
    send(SIGTERM);
    assert_eq!(watch.recv_timeout(LONG), Ok(SIGTERM));
    drop(watch);
    assert_ne!(disposition(SIGTERM), before[0]);
    cancel.cancel();
    assert_eq!([SIGTERM, SIGINT].map(disposition), before);
    assert_eq!(ctx.cause().unwrap().to_string(), "interrupt signal received");
}

#[gort::test(unsafe(migrate))]
fn a_context_stops_listening_when_it_is_cancelled_by_hand() {
    let before = disposition(SIGCONT);
    let (ctx, cancel) = notify_context(gort::context::background(), &[SIGCONT]);
    assert_ne!(disposition(SIGCONT), before);
    cancel.cancel();
    assert_eq!(disposition(SIGCONT), before);
    assert_eq!(ctx.cause().unwrap().to_string(), "context canceled");
    let (ctx, cancel) = notify_context(gort::context::background(), &[SIGCONT]);
    drop(cancel);
    assert!(ctx.err().is_some());
    assert_eq!(disposition(SIGCONT), before);
    // The parent's end is the child's, who still listens.
    let (parent, cancel_parent) = gort::context::background().with_cancel();
    let (ctx, _cancel) = notify_context(&parent, &[SIGCONT]);
    cancel_parent.cancel_cause("enough");
    assert_eq!(ctx.cause().unwrap().to_string(), "enough");
    assert_ne!(disposition(SIGCONT), before);
    send(SIGCONT);
}

static CALLS: AtomicU32 = AtomicU32::new(0);

/// Waits until there have been so many calls.
fn wait_for(calls: &AtomicU32, count: u32) {
    while calls.load(Ordering::Relaxed) < count {
        gort::sleep(Duration::from_millis(1));
    }
}

extern "C" fn count_call(_: i32) {
    CALLS.fetch_add(1, Ordering::Relaxed);
}

fn install(signal: i32, handler: usize, flags: i32) -> libc::sigaction {
    // SAFETY: zeros are a valid action; the handlers of this file are async-signal-safe and fit the flags.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut old: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(signal, &action, &mut old), 0);
        old
    }
}

#[gort::test(unsafe(migrate))]
fn a_handler_that_was_there_is_still_called() {
    let ours = count_call as *const () as usize;
    install(SIGTRAP, ours, libc::SA_RESTART | libc::SA_ONSTACK);
    let rx = notify(&[SIGTRAP]);
    send(SIGTRAP);
    assert_eq!(rx.recv_timeout(LONG), Ok(SIGTRAP));
    wait_for(&CALLS, 1);
    drop(rx);
    assert_eq!(disposition(SIGTRAP), ours);
    send(SIGTRAP);
    wait_for(&CALLS, 2);
}

static BELOW: AtomicUsize = AtomicUsize::new(0);
static ABOVE_CALLS: AtomicU32 = AtomicU32::new(0);

extern "C" fn above(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    ABOVE_CALLS.fetch_add(1, Ordering::Relaxed);
    call(&BELOW, signal, info, context);
}

static CIRCLE: AtomicUsize = AtomicUsize::new(0);
static CIRCULAR_CALLS: AtomicU32 = AtomicU32::new(0);

extern "C" fn circular(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    CIRCULAR_CALLS.fetch_add(1, Ordering::Relaxed);
    call(&CIRCLE, signal, info, context);
}

fn call(handler: &AtomicUsize, signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
    let handler = handler.load(Ordering::Relaxed);
    // SAFETY: the address of the handler that was installed with SA_SIGINFO.
    unsafe { std::mem::transmute::<usize, Handler>(handler)(signal, info, context) };
}

#[gort::test(unsafe(migrate))]
fn a_handler_above_passes_signals_on_and_nobody_calls_in_circles() {
    let rx = notify(&[SIGSYS]);
    let flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    BELOW.store(disposition(SIGSYS), Ordering::Relaxed);
    install(SIGSYS, above as *const () as usize, flags);
    send(SIGSYS);
    assert_eq!(rx.recv_timeout(LONG), Ok(SIGSYS));
    drop(rx);
    // Nobody listens, the other's handler is in charge, and ours below it does nothing.
    assert_eq!(disposition(SIGSYS), above as *const () as usize);
    send(SIGSYS);
    wait_for(&ABOVE_CALLS, 2);
    let rx = notify(&[SIGSYS]);
    assert_eq!(disposition(SIGSYS), above as *const () as usize);
    send(SIGSYS);
    assert_eq!(rx.recv_timeout(LONG), Ok(SIGSYS));
    // What came may still have been the one before.
    wait_for(&ABOVE_CALLS, 3);
}

#[gort::test(unsafe(migrate))]
fn handlers_that_call_each_other_do_not_do_so_for_ever() {
    let signal = libc::SIGRTMIN() + 6;
    let flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    install(signal, circular as *const () as usize, flags);
    let rx = notify(&[signal]);
    // Ours stands above it and passes on to it, and it passes on to ours.
    CIRCLE.store(disposition(signal), Ordering::Relaxed);
    assert_ne!(CIRCLE.load(Ordering::Relaxed), circular as *const () as usize);
    for nth in 1..=3 {
        send(signal);
        assert_eq!(rx.recv_timeout(LONG), Ok(signal));
        wait_for(&CIRCULAR_CALLS, nth);
    }
    drop(rx);
    assert_eq!(disposition(signal), circular as *const () as usize);
    assert_eq!(CIRCULAR_CALLS.load(Ordering::Relaxed), 3);
}

#[gort::test(unsafe(migrate))]
fn sigurg_is_heard_beside_the_runtime_s_own_and_never_taken_from_it() {
    let before = disposition(SIGURG);
    let rx = notify(&[SIGURG]);
    let end = Instant::now() + Duration::from_millis(300);
    // More of them than processors: they are interrupted, and take turns.
    let busy: Vec<_> = (0..2 * gort::runtime::gomaxprocs(0) + 1)
        .map(|_| gort::go(move || while Instant::now() < end {}))
        .collect();
    while Instant::now() < end {
        send(SIGURG);
        assert_eq!(rx.recv_timeout(LONG), Ok(SIGURG));
        gort::sleep(Duration::from_millis(1));
    }
    drop(rx);
    busy.into_iter().for_each(|goroutine| goroutine.join().unwrap());
    let rx = notify(&[SIGURG]);
    send(SIGURG);
    assert_eq!(rx.recv_timeout(LONG), Ok(SIGURG));
    ignore(&[SIGURG]);
    assert_eq!(disposition(SIGURG), before);
    assert!(rx.iter().all(|signal| signal == SIGURG), "closed");
    reset(&[SIGURG]);
    assert_eq!(disposition(SIGURG), before);
}

#[test]
fn what_can_not_be_had_is_refused() {
    for (signal, words) in [
        (9, "gort: signal 9 (killed) can be neither caught nor ignored"),
        (19, "gort: signal 19 (signal 19) can be neither caught nor ignored"),
        (11, "gort: signal 11 (segmentation fault) is a fault of the code that runs, not news from outside"),
        (33, "gort: signal 33 (signal 33) belongs to the C library"),
        (0, "gort: signal 0 (signal 0) does not exist"),
        (65, "gort: signal 65 (signal 65) does not exist"),
        (-1, "gort: signal -1 (signal -1) does not exist"),
    ] {
        let calls: [fn(i32); 4] = [
            |signal| drop(notify(&[SIGUSR1, signal])),
            |signal| drop(notify_context(gort::context::background(), &[signal])),
            |signal| ignore(&[signal]),
            |signal| reset(&[signal]),
        ];
        for call in calls {
            let panic = std::panic::catch_unwind(|| call(signal)).unwrap_err();
            assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some(words));
        }
        assert!(!ignored(signal));
    }
}

/// A waker is the program's code: it may do with signals what it likes.
#[test]
fn a_waker_of_a_listener_may_listen_itself() {
    struct Listens(Sender<Receiver<i32>>);
    impl Wake for Listens {
        fn wake(self: Arc<Self>) {
            self.0.send(notify(&[SIGPROF])).unwrap();
        }
    }
    let rx = notify(&[SIGPROF]);
    let mut next = pin!(rx.recv_async());
    let (tx, listening) = gort::chan(1);
    let waker = Waker::from(Arc::new(Listens(tx)));
    assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    send(SIGPROF);
    let other = listening.recv_timeout(LONG).unwrap();
    send(SIGPROF);
    assert_eq!(other.recv_timeout(LONG), Ok(SIGPROF));
    listen_for_good(other);
    let calm = Waker::noop();
    assert_eq!(next.poll(&mut Context::from_waker(calm)), Poll::Ready(Ok(SIGPROF)));
}

#[gort::test(unsafe(migrate))]
fn listeners_that_come_and_go_do_not_disturb_each_other() {
    let real_time = libc::SIGRTMIN() + 5;
    let steady = notify(&[real_time]);
    let goroutines: Vec<_> = (0..8)
        .map(|nth| {
            gort::go(move || {
                for round in 0..200 {
                    let rx = notify(&[real_time]);
                    if (nth + round) % 3 == 0 {
                        send(real_time);
                        assert_eq!(rx.recv_timeout(LONG), Ok(real_time));
                    }
                    if round % 2 == 0 {
                        stop(&rx);
                    }
                }
            })
        })
        .collect();
    goroutines.into_iter().for_each(|goroutine| goroutine.join().unwrap());
    while steady.try_recv().is_ok() {}
    send(real_time);
    assert_eq!(steady.recv_timeout(LONG), Ok(real_time));
    listen_for_good(steady);
}
