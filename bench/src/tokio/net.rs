//! tokio's sockets.

use gort_bench::net::{ANY_PORT, BUFFER, CONNECTIONS, IdleClients, MESSAGE, message};
use gort_bench::{Meter, Sample, resident_bytes, work::share};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) async fn tcp_echo(n: u64) -> Sample {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let address = listener.local_addr().unwrap();
    let meter = Meter::start();
    let server = tokio::spawn(serve(listener, CONNECTIONS));
    let client = |i| tokio::spawn(round_trips(address, share(n, CONNECTIONS, i)));
    let clients: Vec<_> = (0..CONNECTIONS).map(client).collect();
    for client in clients {
        client.await.unwrap();
    }
    let echoed = server.await.unwrap();
    let sample = meter.stop(n);
    assert_eq!(echoed, n * MESSAGE as u64);
    sample
}

pub(crate) async fn idle_conns(n: u64) -> Sample {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let address = listener.local_addr().unwrap();
    let meter = Meter::start();
    let server = tokio::spawn(serve(listener, n));
    let clients = tokio::task::spawn_blocking(move || IdleClients::connect(address, n)).await.unwrap();
    let sample = meter.stop(n);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let bytes = resident_bytes() / n as f64;
    drop(clients);
    assert_eq!(server.await.unwrap(), n * MESSAGE as u64);
    sample.and("bytes", bytes)
}

/// Serves so many connections; returns how many bytes were sent back.
async fn serve(listener: TcpListener, connections: u64) -> u64 {
    let mut tasks: Vec<JoinHandle<u64>> = Vec::with_capacity(connections as usize);
    for _ in 0..connections {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tasks.push(tokio::spawn(echo(stream)));
    }
    let mut bytes = 0;
    for task in tasks {
        bytes += task.await.unwrap();
    }
    bytes
}

async fn echo(mut stream: TcpStream) -> u64 {
    let mut buffer = [0; BUFFER];
    let mut bytes = 0;
    loop {
        let n = stream.read(&mut buffer).await.unwrap();
        if n == 0 {
            return bytes;
        }
        stream.write_all(&buffer[..n]).await.unwrap();
        bytes += n as u64;
    }
}

async fn round_trips(server: SocketAddr, n: u64) {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for i in 0..n {
        let sent = message(i);
        let mut got = [0; MESSAGE];
        stream.write_all(&sent).await.unwrap();
        stream.read_exact(&mut got).await.unwrap();
        assert_eq!(got, sent, "the echo");
    }
}
