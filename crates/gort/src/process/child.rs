//! A program that runs.
//!
//! Owns: waiting for its end.

use std::io;
use std::process::{ExitStatus, Output};

use gort_core::blocking::blocking;

use super::pipe::{ChildStderr, ChildStdin, ChildStdout};

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
        blocking(|| self.child.wait())
    }

    /// How the program ended, if it has. Does not wait.
    ///
    /// # Errors
    /// As std's.
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
        let mut child = self.child;
        child.stdout = self.stdout.map(Into::into);
        child.stderr = self.stderr.map(Into::into);
        blocking(|| child.wait_with_output())
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
