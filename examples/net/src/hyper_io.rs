//! Idea: an asynchronous library in a goroutine. The goroutine is the executor, and the socket's reader.
//!
//! hyper polls: it asks for bytes, and where there are none it says `Pending` and counts on being polled again. A
//! goroutine can simply wait, but it must not do so inside `poll_read`: at that moment hyper may have an answer that it
//! has not written yet, and the client may be waiting for just that. So `Input` hands out what it has and notes that
//! hyper is starved; only when hyper has done everything it could, and gives the poll back, the goroutine reads:
//!
//! ```text
//!     ┌─► poll hyper: parse, call the service, write, flush ──► ready: the connection is over
//!     │     │ pending
//!     │     ├── not starved: the service's future waits for something; its waker ends block_on's park
//!     │     ▼ starved
//!     └── read: the goroutine is parked until bytes come, or the deadline
//! ```
//!
//! Writes wait right where they are. A request without a body costs one read and one write, no more than in plain code,
//! and no reactor, no second task and no waker is involved.
//!
//! What this gives up: while hyper is starved (it wants a request's head or more of a body) nothing else drives the
//! connection. A service that streams its answer *while* it receives the request, and whose answer waits for something
//! other than the request, needs two goroutines and a real reactor in between; so do upgrades and HTTP/2. Services may
//! block: that holds up this connection alone.
//!
//! hyper's timers (the time limit of a head) are the socket's read deadline: `Deadline`.

use std::cell::RefCell;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context as Task, Poll};
use std::time::{Duration, Instant};

use gort::context::Context;
use gort::net::TcpStream;
use hyper::body::{Body, Incoming};
use hyper::rt;
use hyper::server::conn::http1;
use hyper::service::HttpService;

use crate::serve::{GRACE, wake_on_done};

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the end of an answer to the end of the next request's head, waiting for a request included.
    pub head: Duration,
    /// The longest silence inside a body, in either direction.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { head: Duration::from_secs(30), silence: Duration::from_secs(30) }
    }
}

/// Serves one connection to its end. When `ctx` is done the request under way is answered, and that is the end.
pub fn serve_connection<S, B>(stream: TcpStream, ctx: &Context, limits: &Limits, service: S) -> io::Result<()>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(limits.silence))?;
    stream.set_write_timeout(Some(limits.silence))?;
    let _waking = wake_on_done(ctx, &stream);
    let timer = Deadline(stream.try_clone()?);
    let input = Rc::new(RefCell::new(Input::new(stream)));
    let connection = http1::Builder::new()
        .half_close(true) // a client may end its half and still read: no look-ahead while the service works
        .timer(timer)
        .header_read_timeout(limits.head)
        .serve_connection(Io(Rc::clone(&input)), service);
    let mut connection = pin!(connection);

    let result = gort::block_on(poll_fn(|task| {
        loop {
            input.borrow_mut().starved = false;
            if let Poll::Ready(result) = connection.as_mut().poll(task) {
                return Poll::Ready(result);
            }
            if ctx.err().is_some() && input.borrow_mut().begin_to_end() {
                connection.as_mut().graceful_shutdown();
                continue;
            }
            if !input.borrow().starved {
                return Poll::Pending;
            }
            input.borrow_mut().fill(ctx);
        }
    }));
    result.map_err(io::Error::other)
}

/// What has been read and not yet been asked for.
#[derive(Debug)]
struct Input {
    stream: TcpStream,
    buf: Box<[u8]>,
    /// `buf[start..end]` is unread.
    start: usize,
    end: usize,
    /// How reading has ended: zero bytes, or an error.
    ended: Option<io::Result<()>>,
    /// hyper has asked in vain since this was last cleared.
    starved: bool,
    /// The server is ending: until when the rest of the request may take.
    last_call: Option<Instant>,
}

impl Input {
    fn new(stream: TcpStream) -> Input {
        Input {
            stream,
            buf: vec![0; 8192].into(),
            start: 0,
            end: 0,
            ended: None,
            starved: false,
            last_call: None,
        }
    }

    /// Waits for bytes, the end, or an error; or until the context is done, when that is news.
    ///
    /// The end of the context wakes us by moving the deadline to the present, once, at about that time.
    fn fill(&mut self, ctx: &Context) {
        (self.start, self.end) = (0, 0);
        loop {
            match self.stream.read(&mut self.buf) {
                Ok(0) => self.ended = Some(Ok(())),
                Ok(size) => self.end = size,
                Err(error) if error.kind() == ErrorKind::TimedOut && ctx.err().is_some() => {
                    match self.last_call {
                        None => {}
                        Some(last_call) if Instant::now() < last_call => {
                            // Fails if the stream is closed: the next read will say so.
                            let _ = self.stream.set_read_deadline(last_call);
                            continue;
                        }
                        Some(_) => self.ended = Some(Err(error)),
                    }
                }
                Err(error) => self.ended = Some(Err(error)),
            }
            return;
        }
    }

    /// True the first time.
    fn begin_to_end(&mut self) -> bool {
        let first = self.last_call.is_none();
        self.last_call.get_or_insert_with(|| Instant::now() + GRACE);
        first
    }
}

/// hyper's end of the connection. Shared with [`serve_connection`], inside one goroutine.
struct Io(Rc<RefCell<Input>>);

impl rt::Read for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Task<'_>,
        mut buf: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut input = self.0.borrow_mut();
        let size = buf.remaining().min(input.end - input.start);
        if size > 0 {
            buf.put_slice(&input.buf[input.start..][..size]);
            input.start += size;
            return Poll::Ready(Ok(()));
        }
        match input.ended.take() {
            Some(Ok(())) => {
                input.ended = Some(Ok(()));
                Poll::Ready(Ok(()))
            }
            Some(Err(error)) => Poll::Ready(Err(error)),
            None => {
                input.starved = true;
                Poll::Pending
            }
        }
    }
}

impl rt::Write for Io {
    fn poll_write(self: Pin<&mut Self>, _: &mut Task<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.borrow_mut().stream.write(buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.borrow().stream.shutdown(Shutdown::Write))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Task<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.borrow_mut().stream.write_vectored(bufs))
    }
}

/// hyper's timer: the read deadline of the one socket that it is about.
///
/// While the timer runs the goroutine is either at work or reads, and then the deadline wakes it: no need for a waker.
struct Deadline(TcpStream);

impl rt::Timer for Deadline {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        let stream = self.0.try_clone().expect("a clone is another handle, nothing more");
        // Fails if the stream is closed: the next read will say so.
        let _ = stream.set_read_deadline(deadline);
        Box::pin(ReadLimit { stream, deadline })
    }
}

/// A running timer: the deadline is taken back when hyper drops it.
struct ReadLimit {
    stream: TcpStream,
    deadline: Instant,
}

impl rt::Sleep for ReadLimit {}

impl Future for ReadLimit {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<()> {
        if Instant::now() < self.deadline { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for ReadLimit {
    fn drop(&mut self) {
        let _ = self.stream.set_read_deadline(None);
    }
}
