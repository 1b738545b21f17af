//! No call of a goroutine ever ends early because the runtime sent a signal.

use crate::child::ok;

ok! {
    nanosleep_is_never_interrupted "eintr-nanosleep"
    clock_nanosleep_is_never_interrupted "eintr-clock-nanosleep"
    poll_is_never_interrupted "eintr-poll"
    ppoll_is_never_interrupted "eintr-ppoll"
    select_is_never_interrupted "eintr-select"
    epoll_wait_is_never_interrupted "eintr-epoll-wait"
    recv_with_a_time_out_is_never_interrupted "eintr-recv"
    a_wait_for_a_semaphore_is_never_interrupted "eintr-sem"
    sigtimedwait_is_never_interrupted "eintr-sigtimedwait"
    a_futex_with_a_time_out_is_never_interrupted "eintr-futex"
    a_sleep_of_std_is_never_shorter "eintr-sleep"
}
