//! Counts words in directory trees: a pipeline of goroutines on real input.
//!
//! ```text
//! cargo run --release --example wordcount                     the documentation of the Rust toolchain
//! cargo run --release --example wordcount -- --limit 5s /usr  as far as it gets in five seconds
//! ```
//!
//! Four rooms: `walk` finds files, `count` counts words, `pipeline` joins them with goroutines and channels, `report`
//! prints. This file reads the command line and decides when to stop: Ctrl-C, a time limit and the end of the work are
//! three channels in one `select!`, and whichever speaks first wins.
//!
//! What cannot be read (no such path, no permission, a binary, a link) is counted and named, and never ends the run.

mod count;
mod pipeline;
mod report;
mod walk;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use gort::channel::{Receiver, Sender};
use gort::{runtime, time};

use pipeline::Plan;
use report::{Progress, Summary};

/// Counts words in directory trees, with a pipeline of goroutines.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Files and directories; without any the Rust toolchain's documentation, or else the current directory
    paths: Vec<PathBuf>,
    /// How many goroutines read files
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    workers: u16,
    /// GOMAXPROCS: how many goroutines run at the same time
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    procs: Option<u16>,
    /// How many words to print
    #[arg(long, default_value_t = 20)]
    top: usize,
    /// Stop after this time, for instance 500ms, 5s or 2m
    #[arg(long, value_parser = duration)]
    limit: Option<Duration>,
    /// Read at most this many files per second
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    rate: Option<u32>,
    /// No progress bar, and nothing about what was skipped
    #[arg(long)]
    quiet: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Why the work ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Limit,
    Interrupt,
}

#[gort::main(unsafe(migrate))]
fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(procs) = args.procs {
        runtime::gomaxprocs(procs.into());
    }
    let summary = count_words(&args);
    if let Err(error) = report::print(&summary, args.top, args.json, args.quiet) {
        let _ = writeln!(std::io::stderr(), "wordcount: the result can not be written: {error}");
        return ExitCode::FAILURE;
    }
    match summary.stopped {
        Some(Stop::Interrupt) => ExitCode::from(130), // as a shell says of a program that Ctrl-C has ended
        _ => ExitCode::SUCCESS,
    }
}

fn count_words(args: &Args) -> Summary {
    let start = Instant::now();
    let goroutines_before = runtime::num_goroutine();
    let (stop, stopped) = gort::chan(0);
    let (finish, finished) = gort::chan(0);
    let interrupts = interrupts();
    let progress = Arc::new(Progress::default());

    let stopper = gort::go({
        let (finished, limit) = (finished.clone(), args.limit);
        move || until_stop(limit, &interrupts, &finished, stop)
    });
    let bar = report::wants_bar(args.quiet).then(|| {
        let progress = Arc::clone(&progress);
        gort::go(move || report::draw_bar(&progress, &finished))
    });
    let helpers = 1 + usize::from(bar.is_some());

    let plan = Plan {
        roots: if args.paths.is_empty() { vec![default_root()] } else { args.paths.clone() },
        readers: args.workers.into(),
        counters: runtime::gomaxprocs(0),
        rate: args.rate,
    };
    let mut summary = Summary::default();
    let members = pipeline::run(plan, &stopped, |news| {
        progress.note(&news);
        summary.add(news);
    });

    // The work is done: the helpers end too, and only then the result is final.
    drop::<Sender<()>>(finish);
    if let Some(bar) = bar {
        bar.join().expect("drawing the bar does not panic");
    }
    summary.stopped = stopper.join().expect("waiting for a reason to stop does not panic");
    summary.goroutines = members + helpers;
    summary.goroutines_left = runtime::num_goroutine().saturating_sub(goroutines_before);
    summary.elapsed = start.elapsed();
    summary
}

/// Waits for a reason to stop, or for the end of the work; in the first case closes `stop`, which everybody sees.
fn until_stop(
    limit: Option<Duration>,
    interrupts: &Receiver<()>,
    finished: &Receiver<()>,
    stop: Sender<()>,
) -> Option<Stop> {
    // Without a limit the case is switched off: a nil channel is never ready.
    let limit_reached = limit.map_or_else(Receiver::nil, time::after);
    let reason = gort::select! {
        recv(limit_reached) -> _ => Some(Stop::Limit),
        recv(interrupts) -> _ => Some(Stop::Interrupt),
        recv(finished) -> _ => None,
    };
    match reason {
        Some(_) => stop.close(),
        // Dropping the sender would close the channel as well, but nobody looks any more.
        None => drop(stop),
    }
    reason
}

/// The channel on which Ctrl-C (or SIGTERM) arrives. The second one ends the process at once.
fn interrupts() -> Receiver<()> {
    let (sender, receiver) = gort::chan(1);
    let mut asked_before = false;
    let relay = move || {
        if std::mem::replace(&mut asked_before, true) {
            std::process::exit(130);
        }
        let _ = sender.try_send(());
    };
    if let Err(error) = ctrlc::set_handler(relay) {
        eprintln!("wordcount: Ctrl-C will end the program without a result: {error}");
    }
    receiver
}

/// The documentation that comes with the Rust toolchain, if it is installed.
fn default_root() -> PathBuf {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    let documentation = sysroot.ok().filter(|output| output.status.success()).and_then(|output| {
        let sysroot = String::from_utf8(output.stdout).ok()?;
        Some(PathBuf::from(sysroot.trim()).join("share/doc"))
    });
    documentation.filter(|path| path.is_dir()).unwrap_or_else(|| PathBuf::from("."))
}

/// Parses `250ms`, `5s`, `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return Err("a number and one of ms, s, m".to_string()),
    };
    let number: u64 = number.parse().map_err(|_| "a number and one of ms, s, m".to_string())?;
    number.checked_mul(millis_per_unit).map(Duration::from_millis).ok_or_else(|| "too long".to_string())
}
