//! Idea: fetch several pages at once, and bring results and errors back through one channel.
//!
//! The Go program starts a goroutine per URL and collects `Result{url, err}` values; what fails does not stop the others,
//! and takes no longer than the slowest. The limit on how many are asked at a time is a buffered channel in Go; in gort a
//! `Semaphore` says it by name.

use std::io;

use gort::net::{SocketAddr, TcpListener};
use gort::sync::Semaphore;

use crate::http;
use crate::kit::pace;

struct Fetched {
    page: &'static str,
    result: io::Result<(u16, String)>,
}

/// A site in a goroutine; ends when the listener is closed.
fn site(listener: TcpListener) {
    for stream in listener.incoming() {
        gort::go!({
            let stream = stream.unwrap();
            match http::read_request(&stream).unwrap().as_str() {
                "/news" => http::respond(&stream, 200, "nothing new"),
                "/slow" => {
                    gort::sleep(pace(1000));
                    http::respond(&stream, 200, "good things take time")
                }
                "/broken" => Ok(()), // hangs up
                _ => http::respond(&stream, 404, ""),
            }
            .unwrap();
        });
    }
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub(crate) fn run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (here, elsewhere) = (listener.local_addr().unwrap(), nobody());
    let server = listener.try_clone().unwrap();
    gort::go!(site(server));

    let (results, fetched) = gort::chan(0);
    let at_once = Semaphore::new(3);
    gort::scope(|s| {
        for (addr, page) in [
            (here, "/news"),
            (here, "/slow"),
            (here, "/missing"),
            (here, "/broken"),
            (elsewhere, "/unreachable"),
        ] {
            let (results, at_once) = (results.clone(), &at_once);
            s.go(move || {
                at_once.acquire(1);
                let result = http::get(addr, page);
                at_once.release(1);
                results.send(Fetched { page, result }).unwrap();
            });
        }
        drop(results); // the loop below ends with the last goroutine

        for Fetched { page, result } in fetched {
            match result {
                Ok((200, text)) => println!("{page}: {text}"),
                Ok((status, _)) => println!("{page}: status {status}"),
                Err(error) => println!("{page}: failed: {:?}", error.kind()),
            }
        }
    });
    listener.close();
}
