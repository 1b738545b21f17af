//! std's sockets, a thread for each connection.

use gort_bench::http::{self, Load};
use gort_bench::net::{ANY_PORT, CONNECTIONS, MESSAGE, echo, round_trips};
use gort_bench::{Meter, Sample, work::share};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

pub(crate) fn tcp_echo(n: u64) -> Sample {
    let listener = TcpListener::bind(ANY_PORT).unwrap();
    let address = listener.local_addr().unwrap();
    let meter = Meter::start();
    let server = thread::spawn(move || {
        let serve = |_| {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || echo(stream))
        };
        let tasks: Vec<_> = (0..CONNECTIONS).map(serve).collect();
        tasks.into_iter().map(|task| task.join().unwrap()).sum::<u64>()
    });
    let client = |i| {
        thread::spawn(move || {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            round_trips(stream, share(n, CONNECTIONS, i));
        })
    };
    let clients: Vec<_> = (0..CONNECTIONS).map(client).collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    let echoed = server.join().unwrap();
    let sample = meter.stop(n);
    assert_eq!(echoed, n * MESSAGE as u64);
    sample
}

/// The server goes on accepting when its run is over; nobody comes any more.
pub(crate) fn http_hello(n: u64, connections: u64) -> Sample {
    let listener = TcpListener::bind(ANY_PORT).unwrap();
    let address = listener.local_addr().unwrap();
    let served = Arc::new(AtomicU64::new(0));
    let count = served.clone();
    thread::spawn(move || {
        loop {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            let count = count.clone();
            thread::spawn(move || http::serve(stream, &count));
        }
    });
    let meter = Meter::start();
    let load = Load::run(address, connections, n, &served);
    let sample = meter.stop(load.requests);
    load.add_to(sample, served.load(Relaxed))
}

/// The least that `tcp_echo` can cost: both ends of all connections in one loop around epoll, without a runtime, with the
/// four system calls of a round trip that there must be and hardly another.
pub(crate) fn tcp_floor(n: u64) -> Sample {
    let listener = TcpListener::bind(ANY_PORT).unwrap();
    let mut poll = Epoll::new();
    let meter = Meter::start();
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // Clients have even numbers.
        for stream in [client, listener.accept().unwrap().0] {
            stream.set_nodelay(true).unwrap();
            stream.set_nonblocking(true).unwrap();
            poll.add(&stream, streams.len() as u64);
            streams.push(stream);
        }
    }
    let mut asked = 0;
    let mut ask = |mut client: &TcpStream| {
        if asked < n {
            client.write_all(&[1; MESSAGE]).unwrap();
            asked += 1;
        }
    };
    streams.iter().step_by(2).for_each(&mut ask);
    let (mut done, mut buffer) = (0, [0; MESSAGE]);
    while done < n {
        for number in poll.wait() {
            let mut stream = &streams[number as usize];
            match stream.read(&mut buffer) {
                Ok(MESSAGE) if number % 2 == 0 => {
                    done += 1;
                    ask(stream);
                }
                Ok(size) => stream.write_all(&buffer[..size]).unwrap(),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
        }
    }
    meter.stop(n)
}

struct Epoll {
    fd: OwnedFd,
    events: [libc::epoll_event; 256],
}

impl Epoll {
    fn new() -> Self {
        // SAFETY: makes a descriptor, which is ours.
        let fd = unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)) };
        Self { fd, events: [libc::epoll_event { events: 0, u64: 0 }; 256] }
    }

    fn add(&self, stream: &TcpStream, number: u64) {
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: number };
        // SAFETY: reads an event of ours.
        let added = unsafe {
            libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, stream.as_raw_fd(), &raw mut event)
        };
        assert_eq!(added, 0);
    }

    fn wait(&mut self) -> impl Iterator<Item = u64> {
        let room = self.events.len() as i32;
        // SAFETY: fills as many events as there is room for.
        let got = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), self.events.as_mut_ptr(), room, -1) };
        let got = usize::try_from(got).expect("epoll_wait");
        self.events[..got].iter().map(|event| event.u64)
    }
}
