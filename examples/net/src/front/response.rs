//! An answer, and its bytes on the wire.

use super::Refusal;

/// What the handler gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 200, ..
    pub status: u16,
    /// More headers than the length and the connection, which are taken care of.
    pub headers: Vec<(&'static str, String)>,
    /// Sent with its length.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer of that status with a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Response {
        Response { status, headers: Vec::new(), body: body.into() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.headers.push((name, value.into()));
        self
    }

    /// The whole, so that it goes out in one write. An answer to HEAD names the length of a body that it does not have.
    pub(super) fn to_bytes(&self, keep_alive: bool, head_only: bool) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str(&format!("content-length: {}\r\n", self.body.len()));
        bytes.push_str(if keep_alive { "\r\n" } else { "connection: close\r\n\r\n" });
        let mut bytes = bytes.into_bytes();
        if !head_only {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Response {
        let status = match refusal {
            Refusal::Malformed => 400,
            Refusal::TooSlow => 408,
            Refusal::BodyTooLong => 413,
            Refusal::HeadTooLong => 431,
            Refusal::NotImplemented => 501,
            Refusal::Version => 505,
        };
        Response::new(status, format!("{status} {}\n", reason(status)))
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
