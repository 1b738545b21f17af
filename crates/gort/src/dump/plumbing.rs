//! Which frames of a stack tell a reader something.
//!
//! Owns: the names of the frames that the runtime itself puts at both ends of a goroutine's stack.
//! Does not know: addresses, goroutines, text layout.
//!
//! ```text
//!   gort_core::park::park               ┐
//!   gort::waitq::..                     │ hidden: how the waiting is done
//!   gort::channel::Inner<T>::recv_slow  ┘
//!   gort::channel::Receiver<T>::recv      the innermost frame shown: what the user called
//!   app::worker
//!   app::main::{{closure}}                the goroutine's own closure: the outermost frame shown
//!   gort::go::go::{{closure}}           ┐
//!   std::panicking::catch_unwind::..    │ hidden: how a goroutine is started
//!   corosensei::..                      ┘
//! ```
//!
//! A stack that would be left without any frame is shown whole: frames too many are better than none.

use std::ops::Range;

/// The crates between a user's code and the machine: those whose frames at the inner end belong to the call that the
/// user made.
const BELOW_USERS: &[&str] = &["gort", "gort_core", "corosensei", "lock_api", "core", "std", "alloc"];

/// Starts of the paths of functions that start goroutines and threads.
const STARTERS: &[&str] = &[
    "gort_core::",
    "gort::__rt",
    "gort::go::",
    "gort::rt::",
    "gort::run::",
    "gort::scope::",
    "corosensei::",
    "stack_init_trampoline",
    "core::ops::function::",
    "core::panic::unwind_safe::",
    "alloc::boxed::Box<",
    "std::panic::",
    "std::panicking::",
    "std::rt::",
    "std::sys::",
    "std::thread::",
    "std::sys_common::",
    "test::",
    "__rust_try",
    "__libc_start",
    "_start",
    "start_thread",
    "clone",
    "__clone",
];

/// Which of the calls of a goroutine's stack (by name, innermost first) are shown.
pub(crate) fn shown<'a>(names: impl ExactSizeIterator<Item = Option<&'a str>>) -> Range<usize> {
    let names: Vec<Option<&str>> = names.collect();
    let end = names.len() - names.iter().rev().take_while(|name| name.is_some_and(starts_goroutines)).count();
    let start = first_shown(&names[..end]);
    if start < end { start..end } else { 0..names.len() }
}

/// Whether a call is the program's own: neither between it and the machine, nor at the start of its goroutine.
pub(crate) fn is_users(name: Option<&str>) -> bool {
    name.is_none_or(|name| !is_below_users(name) && !starts_goroutines(name))
}

/// Whether a call has borrowed a thread-local for as long as it lasts.
pub(crate) fn borrows_thread_local(name: &str) -> bool {
    path_of(name).starts_with("std::thread::local::LocalKey")
        || path_of(name).starts_with("std::sys::thread_local::")
}

/// Whether this is the function that a goroutine's closure is called by, and in optimised builds mostly inlined into.
pub(crate) fn calls_the_closure(name: &str) -> bool {
    path_of(name).starts_with("gort_core::g::start::start")
}

/// Whether a function is gort's own.
pub(crate) fn is_gorts(name: &str) -> bool {
    matches!(crate_of(name), "gort" | "gort_core") && !name.contains("::tests::")
}

/// Whether a thread-local is std's or gort's own. They use them in passing.
pub(crate) fn is_used_in_passing(thread_local: &str) -> bool {
    is_below_users(thread_local)
}

fn first_shown(names: &[Option<&str>]) -> usize {
    let below = names.iter().take_while(|name| name.is_some_and(is_below_users)).count();
    let last_of =
        |krate| names[..below].iter().rposition(|name| name.is_some_and(|name| crate_of(name) == krate));
    if below == names.len() {
        // No user code at all: one of gort's own goroutines. Only the park is hidden.
        return names.iter().take_while(|name| name.is_some_and(is_park)).count();
    }
    match (last_of("gort"), last_of("gort_core")) {
        (Some(entry), _) => entry,
        (None, Some(core)) => core + 1,
        (None, None) => 0,
    }
}

fn is_below_users(name: &str) -> bool {
    // The project's own tests are users too.
    BELOW_USERS.contains(&crate_of(name)) && !name.contains("::tests::")
}

fn is_park(name: &str) -> bool {
    matches!(crate_of(name), "gort_core" | "corosensei" | "core" | "std")
        || path_of(name).starts_with("gort::waitq::")
}

fn starts_goroutines(name: &str) -> bool {
    let path = path_of(name);
    !name.contains("::tests::")
        && (matches!(path, "main" | "gort::run") || STARTERS.iter().any(|start| path.starts_with(start)))
}

/// The name of the crate that a function's path starts with: `gort` for `<gort::channel::Iter<T> as ..>::next`.
fn crate_of(name: &str) -> &str {
    let path = path_of(name);
    let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(path.len());
    &path[..end]
}

/// A function's path without what stands before it when it is a method: `<`, `&`, `*mut`, `dyn` and their like. For a
/// method of a trait on a type parameter, such as `<F as core::ops::FnOnce>::call_once`, it is the trait's path.
fn path_of(name: &str) -> &str {
    let mut path = name;
    loop {
        let shorter = path.trim_start_matches(['<', '&', '(', ' ', '[']);
        let shorter = ["*mut ", "*const ", "mut ", "dyn ", "impl "]
            .iter()
            .find_map(|prefix| shorter.strip_prefix(prefix))
            .unwrap_or(shorter);
        if shorter.len() == path.len() {
            break;
        }
        path = shorter;
    }
    match path.split_once(" as ") {
        Some((parameter, of_trait)) if parameter.len() <= 2 => of_trait,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_of(names: &[&'static str]) -> Vec<&'static str> {
        names[shown(names.iter().map(|name| Some(*name)))].to_vec()
    }

    #[test]
    fn shows_from_the_users_call_to_the_goroutines_closure() {
        let stack = [
            "gort_core::park::park",
            "gort::waitq::wait",
            "gort::channel::Inner<T>::recv_slow",
            "core::option::Option<T>::map",
            "gort::channel::Receiver<T>::recv",
            "app::worker",
            "<app::Job as app::Run>::run",
            "app::main::{{closure}}",
            "gort::go::go::{{closure}}",
            "<core::panic::unwind_safe::AssertUnwindSafe<F> as core::ops::function::FnOnce<()>>::call_once",
            "std::panicking::catch_unwind::do_call",
            "__rust_try",
            "corosensei::coroutine::Coroutine<Input,Yield,Return,Stack>::with_stack::coroutine_func",
            "stack_init_trampoline",
        ];
        assert_eq!(shown_of(&stack), stack[4..8]);
    }

    #[test]
    fn keeps_library_code_between_the_call_and_the_user() {
        let iter = [
            "gort_core::park::park",
            "<gort::channel::Iter<T> as core::iter::traits::iterator::Iterator>::next",
            "core::iter::traits::iterator::Iterator::map",
            "app::main",
        ];
        assert_eq!(shown_of(&iter), iter[1..]);
        let lock = [
            "gort_core::park::park",
            "<gort::sync::RawMutex as lock_api::mutex::RawMutex>::lock",
            "lock_api::mutex::Mutex<R,T>::lock",
            "app::main",
        ];
        assert_eq!(shown_of(&lock), lock[1..]);
    }

    #[test]
    fn user_code_inside_gort_is_the_inner_end() {
        let once = ["app::init", "gort::sync::once::Once::call_once", "app::main"];
        assert_eq!(shown_of(&once), once);
        let own_park = ["gort_core::park::park", "app::MyLock::lock", "app::main"];
        assert_eq!(shown_of(&own_park), own_park[1..]);
    }

    #[test]
    fn gorts_own_goroutines_show_what_they_do() {
        let timer =
            ["gort_core::park::park", "gort::waitq::wait", "gort::time::serve", "gort::go::go::{{closure}}"];
        assert_eq!(shown_of(&timer), timer[2..3]);
        let test = ["gort_core::park::park", "gort::sync::tests::fair::{{closure}}", "gort_core::g::entry"];
        assert_eq!(shown_of(&test), test[1..2]);
    }

    #[test]
    fn never_shows_nothing() {
        for stack in [&["gort_core::park::park", "corosensei::run"][..], &["gort_core::park::park"], &[]] {
            assert_eq!(shown_of(stack), stack);
        }
        assert_eq!(shown([None, None].into_iter()), 0..2);
    }

    #[test]
    fn understands_both_manglings() {
        for (name, krate) in [
            ("gort::channel::Receiver<T>::recv", "gort"),
            ("<gort::channel::Receiver<i32>>::recv", "gort"),
            ("<&mut gort::channel::Receiver<i32>>::recv", "gort"),
            ("<F as core::ops::function::FnOnce<A>>::call_once", "core"),
            ("<app::F as core::ops::function::FnOnce<A>>::call_once", "app"),
            ("<dyn app::Run>::go", "app"),
            ("gortex::run", "gortex"),
            ("main", "main"),
        ] {
            assert_eq!(crate_of(name), krate, "{name}");
        }
    }
}
