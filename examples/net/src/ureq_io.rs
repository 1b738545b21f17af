//! Idea: a blocking HTTP client on gort's sockets, by the one trait that it connects through.
//!
//! ureq blocks the thread on std's sockets, which would work as well: the runtime takes the processor away from a thread
//! that does not come back. On [`GortConnector`]'s sockets nothing has to be taken away, since a goroutine that waits for
//! a page is parked and costs no thread: a thousand pages can be under way at once.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Weak};

use gort::net::{Shutdown, TcpStream};
use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport,
};

/// An agent whose connections park.
pub fn agent(config: Config) -> Agent {
    Agent::with_parts(config, GortConnector, DefaultResolver::default())
}

/// Connects to the first of the addresses that can be reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct GortConnector;

impl Connector for GortConnector {
    type Out = GortTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<GortTransport>, ureq::Error> {
        let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
        for addr in &details.addrs {
            let connected = match details.timeout.not_zero() {
                Some(timeout) => TcpStream::connect_timeout(addr, *timeout),
                None => TcpStream::connect(addr),
            };
            match connected {
                Ok(stream) => {
                    stream.set_nodelay(details.config.no_delay())?;
                    let socket = Arc::new(Socket(stream));
                    let for_shutdown: Weak<Socket> = Arc::downgrade(&socket);
                    (details.register_shutdown)(for_shutdown)?;
                    let config = details.config;
                    let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
                    return Ok(Some(GortTransport { socket, buffers }));
                }
                Err(error) => last = error,
            }
        }
        Err(limited(last, details.timeout))
    }
}

/// The socket, shared with the agent's `shutdown`.
struct Socket(TcpStream);

impl ShutdownHandle for Socket {
    fn shutdown(&self) {
        // Fails if the connection is over already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// A connection.
pub struct GortTransport {
    socket: Arc<Socket>,
    buffers: LazyBuffers,
}

impl Transport for GortTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        let mut stream = &self.socket.0;
        stream.set_write_timeout(timeout.not_zero().map(|limit| *limit))?;
        stream.write_all(&self.buffers.output()[..amount]).map_err(|error| limited(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = timeout.for_read();
        let mut stream = &self.socket.0;
        stream.set_read_timeout(timeout.not_zero().map(|limit| *limit))?;
        let size = stream.read(self.buffers.input_append_buf()).map_err(|error| limited(error, timeout))?;
        self.buffers.input_appended(size);
        Ok(size > 0)
    }

    /// A connection at rest has nothing to read: neither bytes nor an end.
    fn is_open(&mut self) -> bool {
        let stream = &self.socket.0;
        let looked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
        stream.set_nonblocking(false).is_ok()
            && looked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// ureq's own error if the time was up.
fn limited(error: io::Error, timeout: NextTimeout) -> ureq::Error {
    match error.kind() {
        ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
        _ => error.into(),
    }
}

impl fmt::Debug for GortTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GortTransport").field("stream", &self.socket.0).finish_non_exhaustive()
    }
}
