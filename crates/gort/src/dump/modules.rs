//! The code that is loaded in this process, and what its unwind tables say about it.
//!
//! Owns: the list of loaded modules (the program, shared libraries, the vdso) with their code ranges and their
//! `.eh_frame_hdr` and `.eh_frame` sections. All is read from the segments that the loader has mapped, and nothing from a
//! file: so it holds for position-independent and fixed programs, static ones and stripped ones alike.
//! Does not know: stacks, registers, names.
//!
//! ```text
//!   dl_iterate_phdr ─► per module:  PT_LOAD + X ──► code ranges
//!                                   PT_GNU_EH_FRAME ──► .eh_frame_hdr ──(its first pointer)──► .eh_frame
//! ```
//!
//! Invariants:
//! 1. The section slices point into mapped, readable segments, which stay mapped until somebody unloads the module.
//!    Rust programs hardly ever do; one that does must not call `dlclose` while another thread makes a dump.
//! 2. A module whose tables are missing or of an unknown encoding has no sections; its code is still known as code.

use std::ffi::{CStr, OsStr, c_int, c_void};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::slice;

use gimli::{
    BaseAddresses, EhFrame, EhFrameHdr, EndianSlice, FrameDescriptionEntry, NativeEndian, RegisterRule,
    UnwindContext, UnwindSection,
};

type Bytes = EndianSlice<'static, NativeEndian>;
type Table = EhFrame<Bytes>;
type Entry = FrameDescriptionEntry<Bytes>;

/// What the unwind tables say about the function around an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its first address.
    pub(crate) start: usize,
    /// Whether it is marked as a signal frame: the mark of code that switches stacks, such as the first frame of a
    /// goroutine, whose caller is on the machine's stack.
    pub(crate) switches_stack: bool,
}

/// One loaded module.
pub(crate) struct LoadedModule {
    /// Its file.
    pub(crate) path: PathBuf,
    /// What the module's own addresses must be added to; zero for a program that is not position independent.
    pub(crate) bias: usize,
    /// From the lowest to the highest loaded address.
    pub(crate) span: Range<usize>,
    code: Vec<Range<usize>>,
    /// `.eh_frame_hdr` and `.eh_frame`; the latter reaches to the end of its segment, since its length is recorded
    /// nowhere in memory. Lookups go through the former's table, so the excess is never read.
    pub(crate) sections: Option<(&'static [u8], &'static [u8])>,
}

/// How often modules have been loaded and unloaded so far: as long as it is the same, so is the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Changes {
    pub(crate) loads: u64,
    pub(crate) unloads: u64,
}

impl Changes {
    /// Before the program itself was loaded.
    pub(crate) const NONE: Changes = Changes { loads: 0, unloads: 0 };
}

/// All loaded modules, sorted by address.
pub(crate) struct Modules {
    modules: Vec<LoadedModule>,
    changes: Changes,
}

impl Modules {
    /// The modules that are loaded now.
    pub(crate) fn loaded() -> Modules {
        let mut loaded = Modules { modules: Vec::new(), changes: Changes::NONE };
        // SAFETY: the callback gets this very list back as its last argument, and `dl_iterate_phdr` calls it only
        // before it returns.
        unsafe { libc::dl_iterate_phdr(Some(add_module), (&raw mut loaded).cast()) };
        loaded.modules.sort_by_key(|module| module.span.start);
        loaded
    }

    pub(crate) fn iter(&self) -> slice::Iter<'_, LoadedModule> {
        self.modules.iter()
    }

    /// What had been loaded and unloaded until they were listed.
    pub(crate) fn changes(&self) -> Changes {
        self.changes
    }

    /// Whether `addr` is in an executable segment.
    pub(crate) fn is_code(&self, addr: usize) -> bool {
        self.module_of(addr).is_some_and(|module| module.code.iter().any(|range| range.contains(&addr)))
    }

    /// The function around `addr`, if the module's unwind table lists one.
    pub(crate) fn function_at(&self, addr: usize) -> Option<Function> {
        let (_, _, fde) = self.entry_at(addr)?;
        Some(Function { start: fde.initial_address() as usize, switches_stack: fde.is_signal_trampoline() })
    }

    /// Where the function around `addr` has saved registers of its caller's, when it stands there: the register's number in
    /// unwind tables, and how far from the end of the frame.
    pub(crate) fn saves_at(&self, addr: usize) -> Vec<(u16, i64)> {
        let Some((eh_frame, bases, fde)) = self.entry_at(addr) else { return Vec::new() };
        let mut context = UnwindContext::new();
        match fde.unwind_info_for_address(&eh_frame, &bases, &mut context, addr as u64) {
            Ok(row) => row
                .registers()
                .filter_map(|(register, rule)| match rule {
                    RegisterRule::Offset(offset) => Some((register.0, *offset)),
                    _ => None,
                })
                .collect(),
            Err(_) => Vec::new(),
        }
    }

    /// What the unwind table of the module around `addr` says about the function there.
    fn entry_at(&self, addr: usize) -> Option<(Table, BaseAddresses, Entry)> {
        let module = self.module_of(addr)?;
        let (hdr, eh_frame) = module.sections?;
        let bases = BaseAddresses::default()
            .set_eh_frame_hdr(hdr.as_ptr().addr() as u64)
            .set_eh_frame(eh_frame.as_ptr().addr() as u64);
        let hdr = EhFrameHdr::new(hdr, NativeEndian).parse(&bases, size_of::<usize>() as u8).ok()?;
        let eh_frame = EhFrame::from(EndianSlice::new(eh_frame, NativeEndian));
        let fde = hdr
            .table()?
            .fde_for_address(&eh_frame, &bases, addr as u64, EhFrame::cie_from_offset)
            .ok()
            .filter(|fde| fde.contains(addr as u64))?;
        Some((eh_frame, bases, fde))
    }

    /// The program itself.
    pub(crate) fn program(&self) -> Option<&LoadedModule> {
        self.iter().find(|module| module.path == OsStr::new(PROGRAM))
    }

    /// The module that `addr` is in.
    pub(crate) fn module_of(&self, addr: usize) -> Option<&LoadedModule> {
        let after = self.modules.partition_point(|module| module.span.start <= addr);
        self.modules[..after].last().filter(|module| module.span.contains(&addr))
    }
}

/// Called by `dl_iterate_phdr` for each module, with the loader's lock held: it takes notes and allocates, no more.
///
/// # Safety
/// `info` is valid for the call, and `loaded` is the list that `dl_iterate_phdr` was given, borrowed by nobody else.
unsafe extern "C" fn add_module(info: *mut libc::dl_phdr_info, _size: usize, loaded: *mut c_void) -> c_int {
    // SAFETY: `dl_iterate_phdr` passes a valid description, and the pointer that `Modules::loaded` gave it.
    let (info, loaded) = unsafe { (&*info, &mut *loaded.cast::<Modules>()) };
    loaded.changes = Changes { loads: info.dlpi_adds, unloads: info.dlpi_subs };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the description's header table has this length and lives as long as the module.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let name = match info.dlpi_name.is_null() {
        true => c"",
        // SAFETY: a name that is there is a string that lives as long as the module.
        false => unsafe { CStr::from_ptr(info.dlpi_name) },
    };
    loaded.modules.extend(describe(path_of(name), info.dlpi_addr as usize, headers));
    0
}

/// The program's own file, also after it has been moved or deleted.
const PROGRAM: &str = "/proc/self/exe";

/// The program itself has no name here.
fn path_of(name: &CStr) -> PathBuf {
    let name = if name.is_empty() { OsStr::new(PROGRAM) } else { OsStr::from_bytes(name.to_bytes()) };
    PathBuf::from(name)
}

fn describe(path: PathBuf, bias: usize, headers: &[libc::Elf64_Phdr]) -> Option<LoadedModule> {
    let place = |header: &libc::Elf64_Phdr| {
        let start = bias.wrapping_add(header.p_vaddr as usize);
        start..start.saturating_add(header.p_memsz as usize)
    };
    let loads = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
    let code: Vec<_> = loads().filter(|header| header.p_flags & libc::PF_X != 0).map(place).collect();
    if code.is_empty() {
        return None;
    }
    let span = loads().map(place).reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))?;
    // The rest of the readable segment around an address: what may be read from there on.
    let readable_from = |addr: usize| {
        let segment =
            loads().filter(|h| h.p_flags & libc::PF_R != 0).map(place).find(|s| s.contains(&addr))?;
        // SAFETY: the loader has mapped the segment readable and keeps it (invariant 1); `addr` lies in it.
        Some(unsafe { slice::from_raw_parts(addr as *const u8, segment.end - addr) })
    };
    let sections = headers.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME).and_then(|header| {
        let at = place(header);
        let hdr = readable_from(at.start)?.get(..at.len())?;
        let bases = BaseAddresses::default().set_eh_frame_hdr(at.start as u64);
        let parsed = EhFrameHdr::new(hdr, NativeEndian).parse(&bases, size_of::<usize>() as u8).ok()?;
        parsed.table()?;
        let gimli::Pointer::Direct(eh_frame) = parsed.eh_frame_ptr() else { return None };
        Some((hdr, readable_from(eh_frame as usize)?))
    });
    Some(LoadedModule { path, bias, span, code, sections })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn known_function() -> u32 {
        std::hint::black_box(7)
    }

    #[test]
    fn finds_the_start_of_a_function_from_inside() {
        assert_eq!(known_function(), 7);
        let modules = Modules::loaded();
        let start = known_function as *const () as usize;
        assert!(modules.is_code(start));
        let function = modules.function_at(start + 1).unwrap();
        assert_eq!(function, Function { start, switches_stack: false });
    }

    #[test]
    fn data_is_no_code() {
        static DATA: u64 = 1;
        let modules = Modules::loaded();
        let on_stack = 0u64;
        for addr in [(&raw const DATA).addr(), (&raw const on_stack).addr(), 0, 8, usize::MAX] {
            assert!(!modules.is_code(addr), "{addr:#x}");
            assert_eq!(modules.function_at(addr), None, "{addr:#x}");
        }
    }

    #[test]
    fn the_c_library_is_a_module_of_its_own_or_linked_in() {
        let modules = Modules::loaded();
        assert!(modules.is_code(libc::getpid as *const () as usize));
        assert!(modules.function_at(libc::getpid as *const () as usize).is_some());
    }

    #[test]
    fn a_module_that_is_loaded_counts() {
        let before = Modules::loaded();
        assert!(before.changes() > Changes::NONE);
        // Hardly a program has this one: glibc's locale that is meant to be wrong.
        // SAFETY: loading it runs nothing but its empty initialiser; the name is a string.
        let opened = unsafe { libc::dlopen(c"libBrokenLocale.so.1".as_ptr(), libc::RTLD_NOW) };
        let after = Modules::loaded();
        let more = after.iter().count() > before.iter().count();
        assert_eq!(more, !opened.is_null());
        assert_eq!(after.changes() != before.changes(), more, "{:?}", after.changes());
        assert!(after.changes() >= before.changes());
    }
}
