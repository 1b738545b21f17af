//! A value that is not sent after all must not take the channel along: the choice is still to be undone there.

use gort::channel::{Receiver, Sender};

fn gives_up(value: Option<u8>, tx: Sender<u8>, never: &Receiver<u8>) {
    gort::select! {
        send(tx, match value { Some(value) => value, None => { drop(tx); return } }) -> _ => {}
        recv(never) -> _ => {}
    }
}

fn puts_another_in_its_place(value: Option<u8>, mut tx: Sender<u8>) {
    loop {
        gort::select! {
            send(tx, match value { Some(value) => value, None => { tx = Sender::nil(); break } }) -> _ => {}
            default => {}
        }
    }
    drop(tx);
}

fn main() {
    gives_up(None, Sender::nil(), &Receiver::nil());
    puts_another_in_its_place(None, Sender::nil());
}
