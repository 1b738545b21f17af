//! Idea: TLS is a layer of bytes over a socket, and rustls's blocking streams do not care whose socket it is.
//!
//! `StreamOwned` is generic in what it reads from and writes to; a goroutine that waits inside it is parked like any
//! other. Client and server work on the same few lines, whether there are two connections or two thousand.
//!
//! [`Identity`] is a self-signed certificate, made at the start and known to nobody else: clients that are to trust it
//! are given it as their only root.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use gort::context::Context;
use gort::net::TcpStream;
use rcgen::CertifiedKey;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::serve::wake_on_done;

/// The longest line that is taken.
const LINE_LIMIT: u64 = 64 << 10;
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// A server's certificate with its key, for `localhost`.
#[derive(Debug)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// A new one.
    pub fn make() -> io::Result<Identity> {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into();
        Ok(Identity { certificate: cert.der().clone(), key })
    }

    /// For the server.
    pub fn server_config(&self) -> io::Result<Arc<ServerConfig>> {
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![self.certificate.clone()], self.key.clone_key());
        config.map(Arc::new).map_err(io::Error::other)
    }

    /// For clients that trust this server and no other.
    pub fn client_config(&self) -> io::Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).map_err(io::Error::other)?;
        Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
    }
}

/// The server's side: sends back each line, in capitals, until the client says that it has no more.
pub fn shout_back(stream: TcpStream, ctx: &Context, config: Arc<ServerConfig>) -> io::Result<()> {
    set_limits(&stream)?;
    let _waking = wake_on_done(ctx, &stream);
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut lines = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    loop {
        line.clear();
        match io::Read::take(&mut lines, LINE_LIMIT).read_line(&mut line) {
            Ok(size) if size > 0 && line.ends_with('\n') => {
                let stream = lines.get_mut();
                stream.write_all(line.to_uppercase().as_bytes())?;
                stream.flush()?;
            }
            // The end, a line without one, or the server's own end: what has come completely has been answered.
            Ok(_) => return end(lines.get_mut()),
            Err(error) if error.kind() == ErrorKind::TimedOut && ctx.err().is_some() => {
                return end(lines.get_mut());
            }
            Err(error) => return Err(error),
        }
    }
}

/// Says that nothing more will come: without it the other side could not tell an end from a cut.
fn end(stream: &mut StreamOwned<ServerConnection, TcpStream>) -> io::Result<()> {
    stream.conn.send_close_notify();
    stream.flush()
}

/// The client's side of a connection to `localhost`; the handshake is made with the first read or write.
pub fn connect(
    stream: TcpStream,
    config: Arc<ClientConfig>,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    set_limits(&stream)?;
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

fn set_limits(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_LIMIT))?;
    stream.set_write_timeout(Some(SILENCE_LIMIT))
}
