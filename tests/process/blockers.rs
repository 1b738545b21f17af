//! Goroutines that block their thread, with and without saying so: nobody else notices.

use std::os::unix::process::CommandExt;
use std::ptr;

use crate::child::{ending, ok, run};

ok! {
    a_fifo_whose_writer_is_a_goroutine "block-fifo"
    threads_that_sleep "block-sleep"
    a_lock_of_std_whose_holder_is_queued "block-mutex-queued"
    a_lock_of_std_whose_holder_is_parked "block-mutex-parked"
    a_condition_of_std_whose_notifier_is_queued "block-condvar"
    looking_up_a_name "block-lookup"
    waiting_for_a_child "block-child"
    c_calls_that_sleep "block-calls"
    a_channel_of_std "block-mpsc"
    a_hundred_that_block_beside_hogs "block-many"
    an_announced_call_inside_one "announced-nests"
    parking_in_an_announced_call "announced-parks"
    panicking_in_an_announced_call "announced-panics"
    two_hundred_announced_calls "announced-200"
}

/// As in some sandboxes. (Where it is not allowed to take `/proc` away, it is there.)
///
/// Not for what counts preemptions: on a busy machine a thread that waits for a CPU can not be told from one that sleeps there,
/// and loses its processor before it is preempted.
#[test]
fn without_proc_a_lock_of_std_whose_holder_is_parked() {
    let mut command = ending(&["block-mutex-parked"]);
    // SAFETY: system calls with texts that are constants.
    unsafe {
        command.pre_exec(|| {
            if libc::unshare(libc::CLONE_NEWNS) == 0 {
                let (none, root, proc) = (c"none".as_ptr(), c"/".as_ptr(), c"/proc".as_ptr());
                let own =
                    libc::mount(none, root, ptr::null(), libc::MS_REC | libc::MS_PRIVATE, ptr::null()) == 0;
                if own {
                    libc::mount(none, proc, c"tmpfs".as_ptr(), 0, ptr::null());
                }
            }
            Ok(())
        });
    }
    run(command.env("GOMAXPROCS", "1")).status(0).said(&["ok"]);
}
