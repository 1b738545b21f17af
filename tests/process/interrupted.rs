//! No call of a goroutine ever ends early because the runtime sent a signal.

use crate::child::ok;

ok! {
    no_call_is_ever_interrupted "interrupted"
}
