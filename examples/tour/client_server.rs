//! Idea: the server of the exercises: a goroutine for each client.
//!
//! Go's program accepts in a loop and says `go handleConn(conn)`; the handler sends the time each second, in plain
//! blocking code. Without `go` the second client would wait until the first has left. So here, with numbers in the place of
//! the time: the clients are served side by side, each in the order of its own lines.

use std::io::{self, BufRead, BufReader, Write};

use gort::net::{SocketAddr, TcpListener, TcpStream};

use crate::kit::pace;

fn handle(mut stream: TcpStream) -> io::Result<()> {
    for tick in 1..=3 {
        writeln!(stream, "tick {tick}")?;
        gort::sleep(pace(1000));
    }
    Ok(()) // the stream is dropped, and closed with that
}

fn client(number: i32, addr: SocketAddr) -> io::Result<()> {
    for line in BufReader::new(TcpStream::connect(addr)?).lines() {
        println!("client {number}: {}", line?);
    }
    println!("client {number}: the server has closed");
    Ok(())
}

pub(crate) fn run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = listener.try_clone().unwrap(); // another handle to the same listener
    let serving = gort::go(move || {
        for stream in server.incoming() {
            gort::go!(handle(stream.unwrap()).unwrap());
        }
    });

    gort::scope(|s| {
        for number in 1..=3 {
            s.go(move || client(number, addr).unwrap());
        }
    });
    listener.close(); // the server's loop ends
    serving.join().unwrap();
}
