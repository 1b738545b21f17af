//! The cases of `sync_cases` on plain OS threads, without a runtime.

mod sync_cases;

/// How this variant starts a task, waits, and lets others run.
mod env {
    use std::time::Duration;

    pub(crate) struct Task<T>(std::thread::JoinHandle<T>);

    pub(crate) fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Task<T> {
        Task(std::thread::spawn(f))
    }

    impl<T> Task<T> {
        pub(crate) fn join(self) -> std::thread::Result<T> {
            self.0.join()
        }

        pub(crate) fn is_finished(&self) -> bool {
            self.0.is_finished()
        }
    }

    pub(crate) fn sleep(d: Duration) {
        std::thread::sleep(d);
    }

    pub(crate) fn yield_now() {
        std::thread::yield_now();
    }
}

macro_rules! tests {
    ($($room:ident: $($case:ident)*;)*) => {
        $(mod $room { $(#[test] fn $case() { crate::sync_cases::$room::$case() })* })*
    };
}
sync_cases::all!(tests);
