//! The Redis program against a real server, which is started for it where there is one to start.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// A server of its own at some free port of loopback, which keeps nothing.
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    /// `None` if no server is installed.
    fn start() -> Option<Redis> {
        // Somebody may take the port before the server does: then with another one.
        (0..10)
            .find_map(|_| Redis::start_at(free_port()).transpose())
            .map(|result| result.expect("it can be run"))
    }

    fn start_at(port: u16) -> std::io::Result<Option<Redis>> {
        let mut command = Command::new("redis-server");
        command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        command.args(["--dir", "/"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let log = BufReader::new(child.stdout.take().expect("it has been asked for"));
        let ready =
            log.lines().map_while(Result::ok).any(|line| line.to_lowercase().contains("ready to accept"));
        let redis = Redis { child, port };
        Ok(ready.then_some(redis))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Both fail if it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("there is a free port")
        .port()
}

#[test]
fn sixty_four_goroutines_on_two_processors() {
    let Some(redis) = Redis::start() else {
        // Not by `eprintln`, which the test harness would swallow.
        writeln!(std::io::stderr(), "skipped: there is no redis-server on PATH").unwrap();
        return;
    };
    let url = format!("redis://127.0.0.1:{}/", redis.port);
    let output = Command::new(env!("CARGO_BIN_EXE_redis")).arg(url).output().unwrap();
    let (printed, said) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{printed}{said}");
    assert_eq!(printed, "64 goroutines counted to 3200\n", "{said}");
}
