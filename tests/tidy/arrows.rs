//! The arrows between rooms: who may import whom.
//!
//! A *room* is a file or a directory right under a crate's `src`. The table (arrows.txt) has a section per crate:
//!
//! ```text
//!   [gort-core]
//!   open: sys lock ids           every room may import these; of each other, only those to their left
//!   top: rt lib                  these may import every room; of each other, only those to their left
//!   stack < g, m                 g and m may import stack: directly, and it is not inherited
//!   channel shows select         channel may `pub use` names of select for its users, and not use them itself
//! ```
//!
//! `core::x` on the left of an arrow is room x of gort-core, seen from another crate; `core::lib` is what stands in the
//! root of gort-core itself. An import is every path that
//! starts with `crate::`, with `gort_core::` or with enough `super::` to leave its room, in a `use` or in a body;
//! tests, comments and strings do not count. Neither do macros called by their place in the root (`crate::name!`),
//! nor `$crate::`, which is a path of whoever calls the macro.
//!
//! What is checked:
//! 1. Each import has its arrow. 2. The arrows make no cycle. 3. Rooms and table name each other completely.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::Complaint;
use crate::scan::{Source, Token, closing, test_attribute, tokens};

/// Where the table lies, from the root of the repository.
pub(crate) const TABLE: &str = "tests/tidy/arrows.txt";

/// What the core is called in paths and in the table, and where it lies.
const CORE: (&str, &str, &str) = ("gort_core", "core::", "crates/gort-core/src");

/// One path out of a room.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    line: usize,
    room: String,
    /// It only shows the name to others: `pub use`.
    shown: bool,
}

pub(crate) fn check(sources: &[Source], table: &str) -> Vec<Complaint> {
    let (sections, mut complaints) = parse(table);
    for section in &sections {
        complaints.extend(section.cycle());
        complaints.extend(check_crate(section, sources));
    }
    complaints
}

fn check_crate(section: &Section, sources: &[Source]) -> Vec<Complaint> {
    let src = Path::new("crates").join(&section.name).join("src");
    let files = files_of(&src, sources);
    let rooms = rooms_of(&src, sources);
    let core_rooms = rooms_of(Path::new(CORE.2), sources);
    let tests = test_files(&files);

    let mut complaints = Vec::new();
    for name in section.rooms.difference(&rooms) {
        complaints.push(in_table(section.line, format!("{} has no room `{name}`", section.name)));
    }
    for (module, source) in files.iter().filter(|(module, _)| !tests.contains(module)) {
        let room = room_of(module);
        if !section.rooms.contains(&room) {
            let text = format!("room `{room}` has no place in {TABLE}");
            complaints.push(Complaint { path: source.path.clone(), line: 1, text });
            continue;
        }
        for import in imports(&source.shipped, module, &rooms, &core_rooms) {
            let shown = import.shown && section.shows(&room, &import.room);
            if import.room != room && !shown && !section.allows(&room, &import.room) {
                let text = format!("`{room}` imports `{}`: no such arrow in {TABLE}", import.room);
                complaints.push(Complaint { path: source.path.clone(), line: import.line, text });
            }
        }
    }
    complaints
}

// The table

#[derive(Default)]
struct Section {
    name: String,
    line: usize,
    /// Rooms of this crate that the table names.
    rooms: BTreeSet<String>,
    open: Vec<String>,
    top: Vec<String>,
    /// Importer to imported.
    arrows: BTreeMap<String, BTreeSet<String>>,
    /// Room to rooms whose names it re-exports.
    shown: BTreeMap<String, BTreeSet<String>>,
}

impl Section {
    fn allows(&self, importer: &str, imported: &str) -> bool {
        let place = |list: &[String], room: &str| list.iter().position(|name| name == room);
        if self.arrows.get(importer).is_some_and(|set| set.contains(imported)) {
            return true;
        }
        // What is open may be imported from everywhere to its right; the top imports everything to its left.
        match (place(&self.open, importer), place(&self.open, imported)) {
            (Some(importer), Some(imported)) => return imported < importer,
            (None, Some(_)) => return true,
            _ => {}
        }
        match (place(&self.top, importer), place(&self.top, imported)) {
            (Some(importer), Some(imported)) => imported < importer,
            (Some(_), None) => true,
            _ => false,
        }
    }

    fn shows(&self, room: &str, shown: &str) -> bool {
        self.shown.get(room).is_some_and(|set| set.contains(shown))
    }

    /// Takes away rooms all of whose imports are taken away already; what is left runs in a circle.
    fn cycle(&self) -> Option<Complaint> {
        let mut left = self.rooms.clone();
        while let Some(room) =
            left.iter().find(|room| !left.iter().any(|other| self.allows(room, other))).cloned()
        {
            left.remove(&room);
        }
        let names: Vec<String> = left.into_iter().collect();
        let text = format!("the arrows of {} make a cycle among: {}", self.name, names.join(", "));
        (!names.is_empty()).then(|| in_table(self.line, text))
    }
}

fn in_table(line: usize, text: String) -> Complaint {
    Complaint { path: TABLE.into(), line, text }
}

fn parse(table: &str) -> (Vec<Section>, Vec<Complaint>) {
    let mut sections: Vec<Section> = Vec::new();
    let mut complaints = Vec::new();
    for (index, line) in table.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            sections.push(Section { name: name.to_owned(), line: index + 1, ..Section::default() });
        } else if sections.last_mut().is_none_or(|section| !parse_line(section, line)) {
            complaints.push(in_table(index + 1, format!("not understood: {line}")));
        }
    }
    (sections, complaints)
}

fn parse_line(section: &mut Section, line: &str) -> bool {
    if let Some(list) = line.strip_prefix("open:") {
        section.open = names(list);
        section.rooms.extend(section.open.iter().filter(|name| !name.starts_with(CORE.1)).cloned());
    } else if let Some(list) = line.strip_prefix("top:") {
        section.top = names(list);
        section.rooms.extend(section.top.iter().cloned());
    } else if let Some((imported, importers)) = line.split_once('<') {
        let imported = names(imported);
        section.rooms.extend(imported.iter().filter(|name| !name.starts_with(CORE.1)).cloned());
        for importer in names(importers) {
            section.rooms.insert(importer.clone());
            section.arrows.entry(importer).or_default().extend(imported.iter().cloned());
        }
    } else if let Some((room, shown)) = line.split_once(" shows ") {
        section.shown.entry(room.trim().to_owned()).or_default().extend(names(shown));
    } else {
        return false;
    }
    true
}

fn names(list: &str) -> Vec<String> {
    list.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

// The sources

/// `park/thread.rs` is `["park", "thread"]`, `park/mod.rs` is `["park"]`, `lib.rs` is `[]`.
fn module_path(file: &Path) -> Vec<String> {
    let without_extension = file.with_extension("");
    let mut path: Vec<String> =
        without_extension.iter().map(|part| part.to_str().expect("a name in UTF-8").to_owned()).collect();
    if path.last().is_some_and(|last| last == "mod" || (path.len() == 1 && last == "lib")) {
        path.pop();
    }
    path
}

/// The files under `src`, each with its place in the tree of modules.
fn files_of<'a>(src: &Path, sources: &'a [Source]) -> Vec<(Vec<String>, &'a Source)> {
    let file = |source: &'a Source| Some((module_path(source.path.strip_prefix(src).ok()?), source));
    sources.iter().filter_map(file).collect()
}

fn rooms_of(src: &Path, sources: &[Source]) -> BTreeSet<String> {
    files_of(src, sources).iter().map(|(module, _)| room_of(module)).collect()
}

fn room_of(module: &[String]) -> String {
    module.first().map_or("lib", String::as_str).to_owned()
}

/// The modules that are declared under `#[cfg(test)]`, as files of their own.
fn test_files(files: &[(Vec<String>, &Source)]) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for (module, source) in files {
        let tokens = tokens(&source.code);
        for index in 0..tokens.len() {
            let Some(length) = test_attribute(&tokens[index..]) else { continue };
            if let [first, name, end, ..] = &tokens[index + length..]
                && first.text == "mod"
                && end.text == ";"
            {
                found.insert(module.iter().cloned().chain([name.text.to_owned()]).collect());
            }
        }
    }
    found
}

/// Every path in `code` that leads out of its room. `module` is where the file stands, `rooms` are those of its crate.
fn imports(
    code: &str,
    module: &[String],
    rooms: &BTreeSet<String>,
    core_rooms: &BTreeSet<String>,
) -> BTreeSet<Import> {
    let tokens = tokens(code);
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut found = BTreeSet::new();
    // The brace depths at which `mod name {` has opened.
    let mut inline = Vec::new();
    let mut depth = 0usize;
    for at in 0..tokens.len() {
        match text(at) {
            "{" => {
                depth += 1;
                if at >= 2 && text(at - 2) == "mod" {
                    inline.push(depth);
                }
            }
            "}" => {
                if inline.last() == Some(&depth) {
                    inline.pop();
                }
                depth = depth.saturating_sub(1);
            }
            "crate" if text(at + 1) == "::" && !(at > 0 && matches!(text(at - 1), "in" | "$")) => {
                let shown = at >= 2 && text(at - 2) == "pub" && text(at - 1) == "use";
                found.extend(heads(&tokens[at + 2..]).into_iter().map(|head| room_at(head, rooms, shown)));
            }
            "super" if text(at + 1) == "::" && (at == 0 || text(at - 1) != "::") => {
                let supers = (0..).take_while(|step| text(at + 2 * step) == "super").count();
                if supers >= module.len() + inline.len() {
                    let path = &tokens[at + 2 * supers..];
                    found.extend(heads(path).into_iter().map(|head| room_at(head, rooms, false)));
                }
            }
            core if core == CORE.0 && text(at + 1) == "::" => {
                found.extend(heads(&tokens[at + 2..]).into_iter().map(|head| core_room(head, core_rooms)));
            }
            _ => {}
        }
    }
    found.into_iter().flatten().collect()
}

/// The first words of the path, or of each path of the group, that `tokens` begin with; with whether a `!` follows.
fn heads<'a>(tokens: &[Token<'a>]) -> Vec<(Token<'a>, bool)> {
    let calls = |at: usize| tokens.get(at + 1).is_some_and(|token| token.text == "!");
    let Some(first) = tokens.first() else { return Vec::new() };
    if first.text != "{" {
        return vec![(*first, calls(0))];
    }
    let end = closing(tokens).unwrap_or(tokens.len());
    let mut heads = Vec::new();
    let mut at = 1;
    let mut expected = true;
    while at < end {
        match tokens[at].text {
            "{" => at += closing(&tokens[at..]).unwrap_or(0),
            "," => expected = true,
            _ if expected => {
                heads.push((tokens[at], calls(at)));
                expected = false;
            }
            _ => {}
        }
        at += 1;
    }
    heads
}

/// The room of `rooms` that a path from the crate's root leads to. Names that are no rooms are the root's own.
fn room_at((head, calls): (Token<'_>, bool), rooms: &BTreeSet<String>, shown: bool) -> Option<Import> {
    if calls || head.text == "self" {
        return None;
    }
    let room = if rooms.contains(head.text) { head.text } else { "lib" };
    Some(Import { line: head.line, room: room.to_owned(), shown })
}

fn core_room(head: (Token<'_>, bool), rooms: &BTreeSet<String>) -> Option<Import> {
    let import = room_at(head, rooms, false)?;
    Some(Import { room: format!("{}{}", CORE.1, import.room), ..import })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "[toy]\nopen: sys ids\ntop: rt lib\ng, runq < sched  # a comment\nsched < park\n";

    fn complaints(files: &[(&str, &str)], table: &str) -> Vec<String> {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| Source::new(&Path::new("crates/toy/src").join(path), (*text).to_owned()))
            .collect();
        check(&sources, table).iter().map(Complaint::to_string).collect()
    }

    /// The rooms of the table, with `text` as the scheduler.
    fn with_sched<'a>(file: &'a str, text: &'a str) -> Vec<(&'a str, &'a str)> {
        let empty = ["sys/mod.rs", "ids.rs", "rt.rs", "lib.rs", "g.rs", "runq.rs", "park.rs", "sched/mod.rs"];
        empty.into_iter().filter(|name| *name != file).map(|name| (name, "")).chain([(file, text)]).collect()
    }

    #[test]
    fn allowed_arrows_pass() {
        let text = "use crate::{g::G, ids::{Id, self}, runq::*};\nfn f() { crate::sys::x(); self::y(); super::g::z() }\n\
                    #[cfg(test)] mod tests { use crate::park; }\n// crate::park\n";
        assert_eq!(complaints(&with_sched("sched/mod.rs", text), TABLE), Vec::<String>::new());
        let text = "use super::Inside; mod inner { use super::super::Inside; }";
        assert_eq!(complaints(&with_sched("sched/find.rs", text), TABLE), Vec::<String>::new());
    }

    #[test]
    fn other_arrows_do_not() {
        let path = "crates/toy/src/sched/mod.rs";
        let wrong = |line, room| {
            format!("{path}:{line}: `sched` imports `{room}`: no such arrow in {}", super::TABLE)
        };
        for (text, line, room) in [
            ("\nuse crate::park::Park;", 2, "park"),
            ("use crate::{g,\n park as p};", 2, "park"),
            ("fn f() { super::park::park() }", 1, "park"),
            ("mod inner { fn f() { super::super::park::park() } }", 1, "park"),
            ("fn f() -> crate::Error { }", 1, "lib"),
            ("use gort_core::num_cpu;", 1, "core::lib"),
        ] {
            assert_eq!(complaints(&with_sched("sched/mod.rs", text), TABLE), [wrong(line, room)], "{text}");
        }
    }

    #[test]
    fn a_face_only_shows() {
        let table = format!("{TABLE}sched shows park\n");
        let shows = "pub use crate::park::{Park, Parked};\nmacro_rules! m { () => { $crate::rt::run() } }";
        assert_eq!(complaints(&with_sched("sched/mod.rs", shows), &table), Vec::<String>::new());
        for uses in ["use crate::park::Park;", "pub(crate) use crate::park::Park;", "pub use crate::rt::run;"]
        {
            assert_eq!(complaints(&with_sched("sched/mod.rs", uses), &table).len(), 1, "{uses}");
        }
    }

    #[test]
    fn the_table_is_complete_and_has_no_cycle() {
        let all = with_sched("lib.rs", "");
        assert_eq!(complaints(&all, TABLE), Vec::<String>::new());
        let cyclic = complaints(&all, &format!("{TABLE}park < g\n"));
        assert_eq!(cyclic.len(), 1);
        assert!(cyclic[0].contains("cycle among: g, lib, park, rt, sched"), "{cyclic:?}");
        assert!(complaints(&all, &format!("{TABLE}netpoll < sched\n"))[0].contains("has no room `netpoll`"));
        let new = complaints(&with_sched("timers.rs", ""), TABLE);
        assert!(new[0].contains("room `timers` has no place"), "{new:?}");
        assert!(complaints(&all, &format!("{TABLE}nonsense\n"))[0].contains("not understood"));
    }
}
