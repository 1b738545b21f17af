//! Directories: what is in one, and making them.
//!
//! Owns: [`ReadDir`], [`DirEntry`], [`DirBuilder`], std's around calls that are announced.

use std::ffi::OsString;
use std::fmt;
use std::fs::{FileType, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, DirEntryExt};
use std::path::{Path, PathBuf};

use gort_core::blocking::brief;

/// What is in a directory, without `.` and `..`: `std::fs::ReadDir`. Each step is [announced](crate::fs).
#[derive(Debug)]
pub struct ReadDir(std::fs::ReadDir);

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<io::Result<DirEntry>> {
        brief(|| self.0.next()).map(|entry| entry.map(DirEntry))
    }
}

impl From<std::fs::ReadDir> for ReadDir {
    fn from(entries: std::fs::ReadDir) -> ReadDir {
        ReadDir(entries)
    }
}

impl From<ReadDir> for std::fs::ReadDir {
    fn from(entries: ReadDir) -> std::fs::ReadDir {
        entries.0
    }
}

/// One thing in a directory: `std::fs::DirEntry`.
pub struct DirEntry(std::fs::DirEntry);

impl DirEntry {
    /// The directory's path and the name.
    pub fn path(&self) -> PathBuf {
        self.0.path()
    }

    /// The name.
    pub fn file_name(&self) -> OsString {
        self.0.file_name()
    }

    /// Size, kind, times and permissions; of a symbolic link itself. [Announced](crate::fs).
    ///
    /// # Errors
    /// As std's.
    pub fn metadata(&self) -> io::Result<Metadata> {
        brief(|| self.0.metadata())
    }

    /// What it is; of a symbolic link itself. [Announced](crate::fs), as not every file system tells it beforehand.
    ///
    /// # Errors
    /// As std's.
    pub fn file_type(&self) -> io::Result<FileType> {
        brief(|| self.0.file_type())
    }
}

impl DirEntryExt for DirEntry {
    fn ino(&self) -> u64 {
        self.0.ino()
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<std::fs::DirEntry> for DirEntry {
    fn from(entry: std::fs::DirEntry) -> DirEntry {
        DirEntry(entry)
    }
}

impl From<DirEntry> for std::fs::DirEntry {
    fn from(entry: DirEntry) -> std::fs::DirEntry {
        entry.0
    }
}

/// How a directory is to be made: `std::fs::DirBuilder`. [`DirBuilderExt`] works too.
#[derive(Debug)]
pub struct DirBuilder(std::fs::DirBuilder);

impl DirBuilder {
    /// Nothing but the directory itself.
    #[allow(clippy::new_without_default)]
    pub fn new() -> DirBuilder {
        DirBuilder(std::fs::DirBuilder::new())
    }

    /// With those above it that are missing; then it is no error if it exists.
    pub fn recursive(&mut self, recursive: bool) -> &mut DirBuilder {
        self.0.recursive(recursive);
        self
    }

    /// Makes it. [Announced](crate::fs).
    ///
    /// # Errors
    /// As std's.
    pub fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        brief(|| self.0.create(path))
    }
}

impl DirBuilderExt for DirBuilder {
    fn mode(&mut self, mode: u32) -> &mut DirBuilder {
        self.0.mode(mode);
        self
    }
}
