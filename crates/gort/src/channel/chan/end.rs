//! How a channel ends, and what becomes of the values that nobody will receive.
//!
//! The end is a bit in the state; whoever waits is woken without `ok`, looks again, and finds it. Knows the channel's
//! steps; who decides that it ends is the business of `ends` and of `Sender::close`.

use std::mem;
use std::ptr;
use std::sync::atomic::Ordering;

use super::{Chan, OBSERVED, ONE_VALUE, RECV_WAITING, RETURNED, SEND_WAITING};
use crate::channel::clock::AT_ONCE;
use crate::channel::owed::Owed;

impl<T> Chan<T> {
    /// Ends the channel for the reason that `bit` names, and tells everybody who waits. False if it had ended for this
    /// very reason before.
    pub(in crate::channel) fn end(&self, bit: u64) -> bool {
        let mut owed = Owed::new();
        self.lock.lock();
        // SAFETY: the lock is held until it is given back.
        unsafe {
            let state = self.state.load(Ordering::Relaxed);
            let first = state & bit == 0;
            if first {
                let guarded = &mut *self.guarded.get();
                owed.wake_all_of(&mut guarded.recvq);
                owed.wake_all_of(&mut guarded.sendq);
                owed.wake_all_of(&mut guarded.observers);
                self.store((state | bit) & !(RECV_WAITING | SEND_WAITING | OBSERVED));
            }
            self.unlock_and_pay(owed);
            first
        }
    }

    /// Drops the values that nobody will receive. If a drop panics the rest is leaked: another panic on the way out would
    /// end the process.
    pub(in crate::channel) fn discard(&self) {
        struct LeakRest<'a, T>(&'a Chan<T>);
        impl<T> Drop for LeakRest<'_, T> {
            fn drop(&mut self) {
                self.0.forget_values();
            }
        }
        let leak_rest = LeakRest(self);
        while let Some(value) = self.next_value() {
            drop(value);
        }
        mem::forget(leak_rest);
    }

    fn forget_values(&self) {
        self.lock.lock();
        let state = self.state.load(Ordering::Relaxed);
        // SAFETY: the lock is held until it is given back.
        unsafe {
            (*self.guarded.get()).returned = ptr::null_mut();
            self.store(state & (ONE_VALUE - 1) & !RETURNED);
            self.lock.unlock();
        }
    }

    fn next_value(&self) -> Option<T> {
        self.recv(AT_ONCE, Some, |_| None)
    }
}

impl<T> Drop for Chan<T> {
    fn drop(&mut self) {
        self.discard();
    }
}
