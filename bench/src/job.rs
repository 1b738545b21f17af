//! The command line of a peer: which scenario, how large, how many processors.

use crate::{Meter, Sample, meter};

/// One row of a peer's table. `F` is what the peer can run: a plain function
/// for the runtimes that block, one that returns a future for tokio.
pub struct Scenario<F: 'static> {
    /// The scenario, the same word for every peer.
    pub name: &'static str,
    /// What stands in for the runtime's own means, where that is the case:
    /// another crate's channel, another way to wait. Empty for the plain row.
    pub with: &'static str,
    /// Operations of a full run; chosen so that it takes about half a second.
    pub size: u64,
    /// The body: does `size` operations and measures itself.
    pub body: F,
}

impl<F> Scenario<F> {
    /// A plain row.
    pub const fn new(name: &'static str, size: u64, body: F) -> Self {
        Self { name, with: "", size, body }
    }

    /// A row that uses something else than the runtime's own means.
    pub const fn with(name: &'static str, with: &'static str, size: u64, body: F) -> Self {
        Self { name, with, size, body }
    }
}

/// A body of a runtime whose tasks block: it does so many operations.
pub type Body = fn(u64) -> Sample;

/// What this process has been asked to do.
pub struct Job<F: 'static> {
    peer: &'static str,
    scenario: &'static Scenario<F>,
    /// Operations of the measured run.
    pub size: u64,
}

impl<F: Copy> Job<F> {
    /// Reads the command line. `--list` prints the table and ends the process,
    /// and so does anything that is not understood.
    pub fn from_args(peer: &'static str, table: &'static [Scenario<F>]) -> Self {
        meter::note_start();
        let mut args = std::env::args().skip(1);
        let Some(wanted) = args.next() else { usage(peer) };
        if wanted == "--list" {
            for row in table {
                println!("{} {} {}", row.name, if row.with.is_empty() { "-" } else { row.with }, row.size);
            }
            std::process::exit(0);
        }
        let (name, with) = wanted.split_once('@').unwrap_or((&wanted, ""));
        let Some(scenario) = table.iter().find(|row| row.name == name && row.with == with) else {
            eprintln!("bench-{peer}: no scenario {wanted}; --list shows them");
            std::process::exit(2);
        };
        let size = match args.next() {
            None => scenario.size,
            Some(text) => text.parse().unwrap_or_else(|_| usage(peer)),
        };
        Self { peer, scenario, size: size.max(10) }
    }

    /// The body to run: first with [`Job::warm_up`], then with [`Job::size`].
    pub fn body(&self) -> F {
        self.scenario.body
    }

    /// A tenth of the measured run.
    pub fn warm_up(&self) -> u64 {
        self.size / 10
    }

    /// Prints the one line the driver reads.
    pub fn report(&self, sample: &Sample) {
        let ops = sample.ops as f64;
        print!(
            "{{\"scenario\":\"{}\",\"peer\":\"{}\",\"with\":\"{}\",\"procs\":{},\"ops\":{},\"ns\":{:.2},\"cpu_ns\":{:.2}",
            self.scenario.name,
            self.peer,
            self.scenario.with,
            processors(),
            sample.ops,
            sample.wall_ns / ops,
            sample.cpu_ns / ops,
        );
        for (key, value) in &sample.more {
            // JSON has no infinity; null is what the driver reads as never.
            if value.is_finite() { print!(",\"{key}\":{value:.3}") } else { print!(",\"{key}\":null") }
        }
        println!("}}");
    }

    /// The whole life of a process whose bodies are plain functions; call it
    /// inside the runtime.
    pub fn perform(&self)
    where
        F: Fn(u64) -> Sample,
    {
        let body = self.body();
        body(self.warm_up());
        self.report(&body(self.size));
    }
}

fn usage(peer: &str) -> ! {
    eprintln!("usage: bench-{peer} --list | <scenario>[@<with>] [size]");
    std::process::exit(2)
}

/// `GOMAXPROCS`, which all peers obey here; else the CPUs of this process.
pub fn processors() -> usize {
    match std::env::var("GOMAXPROCS").ok().and_then(|text| text.parse().ok()) {
        Some(n) if n > 0 => n,
        _ => std::thread::available_parallelism().map_or(1, |n| n.get()),
    }
}

impl Meter {
    /// Measures one closure: for bodies that are a single stretch of work.
    pub fn time(ops: u64, work: impl FnOnce()) -> Sample {
        let meter = Meter::start();
        work();
        meter.stop(ops)
    }
}
