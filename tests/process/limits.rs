//! Too few threads, too little address space, and settings in the environment, sensible ones and others.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::{io, mem};

use crate::child::{Ended, ending, ok_on, run};

#[test]
fn too_many_threads_are_fatal() {
    for limit in ["6", "20"] {
        let ended = run(&mut ending(&["threads", limit]));
        ended.status(2).said(&["started"]);
        let text = format!("runtime: program exceeds {limit}-thread limit\nfatal error: thread exhaustion\n");
        assert!(ended.stderr.starts_with(&text), "{ended}");
    }
}

/// Runs it with at most so many KiB of address space.
fn with_address_space(kib: u64, arguments: &[&str]) -> Ended {
    let inner = ending(arguments);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -v {kib} && exec \"$0\" \"$@\"")).arg(inner.get_program());
    shell.args(inner.get_args());
    for (name, _) in inner.get_envs() {
        shell.env_remove(name);
    }
    run(&mut shell)
}

const REFUSED: &str = "gort: out of address space for goroutine stacks (";

#[test]
fn a_builder_is_refused_when_there_is_no_room_for_a_stack() {
    let ended = with_address_space(8 << 20, &["memory-builder"]);
    ended.status(0);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ended}");
    assert!(lines[0].starts_with("refused after ") && lines[0].contains(REFUSED), "{ended}");
    assert!(["small: 5", "no small one either"].contains(&lines[1]), "{ended}");
    assert_eq!(lines[2], "reused: 6", "{ended}");
}

#[test]
fn go_panics_when_there_is_no_room_for_a_stack() {
    let ended = with_address_space(2 << 20, &["memory-go"]);
    ended.status(0);
    assert!(ended.stdout.starts_with(REFUSED) && ended.stdout.ends_with("\nwent on\n"), "{ended}");
}

#[test]
fn maybe_grow_panics_when_there_is_no_room_for_a_stack() {
    let ended = with_address_space(8 << 20, &["memory-grow"]);
    ended.status(0);
    let words = format!("gort: maybe_grow: no further stack can be had: {REFUSED}");
    assert!(ended.stdout.starts_with(&words), "{ended}");
}

#[test]
fn timers_outside_the_runtime_work_again_once_there_is_a_thread_for_them() {
    run(&mut ending(&["timers-no-thread"])).status(0).said(&["refused", "both ran"]);
}

#[test]
fn no_room_even_for_main_is_said() {
    let ended = with_address_space(48 << 10, &["procs"]);
    ended.status(101).complained("gort: the ").complained("can not be started: ");
}

#[test]
fn gomaxprocs_is_read_from_the_environment() {
    let procs = |value: &str| {
        let ended = run(ending(&["procs"]).env("GOMAXPROCS", value));
        ended.status(0);
        let (procs, cpus) = ended.stdout.trim().split_once(" of ").unwrap();
        (procs.parse::<usize>().unwrap(), cpus.parse::<usize>().unwrap())
    };
    assert_eq!(procs("1").0, 1);
    assert_eq!(procs("3").0, 3);
    assert_eq!(procs("5000").0, 1024);
    for nonsense in ["abc", "0", "-1", "", "1.5", "99999999999999999999"] {
        let (procs, cpus) = procs(nonsense);
        assert!((1..=cpus).contains(&procs), "{nonsense:?}: {procs} of {cpus}");
    }
}

/// Go's TestCgroupGOMAXPROCSSchedAffinity: CPUs that the process may not use do not count.
#[test]
fn gomaxprocs_is_at_most_the_cpus_that_may_be_used() {
    let mut command = ending(&["procs"]);
    command.env_remove("GOMAXPROCS");
    // SAFETY: sched_getaffinity and sched_setaffinity are system calls that touch nothing but the set, which is on the
    // child's stack.
    unsafe {
        command.pre_exec(|| {
            let mut mine: libc::cpu_set_t = mem::zeroed();
            libc::sched_getaffinity(0, size_of_val(&mine), &mut mine);
            let Some(first) = (0..libc::CPU_SETSIZE as usize).find(|&cpu| libc::CPU_ISSET(cpu, &mine)) else {
                return Err(io::ErrorKind::Other.into());
            };
            let mut one: libc::cpu_set_t = mem::zeroed();
            libc::CPU_SET(first, &mut one);
            match libc::sched_setaffinity(0, size_of_val(&one), &one) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
    run(&mut command).status(0).said(&["1 of 1"]);
}

#[test]
fn the_usual_stack_size_is_read_from_the_environment() {
    let stack = |bytes: &str, kib: &str| run(ending(&["stack", kib]).env("GORT_STACK", bytes));
    stack("65536", "20").status(0);
    stack("65536", "100").status(2).complained("-byte limit\n");
    stack("8388608", "2000").status(0).said(&["2000"]);
    stack(" 1048576 ", "300").status(0).said(&["300"]);
    for nonsense in ["abc", "", "1000", "-1", "64k", "1073741825", "99999999999999999999999"] {
        stack(nonsense, "1")
            .status(101)
            .complained(&format!("gort: the runtime can not be started: GORT_STACK={nonsense}: "))
            .complained("between 65536 (64 KiB) and 1073741824 (1 GiB) can be had");
    }
    stack("64k", "1").status(101).complained("GORT_STACK=64k: gort: not a number of bytes; ");
    stack("1000", "1")
        .status(101)
        .complained("GORT_STACK=1000: gort: stack size out of range: 1000 bytes asked for, ");
}

#[test]
fn memory_of_idle_stacks_is_given_back_by_processors_that_go() {
    ok_on(&["8"], "idle-stacks");
}
