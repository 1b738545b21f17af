//! Wrong use, which panics with words that say what is wrong; main passes the panic on.

use std::process::ExitCode;
use std::time::Duration;

use super::{argument, enter, ignore};

pub(crate) const ALL: &[super::Ending] = &[("misuse", misuse), ("outside", outside)];

fn misuse() -> ExitCode {
    let what = argument();
    enter(move || match what.as_str() {
        "capacity" => drop(gort::chan::<u64>(usize::MAX)),
        "capacity-in-bytes" => drop(gort::chan::<[u8; 4096]>(usize::MAX / 4096)),
        "tick" => drop(gort::time::Ticker::new(Duration::ZERO)),
        "tick-reset" => gort::time::Ticker::new(Duration::from_secs(1)).reset(Duration::ZERO),
        "wait-group" => gort::sync::WaitGroup::new().done(),
        "double-close" => {
            let (tx, _rx) = gort::chan::<u8>(1);
            tx.close();
            tx.close();
        }
        "nil-close" => gort::channel::Sender::<u8>::nil().close(),
        "grow-size" => gort::maybe_grow(usize::MAX, 1, || ()),
        other => panic!("no misuse is called {other}"),
    })
}

/// Without a runtime.
fn outside() -> ExitCode {
    match argument().as_str() {
        "go" => drop(gort::go(|| ())),
        "statement" => gort::go!(()),
        "builder" => {
            let error = gort::Builder::new().go(|| ()).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
            panic!("{error}")
        }
        "scope" => gort::scope(|_| ()),
        "goexit" => gort::goexit(),
        "gomaxprocs" => ignore(gort::runtime::gomaxprocs(0)),
        "set-max-threads" => ignore(gort::runtime::set_max_threads(5)),
        "wait-group-go" => gort::sync::WaitGroup::new().go(|| ()),
        "maybe-grow" => gort::maybe_grow(usize::MAX, 1 << 20, || ()),
        other => panic!("nothing is called {other}"),
    }
    ExitCode::SUCCESS
}
