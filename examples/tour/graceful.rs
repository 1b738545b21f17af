//! Idea: a signal ends the server, but not the request that it is working on.
//!
//! Go: `signal.NotifyContext`, then `Shutdown`. Here too the signal becomes the end of a context. The accept loop ends
//! since its listener is closed, the handlers finish, and whoever comes later finds nobody there. The stop sends the
//! signal to its own process, when a request is under way for sure.

use std::io::{self, Read, Write};

use gort::channel::Sender;
use gort::context::Context;
use gort::net::{TcpListener, TcpStream};
use gort::process::Command;
use gort::signal::{self, SIGTERM};
use gort::sync::WaitGroup;

fn handle(mut stream: TcpStream, ctx: &Context, begun: &Sender<()>) -> io::Result<()> {
    println!("server: a request has begun");
    begun.send(()).unwrap();
    let _ = ctx.done().recv(); // work that takes until after the signal
    println!("server: the request is finished");
    stream.write_all(b"the answer")
}

fn serve(listener: &TcpListener, ctx: &Context, begun: &Sender<()>) {
    let requests = WaitGroup::new();
    for stream in listener.incoming() {
        let (stream, ctx, begun) = (stream.unwrap(), ctx.clone(), begun.clone());
        requests.go(move || handle(stream, &ctx, &begun).unwrap());
    }
    requests.wait();
}

pub(crate) fn run() {
    let (ctx, stop) = signal::notify_context(gort::context::background(), &[SIGTERM]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (begun, request_begun) = gort::chan(0);
    let serving = gort::go({
        let (listener, ctx) = (listener.try_clone().unwrap(), ctx.clone());
        move || serve(&listener, &ctx, &begun)
    });
    let client = gort::go(move || -> io::Result<String> {
        let mut answer = String::new();
        TcpStream::connect(addr)?.read_to_string(&mut answer)?;
        Ok(answer)
    });

    request_begun.recv().unwrap();
    Command::new("sh").args(["-c", "kill -TERM $PPID"]).status().unwrap();
    let _ = ctx.done().recv();
    stop.cancel(); // from here on a signal would end the process, as ever
    listener.close();
    drop(listener);
    serving.join().unwrap();
    println!("ended by: {}", ctx.cause().unwrap());
    println!("client: {}", client.join().unwrap().unwrap());
    println!("one who comes too late: {:?}", TcpStream::connect(addr).unwrap_err().kind());
}
