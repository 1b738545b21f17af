//! Descriptors that threads wait for without the runtime. (It is never started in this process.)

mod pollfd_cases;

use std::io::ErrorKind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use gort_core::env::Moment;
use gort_core::pollfd::{Direction, PollError};
use pollfd_cases::End;

#[test]
fn ping_pong() {
    let (one, other) = End::pair();
    let echo = thread::spawn(move || {
        let mut buf = [0; 8];
        while other.read(&mut buf).expect("the other end writes or closes") != 0 {
            other.write_all(&buf).expect("there is room");
        }
    });
    let mut buf = [0; 8];
    for round in 0..1000u64 {
        one.write_all(&round.to_ne_bytes()).expect("there is room");
        assert_eq!(one.read(&mut buf).expect("it is echoed"), 8);
        assert_eq!(u64::from_ne_bytes(buf), round);
    }
    drop(one);
    echo.join().expect("no panic");
    assert!(!gort_core::rt::is_started());
}

#[test]
fn close_reaches_who_waits() {
    let (one, _other) = End::pair();
    let one = Arc::new(one);
    let readers = [(); 4].map(|()| {
        let one = one.clone();
        thread::spawn(move || one.read(&mut [0; 8]).map_err(|error| error.kind()))
    });
    thread::sleep(Duration::from_millis(5));
    one.fd.close();
    for reader in readers {
        assert_eq!(reader.join().expect("no panic"), Err(ErrorKind::NotConnected));
    }
    assert_eq!(one.fd.wait(Direction::Write), Err(PollError::Closed));
}

#[test]
fn deadlines_reach_who_waits() {
    let (one, other) = End::pair();
    let one = Arc::new(one);
    let deadline = Moment::after(Duration::from_millis(5));
    assert_eq!(one.fd.wait_until(Direction::Read, deadline), Err(PollError::TimedOut));
    assert!(Moment::now() >= deadline);
    let start = || {
        let one = one.clone();
        thread::spawn(move || one.read(&mut [0; 8]).map_err(|error| error.kind()))
    };
    let reader = start();
    thread::sleep(Duration::from_millis(5));
    one.fd.set_deadline(Direction::Read, Some(Moment::now()));
    assert_eq!(reader.join().expect("no panic"), Err(ErrorKind::TimedOut));
    let reader = clear_in_time(&one, start);
    thread::sleep(Duration::from_millis(100));
    assert!(!reader.is_finished(), "a cleared deadline ends nothing");
    other.write_all(b"x").expect("there is room");
    assert_eq!(reader.join().expect("no panic"), Ok(1));
}

/// A reader whose deadline, of 50 ms, is cleared before it is over. On a busy machine that takes more than one attempt.
fn clear_in_time<T>(end: &End, start: impl Fn() -> thread::JoinHandle<T>) -> thread::JoinHandle<T> {
    loop {
        let deadline = Moment::after(Duration::from_millis(50));
        end.fd.set_deadline(Direction::Read, Some(deadline));
        let reader = start();
        thread::sleep(Duration::from_millis(5));
        end.fd.set_deadline(Direction::Read, None);
        if Moment::now() < deadline {
            return reader;
        }
        // It may still wait, without a deadline now.
        end.fd.set_deadline(Direction::Read, Some(Moment::now()));
        drop(reader.join());
    }
}
