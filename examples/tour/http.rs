//! What the stops about the web share: as little HTTP as will do, one request per connection.

use std::io::{self, BufRead, BufReader, Read, Write};

use gort::net::{SocketAddr, TcpStream};

/// Reads a request's head, and gives the path.
pub(crate) fn read_request(stream: &TcpStream) -> io::Result<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or(Err(io::ErrorKind::UnexpectedEof.into()))?;
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    Ok(first.split(' ').nth(1).unwrap_or_default().to_owned())
}

/// Answers it; the end of the answer is the end of the connection.
pub(crate) fn respond(mut stream: &TcpStream, status: u16, body: &str) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status} \r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// Asks for a page: the status, and the text.
pub(crate) fn get(addr: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(addr)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {addr}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let parts = answer.split_once("\r\n\r\n").zip(answer.split(' ').nth(1).and_then(|s| s.parse().ok()));
    let ((_, body), status) = parts.ok_or(io::ErrorKind::InvalidData)?;
    Ok((status, body.to_owned()))
}
