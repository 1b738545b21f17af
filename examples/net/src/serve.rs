//! Idea: a server is a loop that starts a goroutine for each connection; a context ends it.
//!
//! [`serve`] is the accept loop that the servers of this crate share. It ends when its context does: the listener is
//! closed, which ends the loop, and then it waits for the connections, which hear of it too ([`wake_on_done`]). [`run`]
//! makes a program of it: the first Ctrl-C or SIGTERM ends the context, a second one ends the process at once, and so
//! does a connection that takes longer than [`GRACE`] to come to its end.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gort::context::{Context, StopFn};
use gort::net::{TcpListener, TcpStream};
use gort::signal::{self, SIGINT, SIGTERM};
use gort::sync::WaitGroup;

/// How long a connection may take to end after the server has been asked to.
pub const GRACE: Duration = Duration::from_secs(10);

/// Serves each connection with `handle`, in a goroutine of its own, until `ctx` is done and all have ended.
///
/// An error of a connection ends that connection; it is not worth more than a line, and clients that leave are not
/// worth even that.
pub fn serve<H>(listener: &TcpListener, ctx: &Context, handle: H)
where
    H: Fn(TcpStream, &Context) -> io::Result<()> + Send + Sync + 'static,
{
    let handle = Arc::new(handle);
    let connections = WaitGroup::new();
    let closer = listener.try_clone().expect("a clone is another handle, nothing more");
    let _closing = OnDone(ctx.after_func(move || closer.close()));

    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            // Out of descriptors, the iterator pauses; other errors are those of one connection.
            Err(error) => {
                complain(format_args!("accept: {error}"));
                continue;
            }
        };
        let (ctx, handle) = (ctx.clone(), Arc::clone(&handle));
        connections.go(move || match handle(stream, &ctx) {
            Err(error) if !is_leaving(&error) => complain(format_args!("connection: {error}")),
            _ => {}
        });
    }
    connections.wait();
}

/// The client has gone, or was too slow.
fn is_leaving(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof,
    };
    [BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof]
        .contains(&error.kind())
}

/// Listens, says where, and serves until SIGINT or SIGTERM. The first argument is a port of 127.0.0.1, or an address with a port;
/// without one it is any port of 127.0.0.1.
pub fn run<H>(handle: H) -> io::Result<ExitCode>
where
    H: Fn(TcpStream, &Context) -> io::Result<()> + Send + Sync + 'static,
{
    let place = std::env::args().nth(1).unwrap_or_else(|| "0".into());
    let place = if place.contains(':') { place } else { format!("127.0.0.1:{place}") };
    let listener = TcpListener::bind(place)?;
    say(format_args!("listening on {}", listener.local_addr()?));
    let (ctx, stop) = signal::notify_context(gort::context::background(), &[SIGINT, SIGTERM]);

    let (over, all_served) = gort::chan::<()>(0);
    let of_server = ctx.clone();
    gort::go! {
        serve(&listener, &of_server, handle);
        drop(over);
    };

    let _ = ctx.done().recv(); // closed, never sent to: this is what waits for the signal
    if let Some(cause) = ctx.cause() {
        say(format_args!("ending: {cause}"));
    }
    stop.cancel(); // from here on a second signal ends the process
    gort::select! {
        recv(all_served) -> _ => {
            say(format_args!("all connections have ended"));
            Ok(ExitCode::SUCCESS)
        }
        default(GRACE + Duration::from_secs(1)) => Ok(ExitCode::FAILURE),
    }
}

/// A line on stdout. A server goes on when nobody reads what it says (`println!` would panic).
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// A line on stderr, if it takes one.
fn complain(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Ends what `stream` waits for, with `TimedOut`, as soon as `ctx` is done, for as long as the result lives. The
/// connection finds out by itself that this was why, and what to do: it may set another deadline and go on.
#[must_use]
pub fn wake_on_done(ctx: &Context, stream: &TcpStream) -> OnDone {
    let stream = stream.try_clone().expect("a clone is another handle, nothing more");
    OnDone(ctx.after_func(move || {
        // Fails if the stream is closed: then nobody waits for it.
        let _ = stream.set_read_deadline(Instant::now());
    }))
}

/// Something that would happen at the end of a context; dropping this prevents it, and frees what it holds on to.
#[derive(Debug)]
pub struct OnDone(StopFn);

impl Drop for OnDone {
    fn drop(&mut self) {
        self.0.stop();
    }
}
