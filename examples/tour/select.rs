//! Idea: `select` waits on several channels and goes on with the one that is ready first.
//!
//! The Go program starts two goroutines that send after one and after two seconds, and selects twice. A plain receive
//! on `ch2` first would have missed that `ch1` was ready long before.

use crate::kit::pace;

pub(crate) fn run() {
    let (sender_1, ch1) = gort::chan(0);
    let (sender_2, ch2) = gort::chan(0);
    // Main keeps both channels open: a closed one would be ready in the second select.
    let _open = (sender_1.clone(), sender_2.clone());

    gort::go! {
        gort::sleep(pace(1000));
        sender_1.send("Message from ch1").unwrap();
    };
    gort::go! {
        gort::sleep(pace(2000));
        sender_2.send("Message from ch2").unwrap();
    };

    for _ in 0..2 {
        gort::select! {
            recv(ch1) -> message => println!("Received: {}", message.unwrap()),
            recv(ch2) -> message => println!("Received: {}", message.unwrap()),
        }
    }
}
