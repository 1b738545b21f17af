//! The pipeline: which goroutines there are, and the channels between them.
//!
//! ```text
//!              paths            pieces            news
//!   walker ───────────> readers ──────> counters ──────> the caller of `run`
//!     │    (bounded)      │ × workers     × processors       (adds up)
//!     └───────────────────┴── news: what was skipped ──────────^
//! ```
//!
//! 1. Every channel is bounded. A slow stage makes those before it wait, so memory stays within a few pieces of text
//!    per goroutine, however large the tree is.
//! 2. The end of input runs through by ownership: a stage's goroutines drop their senders when they end, the next
//!    stage's loop ends when the last is gone. `news` closes when nobody is left to report.
//! 3. `stop` is a channel that is closed to stop early. Only the walker and the readers look at it, whenever they could
//!    wait and between two pieces. What has been read is still counted; then 2 applies. A read that does not return (a
//!    network drive that is gone) is waited for; a second Ctrl-C does not wait.
//! 4. The caller takes everything from `news` until it closes, so nobody waits for ever on sending it; and `run`
//!    returns after all goroutines have ended.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gort::channel::{Receiver, Sender};
use gort::sync::WaitGroup;
use gort::time::Ticker;

use crate::count::{self, Counts};
use crate::walk::{Seen, Walk};

/// About as much of a file as is read and counted in one go.
const PIECE: usize = 256 * 1024;

/// So much text without a place between two words is cut nevertheless, so that a file that is one word needs no more
/// memory than others.
const LONGEST: usize = 16 * 1024 * 1024;

/// A counter hands its counts over when it knows this many different words, and at its end.
const HANDOVER: usize = 16 * 1024;

/// How the pipeline is to be built.
pub(crate) struct Plan {
    pub(crate) roots: Vec<PathBuf>,
    /// Goroutines that read files.
    pub(crate) readers: usize,
    /// Goroutines that count words.
    pub(crate) counters: usize,
    /// At most this many files per second.
    pub(crate) rate: Option<u32>,
}

/// What the goroutines report.
pub(crate) enum News {
    /// A file was found and will be read.
    Found,
    /// A file was read to its end.
    Read { bytes: u64 },
    /// A file was not read to its end because of the stop.
    CutShort { bytes: u64 },
    /// A binary file was passed over.
    Binary(PathBuf),
    /// Something was passed over, and why. Of a file that failed in the middle the part before stays counted.
    Skipped(PathBuf, String),
    /// Counts of some pieces of some files.
    Words(Counts),
}

/// Runs the pipeline on its own goroutines and gives all its news to `report`, here. Returns, after all of them have
/// ended, how many goroutines there were.
pub(crate) fn run(plan: Plan, stop: &Receiver<()>, mut report: impl FnMut(News)) -> usize {
    let (to_readers, paths) = gort::chan(2 * plan.readers);
    let (to_counters, pieces) = gort::chan(plan.counters);
    let (to_caller, news) = gort::chan(64);
    let mut crew = Crew::default();

    let walker = Walker { paths: to_readers, news: to_caller.clone(), stop: stop.clone() };
    crew.go(move || walker.run(Walk::new(plan.roots), plan.rate));

    for _ in 0..plan.readers {
        let reader = Reader { pieces: to_counters.clone(), news: to_caller.clone(), stop: stop.clone() };
        let paths = paths.clone();
        crew.go(move || reader.run(&paths));
    }
    for _ in 0..plan.counters {
        let (pieces, news) = (pieces.clone(), to_caller.clone());
        crew.go(move || count_pieces(&pieces, &news));
    }

    // From here on only the goroutines hold ends of the channels; otherwise the loop below would not end (2).
    drop((paths, to_counters, pieces, to_caller));
    for item in news {
        report(item);
    }
    crew.wait()
}

/// The goroutines of a pipeline: counted, and waited for.
#[derive(Default)]
struct Crew {
    all: WaitGroup,
    started: usize,
}

impl Crew {
    fn go(&mut self, member: impl FnOnce() + Send + 'static) {
        self.started += 1;
        self.all.go(member);
    }

    fn wait(self) -> usize {
        self.all.wait();
        self.started
    }
}

/// Finds files and hands out their paths.
struct Walker {
    paths: Sender<PathBuf>,
    news: Sender<News>,
    stop: Receiver<()>,
}

impl Walker {
    fn run(&self, walk: Walk, rate: Option<u32>) {
        let gate = rate.map(|per_second| Ticker::new(Duration::from_secs(1) / per_second.max(1)));
        for seen in walk {
            let go_on = match seen {
                Seen::File(path) => self.pass(gate.as_ref()) && self.hand_out(path),
                Seen::Directory => !stopped(&self.stop),
                Seen::Skipped(path, why) => {
                    tell(&self.news, News::Skipped(path, why));
                    !stopped(&self.stop)
                }
            };
            if !go_on {
                return;
            }
        }
    }

    /// Waits for the rate's next tick; false if the stop came first.
    fn pass(&self, gate: Option<&Ticker>) -> bool {
        let Some(gate) = gate else { return true };
        gort::select! {
            recv(gate.c()) -> _ => true,
            recv(self.stop) -> _ => false,
        }
    }

    /// Waits for a reader to have room; false if the stop came first.
    fn hand_out(&self, path: PathBuf) -> bool {
        gort::select! {
            send(self.paths, path) -> sent => {
                sent.expect("readers take paths until there are no more");
                tell(&self.news, News::Found);
                true
            }
            recv(self.stop) -> _ => false,
        }
    }
}

/// Reads files, one piece after the other.
struct Reader {
    pieces: Sender<Vec<u8>>,
    news: Sender<News>,
    stop: Receiver<()>,
}

impl Reader {
    fn run(&self, paths: &Receiver<PathBuf>) {
        for path in paths {
            // After the stop the queue of paths is drained unread: the files count as cut short before the first byte.
            let item = if stopped(&self.stop) { News::CutShort { bytes: 0 } } else { self.read(&path) };
            tell(&self.news, item);
        }
    }

    fn read(&self, path: &Path) -> News {
        match File::open(path).and_then(|file| self.read_pieces(path, file)) {
            Ok(news) => news,
            Err(error) => News::Skipped(path.to_path_buf(), error.to_string()),
        }
    }

    /// Sends the file in pieces of about [`PIECE`] bytes that cut no word. Within a long word a piece grows up to
    /// [`LONGEST`].
    fn read_pieces(&self, path: &Path, mut file: File) -> std::io::Result<News> {
        let mut bytes = 0;
        let mut text = Vec::new();
        loop {
            let length = text.len();
            let got = file.by_ref().take(PIECE as u64).read_to_end(&mut text)?;
            if bytes == 0 && count::is_binary(&text) {
                return Ok(News::Binary(path.to_path_buf()));
            }
            bytes += got as u64;
            if got < PIECE {
                // `read_to_end` gives less than was allowed only at the end of the file.
                self.send(text);
                return Ok(News::Read { bytes });
            }
            // What was carried over has no cut, so that only the new part need be looked at.
            let cut = count::last_cut(&text[length..]).map(|cut| length + cut);
            let too_long = text.len() >= LONGEST;
            if let Some(cut) = cut.or_else(|| too_long.then(|| count::last_character(&text))) {
                let rest = text.split_off(cut);
                self.send(std::mem::replace(&mut text, rest));
            }
            if stopped(&self.stop) {
                return Ok(News::CutShort { bytes: bytes - text.len() as u64 });
            }
        }
    }

    fn send(&self, piece: Vec<u8>) {
        if !piece.is_empty() {
            self.pieces.send(piece).expect("counters take pieces until there are no more");
        }
    }
}

/// A counter: adds up what comes, and hands over now and then so that its own table stays small.
fn count_pieces(pieces: &Receiver<Vec<u8>>, news: &Sender<News>) {
    let mut counts = Counts::default();
    for piece in pieces {
        counts.add_text(&piece);
        if counts.distinct() >= HANDOVER {
            tell(news, News::Words(std::mem::take(&mut counts)));
        }
    }
    tell(news, News::Words(counts));
}

fn tell(news: &Sender<News>, item: News) {
    news.send(item).unwrap_or_else(|_| panic!("the caller takes news until nobody is left to tell any"));
}

/// Whether the stop channel has been closed.
fn stopped(stop: &Receiver<()>) -> bool {
    matches!(stop.try_recv(), Err(gort::channel::TryRecvError::Disconnected))
}
