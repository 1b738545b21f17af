//! Idea: a function says in its signature whether it sends or receives.
//!
//! Go writes `chan<- int` for a channel that may only be sent to, `<-chan int` for one that may only be received from,
//! and the compiler reports the wrong use. In gort the two directions *are* two types, `Sender` and `Receiver`: there
//! is no bidirectional channel to restrict. Sending on what was given for receiving:
//!
//! ```compile_fail,E0599
//! use gort::channel::{Receiver, Sender};
//!
//! fn relay(input: Receiver<String>, output: Sender<String>) {
//!     let message = output.recv().unwrap();
//!     input.send(message).unwrap();
//! }
//! ```
//!
//! ```text
//! error[E0599]: no method named `recv` found for struct `Sender<T>` in the current scope
//! error[E0599]: no method named `send` found for struct `Receiver<T>` in the current scope
//! ```

use gort::channel::{Receiver, Sender};

/// Go: `func genMsg(out chan<- string)`.
fn generate(output: Sender<String>) {
    output.send("message 1".to_string()).unwrap();
}

/// Go: `func relayMsg(in <-chan string, out chan<- string)`.
fn relay(input: Receiver<String>, output: Sender<String>) {
    let message = input.recv().unwrap();
    output.send(message).unwrap();
}

pub(crate) fn run() {
    let (output_1, input_1) = gort::chan(0);
    let (output_2, input_2) = gort::chan(0);

    gort::go!(generate(output_1));
    gort::go!(relay(input_1, output_2));

    println!("{}", input_2.recv().unwrap());
}
