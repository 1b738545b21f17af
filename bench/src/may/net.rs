//! may's sockets.

use gort_bench::http::{self, Load};
use gort_bench::net::{ANY_PORT, CONNECTIONS, IdleClients, MESSAGE, echo, round_trips};
use gort_bench::{Meter, Sample, resident_bytes, work::share};
use may::net::{TcpListener, TcpStream};
use may::sync::mpsc;
use may::{coroutine, go};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub(crate) fn tcp_echo(n: u64) -> Sample {
    let listener = TcpListener::bind(ANY_PORT).unwrap();
    let address = listener.local_addr().unwrap();
    let meter = Meter::start();
    let server = go!(move || serve(&listener, CONNECTIONS));
    let client = |i| {
        go!(move || {
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

/// Serves so many connections; returns how many bytes were sent back.
fn serve(listener: &TcpListener, connections: u64) -> u64 {
    let one = |_| {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        go!(move || echo(stream))
    };
    let tasks: Vec<_> = (0..connections).map(one).collect();
    tasks.into_iter().map(|task| task.join().unwrap()).sum()
}

pub(crate) fn idle_conns(n: u64) -> Sample {
    let listener = TcpListener::bind(ANY_PORT).unwrap();
    let address = listener.local_addr().unwrap();
    let meter = Meter::start();
    let server = go!(move || serve(&listener, n));
    let clients = on_thread(move || IdleClients::connect(address, n));
    let sample = meter.stop(n);
    coroutine::sleep(Duration::from_millis(100));
    let bytes = resident_bytes() / n as f64;
    drop(clients);
    assert_eq!(server.join().unwrap(), n * MESSAGE as u64);
    sample.and("bytes", bytes)
}

pub(crate) fn http_hello(n: u64, connections: u64) -> Sample {
    let listener = TcpListener::bind(ANY_PORT).unwrap();
    let address = listener.local_addr().unwrap();
    let served = Arc::new(AtomicU64::new(0));
    let count = served.clone();
    go!(move || {
        loop {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            let count = count.clone();
            go!(move || drop(http::serve(stream, &count)));
        }
    });
    let meter = Meter::start();
    let count = served.clone();
    let load = on_thread(move || Load::run(address, connections, n, &count));
    let sample = meter.stop(load.requests);
    load.add_to(sample, served.load(Relaxed))
}

/// Does something that blocks on an OS thread; the coroutine waits.
fn on_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (tx, rx) = mpsc::channel();
    std::thread::spawn(move || tx.send(f()));
    rx.recv().unwrap()
}
