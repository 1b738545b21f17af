//! An operation that a select has chosen and begun, and that is to be completed.

use std::alloc::Layout;
use std::borrow::BorrowMut;
use std::fmt;
use std::mem::ManuallyDrop;
use std::{ptr, thread};

use super::engine::Arm;
use super::payload::Payload;
use crate::channel::{Begun, Receiver, RecvError, SendError, Sender};

/// A chosen operation, as the macros use it: dropped uncompleted it is undone. `P` is the place of a received value: the
/// macros keep it in their frame, a `SelectedOperation` takes it along.
#[doc(hidden)]
pub struct Chosen<'a, P: BorrowMut<Payload>> {
    arm: Arm<'a>,
    index: usize,
    begun: Begun,
    payload: P,
}

/// An end of a channel that stays borrowed until this is dropped, by whichever way a block is left: it has a drop that might
/// use it.
#[doc(hidden)]
pub struct Held<'a, T>(pub &'a T);

impl<T> Drop for Held<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {}
}

impl<'a, P: BorrowMut<Payload>> Chosen<'a, P> {
    #[inline]
    pub(super) fn new(arm: Arm<'a>, index: usize, begun: Begun, payload: P) -> Chosen<'a, P> {
        Chosen { arm, index, begun, payload }
    }

    /// Which case was chosen.
    #[inline]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Completes a send.
    #[track_caller]
    #[inline]
    pub fn send<T>(self, tx: &Sender<T>, value: T) -> Result<(), SendError<T>> {
        assert!(self.arm.sends_on(tx.id()), "passed a sender that wasn't selected");
        let begun = self.begun;
        self.completed();
        // SAFETY: begun on this channel, and neither completed nor undone: `self` is gone.
        unsafe { tx.complete(begun, value) }
    }

    /// Completes a receive.
    #[track_caller]
    #[inline]
    pub fn recv<T>(mut self, rx: &Receiver<T>) -> Result<T, RecvError> {
        assert!(self.arm.receives_from(rx.id()), "passed a receiver that wasn't selected");
        let received = match self.begun {
            Begun::Received => {
                let place = self.payload.borrow_mut().reserve(Layout::new::<T>());
                // SAFETY: the case has put its value there, and a channel has values of one type only.
                Ok(unsafe { place.cast::<T>().read() })
            }
            _ => Err(RecvError),
        };
        self.completed();
        received
    }

    /// Nothing is left to undo.
    #[inline]
    fn completed(self) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used any more; the payload frees its memory, and the rest has no drop.
        drop(unsafe { ptr::read(&raw mut this.payload) });
    }
}

impl<P: BorrowMut<Payload>> Drop for Chosen<'_, P> {
    fn drop(&mut self) {
        let place = match self.begun {
            Begun::Received => self.payload.borrow_mut().reserve(self.arm.payload()),
            _ => ptr::null_mut(),
        };
        // SAFETY: begun by this case and not completed, or `completed` had forgotten us.
        unsafe { self.arm.case().undo(self.begun, place) };
    }
}

/// An operation that [`Select`](super::Select) has chosen. It has begun and must be completed, with
/// [`send`](SelectedOperation::send) or [`recv`](SelectedOperation::recv).
///
/// # Panics
/// Dropped without having been completed, it undoes the operation (no value is lost) and panics. Forgotten, it keeps
/// what it was given: a value received, a slot of the buffer, or a receiver that waits for the value.
#[must_use = "a selected operation has to be completed"]
pub struct SelectedOperation<'a> {
    chosen: ManuallyDrop<Chosen<'a, Payload>>,
}

impl<'a> SelectedOperation<'a> {
    pub(super) fn new(chosen: Chosen<'a, Payload>) -> SelectedOperation<'a> {
        SelectedOperation { chosen: ManuallyDrop::new(chosen) }
    }

    /// Which operation was chosen: the number that [`Select::send`](super::Select::send) or
    /// [`Select::recv`](super::Select::recv) gave.
    pub fn index(&self) -> usize {
        self.chosen.index()
    }

    /// Completes a send with the value.
    ///
    /// # Errors
    /// Gives the value back if the channel has ended, also if that happened between the choice and this call.
    ///
    /// # Panics
    /// If `tx` is not a sender of the chosen channel, or the chosen operation is a receive.
    #[track_caller]
    pub fn send<T>(self, tx: &Sender<T>, value: T) -> Result<(), SendError<T>> {
        self.into_chosen().send(tx, value)
    }

    /// Completes a receive and gives the value.
    ///
    /// # Errors
    /// If the channel is empty and has ended.
    ///
    /// # Panics
    /// If `rx` is not a receiver of the chosen channel, or the chosen operation is a send.
    #[track_caller]
    pub fn recv<T>(self, rx: &Receiver<T>) -> Result<T, RecvError> {
        self.into_chosen().recv(rx)
    }

    fn into_chosen(self) -> Chosen<'a, Payload> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used any more, and its drop does not run.
        unsafe { ManuallyDrop::take(&mut this.chosen) }
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        // SAFETY: dropped once, here.
        unsafe { ManuallyDrop::drop(&mut self.chosen) };
        if !thread::panicking() {
            panic!("dropped `SelectedOperation` without completing the operation");
        }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}
