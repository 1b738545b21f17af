//! What Go's own tests of its runtime check, checked of gort: on goroutines, with 1, 2 and 4 processors.
//!
//! Every test is written anew after the behaviour its model in Go's tree checks; the comment above it names the model.
//! What has no meaning here is left out: tests of the garbage collector, of moving stacks, of the compiler.
//!
//! ```text
//!   chan           runtime/chan_test.go, what is said of one channel
//!   select         runtime/chan_test.go, what is said of select
//!   dynamic        reflect/all_test.go: select over lists of cases
//!   programs       test/chan: small programs that use channels as Go's authors do
//!   powser         test/chan/powser1.go: power series as networks of goroutines
//!   goroutines     runtime/crash_test.go, stack_test.go: how goroutines begin and end
//!   proc           runtime/proc_test.go: processors, queues, fairness
//!   threads        runtime/proc_test.go: goroutines tied to their thread
//!   locks          sync: Mutex, RWMutex, handing over of semaphores
//!   cond           sync: Cond
//!   groups         sync: WaitGroup, Once, Pool, Map
//!   clock          time: Sleep, AfterFunc
//!   timers         time: Timer and Ticker
//!   support        what they share
//! ```
//!
//! The number of processors is a setting of the process, so the tests of this program run one at a time, whatever
//! `--test-threads` says.

mod chan;
mod clock;
mod cond;
mod dynamic;
mod goroutines;
mod groups;
mod locks;
mod powser;
mod proc;
mod programs;
mod select;
mod support;
mod threads;
mod timers;
