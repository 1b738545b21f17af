//! A process without a descriptor to spare: the runtime goes on watching over its threads, and what has no registration says
//! so. A file of its own, since the limit holds for the whole process.

use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[gort::test(unsafe(migrate))]
fn a_thread_that_sleeps_loses_its_processor_and_a_listener_gives_errors() {
    gort::runtime::gomaxprocs(1);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let limit = getrlimit(Resource::Nofile);
    // From now on whatever takes a descriptor fails, but those that there are stay.
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), maximum: limit.maximum }).unwrap();
    assert!(std::fs::File::open("/proc/self/stat").is_err());

    for _ in 0..20 {
        let sleeper = gort::go(|| {
            let (wake, woken) = mpsc::channel();
            gort::go!(wake.send(()).unwrap()); // runs when this goroutine's thread has lost the processor
            woken.recv_timeout(Duration::from_secs(30))
        });
        assert_eq!(sleeper.join().unwrap(), Ok(()));
    }
    // There was no descriptor for the poller, and later ones do not help.
    let listener = gort::net::TcpListener::from(listener);
    setrlimit(Resource::Nofile, limit).unwrap();
    assert!(listener.incoming().next().unwrap().is_err());
}
