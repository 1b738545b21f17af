//! The cases of `sync_cases` with every second task on a goroutine and the others on OS threads of their own.

mod sync_cases;

/// How this variant starts a task, waits, and lets others run.
mod env {
    use std::sync::atomic::{AtomicUsize, Ordering};

    pub(crate) use gort::{gosched as yield_now, sleep};

    pub(crate) enum Task<T> {
        Goroutine(gort::JoinHandle<T>),
        Thread(std::thread::JoinHandle<T>),
    }

    pub(crate) fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Task<T> {
        static TURN: AtomicUsize = AtomicUsize::new(0);
        match TURN.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Task::Goroutine(gort::go(f)),
            _ => Task::Thread(std::thread::spawn(f)),
        }
    }

    impl<T> Task<T> {
        pub(crate) fn join(self) -> std::thread::Result<T> {
            match self {
                Task::Goroutine(handle) => handle.join(),
                Task::Thread(handle) => gort::blocking(|| handle.join()),
            }
        }

        pub(crate) fn is_finished(&self) -> bool {
            match self {
                Task::Goroutine(handle) => handle.is_finished(),
                Task::Thread(handle) => handle.is_finished(),
            }
        }
    }
}

macro_rules! tests {
    ($($room:ident: $($case:ident)*;)*) => {
        $(mod $room {
            $(#[gort::test(unsafe(migrate))] fn $case() { crate::sync_cases::$room::$case() })*
        })*
    };
}
sync_cases::all!(tests);
