//! Thousands of random and broken requests through the real server: each connection is answered or closed, in bounded
//! time, with nothing but well-formed answers, and nothing panics.
//!
//! The requests come from a seed, which a failure prints; `FUZZ_SEED=<seed>` runs them again, and `FUZZ_ROUNDS` sets how
//! many there are.

mod common;

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::Client;
use gort::net::TcpListener;
use gort_examples_net::front::{self, Limits, Request, Response};
use gort_examples_net::serve;

/// xorshift64*: enough for this.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound.max(1)
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

const HEADERS: &[&str] = &[
    "host: test",
    "content-length: 0",
    "content-length: 5",
    "content-length: 999999",
    "content-length: 99999999999999999999",
    "content-length: 0x5",
    "transfer-encoding: chunked",
    "connection: close",
    "connection: keep-alive",
    "expect: 100-continue",
    "x: \u{e4}\u{f6}\u{fc}",
    "x:",
    ": y",
    " folded",
    "no colon",
    "a\0b: c",
];

/// A request that may be right, from pieces that mostly are.
fn compose(random: &mut Random) -> Vec<u8> {
    let method = random.pick(&["GET", "POST", "HEAD", "PUT", "OPTIONS", "get", "", "G E T", "\u{1}"]);
    let target = random.pick(&["/", "/echo", "/nowhere", "*", "http://a/", "", "/\u{7f}", "/ü", "/a b"]);
    let version =
        random.pick(&["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.", "HTTP/11", ""]);
    let end = random.pick(&["\r\n", "\r\n", "\r\n", "\n", "\r", ""]);
    let mut text = format!("{method} {target} {version}{end}");
    for _ in 0..random.below(6) {
        text.push_str(random.pick(HEADERS));
        text.push_str(end);
    }
    if random.below(20) == 0 {
        text.push_str(&format!("long: {}{end}", "y".repeat(random.below(3000))));
    }
    text.push_str(end);
    text.push_str(&"body ".repeat(random.below(4)));
    text.into_bytes()
}

/// Breaks some of the bytes: other ones, more, fewer, or moved.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..random.below(6) {
        let at = random.below(bytes.len());
        match random.below(5) {
            0 if !bytes.is_empty() => bytes[at] = random.next() as u8,
            1 => bytes.insert(at, *random.pick(&[&b'\r', &b'\n', &b' ', &b':', &0, &0xff])),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            3 => bytes.truncate(at),
            _ => {
                let copy = bytes[at..].to_vec();
                bytes.extend_from_slice(&copy);
                bytes.truncate(20_000);
            }
        }
    }
}

/// What one client sends, in writes of its own choice.
fn conversation(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    if random.below(8) == 0 {
        bytes.extend((0..random.below(200)).map(|_| random.next() as u8));
    } else {
        for _ in 0..=random.below(3) {
            bytes.extend(compose(random));
        }
    }
    mutate(random, &mut bytes);
    bytes
}

/// Sends it, ends the sending half, and reads to the end. Every answer is one, and there is an end.
fn talk(mut client: Client, bytes: &[u8], random: &mut Random) -> Result<usize, String> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(1 + random.below(rest.len()));
        if client.send(now).is_err() {
            break; // refused already
        }
        rest = later;
    }
    let _ = client.stream.get_ref().shutdown(Shutdown::Write);
    let mut answers = 0;
    loop {
        match client.answer_to_anything() {
            Ok(Some(100 | 200 | 400 | 404 | 405 | 408 | 413 | 431 | 501 | 505)) => {
                answers += 1;
            }
            Ok(Some(status)) => return Err(format!("an answer of status {status}")),
            Ok(None) => return Ok(answers),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                return Ok(answers);
            }
            Err(error) => return Err(format!("after {answers} answers: {error}")),
        }
    }
}

impl Client {
    /// As `answer`, but an answer to HEAD has no body, whatever its length; so bodies are told by what they hold.
    fn answer_to_anything(&mut self) -> io::Result<Option<u16>> {
        use std::io::{BufRead, Read};
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return if head.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
        }
        let Some(text) = head.strip_prefix("HTTP/1.1 ") else {
            return Err(io::Error::other(format!("not an answer: {head:?}")));
        };
        // The last one: its body is a line, or nothing, and then comes the end.
        if text.contains("\r\nconnection: close\r\n") {
            let mut body = String::new();
            self.stream.read_to_string(&mut body)?;
            if body.matches('\n').count() > 1 || body.contains("HTTP/") {
                return Err(io::Error::other(format!("something after the last answer: {body:?}")));
            }
        }
        // What the handler here answers begins with a dot, ends with a newline, and has no other one.
        if self.stream.fill_buf().is_ok_and(|next| next.first() == Some(&b'.')) {
            self.stream.read_line(&mut String::new())?;
        }
        text.get(..3).and_then(|status| status.parse().ok()).map(Some).ok_or_else(|| io::Error::other(head))
    }
}

fn answer(request: &Request) -> Response {
    match request.target.as_str() {
        "/" => Response::new(200, ".hello\n"),
        "/echo" => Response::new(200, format!(".{}\n", request.body.len())),
        _ => Response::new(404, ".nowhere\n"),
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[gort::test(unsafe(migrate))]
fn every_conversation_comes_to_its_end() {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = number("FUZZ_SEED", time.as_nanos() as u64) | 1;
    let rounds = number("FUZZ_ROUNDS", 2000);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (ctx, stop) = gort::context::background().with_cancel();
    let limits = Limits { body: 10_000, idle_time: Duration::from_secs(30), ..Limits::default() };
    let begun = Arc::new(AtomicUsize::new(0));
    let ended = Arc::new(AtomicUsize::new(0));
    let (count_begun, count_ended) = (Arc::clone(&begun), Arc::clone(&ended));
    let serving = gort::go(move || {
        serve::serve(&listener, &ctx, move |stream, ctx| {
            // Relaxed, here and below: counts, compared when all is over and joined.
            count_begun.fetch_add(1, Ordering::Relaxed);
            let result = front::serve_connection(stream, ctx, &limits, answer);
            count_ended.fetch_add(1, Ordering::Relaxed); // not after a panic
            result
        });
    });

    // The clients are threads: they look at the server from outside.
    let results = gort::blocking(|| {
        std::thread::scope(|s| {
            let threads: Vec<_> = (0..4u64)
                .map(|thread| {
                    s.spawn(move || {
                        let mut random = Random(seed.wrapping_add(thread << 32));
                        let mut answers = 0;
                        for round in 0..rounds / 4 {
                            let bytes = conversation(&mut random);
                            let shown = String::from_utf8_lossy(&bytes).into_owned();
                            match talk(Client::connect(addr), &bytes, &mut random) {
                                Ok(more) => answers += more,
                                Err(what) => {
                                    return Err(format!("thread {thread}, round {round}: {what}: {shown:?}"));
                                }
                            }
                        }
                        Ok(answers)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        })
    });
    stop.cancel();
    serving.join().unwrap();
    let (begun, ended) = (begun.load(Ordering::Relaxed), ended.load(Ordering::Relaxed));
    let mut answers = 0;
    for result in results {
        answers += result.unwrap_or_else(|what| panic!("FUZZ_SEED={seed}: {what}"));
    }
    assert_eq!(begun, ended, "FUZZ_SEED={seed}: connections have panicked");
    assert!(
        begun as u64 >= rounds / 4 * 4 && answers as u64 > rounds / 4,
        "FUZZ_SEED={seed}: {begun}, {answers}"
    );
}
