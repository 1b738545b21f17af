//! A program that runs.
//!
//! A goroutine waits for its end by way of a descriptor that stands for the process and that the network poller watches, and
//! so costs no thread. Where the kernel has no such thing the wait is announced.
//!
//! Owns: waiting for the end.

use std::io::{self, Read};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::process::{ExitStatus, Output};

use gort_core::blocking::blocking;
use gort_core::park;
use gort_core::pollfd::{Direction, PollFd};

use super::pipe::{ChildStderr, ChildStdin, ChildStdout};
use crate::scope;

/// A program that was started: `std::process::Child`.
///
/// Dropping it neither ends nor awaits the program. Until somebody has waited for it a program that has ended stays in the
/// system's list of processes.
#[derive(Debug)]
pub struct Child {
    /// Writes to its standard input, if that was [piped](super::Stdio::piped).
    pub stdin: Option<ChildStdin>,
    /// Reads its standard output, if that was piped.
    pub stdout: Option<ChildStdout>,
    /// Reads its standard error, if that was piped.
    pub stderr: Option<ChildStderr>,
    child: std::process::Child,
}

impl Child {
    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the program, with SIGKILL. Nothing if it has ended and was waited for.
    ///
    /// # Errors
    /// As std's.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// Waits until the program has ended. Parks meanwhile. Closes its standard input first, lest it wait for us.
    ///
    /// # Errors
    /// As std's.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        let Some(process) = self.watch() else { return blocking(|| self.child.wait()) };
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            process.poll.wait(Direction::Read)?;
        }
    }

    /// How the program ended, if it has. Does not wait.
    ///
    /// # Errors
    /// As std's.
    // Not inlined: it looks at errno, which is another one after a wait.
    #[inline(never)]
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Reads both pipes to their ends, and waits until the program has ended. Parks meanwhile.
    ///
    /// Both are read at the same time: it may write as much as it likes to either.
    ///
    /// # Errors
    /// As std's.
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        if !park::on_goroutine() {
            self.child.stdout = stdout.map(Into::into);
            self.child.stderr = stderr.map(Into::into);
            return self.child.wait_with_output();
        }
        let (stdout, stderr) = match (stdout, stderr) {
            (Some(stdout), Some(stderr)) => both(stdout, stderr),
            (stdout, stderr) => {
                (stdout.map_or(Ok(Vec::new()), all_of), stderr.map_or(Ok(Vec::new()), all_of))
            }
        };
        // As long as it runs it may hang on one that could not be read: it finds that closed by now.
        let status = self.wait()?;
        Ok(Output { status, stdout: stdout?, stderr: stderr? })
    }

    /// What to watch the process by; None if it is to be waited for in another way.
    fn watch(&self) -> Option<Process> {
        park::on_goroutine().then(|| Process::open(self.child.id())).flatten()
    }
}

fn both(stdout: ChildStdout, stderr: ChildStderr) -> (io::Result<Vec<u8>>, io::Result<Vec<u8>>) {
    scope(|s| {
        let stderr = s.go(|| all_of(stderr));
        let stdout = all_of(stdout);
        (stdout, stderr.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn all_of(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    from.read_to_end(&mut all).map(|_| all)
}

/// A descriptor that stands for a process: it can be read when that has ended.
struct Process {
    /// Goes before the descriptor does.
    poll: PollFd,
    _descriptor: OwnedFd,
}

impl Process {
    /// None if the kernel knows no such descriptors, or has none left.
    #[inline(never)]
    fn open(id: u32) -> Option<Process> {
        // SAFETY: takes two numbers.
        let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, id, libc::PIDFD_NONBLOCK) };
        if opened < 0 {
            return None;
        }
        // SAFETY: it was made just now, for us.
        let descriptor = unsafe { OwnedFd::from_raw_fd(opened as RawFd) };
        let poll = PollFd::new(descriptor.as_fd()).ok()?;
        Some(Process { poll, _descriptor: descriptor })
    }
}

impl From<std::process::Child> for Child {
    fn from(mut child: std::process::Child) -> Child {
        Child {
            stdin: child.stdin.take().map(ChildStdin::from),
            stdout: child.stdout.take().map(ChildStdout::from),
            stderr: child.stderr.take().map(ChildStderr::from),
            child,
        }
    }
}
