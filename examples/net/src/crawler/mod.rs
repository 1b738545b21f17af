//! Idea: a crawler: workers fetch, one goroutine decides what is next, another one writes; channels in between.
//!
//! ```text
//!            frontier (unbounded)            found (bounded)
//!   decides ─────────────────────► workers ─────────────────► decides: what of it is new?
//!     ▲  owns the set of URLs seen   fetch, cut out the links      │
//!     │                                                            │ pages (bounded)
//!     └── done: nothing under way                                  ▼
//!         or the context is done                             writer (store.rs)
//! ```
//!
//! - The goroutine of [`crawl`] alone knows what has been seen, so nothing has to be locked, and it knows when the crawl
//!   is over: when as many pages have come back as have been given out.
//! - The frontier has no bound, since who decides must never wait for a worker that waits for it. The others have one: a
//!   slow disk slows down the network, and memory stays small.
//! - Each host has its pace (`limits`), shared by all workers.
//! - When the context is done (Ctrl-C, the time limit) nothing new is begun; what is under way is still stored.
//!
//! [`crawl_alone`] does the same in one goroutine, one page after the other: the result must be equal.

mod fetch;
mod limits;
mod site;
mod store;

pub use fetch::{Fetcher, Page};
pub use limits::HostLimits;
pub use site::{serve_site, site_url};
pub use store::{Store, Writer, lines_of};

use std::collections::{HashSet, VecDeque};
use std::io;

use gort::channel::Sender;
use gort::context::Context;
use gort::sync::WaitGroup;
use indicatif::ProgressBar;

/// Pages that may wait for a goroutine that is busy.
const QUEUE: usize = 64;

/// How far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Pages that have been stored.
    pub stored: usize,
    /// Known pages that have not been asked for, because the context was done.
    pub left: usize,
}

/// Fetches everything that can be reached from `start` on the same host, with so many workers, into `store`.
pub fn crawl(
    ctx: &Context,
    start: &str,
    workers: usize,
    fetcher: &Fetcher,
    store: Store,
    bar: &ProgressBar,
) -> io::Result<Outcome> {
    let (frontier, jobs) = gort::channel::unbounded::<String>();
    let (found_tx, found) = gort::chan::<Option<Page>>(QUEUE);
    let writer = Writer::start(store, QUEUE);
    let pool = WaitGroup::new();
    for _ in 0..workers {
        let (ctx, jobs, found, fetcher) = (ctx.clone(), jobs.clone(), found_tx.clone(), fetcher.clone());
        pool.go(move || {
            for url in jobs {
                // Until all jobs have come back the other end is there, unless the pages can not be stored.
                if found.send(fetcher.fetch(&ctx, &url)).is_err() {
                    break;
                }
            }
        });
    }
    drop(found_tx);

    let mut seen = HashSet::from([start.to_owned()]);
    let mut under_way = give_out(&frontier, [start.to_owned()], bar);
    let mut outcome = Outcome { stored: 0, left: 0 };
    while under_way > 0 {
        let Ok(page) = found.recv() else { break };
        under_way -= 1;
        let Some(page) = page else {
            outcome.left += 1;
            continue;
        };
        bar.inc(1);
        outcome.stored += 1;
        let new: Vec<String> =
            page.links.iter().filter(|link| seen.insert((*link).clone())).cloned().collect();
        if ctx.err().is_some() {
            outcome.left += new.len();
        } else {
            under_way += give_out(&frontier, new, bar);
        }
        if !writer.put(page) {
            break;
        }
    }
    drop((frontier, found)); // the workers' loops end
    pool.wait();
    writer.finish()?;
    Ok(outcome)
}

fn give_out(frontier: &Sender<String>, urls: impl IntoIterator<Item = String>, bar: &ProgressBar) -> usize {
    let mut count = 0;
    for url in urls {
        frontier.send(url).expect("the workers hold the other end");
        count += 1;
    }
    bar.inc_length(count as u64);
    count
}

/// The same by one goroutine, without any of the above.
pub fn crawl_alone(ctx: &Context, start: &str, fetcher: &Fetcher, mut store: Store) -> io::Result<Outcome> {
    let mut seen = HashSet::from([start.to_owned()]);
    let mut frontier = VecDeque::from([start.to_owned()]);
    let mut outcome = Outcome { stored: 0, left: 0 };
    while let Some(url) = frontier.pop_front() {
        let Some(page) = fetcher.fetch(ctx, &url) else {
            outcome.left += 1;
            continue;
        };
        frontier.extend(page.links.iter().filter(|link| seen.insert((*link).clone())).cloned());
        store.put_all(&[page])?;
        outcome.stored += 1;
    }
    Ok(outcome)
}
