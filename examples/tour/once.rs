//! Idea: initialise exactly once, whoever comes first.
//!
//! Ten goroutines call `call_once`; one runs the function, and all the others wait until it has finished. That is Go's
//! `sync.Once`; for a value that is computed on first use there is `LazyLock`, Go's `sync.OnceValue`.

use gort::sync::{LazyLock, Once};

static CONFIG: LazyLock<String> = LazyLock::new(|| {
    println!("loading the configuration");
    "loaded".to_string()
});

pub(crate) fn run() {
    let once = Once::new();
    gort::scope(|s| {
        for _ in 0..10 {
            s.go(|| {
                once.call_once(|| println!("initialised"));
                assert_eq!(*CONFIG, "loaded");
            });
        }
    });
    println!("10 goroutines went on");
}
