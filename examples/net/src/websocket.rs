//! Idea: WebSockets, a goroutine per client, on tungstenite's blocking side.
//!
//! `tungstenite::accept` takes anything that reads and writes. The loop below is a conversation as one would tell it:
//! read a message, send it back. Pings are answered by the library whenever it reads.
//!
//! When the server ends, the reads are woken, and each client is told why (`Away`) and given [`GRACE`] to say goodbye.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use gort::context::Context;
use gort::net::TcpStream;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Error, HandshakeError, Message};

use crate::serve::{GRACE, wake_on_done};

/// The longest message that is taken.
const MESSAGE_LIMIT: usize = 1 << 20;
/// A client that is silent for longer is taken for gone; live ones send pings.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// Sends every message back to who has sent it.
pub fn echo(stream: TcpStream, ctx: &Context) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_LIMIT))?;
    stream.set_write_timeout(Some(SILENCE_LIMIT))?;
    let _waking = wake_on_done(ctx, &stream);
    let config =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_LIMIT)).max_frame_size(Some(MESSAGE_LIMIT));
    let mut socket = tungstenite::accept_with_config(stream, Some(config)).map_err(|error| match error {
        HandshakeError::Failure(error) => into_io(error),
        HandshakeError::Interrupted(_) => ErrorKind::WouldBlock.into(), // not with a socket that waits
    })?;

    let mut ending = false;
    loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => match socket.send(message) {
                // A message that came after our goodbye.
                Ok(()) | Err(Error::Protocol(_)) => {}
                Err(error) => return Err(into_io(error)),
            },
            Ok(_) => {}
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Ok(()),
            Err(Error::Io(error))
                if error.kind() == ErrorKind::TimedOut && ctx.err().is_some() && !ending =>
            {
                ending = true;
                socket.get_ref().set_read_deadline(Instant::now() + GRACE)?;
                let away = CloseFrame { code: CloseCode::Away, reason: "the server is ending".into() };
                socket.close(Some(away)).map_err(into_io)?;
            }
            Err(error) => return Err(into_io(error)),
        }
    }
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}
