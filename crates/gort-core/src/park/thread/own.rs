//! Which parker is the calling thread's: adopted at its first wait, given back at its end.

use std::cell::Cell;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{EMPTY, Parker};
use crate::sys::atomic::AtomicU32;

static POOL: Mutex<Vec<&'static Parker>> = Mutex::new(Vec::new());

fn pool() -> MutexGuard<'static, Vec<&'static Parker>> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// This thread's parker, or null. Without a destructor, so that it can be read while the thread's locals go away.
    static MINE: Cell<*const Parker> = const { Cell::new(ptr::null()) };
    static RETURN: ReturnAtExit = const { ReturnAtExit };
}

struct ReturnAtExit;

impl Drop for ReturnAtExit {
    fn drop(&mut self) {
        let mine = MINE.replace(ptr::null());
        if !mine.is_null() {
            // SAFETY: parkers are leaked on purpose, so the reference is good for ever.
            pool().push(unsafe { &*mine });
        }
    }
}

pub(super) fn parker() -> &'static Parker {
    let mine = MINE.get();
    if mine.is_null() {
        return adopt();
    }
    // SAFETY: parkers are leaked on purpose, so the reference is good for ever.
    unsafe { &*mine }
}

#[cold]
fn adopt() -> &'static Parker {
    let pooled = pool().pop();
    let parker = pooled.unwrap_or_else(|| Box::leak(Box::new(Parker(AtomicU32::new(EMPTY)))));
    MINE.set(parker);
    // Fails in a thread whose locals are being destroyed: that thread keeps the parker, 64 bytes, for good.
    let _ = RETURN.try_with(|_| ());
    parker
}
