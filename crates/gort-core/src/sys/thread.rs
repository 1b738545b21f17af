//! Threads that std does not know of.
//!
//! A thread made by std inherits the capture of output from the one that makes it. Under `cargo test` that is the capture
//! of whichever test happens to start the runtime; all goroutines of all tests would print into it, and the message of a
//! failing one would be lost. So the runtime's first threads are made by hand, and those that they make inherit nothing.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

type Body = Box<dyn FnOnce() + Send>;

/// Starts a detached thread. `body` must not unwind (the process aborts then).
///
/// # Errors
/// The system gives no thread.
pub(crate) fn spawn(
    name: &'static CStr,
    stack_bytes: usize,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let body: Box<Body> = Box::new(Box::new(move || {
        name_this_thread(name);
        body();
    }));
    let body = Box::into_raw(body);
    // SAFETY: the attributes are initialised, used and destroyed here; `main` gets the pointer that it takes back.
    let failed = unsafe {
        let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
        let mut failed = libc::pthread_attr_init(attributes.as_mut_ptr());
        if failed == 0 {
            libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), stack_bytes);
            libc::pthread_attr_setdetachstate(attributes.as_mut_ptr(), libc::PTHREAD_CREATE_DETACHED);
            let mut thread = MaybeUninit::uninit();
            failed = libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), main, body.cast());
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
        }
        failed
    };
    if failed == 0 {
        return Ok(());
    }
    // SAFETY: no thread was made, so nobody else takes it.
    drop(unsafe { Box::from_raw(body) });
    Err(io::Error::from_raw_os_error(failed))
}

extern "C" fn main(body: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: `spawn` gave up this box for us.
    let body = unsafe { Box::from_raw(body.cast::<Body>()) };
    body();
    ptr::null_mut()
}

fn name_this_thread(name: &CStr) {
    // SAFETY: names the calling thread; the text is valid. A name that is too long is refused, which does no harm.
    unsafe { libc::pthread_setname_np(libc::pthread_self(), name.as_ptr()) };
}

/// The calling thread is to hear this signal, whatever mask it has inherited.
pub(crate) fn hear(signal: libc::c_int) {
    // SAFETY: fills a set of signals and takes them out of the calling thread's mask.
    unsafe {
        let mut set = MaybeUninit::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut());
    }
}

/// How the kernel's scheduler is to treat a thread, beside others that want its CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It runs for a moment at a time, and soon after it was woken: its turn, which is how long it may keep the CPU, is this
    /// long, in microseconds, and so ends sooner than what is left of another's.
    Prompt(u32),
    /// It computes: it leaves its CPU to others when they are woken, for its turn is long.
    Computes,
    /// As that; and when it is woken itself it waits until the CPU is left to it.
    Frozen,
}

/// Asks the kernel to treat the calling thread in this manner from now on. It does not get more or less time for that: in the
/// long run all get the same. Kernels before 6.12 know no turns of a thread's own. Threads and processes that this thread makes
/// do not inherit its turn. Leaves errno as it is.
///
/// False: it has a special policy, which the program or its user has set, and keeps it. (`Computes` ends `Frozen`, for
/// which it must have been true.)
pub(crate) fn behave(manner: Manner) -> bool {
    // Longer than the usual three milliseconds, which is all that matters to those who are woken. Not longer than a goroutine's
    // slice: whoever has a long turn and has used it up is last in line, also when it has to end. (With turns of 100 ms,
    // the longest that the kernel knows, dying threads of a busy machine kept their reapers spinning in the kernel for seconds.)
    const LONG_US: u32 = 10_000;
    const RESET_ON_FORK: u64 = 1;
    // The kernel's struct sched_attr, in its first version.
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    let (from, to, turn_us) = match manner {
        Manner::Prompt(turn_us) => (libc::SCHED_OTHER, libc::SCHED_OTHER, turn_us),
        Manner::Computes => (libc::SCHED_BATCH, libc::SCHED_OTHER, LONG_US),
        Manner::Frozen => (libc::SCHED_OTHER, libc::SCHED_BATCH, LONG_US),
    };
    let mut attributes = Attributes::default();
    let size = size_of::<Attributes>() as u32;
    // SAFETY: the kernel fills, then reads, a struct of the size that it is told. It concerns the calling thread, as errno does.
    unsafe {
        let errno = *libc::__errno_location();
        let usual = libc::syscall(libc::SYS_sched_getattr, 0, &mut attributes, size, 0) == 0
            && attributes.policy == from.cast_unsigned();
        if usual {
            attributes.policy = to.cast_unsigned();
            attributes.runtime = u64::from(turn_us) * 1000;
            // The same flag would take a negative nice value from what the thread makes.
            if attributes.nice >= 0 {
                attributes.flags |= RESET_ON_FORK;
            }
            libc::syscall(libc::SYS_sched_setattr, 0, &attributes, 0);
        }
        *libc::__errno_location() = errno;
        usual
    }
}
