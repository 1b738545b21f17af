//! Hello servers: hyper on goroutines, and one that is written by hand.
//!
//! hyper wants to poll its connection for bytes. Here it polls a [`Desk`], which
//! is two trays in memory, and whose polls never wait. Between polls the
//! goroutine fills and empties them, with the plain blocking calls of the stream:
//!
//! ```text
//! poll ─► Pending ─► write what is in the out tray ─► nothing to poll for? read into the in tray ─► poll
//! ```
//!
//! A goroutine that parked inside of a poll would come out of it on another
//! thread. hyper keeps its cached date in a thread-local, and where its code is
//! inlined around the park, the compiler may go on using the place of the old
//! thread's. So nothing parks inside of [`poll_once`], which is not inlined.

use crate::os::on_thread;
use bytes::Bytes;
use gort::net::{TcpListener, TcpStream};
use gort_bench::http::{self, HELLO, Load};
use gort_bench::{Meter, Sample, net::ANY_PORT};
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::rt::ReadBufCursor;
use hyper::{Response, server::conn::http1, service::service_fn};
use std::cell::RefCell;
use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

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
    let io = Rc::new(RefCell::new(Io::new(stream)));
    let mut connection = pin!(http1::Builder::new().serve_connection(Desk(io.clone()), answer));
    let again = Arc::new(Again(AtomicBool::new(false)));
    let waker = Waker::from(again.clone());
    loop {
        let polled = poll_once(connection.as_mut(), &mut Context::from_waker(&waker));
        io.borrow_mut().empty()?;
        if let Poll::Ready(result) = polled {
            return result.map_err(io::Error::other);
        }
        if !again.0.swap(false, Relaxed) {
            io.borrow_mut().fill()?;
        }
    }
}

/// The most that is read at a time.
const AT_ONCE: usize = 2048;

#[inline(never)]
fn poll_once<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(context)
}

/// The waker: somebody wants one more poll before the next read. Relaxed, for
/// it is the goroutine itself, in the middle of a poll.
struct Again(AtomicBool);

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

/// The stream, and the two trays.
struct Io {
    stream: TcpStream,
    /// What hyper has not taken yet is from `start` to `end`.
    input: Box<[u8; AT_ONCE]>,
    start: usize,
    end: usize,
    output: Vec<u8>,
    /// The client has closed its side.
    ended: bool,
}

impl Io {
    fn new(stream: TcpStream) -> Io {
        Io { stream, input: Box::new([0; AT_ONCE]), start: 0, end: 0, output: Vec::new(), ended: false }
    }

    fn empty(&mut self) -> io::Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output)?;
            self.output.clear();
        }
        Ok(())
    }

    /// hyper has taken all there was, or it would not have been Pending.
    fn fill(&mut self) -> io::Result<()> {
        (self.start, self.end) = (0, self.stream.read(&mut self.input[..])?);
        self.ended = self.end == 0;
        Ok(())
    }
}

/// hyper's end of it.
struct Desk(Rc<RefCell<Io>>);

impl hyper::rt::Read for Desk {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let io = &mut *self.0.borrow_mut();
        let bytes = &io.input[io.start..io.end];
        if bytes.is_empty() && !io.ended {
            return Poll::Pending;
        }
        let n = bytes.len().min(into.remaining());
        into.put_slice(&bytes[..n]);
        io.start += n;
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Desk {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().output.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The stream is closed when the goroutine drops it, at once after this.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
