//! Idea: a goroutine that waits for a socket costs no thread.
//!
//! In Go, and in gort, a read that would block parks the goroutine and leaves the descriptor to the network poller
//! (epoll, on Linux). Two hundred goroutines wait here for two hundred sockets, on a handful of threads; then each is
//! woken by a byte of its own.

use std::io::{Read, Write};

use gort::net::UnixStream;
use gort::sync::WaitGroup;

use crate::kit::{parked, until_parked};

const SOCKETS: usize = 200;

pub(crate) fn run() {
    let (readers, mut writers): (Vec<_>, Vec<_>) = (0..SOCKETS).map(|_| UnixStream::pair().unwrap()).unzip();
    let parked_before = parked();
    let (results, bytes) = gort::chan(SOCKETS);
    let waiting = WaitGroup::new();
    for mut reader in readers {
        let results = results.clone();
        waiting.go(move || {
            let mut byte = [0];
            reader.read_exact(&mut byte).unwrap();
            results.send(byte[0]).unwrap();
        });
    }

    until_parked(parked_before + SOCKETS);
    println!("{SOCKETS} goroutines wait for a socket");
    println!("on fewer than 50 threads: {}", gort::runtime::stats().threads < 50);

    for (number, writer) in writers.iter_mut().enumerate() {
        writer.write_all(&[number as u8]).unwrap();
    }
    waiting.wait();
    let mut received: Vec<u8> = bytes.try_iter().collect();
    received.sort_unstable();
    println!("each got its byte: {}", received.iter().copied().eq(0..SOCKETS as u8));
}
