//! Idea: a closed channel is always ready to receive, and `select` sees it.
//!
//! The Go snippet loops over a select with one case, `val, ok := <-ch`, and returns when `ok` is false. Without that
//! check the loop would spin on zero values. The `Result` of gort's `recv` case makes the check hard to overlook.

pub(crate) fn run() {
    let (sender, ch) = gort::chan(0);
    gort::go! {
        for value in [1, 2] {
            sender.send(value).unwrap();
        }
        sender.close();
    };

    loop {
        gort::select! {
            recv(ch) -> received => match received {
                Ok(value) => println!("Got: {value}"),
                Err(_) => {
                    println!("Channel closed");
                    return;
                }
            },
        }
    }
}
