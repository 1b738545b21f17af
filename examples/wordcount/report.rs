//! What people and programs see: the summary, and the bar while they wait. Counts nothing and starts nothing.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use gort::channel::Receiver;
use gort::time;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use serde_json::json;

use crate::Stop;
use crate::count::Counts;
use crate::pipeline::News;

/// So many binary files, and so many of the other things that were skipped, are named; the rest is only counted.
const NAMED: u64 = 10;

/// The result of a run.
#[derive(Default)]
pub(crate) struct Summary {
    counts: Counts,
    files: u64,
    bytes: u64,
    cut_short: u64,
    binary: u64,
    skipped: u64,
    /// The first few that were skipped, and why.
    named: Vec<(PathBuf, String)>,
    pub(crate) stopped: Option<Stop>,
    pub(crate) goroutines: usize,
    /// Goroutines that were still alive at the end: none, or something leaks.
    pub(crate) goroutines_left: usize,
    pub(crate) elapsed: Duration,
}

impl Summary {
    /// Adds what a goroutine of the pipeline has reported.
    pub(crate) fn add(&mut self, news: News) {
        match news {
            News::Found => {}
            News::Read { bytes } => {
                self.files += 1;
                self.bytes += bytes;
            }
            News::CutShort { bytes } => {
                self.cut_short += 1;
                self.bytes += bytes;
            }
            News::Binary(path) => {
                self.binary += 1;
                self.name(self.binary, path, "a binary file".to_string());
            }
            News::Skipped(path, why) => {
                self.skipped += 1;
                self.name(self.skipped, path, why);
            }
            News::Words(counts) => self.counts.merge(counts),
        }
    }

    /// Remembers the `rank`th of its kind, if it is among the first.
    fn name(&mut self, rank: u64, path: PathBuf, why: String) {
        if rank <= NAMED {
            self.named.push((path, why));
        }
    }
}

/// Prints the result on stdout, and on stderr what was skipped. An error: the result can not be written.
pub(crate) fn print(summary: &Summary, top: usize, json: bool, quiet: bool) -> io::Result<()> {
    if !quiet && !json {
        // Without a stderr the result is still worth having.
        let _ = print_skipped(summary);
    }
    let text = if json { as_json(summary, top) } else { as_text(summary, top) };
    match io::stdout().write_all(text.as_bytes()) {
        // A reader that has gone away, as in `wordcount | head -1`, is no error of ours.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn print_skipped(summary: &Summary) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    for (path, why) in &summary.named {
        writeln!(stderr, "skipped {}: {why}", path.display())?;
    }
    let others = summary.binary + summary.skipped - summary.named.len() as u64;
    if others > 0 {
        writeln!(stderr, "skipped {others} more")?;
    }
    Ok(())
}

fn as_text(summary: &Summary, top: usize) -> String {
    use std::fmt::Write;

    let mut text = String::new();
    for (word, count) in summary.counts.top(top) {
        writeln!(text, "{:>12}  {word}", HumanCount(count).to_string()).expect("a String takes everything");
    }
    let seconds = summary.elapsed.as_secs_f64();
    writeln!(
        text,
        "{} words, {} different, in {} files, {}; {} binary, {} skipped; {} goroutines, {seconds:.2} s",
        HumanCount(summary.counts.total()),
        HumanCount(summary.counts.distinct() as u64),
        HumanCount(summary.files),
        HumanBytes(summary.bytes),
        summary.binary,
        summary.skipped,
        summary.goroutines,
    )
    .expect("a String takes everything");
    match summary.stopped {
        None => {}
        Some(reason) => {
            let reason = match reason {
                Stop::Limit => "the time limit",
                Stop::Interrupt => "an interrupt",
            };
            writeln!(text, "stopped early by {reason}; {} files were cut short", summary.cut_short)
                .expect("a String takes everything");
        }
    }
    text
}

fn as_json(summary: &Summary, top: usize) -> String {
    let named: Vec<_> = summary
        .named
        .iter()
        .map(|(path, why)| json!({ "path": path.to_string_lossy(), "why": why }))
        .collect();
    let result = json!({
        "top": summary.counts.top(top),
        "words": summary.counts.total(),
        "distinct": summary.counts.distinct(),
        "files": summary.files,
        "bytes": summary.bytes,
        "binary": summary.binary,
        "skipped": summary.skipped,
        "named": named,
        "cut_short": summary.cut_short,
        "stopped": summary.stopped.map(|reason| match reason {
            Stop::Limit => "limit",
            Stop::Interrupt => "interrupt",
        }),
        "goroutines": summary.goroutines,
        "goroutines_left": summary.goroutines_left,
        "seconds": summary.elapsed.as_secs_f64(),
    });
    format!("{result}\n")
}

/// How far the work is, for the bar. The main goroutine writes, the bar's goroutine reads.
#[derive(Default)]
pub(crate) struct Progress {
    found: AtomicU64,
    done: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// Notes what a goroutine of the pipeline has reported.
    pub(crate) fn note(&self, news: &News) {
        match news {
            News::Found => {
                self.found.fetch_add(1, Relaxed);
            }
            News::Read { bytes } | News::CutShort { bytes } => {
                self.done.fetch_add(1, Relaxed);
                self.bytes.fetch_add(*bytes, Relaxed);
            }
            News::Binary(_) => {
                self.done.fetch_add(1, Relaxed);
            }
            News::Skipped(..) | News::Words(_) => {}
        }
    }
}

/// Whether anybody would see a bar.
pub(crate) fn wants_bar(quiet: bool) -> bool {
    !quiet && io::stderr().is_terminal()
}

/// Draws the bar ten times a second until `finished` is closed. Runs as a goroutine of its own.
pub(crate) fn draw_bar(progress: &Progress, finished: &Receiver<()>) {
    let style = ProgressStyle::with_template("{spinner} {wide_bar} {pos}/{len} files, {msg}");
    let bar = ProgressBar::new(0).with_style(style.expect("the template is right"));
    let ticker = time::Ticker::new(Duration::from_millis(100));
    loop {
        gort::select! {
            recv(ticker.c()) -> _ => {
                bar.set_length(progress.found.load(Relaxed));
                bar.set_position(progress.done.load(Relaxed));
                bar.set_message(HumanBytes(progress.bytes.load(Relaxed)).to_string());
                bar.tick();
            }
            recv(finished) -> _ => break,
        }
    }
    bar.finish_and_clear();
}
