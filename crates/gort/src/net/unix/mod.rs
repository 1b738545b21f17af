//! Unix sockets: the listener, the stream and the datagram socket. Their addresses are std's
//! [`SocketAddr`](std::os::unix::net::SocketAddr): a path, a name in the abstract namespace, or nothing.

mod addr;
mod datagram;
mod listener;
mod stream;

pub use self::datagram::UnixDatagram;
pub use self::listener::{UnixIncoming, UnixListener};
pub use self::stream::UnixStream;
