//! The server by hand, and what clients can do to it.

mod common;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{Client, PATIENCE, Server, eventually};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_front"))
}

fn start() -> Server {
    Server::start(&mut program())
}

/// With time limits of half a second, two for idle connections.
fn start_in_a_hurry() -> Server {
    Server::start(program().env("FRONT_HURRY", "1"))
}

/// The server's goroutines, and its connections.
fn stats(client: &mut Client) -> (usize, usize) {
    let text = client.get("/stats").body;
    let (goroutines, connections) = text.trim_end().split_once(' ').expect("two numbers");
    (goroutines.parse().unwrap(), connections.parse().unwrap())
}

#[test]
fn requests_and_answers() {
    let server = start();
    let mut client = server.connect();
    for _ in 0..50 {
        assert_eq!(client.get("/").body, "hello\n");
    }
    assert_eq!(client.ask("POST /echo HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello").body, "hello");
    assert_eq!(client.get("/echo").status, 405);
    assert_eq!(client.get("/nowhere").status, 404);

    let answer = client.ask("GET / HTTP/1.1\r\nconnection: close\r\n\r\n");
    assert!(answer.headers.contains("connection: close"), "{answer:?}");
    assert!(client.is_closed());
    let mut old = server.connect();
    assert_eq!(old.ask("GET / HTTP/1.0\r\n\r\n").status, 200);
    assert!(old.is_closed());
    server.terminate();
}

#[test]
fn head_has_a_length_and_no_body() {
    let server = start();
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut client.stream, &mut text).unwrap();
    assert_eq!(text.matches("content-length: 6").count(), 2, "{text}");
    assert_eq!(text.matches("hello").count(), 1, "{text}");
}

#[test]
fn requests_may_come_all_at_once_or_byte_by_byte() {
    let server = start();
    let mut client = server.connect();
    let request = "POST /echo HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc";
    client.send(request.repeat(500)).unwrap();
    for _ in 0..500 {
        assert_eq!(client.answer().unwrap().unwrap().body, "abc");
    }
    for byte in request.as_bytes() {
        client.send([*byte]).unwrap();
    }
    assert_eq!(client.answer().unwrap().unwrap().body, "abc");
}

#[test]
fn what_is_refused() {
    let server = start();
    let too_long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(9000));
    let endless = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(9000));
    let too_many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
    let huge = format!("POST /echo HTTP/1.1\r\ncontent-length: 1200000\r\n\r\n{}", "x".repeat(1_200_000));
    for (request, status) in [
        ("\0\0\0\0\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (&huge, 413),
        (&too_long, 431),
        (&endless, 431),
        (&too_many, 431),
        ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        ("GET / HTTP/3.0\r\n\r\n", 505),
    ] {
        let mut client = server.connect();
        // The server may be through with a client that is not through with its request yet.
        let _ = client.send(request);
        let shown = &request[..request.len().min(60)];
        let answer = client.answer().unwrap_or_else(|error| panic!("{shown:?}: {error}"));
        let answer = answer.unwrap_or_else(|| panic!("{shown:?}: no answer"));
        assert_eq!(answer.status, status, "{shown:?}");
        assert!(answer.headers.contains("connection: close"), "{shown:?}");
        // It fails if the server has gone.
        let _ = client.stream.get_ref().shutdown(std::net::Shutdown::Write);
        assert!(client.is_closed(), "{shown:?}");
    }
    assert_eq!(server.connect().get("/").status, 200);
    server.terminate();
}

#[test]
fn a_client_that_waits_for_the_word_gets_it() {
    let server = start();
    let mut client = server.connect();
    let head = "POST /echo HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n";
    assert_eq!(client.ask(head).status, 100);
    assert_eq!(client.ask("abc").body, "abc");
}

/// A byte now and then renews nothing, neither in the head nor in the body. A client that comes to look for its answer
/// only when the server has gone for good (on a busy machine) sees a reset.
#[test]
fn slow_clients_are_cut_off() {
    let server = start_in_a_hurry();
    let endless_head = "GET / HTTP/1.1\r\nx: ";
    let endless_body = "POST /echo HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n";
    thread::scope(|s| {
        for beginning in [endless_head, endless_body] {
            for _ in 0..20 {
                let server = &server;
                s.spawn(move || {
                    let mut client = server.connect();
                    client.send(beginning).unwrap();
                    let began = Instant::now();
                    client.stream.get_ref().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                    let answer = loop {
                        assert!(began.elapsed() < PATIENCE, "not cut off");
                        // Fails as soon as the server has gone.
                        let _ = client.send("y");
                        match client.answer() {
                            Err(error)
                                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                            answer => break answer.unwrap().unwrap(),
                        }
                    };
                    assert_eq!(answer.status, 408);
                });
            }
        }
    });
    assert_eq!(server.connect().get("/").status, 200);
}

/// Whether it never says anything, stops in the middle, or between requests.
#[test]
fn silent_clients_are_cut_off() {
    let server = start_in_a_hurry();
    let mut never = server.connect();
    let mut middle = server.connect();
    middle.send("GET / HTT").unwrap();
    let mut between = server.connect();
    assert_eq!(between.get("/").status, 200);
    assert_eq!(middle.answer().unwrap().unwrap().status, 408);
    assert!(middle.is_closed() && never.is_closed() && between.is_closed());
}

/// The answers fill what the kernel holds, and then the server's goroutine waits, but not for ever.
#[test]
fn who_does_not_read_is_cut_off() {
    let server = start_in_a_hurry();
    let mut client = server.connect();
    let text = "x".repeat(500_000);
    let request = format!("POST /echo HTTP/1.1\r\ncontent-length: {}\r\n\r\n{text}", text.len());
    let began = Instant::now();
    while client.send(&request).is_ok() {
        assert!(began.elapsed() < PATIENCE, "not cut off");
    }
    let mut watcher = server.connect();
    eventually("the connection is closed", || stats(&mut watcher).1 == 1);
}

#[test]
fn clients_that_vanish_leave_nothing_behind() {
    let server = start();
    let mut watcher = server.connect();
    let at_rest = stats(&mut watcher);
    let descriptors = server.descriptors();
    for beginning in
        ["", "GET / HT", "POST /echo HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc", "GET / HTTP/1.1\r\n\r\n"]
    {
        for reset in [false, true] {
            for _ in 0..25 {
                let mut client = server.connect();
                client.send(beginning).unwrap();
                if reset {
                    let at_once = Some(Duration::ZERO);
                    rustix::net::sockopt::set_socket_linger(client.stream.get_ref(), at_once).unwrap();
                }
            }
        }
    }
    eventually("all connections are closed", || stats(&mut watcher) == at_rest);
    eventually("all descriptors are closed", || server.descriptors() <= descriptors);
    server.terminate();
}

#[test]
fn two_thousand_connections() {
    const MANY: usize = 2000;
    // The server inherits this.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    if limit.maximum.is_some_and(|maximum| maximum < MANY as u64 + 200) {
        // Not by `eprintln`, which the test harness would swallow.
        writeln!(std::io::stderr(), "skipped: no more than {:?} descriptors are allowed", limit.maximum)
            .unwrap();
        return;
    }
    let server = start();
    let mut watcher = server.connect();
    let at_rest = stats(&mut watcher);
    let descriptors = server.descriptors();
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..MANY {
        clients.push(server.connect());
    }
    for round in 0..2 {
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\n\r\n").unwrap();
        }
        for (number, client) in clients.iter_mut().enumerate() {
            let answer = client.answer().map(|answer| answer.map(|answer| answer.body));
            assert!(matches!(&answer, Ok(Some(body)) if body == "hello\n"), "{round}, {number}: {answer:?}");
        }
    }
    let (goroutines, connections) = stats(&mut watcher);
    assert_eq!(connections, MANY + 1);
    assert!(goroutines > MANY, "{goroutines}");
    assert!(server.descriptors() >= MANY);
    drop(clients);
    eventually("all connections are closed", || stats(&mut watcher) == at_rest);
    eventually("all descriptors are closed", || server.descriptors() <= descriptors);
    server.terminate();
}

/// As many connections as the server can have descriptors, 20,000 where that is allowed, and a hundred more. Everybody who got
/// in is answered, nothing stalls, the rest get in when others leave, and in the end everything is as it was.
#[test]
fn twenty_thousand_connections() {
    const MOST: u64 = 20_000;
    let limit = getrlimit(Resource::Nofile).maximum.map_or(MOST, |maximum| maximum.min(MOST));
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" 0.0.0.0:0"), env!("CARGO_BIN_EXE_front")]);
    let server = Server::start(&mut limited);
    let mut watcher = server.connect();
    let at_rest = stats(&mut watcher);
    let descriptors = server.descriptors();

    // Two processes, for each client needs a descriptor as well. And at two addresses: where ten thousand ports are in use for
    // the same one, the kernel takes half a millisecond of CPU time to find the next, and on a busy machine the first clients would
    // be silent for too long meanwhile.
    let size = limit as usize / 2 + 50;
    let at = |last| SocketAddr::from(([127, 0, 0, last], server.addr.port()));
    let first = Crowd::start(at(1), size);
    first.hears("answered");
    let second = Crowd::start(at(2), size);
    second.hears("connected");
    eventually("it has used up its descriptors", || server.descriptors() >= limit as usize);
    eventually("it has answered all who got in, and does not spin at the door", || {
        let before = cpu_ticks(server.pid());
        thread::sleep(Duration::from_millis(500));
        cpu_ticks(server.pid()) - before <= 25
    });
    let (goroutines, connections) = stats(&mut watcher);
    assert!(goroutines > connections && connections > limit as usize - 100, "{goroutines} {connections}");

    first.leave();
    second.hears("answered");
    second.leave();
    eventually("all connections are closed", || stats(&mut watcher) == at_rest);
    eventually("all descriptors are closed", || server.descriptors() <= descriptors);
    server.terminate();
}

/// Many clients in a process of their own.
struct Crowd {
    process: Child,
    says: mpsc::Receiver<String>,
}

impl Crowd {
    fn start(addr: SocketAddr, size: usize) -> Crowd {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["crowd", "--exact", "--nocapture"])
            .env("FRONT_CROWD", format!("{addr} {size}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (say, says) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| say.send(line)));
        Crowd { process, says }
    }

    fn hears(&self, word: &str) {
        while self.says.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{word}: {error}")) != word {}
    }

    /// All of them leave.
    fn leave(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
    }
}

/// The other side of [`Crowd`]; by itself, a small one.
#[test]
fn crowd() {
    let Ok(order) = std::env::var("FRONT_CROWD") else {
        let server = start();
        let clients = be_a_crowd(server.addr, 100);
        assert_eq!(stats(&mut server.connect()).1, clients.len() + 1);
        return server.terminate();
    };
    let (addr, size) = order.split_once(' ').unwrap();
    let _clients = be_a_crowd(addr.parse().unwrap(), size.parse().unwrap());
    // Until told to leave.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn be_a_crowd(addr: SocketAddr, size: usize) -> Vec<Client> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let mut clients: Vec<Client> = Vec::with_capacity(size);
    for _ in 0..size {
        let mut client = Client::connect(addr);
        client.send("GET / HTTP/1.1\r\n\r\n").unwrap();
        clients.push(client);
    }
    println!("\nconnected");
    for (number, client) in clients.iter_mut().enumerate() {
        let answer = client.answer().map(|answer| answer.map(|answer| answer.body));
        assert!(matches!(&answer, Ok(Some(body)) if body == "hello\n"), "{number}: {answer:?}");
    }
    println!("answered");
    clients
}

/// With 64 descriptors and 200 clients: those that got in are served, the others wait at the door, and get in as soon as
/// somebody leaves. The accept loop pauses in between: it must neither end nor spin.
#[test]
fn at_the_limit_of_descriptors() {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 64 && exec \"$0\"", env!("CARGO_BIN_EXE_front")]);
    let server = Server::start(&mut limited);
    let mut first = server.connect();
    assert_eq!(first.get("/").body, "hello\n");

    let mut clients: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\n\r\n").unwrap();
    }
    eventually("it has used up its descriptors", || server.descriptors() >= 64);
    let before = cpu_ticks(server.pid());
    thread::sleep(Duration::from_millis(500));
    let spent = cpu_ticks(server.pid()) - before;
    assert!(spent <= 25, "{spent} hundredths of a second of CPU time while it could do nothing");
    assert_eq!(first.get("/").body, "hello\n", "who is in is served");

    // In the order in which they came they are answered, leave, and so let others in.
    for mut client in clients.drain(..) {
        assert_eq!(client.answer().unwrap().unwrap().body, "hello\n");
    }
    assert_eq!(server.connect().get("/").body, "hello\n");
    drop(first);
    server.terminate();
}

/// User and system time of a process, in hundredths of a second.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[test]
fn the_end_serves_what_has_begun_and_closes_the_rest() {
    let server = start();
    let mut never = server.connect();
    let mut idle = server.connect();
    assert_eq!(idle.get("/").status, 200);
    let mut begun = server.connect();
    let head = "POST /echo HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n";
    assert_eq!(begun.ask(head).status, 100);

    server.signal(rustix::process::Signal::TERM);
    assert!(never.is_closed() && idle.is_closed());
    begun.stream.get_mut().write_all(b"abc").unwrap();
    let answer = begun.answer().unwrap().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "abc"));
    assert!(answer.headers.contains("connection: close"), "{answer:?}");
    begun.stream.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    assert!(begun.is_closed());
    let (status, printed) = server.wait();
    assert!(status.success(), "{status}: {printed}");
}
