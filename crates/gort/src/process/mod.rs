//! Other programs, without blocking other goroutines: `std::process` with the same names and signatures.
//!
//! Starting a program is [announced](crate::blocking), as it blocks the thread for a moment. Waiting for its end and for its
//! pipes parks the goroutine; no thread waits. `std::process` itself may be used on goroutines too, as any blocking call;
//! this costs less. On plain OS threads everything just blocks the thread.
//!
//! ```
//! use gort::process::Command;
//!
//! #[gort::main(unsafe(migrate))]
//! fn main() -> std::io::Result<()> {
//!     let output = Command::new("echo").arg("hello").output()?;
//!     assert!(output.status.success());
//!     assert_eq!(output.stdout, b"hello\n");
//!     Ok(())
//! }
//! ```
//!
//! Owns: [`Command`], around std's. A running program is in `child`, its pipes are in `pipe`. Does not know: how a program
//! is started; std does.

mod child;
mod pipe;

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;

pub use std::process::{
    CommandArgs, CommandEnvs, ExitCode, ExitStatus, Output, Stdio, Termination, abort, exit, id,
};

use gort_core::blocking::blocking;

pub use child::Child;
pub use pipe::{ChildStderr, ChildStdin, ChildStdout};

/// A program to be started, with all that it is to be given: `std::process::Command`.
///
/// ```
/// use std::io::{Read, Write};
///
/// use gort::process::{Command, Stdio};
///
/// #[gort::main(unsafe(migrate))]
/// fn main() -> std::io::Result<()> {
///     let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
///     child.stdin.take().unwrap().write_all(b"to and fro")?; // and closed
///     let mut text = String::new();
///     child.stdout.take().unwrap().read_to_string(&mut text)?;
///     assert_eq!(text, "to and fro");
///     assert!(child.wait()?.success());
///     Ok(())
/// }
/// ```
pub struct Command {
    command: std::process::Command,
    /// What the program is to have as its standard input, output and error was said; what was not said is up to how it is
    /// run. Not known: it was said to std.
    said: Option<[bool; 3]>,
}

/// Methods that add to the command.
macro_rules! builders {
    ($($(#[$doc:meta])+ $name:ident($($argument:ident: $kind:ty),*) $(says $stream:literal)?;)*) => {
        impl Command {
            $($(#[$doc])+
            pub fn $name(&mut self, $($argument: $kind),*) -> &mut Command {
                self.command.$name($($argument),*);
                $(self.say($stream);)?
                self
            })*
        }
    };
}

builders! {
    /// One more argument.
    arg(arg: impl AsRef<OsStr>);
    /// More arguments.
    args(args: impl IntoIterator<Item = impl AsRef<OsStr>>);
    /// Sets a variable of its environment.
    env(key: impl AsRef<OsStr>, value: impl AsRef<OsStr>);
    /// Sets variables of its environment.
    envs(vars: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>);
    /// Takes a variable out of its environment.
    env_remove(key: impl AsRef<OsStr>);
    /// It inherits no variables.
    env_clear();
    /// Where it is started.
    current_dir(dir: impl AsRef<Path>);
    /// Its standard input. Inherited by default; nothing for [`output`](Command::output).
    stdin(stdin: impl Into<Stdio>) says 0;
    /// Its standard output. Inherited by default; a pipe for [`output`](Command::output).
    stdout(stdout: impl Into<Stdio>) says 1;
    /// Its standard error. Inherited by default; a pipe for [`output`](Command::output).
    stderr(stderr: impl Into<Stdio>) says 2;
    /// The user that it runs as.
    uid(id: u32);
    /// The group that it runs as.
    gid(id: u32);
    /// What it finds as its own name, in place of the program's.
    arg0(arg: impl AsRef<OsStr>);
    /// The process group that it joins; 0: a new one of its own.
    process_group(pgroup: i32);
}

impl Command {
    /// The program, by path or by a name that is looked for in `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        Command { command: std::process::Command::new(program), said: Some([false; 3]) }
    }

    /// Starts the program. The call is [announced](crate::blocking).
    ///
    /// # Errors
    /// As std's: there is no such program, it may not be run, the system has no more processes.
    pub fn spawn(&mut self) -> io::Result<Child> {
        blocking(|| self.command.spawn()).map(Child::from)
    }

    /// Runs the program to its end, and returns how it ended and what it wrote. Parks meanwhile.
    ///
    /// Both pipes are read at the same time: it may write as much as it likes to either. Where nothing was said of its input,
    /// it finds none.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn) and [`Child::wait_with_output`].
    pub fn output(&mut self) -> io::Result<Output> {
        let Some(said @ [stdin, ..]) = self.said else { return blocking(|| self.command.output()) };
        self.set_unsaid(said, Stdio::piped);
        if !stdin {
            self.command.stdin(Stdio::null());
        }
        let child = self.spawn();
        self.set_unsaid(said, Stdio::inherit);
        child?.wait_with_output()
    }

    /// Runs the program to its end, and returns how it ended. Parks meanwhile.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn) and [`Child::wait`].
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Becomes the program, in this process: returns only if that fails.
    #[must_use = "it returns only if it has failed, with the reason"]
    pub fn exec(&mut self) -> io::Error {
        self.command.exec()
    }

    /// Has `f` called in the new process before it becomes the program.
    ///
    /// # Safety
    /// As std's: between fork and exec little is allowed; no memory may be allocated, no lock taken, and nothing of gort's
    /// used, as none of its threads exists there.
    pub unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: passed on.
        unsafe { self.command.pre_exec(f) };
        self
    }

    /// The program.
    pub fn get_program(&self) -> &OsStr {
        self.command.get_program()
    }

    /// The arguments.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.command.get_args()
    }

    /// The variables that were set, and with `None` those that were removed.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.command.get_envs()
    }

    /// Where it is started, if that was set.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.command.get_current_dir()
    }
}

impl Command {
    fn say(&mut self, stream: usize) {
        if let Some(said) = &mut self.said {
            said[stream] = true;
        }
    }

    fn set_unsaid(&mut self, [stdin, stdout, stderr]: [bool; 3], to: fn() -> Stdio) {
        if !stdin {
            self.command.stdin(to());
        }
        if !stdout {
            self.command.stdout(to());
        }
        if !stderr {
            self.command.stderr(to());
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.command.fmt(f)
    }
}

impl From<std::process::Command> for Command {
    fn from(command: std::process::Command) -> Command {
        Command { command, said: None }
    }
}

/// Streams of which nothing was said are inherited after an [`output`](Command::output), also by std's.
impl From<Command> for std::process::Command {
    fn from(command: Command) -> std::process::Command {
        command.command
    }
}
