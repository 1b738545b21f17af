//! Idea: each request runs in a goroutine of its own, so a slow one holds up nobody.
//!
//! What texts on Go say about `net/http`. Three requests wait for a database that does not answer yet (a channel here); a
//! fourth one, which does not need it, is answered meanwhile, though it came last.

use std::io;

use gort::channel::Receiver;
use gort::net::{TcpListener, TcpStream};

use crate::http;

fn handle(stream: &TcpStream, database: &Receiver<()>) -> io::Result<()> {
    match http::read_request(stream)?.as_str() {
        "/fast" => http::respond(stream, 200, "hello"),
        "/slow" => {
            let _ = database.recv(); // parks this goroutine
            http::respond(stream, 200, "hello, at last")
        }
        _ => http::respond(stream, 404, "not found"),
    }
}

pub(crate) fn run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (database, answers) = gort::chan::<()>(0);
    let server = listener.try_clone().unwrap();
    gort::go! {
        for stream in server.incoming() {
            let answers = answers.clone();
            gort::go!(handle(&stream.unwrap(), &answers).unwrap());
        }
    };

    let get = move |path: &str| {
        let (status, body) = http::get(addr, path).unwrap();
        println!("{path}: {status} {body}");
    };
    gort::scope(|s| {
        for _ in 0..3 {
            s.go(move || get("/slow"));
        }
        get("/fast");
        get("/nowhere");
        database.close(); // now it answers, all of them
    });
    listener.close();
}
