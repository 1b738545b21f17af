//! From code addresses to what a reader knows: function, file, line.
//!
//! Owns: the resolution of addresses, each once, with the calls that the compiler has inlined unfolded again.
//! Does not know: stacks, goroutines, and which frames are worth showing (`plumbing` does).
//!
//! ```text
//!   pc ──► backtrace::resolve ──► calls, innermost first: name, file, line
//!     │         names are paths: with full debug information, or from the symbol table where there is none
//!     │         names are bare (`recv<u64>`): with line tables only, the usual choice for release builds; then
//!     ├──► symbol table ────────► the path of the outermost call, the one that was not inlined
//!     │    file of the call ────► the path of the inlined ones, as far as the file's own path tells it
//!     └──► unwind table ────────► the start of the function
//! ```
//!
//! The debug information is found and read by the `backtrace` crate, with which std prints its panics: it knows split,
//! compressed and separate debug information. The rest is what it lacks. It takes a process-wide lock and keeps what it
//! has parsed; so dumps are resolved after the goroutines' addresses have been gathered, when the world may go on.

use std::collections::HashMap;
use std::ffi::c_void;
use std::fs::File;
use std::mem;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;

use object::{Object, ObjectSymbol, ReadCache, SymbolKind, SymbolMap, SymbolMapName};
use rustc_demangle::demangle;

use super::known::{self, Resolutions};
use super::modules::{Changes, LoadedModule, Modules};
use super::unwind::Pc;

/// One call, as written in the source; several of them stand at one address where calls were inlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// The function's path, demangled, without the hash.
    pub(crate) function: Option<Box<str>>,
    /// The file, absolute where the debug information allows.
    pub(crate) file: Option<Box<str>>,
    /// The line; 0 if unknown.
    pub(crate) line: u32,
}

/// Everything known about one address.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The calls that stand there, innermost first; never empty.
    pub(crate) calls: Box<[Call]>,
    /// How far it is from the start of its (outermost) function.
    pub(crate) offset: Option<usize>,
    /// The address itself.
    pub(crate) addr: usize,
}

/// The resolver, with all it has resolved. Meant to live for one dump.
pub(crate) struct Symbols {
    known: Resolutions,
    /// Of which modules that holds.
    changes: Changes,
    /// The symbol tables that have been needed, by where their module starts.
    tables: HashMap<usize, HashMap<usize, Box<str>>>,
}

impl Symbols {
    /// A resolver of addresses in `modules`, who knows what its predecessors knew.
    pub(crate) fn of(modules: &Modules) -> Symbols {
        let changes = modules.changes();
        Symbols { known: known::take(changes), changes, tables: HashMap::new() }
    }

    /// What stands at `pc`.
    pub(crate) fn resolve(&mut self, pc: Pc, modules: &Modules) -> Arc<Resolved> {
        if let Some(known) = self.known.get(&pc) {
            return Arc::clone(known);
        }
        let resolved = Arc::new(self.look_up(pc, modules));
        self.known.insert(pc, Arc::clone(&resolved));
        resolved
    }

    fn look_up(&mut self, pc: Pc, modules: &Modules) -> Resolved {
        let mut calls = debug_information(pc);
        let function = modules.function_at(pc.lookup());
        if let (Some(outermost), Some(function)) = (calls.last_mut(), function)
            && outermost.function.as_deref().is_none_or(is_bare)
            && let Some(path) = modules.module_of(function.start).and_then(|m| self.symbol(m, function.start))
        {
            outermost.function = Some(path);
        }
        calls.iter_mut().for_each(qualify);
        if calls.is_empty() {
            calls.push(Call { function: None, file: None, line: 0 });
        }
        Resolved { calls: calls.into(), offset: function.map(|f| pc.addr - f.start), addr: pc.addr }
    }

    /// The path of the function that starts at `start`, from the module's symbol table.
    fn symbol(&mut self, module: &LoadedModule, start: usize) -> Option<Box<str>> {
        let table =
            self.tables.entry(module.span.start).or_insert_with(|| symbol_table(module).unwrap_or_default());
        table.get(&start).map(|name| format!("{:#}", demangle(name)).into())
    }
}

impl Drop for Symbols {
    fn drop(&mut self) {
        known::give_back(self.changes, mem::take(&mut self.known));
    }
}

/// A program's thread-locals, as its symbol table has them.
#[derive(Default)]
pub(crate) struct ThreadLocals(Vec<(Range<usize>, Box<str>)>);

impl ThreadLocals {
    /// None if there is no symbol table.
    pub(crate) fn of(module: &LoadedModule) -> Option<ThreadLocals> {
        let cache = ReadCache::new(File::open(&module.path).ok()?);
        let file = object::File::parse(&cache).ok()?;
        let thread_locals = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Tls);
        let place = |symbol: object::Symbol<'_, '_, _>| {
            let start = symbol.address() as usize;
            let name = declared_name(&format!("{:#}", demangle(symbol.name().ok()?))).into();
            Some((start..start + symbol.size() as usize, name))
        };
        Some(ThreadLocals(thread_locals.filter_map(place).collect()))
    }

    /// The path of the one at `offset` in the program's segment of thread-locals.
    pub(crate) fn at(&self, offset: usize) -> Option<&str> {
        self.0.iter().find(|(place, _)| place.contains(&offset)).map(|(_, name)| &**name)
    }
}

/// What `thread_local!` was given: without the constants and closures that it puts the value into.
fn declared_name(path: &str) -> &str {
    let mut name = path.strip_suffix("::__RUST_STD_INTERNAL_VAL").unwrap_or(path);
    while let Some((outer, last)) = name.rsplit_once("::")
        && last.starts_with('{')
    {
        name = outer;
    }
    name
}

/// The calls at `pc`, innermost first, as the debug information (or else the symbol table) has them.
fn debug_information(pc: Pc) -> Vec<Call> {
    let mut calls = Vec::new();
    // The crate looks one byte before the address it is given, on the assumption that it is a return address.
    let after = ptr::without_provenance_mut::<c_void>(pc.lookup().saturating_add(1));
    backtrace::resolve(after, |symbol| {
        calls.push(Call {
            function: symbol.name().map(|name| format!("{name:#}").into()),
            file: symbol.filename().map(|file| file.to_string_lossy().into()),
            line: symbol.lineno().unwrap_or(0),
        });
    });
    calls
}

/// The module's functions by their first address in memory, names as linked.
fn symbol_table(module: &LoadedModule) -> Option<HashMap<usize, Box<str>>> {
    // Reads the two sections it needs, not the whole file.
    let cache = ReadCache::new(File::open(&module.path).ok()?);
    let file = object::File::parse(&cache).ok()?;
    let symbols: SymbolMap<SymbolMapName<'_>> = file.symbol_map();
    let entry = |symbol: &SymbolMapName<'_>| {
        (module.bias.wrapping_add(symbol.address() as usize), Box::from(symbol.name()))
    };
    Some(symbols.symbols().iter().map(entry).collect())
}

/// Whether a function's name comes without the path to it, as in line tables: `recv<u64>`, `{closure#0}`.
fn is_bare(name: &str) -> bool {
    !without_arguments(name).contains("::")
}

/// A name up to its generic arguments: those of a bare name spell out every type, at lengths nobody reads.
fn without_arguments(name: &str) -> &str {
    if name.starts_with('<') {
        return name;
    }
    name.split('<').next().unwrap_or(name)
}

/// Puts the module's path before a bare name, as far as the file's path tells it.
fn qualify(call: &mut Call) {
    let (Some(name), Some(file)) = (call.function.as_deref(), call.file.as_deref()) else { return };
    if !is_bare(name) || !file.ends_with(".rs") {
        return;
    }
    let name = without_arguments(name);
    call.function = Some(match module_of_file(file) {
        Some(module) => format!("{module}::{name}").into(),
        None => name.into(),
    });
}

/// The path of the module that a source file holds, if it lies where packages have their sources:
/// `std::io` for `/rustc/../library/std/src/io/mod.rs`, `some_lib` for `/../some-lib-1.2.3/src/lib.rs`.
fn module_of_file(file: &str) -> Option<String> {
    let (package, source) = file.rsplit_once("/src/")?;
    let (above, package) = package.rsplit_once('/')?;
    let of_std = matches!(package, "core" | "std" | "alloc");
    // A stranger's directory of such a name is not the standard library.
    if package == ".." || source.contains("..") || of_std != above.ends_with("/library") {
        return None;
    }
    let registry_version =
        package.rfind('-').filter(|at| package[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    let package = &package[..registry_version.unwrap_or(package.len())];
    let source = source.strip_suffix(".rs")?;
    let (krate, source) =
        match source.strip_prefix("bin/").map(|tool| tool.split_once('/').unwrap_or((tool, "main"))) {
            Some((tool, source)) => (tool, source),
            None => (package, source),
        };
    let mut path = krate.replace('-', "_");
    for part in source.split('/') {
        if !matches!(part, "lib" | "main" | "mod") {
            path.push_str("::");
            path.push_str(part);
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use gort_core::snapshot::Context;

    use super::super::unwind::capture;
    use super::*;

    #[inline(always)]
    fn inlined_here() -> Option<Context> {
        capture()
    }

    #[inline(never)]
    fn standing_here() -> (Option<Context>, u32) {
        (inlined_here(), line!())
    }

    #[test]
    fn unfolds_inlined_calls_down_to_file_and_line() {
        let (Some(context), line) = standing_here() else { return };
        let modules = Modules::loaded();
        let mut symbols = Symbols::of(&modules);
        let resolved = symbols.resolve(Pc::exact(context.pc), &modules);
        let names: Vec<_> = resolved.calls.iter().map(|call| call.function.as_deref().unwrap()).collect();
        assert!(names.iter().any(|name| name.ends_with("inlined_here")), "{names:?}");
        let outer = resolved.calls.last().unwrap();
        // The outermost call has its full path, whatever the debug information leaves out.
        assert_eq!(outer.function.as_deref(), Some(concat!(module_path!(), "::standing_here")));
        assert_eq!(outer.line, line);
        assert!(outer.file.as_deref().unwrap().ends_with("symbol.rs"), "{outer:?}");
        assert!(resolved.offset.is_some());
        assert!(Arc::ptr_eq(&resolved, &symbols.resolve(Pc::exact(context.pc), &modules)));
    }

    #[test]
    fn an_address_without_code_is_still_a_call() {
        let modules = Modules::loaded();
        let resolved = Symbols::of(&modules).resolve(Pc::exact(16), &modules);
        assert_eq!(&*resolved.calls, [Call { function: None, file: None, line: 0 }]);
        assert_eq!(resolved.offset, None);
    }

    #[test]
    fn paths_from_files() {
        for (file, module) in [
            ("/rustc/59807616e1/library/core/src/ops/function.rs", Some("core::ops::function")),
            ("/rustc/59807616e1/library/std/src/io/mod.rs", Some("std::io")),
            ("/rustc/59807616e1/library/std/src/../../backtrace/src/lib.rs", Some("backtrace")),
            (
                "/root/.cargo/registry/src/index.crates.io-1949cf/lock_api-0.4.14/src/mutex.rs",
                Some("lock_api::mutex"),
            ),
            ("/home/u/some-app/src/main.rs", Some("some_app")),
            ("/home/u/gort/crates/gort/src/channel/mod.rs", Some("gort::channel")),
            ("/home/u/app/src/bin/my-tool.rs", Some("my_tool")),
            ("/home/u/app/src/bin/tool/jobs.rs", Some("tool::jobs")),
            ("/home/u/core/src/lib.rs", None),
            ("/home/u/app/tests/walk.rs", None),
            ("/home/u/app/tests/../src/walk.rs", None),
            ("main.rs", None),
        ] {
            assert_eq!(module_of_file(file).as_deref(), module, "{file}");
        }
    }

    #[test]
    fn only_bare_names_are_qualified() {
        let of = |name: &str| {
            let file = Some("/home/u/app/src/jobs.rs".into());
            let mut call = Call { function: Some(name.into()), file, line: 1 };
            qualify(&mut call);
            call.function.unwrap().to_string()
        };
        assert_eq!(of("run"), "app::jobs::run");
        assert_eq!(of("run<alloc::vec::Vec<u8>>"), "app::jobs::run");
        assert_eq!(of("{closure#0}<(), app::Job>"), "app::jobs::{closure#0}");
        assert_eq!(of("other::run<u8>"), "other::run<u8>");
        assert_eq!(of("<app::Job as app::Run>::run"), "<app::Job as app::Run>::run");
    }
}
