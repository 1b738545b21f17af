//! Programs that signals end, or not; and programs that read their standard input.

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gort::signal::{self, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};

use super::tools::wait_until;
use super::{argument, enter, ignore, say};

pub(crate) const ALL: &[super::Ending] = &[
    ("signal-default", default),
    ("signal-after-drop", after_drop),
    ("signal-ignored", ignored),
    ("signal-ignored-at-start", ignored_at_start),
    ("signal-atomic-stop", atomic_stop),
    ("signal-shutdown", shutdown),
    ("quit", quit),
    ("quit-before-run", quit_before_run),
    ("quit-heard", quit_heard),
    ("quit-heard-below-another", quit_heard_below_another),
    ("quit-unheard-below-another", quit_unheard_below_another),
    ("quit-twice", quit_twice),
    ("quit-busy", quit_busy),
    ("quit-ignored-at-start", quit_ignored_at_start),
    ("live-signal", live),
    ("live-signal-context", live_context),
    ("deadlock-signals-dropped", dead_after_drop),
    ("deadlock-signals-reset", dead_after_reset),
    ("deadlock-signal-context-spent", dead_after_context),
    ("stdin-lines", stdin_lines),
    ("stdin-turns", stdin_turns),
    ("stdin-all", stdin_all),
];

const LONG: Duration = Duration::from_secs(30);

/// Longer than the test has patience: the signal is to end it before.
fn wait_for_the_end() {
    gort::sleep(Duration::from_secs(3600));
}

fn send(signal: i32) {
    // SAFETY: sends a signal to this process.
    assert_eq!(unsafe { libc::kill(libc::getpid(), signal) }, 0);
}

/// Has somebody outside send a signal to this process, after a while.
fn have_sent(signal: i32) {
    let script = format!("sleep 0.2; kill -{signal} {}", std::process::id());
    ignore(std::process::Command::new("sh").args(["-c", &script]).spawn().unwrap());
}

fn default() -> ExitCode {
    enter(|| {
        send(argument().parse().unwrap());
        wait_for_the_end();
    })
}

fn after_drop() -> ExitCode {
    enter(|| {
        let number = argument().parse().unwrap();
        let (rx, other) = (signal::notify(&[number]), signal::notify(&[number]));
        send(number);
        assert_eq!(rx.recv_timeout(LONG), Ok(number));
        drop(rx);
        send(number);
        assert_eq!(other.recv_timeout(LONG), Ok(number));
        assert_eq!(other.recv_timeout(LONG), Ok(number));
        drop(other);
        say("heard");
        // SAFETY: sends a signal to this thread: its default action is done before this returns.
        unsafe { libc::raise(number) };
        say("survived");
    })
}

fn ignored() -> ExitCode {
    enter(|| {
        signal::ignore(&[SIGTERM, SIGINT]);
        send(SIGTERM);
        send(SIGINT);
        say("alive");
        signal::reset(&[SIGTERM]);
        send(SIGTERM);
        wait_for_the_end();
    })
}

fn ignored_at_start() -> ExitCode {
    enter(|| {
        assert!(signal::ignored(SIGHUP) && signal::ignored(SIGINT) && !signal::ignored(SIGTERM));
        send(SIGHUP);
        signal::reset(&[SIGHUP]);
        send(SIGHUP);
        say("ignores");
        let rx = signal::notify(&[SIGHUP]);
        assert!(!signal::ignored(SIGHUP));
        send(SIGHUP);
        assert_eq!(rx.recv_timeout(LONG), Ok(SIGHUP));
        say("hears");
        drop(rx);
        assert!(signal::ignored(SIGHUP));
        send(SIGHUP);
        say("ignores again");
    })
}

/// Stops listening while the signal comes: it is heard, or it ends the process.
fn atomic_stop() -> ExitCode {
    enter(|| {
        for _ in 0..200 {
            let rx = signal::notify(&[SIGINT]);
            let (ready_tx, ready) = gort::chan::<()>(0);
            let sender = gort::go(move || {
                ready_tx.send(()).unwrap();
                send(SIGINT);
            });
            ready.recv().unwrap();
            signal::stop(&rx);
            sender.join().unwrap();
            if rx.recv().is_err() {
                // It was not heard, so it is about to end this.
                gort::sleep(LONG);
                say("lost");
                return;
            }
        }
        say("heard all");
    })
}

fn shutdown() -> ExitCode {
    enter(|| {
        let (ctx, stop) = signal::notify_context(gort::context::background(), &[SIGINT, SIGTERM]);
        let workers = gort::sync::WaitGroup::new();
        for _ in 0..10 {
            let ctx = ctx.clone();
            workers.go(move || ignore(ctx.done().recv()));
        }
        have_sent(SIGTERM);
        ignore(ctx.done().recv());
        say(ctx.cause().unwrap());
        workers.wait();
        say("done");
        stop.cancel();
        send(SIGTERM);
        wait_for_the_end();
    })
}

/// Parks in a place that a dump shows, also where what is called last would replace its caller.
#[inline(never)]
fn waits_to_be_seen(rx: &gort::channel::Receiver<()>) {
    ignore(std::hint::black_box(rx.recv()));
}

fn quit() -> ExitCode {
    enter(|| {
        let (_tx, rx) = gort::chan::<()>(0);
        for _ in 0..3 {
            let rx = rx.clone();
            gort::go(move || waits_to_be_seen(&rx));
        }
        wait_until("all wait", || gort::runtime::stats().waiting >= 3);
        say("quits");
        send(SIGQUIT);
        wait_for_the_end();
    })
}

fn quit_before_run() -> ExitCode {
    // Nothing has been started: this is a program like any other.
    send(SIGQUIT);
    std::thread::sleep(Duration::from_secs(3600));
    ExitCode::SUCCESS
}

fn quit_heard() -> ExitCode {
    enter(|| {
        let rx = signal::notify(&[SIGQUIT]);
        send(SIGQUIT);
        assert_eq!(rx.recv_timeout(LONG), Ok(SIGQUIT));
        send(SIGQUIT);
        assert_eq!(rx.recv_timeout(LONG), Ok(SIGQUIT));
        say("heard");
        drop(rx);
        send(SIGQUIT);
        wait_for_the_end();
    })
}

/// The handler that `put_above` has found.
static BELOW: AtomicUsize = AtomicUsize::new(0);

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

extern "C" fn passes_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: `put_above` stored the address of such a handler.
    let below: Handler = unsafe { std::mem::transmute(BELOW.load(Ordering::Relaxed)) };
    below(signal, info, context);
}

/// Puts a handler of the program's own above gort's.
fn put_above(signal: i32) {
    // SAFETY: all zeros is an action; the handler has the signature that SA_SIGINFO asks for, and does nothing by itself.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        assert_eq!(libc::sigaction(signal, std::ptr::null(), &mut action), 0);
        BELOW.store(action.sa_sigaction, Ordering::Relaxed);
        action.sa_sigaction = passes_on as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
    }
}

fn quit_heard_below_another() -> ExitCode {
    enter(|| {
        put_above(SIGQUIT);
        let rx = signal::notify(&[SIGQUIT]);
        send(SIGQUIT);
        assert_eq!(rx.recv_timeout(LONG), Ok(SIGQUIT));
        say("heard");
    })
}

fn quit_unheard_below_another() -> ExitCode {
    enter(|| {
        let rx = signal::notify(&[SIGQUIT]);
        put_above(SIGQUIT);
        send(SIGQUIT);
        assert_eq!(rx.recv_timeout(LONG), Ok(SIGQUIT));
        drop(rx);
        send(SIGQUIT);
        wait_for_the_end();
    })
}

/// The dump gets stuck: nobody reads what it writes.
fn quit_twice() -> ExitCode {
    enter(|| {
        let (_reader, mut writer) = std::io::pipe().unwrap();
        // SAFETY: both are open.
        assert_eq!(unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&writer), 2) }, 2);
        // SAFETY: asks how much the pipe holds.
        let room = unsafe { libc::fcntl(2, libc::F_GETPIPE_SZ) };
        writer.write_all(&vec![b' '; room.try_into().unwrap()]).unwrap();
        send(SIGQUIT);
        gort::sleep(Duration::from_millis(300));
        say("stuck");
        // One that comes before the dump has begun is the same one.
        loop {
            send(SIGQUIT);
            gort::sleep(Duration::from_millis(300));
        }
    })
}

/// All processors compute.
fn quit_busy() -> ExitCode {
    fn spin() {
        while std::hint::black_box(true) {
            std::hint::spin_loop();
        }
    }
    enter(|| {
        // First, since this goroutine may not get a turn once the others have theirs.
        have_sent(SIGQUIT);
        for _ in 0..gort::runtime::gomaxprocs(0) + 1 {
            gort::go(spin);
        }
        spin();
    })
}

fn quit_ignored_at_start() -> ExitCode {
    enter(|| {
        send(SIGQUIT);
        gort::sleep(Duration::from_millis(50));
        say("alive");
    })
}

fn live() -> ExitCode {
    enter(|| {
        let rx = signal::notify(&[SIGUSR1]);
        have_sent(SIGUSR1);
        assert_eq!(rx.recv(), Ok(SIGUSR1));
        say("alive");
    })
}

fn live_context() -> ExitCode {
    enter(|| {
        let (ctx, _stop) = signal::notify_context(gort::context::background(), &[SIGUSR1]);
        have_sent(SIGUSR1);
        ignore(ctx.done().recv());
        say("alive");
    })
}

fn wait_for_ever() {
    ignore(gort::channel::never::<()>().recv());
}

fn dead_after_drop() -> ExitCode {
    enter(|| {
        let rx = signal::notify(&[SIGUSR1]);
        let clone = rx.clone();
        drop(rx);
        gort::sleep(Duration::from_millis(300));
        drop(clone);
        wait_for_ever();
    })
}

fn dead_after_reset() -> ExitCode {
    enter(|| {
        let _rx = signal::notify(&[SIGUSR1]);
        gort::go(|| {
            gort::sleep(Duration::from_millis(300));
            signal::reset(&[SIGUSR1]);
        });
        wait_for_ever();
    })
}

/// The context is cancelled: its listener has nobody left to wake.
fn dead_after_context() -> ExitCode {
    enter(|| {
        let (ctx, _stop) = signal::notify_context(gort::context::background(), &[SIGUSR1]);
        send(SIGUSR1);
        ignore(ctx.done().recv());
        wait_for_ever();
    })
}

/// Reads lines while another goroutine ticks.
fn stdin_lines() -> ExitCode {
    static TICKS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    enter(|| {
        gort::go(|| {
            loop {
                gort::sleep(Duration::from_millis(1));
                if TICKS.fetch_add(1, Ordering::Relaxed) == 20 {
                    say("ticked");
                }
            }
        });
        let mut first = String::new();
        assert_eq!(gort::io::stdin().read_line(&mut first).unwrap(), 6);
        say(first.trim_end());
        for line in gort::io::stdin().lines() {
            say(line.unwrap());
        }
        assert_eq!(gort::io::stdin().read_line(&mut first).unwrap(), 0);
    })
}

/// Many read, each line goes to one of them.
fn stdin_turns() -> ExitCode {
    enter(|| {
        let (tx, rx) = gort::chan(0);
        for _ in 0..8 {
            let tx = tx.clone();
            gort::go(move || gort::io::stdin().lines().for_each(|line| tx.send(line.unwrap()).unwrap()));
        }
        drop(tx);
        let mut all: Vec<u32> = rx.iter().map(|line| line.parse().unwrap()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        say("all lines");
    })
}

fn stdin_all() -> ExitCode {
    use std::io::{BufRead, Read};
    enter(|| {
        let mut lock = gort::io::stdin().lock();
        let mut word = Vec::new();
        lock.read_until(b' ', &mut word).unwrap();
        assert_eq!(word, b"one ");
        let mut two = [0; 2];
        lock.read_exact(&mut two).unwrap();
        drop(lock);
        let mut rest = String::new();
        gort::io::stdin().read_to_string(&mut rest).unwrap();
        say(format!("{}|{rest}", String::from_utf8_lossy(&two)));
    })
}
