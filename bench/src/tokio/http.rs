//! Hello servers: hyper, and one that is written by hand.

use bytes::Bytes;
use gort_bench::http::{ANSWER, HELLO, Load, REQUEST_BUFFER, request_length};
use gort_bench::{Meter, Sample, net::ANY_PORT};
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) async fn hello_hyper(n: u64, connections: u64) -> Sample {
    hello(n, connections, |stream, served| tokio::spawn(serve_hyper(stream, served))).await
}

pub(crate) async fn hello_plain(n: u64, connections: u64) -> Sample {
    hello(n, connections, |stream, served| tokio::spawn(serve_plain(stream, served))).await
}

/// A client that goes away in the middle of a request is no error here: `wrk`
/// does so at the end, and its account says whether all was well before.
type Served = tokio::task::JoinHandle<io::Result<()>>;

async fn hello(n: u64, connections: u64, serve: fn(TcpStream, Arc<AtomicU64>) -> Served) -> Sample {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = Arc::new(AtomicU64::new(0));
    let count = served.clone();
    let accepting = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            drop(serve(stream, count.clone()));
        }
    });
    let meter = Meter::start();
    let count = served.clone();
    let load = move || Load::run(address, connections, n, &count);
    let load = tokio::task::spawn_blocking(load).await.unwrap();
    let sample = meter.stop(load.requests);
    accepting.abort();
    load.add_to(sample, served.load(Relaxed))
}

async fn serve_hyper(stream: TcpStream, served: Arc<AtomicU64>) -> io::Result<()> {
    let answer = service_fn(move |_| {
        served.fetch_add(1, Relaxed);
        let mut response = Response::new(Full::new(Bytes::from_static(HELLO.as_bytes())));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        async { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.map_err(io::Error::other)
}

async fn serve_plain(mut stream: TcpStream, served: Arc<AtomicU64>) -> io::Result<()> {
    let mut buffer = [0; REQUEST_BUFFER];
    let mut filled = 0;
    loop {
        let n = stream.read(&mut buffer[filled..]).await?;
        if n == 0 {
            return Ok(());
        }
        filled += n;
        let mut start = 0;
        while let Some(length) = request_length(&buffer[start..filled])? {
            start += length;
            served.fetch_add(1, Relaxed);
            stream.write_all(ANSWER).await?;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}
