//! Idea: hyper's HTTP/1.1 with a goroutine per connection, and handlers that block as they like.
//!
//! ```text
//! cargo run -p gort-examples-net --bin hyper -- 8080
//! curl http://127.0.0.1:8080/            a greeting
//! curl http://127.0.0.1:8080/slow        the same, after half a second of blocking
//! curl -d text http://127.0.0.1:8080/    the text, back
//! ```
//!
//! Ctrl-C or SIGTERM: no new connections, idle ones are closed, requests under way are answered. How hyper's polling
//! and a goroutine's blocking meet is told in `src/hyper_io.rs`; `HYPER_HURRY=1` makes
//! its time limits short.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use gort_examples_net::hyper_io::{self, Limits};
use gort_examples_net::serve;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};

/// The longest body that is taken.
const BODY_LIMIT: usize = 1 << 20;

#[gort::main(unsafe(migrate))]
fn main() -> io::Result<ExitCode> {
    let limits = limits();
    serve::run(move |stream, ctx| hyper_io::serve_connection(stream, ctx, &limits, service_fn(answer)))
}

fn limits() -> Limits {
    if std::env::var_os("HYPER_HURRY").is_none() {
        return Limits::default();
    }
    Limits { head: Duration::from_secs(2), silence: Duration::from_millis(500) }
}

/// `async` because the body comes through hyper; everything else in it may block.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::http::Error> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => Ok(text("hello from a goroutine\n")),
        (&Method::GET, "/slow") => {
            gort::sleep(Duration::from_millis(500));
            Ok(text("hello, late\n"))
        }
        (&Method::POST, "/") => match Limited::new(request.into_body(), BODY_LIMIT).collect().await {
            Ok(body) => Ok(Response::new(Full::new(body.to_bytes()))),
            Err(_) => status(StatusCode::PAYLOAD_TOO_LARGE),
        },
        (_, "/" | "/slow") => status(StatusCode::METHOD_NOT_ALLOWED),
        _ => status(StatusCode::NOT_FOUND),
    }
}

fn text(text: &'static str) -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from_static(text.as_bytes())))
}

fn status(code: StatusCode) -> Result<Response<Full<Bytes>>, hyper::http::Error> {
    Response::builder().status(code).body(Full::new(Bytes::from(format!("{code}\n"))))
}
