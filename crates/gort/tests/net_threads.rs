//! Plain OS threads, without the runtime and beside it: the same calls block the thread.

use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use gort::net::{Poll, TcpListener, TcpStream, UdpSocket, UnixStream};

mod net_cases;
use net_cases::{descriptors, listener, pair, pattern};

const MS: Duration = Duration::from_millis(1);

/// What must work anywhere.
fn everything() {
    let (listener, addr) = listener();
    thread::scope(|s| {
        let server = s.spawn(|| {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                s.spawn(move || {
                    let mut all = Vec::new();
                    stream.read_to_end(&mut all).unwrap();
                    stream.write_all(&all).unwrap();
                });
            }
        });
        let clients: Vec<_> = (0..8)
            .map(|number| {
                s.spawn(move || {
                    let sent = pattern(number, 300_000);
                    let mut stream = TcpStream::connect(("localhost", addr.port())).unwrap();
                    stream.write_all(&sent).unwrap();
                    stream.shutdown(std::net::Shutdown::Write).unwrap();
                    let mut got = Vec::new();
                    stream.read_to_end(&mut got).unwrap();
                    assert!(got == sent);
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        listener.close();
        server.join().unwrap();
    });
    time_limits();
    several_wait();
}

fn time_limits() {
    let (mut here, _there) = pair();
    let start = Instant::now();
    here.set_read_deadline(start + 20 * MS).unwrap();
    assert_eq!(here.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= 20 * MS);
    here.set_deadline(None).unwrap();
    here.set_read_timeout(Some(20 * MS)).unwrap();
    assert_eq!(here.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::TimedOut);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(5 * MS)).unwrap();
    assert_eq!(socket.recv(&mut [0; 1]).unwrap_err().kind(), ErrorKind::TimedOut);
    let (reader, _writer) = std::io::pipe().unwrap();
    assert_eq!(Poll::new(&reader).unwrap().readable_timeout(5 * MS).unwrap_err().kind(), ErrorKind::TimedOut);
    let nobody = net_cases::quiet::Nobody::new();
    let several = [nobody.addr, nobody.addr];
    assert_eq!(TcpStream::connect(&several[..]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

/// Bytes, a deadline or a close, for several threads that wait for one stream.
fn several_wait() {
    let (here, mut there) = UnixStream::pair().unwrap();
    thread::scope(|s| {
        let readers: Vec<_> = (0..6)
            .map(|_| {
                let mut here = &here;
                s.spawn(move || here.read(&mut [0; 1]).map_err(|error| error.kind()))
            })
            .collect();
        thread::sleep(5 * MS);
        there.write_all(b"ab").unwrap();
        while readers.iter().filter(|reader| reader.is_finished()).count() < 2 {
            thread::yield_now();
        }
        here.close();
        let mut results: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        results.sort();
        assert_eq!(results[..2], [Ok(1); 2]);
        assert_eq!(results[2..], [Err(ErrorKind::NotConnected); 4]);
    });
}

#[test]
fn without_a_runtime() {
    if descriptors::in_own_process("without_a_runtime") {
        everything();
    }
}

#[test]
fn beside_a_runtime() {
    if descriptors::in_own_process("beside_a_runtime") {
        run(|| gort::sleep(MS));
        everything();
        run(|| thread::spawn(everything).join().unwrap());
    }
}

/// A socket is older than the runtime, and a thread waits for it already.
#[test]
fn before_the_runtime() {
    if !descriptors::in_own_process("before_the_runtime") {
        return;
    }
    let (listener, addr) = listener();
    let (mut here, mut there) = pair();
    let (mut to_wake, waker) = pair();
    let clone = to_wake.try_clone().unwrap();
    thread::scope(|s| {
        let accepts = s.spawn(|| listener.accept().unwrap());
        let reads = s.spawn(move || to_wake.read(&mut [0; 1]).unwrap_err().kind());
        thread::sleep(20 * MS);
        run(move || {
            let reads = gort::go(move || here.read(&mut [0; 5]).unwrap());
            gort::sleep(5 * MS);
            there.write_all(b"x").unwrap();
            assert_eq!(reads.join().unwrap(), 1);
            drop(TcpStream::connect(addr).unwrap());
        });
        drop(accepts.join().unwrap());
        clone.close();
        assert_eq!(reads.join().unwrap(), ErrorKind::NotConnected);
    });
    drop(waker);
}

/// Goroutines and threads wait for the same stream.
#[test]
fn goroutines_and_threads_together() {
    const EACH: usize = 2000;
    let (here, there) = pair();
    let (here, there) = (&here, &there);
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(move || (0..EACH).for_each(|_| (&*here).write_all(b"t").unwrap()));
        }
        let from_threads = s.spawn(move || take(there, EACH));
        let clone = (here.try_clone().unwrap(), there.try_clone().unwrap());
        run(move || {
            let (mut writer, reader) = clone;
            let taken = gort::go(move || take(&reader, EACH));
            (0..EACH).for_each(|_| writer.write_all(b"g").unwrap());
            taken.join().unwrap();
        });
        from_threads.join().unwrap();
        take(there, EACH);
    });
}

fn take(mut stream: &TcpStream, count: usize) {
    for _ in 0..count {
        stream.read_exact(&mut [0; 1]).unwrap();
    }
}

fn run(f: impl FnOnce() + Send + 'static) {
    // SAFETY: nothing here keeps a reference to a thread-local, a thread-bound value or a std guard across a park.
    unsafe { gort::run(f) }
}

#[test]
fn a_listener_is_shared_with_threads() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let clone = listener.try_clone().unwrap();
    let thread = thread::spawn(move || clone.accept().map(|_| ()));
    run(move || {
        let goroutine = gort::go(move || listener.accept().map(|_| ()));
        let _clients = [TcpStream::connect(addr).unwrap(), TcpStream::connect(addr).unwrap()];
        goroutine.join().unwrap().unwrap();
        thread.join().unwrap().unwrap();
    });
}
