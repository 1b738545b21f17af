//! What the tests of sockets share.
#![allow(dead_code, reason = "each test uses some of it")]

use std::net::SocketAddr;

use gort::net::{TcpListener, TcpStream};

pub(crate) mod descriptors;
pub(crate) mod quiet;

/// A listener of its own, and where it is.
pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("its address");
    (listener, addr)
}

/// Two ends of a connection.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let (listener, addr) = listener();
    let here = TcpStream::connect(addr).expect("somebody listens");
    let (there, _) = listener.accept().expect("somebody has connected");
    (here, there)
}

/// Bytes that differ with `seed` and position.
pub(crate) fn pattern(seed: usize, size: usize) -> Vec<u8> {
    let mut state = seed as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let step = move || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(step).take(size).collect()
}

/// Waits until the goroutine of that name waits for a descriptor.
pub(crate) fn until_it_waits(name: &str) {
    let named = format!("{{\"name\": \"{name}\"}}");
    let waits = |dump: String| dump.lines().any(|line| line.contains("[IO wait") && line.contains(&named));
    while !waits(gort::runtime::dump()) {
        gort::sleep(std::time::Duration::from_millis(1));
    }
}

/// A seed that differs from run to run, or the one that is asked for.
pub(crate) fn seed() -> u64 {
    let asked = std::env::var("GORT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = asked.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("after 1970").subsec_nanos().into()
    });
    println!("to replay: GORT_TEST_SEED={seed}");
    seed
}

/// Chance with a seed.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % n
    }
}
