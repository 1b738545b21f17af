//! A request's head, parsed by httparse and then judged.
//!
//! [`Head::parse`] is given all bytes that have come so far, from the beginning each time, so it keeps no state; heads are
//! short. What it lets through is what the rest of the server relies on: one length of the body, known before it is read.

/// The most headers that are taken.
const HEADERS: usize = 64;

/// What the handler sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, ..
    pub method: String,
    /// What is asked for, as the client has written it: `/path?query`, mostly.
    pub target: String,
    /// Names in lower case, and values, in the order they came in.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Empty if there is none.
    pub body: Vec<u8>,
    /// The client may want to send another request afterwards.
    pub keep_alive: bool,
}

impl Request {
    /// The first header of that name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_slice())
    }
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400: it is not HTTP, or contradicts itself.
    Malformed,
    /// 408: it did not come in time.
    TooSlow,
    /// 413
    BodyTooLong,
    /// 431: too many headers, or too long.
    HeadTooLong,
    /// 501: a transfer encoding.
    NotImplemented,
    /// 505: neither HTTP/1.1 nor HTTP/1.0.
    Version,
}

/// A complete head.
#[derive(Debug)]
pub(super) struct Head {
    /// Without its body.
    pub(super) request: Request,
    /// Bytes of the head.
    pub(super) size: usize,
    /// Bytes of the body that follows.
    pub(super) body: usize,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) wants_continue: bool,
}

impl Head {
    /// `None`: there is more to come.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Head>, Refusal> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let size = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(size)) => size,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLong),
            Err(httparse::Error::Version) => return Err(Refusal::Version),
            Err(_) => return Err(Refusal::Malformed),
        };
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(Refusal::Malformed);
        };
        let headers =
            parsed.headers.iter().map(|h| (h.name.to_ascii_lowercase(), h.value.to_vec())).collect();
        let mut request = Request {
            method: method.into(),
            target: target.into(),
            headers,
            body: Vec::new(),
            keep_alive: false,
        };
        let persistent =
            if minor == 0 { has_token(&request, "keep-alive") } else { !has_token(&request, "close") };
        request.keep_alive = persistent;
        let body = body_size(&request)?;
        let wants_continue =
            minor == 1 && request.header("expect").is_some_and(|v| v.eq_ignore_ascii_case(b"100-continue"));
        Ok(Some(Head { request, size, body, wants_continue }))
    }
}

/// Whether the `connection` header says `token`.
fn has_token(request: &Request, token: &str) -> bool {
    request.header("connection").is_some_and(|value| {
        value.split(|byte| *byte == b',').any(|word| word.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// The body's length. Two lengths, or a length and an encoding, are how one request is smuggled inside another.
fn body_size(request: &Request) -> Result<usize, Refusal> {
    let encoded = request.header("transfer-encoding").is_some();
    let mut lengths = request.headers.iter().filter(|(name, _)| name == "content-length");
    match (lengths.next(), lengths.next()) {
        (None, _) if encoded => Err(Refusal::NotImplemented),
        (None, _) => Ok(0),
        (Some((_, value)), None) if !encoded => decimal(value),
        _ => Err(Refusal::Malformed),
    }
}

/// Digits and nothing else; what does not fit is too long.
fn decimal(value: &[u8]) -> Result<usize, Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::Malformed);
    }
    let digits = std::str::from_utf8(value).map_err(|_| Refusal::Malformed)?;
    digits.parse().map_err(|_| Refusal::BodyTooLong)
}

#[cfg(test)]
mod tests {
    use super::{Head, Refusal};

    fn parse(text: &str) -> Result<Option<(usize, usize, bool)>, Refusal> {
        Head::parse(text.as_bytes())
            .map(|head| head.map(|head| (head.size, head.body, head.request.keep_alive)))
    }

    #[test]
    fn a_head_is_complete_or_waits() {
        let text = "POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(parse(text), Ok(Some((text.len() - 3, 3, true))));
        for end in 0..text.len() - 3 {
            assert_eq!(parse(&text[..end]), Ok(None), "{:?}", &text[..end]);
        }
    }

    #[test]
    fn the_connection_is_kept_as_the_version_and_the_header_say() {
        for (text, kept) in [
            ("GET / HTTP/1.1\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nconnection: a, Close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
        ] {
            assert_eq!(parse(text), Ok(Some((text.len(), 0, kept))), "{text:?}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (headers, refusal) in [
            ("content-length: 3\r\ncontent-length: 3\r\n", Refusal::Malformed),
            ("content-length: 3\r\ntransfer-encoding: chunked\r\n", Refusal::Malformed),
            ("content-length: +3\r\n", Refusal::Malformed),
            ("content-length: 99999999999999999999999\r\n", Refusal::BodyTooLong),
            ("transfer-encoding: chunked\r\n", Refusal::NotImplemented),
            (&"a: b\r\n".repeat(65), Refusal::HeadTooLong),
        ] {
            assert_eq!(parse(&format!("POST / HTTP/1.1\r\n{headers}\r\n")), Err(refusal), "{headers:?}");
        }
        assert_eq!(parse("GET / HTTP/2.0\r\n\r\n"), Err(Refusal::Version));
        assert_eq!(parse("\u{1}\u{2}\r\n\r\n"), Err(Refusal::Malformed));
    }
}
