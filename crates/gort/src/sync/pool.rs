//! The pool: values that are dear to make, kept for the next one who needs such a value.
//!
//! There is a shard per CPU, each a stack under a short lock. A caller prefers the shard its thread is told to prefer,
//! which is a hint and nothing more: a goroutine may be on another thread between two calls. Getting from an empty
//! shard looks into the others before it makes a new value.
//!
//! Go empties its pools by and by at each garbage collection. Here each shard watches the fewest values it held during
//! a thousand gets: those were needed by nobody, and half of them are surplus. Each `put` then drops a value instead of
//! keeping it, until no surplus is left; so a pool forgets a peak within some thousand operations, and a load that
//! comes in bursts is not disturbed.
//!
//! Under a short lock nothing is allocated, dropped or made: growing happens outside, with a second look.

use std::cell::Cell;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};

use gort_core::lock::Spin;

use super::spin::cpus;

/// A set of values for reuse: Go's `sync.Pool`.
///
/// A value that was put in may come out again, once, or be dropped at any time. Does not park.
///
/// ```
/// use gort::sync::Pool;
///
/// let buffers = Pool::new(|| Vec::with_capacity(4096));
/// let mut buffer: Vec<u8> = buffers.get();
/// buffer.extend(b"hello");
/// buffer.clear();
/// buffers.put(buffer);
/// assert!(buffers.get().capacity() >= 4096);
/// ```
pub struct Pool<T> {
    make: Box<dyn Fn() -> T + Send + Sync>,
    /// A power of two of them.
    shards: Box<[Shard<T>]>,
}

/// Two cache lines, since processors fetch lines in pairs.
#[repr(align(128))]
struct Shard<T>(Spin<Items<T>>);

struct Items<T> {
    stack: Vec<T>,
    /// The fewest values seen since the count of gets was last at zero.
    low: usize,
    gets: u32,
    surplus: usize,
}

/// Over how many gets a shard watches what is needed.
const WATCH: u32 = 1024;

impl<T: Send> Pool<T> {
    /// An empty pool; `make` makes a value when there is none to reuse.
    pub fn new<F>(make: F) -> Pool<T>
    where
        F: Fn() -> T + Send + Sync + 'static,
    {
        let shards = (0..cpus().next_power_of_two()).map(|_| Shard(Spin::new(Items::new()))).collect();
        Pool { make: Box::new(make), shards }
    }

    /// A value: one that was put in, or a new one.
    #[inline]
    pub fn get(&self) -> T {
        let at = hint();
        let item = self.shard(at).0.lock().pop();
        match item {
            Some(item) => item,
            None => self.get_slow(at),
        }
    }

    /// Keeps `value` for somebody who asks. Put it into a reusable state first.
    #[inline]
    pub fn put(&self, value: T) {
        let shard = self.shard(hint());
        let mut items = shard.0.lock();
        if items.stack.len() < items.stack.capacity() {
            let surplus = items.push(value);
            drop(items);
            drop(surplus);
        } else {
            drop(items);
            put_slow(shard, value);
        }
    }

    #[cold]
    fn get_slow(&self, at: usize) -> T {
        for other in 1..self.shards.len() {
            // A shard in use is left alone: a new value is better than a wait.
            let item = self.shard(at + other).0.try_lock().and_then(|mut items| items.pop());
            if let Some(item) = item {
                return item;
            }
        }
        (self.make)()
    }

    fn shard(&self, at: usize) -> &Shard<T> {
        &self.shards[at & (self.shards.len() - 1)]
    }
}

#[cold]
fn put_slow<T>(shard: &Shard<T>, value: T) {
    const FIRST: usize = 8;
    let full = shard.0.lock().stack.len();
    // Allocated while unlocked. Others may have put in and taken out meanwhile, or grown the stack.
    let mut roomy = Vec::with_capacity((full * 2).max(FIRST));
    let mut items = shard.0.lock();
    if items.stack.len() < roomy.capacity() && items.stack.capacity() < roomy.capacity() {
        roomy.append(&mut items.stack);
        mem::swap(&mut roomy, &mut items.stack);
    }
    let surplus = if items.stack.len() < items.stack.capacity() { items.push(value) } else { Some(value) };
    drop(items);
    drop((roomy, surplus));
}

impl<T> Items<T> {
    const fn new() -> Items<T> {
        Items { stack: Vec::new(), low: 0, gets: 0, surplus: 0 }
    }

    fn pop(&mut self) -> Option<T> {
        let item = self.stack.pop();
        self.low = self.low.min(self.stack.len());
        self.surplus = self.surplus.min(self.stack.len());
        self.gets += 1;
        if self.gets == WATCH {
            self.gets = 0;
            self.surplus = self.low.div_ceil(2);
            self.low = self.stack.len();
        }
        item
    }

    /// Puts a value in, for which there is room; or returns it, if there are too many.
    fn push(&mut self, value: T) -> Option<T> {
        if self.surplus > 0 {
            self.surplus -= 1;
            return Some(value);
        }
        self.stack.push(value);
        None
    }
}

/// Which shard the calling thread prefers. Never inlined, so that no address of a thread-local is kept by a caller
/// that may go on on another thread.
#[inline(never)]
fn hint() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(0) };
    }
    match MINE.get() {
        0 => {
            let mine = NEXT.fetch_add(1, Ordering::Relaxed);
            MINE.set(mine);
            mine
        }
        mine => mine,
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_forgotten() {
        let pool = Pool::new(|| [0u8; 16]);
        let many: Vec<_> = (0..5000).map(|_| pool.get()).collect();
        many.into_iter().for_each(|item| pool.put(item));
        let held = |pool: &Pool<_>| pool.shards.iter().map(|s| s.0.lock().stack.len()).sum::<usize>();
        assert_eq!(held(&pool), 5000);
        for _ in 0..40 * WATCH {
            let item = pool.get();
            pool.put(item);
        }
        assert!(held(&pool) < 100, "{} values are still held", held(&pool));
    }
}
