//! Deadlines and timeouts: past, future, moved and taken away, for those who wait and those who come later.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gort::net::{TcpStream, UdpSocket, UnixStream};

mod net_cases;
use net_cases::{Rng, listener, pair};

const MS: Duration = Duration::from_millis(1);
/// Longer than any test may take, and never waited for.
const LONG: Duration = Duration::from_secs(600);

fn in_the_past() -> Instant {
    Instant::now().checked_sub(MS).expect("the clock is old enough")
}

#[track_caller]
fn timed_out<T>(result: io::Result<T>) {
    let error = result.err().expect("a timeout");
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::TimedOut, "i/o timeout"));
}

#[gort::test(unsafe(migrate))]
fn a_deadline_in_the_past_fails_everything() {
    let (mut here, mut there) = pair();
    there.write_all(b"data").unwrap();
    while here.peek(&mut [0; 4]).unwrap() < 4 {}
    here.set_deadline(in_the_past()).unwrap();
    timed_out(here.read(&mut [0; 4])); // though there is data
    timed_out(here.peek(&mut [0; 4]));
    timed_out(here.write(b"x")); // though there is room
    here.set_read_deadline(None).unwrap();
    assert_eq!(here.read(&mut [0; 4]).unwrap(), 4);
    timed_out(here.write(b"x"));
    here.set_write_deadline(Instant::now() + LONG).unwrap();
    assert_eq!(here.write(b"x").unwrap(), 1);
    here.set_deadline(None).unwrap();
    assert_eq!(there.read(&mut [0; 4]).unwrap(), 1);
}

#[gort::test(unsafe(migrate))]
fn a_deadline_in_the_future_comes_in_time() {
    let (mut here, _there) = pair();
    for ms in [1, 3, 10, 40, 100] {
        let start = Instant::now();
        here.set_read_deadline(start + ms * MS).unwrap();
        timed_out(here.read(&mut [0; 1]));
        assert!(start.elapsed() >= ms * MS, "early: {:?} of {ms} ms", start.elapsed());
        timed_out(here.read(&mut [0; 1]));
        assert!(start.elapsed() < ms * MS + Duration::from_secs(9));
    }
}

#[gort::test(unsafe(migrate))]
fn without_a_deadline_the_next_call_waits() {
    let (mut here, mut there) = pair();
    here.set_deadline(in_the_past()).unwrap();
    timed_out(here.read(&mut [0; 1]));
    here.set_deadline(None).unwrap();
    let done = AtomicBool::new(false);
    gort::scope(|s| {
        let done = &done;
        let reader = s.go(move || {
            here.read_exact(&mut [0; 1]).unwrap();
            done.store(true, Ordering::Relaxed);
        });
        gort::sleep(30 * MS);
        assert!(!done.load(Ordering::Relaxed), "it must not return");
        there.write_all(b"x").unwrap();
        reader.join().unwrap();
    });
}

#[gort::test(unsafe(migrate), maxprocs = 4)]
fn a_deadline_reaches_those_who_wait() {
    let (here, _there) = pair();
    gort::scope(|s| {
        let readers: Vec<_> = (0..5)
            .map(|_| {
                let mut here = &here;
                s.go(move || here.read(&mut [0; 1]))
            })
            .collect();
        gort::sleep(5 * MS);
        here.set_read_deadline(in_the_past()).unwrap();
        for reader in readers {
            timed_out(reader.join().unwrap());
        }
    });
}

#[gort::test(unsafe(migrate))]
fn a_moved_deadline_counts() {
    let (here, _there) = pair();
    gort::scope(|s| {
        let mut reader = &here;
        // Later. (On a busy machine it may be too late for that.)
        loop {
            let start = Instant::now();
            here.set_read_deadline(start + 30 * MS).unwrap();
            let waits = s.go(move || reader.read(&mut [0; 1]));
            gort::sleep(2 * MS);
            here.set_read_deadline(start + 90 * MS).unwrap();
            let in_time = start.elapsed() < 30 * MS;
            timed_out(waits.join().unwrap());
            if in_time {
                break assert!(start.elapsed() >= 90 * MS);
            }
        }
        // Earlier.
        here.set_read_deadline(Instant::now() + LONG).unwrap();
        let waits = s.go(move || reader.read(&mut [0; 1]));
        gort::sleep(2 * MS);
        here.set_read_deadline(Instant::now() + 5 * MS).unwrap();
        timed_out(waits.join().unwrap());
    });
}

#[gort::test(unsafe(migrate))]
fn a_write_that_finds_no_room_times_out() {
    let (mut here, mut there) = pair();
    let block = vec![0; 1 << 20];
    here.set_write_deadline(Instant::now() + 50 * MS).unwrap();
    let mut written = 0;
    let error = loop {
        match here.write(&block) {
            Ok(size) => written += size,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    // The same by call; and it does not count when there is room.
    here.set_write_deadline(None).unwrap();
    here.set_write_timeout(Some(20 * MS)).unwrap();
    timed_out(here.write_all(&vec![0; 64 << 20]));
    // What has been written is there.
    let mut got = vec![0; written];
    there.read_exact(&mut got).unwrap();
}

#[gort::test(unsafe(migrate))]
fn accept_has_a_deadline_too() {
    let (listener, addr) = listener();
    listener.set_deadline(Instant::now() + 10 * MS).unwrap();
    timed_out(listener.accept());
    let client = TcpStream::connect(addr).unwrap();
    timed_out(listener.accept()); // though somebody is there
    timed_out(listener.incoming().next().expect("it is not closed"));
    listener.set_deadline(None).unwrap();
    drop(listener.accept().unwrap());
    drop(client);
    gort::scope(|s| {
        let listener = &listener;
        let waits: Vec<_> = (0..3).map(|_| s.go(|| listener.accept())).collect();
        gort::sleep(5 * MS);
        listener.set_deadline(in_the_past()).unwrap();
        for accept in waits {
            timed_out(accept.join().unwrap());
        }
    });
}

#[gort::test(unsafe(migrate))]
fn a_timeout_is_for_each_call() {
    let (mut here, mut there) = pair();
    here.set_read_timeout(Some(20 * MS)).unwrap();
    assert_eq!(here.read_timeout().unwrap(), Some(20 * MS));
    for _ in 0..3 {
        let start = Instant::now();
        timed_out(here.read(&mut [0; 1]));
        assert!(start.elapsed() >= 20 * MS);
    }
    there.write_all(b"x").unwrap();
    here.read_exact(&mut [0; 1]).unwrap();
    here.set_read_timeout(None).unwrap();
    assert_eq!(here.read_timeout().unwrap(), None);
    // The earlier of the two counts.
    here.set_read_timeout(Some(LONG)).unwrap();
    here.set_read_deadline(Instant::now() + 5 * MS).unwrap();
    timed_out(here.read(&mut [0; 1]));
    here.set_read_deadline(Instant::now() + LONG).unwrap();
    here.set_read_timeout(Some(5 * MS)).unwrap();
    timed_out(here.read(&mut [0; 1]));
}

#[gort::test(unsafe(migrate), maxprocs = 4)]
fn a_timeout_counts_behind_other_readers() {
    let (here, _there) = pair();
    gort::scope(|s| {
        let mut reader = here.try_clone().unwrap();
        let for_long =
            gort::Builder::new().name("reads for long").go(move || reader.read(&mut [0; 1])).unwrap();
        net_cases::until_it_waits("reads for long");
        here.set_read_timeout(Some(20 * MS)).unwrap();
        let start = Instant::now();
        let briefly: Vec<_> = (0..4)
            .map(|_| {
                let mut reader = &here;
                s.go(move || reader.read(&mut [0; 1]))
            })
            .collect();
        for reader in briefly {
            timed_out(reader.join().unwrap());
        }
        assert!(start.elapsed() >= 20 * MS && !for_long.is_finished(), "it began without a timeout");
        here.close();
        assert_ne!(for_long.join().unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[gort::test(unsafe(migrate))]
fn deadlines_of_many_sockets_at_once() {
    gort::scope(|s| {
        for n in 0..100u32 {
            s.go(move || {
                let (here, _there) = UnixStream::pair().unwrap();
                for round in 0..5 {
                    let start = Instant::now();
                    let wait = (n * 7 + round * 13) % 40 * MS;
                    here.set_deadline(start + wait).unwrap();
                    timed_out((&here).read(&mut [0; 1]));
                    assert!(start.elapsed() >= wait);
                }
            });
        }
    });
}

#[gort::test(unsafe(migrate))]
fn datagrams_time_out() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(5 * MS)).unwrap();
    timed_out(socket.recv_from(&mut [0; 1]));
    socket.set_read_timeout(None).unwrap();
    socket.set_deadline(in_the_past()).unwrap();
    timed_out(socket.recv_from(&mut [0; 1]));
    timed_out(socket.peek_from(&mut [0; 1]));
    timed_out(socket.send_to(b"x", socket.local_addr().unwrap()));
    socket.set_deadline(None).unwrap();
    socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
    assert_eq!(socket.recv(&mut [0; 10]).unwrap(), 1);
}

/// Deadlines are moved at random while bytes flow: a reader either gets bytes or a timeout, and nothing is lost.
#[gort::test(unsafe(migrate), maxprocs = 4)]
fn deadlines_move_while_bytes_flow() {
    let seed = net_cases::seed();
    gort::scope(|s| {
        for stream in 0..4u64 {
            s.go(move || {
                let mut rng = Rng::new(seed ^ stream);
                let (here, there) = pair();
                let over = AtomicBool::new(false);
                gort::scope(|s| {
                    let (over, reader, mut writer) = (&over, &here, &there);
                    s.go(move || {
                        while !over.load(Ordering::Relaxed) {
                            let us = Duration::from_micros(rng.below(300));
                            let at = match rng.below(4) {
                                0 => None,
                                1 => Instant::now().checked_sub(us),
                                _ => Some(Instant::now() + us),
                            };
                            reader.set_read_deadline(at).unwrap();
                            if rng.below(2) == 0 { gort::gosched() } else { gort::sleep(us) }
                        }
                    });
                    s.go(move || {
                        for number in 0..2000u32 {
                            writer.write_all(&number.to_le_bytes()).unwrap();
                        }
                    });
                    let mut all = Vec::new();
                    let mut buf = [0; 50];
                    while all.len() < 8000 {
                        match (&here).read(&mut buf) {
                            Ok(size) => all.extend_from_slice(&buf[..size]),
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::TimedOut, "seed {seed}");
                                gort::gosched();
                            }
                        }
                    }
                    over.store(true, Ordering::Relaxed);
                    let numbers = all.chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap()));
                    assert!(numbers.eq(0..2000), "seed {seed}");
                });
            });
        }
    });
}
