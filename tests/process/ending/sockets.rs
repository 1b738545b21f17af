//! What clients and servers do to each other, on the loopback: they converse, leave in the middle, are too late, and are
//! closed by somebody else.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use gort::net::{TcpListener, TcpStream, UdpSocket, UnixStream};

use super::tools::Rng;

/// A server that sends back what it gets.
pub(crate) struct Echo {
    listener: TcpListener,
    addr: SocketAddr,
}

impl Echo {
    pub(crate) fn start() -> Echo {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (accepts, addr) = (listener.try_clone().unwrap(), listener.local_addr().unwrap());
        gort::go(move || {
            while let Ok((stream, _)) = accepts.accept() {
                gort::go(move || echo(stream));
            }
        });
        Echo { listener, addr }
    }

    pub(crate) fn stop(&self) {
        self.listener.close();
    }

    /// One client does one thing.
    pub(crate) fn visit(&self, rng: &mut Rng) {
        match rng.below(6) {
            0 | 1 => converse(self.connect(), rng),
            2 => leave_in_the_middle(self.connect(), rng),
            3 => be_too_late(self.connect(), rng),
            4 => be_closed(self.connect(), rng),
            _ => datagrams(rng),
        }
        if rng.below(4) == 0 {
            let (client, server) = UnixStream::pair().unwrap();
            gort::go(move || echo(server));
            converse(client, rng);
        }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).unwrap()
    }
}

/// Until the client has gone, in whatever way.
fn echo(mut stream: impl Read + Write) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}

fn message(rng: &mut Rng, most: u64) -> Vec<u8> {
    let first = rng.below(256);
    (0..1 + rng.below(most)).map(|i| (first + i) as u8).collect()
}

fn converse(mut stream: impl Read + Write, rng: &mut Rng) {
    for _ in 0..rng.below(10) {
        let sent = message(rng, 10_000);
        let mut got = vec![0; sent.len()];
        stream.write_all(&sent).unwrap();
        stream.read_exact(&mut got).unwrap();
        assert_eq!(got, sent, "the echo");
    }
}

/// What comes back is not read: the connection is reset.
fn leave_in_the_middle(mut stream: TcpStream, rng: &mut Rng) {
    stream.write_all(&message(rng, 10_000)).unwrap();
    gort::sleep(Duration::from_micros(rng.below(300)));
}

/// Nothing comes, until the deadline; after that the connection is as good as before.
fn be_too_late(mut stream: TcpStream, rng: &mut Rng) {
    let asked = Instant::now();
    let patience = Duration::from_micros(rng.below(2000));
    stream.set_read_deadline(Some(asked + patience)).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(asked.elapsed() >= patience, "too early");
    stream.set_read_deadline(None).unwrap();
    converse(stream, rng);
}

/// Somebody else ends the wait.
fn be_closed(mut stream: TcpStream, rng: &mut Rng) {
    let (other, after) = (stream.try_clone().unwrap(), Duration::from_micros(rng.below(1000)));
    let closes = gort::go(move || {
        gort::sleep(after);
        other.close();
    });
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.to_string(), "use of closed network connection");
    closes.join().unwrap();
}

fn datagrams(rng: &mut Rng) {
    let [a, b] = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let (sent, mut got) = (message(rng, 1000), [0; 1024]);
    a.send_to(&sent, b.local_addr().unwrap()).unwrap();
    let (n, from) = b.recv_from(&mut got).unwrap();
    assert_eq!((&got[..n], from), (&sent[..], a.local_addr().unwrap()));
}
