//! Closing: whoever waits is woken with an error that is not a timeout, and whoever comes later gets it too.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gort::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};

mod net_cases;
use net_cases::{Rng, listener, pair};

const MS: Duration = Duration::from_millis(1);

#[track_caller]
fn closed<T>(result: io::Result<T>) {
    let error = result.err().expect("an error");
    let text = error.to_string();
    assert_eq!((error.kind(), text.as_str()), (ErrorKind::NotConnected, "use of closed network connection"));
}

#[gort::test(unsafe(migrate), maxprocs = 4)]
fn close_wakes_readers_and_writers() {
    for _ in 0..20 {
        let (here, mut there) = pair();
        gort::scope(|s| {
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    let mut here = here.try_clone().unwrap();
                    s.go(move || here.read(&mut [0; 1]))
                })
                .collect();
            let writers: Vec<_> = (0..2)
                .map(|_| {
                    let mut here = &here;
                    s.go(move || here.write_all(&vec![0; 64 << 20]))
                })
                .collect();
            gort::sleep(5 * MS);
            here.close();
            for reader in readers {
                closed(reader.join().unwrap());
            }
            for writer in writers {
                closed(writer.join().unwrap());
            }
        });
        // The other side sees the end, though handles are left.
        let mut rest = Vec::new();
        there.read_to_end(&mut rest).unwrap();
    }
}

#[gort::test(unsafe(migrate))]
fn after_close_everything_fails() {
    let (here, _there) = pair();
    let mut clone = here.try_clone().unwrap();
    here.close();
    here.close();
    closed(clone.read(&mut [0; 1]));
    closed(clone.write(b"x"));
    closed(here.peek(&mut [0; 1]));
    closed(here.set_deadline(None));
    closed(here.set_deadline(Instant::now()));
    // An expired deadline does not hide it.
    let (mut here, _there) = pair();
    here.set_deadline(Instant::now()).unwrap();
    here.close();
    closed(here.read(&mut [0; 1]));
}

#[gort::test(unsafe(migrate), maxprocs = 4)]
fn close_wakes_who_accepts() {
    let (listener, _) = listener();
    gort::scope(|s| {
        let listener = &listener;
        let accepts: Vec<_> = (0..4).map(|_| s.go(|| listener.accept())).collect();
        let iterates = s.go(|| listener.incoming().count());
        gort::sleep(5 * MS);
        listener.close();
        for accept in accepts {
            closed(accept.join().unwrap());
        }
        assert_eq!(iterates.join().unwrap(), 0, "a loop over connections ends");
    });
    closed(listener.accept());
    assert!(listener.incoming().next().is_none());
}

#[gort::test(unsafe(migrate))]
fn a_closed_listener_is_gone_with_its_last_handle() {
    let is_gone = || {
        let (listener, addr) = listener();
        let clone = listener.try_clone().unwrap();
        listener.close();
        drop(listener);
        closed(clone.accept());
        drop(clone);
        TcpStream::connect(addr).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    // Somebody else may get the port at once, but hardly each time.
    assert!((0..5).any(|_| is_gone()));
}

#[gort::test(unsafe(migrate))]
fn close_wakes_who_waits_for_datagrams() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (unix, _peer) = UnixDatagram::pair().unwrap();
    gort::scope(|s| {
        let waits =
            [s.go(|| udp.recv_from(&mut [0; 1]).map(|_| ())), s.go(|| unix.recv(&mut [0; 1]).map(|_| ()))];
        gort::sleep(5 * MS);
        udp.close();
        unix.close();
        for wait in waits {
            closed(wait.join().unwrap());
        }
    });
    closed(udp.send_to(b"x", "127.0.0.1:9"));
    closed(unix.send(b"x"));
}

/// A call that is about to begin, is under way, or waits, when the close comes.
#[gort::test(unsafe(migrate), maxprocs = 4)]
fn close_races_with_calls() {
    let seed = net_cases::seed();
    let mut rng = Rng::new(seed);
    let (ends, errors) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for round in 0..300 {
        let (here, there) = UnixStream::pair().unwrap();
        let pauses: Vec<_> = (0..6).map(|_| rng.below(30)).collect();
        gort::scope(|s| {
            for pause in &pauses[1..] {
                let (here, there, ends, errors) = (&here, &there, &ends, &errors);
                s.go(move || {
                    for _ in 0..*pause {
                        gort::gosched();
                    }
                    let mut buf = [0; 3];
                    loop {
                        let (mut reader, mut writer) = (here, here);
                        let done = if pause % 2 == 0 { reader.read(&mut buf) } else { writer.write(b"abc") };
                        match done {
                            Ok(0) => drop(ends.fetch_add(1, Ordering::Relaxed)),
                            Ok(_) if pause % 3 == 0 => drop((&*there).write(b"x")),
                            Ok(_) => {}
                            Err(error) => {
                                assert_eq!(
                                    error.kind(),
                                    ErrorKind::NotConnected,
                                    "seed {seed}, round {round}: {error}"
                                );
                                errors.fetch_add(1, Ordering::Relaxed);
                                break;
                            }
                        }
                    }
                });
            }
            for _ in 0..pauses[0] {
                gort::gosched();
            }
            here.close();
        });
    }
    assert_eq!(ends.into_inner(), 0, "an end that nobody has sent, seed {seed}");
    assert_eq!(errors.into_inner(), 300 * 5);
}

#[gort::test(unsafe(migrate), maxprocs = 4)]
fn handles_are_dropped_while_others_connect() {
    let seed = net_cases::seed();
    let (listener, addr) = listener();
    gort::scope(|s| {
        let server = s.go(|| {
            let mut rng = Rng::new(seed);
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                match rng.below(3) {
                    0 => stream.close(),
                    1 => drop(stream.write_all(b"hello")),
                    _ => {}
                }
            }
        });
        let clients: Vec<_> = (0..8)
            .map(|_| {
                s.go(move || {
                    for _ in 0..40 {
                        let mut stream = TcpStream::connect(addr).unwrap();
                        let mut text = Vec::new();
                        // The end, with or without a greeting; never a wait for ever.
                        stream.read_to_end(&mut text).unwrap();
                        assert!(text.is_empty() || text == b"hello", "seed {seed}");
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        listener.close();
        server.join().unwrap();
    });
}
