//! Idea: a WebSocket server that sends everything back, with a goroutine per client.
//!
//! ```text
//! cargo run -p gort-examples-net --bin websocket -- 8080
//! ```
//!
//! Any WebSocket client will do, a browser's console for example:
//!
//! ```text
//! ws = new WebSocket("ws://127.0.0.1:8080"); ws.onmessage = m => console.log(m.data); ws.onopen = () => ws.send("hi")
//! ```
//!
//! The conversation is in `src/websocket.rs`.

use std::io;
use std::process::ExitCode;

use gort_examples_net::{serve, websocket};

#[gort::main(unsafe(migrate))]
fn main() -> io::Result<ExitCode> {
    serve::run(websocket::echo)
}
