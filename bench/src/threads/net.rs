//! std's sockets, a thread for each connection.

use gort_bench::http::{self, Load};
use gort_bench::net::{ANY_PORT, CONNECTIONS, MESSAGE, echo, round_trips};
use gort_bench::{Meter, Sample, work::share};
use std::net::{TcpListener, TcpStream};
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
