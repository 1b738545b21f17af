//! Power series as networks of goroutines (test/chan/powser1.go, after McIlroy's "Squinting at power series").
//!
//! A series is a goroutine that gives one coefficient when asked for one:
//!
//! ```text
//!            asks                asks
//!   consumer ────► operation ────────► operand          every arrow is a channel without a buffer;
//!            ◄────           ◄────────                  dropping the asking end ends the goroutine behind it
//!          coefficient      coefficient
//! ```
//! Nothing is computed that nobody asked for, so series may be infinite and defined by themselves. A product of two
//! series makes new goroutines with each coefficient: some networks here have thousands.

use std::collections::VecDeque;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::sync::Arc;

use gort::channel::{Receiver, Sender};
use gort::sync::Mutex;

use crate::support::on_procs;

/// A fraction in lowest terms, its denominator positive.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ratio {
    over: i128,
    under: i128,
}

const ZERO: Ratio = int(0);
const ONE: Ratio = int(1);

const fn int(n: i128) -> Ratio {
    Ratio { over: n, under: 1 }
}

fn ratio(over: i128, under: i128) -> Ratio {
    fn gcd(a: i128, b: i128) -> i128 {
        if b == 0 { a.abs() } else { gcd(b, a % b) }
    }
    let common = gcd(over, under) * under.signum();
    Ratio { over: over / common, under: under / common }
}

impl Add for Ratio {
    type Output = Ratio;
    fn add(self, other: Ratio) -> Ratio {
        ratio(self.over * other.under + other.over * self.under, self.under * other.under)
    }
}

impl Mul for Ratio {
    type Output = Ratio;
    fn mul(self, other: Ratio) -> Ratio {
        ratio(self.over * other.over, self.under * other.under)
    }
}

impl Div for Ratio {
    type Output = Ratio;
    fn div(self, other: Ratio) -> Ratio {
        ratio(self.over * other.under, self.under * other.over)
    }
}

impl Neg for Ratio {
    type Output = Ratio;
    fn neg(self) -> Ratio {
        ratio(-self.over, self.under)
    }
}

impl Sub for Ratio {
    type Output = Ratio;
    fn sub(self, other: Ratio) -> Ratio {
        self + -other
    }
}

/// The consumer's end of a series.
struct Series {
    ask: Sender<()>,
    coefficients: Receiver<Ratio>,
}

/// The producer's end.
struct Demand {
    asked: Receiver<()>,
    answer: Sender<Ratio>,
}

impl Demand {
    /// Answers the next question. None: nobody asks any more.
    fn give(&self, coefficient: impl FnOnce() -> Ratio) -> Option<()> {
        self.asked.recv().ok()?;
        self.answer.send(coefficient()).ok()
    }

    /// Answers all further questions with what `series` has to say.
    fn give_all_of(&self, series: Series) -> Option<()> {
        loop {
            self.give(|| series.next())?;
        }
    }
}

/// Starts a goroutine that is a series.
fn series(produce: impl FnOnce(&Demand) -> Option<()> + Send + 'static) -> Series {
    let (ask, asked) = gort::chan(0);
    let (answer, coefficients) = gort::chan(0);
    gort::go!({
        let _ = produce(&Demand { asked, answer });
    });
    Series { ask, coefficients }
}

/// A series by its coefficients, one after the other.
fn listed(mut coefficient: impl FnMut(i128) -> Ratio + Send + 'static) -> Series {
    series(move |demand| {
        for n in 0.. {
            demand.give(|| coefficient(n))?;
        }
        None
    })
}

fn constant(c: Ratio) -> Series {
    listed(move |n| if n == 0 { c } else { ZERO })
}

impl Series {
    /// The next coefficient.
    fn next(&self) -> Ratio {
        self.ask.send(()).unwrap();
        self.coefficients.recv().unwrap()
    }

    fn first<const N: usize>(self) -> [Ratio; N] {
        std::array::from_fn(|_| self.next())
    }

    /// Two series that are this one. What one has asked for and the other has not lies in a queue between them.
    fn split(self) -> (Series, Series) {
        let source = Arc::new(Mutex::new((self, [VecDeque::new(), VecDeque::new()])));
        let half = |me: usize| {
            let source = Arc::clone(&source);
            listed(move |_| {
                // Held while the series is asked, which parks: the other half waits here.
                let mut locked = source.lock();
                let (series, queues) = &mut *locked;
                queues[me].pop_front().unwrap_or_else(|| {
                    let coefficient = series.next();
                    queues[1 - me].push_back(coefficient);
                    coefficient
                })
            })
        };
        (half(0), half(1))
    }

    fn scale(self, c: Ratio) -> Series {
        listed(move |_| c * self.next())
    }

    /// x times this.
    fn shift(self, first: Ratio) -> Series {
        series(move |demand| {
            demand.give(|| first)?;
            demand.give_all_of(self)
        })
    }

    fn plus(self, other: Series) -> Series {
        listed(move |_| self.next() + other.next())
    }

    /// (f0 + x F)(g0 + x G) = f0 g0 + x (f0 G + g0 F + x F G)
    fn times(self, other: Series) -> Series {
        series(move |demand| {
            demand.asked.recv().ok()?;
            let (f0, g0) = (self.next(), other.next());
            demand.answer.send(f0 * g0).ok()?;
            let ((f, f_again), (g, g_again)) = (self.split(), other.split());
            let rest = f_again.times(g_again).shift(ZERO);
            demand.give_all_of(g.scale(f0).plus(f.scale(g0)).plus(rest))
        })
    }

    /// 1 / (f0 + x F) = Z with Z = 1/f0 - x F Z / f0
    fn reciprocal(self) -> Series {
        series(move |demand| {
            demand.asked.recv().ok()?;
            let inverse = ONE / self.next();
            // The series itself, which its own definition asks: it is always one coefficient behind.
            let (back, fed_back) = gort::channel::unbounded();
            let _ = back.send(inverse);
            demand.answer.send(inverse).ok()?;
            let itself = listed(move |_| fed_back.recv().unwrap());
            let rest = self.times(itself).scale(-inverse);
            loop {
                demand.give(|| {
                    let z = rest.next();
                    let _ = back.send(z);
                    z
                })?;
            }
        })
    }

    fn integral(self, first: Ratio) -> Series {
        listed(move |n| if n == 0 { first } else { self.next() / int(n) })
    }

    fn derivative(self) -> Series {
        series(move |demand| {
            demand.asked.recv().ok()?;
            self.next();
            demand.answer.send(self.next()).ok()?;
            for n in 2.. {
                demand.give(|| int(n) * self.next())?;
            }
            None
        })
    }

    /// This of `inner`, whose constant term is 0: f0 + x G (F of g).
    fn of(self, inner: Series) -> Series {
        series(move |demand| {
            let (inner, again) = inner.split();
            demand.give(|| self.next())?;
            assert_eq!(again.next(), ZERO);
            demand.give_all_of(again.times(self.of(inner)))
        })
    }
}

fn geometric() -> Series {
    listed(|_| ONE)
}

/// exp as its own integral.
fn exponential() -> Series {
    let mut last = ONE;
    listed(move |n| {
        if n > 0 {
            last = last / int(n);
        }
        last
    })
}

#[gort::test(unsafe(migrate))]
fn sums_and_products() {
    on_procs(|_| {
        let sum = geometric().plus(listed(int));
        assert_eq!(sum.first(), [1, 2, 3, 4, 5, 6].map(int));
        // 1/(1-x)^2 counts.
        assert_eq!(geometric().times(geometric()).first(), [1, 2, 3, 4, 5, 6, 7, 8].map(int));
        let (one, other) = geometric().split();
        assert_eq!(one.times(other).first(), [1, 2, 3, 4, 5, 6, 7, 8].map(int));
        assert_eq!(constant(int(7)).times(exponential()).first(), [int(7), int(7), ratio(7, 2), ratio(7, 6)]);
    });
}

#[gort::test(unsafe(migrate))]
fn derivatives_and_integrals() {
    on_procs(|_| {
        assert_eq!(exponential().derivative().first::<9>(), exponential().first::<9>());
        assert_eq!(exponential().integral(ONE).first::<9>(), exponential().first::<9>());
        // The integral of 1/(1+x²) is the arc tangent.
        let square = listed(|n| int([1, 0, -1, 0][n as usize % 4]));
        let expected =
            [ZERO, ONE, ZERO, ratio(-1, 3), ZERO, ratio(1, 5), ZERO, ratio(-1, 7), ZERO, ratio(1, 9)];
        assert_eq!(square.integral(ZERO).first(), expected);
    });
}

#[gort::test(unsafe(migrate))]
fn reciprocals() {
    on_procs(|_| {
        assert_eq!(geometric().reciprocal().first(), [1, -1, 0, 0, 0, 0, 0].map(int));
        let minus_x = exponential().reciprocal();
        let expected = [ONE, int(-1), ratio(1, 2), ratio(-1, 6), ratio(1, 24), ratio(-1, 120), ratio(1, 720)];
        assert_eq!(minus_x.first(), expected);
        // exp(x) exp(-x) = 1
        assert_eq!(exponential().reciprocal().times(exponential()).first(), [1, 0, 0, 0, 0, 0].map(int));
    });
}

#[gort::test(unsafe(migrate))]
fn compositions() {
    on_procs(|_| {
        // 1/(1-x) of 2x: the powers of two.
        let double_x = constant(int(2)).shift(ZERO);
        assert_eq!(geometric().of(double_x).first(), [1, 2, 4, 8, 16, 32].map(int));
        // tan = the series whose derivative is 1 + tan², from sin / cos.
        let sine =
            listed(|n| if n % 2 == 0 { ZERO } else { ratio([1, -1][n as usize / 2 % 2], (1..=n).product()) });
        let cosine =
            listed(|n| if n % 2 == 1 { ZERO } else { ratio([1, -1][n as usize / 2 % 2], (1..=n).product()) });
        let tangent = sine.times(cosine.reciprocal());
        let expected = [ZERO, ONE, ZERO, ratio(1, 3), ZERO, ratio(2, 15), ZERO, ratio(17, 315)];
        assert_eq!(tangent.first(), expected);
        // exp of ln(1/(1-x)) = 1/(1-x)
        let logarithm = geometric().integral(ZERO);
        assert_eq!(exponential().of(logarithm).first(), [ONE; 7]);
    });
}
