//! Goroutines and the OS threads under them: calls that block the thread, goroutines that must stay on theirs, and more
//! stack where it is needed.

use gort_core::blocking as core_blocking;

pub use core_blocking::{lock_os_thread, unlock_os_thread};

/// Runs `f`, which may block the OS thread, and lets other goroutines have the processor meanwhile.
///
/// The processor goes to another thread at once. When `f` has returned the goroutine takes an idle processor, or queues
/// up for one. Everything may be done inside `f`; locks and channels of gort work as usual. On a plain OS thread this
/// just calls `f`. In Go every system call does this by itself.
///
/// # Examples
/// ```
/// #[gort::main(unsafe(migrate), maxprocs = 1)]
/// fn main() -> std::io::Result<()> {
///     let (tx, rx) = gort::chan(0);
///     gort::go(move || tx.send("others run"));
///     let text = gort::blocking(|| std::fs::read_to_string("/proc/self/comm"))?;
///     assert!(!text.is_empty());
///     assert_eq!(rx.recv(), Ok("others run"));
///     Ok(())
/// }
/// ```
pub fn blocking<R>(f: impl FnOnce() -> R) -> R {
    core_blocking::blocking(f)
}

/// Runs `f` with the goroutine tied to its OS thread: it stays there while it waits, and nothing else runs there.
///
/// For libraries that keep state per thread, and around code that would break [the one rule](crate::run#safety). Parking
/// is dearer meanwhile: it takes a change of threads. Go's `LockOSThread` and `UnlockOSThread` as a scope; nests.
///
/// # Examples
/// ```
/// #[gort::main(unsafe(migrate))]
/// fn main() {
///     gort::pin_thread(|| {
///         let before = std::thread::current().id();
///         gort::sleep(std::time::Duration::from_millis(1));
///         assert_eq!(std::thread::current().id(), before);
///     });
/// }
/// ```
pub fn pin_thread<R>(f: impl FnOnce() -> R) -> R {
    struct Unlock;
    impl Drop for Unlock {
        fn drop(&mut self) {
            unlock_os_thread();
        }
    }
    lock_os_thread();
    let _unlock = Unlock;
    f()
}

/// Runs `f`; on a fresh segment of `bytes` of stack if less than `red_zone` bytes of the current one are left.
///
/// For recursion that may go deep: called at every level it makes the depth a matter of memory, not of stack size. The
/// segment goes back to the pool when `f` returns. Inside the segment everything works as usual, parking included.
/// Go's stacks grow by themselves.
///
/// # Panics
/// If a segment is needed and can not be had: `bytes` is not between 64 KiB and 1 GiB, there is no memory, or there is
/// no runtime (then only the thread's own stack can be used).
///
/// # Examples
/// ```
/// fn depth(n: u64) -> u64 {
///     gort::maybe_grow(32 * 1024, 1 << 20, || if n == 0 { 0 } else { 1 + depth(n - 1) })
/// }
///
/// #[gort::main(unsafe(migrate))]
/// fn main() {
///     // More than the 256 KiB that a goroutine starts with.
///     let deep = gort::go(|| depth(20_000)).join().unwrap();
///     assert_eq!(deep, 20_000);
/// }
/// ```
#[track_caller]
pub fn maybe_grow<R>(red_zone: usize, bytes: usize, f: impl FnOnce() -> R) -> R {
    match gort_core::grow::maybe_grow(red_zone, bytes, f) {
        Ok(result) => result,
        Err((error, _)) => panic!("gort: maybe_grow: no further stack can be had: {error}"),
    }
}
