//! TLS on goroutines: many clients, ends and cuts told apart, strangers refused.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gort::context::CancelFn;
use gort::net::{TcpListener, TcpStream};
use gort_examples_net::serve;
use gort_examples_net::tls::{self, Identity};

/// Serves until the `CancelFn` is called or dropped; the channel is closed when the server has ended.
fn start(identity: &Identity) -> (SocketAddr, CancelFn, gort::channel::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let config = identity.server_config().unwrap();
    let (ctx, stop) = gort::context::background().with_cancel();
    let (over, ended) = gort::chan(0);
    gort::go! {
        serve::serve(&listener, &ctx, move |stream, ctx| tls::shout_back(stream, ctx, Arc::clone(&config)));
        drop(over);
    };
    (addr, stop, ended)
}

#[gort::test(unsafe(migrate))]
fn many_clients_at_once() {
    let identity = Identity::make().unwrap();
    let (addr, stop, ended) = start(&identity);
    let config = identity.client_config().unwrap();
    gort::scope(|s| {
        for client in 0..50 {
            let config = Arc::clone(&config);
            s.go(move || {
                let stream = tls::connect(TcpStream::connect(addr).unwrap(), config).unwrap();
                let mut stream = BufReader::new(stream);
                for line in 0..20 {
                    writeln!(stream.get_mut(), "from {client}: {line}").unwrap();
                    let mut answer = String::new();
                    stream.read_line(&mut answer).unwrap();
                    assert_eq!(answer, format!("FROM {client}: {line}\n"));
                }
                stream.get_mut().conn.send_close_notify();
                stream.get_mut().flush().unwrap();
                assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the server has said goodbye too");
            });
        }
    });
    stop.cancel();
    assert!(ended.recv().is_err());
}

#[gort::test(unsafe(migrate))]
fn lines_longer_than_a_record() {
    let identity = Identity::make().unwrap();
    let (addr, _stop, _) = start(&identity);
    let stream = tls::connect(TcpStream::connect(addr).unwrap(), identity.client_config().unwrap()).unwrap();
    let mut stream = BufReader::new(stream);
    let line = "abc".repeat(15_000);
    writeln!(stream.get_mut(), "{line}").unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    assert_eq!(answer.trim_end(), line.to_uppercase());
}

#[gort::test(unsafe(migrate))]
fn a_stranger_is_not_trusted() {
    let (identity, other) = (Identity::make().unwrap(), Identity::make().unwrap());
    let (addr, _stop, _) = start(&identity);
    let mut stream = tls::connect(TcpStream::connect(addr).unwrap(), other.client_config().unwrap()).unwrap();
    let error = stream.write_all(b"hello\n").and_then(|()| stream.flush()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[gort::test(unsafe(migrate))]
fn who_speaks_no_tls_is_sent_away() {
    let identity = Identity::make().unwrap();
    let (addr, stop, ended) = start(&identity);
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => assert!(rest.len() < 64, "an alert at most: {rest:?}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    stop.cancel();
    assert!(ended.recv().is_err());
}

#[gort::test(unsafe(migrate))]
fn a_cut_is_not_an_end() {
    let identity = Identity::make().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let config = identity.server_config().unwrap();
    let server = gort::go(move || -> io::Result<()> {
        let (stream, _) = listener.accept()?;
        tls::shout_back(stream, &gort::context::background(), config)
    });
    let mut stream =
        tls::connect(TcpStream::connect(addr).unwrap(), identity.client_config().unwrap()).unwrap();
    stream.write_all(b"unfinished").unwrap();
    stream.flush().unwrap();
    stream.sock.shutdown(Shutdown::Write).unwrap(); // without a close_notify
    let error = server.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
}

#[gort::test(unsafe(migrate))]
fn the_end_of_the_server_is_said() {
    let identity = Identity::make().unwrap();
    let (addr, stop, ended) = start(&identity);
    let mut stream =
        tls::connect(TcpStream::connect(addr).unwrap(), identity.client_config().unwrap()).unwrap();
    stream.write_all(b"hello\n").unwrap();
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).unwrap();
    stop.cancel();
    assert_eq!(stream.read(&mut answer).unwrap(), 0, "an end, not a cut");
    assert!(ended.recv().is_err());
}

#[test]
fn the_program() {
    let output = Command::new(env!("CARGO_BIN_EXE_tls")).args(["40", "5"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.starts_with("40 clients, 5 lines each, all answered: "), "{printed}");
}
