//! Which parker is the calling thread's, in a model: each of loom's threads gets a new one, since all of them run on one
//! thread of the system.

use super::{EMPTY, Parker};
use crate::sys::atomic::AtomicU32;

loom::thread_local! {
    static MINE: &'static Parker = Box::leak(Box::new(Parker(AtomicU32::new(EMPTY))));
}

pub(super) fn parker() -> &'static Parker {
    MINE.with(|mine| *mine)
}
