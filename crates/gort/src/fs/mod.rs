//! Files without blocking other goroutines: `std::fs` with the same names and signatures.
//!
//! The kernel has no way to wait for a disk but to block the thread. Each call here is announced: most are over in
//! microseconds, and keep the processor; one that takes longer while others wait for it loses it to them. `std::fs` itself
//! may be used on goroutines too; a call that takes long is then found out, which is dearer and comes later.
//!
//! What the functions do, return and fail with is std's, down to the last word: they call it. The types convert from and
//! into std's, as far as std's can be had from elsewhere. On plain OS threads everything just blocks the thread.
//!
//! ```
//! use std::io::{BufRead, BufReader, Write};
//!
//! use gort::fs::{self, File};
//!
//! #[gort::main(unsafe(migrate))]
//! fn main() -> std::io::Result<()> {
//!     let path = std::env::temp_dir().join(format!("gort-fs-{}", std::process::id()));
//!     let mut file = File::create(&path)?;
//!     writeln!(file, "one\ntwo")?;
//!     let lines = BufReader::new(File::open(&path)?).lines().collect::<Result<Vec<_>, _>>()?;
//!     assert_eq!(lines, ["one", "two"]);
//!     assert_eq!(fs::read_to_string(&path)?, "one\ntwo\n");
//!     fs::remove_file(&path)
//! }
//! ```
//!
//! Owns: the wrapping. Does not know: files; std does.

mod dir;
mod file;
mod options;

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

pub use std::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError};

pub use dir::{DirBuilder, DirEntry, ReadDir};
pub use file::File;
pub use options::OpenOptions;

use gort_core::blocking::brief;

/// Functions of std's with a summary of each, and the call announced.
macro_rules! announced {
    ($($(#[$doc:meta])+ $module:path: $name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        $(
            $(#[$doc])+
            ///
            /// As std's function of this name; the call is [announced](crate::fs).
            ///
            /// # Errors
            /// As std's.
            pub fn $name($($argument: $kind),*) -> io::Result<$result> {
                use $module as module;
                brief(|| module::$name($($argument),*))
            }
        )*
    };
}

announced! {
    /// The path with all symbolic links and `..` resolved.
    std::fs: canonicalize(path: impl AsRef<Path>) -> PathBuf;
    /// Copies a file's contents and permissions; returns the number of bytes.
    std::fs: copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> u64;
    /// Makes a directory.
    std::fs: create_dir(path: impl AsRef<Path>) -> ();
    /// Makes a directory, and those above it that are missing.
    std::fs: create_dir_all(path: impl AsRef<Path>) -> ();
    /// Whether something exists there.
    std::fs: exists(path: impl AsRef<Path>) -> bool;
    /// Makes a second name for a file.
    std::fs: hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> ();
    /// Size, kind, times and permissions; of what a symbolic link points to.
    std::fs: metadata(path: impl AsRef<Path>) -> Metadata;
    /// The whole contents of a file.
    std::fs: read(path: impl AsRef<Path>) -> Vec<u8>;
    /// Where a symbolic link points to.
    std::fs: read_link(path: impl AsRef<Path>) -> PathBuf;
    /// The whole contents of a file, as text.
    std::fs: read_to_string(path: impl AsRef<Path>) -> String;
    /// Removes an empty directory.
    std::fs: remove_dir(path: impl AsRef<Path>) -> ();
    /// Removes a directory and all that is in it.
    std::fs: remove_dir_all(path: impl AsRef<Path>) -> ();
    /// Removes a file.
    std::fs: remove_file(path: impl AsRef<Path>) -> ();
    /// Gives a file or directory another name, in place of what has that name.
    std::fs: rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> ();
    /// Changes the permissions of a file or directory.
    std::fs: set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> ();
    /// As [`metadata`], but of a symbolic link itself.
    std::fs: symlink_metadata(path: impl AsRef<Path>) -> Metadata;
    /// Writes a file, in place of its old contents.
    std::fs: write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> ();
    /// Makes a symbolic link. (In std it is found in `std::os::unix::fs`.)
    std::os::unix::fs: symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> ();
    /// Changes the owner and the group of a file; `None` leaves one as it is. (In std: in `std::os::unix::fs`.)
    std::os::unix::fs: chown(path: impl AsRef<Path>, uid: Option<u32>, gid: Option<u32>) -> ();
    /// As [`chown`], but of an open file. (In std: in `std::os::unix::fs`.)
    std::os::unix::fs: fchown(fd: impl AsFd, uid: Option<u32>, gid: Option<u32>) -> ();
    /// As [`chown`], but of a symbolic link itself. (In std: in `std::os::unix::fs`.)
    std::os::unix::fs: lchown(path: impl AsRef<Path>, uid: Option<u32>, gid: Option<u32>) -> ();
}

/// What is in a directory.
///
/// As std's function of this name; the call is [announced](crate::fs), and so is each step of the iterator.
///
/// # Errors
/// As std's.
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    brief(|| std::fs::read_dir(path)).map(ReadDir::from)
}
