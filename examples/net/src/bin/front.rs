//! Idea: a server for the open sea, in plain code: a goroutine per connection, and a limit for everything a client does.
//!
//! ```text
//! cargo run -p gort-examples-net --bin front -- 8080
//! curl http://127.0.0.1:8080/
//! curl -d text http://127.0.0.1:8080/echo
//! curl http://127.0.0.1:8080/stats         goroutines and open connections, for those who watch it under load
//! ```
//!
//! The server is `src/front/`; `FRONT_HURRY=1` makes its time limits short, to see them at work.

use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gort_examples_net::front::{self, Limits, Request, Response};
use gort_examples_net::serve;

static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);

#[gort::main(unsafe(migrate))]
fn main() -> io::Result<ExitCode> {
    let limits = limits();
    serve::run(move |stream, ctx| {
        // Relaxed, here and below: a count for people to look at.
        CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        let result = front::serve_connection(stream, ctx, &limits, handle);
        CONNECTIONS.fetch_sub(1, Ordering::Relaxed);
        result
    })
}

fn limits() -> Limits {
    if std::env::var_os("FRONT_HURRY").is_none() {
        return Limits::default();
    }
    let short = Duration::from_millis(1500);
    Limits {
        idle_time: 4 * short,
        head_time: short,
        body_time: short,
        write_time: short,
        ..Limits::default()
    }
}

fn handle(request: &Request) -> Response {
    match (request.method.as_str(), request.target.as_str()) {
        ("GET" | "HEAD", "/") => Response::new(200, "hello\n"),
        ("POST", "/echo") => Response::new(200, request.body.clone()),
        ("GET", "/stats") => {
            let connections = CONNECTIONS.load(Ordering::Relaxed);
            Response::new(200, format!("{} {connections}\n", gort::runtime::num_goroutine()))
        }
        (_, "/" | "/echo" | "/stats") => Response::new(405, "405 Method Not Allowed\n"),
        _ => Response::new(404, "404 Not Found\n"),
    }
}
