//! Hello servers: hyper on goroutines, and one that is written by hand.
//!
//! hyper asks its connection for bytes by polling. [`Parking`] answers a poll
//! that finds none by parking the goroutine inside of it, as any blocking code
//! would, and never says that it is not ready; a connection has a goroutine to
//! itself, and nothing else is kept waiting. hyper must not look for more input
//! while it owes an answer: that is what `half_close` tells it, which otherwise
//! means that a client may close its sending side early.

use crate::os::on_thread;
use bytes::Bytes;
use gort::net::{TcpListener, TcpStream};
use gort_bench::http::{self, HELLO, Load};
use gort_bench::{Meter, Sample, net::ANY_PORT};
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::rt::ReadBufCursor;
use hyper::{Response, server::conn::http1, service::service_fn};
use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

pub(crate) fn hello_hyper(n: u64, connections: u64) -> Sample {
    hello(n, connections, serve_hyper)
}

pub(crate) fn hello_plain(n: u64, connections: u64) -> Sample {
    hello(n, connections, |stream, served| http::serve(stream, &served))
}

/// A client that goes away in the middle of a request is no error here: `wrk`
/// does so at the end, and its account says whether all was well before.
type Serve = fn(TcpStream, Arc<AtomicU64>) -> io::Result<()>;

/// The server goes on accepting when its run is over; nobody comes any more.
fn hello(n: u64, connections: u64, serve: Serve) -> Sample {
    let listener = TcpListener::bind(ANY_PORT).unwrap();
    let address = listener.local_addr().unwrap();
    let served = Arc::new(AtomicU64::new(0));
    let count = served.clone();
    gort::go(move || {
        loop {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            let count = count.clone();
            gort::go(move || drop(serve(stream, count)));
        }
    });
    let meter = Meter::start();
    let count = served.clone();
    let load = on_thread(move || Load::run(address, connections, n, &count));
    let sample = meter.stop(load.requests);
    load.add_to(sample, served.load(Relaxed))
}

fn serve_hyper(stream: TcpStream, served: Arc<AtomicU64>) -> io::Result<()> {
    let answer = service_fn(move |_| {
        served.fetch_add(1, Relaxed);
        let mut response = Response::new(Full::new(Bytes::from_static(HELLO.as_bytes())));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new().half_close(true).serve_connection(Parking(stream), answer);
    gort::block_on(connection).map_err(io::Error::other)
}

/// hyper's buffers are larger, but a std-like `read` wants zeroed bytes, and
/// zeroing more than comes would be all that shows.
const AT_ONCE: usize = 4096;

/// A stream whose polls wait.
struct Parking(TcpStream);

impl hyper::rt::Read for Parking {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let room = into.remaining().min(AT_ONCE);
        let n = self.0.read(into.initialize_unfilled_to(room))?;
        // SAFETY: `read` has filled so many of the bytes it was given.
        unsafe { into.advance(n) };
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Parking {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown(std::net::Shutdown::Write))
    }
}
