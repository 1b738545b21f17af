//! Runs the program `ending` with a time-out, and says what came of it.

use std::fs;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program that is not over by then hangs.
const TIME_OUT: Duration = Duration::from_secs(300);

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

const VARIABLES: [&str; 9] = [
    "GOMAXPROCS",
    "GORT_DEBUG",
    "GORT_GUARD",
    "GORT_PANIC",
    "GORT_STACK",
    "GORT_TLSCHECK",
    "GORT_TLSWARN",
    "GORT_TRACEBACK",
    "RUST_BACKTRACE",
];

/// The program that ends as `arguments` say, with none of the variables set that steer the runtime, and no signal ignored:
/// a shell ignores some for what it runs in the background.
pub(crate) fn ending(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ending"));
    command.args(arguments);
    for name in VARIABLES {
        command.env_remove(name);
    }
    // SAFETY: `signal` may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
    command
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let stdout = read(child.stdout.take().expect("stdout is piped"));
    let stderr = read(child.stderr.take().expect("stderr is piped"));
    let status = wait(&mut child, start).map_err(|threads| format!("{command:?} hangs\n{threads}"));
    let took = start.elapsed();
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let status = status.unwrap_or_else(|hangs| panic!("{hangs}\n{stdout}\n{stderr}"));
    Ended { status, stdout, stderr, took }
}

fn read(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("a pipe can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits for the end; kills what hangs, and tells where its threads are.
fn wait(child: &mut Child, start: Instant) -> Result<ExitStatus, String> {
    while start.elapsed() < TIME_OUT {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(2));
    }
    let threads = threads(child.id());
    child.kill().and_then(|()| child.wait()).expect("a child can be killed");
    Err(threads)
}

/// What the kernel tells of each thread: its name and state, where it sleeps and in which call.
fn threads(pid: u32) -> String {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let describe = |task: fs::DirEntry| {
        let of = |name| fs::read_to_string(task.path().join(name)).unwrap_or_else(|error| error.to_string());
        let stat = of("stat");
        let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
        let name = of("comm");
        format!("{} {}: {} {}", name.trim(), state.unwrap_or("?"), of("wchan"), of("syscall"))
    };
    entries.map(describe).collect()
}

impl Ended {
    /// It ended with this exit status.
    #[track_caller]
    pub(crate) fn status(&self, status: i32) -> &Ended {
        assert_eq!(self.status.code(), Some(status), "{self}");
        self
    }

    /// It was ended by this signal.
    #[track_caller]
    pub(crate) fn signal(&self, signal: i32) -> &Ended {
        assert_eq!(self.status.signal(), Some(signal), "{self}");
        self
    }

    /// These are, in this order, all the lines it wrote to stdout.
    #[track_caller]
    pub(crate) fn said(&self, lines: &[&str]) -> &Ended {
        assert_eq!(self.stdout.lines().collect::<Vec<_>>(), lines, "{self}");
        self
    }

    /// Its stderr contains this.
    #[track_caller]
    pub(crate) fn complained(&self, words: &str) -> &Ended {
        assert!(self.stderr.contains(words), "no {words:?} in\n{self}");
        self
    }

    /// Its stderr does not contain this.
    #[track_caller]
    pub(crate) fn silent_about(&self, words: &str) -> &Ended {
        assert!(!self.stderr.contains(words), "{words:?} in\n{self}");
        self
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} after {:?}\nstdout:\n{}\nstderr:\n{}",
            self.status, self.took, self.stdout, self.stderr
        )
    }
}

/// Runs `ending` with these arguments.
pub(crate) fn end(arguments: &[&str]) -> Ended {
    run(&mut ending(arguments))
}

/// Runs `ending` with this argument on 1, 2 and 4 processors: each time it says `ok`, and nothing else, and exits with 0.
#[track_caller]
pub(crate) fn ends_ok(name: &str) {
    ok_on(&["1", "2", "4"], name);
}

/// As [`ends_ok`], on these numbers of processors.
#[track_caller]
pub(crate) fn ok_on(procs: &[&str], name: &str) {
    for procs in procs {
        let ended = run(ending(&[name]).env("GOMAXPROCS", procs));
        ended.status(0).said(&["ok"]);
        assert_eq!(ended.stderr, "");
    }
}

/// Tests that do nothing but that.
macro_rules! ok {
    ($($(#[$meta:meta])* $test:ident $name:literal)*) => {
        $($(#[$meta])* #[test] fn $test() { crate::child::ends_ok($name); })*
    };
}

pub(crate) use ok;
