//! Signals that end a process, with a dump or without, and those that do not; and standard input, which takes a process too.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::child::{Ended, end, ending, run};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGUSR1: i32 = 10;
const SIGTERM: i32 = 15;

#[test]
fn nobody_listens_and_the_default_ends_the_process() {
    for signal in [SIGHUP, SIGINT, SIGUSR1, SIGTERM] {
        let ended = end(&["signal-default", &signal.to_string()]);
        ended.signal(signal).said(&[]);
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn the_default_is_back_as_soon_as_the_last_listener_has_gone() {
    for signal in [SIGHUP, SIGINT, SIGUSR1, SIGTERM] {
        end(&["signal-after-drop", &signal.to_string()]).signal(signal).said(&["heard"]);
    }
}

#[test]
fn an_ignored_signal_does_nothing_until_it_is_reset() {
    end(&["signal-ignored"]).signal(SIGTERM).said(&["alive"]);
}

/// Runs it with these signals ignored.
fn deaf_to(signals: &str, ending_s: &[&str]) -> Ended {
    let inner = ending(ending_s);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("trap '' {signals}; exec \"$0\" \"$@\"")).arg(inner.get_program());
    shell.args(inner.get_args());
    for (name, _) in inner.get_envs() {
        shell.env_remove(name);
    }
    run(&mut shell)
}

#[test]
fn what_is_ignored_at_the_start_stays_so_until_somebody_listens() {
    deaf_to("HUP INT", &["signal-ignored-at-start"]).status(0).said(&["ignores", "hears", "ignores again"]);
    deaf_to("QUIT", &["quit-ignored-at-start"]).status(0).said(&["alive"]);
}

#[test]
fn a_signal_that_meets_a_stop_is_heard_or_ends_the_process() {
    let mut ended_by_it = 0;
    for _ in 0..20 {
        let ended = end(&["signal-atomic-stop"]);
        match std::os::unix::process::ExitStatusExt::signal(&ended.status) {
            Some(signal) => {
                assert_eq!(signal, SIGINT, "{ended}");
                ended.said(&[]);
                ended_by_it += 1;
            }
            None => drop(ended.status(0).said(&["heard all"])),
        }
    }
    println!("ended by the signal: {ended_by_it} of 20");
}

#[test]
fn a_graceful_shutdown() {
    end(&["signal-shutdown"]).signal(SIGTERM).said(&["terminated signal received", "done"]);
}

/// It wrote the head of the dump, and this is what follows.
#[track_caller]
fn dumped(ended: &Ended) -> &str {
    ended.status(2);
    let rest = ended.stderr.strip_prefix("SIGQUIT: quit\nPC=0x").unwrap_or_else(|| panic!("{ended}"));
    let (pc, rest) = rest.split_once(" m=").unwrap();
    assert_ne!(usize::from_str_radix(pc, 16).unwrap(), 0);
    let (machine, rest) = rest.split_once(" sigcode=").unwrap();
    machine.parse::<u32>().unwrap();
    let (code, rest) = rest.split_once("\n\n").unwrap();
    assert_eq!(code, "0", "kill was called");
    rest
}

#[test]
fn sigquit_dumps_all_goroutines() {
    for level in ["", "single", "all", "1"] {
        let ended = run(ending(&["quit"]).env("GORT_TRACEBACK", level));
        ended.said(&["quits"]);
        let stacks = dumped(&ended);
        assert!(stacks.starts_with("goroutine 1 ["), "{ended}");
        assert_eq!(stacks.matches(" [chan receive").count(), 3, "{ended}");
        assert_eq!(stacks.matches("waits_to_be_seen(...)\n\t").count(), 3, "{ended}");
        assert!(!stacks.contains("gort_core::outside"), "the relay is no goroutine: {ended}");
    }
    let ended = run(ending(&["quit"]).env("GORT_TRACEBACK", "none"));
    assert_eq!(dumped(&ended), "");
}

#[test]
fn sigquit_dumps_also_when_all_processors_are_busy() {
    for procs in ["1", "2"] {
        let ended = run(ending(&["quit-busy"]).env("GOMAXPROCS", procs));
        assert!(dumped(&ended).contains("goroutine 1 ["), "{ended}");
    }
}

#[test]
fn sigquit_has_no_such_meaning_before_the_runtime_starts() {
    let ended = end(&["quit-before-run"]);
    ended.signal(SIGQUIT);
    assert_eq!(ended.stderr, "");
}

#[test]
fn sigquit_can_be_listened_to_and_dumps_again_afterwards() {
    let ended = end(&["quit-heard"]);
    ended.said(&["heard"]);
    dumped(&ended);
}

#[test]
fn sigquit_goes_where_it_should_also_from_below_the_programs_handler() {
    end(&["quit-heard-below-another"]).status(0).said(&["heard"]);
    dumped(&end(&["quit-unheard-below-another"]));
}

#[test]
fn a_second_sigquit_ends_what_can_not_dump() {
    end(&["quit-twice"]).signal(SIGQUIT).said(&["stuck"]);
}

#[test]
fn a_listener_may_still_wake_somebody() {
    for ending_s in ["live-signal", "live-signal-context"] {
        for procs in ["1", "4"] {
            let ended = run(ending(&[ending_s]).env("GOMAXPROCS", procs));
            ended.status(0).said(&["alive"]);
            assert_eq!(ended.stderr, "");
        }
    }
}

#[test]
fn without_listeners_a_deadlock_is_found() {
    for ending_s in ["deadlock-signals-dropped", "deadlock-signals-reset", "deadlock-signal-context-spent"] {
        end(&[ending_s]).status(2).complained("fatal error: all goroutines are asleep - deadlock!\n");
    }
}

/// Runs it with this input, which begins to come when the program has said `go`.
fn with_input(arguments: &[&str], go: Option<&str>, input: &[u8]) -> Vec<String> {
    use std::io::{BufRead, BufReader};
    let mut command = ending(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    if let Some(go) = go {
        assert_eq!(lines.next().as_deref(), Some(go));
    }
    child.stdin.take().unwrap().write_all(input).unwrap();
    let said = lines.collect();
    assert!(child.wait().unwrap().success());
    said
}

#[test]
fn lines_are_read_while_others_go_on() {
    let mut command = ["stdin-lines"];
    assert_eq!(with_input(&command, Some("ticked"), b"first\nsecond\nlast"), ["first", "second", "last"]);
    command[0] = "stdin-all";
    assert_eq!(with_input(&command, None, b"one two three\nfour"), ["tw|o three", "four"]);
}

#[test]
fn many_read_in_turns() {
    let input: String = (0..1000).map(|n| format!("{n}\n")).collect();
    assert_eq!(with_input(&["stdin-turns"], None, input.as_bytes()), ["all lines"]);
}
