//! The attributes of gort: [`main`](macro@main) and [`test`](macro@test). Tokens to tokens, nothing else.
//!
//! ```text
//!   #[gort::main(unsafe(migrate), maxprocs = 4)]        what the user writes
//!   fn main() -> Result<(), Error> { body }
//!
//!   fn main() -> ::std::process::ExitCode {             what the compiler sees
//!       fn main() -> Result<(), Error> { body }         the user's own tokens, spans untouched
//!       let options = ::gort::__rt::Options::new().maxprocs(4);
//!       unsafe { ::gort::__rt::enter_main(options, main) }
//!   }
//! ```
//!
//! What holds of every expansion:
//! 1. The `unsafe` of the expansion *is* the token the user wrote in `unsafe(migrate)`, with its span: lints and
//!    `#![forbid(unsafe_code)]` see it where it was written. There is no expansion without it.
//! 2. Only paths of gort's hidden `__rt` and absolute paths of std are named, so nothing in scope can change the
//!    meaning, and the crate may go by another name (`crate = path`).
//! 3. No expression of the user's ends up inside the `unsafe` block.
//! 4. The body is not parsed, only passed on: its errors are rustc's own, at the user's spans.
//! 5. A function that returns nothing keeps that signature (`#[should_panic]` insists on it); any other return type
//!    becomes an `ExitCode`, made by `Termination::report` on the goroutine, so that it need not be `Send`.
//!
//! This crate knows nothing of the runtime; its words are re-exported by the `gort` crate.

mod expand;
mod function;
mod options;

use proc_macro::TokenStream;

/// Runs `fn main` as the main goroutine.
///
/// When it returns, the process ends, whatever other goroutines still do, as in Go. It may return what std's `main`
/// may: nothing, a `Result<(), E: Debug>` (whose `E` need not be `Send`), an `ExitCode`, or anything else that is
/// [`Termination`](std::process::Termination). A panic of the body is passed on to the process's main thread.
///
/// # The promise
/// Goroutines move from one OS thread to another while they are parked. `unsafe(migrate)` is the one promise a
/// program makes in return: no code that runs on goroutines keeps a reference to a thread-local, a value bound to its
/// thread, or an owner-checked guard of std across a call that may park. Without these words the attribute does not
/// compile, and `#![forbid(unsafe_code)]` refuses them as it refuses any other `unsafe`.
///
/// # Options
/// - `maxprocs = n`: at most `n` OS threads run goroutines at the same time (default: `GOMAXPROCS`, else the CPUs
///   this process may use). An expression of type `usize`, at least 1.
/// - `main_stack = bytes`: the size of this goroutine's stack.
/// - `crate = path`: where to find gort if not at `::gort`.
///
/// # Example
/// ```
/// #[gort::main(unsafe(migrate), maxprocs = 2)]
/// fn main() -> Result<(), std::num::ParseIntError> {
///     let answer = gort::go(|| "42".parse::<u32>()).join().unwrap()?;
///     assert_eq!(answer, 42);
///     Ok(())
/// }
/// ```
/// In Go this is `func main()` itself.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(expand::Entry::Main, args.into(), item.into()).into()
}

/// A `#[test]` whose body runs as a goroutine.
///
/// Takes the same promise and the same options as [`main`](macro@main), and goes together with `#[should_panic]`,
/// `#[ignore]` and the like. The test may return nothing or anything that is
/// [`Termination`](std::process::Termination), such as a `Result<(), E: Debug>`. It passes when its body returns,
/// whatever other goroutines still do, and a panic of the body fails it.
///
/// # Example
/// ```
/// #[gort::test(unsafe(migrate))]
/// fn a_value_goes_through() {
///     let (tx, rx) = gort::chan(0);
///     gort::go(move || tx.send(1));
///     assert_eq!(rx.recv(), Ok(1));
/// }
/// ```
/// In Go this is a `func TestXxx(t *testing.T)`.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(expand::Entry::Test, args.into(), item.into()).into()
}
