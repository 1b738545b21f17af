//! Idea: a TLS server and many clients, all in blocking code, in one process.
//!
//! ```text
//! cargo run -p gort-examples-net --bin tls              100 clients with 10 lines each
//! cargo run -p gort-examples-net --bin tls -- 400 5     400 clients with 5 lines each
//! ```
//!
//! The certificate is made at the start (`src/tls.rs`); the clients trust it and nothing else.

use std::io::{self, BufRead, BufReader, Write};
use std::sync::Arc;
use std::time::Instant;

use gort::net::{TcpListener, TcpStream};
use gort_examples_net::serve;
use gort_examples_net::tls::{self, Identity};
use rustls::ClientConfig;

#[gort::main(unsafe(migrate))]
fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse().map_err(io::Error::other));
    let clients: usize = args.next().unwrap_or(Ok(100))?;
    let lines: usize = args.next().unwrap_or(Ok(10))?;

    let identity = Identity::make()?;
    let (server, client) = (identity.server_config()?, identity.client_config()?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let (ctx, stop) = gort::context::background().with_cancel();
    let serving = gort::go(move || {
        serve::serve(&listener, &ctx, move |stream, ctx| tls::shout_back(stream, ctx, Arc::clone(&server)));
    });

    let began = Instant::now();
    let group = gort::sync::ErrGroup::new();
    for number in 0..clients {
        let config = Arc::clone(&client);
        group.go(move || talk(TcpStream::connect(addr)?, config, number, lines));
    }
    let result: io::Result<()> = group.wait();
    stop.cancel();
    let _ = serving.join();
    result?;
    println!("{clients} clients, {lines} lines each, all answered: {:.1?}", began.elapsed());
    Ok(())
}

fn talk(stream: TcpStream, config: Arc<ClientConfig>, number: usize, lines: usize) -> io::Result<()> {
    let mut stream = BufReader::new(tls::connect(stream, config)?);
    let mut answer = String::new();
    for line in 0..lines {
        writeln!(stream.get_mut(), "client {number}, line {line}")?;
        answer.clear();
        stream.read_line(&mut answer)?;
        if answer != format!("CLIENT {number}, LINE {line}\n") {
            return Err(io::Error::other(format!("client {number} was answered {answer:?}")));
        }
    }
    Ok(())
}
