//! What a goroutine is in the middle of when it is stopped: a lock of the C library's or of std's, its stack's last page,
//! a destructor, registers full of numbers. It goes on as if nothing had been, and nobody waits for it for ever.

use std::arch::x86_64 as simd;
use std::cell::{Cell, RefCell};
use std::fmt::{self, Write};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use super::say;
use super::tools::{Hogs, MS, Rng, bounded, compute, errno, procs, wait_for_preemptions, wait_until};

pub(crate) const ALL: &[super::Ending] = &[
    ("midst-malloc", malloc),
    ("midst-vec", vec),
    ("midst-println", println),
    ("midst-mutex", mutex),
    ("midst-rwlock", rwlock),
    ("midst-numbers", numbers),
    ("midst-deep", deep),
    ("midst-grown", grown),
    ("midst-thread-local", thread_local),
    ("midst-unwinding", unwinding),
    ("midst-catching", catching),
    ("midst-errno", errno_stays),
    ("midst-string-copy", string_copy),
];

/// How often the goroutines of a program are preempted before it ends.
const TIMES: u64 = 100;
/// The same where most of them wait for one lock: who waits is not preempted, and whoever computes is alone.
const TIMES_OF_WAITERS: u64 = 20;

/// Two for each processor do `work` as [`preempted`].
fn often_preempted(times: u64, work: impl Fn(usize) + Send + Sync + 'static) -> ExitCode {
    preempted(|| 2 * procs(), times, work)
}

/// So many do `work` over and over until they have been preempted `times` times, while others go on.
fn preempted(hogs: fn() -> usize, times: u64, work: impl Fn(usize) + Send + Sync + 'static) -> ExitCode {
    bounded(move || {
        let hogs = Hogs::doing(hogs(), work);
        let (ticks, over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let ticker = gort::go({
            let (ticks, over) = (ticks.clone(), over.clone());
            move || {
                while !over.load(Ordering::Relaxed) {
                    gort::sleep(MS);
                    ticks.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        // With more processors than cores all of it takes longer.
        wait_for_preemptions(2 * times / procs().max(2) as u64);
        wait_until("ticks", || ticks.load(Ordering::Relaxed) > 20);
        hogs.wait_for_progress();
        hogs.stop();
        over.store(true, Ordering::Relaxed);
        ticker.join().unwrap();
        say("ok");
    })
}

/// Blocks of all sizes, some handed to others to free, so that the allocator's lists and locks are shared.
fn malloc() -> ExitCode {
    let shelf: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    often_preempted(TIMES, move |n| {
        let mut rng = Rng::new(n as u64 + 7);
        for _ in 0..50 {
            let size = 1 << rng.below(17);
            let block = vec![n as u8; size];
            assert!(block.iter().all(|&byte| byte == n as u8));
            let old = match shelf.try_lock() {
                Ok(mut shelf) if shelf.len() > 20 => shelf.pop(),
                Ok(mut shelf) => {
                    shelf.push(block);
                    None
                }
                Err(_) => None,
            };
            drop(old);
        }
    })
}

fn vec() -> ExitCode {
    often_preempted(TIMES, |_| {
        let mut numbers = Vec::new();
        for n in 0..20_000u64 {
            numbers.push(n);
        }
        assert_eq!(numbers.iter().sum::<u64>(), 19_999 * 10_000);
    })
}

/// All print; the lock around the buffer is held nearly always, by somebody who computes in the middle of a line. The lines
/// are whole, which whoever reads them sees. (Bounded by time: who waits for the lock wants no processor, so that on several
/// of them few are preempted.)
fn println() -> ExitCode {
    struct Slowly(char);
    impl fmt::Display for Slowly {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (0..60).try_for_each(|_| {
                compute(10);
                f.write_char(self.0)
            })
        }
    }
    bounded(|| {
        let hogs = Hogs::doing(2 * procs(), |n| println!("{}", Slowly(char::from(b'a' + n as u8 % 10))));
        gort::sleep(300 * MS);
        wait_until("a hundred lines", || hogs.counts().iter().sum::<u64>() >= 100);
        hogs.stop();
        say("ok");
    })
}

fn mutex() -> ExitCode {
    let pair = Mutex::new((0u64, 0u64));
    often_preempted(TIMES_OF_WAITERS, move |_| {
        let mut pair = pair.lock().unwrap();
        pair.0 += 1;
        compute(200);
        pair.1 += 1;
        assert_eq!(pair.0, pair.1);
    })
}

fn rwlock() -> ExitCode {
    let pair = RwLock::new((0u64, 0u64));
    often_preempted(TIMES, move |n| match n {
        0 => {
            let mut pair = pair.write().unwrap();
            pair.0 += 1;
            compute(100);
            pair.1 += 1;
        }
        _ => {
            let pair = pair.read().unwrap();
            compute(100);
            assert_eq!(pair.0, pair.1);
        }
    })
}

type Number = fn(u64) -> u64;

/// What a goroutine computes with, and keeps where a signal handler could spoil it.
const NUMBERS: [(&str, Number); 6] = [
    ("sse", sse),
    ("avx", avx),
    ("x87", x87),
    ("rounding", rounding),
    ("flags", flags),
    ("red zone", red_zone),
];

/// Two of each kind compare what they compute with what it was when nothing disturbed, many preemptions long.
fn numbers() -> ExitCode {
    let right = NUMBERS.map(|(_, work)| [0, 1].map(work));
    preempted(
        || 2 * NUMBERS.len(),
        3 * TIMES,
        move |n| {
            let ((name, work), seed) = (NUMBERS[n / 2], n % 2);
            assert_eq!(work(seed as u64), right[n / 2][seed], "{name}");
        },
    )
}

/// Eight vectors that stay in registers through the loop.
fn sse(seed: u64) -> u64 {
    let mut sums: [f32; 4] = [0.0; 4];
    // SAFETY: SSE2 belongs to every x86-64.
    unsafe {
        let step = simd::_mm_set_ps(1.5, 2.5, 3.5, seed as f32);
        let mut v: [simd::__m128; 8] = std::array::from_fn(|n| simd::_mm_set1_ps(n as f32));
        for round in 0..2000 {
            let turn = simd::_mm_set1_ps((round % 7) as f32);
            for one in &mut v {
                *one = simd::_mm_add_ps(simd::_mm_mul_ps(*one, simd::_mm_set1_ps(0.75)), step);
                *one = simd::_mm_sub_ps(*one, turn);
            }
        }
        let sum = v.into_iter().reduce(|a, b| simd::_mm_add_ps(a, b)).expect("there are eight");
        simd::_mm_storeu_ps(sums.as_mut_ptr(), sum);
    }
    sums.iter().fold(0, |hash, sum| (hash * 31) ^ u64::from(sum.to_bits()))
}

fn avx(seed: u64) -> u64 {
    /// All sixteen registers at once.
    #[target_feature(enable = "avx2")]
    fn work(seed: u64) -> u64 {
        let mut v: [simd::__m256i; 16] =
            std::array::from_fn(|n| simd::_mm256_set1_epi64x((seed + n as u64) as i64));
        for _ in 0..2000 {
            for n in 0..16 {
                let other = v[(n + 5) % 16];
                let turned = simd::_mm256_permute4x64_epi64::<0b10_01_00_11>(v[n]);
                v[n] = simd::_mm256_add_epi64(turned, simd::_mm256_xor_si256(other, v[n]));
            }
        }
        let mut words = [0u64; 4];
        let sum = v.into_iter().reduce(|a, b| simd::_mm256_add_epi64(a, b)).expect("there are sixteen");
        // SAFETY: there is room for four words.
        unsafe { simd::_mm256_storeu_si256(words.as_mut_ptr().cast(), sum) };
        words.iter().fold(0, |hash, &word| hash.wrapping_mul(31) ^ word)
    }
    match std::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has it.
        true => unsafe { work(seed) },
        false => sse(seed),
    }
}

/// The old stack of eight registers, with numbers on it all the time.
fn x87(seed: u64) -> u64 {
    let (mut sum, step) = (seed as f64, 1.25f64);
    // SAFETY: pushes two numbers onto the register stack, computes on them, and takes both off again.
    unsafe {
        std::arch::asm!(
            "fld qword ptr [{step}]",
            "fld qword ptr [{sum}]",
            "mov {count:e}, 3000",
            "2:",
            "fadd st(0), st(1)",
            "fmul st(0), st(1)",
            "fsqrt",
            "dec {count:e}",
            "jnz 2b",
            "fstp qword ptr [{sum}]",
            "fstp st(0)",
            step = in(reg) &step,
            sum = in(reg) &mut sum,
            count = out(reg) _,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
        );
    }
    sum.to_bits()
}

/// The control words for rounding, of both units, are the goroutine's own.
fn rounding(seed: u64) -> u64 {
    const UPWARDS: u32 = 0x5f80;
    let (mut old, mut now) = (0u32, 0u32);
    let mut ones = 0u64;
    // SAFETY: sets the control word to another way of rounding, and back before Rust's arithmetic is used again.
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &mut old);
        std::arch::asm!("ldmxcsr [{}]", in(reg) &UPWARDS);
        for _ in 0..3000 {
            std::arch::asm!("stmxcsr [{}]", in(reg) &mut now);
            ones += u64::from(now & 0xffc0 == UPWARDS & 0xffc0);
        }
        std::arch::asm!("ldmxcsr [{}]", in(reg) &old);
    }
    ones + seed
}

/// The carry, in a loop that keeps it from round to round.
fn flags(seed: u64) -> u64 {
    let (mut low, mut high) = (seed, 0u64);
    // SAFETY: computes on the registers it names.
    unsafe {
        std::arch::asm!(
            "mov {count:e}, 3000",
            "clc",
            "2:",
            "adc {low}, {step}",
            "adc {high}, 0",
            "lea {count:e}, [{count:e} - 1]",
            "inc {count:e}",
            "dec {count:e}",
            "jnz 2b",
            low = inout(reg) low,
            high = inout(reg) high,
            step = in(reg) 0x9e37_79b9_7f4a_7c15u64,
            count = out(reg) _,
        );
    }
    low ^ high.rotate_left(17)
}

/// What a function that calls none keeps below its stack pointer.
fn red_zone(seed: u64) -> u64 {
    let sum: u64;
    // SAFETY: writes to the 128 bytes below the stack pointer, which are a leaf's own, if the compiler does not use them:
    // it does not around an `asm!` that may use the stack. They are reached before anything is pushed.
    unsafe {
        std::arch::asm!(
            "mov {count:e}, 3000",
            "mov qword ptr [rsp - 128], {seed}",
            "mov qword ptr [rsp - 64], 0",
            "mov qword ptr [rsp - 8], 0",
            "2:",
            "mov {sum}, qword ptr [rsp - 128]",
            "add qword ptr [rsp - 64], {sum}",
            "add qword ptr [rsp - 8], 3",
            "dec {count:e}",
            "jnz 2b",
            "mov {sum}, qword ptr [rsp - 64]",
            "add {sum}, qword ptr [rsp - 8]",
            count = out(reg) _,
            sum = out(reg) sum,
            seed = in(reg) seed,
        );
    }
    sum
}

/// All but the last kilobytes of the smallest stack are in use.
fn deep() -> ExitCode {
    #[inline(never)]
    fn fill(bottom: usize, low: usize, work: &dyn Fn()) -> usize {
        let frame = black_box([bottom; 32]);
        match frame.as_ptr().addr() - low {
            // A debug build's frames are large; the work needs one more.
            room if room < 3 * 1024 => work(),
            _ => drop(black_box(fill(bottom, low, work))),
        }
        frame[black_box(31)]
    }
    bounded(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let hogs: Vec<_> = (0..2 * procs())
            .map(|_| {
                let stop = stop.clone();
                let hog = move || {
                    let here = black_box(0u8);
                    // The stack begins in this page. 16 of its 64 KiB are guarded.
                    let low = (&raw const here).addr().next_multiple_of(4096) - 48 * 1024;
                    let endless = || {
                        while !stop.load(Ordering::Relaxed) {
                            std::hint::spin_loop();
                        }
                    };
                    assert_eq!(fill(5, low, &endless), 5);
                };
                gort::Builder::new().stack_size(64 * 1024).go(hog).unwrap()
            })
            .collect();
        wait_for_preemptions(300);
        stop.store(true, Ordering::Relaxed);
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
        say("ok");
    })
}

/// Further segments of stack, made and given back all the time.
fn grown() -> ExitCode {
    fn nest(levels: u64) -> u64 {
        gort::maybe_grow(usize::MAX, 64 * 1024, || {
            compute(20);
            if levels == 0 { 0 } else { levels + nest(levels - 1) }
        })
    }
    often_preempted(TIMES, |_| assert_eq!(nest(10), 55))
}

/// Inside an access to a thread-local: nobody else gets to run on that thread.
fn thread_local() -> ExitCode {
    thread_local! {
        static PAIR: RefCell<(u64, u64)> = const { RefCell::new((0, 0)) };
        static DEPTH: Cell<u32> = const { Cell::new(0) };
        static LAZY: RefCell<[u64; 4]> = RefCell::new(std::array::from_fn(|n| black_box(n as u64)));
    }
    often_preempted(TIMES, |n| {
        PAIR.with_borrow_mut(|pair| {
            assert_eq!(DEPTH.replace(1), 0, "somebody else is in the middle of this");
            pair.0 += 1;
            compute(50);
            pair.1 += 1;
            assert_eq!(pair.0, pair.1);
            DEPTH.set(0);
        });
        LAZY.with_borrow_mut(|numbers| {
            *numbers = [n as u64; 4];
            compute(20);
            assert_eq!(*numbers, [n as u64; 4]);
        });
    })
}

/// Computes for long when dropped.
struct Slow<'a>(&'a Cell<u32>);

impl Drop for Slow<'_> {
    fn drop(&mut self) {
        compute(300);
        self.0.set(self.0.get() + 1);
    }
}

/// Destructors that compute while a panic unwinds, some after a park.
fn unwinding() -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    often_preempted(TIMES, |n| {
        let dropped = Cell::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _first = Slow(&dropped);
            let _second = Slow(&dropped);
            std::panic::panic_any(n);
        }));
        assert_eq!(caught.expect_err("it panics").downcast_ref(), Some(&n));
        assert_eq!(dropped.get(), 2);
        assert!(!std::thread::panicking());
    })
}

fn catching() -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    often_preempted(TIMES, |n| {
        for round in 0..5 {
            let caught = catch_unwind(|| {
                compute(20);
                if round % 2 == 0 { std::panic::panic_any(n + round) } else { round }
            });
            match caught {
                Ok(value) => assert_eq!(value, round),
                Err(payload) => assert_eq!(payload.downcast_ref(), Some(&(n + round))),
            }
        }
    })
}

/// The error number of a call that failed is there after computing, whatever the runtime did meanwhile.
fn errno_stays() -> ExitCode {
    often_preempted(TIMES, |n| {
        // SAFETY: both fail: there is no such descriptor, and no such name.
        let error = unsafe {
            match n % 2 {
                0 => (libc::close(-1), libc::EBADF),
                _ => (libc::rmdir(c"/there/is/no/such/directory".as_ptr()), libc::ENOENT),
            }
        };
        assert_eq!(error.0, -1);
        compute(100);
        assert_eq!(errno(), error.1);
    })
}

/// A string instruction, which is interrupted in its middle.
fn string_copy() -> ExitCode {
    often_preempted(TIMES, |n| {
        let from = vec![n as u8 + 1; 1 << 20];
        let mut to = vec![0u8; 1 << 20];
        // SAFETY: both are a mebibyte long, and apart.
        unsafe {
            std::arch::asm!(
                "rep movsb",
                inout("rsi") from.as_ptr() => _, inout("rdi") to.as_mut_ptr() => _, inout("rcx") from.len() => _,
            );
        }
        assert!(from == to);
    })
}
