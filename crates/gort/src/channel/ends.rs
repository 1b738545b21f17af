//! How long a channel lives: its ends are counted, side by side.
//!
//! When the last end of one side goes, the channel ends for the other side (Rust's ownership closes a stream even where
//! a Go program would leak). When both sides have gone, the memory goes.
//!
//! Invariant: an end that exists keeps its side's count above zero, so the channel is alive.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::chan::{Chan, NO_RECEIVERS, NO_SENDERS};

struct Counted<T> {
    chan: Chan<T>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    one_side_gone: AtomicBool,
    /// Called when the last receiver has gone.
    unheard: Option<fn()>,
}

/// One counted sender's hold on its channel.
pub(super) struct SendEnd<T>(NonNull<Counted<T>>);

/// One counted receiver's hold on its channel.
pub(super) struct RecvEnd<T>(NonNull<Counted<T>>);

/// The first two ends of a new channel; `unheard` is called when the last receiver has gone.
pub(super) fn pair<T>(chan: Chan<T>, unheard: Option<fn()>) -> (SendEnd<T>, RecvEnd<T>) {
    let counted = Box::new(Counted {
        chan,
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
        one_side_gone: AtomicBool::new(false),
        unheard,
    });
    let shared = NonNull::from(Box::leak(counted));
    (SendEnd(shared), RecvEnd(shared))
}

fn count_up(count: &AtomicUsize) {
    // Only leaked clones can get there; going on would free a channel that is in use.
    if count.fetch_add(1, Ordering::Relaxed) > isize::MAX as usize {
        std::process::abort();
    }
}

/// True for the last.
fn count_down(count: &AtomicUsize) -> bool {
    // AcqRel: what the other ends of this side did comes before what the last one does at the end.
    count.fetch_sub(1, Ordering::AcqRel) == 1
}

/// Frees the channel when it is dropped, if the other side has gone as well: also when a value's drop panics.
struct LeaveSide<T>(NonNull<Counted<T>>);

impl<T> Drop for LeaveSide<T> {
    fn drop(&mut self) {
        // SAFETY: the side that leaves first leaves the channel to the other; it is alive until the second has been here.
        // AcqRel: the first one's deeds come before the second one's freeing.
        if unsafe { self.0.as_ref() }.one_side_gone.swap(true, Ordering::AcqRel) {
            // SAFETY: both sides have gone, and nobody else has the pointer.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

macro_rules! end {
    ($end:ident, $count:ident) => {
        impl<T> Deref for $end<T> {
            type Target = Chan<T>;

            #[inline]
            fn deref(&self) -> &Chan<T> {
                // SAFETY: the module's invariant: this end is counted.
                unsafe { &self.0.as_ref().chan }
            }
        }

        impl<T> Clone for $end<T> {
            fn clone(&self) -> Self {
                // SAFETY: the module's invariant.
                count_up(unsafe { &self.0.as_ref().$count });
                $end(self.0)
            }
        }

        impl<T> $end<T> {
            /// The channel's identity.
            #[inline]
            pub(super) fn id(&self) -> *const () {
                self.0.as_ptr().cast_const().cast()
            }
        }
    };
}

end!(SendEnd, senders);
end!(RecvEnd, receivers);

impl<T> Drop for SendEnd<T> {
    fn drop(&mut self) {
        // SAFETY: the module's invariant.
        if count_down(unsafe { &self.0.as_ref().senders }) {
            let _leave = LeaveSide(self.0);
            self.end(NO_SENDERS);
        }
    }
}

impl<T> Drop for RecvEnd<T> {
    fn drop(&mut self) {
        // SAFETY: the module's invariant.
        if count_down(unsafe { &self.0.as_ref().receivers }) {
            let _leave = LeaveSide(self.0);
            self.end(NO_RECEIVERS);
            self.discard();
            // SAFETY: the module's invariant, until this side has left.
            if let Some(unheard) = unsafe { self.0.as_ref().unheard } {
                unheard();
            }
        }
    }
}
