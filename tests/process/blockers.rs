//! Goroutines that block their thread, with and without saying so: nobody else notices.

use crate::child::ok;

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
