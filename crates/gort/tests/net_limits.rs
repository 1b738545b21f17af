//! A server that has run out of descriptors. Each test lowers the limit in a process of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use gort::net::{TcpListener, TcpStream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

mod net_cases;
use net_cases::{descriptors, listener, pair};

const MS: Duration = Duration::from_millis(1);
const CLIENTS: usize = 10;

fn run(f: impl FnOnce() + Send + 'static) {
    // SAFETY: nothing here keeps a reference to a thread-local, a thread-bound value or a std guard across a park.
    unsafe { gort::run(f) }
}

/// A listener with clients in its queue, and everything that was left of descriptors.
fn out_of_descriptors() -> (TcpListener, Vec<TcpStream>, Vec<File>) {
    drop(pair()); // opens what the runtime needs
    let (listener, addr) = listener();
    let clients: Vec<_> = (0..CLIENTS).map(|_| TcpStream::connect(addr).unwrap()).collect();
    let limit = getrlimit(Resource::Nofile);
    let few = descriptors::open() as u64 + 20;
    setrlimit(Resource::Nofile, Rlimit { current: Some(few), ..limit }).unwrap();
    let mut rest = vec![];
    // The monitor may have a file open, to see whether a thread sleeps. When it has closed that, it opens no other one.
    for _ in 0..50 {
        rest.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
        gort::sleep(20 * MS);
    }
    assert!(!rest.is_empty());
    (listener, clients, rest)
}

fn processor_time() -> Duration {
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(usage.tv_sec.unsigned_abs(), usage.tv_nsec.unsigned_abs() as u32)
}

#[test]
fn accept_tells_and_incoming_pauses() {
    if !descriptors::in_own_process("accept_tells_and_incoming_pauses") {
        return;
    }
    run(|| {
        let (listener, clients, rest) = out_of_descriptors();
        for _ in 0..3 {
            assert_eq!(listener.accept().unwrap_err().raw_os_error(), Some(libc::EMFILE));
        }
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        assert_eq!(connecting.unwrap_err().raw_os_error(), Some(libc::EMFILE));
        gort::scope(|s| {
            let server = s.go(|| {
                let greet = |mut stream: TcpStream| stream.write_all(b"hello").unwrap();
                listener.incoming().take(CLIENTS).for_each(|stream| greet(stream.unwrap()));
            });
            // It neither gives up nor spins.
            let (start, used) = (Instant::now(), processor_time());
            while start.elapsed() < 400 * MS {
                gort::sleep(50 * MS);
            }
            let (lasted, used) = (start.elapsed(), processor_time() - used);
            assert!(used < lasted / 2, "{used:?} of {lasted:?}");
            assert!(!server.is_finished());
            drop(rest);
            for mut client in clients {
                let mut text = String::new();
                client.read_to_string(&mut text).unwrap();
                assert_eq!(text, "hello");
            }
            server.join().unwrap();
        });
    });
}

#[test]
fn a_pause_ends_when_the_listener_is_closed() {
    if !descriptors::in_own_process("a_pause_ends_when_the_listener_is_closed") {
        return;
    }
    run(|| {
        let (listener, _clients, _rest) = out_of_descriptors();
        gort::scope(|s| {
            let server = s.go(|| listener.incoming().count());
            gort::sleep(2000 * MS); // by now it pauses for a second at a time
            let start = Instant::now();
            listener.close();
            assert_eq!(server.join().unwrap(), 0);
            assert!(start.elapsed() < 10 * Duration::from_secs(1));
        });
    });
}

#[test]
fn conversions_keep_the_error() {
    if !descriptors::in_own_process("conversions_keep_the_error") {
        return;
    }
    // The poller itself cannot be opened: nothing of the runtime is used before.
    let (here, _there) = std::os::unix::net::UnixStream::pair().unwrap();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(3), ..limit }).unwrap();
    let mut stream = gort::net::UnixStream::from(here);
    let error = stream.write(b"x").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    setrlimit(Resource::Nofile, limit).unwrap();
    let again = std::os::unix::net::UnixStream::from(stream);
    gort::net::UnixStream::from(again).write_all(b"x").unwrap();
}
