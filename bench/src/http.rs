//! What the hello servers say, and `wrk`, which asks them.
//!
//! The program being measured starts `wrk` as a child: a child's CPU time is
//! not part of `getrusage(RUSAGE_SELF)`, so what is counted is the server's.
//! `wrk` knows whole seconds only; it is started for longer than needed and told
//! to stop, upon which it finishes its account, and that is what is used.

use crate::Sample;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The body of the answer.
pub const HELLO: &str = "Hello, world!";

/// A whole answer, for the servers that are written by hand.
pub const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";

/// Room for the requests of one connection.
pub const REQUEST_BUFFER: usize = 2048;

/// The length of the request at the start of `bytes`, if it is complete.
/// Bodies are for another server.
pub fn request_length(bytes: &[u8]) -> io::Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    match httparse::Request::new(&mut headers).parse(bytes) {
        Ok(httparse::Status::Complete(length)) => Ok(Some(length)),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

/// Serves one connection until its client goes away, and counts the answers.
pub fn serve(mut stream: impl Read + Write, served: &AtomicU64) -> io::Result<()> {
    let mut buffer = [0; REQUEST_BUFFER];
    let mut filled = 0;
    loop {
        let n = stream.read(&mut buffer[filled..])?;
        if n == 0 {
            return Ok(());
        }
        filled += n;
        let mut start = 0;
        while let Some(length) = request_length(&buffer[start..filled])? {
            start += length;
            served.fetch_add(1, Relaxed);
            stream.write_all(ANSWER)?;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}

/// What `wrk` has seen.
pub struct Load {
    /// Answers.
    pub requests: u64,
    per_second: f64,
    connections: u64,
}

impl Load {
    /// Keeps `connections` connections of the server busy for so many
    /// milliseconds after its first answer. Blocks the thread. Panics if one
    /// request fails.
    pub fn run(server: SocketAddr, connections: u64, milliseconds: u64, served: &AtomicU64) -> Self {
        let mut wrk = Command::new("wrk");
        let longer = format!("-d{}s", milliseconds / 1000 + 60);
        wrk.args(["-t1", &longer, &format!("-c{connections}"), &format!("http://{server}/")]);
        // SAFETY: between fork and exec there is one system call, which neither
        // allocates nor locks.
        unsafe { wrk.pre_exec(anywhere) };
        let child = wrk.stdout(Stdio::piped()).spawn().expect("wrk");
        let started = Instant::now();
        while served.load(Relaxed) == 0 {
            assert!(started.elapsed() < Duration::from_secs(10), "no request came");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(milliseconds.max(300)));
        // SAFETY: the child is ours and has not been waited for, so that its
        // number is still its own.
        let code = unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) };
        assert_eq!(code, 0, "kill");
        let report = child.wait_with_output().expect("wrk").stdout;
        Self::of(&String::from_utf8_lossy(&report), connections)
    }

    fn of(report: &str, connections: u64) -> Self {
        let trouble = report.lines().find(|line| line.contains("errors") || line.contains("Non-2xx"));
        assert!(trouble.is_none(), "wrk: {}", trouble.unwrap_or_default().trim());
        let requests =
            report.lines().find_map(|line| line.split_once(" requests in ")?.0.trim().parse().ok());
        let rate = report.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
        let (Some(requests), Some(per_second)) = (requests, rate) else { panic!("wrk said: {report}") };
        Self { requests, per_second, connections }
    }

    /// Compares `wrk`'s count with the server's, which may have answered one
    /// more request on each connection, and adds the rate.
    pub fn add_to(&self, sample: Sample, served: u64) -> Sample {
        let range = self.requests..=self.requests + self.connections;
        assert!(self.requests > 0 && range.contains(&served), "wrk: {}, server: {served}", self.requests);
        sample.and("rps", self.per_second)
    }
}

/// Lets this process run on all CPUs, where its parent has confined itself.
fn anywhere() -> io::Result<()> {
    let all = [u8::MAX; size_of::<libc::cpu_set_t>()];
    // SAFETY: the pointer is to as many bytes as a set has, which the call reads.
    let code = unsafe { libc::sched_setaffinity(0, all.len(), all.as_ptr().cast()) };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
