//! What a thread of this process is doing, as the kernel sees it, asked by another thread.
//!
//! The CPU clock of a thread stands still while it is not on a CPU. It is cheap to read, and reading it twice tells whether
//! the thread runs at this very moment. It also stands still if the thread could run but another process has the CPU; then
//! `/proc` tells, which is ten times as dear. Where it can not be read (the process has used up its descriptors, or is in a
//! sandbox without `/proc`) the clock must do, and a thread whose clock stands still counts as one that sleeps. To take that
//! for computing, or for gone, would leave its processor to it for good, and with that perhaps those who would have closed
//! descriptors.

use std::time::Duration;

use rustix::io::Errno;

/// How much CPU time the thread has used. None: there is no such thread.
pub(crate) fn used(tid: u32) -> Option<Duration> {
    // How Linux names the CPU clock of a thread: clock_getcpuclockid's, for any thread of the process.
    const PER_THREAD_SCHED: i32 = 0b110;
    let clock = (!(tid.cast_signed()) << 3) | PER_THREAD_SCHED;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills a time.
    let ok = unsafe { libc::clock_gettime(clock, &mut time) } == 0;
    ok.then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It is on a CPU, or would be if the system gave it one.
    Computes,
    /// It waits for something in the kernel.
    Sleeps,
    /// It has ended, or is stopped by a debugger.
    Nothing,
}

/// What the thread is doing right now.
pub(crate) fn doing(tid: u32) -> Doing {
    if is_running(tid) {
        return Doing::Computes;
    }
    match state(tid) {
        Ok(Some(b'R')) => Doing::Computes,
        Ok(Some(b'S' | b'D')) => Doing::Sleeps,
        Err(_) if used(tid).is_some() => Doing::Sleeps,
        _ => Doing::Nothing,
    }
}

/// Whether the thread is on a CPU: its clock advances between two readings.
pub(crate) fn is_running(tid: u32) -> bool {
    used(tid).is_some_and(|before| used(tid).is_some_and(|now| now > before))
}

/// Whether any thread of this process whose name begins with `prefix`, but the calling one, is on a CPU or could be if the
/// system gave it one. A few microseconds for each thread. None: it can not be found out.
pub(crate) fn any_could_run(prefix: &[u8]) -> Option<bool> {
    use rustix::fs::{Mode, OFlags, RawDir};
    let own = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(tasks) = rustix::fs::open(c"/proc/self/task", flags, Mode::empty()) else { return None };
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut tasks = RawDir::new(tasks, &mut buffer);
    while let Some(task) = tasks.next() {
        let Ok(task) = task else { return None };
        let tid = task.file_name().to_str().ok().and_then(|name| name.parse().ok());
        if let Some(tid) = tid.filter(|&tid| tid != own)
            && with_stat(tid, |name, state| name.starts_with(prefix) && state == b'R')
                .is_ok_and(|found| found == Some(true))
        {
            return Some(true);
        }
    }
    Some(false)
}

/// The letter of the thread's state in `/proc`.
fn state(tid: u32) -> Result<Option<u8>, Errno> {
    with_stat(tid, |_, state| state)
}

/// Reads a thread's name and the letter of its state in `/proc`. Allocates nothing: the monitor must not.
fn with_stat<R>(tid: u32, read: impl FnOnce(&[u8], u8) -> R) -> Result<Option<R>, Errno> {
    use rustix::fs::{Mode, OFlags};
    let mut path = [0; 40];
    let Some(path) = write_path(&mut path, tid) else { return Ok(None) };
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = [0; 64];
    let len = rustix::io::read(&file, &mut text)?;
    Ok(parse(&text[..len], read))
}

/// "tid (name) S ..": the name has at most 15 bytes, which may be anything, brackets included.
fn parse<R>(text: &[u8], read: impl FnOnce(&[u8], u8) -> R) -> Option<R> {
    let begin = text.iter().position(|&byte| byte == b'(')? + 1;
    let end = text.iter().rposition(|&byte| byte == b')')?;
    Some(read(text.get(begin..end)?, *text.get(end + 2)?))
}

fn write_path(path: &mut [u8; 40], tid: u32) -> Option<&std::ffi::CStr> {
    use std::io::Write;
    let mut rest = &mut path[..];
    write!(rest, "/proc/self/task/{tid}/stat\0").ok()?;
    std::ffi::CStr::from_bytes_until_nul(path).ok()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    fn own_tid() -> u32 {
        rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()
    }

    #[test]
    fn a_thread_that_computes_and_one_that_sleeps_are_told_apart() {
        let (tids, end) = ([AtomicU32::new(0), AtomicU32::new(0)], AtomicBool::new(false));
        std::thread::scope(|s| {
            s.spawn(|| {
                tids[0].store(own_tid(), Ordering::Relaxed);
                while !end.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            let sleeper = s.spawn(|| {
                tids[1].store(own_tid(), Ordering::Relaxed);
                while !end.load(Ordering::Relaxed) {
                    std::thread::park();
                }
            });
            let tid = |at: usize| tids[at].load(Ordering::Relaxed);
            while tid(0) == 0 || tid(1) == 0 || doing(tid(1)) != Doing::Sleeps {
                std::thread::yield_now();
            }
            let (began, before) = (Instant::now(), used(tid(1)));
            while !is_running(tid(0)) {
                assert!(
                    began.elapsed() < Duration::from_secs(60),
                    "the thread that computes is never seen to"
                );
            }
            assert_eq!(doing(tid(0)), Doing::Computes);
            assert_eq!(doing(tid(1)), Doing::Sleeps);
            assert_eq!(before, used(tid(1)));
            end.store(true, Ordering::Relaxed);
            sleeper.thread().unpark();
        });
        // They have ended, for the kernel a little later.
        while used(tids[0].load(Ordering::Relaxed)).is_some() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn threads_that_could_run_are_found_by_name() {
        let end = AtomicBool::new(false);
        std::thread::scope(|s| {
            let busy = || {
                while !end.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            };
            std::thread::Builder::new().name("busy-bee".into()).spawn_scoped(s, busy).expect("a thread");
            while any_could_run(b"busy-") != Some(true) {
                std::thread::yield_now();
            }
            assert_eq!(any_could_run(b"nobody-"), Some(false));
            end.store(true, Ordering::Relaxed);
        });
        while any_could_run(b"busy-") == Some(true) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let name = "a) R (b)";
        std::thread::Builder::new()
            .name(name.into())
            .spawn(|| assert!(matches!(state(own_tid()), Ok(Some(b'R')))))
            .expect("a thread")
            .join()
            .expect("a running thread is seen to run");
    }
}
