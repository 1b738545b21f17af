//! Both ends of the socket scenarios, for peers whose sockets are `Read` and
//! `Write`, and the clients of `idle_conns`, which are plain blocking sockets
//! for every peer, so that only the server's side of a connection is counted.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Where servers listen: a port of the kernel's choice on the loopback.
pub const ANY_PORT: &str = "127.0.0.1:0";
/// Connections of `tcp_echo`.
pub const CONNECTIONS: u64 = 100;
/// Bytes of one message.
pub const MESSAGE: usize = 64;
/// A served connection's buffer.
pub const BUFFER: usize = 1024;

/// The `i`-th message of a connection.
pub fn message(i: u64) -> [u8; MESSAGE] {
    let mut message = [i as u8; MESSAGE];
    message[..8].copy_from_slice(&i.to_le_bytes());
    message
}

/// Serves one connection: sends back what it gets, until the client closes.
/// Returns how many bytes that were.
pub fn echo(mut stream: impl Read + Write) -> u64 {
    let mut buffer = [0; BUFFER];
    let mut bytes = 0;
    loop {
        let n = stream.read(&mut buffer).expect("a read");
        if n == 0 {
            return bytes;
        }
        stream.write_all(&buffer[..n]).expect("a write");
        bytes += n as u64;
    }
}

/// Makes `n` round trips and checks what comes back.
pub fn round_trips(mut stream: impl Read + Write, n: u64) {
    for i in 0..n {
        let sent = message(i);
        let mut got = [0; MESSAGE];
        stream.write_all(&sent).expect("a write");
        stream.read_exact(&mut got).expect("a read");
        assert_eq!(got, sent, "the echo");
    }
}

/// Clients that have had one echo each and keep quiet since.
pub struct IdleClients(#[allow(dead_code, reason = "kept open, not used")] Vec<TcpStream>);

impl IdleClients {
    /// Connects `n` of them. Blocks the thread.
    pub fn connect(server: SocketAddr, n: u64) -> Self {
        let client = |i| {
            let stream = TcpStream::connect(server).expect("a connection");
            let mut got = [0; MESSAGE];
            (&stream).write_all(&message(i)).expect("a write");
            (&stream).read_exact(&mut got).expect("a read");
            assert_eq!(got, message(i), "the echo");
            stream
        };
        Self((0..n).map(client).collect())
    }
}
