//! Sockets in plain blocking code: a goroutine that waits for one is parked, and its thread runs others.
//!
//! The types, their methods and their traits are those of [`std::net`] and [`std::os::unix::net`]; an import is all that
//! changes in most programs. From Go come [deadlines](TcpStream::set_deadline), and [`close`](TcpStream::close), which
//! wakes whoever waits. All of it works on plain OS threads too, which block.
//!
//! # A server
//!
//! ```
//! use std::io::{self, Read, Write};
//! use std::net::Shutdown;
//! use std::time::Duration;
//!
//! use gort::net::{TcpListener, TcpStream};
//! use gort::sync::WaitGroup;
//!
//! /// Sends back what comes in, until the client has ended its half.
//! fn echo(mut stream: TcpStream) -> io::Result<()> {
//!     stream.set_read_timeout(Some(Duration::from_secs(30)))?;
//!     let mut buf = [0; 4096];
//!     loop {
//!         match stream.read(&mut buf)? {
//!             0 => return Ok(()),
//!             size => stream.write_all(&buf[..size])?,
//!         }
//!     }
//! }
//!
//! /// A goroutine for each connection, until the listener is closed.
//! fn serve(listener: &TcpListener) {
//!     let connections = WaitGroup::new();
//!     for stream in listener.incoming() {
//!         match stream {
//!             Ok(stream) => {
//!                 connections.go(move || {
//!                     if let Err(error) = echo(stream) {
//!                         eprintln!("a connection: {error}");
//!                     }
//!                 });
//!             }
//!             Err(error) => eprintln!("accept: {error}"),
//!         }
//!     }
//!     connections.wait();
//! }
//!
//! #[gort::main(unsafe(migrate))]
//! fn main() -> io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:0")?;
//!     let addr = listener.local_addr()?;
//!     let server = listener.try_clone()?;
//!     let server = gort::go(move || serve(&server));
//!
//!     gort::scope(|s| {
//!         for number in 0..100 {
//!             s.go(move || -> io::Result<()> {
//!                 let mut stream = TcpStream::connect(addr)?;
//!                 write!(stream, "hello from {number}")?;
//!                 stream.shutdown(Shutdown::Write)?;
//!                 let mut answer = String::new();
//!                 stream.read_to_string(&mut answer)?;
//!                 assert_eq!(answer, format!("hello from {number}"));
//!                 Ok(())
//!             });
//!         }
//!     });
//!
//!     listener.close(); // `incoming` ends, and then `serve`
//!     server.join().unwrap();
//!     Ok(())
//! }
//! ```
//!
//! # Time limits
//!
//! | | holds for | error |
//! |---|---|---|
//! | `set_read_timeout`, `set_write_timeout` (std) | each call, from its beginning, if it waits | `TimedOut` (std's is `WouldBlock`) |
//! | `set_deadline`, `set_read_deadline`, `set_write_deadline` (Go) | all calls, those under way too; from the deadline on even those that need not wait | `TimedOut` |
//! | `connect_timeout` (std), `Poll::readable_timeout` and kin | this call | `TimedOut` |
//!
//! The error's text is `i/o timeout`. A deadline that is moved takes effect at once.
//!
//! # Closing
//!
//! `close(&self)` ends a socket for all its users, wherever they are; they see an error of kind `NotConnected` with the text
//! `use of closed network connection`. A stream is shut down in both directions, so the other side sees its end. The
//! descriptor belongs to the handles: the last one that is dropped frees it, so none can be used again by accident while
//! somebody still reads.
//!
//! # Clones
//!
//! `try_clone` gives another handle to the same socket: descriptor, deadlines, timeouts and mode are shared, and it takes no
//! descriptor and cannot fail. Most programs need none, since everything works through `&stream`, and `&stream` can read and
//! write.
//!
//! # Others' sockets
//!
//! Sockets convert from and to std's types and [`OwnedFd`](std::os::fd::OwnedFd). [`Poll`] waits for any descriptor. Options
//! that std does not have are set through [`AsFd`](std::os::fd::AsFd), with `socket2::SockRef` for example.

// How it is built. `fd` is the heart: one descriptor, and the loop of trying and waiting. `calls` has the system calls,
// `connect` the connecting, `resolve` the names; the sockets are thin faces over those, and `traits` is what they share.

mod backoff;
mod calls;
mod connect;
mod error;
mod fd;
mod poll;
mod resolve;
mod tcp;
mod traits;
mod udp;
mod unix;

pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
    ToSocketAddrs,
};

pub use self::poll::Poll;
pub use self::tcp::{Incoming, TcpListener, TcpStream};
pub use self::udp::UdpSocket;
pub use self::unix::{UnixDatagram, UnixIncoming, UnixListener, UnixStream};
