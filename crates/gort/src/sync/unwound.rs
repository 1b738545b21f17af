//! What is kept of a panic, so that it can be raised again for others: a payload can not be cloned, its text can.

use std::any::Any;
use std::panic;

use crate::panic_policy::Goexit;

/// Why a function did not return.
pub(super) enum Unwound {
    Text(&'static str),
    Owned(String),
    /// It ended its goroutine.
    Goexit,
    /// It panicked with something else than text.
    Unknown,
}

impl Unwound {
    pub(super) fn of(payload: &(dyn Any + Send)) -> Unwound {
        if let Some(text) = payload.downcast_ref::<&'static str>() {
            Unwound::Text(text)
        } else if let Some(text) = payload.downcast_ref::<String>() {
            Unwound::Owned(text.clone())
        } else if payload.is::<Goexit>() {
            Unwound::Goexit
        } else {
            Unwound::Unknown
        }
    }

    /// Unwinds the caller in the same way. Says nothing: the panic was printed when it happened.
    #[cold]
    pub(super) fn raise(&self) -> ! {
        match self {
            Unwound::Text(text) => panic::resume_unwind(Box::new(*text)),
            Unwound::Owned(text) => panic::resume_unwind(Box::new(text.clone())),
            Unwound::Goexit => panic::resume_unwind(Box::new(Goexit)),
            Unwound::Unknown => panic::resume_unwind(Box::new("the function panicked")),
        }
    }
}
