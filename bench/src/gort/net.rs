//! gort's sockets.

use crate::os::on_thread;
use gort::net::{TcpListener, TcpStream};
use gort_bench::net::{ANY_PORT, CONNECTIONS, IdleClients, MESSAGE, echo, round_trips};
use gort_bench::{Meter, Sample, resident_bytes, work::share};
use std::time::Duration;

pub(crate) fn tcp_echo(n: u64) -> Sample {
    let listener = TcpListener::bind(ANY_PORT).unwrap();
    let address = listener.local_addr().unwrap();
    let meter = Meter::start();
    let server = gort::go(move || serve(&listener, CONNECTIONS));
    let client = |i| {
        gort::go(move || {
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

pub(crate) fn idle_conns(n: u64) -> Sample {
    let listener = TcpListener::bind(ANY_PORT).unwrap();
    let address = listener.local_addr().unwrap();
    let meter = Meter::start();
    let server = gort::go(move || serve(&listener, n));
    let clients = on_thread(move || IdleClients::connect(address, n));
    let sample = meter.stop(n);
    gort::sleep(Duration::from_millis(100));
    let bytes = resident_bytes() / n as f64;
    drop(clients);
    assert_eq!(server.join().unwrap(), n * MESSAGE as u64);
    sample.and("bytes", bytes)
}

/// Serves so many connections; returns how many bytes were sent back.
fn serve(listener: &TcpListener, connections: u64) -> u64 {
    let one = |_| {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        gort::go(move || echo(stream))
    };
    let tasks: Vec<_> = (0..connections).map(one).collect();
    tasks.into_iter().map(|task| task.join().unwrap()).sum()
}
