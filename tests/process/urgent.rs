//! Programs that use signals themselves, SIGURG among them.

use crate::child::ok;

ok! {
    an_urgent_handler_that_was_there_before "urgent-before"
    an_urgent_handler_of_one_argument "urgent-before-short"
    an_urgent_handler_that_comes_later "urgent-after"
    an_urgent_handler_that_passes_on_what_it_gets "urgent-after-chained"
    urgent_signals_that_were_ignored "urgent-ignored"
    urgent_signals_that_were_blocked "urgent-blocked"
    an_urgent_signal_that_comes_late_interrupts_no_call "urgent-late"
    all_signals_were_blocked "signal-all-blocked"
    a_handler_of_another_signal "signal-usr1"
    an_alarm_every_millisecond "signal-alarm"
    an_alarm_every_millisecond_on_its_own_stack "signal-alarm-onstack"
}
