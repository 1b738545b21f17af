//! WebSockets on goroutines: many clients, long messages, pings, refusals, the end.

mod common;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use common::{Server, eventually};
use gort::net::TcpStream;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

fn start() -> Server {
    Server::start(&mut Command::new(env!("CARGO_BIN_EXE_websocket")))
}

fn connect(addr: SocketAddr) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
    tungstenite::client(format!("ws://{addr}/"), stream).map(|(socket, _)| socket).unwrap()
}

#[gort::test(unsafe(migrate))]
fn many_clients_at_once() {
    let server = start();
    let addr = server.addr;
    let at_rest = server.descriptors();
    gort::scope(|s| {
        for client in 0..200 {
            s.go(move || {
                let mut socket = connect(addr);
                for number in 0..10 {
                    let text = format!("{client}: {number}");
                    socket.send(Message::text(text.clone())).unwrap();
                    assert_eq!(socket.read().unwrap(), Message::text(text));
                }
                socket.close(None).unwrap();
                while socket.read().is_ok() {}
            });
        }
    });
    eventually("all connections are closed", || server.descriptors() <= at_rest);
    server.terminate();
}

#[gort::test(unsafe(migrate))]
fn long_messages_and_pings() {
    let server = start();
    let mut socket = connect(server.addr);
    let long: Vec<u8> = (0..900_000u32).map(|n| n as u8).collect();
    socket.send(Message::binary(long.clone())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::binary(long));
    socket.send(Message::Ping("are you there?".into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong("are you there?".into()));
}

#[gort::test(unsafe(migrate))]
fn too_long_a_message_ends_the_connection() {
    let server = start();
    let mut socket = connect(server.addr);
    // The server may be gone before everything is sent.
    let sent = socket.send(Message::binary(vec![0; 2 << 20]));
    assert!(sent.is_err() || socket.read().is_err());
    assert!(connect(server.addr).send(Message::text("still here")).is_ok());
}

#[gort::test(unsafe(migrate))]
fn clients_are_told_that_the_server_ends() {
    let server = start();
    let mut sockets: Vec<_> = (0..20).map(|_| connect(server.addr)).collect();
    for socket in &mut sockets {
        socket.send(Message::text("x")).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text("x"));
    }
    let waiting: Vec<_> = sockets
        .into_iter()
        .map(|mut socket| {
            gort::go(move || {
                let Ok(Message::Close(Some(frame))) = socket.read() else { panic!("not told") };
                assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Away, "the server is ending"));
                let error = socket.read().unwrap_err();
                assert!(matches!(error, Error::ConnectionClosed), "{error}");
            })
        })
        .collect();
    gort::sleep(Duration::from_millis(50));
    server.terminate();
    for client in waiting {
        client.join().unwrap();
    }
}

#[test]
fn who_speaks_another_language_is_sent_away() {
    let server = start();
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    assert!(client.answer().map_or(true, |answer| answer.is_none_or(|answer| answer.status >= 400)));
    assert!(client.is_closed());
    server.terminate();
}
