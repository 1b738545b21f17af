//! The layout of a dump: Go's, line for line, so that Go's readers and tools understand it.
//!
//! ```text
//!   goroutine 18 [chan receive, 3 minutes labels:{"name": "worker"}]:
//!   gort::channel::Receiver<T>::recv(...)
//!   ⇥/home/u/gort/src/channel/recv.rs:120 +0x1d
//!   app::worker(...)
//!   ⇥/home/u/app/src/main.rs:12 +0x8f
//!   created by app::main in goroutine 1
//!   ⇥/home/u/app/src/main.rs:7 +0x4c
//! ```
//!
//! A name is what Go calls a label, and stands where Go has put labels since 1.27. Arguments are never shown: `(...)`, as
//! Go does for inlined calls. `+0x1d` is the distance from the start of the function that the call was compiled into.
//!
//! Grouped, equal goroutines are one entry: `1000 goroutines [chan receive, up to 3 minutes]:`, then a line `ids 5-99, 101`
//! before the frames. Go has no such form in its crash dumps; it is for the many.
//!
//! Invariant: nothing a user can choose (names, files) breaks a line or the brackets of a header.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gort_core::snapshot::{Goroutine as About, Status};

use super::symbol::{Call, Resolved, Symbols};
use super::unwind::{KEPT_AT_EACH_END, Pc, Trace};
use super::{Dump, Goroutine, Stack, plumbing};

/// From how many goroutines on equal ones are shown as one, unless the caller decides.
pub(crate) const GROUP_ABOVE: usize = 100;

/// How many ranges of ids a group lists before it only counts.
const ID_RANGES: usize = 16;

/// Which goroutines are printed when the process dies, and how: `GORT_TRACEBACK`, after Go's `GOTRACEBACK`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Traceback {
    /// None (`none`, `0`).
    None,
    /// The one that brought the process down; all, if no single one did (`single`, and when nothing is set).
    #[default]
    Single,
    /// All (`all`, `1`; as in Go also whatever is not understood).
    All,
    /// All, with the frames of the runtime itself (`system`, `2`).
    System,
}

impl Traceback {
    /// What the value of the variable means; `None` if it is not set.
    pub(crate) fn parse(value: Option<&str>) -> Traceback {
        match value {
            None | Some("" | "single") => Traceback::Single,
            Some("none" | "0") => Traceback::None,
            Some("system" | "2") => Traceback::System,
            Some(_) => Traceback::All,
        }
    }

    /// How to show a dump of `dump` at this level; `current` is the goroutine that brought the process down, if one did.
    pub(crate) fn options(self, dump: &Dump, current: Option<u64>) -> Option<Options> {
        let all = Options { full: self == Traceback::System, current, ..Options::for_dump(dump) };
        match (self, current) {
            (Traceback::None, _) => None,
            (Traceback::Single, Some(_)) => Some(Options { only_current: true, ..all }),
            _ => Some(all),
        }
    }
}

/// How a dump is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// With the runtime's own frames.
    pub(crate) full: bool,
    /// Goroutines with the same stack as one entry.
    pub(crate) group_equal: bool,
    /// The goroutine that makes the dump: it comes first, and alone.
    pub(crate) current: Option<u64>,
    /// Only that one.
    pub(crate) only_current: bool,
}

impl Options {
    /// The usual way: grouped if there are many.
    pub(crate) fn for_dump(dump: &Dump) -> Options {
        Options { group_equal: dump.goroutines.len() > GROUP_ABOVE, ..Options::default() }
    }
}

impl Dump {
    /// The dump as text: entries with an empty line between them.
    pub(crate) fn show(&self, options: Options) -> impl fmt::Display {
        Shown { dump: self, options, symbols: RefCell::new(Symbols::of(self.walker.modules())) }
    }
}

struct Shown<'a> {
    dump: &'a Dump,
    options: Options,
    symbols: RefCell<Symbols>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut printer = Printer {
            out: f,
            symbols: &mut self.symbols.borrow_mut(),
            dump: self.dump,
            full: self.options.full,
            first: true,
        };
        let is_current = |goroutine: &&Goroutine| Some(goroutine.about.id) == self.options.current;
        if let Some(current) = self.dump.goroutines.iter().find(is_current) {
            printer.goroutine(current)?;
        }
        if self.options.only_current {
            return Ok(());
        }
        let rest = self.dump.goroutines.iter().filter(|goroutine| !is_current(goroutine));
        match self.options.group_equal {
            true => groups_of(rest).iter().try_for_each(|group| printer.group(group)),
            false => rest.into_iter().try_for_each(|goroutine| printer.goroutine(goroutine)),
        }
    }
}

/// Goroutines that look the same but for id, name and time, in the order of their first; the largest group first.
fn groups_of<'a>(goroutines: impl Iterator<Item = &'a Goroutine>) -> Vec<Vec<&'a Goroutine>> {
    let mut groups: Vec<Vec<&Goroutine>> = Vec::new();
    let mut index = HashMap::new();
    for goroutine in goroutines {
        let about = &goroutine.about;
        // Equal stacks are one allocation, and its address is quicker to hash than its frames.
        let stack = match &goroutine.stack {
            Stack::Walked(trace) => Rc::as_ptr(trace).addr(),
            Stack::Elsewhere => 1,
            Stack::NotStarted => 2,
        };
        let key = (stack, about.status as u8, about.reason as u8, about.locked_to_thread, about.created_pc);
        let at = *index.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[at].push(goroutine);
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    groups
}

struct Printer<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    symbols: &'a mut Symbols,
    dump: &'a Dump,
    full: bool,
    first: bool,
}

impl Printer<'_, '_> {
    fn goroutine(&mut self, goroutine: &Goroutine) -> fmt::Result {
        self.separate()?;
        let about = &goroutine.about;
        let waited = Waited { longest: about.waited, of_many: false };
        writeln!(self.out, "goroutine {} [{}]:", about.id, Header { about, waited, name: &about.name })?;
        self.stack(&goroutine.stack)?;
        self.created_by(about, (about.parent != 0).then_some(about.parent))
    }

    fn group(&mut self, group: &[&Goroutine]) -> fmt::Result {
        let [first, rest @ ..] = group else { return Ok(()) };
        if rest.is_empty() {
            return self.goroutine(first);
        }
        self.separate()?;
        let about = &first.about;
        let longest = group.iter().map(|goroutine| goroutine.about.waited).max().unwrap_or_default();
        let name = if rest.iter().all(|g| g.about.name == about.name) { &about.name } else { "" };
        let header = Header { about, waited: Waited { longest, of_many: true }, name };
        writeln!(self.out, "{} goroutines [{header}]:", group.len())?;
        writeln!(self.out, "ids {}", Ids(group))?;
        self.stack(&first.stack)?;
        let same_parent = rest.iter().all(|goroutine| goroutine.about.parent == about.parent);
        self.created_by(about, (same_parent && about.parent != 0).then_some(about.parent))
    }

    fn separate(&mut self) -> fmt::Result {
        if std::mem::take(&mut self.first) { Ok(()) } else { self.out.write_char('\n') }
    }

    fn stack(&mut self, stack: &Stack) -> fmt::Result {
        match stack {
            Stack::Walked(trace) => self.frames(trace),
            Stack::Elsewhere => {
                self.out.write_str("\tgoroutine running on other thread; stack unavailable\n")
            }
            Stack::NotStarted => Ok(()),
        }
    }

    fn frames(&mut self, trace: &Trace) -> fmt::Result {
        let inner = self.resolve(&trace.inner);
        let outer = self.resolve(&trace.outer);
        let calls: Vec<(&Resolved, &Call)> = inner
            .iter()
            .chain(&outer)
            .flat_map(|at| at.calls.iter().map(move |call| (&**at, call)))
            .collect();
        let shown = match self.full {
            true => 0..calls.len(),
            false => plumbing::shown(calls.iter().map(|(_, call)| call.function.as_deref())),
        };
        // Where the frames that were never looked up are missing.
        let gap = inner.iter().map(|at| at.calls.len()).sum::<usize>().clamp(shown.start, shown.end);
        let (above, below) = (gap - shown.start, shown.end - gap);
        let is_cut = trace.elided > 0 || above + below > 2 * KEPT_AT_EACH_END;
        if !is_cut {
            calls[shown].iter().try_for_each(|(at, call)| self.frame(at, call))?;
            return self.truncation(trace);
        }
        // Inlined calls can make more than a hundred out of a hundred frames, on either side.
        let (head, tail) = match trace.elided {
            0 => (KEPT_AT_EACH_END, KEPT_AT_EACH_END),
            _ => (above.min(KEPT_AT_EACH_END), below.min(KEPT_AT_EACH_END)),
        };
        let elided = trace.elided + (above + below - head - tail);
        calls[shown.start..shown.start + head].iter().try_for_each(|(at, call)| self.frame(at, call))?;
        writeln!(self.out, "...{elided} frames elided...")?;
        calls[shown.end - tail..shown.end].iter().try_for_each(|(at, call)| self.frame(at, call))?;
        self.truncation(trace)
    }

    fn truncation(&mut self, trace: &Trace) -> fmt::Result {
        self.out.write_str(if trace.truncated { "...additional frames elided...\n" } else { "" })
    }

    fn resolve(&mut self, pcs: &[Pc]) -> Vec<Arc<Resolved>> {
        pcs.iter().map(|pc| self.symbols.resolve(*pc, self.dump.walker.modules())).collect()
    }

    fn frame(&mut self, at: &Resolved, call: &Call) -> fmt::Result {
        writeln!(self.out, "{}(...)", OneLine(call.function.as_deref().unwrap_or("?")))?;
        self.place(call.file.as_deref(), call.line, at)
    }

    /// The second line of a frame.
    fn place(&mut self, file: Option<&str>, line: u32, at: &Resolved) -> fmt::Result {
        write!(self.out, "\t{}:{line}", OneLine(file.unwrap_or("?")))?;
        match at.offset {
            Some(0) => writeln!(self.out),
            Some(offset) => writeln!(self.out, " +{offset:#x}"),
            None => writeln!(self.out, " pc={:#x}", at.addr),
        }
    }

    fn created_by(&mut self, about: &About, parent: Option<u64>) -> fmt::Result {
        let (Some(created_at), 1..) = (about.created_at, about.created_pc) else { return Ok(()) };
        let at = self.symbols.resolve(Pc::exact(about.created_pc), self.dump.walker.modules());
        let call = creator(&at, created_at);
        write!(self.out, "created by {}", OneLine(call.function.as_deref().unwrap_or("?")))?;
        if let Some(parent) = parent {
            write!(self.out, " in goroutine {parent}")?;
        }
        self.out.write_char('\n')?;
        // The compiler knows the line better than the line table does; the latter has the absolute path.
        let of_table = call.file.as_deref().filter(|file| file.ends_with(created_at.file()));
        self.place(Some(of_table.unwrap_or(created_at.file())), created_at.line(), &at)
    }
}

/// Of the calls that stand at the address where a goroutine was started: the one in the source file that started it.
fn creator<'a>(at: &'a Resolved, location: &Location<'_>) -> &'a Call {
    let in_file = |call: &&Call| call.file.as_deref().is_some_and(|file| file.ends_with(location.file()));
    let exactly = |call: &&Call| in_file(call) && call.line == location.line();
    at.calls
        .iter()
        .find(exactly)
        .or_else(|| at.calls.iter().find(in_file))
        .unwrap_or(&at.calls[at.calls.len() - 1])
}

/// What stands in the brackets.
struct Header<'a> {
    about: &'a About,
    waited: Waited,
    /// Empty: none.
    name: &'a str,
}

struct Waited {
    longest: Duration,
    of_many: bool,
}

impl fmt::Display for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = self.about.status == Status::Waiting;
        f.write_str(match (self.about.status, self.about.reason.text()) {
            (Status::Idle, _) => "idle",
            (Status::Runnable, _) => "runnable",
            (Status::Running, _) => "running",
            (Status::Waiting, "") => "waiting",
            (Status::Waiting, reason) => reason,
        })?;
        let minutes = self.waited.longest.as_secs() / 60;
        if waits && minutes >= 1 {
            write!(f, ", {}{minutes} minutes", if self.waited.of_many { "up to " } else { "" })?;
        }
        if self.about.locked_to_thread {
            f.write_str(", locked to thread")?;
        }
        match self.name {
            "" => Ok(()),
            name => write!(f, " labels:{{\"name\": {}}}", Quoted(name)),
        }
    }
}

/// A string in quotes, with Go's escapes. A closing bracket is escaped too, because tools look for it to find the end of
/// the header.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                ']' => f.write_str("\\x5d")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                _ if c.is_control() => write!(f, "\\u{:04x}", c as u32)?,
                _ => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// A string without line breaks and other control characters.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.split(char::is_control).try_for_each(|part| f.write_str(part))
    }
}

/// The ids of a group, which are in rising order: `5-99, 101, 200-203`.
struct Ids<'a>(&'a [&'a Goroutine]);

impl fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let follows = |a: &&Goroutine, b: &&Goroutine| a.about.id + 1 == b.about.id;
        let mut listed = 0;
        for (n, run) in self.0.chunk_by(follows).enumerate() {
            if n == ID_RANGES {
                return write!(f, ", and {} more", self.0.len() - listed);
            }
            listed += run.len();
            f.write_str(if n == 0 { "" } else { ", " })?;
            match run {
                [one] => write!(f, "{}", one.about.id)?,
                [first, .., last] => write!(f, "{}-{}", first.about.id, last.about.id)?,
                [] => {}
            }
        }
        Ok(())
    }
}
