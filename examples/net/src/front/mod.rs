//! Idea: an HTTP/1.1 server by hand: read a request, answer it, and again, in a loop that is the connection's goroutine.
//!
//! The point is not HTTP but its clients: each thing that one can do to a server has a limit in [`Limits`], and a clear
//! answer. Time limits are read deadlines on the socket, moved as the connection goes from phase to phase:
//!
//! ```text
//!   idle ──first byte──► head ──complete──► body ──complete──► handler ──► write ──► idle, if kept alive
//!    │                    │                  │                               │
//!    │ idle_time: close   │ head_time: 408   │ body_time: 408                │ write_time: close
//!    │                    │ too long: 431    │ too long: 413                 │
//!    │                    │ not HTTP: 400    │
//! ```
//!
//! - Who sends a byte now and then (slow loris) is cut off by `head_time`, which a byte does not renew.
//! - Who connects and is silent is cut off by `idle_time`; so is one whose machine has gone (half open).
//! - Who never reads its answers is cut off by `write_time`.
//! - Requests that come at once (pipelining) wait in the buffer, at most `head` bytes of them, and in the socket.
//! - A refused request is answered, and what the client still sends is read and dropped for a moment: closing at once
//!   would reset the connection, and the client might never see why.
//!
//! Bodies need a `content-length`; a chunked one is answered with 501, and a request that has both, with 400. Parsing is in
//! `request`, answers in `response`.

mod request;
mod response;

pub use request::{Refusal, Request};
pub use response::Response;

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use gort::context::Context;
use gort::net::TcpStream;

use crate::serve::wake_on_done;
use request::Head;

/// How long a client may take to see that it has been refused.
const LINGER: Duration = Duration::from_secs(5);

/// How much a client may ask of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request line with its headers.
    pub head: usize,
    /// Bytes of a body.
    pub body: usize,
    /// From one request to the first byte of the next.
    pub idle_time: Duration,
    /// From the first byte of a head to its last.
    pub head_time: Duration,
    /// From the end of the head to the end of the body.
    pub body_time: Duration,
    /// How long a client may refuse to read on.
    pub write_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        let seconds = Duration::from_secs;
        Limits {
            head: 8 << 10,
            body: 1 << 20,
            idle_time: seconds(60),
            head_time: seconds(10),
            body_time: seconds(30),
            write_time: seconds(30),
        }
    }
}

/// Serves one connection to its end with `handler`, which may block: it holds up nobody else. When `ctx` is done the
/// request under way is answered, and that is the end.
pub fn serve_connection(
    stream: TcpStream,
    ctx: &Context,
    limits: &Limits,
    handler: impl Fn(&Request) -> Response,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(limits.write_time))?;
    let _waking = wake_on_done(ctx, &stream);
    let mut connection = Connection { stream: &stream, ctx, limits, buf: Vec::new() };
    loop {
        match connection.read_request() {
            Ok(Some(request)) => {
                let keep_alive = request.keep_alive && ctx.err().is_none();
                connection.answer(&handler(&request), keep_alive, request.method == "HEAD")?;
                if !keep_alive {
                    return connection.let_go();
                }
            }
            Ok(None) => return Ok(()),
            Err(Stop::Refuse(refusal)) => {
                connection.answer(&Response::from(refusal), false, false)?;
                return connection.let_go();
            }
            Err(Stop::Broken(error)) => return Err(error),
        }
    }
}

/// Why there is no request.
enum Stop {
    Refuse(Refusal),
    Broken(io::Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refuse(refusal)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        if error.kind() == ErrorKind::TimedOut { Refusal::TooSlow.into() } else { Stop::Broken(error) }
    }
}

struct Connection<'a> {
    stream: &'a TcpStream,
    ctx: &'a Context,
    limits: &'a Limits,
    /// What has been read and belongs to no request yet.
    buf: Vec<u8>,
}

impl Connection<'_> {
    /// The next request; `None` if there will be none.
    fn read_request(&mut self) -> Result<Option<Request>, Stop> {
        if self.buf.is_empty() && !self.wait_for_request()? {
            return Ok(None);
        }
        let Some(head) = self.read_head()? else { return Ok(None) };
        if head.body > self.limits.body {
            return Err(Refusal::BodyTooLong.into());
        }
        if head.wants_continue && self.buf.len() < head.size + head.body {
            let mut stream = self.stream;
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let deadline = Instant::now() + self.limits.body_time;
        while self.buf.len() < head.size + head.body {
            if self.read_more(deadline, head.size + head.body)? == 0 {
                return Ok(None);
            }
        }
        let body = self.buf[head.size..][..head.body].to_vec();
        self.buf.drain(..head.size + head.body);
        Ok(Some(Request { body, ..head.request }))
    }

    /// Idle until the first byte. False: the client has left, was silent for too long, or the server is ending.
    fn wait_for_request(&mut self) -> io::Result<bool> {
        let deadline = Instant::now() + self.limits.idle_time;
        self.stream.set_read_deadline(deadline)?;
        // After the deadline has been set: if that has overridden the wake-up, the context is done already.
        if self.ctx.err().is_some() {
            return Ok(false);
        }
        match self.read(self.limits.head) {
            Ok(size) => Ok(size > 0),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                debug_assert!(Instant::now() >= deadline || self.ctx.err().is_some(), "woken for no reason");
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn read_head(&mut self) -> Result<Option<Head>, Stop> {
        let deadline = Instant::now() + self.limits.head_time;
        loop {
            if let Some(head) = Head::parse(&self.buf)? {
                return if head.size > self.limits.head {
                    Err(Refusal::HeadTooLong.into())
                } else {
                    Ok(Some(head))
                };
            }
            if self.buf.len() >= self.limits.head {
                return Err(Refusal::HeadTooLong.into());
            }
            if self.read_more(deadline, self.limits.head)? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads what there is, so that the buffer has `max` bytes at most; waits until `deadline`, and is not impressed by the
    /// end of the context: a request that has begun is served.
    fn read_more(&mut self, deadline: Instant, max: usize) -> io::Result<usize> {
        loop {
            self.stream.set_read_deadline(deadline)?;
            match self.read(max) {
                Err(error) if error.kind() == ErrorKind::TimedOut && Instant::now() < deadline => {}
                result => return result,
            }
        }
    }

    fn read(&mut self, max: usize) -> io::Result<usize> {
        let filled = self.buf.len();
        self.buf.resize(max.min(filled + (16 << 10)), 0);
        let mut stream = self.stream;
        let result = stream.read(&mut self.buf[filled..]);
        self.buf.truncate(filled + result.as_ref().map_or(0, |size| *size));
        result
    }

    fn answer(&self, response: &Response, keep_alive: bool, head_only: bool) -> io::Result<()> {
        let mut stream = self.stream;
        stream.write_all(&response.to_bytes(keep_alive, head_only))
    }

    /// Ends our half, and for [`LINGER`] drops what still comes: see the head of the file.
    fn let_go(&self) -> io::Result<()> {
        let mut stream = self.stream;
        stream.shutdown(Shutdown::Write)?;
        stream.set_read_deadline(Instant::now() + LINGER)?;
        let mut dropped = [0; 16 << 10];
        while stream.read(&mut dropped).is_ok_and(|size| size > 0) {}
        Ok(())
    }
}
