//! hyper on goroutines: kept connections, bodies in pieces, pipelining, early answers, the end.

mod common;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::{Client, PATIENCE, Server, eventually};
use rustix::process::Signal;

fn start() -> Server {
    Server::start(&mut Command::new(env!("CARGO_BIN_EXE_hyper")))
}

#[test]
fn a_connection_is_kept_for_many_requests() {
    let server = start();
    let mut client = server.connect();
    for _ in 0..100 {
        let answer = client.get("/");
        assert_eq!((answer.status, answer.body.as_str()), (200, "hello from a goroutine\n"));
    }
    assert_eq!(client.get("/nowhere").status, 404);
    assert_eq!(client.ask("PUT / HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n").status, 405);
    drop(client);
    server.terminate();
}

#[test]
fn a_body_may_come_in_pieces() {
    let server = start();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    for piece in ["5\r\nhel", "lo\r\n", "6\r\n world\r\n", "0\r\n\r\n"] {
        thread::sleep(Duration::from_millis(20));
        client.send(piece).unwrap();
    }
    assert_eq!(client.answer().unwrap().unwrap().body, "hello world");
    let text = "x".repeat(300_000);
    let request = format!("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{text}", text.len());
    assert_eq!(client.ask(&request).body, text);
}

/// The answer is on its way although the client has not sent what it has announced: the goroutine must not wait for that
/// first.
#[test]
fn an_answer_may_come_before_the_body() {
    let server = start();
    let mut client = server.connect();
    client.send("POST /nowhere HTTP/1.1\r\nhost: test\r\ncontent-length: 100000\r\n\r\nabc").unwrap();
    assert_eq!(client.answer().unwrap().unwrap().status, 404);

    let mut client = server.connect();
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        .unwrap();
    assert_eq!(client.answer().unwrap().unwrap().status, 100);
    client.send("abc").unwrap();
    assert_eq!(client.answer().unwrap().unwrap().body, "abc");
}

#[test]
fn requests_may_come_all_at_once() {
    let server = start();
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n".repeat(200)).unwrap();
    for _ in 0..200 {
        assert_eq!(client.answer().unwrap().unwrap().status, 200);
    }
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_client_that_has_ended_its_half_is_answered() {
    let server = start();
    let mut client = server.connect();
    client.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    client.stream.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.answer().unwrap().unwrap().body, "hello, late\n");
    assert!(client.is_closed());
}

/// One goroutine sleeps in its handler, and the others go on.
#[test]
fn a_handler_may_block() {
    let server = start();
    let mut slow: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut slow {
        client.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    }
    assert_eq!(server.connect().get("/").status, 200);
    for client in &mut slow {
        assert_eq!(client.answer().unwrap().unwrap().body, "hello, late\n");
    }
}

/// hyper's timer is the socket's deadline, which bytes do not move.
#[test]
fn slow_and_silent_clients_are_cut_off() {
    let server = Server::start(Command::new(env!("CARGO_BIN_EXE_hyper")).env("HYPER_HURRY", "1"));
    let mut silent = server.connect();
    let mut body = server.connect();
    body.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nabc").unwrap();
    let mut slow = server.connect();
    slow.send("GET / HTTP/1.1\r\nx: ").unwrap();
    let began = Instant::now();
    while slow.send("y").is_ok() {
        assert!(began.elapsed() < PATIENCE, "not cut off");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(silent.is_closed());
    // The handler has seen that its body broke off, and may have said so.
    assert!(body.answer().map_or(true, |answer| answer.is_none_or(|answer| answer.status >= 400)));
    assert!(body.is_closed());
    assert_eq!(server.connect().get("/").status, 200);
}

#[test]
fn the_end_answers_what_was_asked_and_closes_the_rest() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = start();
        let mut idle: Vec<Client> = (0..10).map(|_| server.connect()).collect();
        for client in &mut idle[..5] {
            assert_eq!(client.get("/").status, 200);
        }
        // Both have been read when the answer to the first of them is there.
        let mut busy = server.connect();
        busy.send("GET / HTTP/1.1\r\nhost: test\r\n\r\nGET /slow HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        assert_eq!(busy.answer().unwrap().unwrap().status, 200);
        let mut writing = server.connect();
        let head = "POST / HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(writing.ask(head).status, 100);

        server.signal(signal);
        for client in &mut idle {
            assert!(client.is_closed());
        }
        writing.send("abc").unwrap();
        let written = writing.answer().unwrap().unwrap();
        assert_eq!((written.status, written.body.as_str()), (200, "abc"));
        assert_eq!(busy.answer().unwrap().unwrap().body, "hello, late\n");
        assert!(busy.is_closed() && writing.is_closed());
        let (status, printed) = server.wait();
        assert!(status.success(), "{status}: {printed}");
        assert!(printed.ends_with("all connections have ended\n"), "{printed:?}");
    }
}

#[test]
fn descriptors_come_back() {
    let server = start();
    assert_eq!(server.connect().get("/").status, 200);
    eventually("the first connection is closed", || {
        let at_rest = server.descriptors();
        let mut clients: Vec<Client> = (0..100).map(|_| server.connect()).collect();
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
        assert!(server.descriptors() >= 100);
        drop(clients);
        eventually("all connections are closed", || server.descriptors() < at_rest + 50);
        server.descriptors() <= at_rest
    });
}
