//! Idea: a crawler out of goroutines and channels, on a blocking HTTP client and an embedded database.
//!
//! ```text
//! cargo run -p gort-examples-net --bin crawler                      a site of 1000 pages that it serves itself
//! cargo run -p gort-examples-net --bin crawler -- --pages 5000 --workers 64 --rate 2000 --seconds 10 --db pages.db
//! ```
//!
//! Ctrl-C, SIGTERM and the time limit end it gracefully: pages under way are still stored. `--url` starts elsewhere; ask
//! whoever runs that server first. How it is built is told in `src/crawler/mod.rs`.

use std::error::Error;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gort::net::TcpListener;
use gort::signal::{self, SIGINT, SIGTERM};
use gort_examples_net::crawler::{self, Fetcher, Store};
use indicatif::{ProgressBar, ProgressStyle};

#[derive(Debug)]
struct Args {
    url: Option<String>,
    pages: usize,
    workers: usize,
    rate: u32,
    seconds: u64,
    db: Option<PathBuf>,
}

#[gort::main(unsafe(migrate))]
fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let args = parse(std::env::args().skip(1))?;
    let (ctx, stop) = signal::notify_context(gort::context::background(), &[SIGINT, SIGTERM]);
    let (limited, _cancel) = ctx.with_timeout(Duration::from_secs(args.seconds));
    gort::go! {
        let _ = ctx.done().recv();
        stop.cancel(); // the second signal ends the process
    };

    // The site has a context of its own: it outlives the crawl, which wants the answers that are under way.
    let (of_site, end_site) = gort::context::background().with_cancel();
    let url = match args.url {
        Some(url) => url,
        None => {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let url = crawler::site_url(listener.local_addr()?);
            gort::go!(crawler::serve_site(&listener, &of_site, args.pages));
            url
        }
    };
    println!("crawling {url}");
    let store = args.db.as_deref().map_or_else(Store::in_memory, Store::open)?;
    let fetcher = Fetcher::new(args.rate, Duration::from_secs(30));

    let bar = progress_bar()?;
    let began = Instant::now();
    let outcome = crawler::crawl(&limited, &url, args.workers, &fetcher, store, &bar)?;
    bar.finish_and_clear();
    end_site.cancel();
    if let Some(cause) = limited.cause() {
        println!("stopped: {cause}");
    }
    println!("{} pages stored, {} left", outcome.stored, outcome.left);
    eprintln!("in {:.1?}", began.elapsed());
    Ok(())
}

fn progress_bar() -> io::Result<ProgressBar> {
    if !io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pages, {per_sec}, {elapsed}");
    Ok(ProgressBar::new(0).with_style(style.map_err(io::Error::other)?))
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Args, Box<dyn Error + Send + Sync>> {
    let mut parsed = Args { url: None, pages: 1000, workers: 32, rate: 1000, seconds: 60, db: None };
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--url" => parsed.url = Some(value),
            "--pages" => parsed.pages = value.parse()?,
            "--workers" => parsed.workers = value.parse()?,
            "--rate" => parsed.rate = value.parse()?,
            "--seconds" => parsed.seconds = value.parse()?,
            "--db" => parsed.db = Some(value.into()),
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    Ok(parsed)
}
