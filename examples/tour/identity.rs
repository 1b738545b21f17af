//! Idea: goroutines have numbers, for people who debug; programs should not need them.
//!
//! Go hides the number of a goroutine on purpose and has no goroutine-local storage. Rust's ecosystem expects both to
//! exist for threads, so gort has `runtime::goroutine_id` and `local!`; a name can be given too, which dumps show.
//! Still, pass values as arguments: a goroutine that needs to know who it is can seldom be tested alone.

use gort::runtime;

pub(crate) fn run() {
    let here = runtime::goroutine_id().expect("the tour runs on goroutines");
    let named = gort::Builder::new().name("reader").go(runtime::goroutine_id).unwrap();

    println!("the handle knows the name: {}", named.name().unwrap_or("none"));
    let by_handle = named.id();
    let by_itself = named.join().unwrap();
    println!("the handle and the goroutine agree: {}", by_itself == Some(by_handle));
    println!("two goroutines, two numbers: {}", by_handle != here);
    let on_a_thread = std::thread::spawn(runtime::goroutine_id).join().unwrap();
    println!("a plain thread has none: {}", on_a_thread.is_none());
}
