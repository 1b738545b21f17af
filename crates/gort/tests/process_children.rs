//! Other programs: how they end, what they say, and that goroutines go on meanwhile.

use std::ffi::OsStr;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gort::process::{Child, Command, ExitStatus, Output, Stdio};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    command
}

#[gort::test(unsafe(migrate))]
fn output_is_what_was_written_and_how_it_ended() {
    let output: Output = shell("echo out; echo err >&2; exit 7").output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(output.status.code(), Some(7));
    let status: ExitStatus = shell("exit 3").status().unwrap();
    assert_eq!(status.code(), Some(3));
}

#[test]
fn all_of_it_works_on_plain_threads() {
    let output = shell("echo out; echo err >&2; exit 7").output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(shell("exit 3").status().unwrap().code(), Some(3));
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"text").unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "text");
    assert!(child.wait().unwrap().success());
}

#[gort::test(unsafe(migrate))]
fn output_has_no_input_unless_it_is_given_some() {
    assert_eq!(Command::new("cat").output().unwrap().stdout, b"");
    assert_eq!(shell("readlink /proc/self/fd/0").output().unwrap().stdout, b"/dev/null\n");
    let mut command = shell("cat; echo err >&2");
    let null = gort::fs::File::open("/dev/null").unwrap();
    let output = command.stdin(null).stderr(Stdio::null()).output().unwrap();
    assert_eq!((output.stdout, output.stderr), (Vec::new(), Vec::new()));
    // What output needs for itself is not left behind.
    let mut command = Command::new("true");
    command.output().unwrap();
    let child = command.spawn().unwrap();
    assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
    assert!(child.wait_with_output().unwrap().status.success());
    // What was said to std is taken as it is.
    let mut std_s = std::process::Command::new("sh");
    std_s.args(["-c", "echo out; echo err >&2"]).stderr(Stdio::null());
    let output = Command::from(std_s).output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.len()), (&b"out\n"[..], 0));
}

#[gort::test(unsafe(migrate))]
fn both_pipes_may_carry_much() {
    const OUT: usize = 3_000_000;
    const ERR: usize = 2_000_000;
    let goroutines: Vec<_> = (0..6)
        .map(|nth| {
            // Both at once, or one after the other: each would block if the other pipe were read first.
            let between = ["&", ";"][nth % 2];
            let script = format!(
                "head -c {ERR} /dev/zero >&2 {between} head -c {OUT} /dev/zero {between} wait; exec >&- 2>&-"
            );
            gort::go(move || shell(&script).output().unwrap())
        })
        .collect();
    for goroutine in goroutines {
        let output = goroutine.join().unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (OUT, ERR));
    }
}

#[gort::test(unsafe(migrate))]
fn a_pipe_carries_much_both_ways() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let sent: Vec<u8> = (0..1_000_000u32).map(|n| (n.wrapping_mul(n) >> 5) as u8).collect();
    let received = gort::scope(|s| {
        s.go(|| {
            let (first, rest) = sent.split_at(1000);
            let mut done = (&stdin).write_vectored(&[IoSlice::new(first), IoSlice::new(rest)]).unwrap();
            while done < sent.len() {
                done += stdin.write(&sent[done..]).unwrap();
            }
            stdin.flush().unwrap();
            drop(stdin);
        });
        let mut received = Vec::new();
        stdout.read_to_end(&mut received).unwrap();
        received
    });
    assert_eq!(received, sent);
    assert!(child.wait().unwrap().success());
}

#[gort::test(unsafe(migrate), maxprocs = 1)]
fn a_hundred_goroutines_each_have_a_program() {
    let goroutines: Vec<_> = (0..100)
        .map(|nth| {
            gort::go(move || match nth % 4 {
                0 => {
                    let output = shell(&format!("echo {nth}; sleep 0.05; exit {nth}")).output().unwrap();
                    assert_eq!(output.stdout, format!("{nth}\n").into_bytes());
                    output.status.code()
                }
                1 => shell(&format!("exit {nth}")).status().unwrap().code(),
                2 => {
                    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
                    assert!(child.try_wait().unwrap().is_none());
                    child.kill().unwrap();
                    assert_eq!(child.wait().unwrap().signal(), Some(9));
                    child.kill().expect("nothing is left to kill");
                    Some(nth)
                }
                _ => {
                    let mut child = shell(&format!("sleep 0.02; exit {nth}")).spawn().unwrap();
                    loop {
                        if let Some(status) = child.try_wait().unwrap() {
                            assert_eq!(child.wait().unwrap(), status);
                            return status.code();
                        }
                        gort::sleep(Duration::from_millis(1));
                    }
                }
            })
        })
        .collect();
    for (nth, goroutine) in goroutines.into_iter().enumerate() {
        assert_eq!(goroutine.join().unwrap(), Some(nth as i32));
    }
}

#[gort::test(unsafe(migrate), maxprocs = 1)]
fn others_go_on_and_no_threads_wait() {
    const CHILDREN: usize = 40;
    let children: Vec<_> = (0..CHILDREN)
        .map(|_| gort::go(|| Command::new("sleep").arg("6").stdout(Stdio::piped()).output().unwrap()))
        .collect();
    let ticks = (0..100).take_while(|_| {
        gort::sleep(Duration::from_millis(1));
        assert!(gort::runtime::stats().blocked < CHILDREN, "each has a thread");
        children.iter().any(|child| !child.is_finished())
    });
    assert!(ticks.count() > 20, "somebody held the processor");
    children.into_iter().for_each(|child| assert!(child.join().unwrap().status.success()));
}

#[gort::test(unsafe(migrate))]
fn what_is_said_to_the_builder_is_what_the_program_gets() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo $0 $ONE $TWO $GONE $(pwd) \"$HOME\""]).arg("zero");
    command.env("ONE", "1").envs([("TWO", "2"), ("GONE", "3")]).env_remove("GONE").current_dir("/");
    assert_eq!(command.get_program(), "sh");
    assert_eq!(command.get_args().count(), 3);
    assert_eq!(command.get_envs().find(|(name, _)| *name == "ONE").unwrap().1, Some(OsStr::new("1")));
    assert_eq!(command.get_current_dir(), Some(Path::new("/")));
    assert!(format!("{command:?}").contains("echo"));
    let home = std::env::var("HOME").unwrap_or_default();
    assert_eq!(command.output().unwrap().stdout, format!("zero 1 2 / {home}\n").into_bytes());
    command.env_clear();
    assert_eq!(command.output().unwrap().stdout, b"zero / \n");
    let named = Command::new("cat").arg0("another name").arg("/proc/self/cmdline").output().unwrap();
    assert_eq!(named.stdout, b"another name\0/proc/self/cmdline\0");
    let mut child = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
    // SAFETY: asks for the group of a child that runs.
    assert_eq!(unsafe { libc::getpgid(child.id() as i32) }, child.id() as i32);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[gort::test(unsafe(migrate))]
fn what_can_not_be_started_is_an_error() {
    let mut command = Command::new("/nonexistent/program");
    assert_eq!(command.spawn().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(command.output().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(command.status().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(command.exec().kind(), ErrorKind::NotFound);
    assert_eq!(Command::new("/").spawn().unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[gort::test(unsafe(migrate))]
fn a_function_runs_before_the_program() {
    let mut command = shell("umask");
    // SAFETY: umask may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::umask(0o027);
            Ok(())
        });
    }
    assert_eq!(command.output().unwrap().stdout, b"0027\n");
}

#[gort::test(unsafe(migrate))]
fn programs_can_be_chained() {
    let mut first = shell("echo b; echo a; echo c").stdout(Stdio::piped()).spawn().unwrap();
    let sorted = Command::new("sort").stdin(first.stdout.take().unwrap()).output().unwrap();
    assert_eq!(sorted.stdout, b"a\nb\nc\n");
    assert!(first.wait().unwrap().success());
}

/// Whether reads of it come back at once.
fn is_non_blocking(end: &impl AsFd) -> bool {
    use std::os::fd::AsRawFd;
    // SAFETY: reads the flags of an open descriptor.
    unsafe { libc::fcntl(end.as_fd().as_raw_fd(), libc::F_GETFL) & libc::O_NONBLOCK != 0 }
}

#[gort::test(unsafe(migrate))]
fn children_and_pipes_come_from_std_and_go_back() {
    let mut command = std::process::Command::new("cat");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut child = Child::from(child);
    child.stdin.as_mut().unwrap().write_all(b"through std").unwrap();
    let stdin: std::process::ChildStdin = child.stdin.take().unwrap().into();
    assert!(!is_non_blocking(&stdin), "std expects its calls to wait");
    drop(stdin);
    let mut stdout: std::process::ChildStdout = child.stdout.take().unwrap().into();
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(text, "through std");
    let stderr: OwnedFd = child.stderr.take().unwrap().into();
    assert!(!is_non_blocking(&stderr));
    assert!(child.wait().unwrap().success());
}

#[gort::test(unsafe(migrate))]
fn waiting_closes_the_input() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(child.stdin.is_none());
}

#[gort::test(unsafe(migrate))]
fn a_write_to_a_program_that_has_ended_fails() {
    let mut child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    child.wait().unwrap();
    // Another test that starts a program just now may have a copy of the other end for a moment.
    let error = (0..1000).find_map(|_| {
        gort::sleep(Duration::from_millis(1));
        stdin.write(b"x").err()
    });
    assert_eq!(error.expect("nobody reads").kind(), ErrorKind::BrokenPipe);
}

#[gort::test(unsafe(migrate))]
fn a_reader_wakes_for_each_piece() {
    static PIECES: AtomicU32 = AtomicU32::new(0);
    let mut child = shell("while read line; do echo got $line; done")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let reader = gort::go(move || {
        let mut all = Vec::new();
        let mut piece = [0; 64];
        loop {
            match stdout.read(&mut piece).unwrap() {
                0 => return all,
                n => all.extend_from_slice(&piece[..n]),
            }
            PIECES.fetch_add(1, Ordering::Relaxed);
        }
    });
    let start = Instant::now();
    for nth in 1..=20 {
        writeln!(stdin, "{nth}").unwrap();
        while PIECES.load(Ordering::Relaxed) < nth {
            assert!(start.elapsed() < Duration::from_secs(30), "piece {nth} did not come");
            gort::sleep(Duration::from_millis(1));
        }
    }
    drop(stdin);
    let lines: String = (1..=20).map(|nth| format!("got {nth}\n")).collect();
    assert_eq!(String::from_utf8(reader.join().unwrap()).unwrap(), lines);
    assert!(child.wait().unwrap().success());
}
