//! The crawler finds what a single goroutine finds, keeps its pace, and stops when it is told to.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gort::net::TcpListener;
use gort_examples_net::crawler::{self, Fetcher, HostLimits, Store};
use indicatif::{ProgressBar, ProgressDrawTarget};
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(120);

/// A place for a database; taken away with all that SQLite puts beside it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("gort-crawler-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Serves a site in goroutines until the guard is dropped.
fn site(pages: usize) -> (String, gort::context::CancelFn) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = crawler::site_url(listener.local_addr().unwrap());
    let (ctx, stop) = gort::context::background().with_cancel();
    gort::go!(crawler::serve_site(&listener, &ctx, pages));
    (url, stop)
}

#[gort::test(unsafe(migrate))]
fn many_find_what_one_finds() {
    let directory = Directory::new("equal");
    let (url, _stop) = site(150);
    let ctx = gort::context::background();

    let one = directory.file("one.db");
    let alone =
        crawler::crawl_alone(&ctx, &url, &Fetcher::new(100_000, PATIENCE), Store::open(&one).unwrap())
            .unwrap();
    let many = directory.file("many.db");
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
    let together =
        crawler::crawl(&ctx, &url, 24, &Fetcher::new(100_000, PATIENCE), Store::open(&many).unwrap(), &bar)
            .unwrap();

    assert_eq!(together, alone);
    assert_eq!(bar.position(), alone.stored as u64);
    assert_eq!(bar.length(), Some(alone.stored as u64));
    let lines = crawler::lines_of(&one).unwrap();
    assert_eq!(crawler::lines_of(&many).unwrap(), lines);

    let pages: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.contains(" -> ")).collect();
    assert_eq!(pages.len(), alone.stored);
    let statuses: HashSet<&str> = pages.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(statuses, HashSet::from(["200", "302", "404", "0"]));
    let has = |line: String| assert!(lines.contains(&line), "{line} is not in {lines:#?}");
    has(format!("{url}hangs-up 0 0"));
    has(format!("{url}self -> {url}self"));
    has(format!("{url}circle/a -> {url}circle/b"));
    has(format!("{url}circle/b -> {url}circle/a"));
    for number in 0..150 {
        assert!(pages.iter().any(|line| line.starts_with(&format!("{url}page/{number} "))), "page {number}");
    }
}

/// What went wrong is SQLite's to tell, and the workers do not go on for a result that nobody takes.
#[gort::test(unsafe(migrate))]
fn a_store_that_fails_ends_the_crawl_and_tells_why() {
    let directory = Directory::new("fails");
    let file = directory.file("pages.db");
    let (url, _stop) = site(1_000_000);
    let store = Store::open(&file).unwrap();
    rusqlite::Connection::open(&file).unwrap().execute_batch("DROP TABLE pages").unwrap();
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
    let fetcher = Fetcher::new(100_000, PATIENCE);
    let error = crawler::crawl(&gort::context::background(), &url, 24, &fetcher, store, &bar).unwrap_err();
    assert!(error.to_string().contains("no such table: pages"), "{error}");
}

#[gort::test(unsafe(migrate))]
fn a_host_is_asked_at_its_pace() {
    let limits = HostLimits::new(100);
    let ctx = gort::context::background();
    let began = Instant::now();
    gort::scope(|s| {
        for _ in 0..21 {
            s.go(|| assert!(limits.wait(&ctx, "a")));
        }
    });
    assert!(began.elapsed() >= Duration::from_millis(200));
    // Other hosts have paces of their own.
    assert!(limits.wait(&ctx, "b"));

    // At one per second the tenth would wait for long, but not for a context that is done.
    let limits = HostLimits::new(1);
    let (ctx, cancel) = ctx.with_cancel();
    let waiting: Vec<_> = gort::scope(|s| {
        let waiting: Vec<_> = (0..10).map(|_| s.go(|| limits.wait(&ctx, "a"))).collect();
        cancel.cancel();
        waiting.into_iter().map(|waiter| waiter.join().unwrap()).collect()
    });
    assert!(waiting.iter().filter(|waited| !**waited).count() >= 5, "{waiting:?}");
}

#[gort::test(unsafe(migrate))]
fn the_time_limit_ends_it() {
    let (url, _stop) = site(5000);
    let (ctx, _cancel) = gort::context::background().with_timeout(Duration::from_secs(3));
    let fetcher = Fetcher::new(50, PATIENCE);
    let store = Store::in_memory().unwrap();
    let outcome = crawler::crawl(&ctx, &url, 8, &fetcher, store, &ProgressBar::hidden()).unwrap();
    assert!(outcome.stored <= 200 && outcome.left > 0, "{outcome:?}");
}

#[test]
fn the_program_crawls_its_own_site() {
    let output = Command::new(env!("CARGO_BIN_EXE_crawler")).args(["--pages", "100"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.ends_with(" pages stored, 0 left\n"), "{printed}");
}

#[test]
fn ctrl_c_stores_what_is_under_way() {
    let directory = Directory::new("interrupt");
    let db = directory.file("pages.db");
    let child = Command::new(env!("CARGO_BIN_EXE_crawler"))
        .args(["--pages", "100000", "--rate", "200", "--db"])
        .arg(&db)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !is_under_way(&db) {
        assert!(began.elapsed() < PATIENCE, "it stores nothing");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("stopped: interrupt signal received\n"), "{printed}");

    let told: usize = printed.lines().last().unwrap().split(' ').next().unwrap().parse().unwrap();
    let lines = crawler::lines_of(&db).unwrap();
    assert_eq!(lines.iter().filter(|line| !line.contains(" -> ")).count(), told, "{printed}");
}

/// Some pages are in the database. It may be busy, or not be there yet.
fn is_under_way(db: &std::path::Path) -> bool {
    db.exists() && crawler::lines_of(db).is_ok_and(|lines| lines.len() > 10)
}
