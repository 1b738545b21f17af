//! Network programs in plain blocking code, on libraries that know nothing of gort.
//!
//! | program | shows | libraries |
//! |---|---|---|
//! | `hyper` | an asynchronous HTTP library inside a goroutine per connection | hyper |
//! | `front` | an HTTP/1.1 server from scratch, with limits for everything a client can do | httparse |
//! | `tls` | TLS on both sides, certificates made at the start | rustls, rcgen |
//! | `websocket` | an echo, a goroutine per client | tungstenite |
//! | `crawler` | workers, a frontier, a rate limit per host, pages into SQLite | ureq, rusqlite, indicatif |
//! | `redis` | a library with sockets of its own, which block the thread | redis |
//!
//! Each is a file of `src/bin` (start there; its head says how to run it) over one or two modules of this library, which
//! the tests use too. All of them listen on loopback, at a port of the system's choice unless one is given, and end on
//! Ctrl-C or SIGTERM after what they have begun.

pub mod crawler;
pub mod front;
pub mod hyper_io;
pub mod serve;
pub mod tls;
pub mod ureq_io;
pub mod websocket;
