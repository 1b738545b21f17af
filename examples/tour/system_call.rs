//! Idea: a system call blocks its thread, but not the processor.
//!
//! There is a single processor, and a goroutine reads from an empty pipe with std's blocking read: its thread sleeps in
//! the kernel until somebody writes, and who is to write needs a processor. In Go the runtime hears of every system call
//! and gives the processor of one that takes long to another thread. In gort the monitor notices it by itself; who says
//! it beforehand, with `gort::blocking`, saves the others the time until then.

use std::io::{self, PipeReader, Read, Write};

use crate::kit::with_gomaxprocs;

fn read_a_byte(mut pipe: PipeReader) -> u8 {
    let mut byte = [0];
    pipe.read_exact(&mut byte).unwrap();
    byte[0]
}

fn announced(pipe: PipeReader) -> u8 {
    gort::blocking(|| read_a_byte(pipe))
}

fn beside(how: &str, call: fn(PipeReader) -> u8) {
    let (reader, mut writer) = io::pipe().unwrap();
    let (here, begun) = gort::chan(1);
    let caller = gort::go(move || {
        here.send(()).unwrap();
        call(reader)
    });
    begun.recv().unwrap();

    let sum = gort::go(|| (1..=100).sum::<u32>()).join().unwrap();
    println!("{how}: another one works: {sum}");
    writer.write_all(&[7]).unwrap();
    println!("{how}: the call returns {}", caller.join().unwrap());
}

pub(crate) fn run() {
    with_gomaxprocs(1, || {
        beside("unannounced", read_a_byte);
        beside("announced", announced);
    });
}
