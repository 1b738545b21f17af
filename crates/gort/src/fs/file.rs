//! An open file.
//!
//! Owns: [`File`]. Each method is std's, announced; a call that std breaks up into many (reading to the end) is announced
//! once.

use std::fmt;
use std::fs::{FileTimes, Metadata, Permissions, TryLockError};
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use gort_core::blocking::{blocking, brief};

use super::OpenOptions;

/// An open file: `std::fs::File`, whose calls do not block other goroutines.
///
/// [`Read`], [`Write`] and [`Seek`] work on the file and on `&File`; [`FileExt`] reads and writes at a position.
/// Dropping it closes the file.
///
/// ```
/// use std::io::{Read, Seek, Write};
///
/// #[gort::main(unsafe(migrate))]
/// fn main() -> std::io::Result<()> {
///     let path = std::env::temp_dir().join(format!("gort-file-{}", std::process::id()));
///     let mut file = gort::fs::File::options().read(true).write(true).create_new(true).open(&path)?;
///     file.write_all(b"hello")?;
///     file.rewind()?;
///     let mut text = String::new();
///     file.read_to_string(&mut text)?;
///     assert_eq!(text, "hello");
///     gort::fs::remove_file(&path)
/// }
/// ```
pub struct File(std::fs::File);

/// Methods of std's, announced: as brief, or as blocking.
macro_rules! announced {
    ($how:ident: $($(#[$doc:meta])+ $name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        impl File {
            $(
                $(#[$doc])+
                ///
                /// # Errors
                /// As std's method of this name.
                pub fn $name(&self, $($argument: $kind),*) -> $result {
                    $how(|| self.0.$name($($argument),*))
                }
            )*
        }
    };
}

announced! {
    brief:
    /// Cuts the file off, or fills it up with zeros, at this length in bytes.
    set_len(size: u64) -> io::Result<()>;
    /// Size, kind, times and permissions.
    metadata() -> io::Result<Metadata>;
    /// Changes the permissions.
    set_permissions(permissions: Permissions) -> io::Result<()>;
    /// Changes the times.
    set_times(times: FileTimes) -> io::Result<()>;
    /// Changes the time of the last modification.
    set_modified(time: SystemTime) -> io::Result<()>;
    /// Takes the lock if that is possible at once.
    try_lock() -> Result<(), TryLockError>;
    /// Takes a share of the lock if that is possible at once.
    try_lock_shared() -> Result<(), TryLockError>;
    /// Gives the lock back.
    unlock() -> io::Result<()>;
}

announced! {
    blocking:
    /// Waits until contents and metadata have reached the disk.
    sync_all() -> io::Result<()>;
    /// Waits until the contents have reached the disk.
    sync_data() -> io::Result<()>;
    /// Takes the lock on the file, for this descriptor alone; waits until it is free.
    lock() -> io::Result<()>;
    /// Takes the lock on the file together with others that share it; waits until nobody has it for himself.
    lock_shared() -> io::Result<()>;
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// As std's.
    pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
        brief(|| std::fs::File::open(path)).map(File)
    }

    /// Opens a file for writing; makes it if it is missing, empties it if it is not.
    ///
    /// # Errors
    /// As std's.
    pub fn create(path: impl AsRef<Path>) -> io::Result<File> {
        brief(|| std::fs::File::create(path)).map(File)
    }

    /// Makes a file, for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists`, and as std's.
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        brief(|| std::fs::File::create_new(path)).map(File)
    }

    /// Options for opening a file: [`OpenOptions::new`].
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// A second handle to the same open file: both move the same position.
    ///
    /// # Errors
    /// As std's.
    pub fn try_clone(&self) -> io::Result<File> {
        self.0.try_clone().map(File)
    }

    /// std's file, for calls that are not here.
    pub fn as_std(&self) -> &std::fs::File {
        &self.0
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! streams {
    ($($handle:ty),*) => {$(
        impl Read for $handle {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                brief(|| (&self.0).read(buf))
            }

            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                brief(|| (&self.0).read_vectored(bufs))
            }

            fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
                brief(|| (&self.0).read_to_end(buf))
            }

            fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
                brief(|| (&self.0).read_to_string(buf))
            }

            fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
                brief(|| (&self.0).read_exact(buf))
            }
        }

        impl Write for $handle {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                brief(|| (&self.0).write(buf))
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                brief(|| (&self.0).write_vectored(bufs))
            }

            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                brief(|| (&self.0).write_all(buf))
            }

            /// Does nothing, as std's: there is no buffer.
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl Seek for $handle {
            fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
                brief(|| (&self.0).seek(to))
            }

            fn stream_position(&mut self) -> io::Result<u64> {
                (&self.0).stream_position()
            }
        }
    )*};
}

streams!(File, &File);

impl FileExt for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        brief(|| self.0.read_at(buf, offset))
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        brief(|| self.0.read_exact_at(buf, offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        brief(|| self.0.write_at(buf, offset))
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        brief(|| self.0.write_all_at(buf, offset))
    }
}

impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> File {
        File(file)
    }
}

impl From<File> for std::fs::File {
    fn from(file: File) -> std::fs::File {
        file.0
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> File {
        File(fd.into())
    }
}

impl From<File> for OwnedFd {
    fn from(file: File) -> OwnedFd {
        file.0.into()
    }
}

impl From<File> for Stdio {
    fn from(file: File) -> Stdio {
        file.0.into()
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl IntoRawFd for File {
    fn into_raw_fd(self) -> RawFd {
        self.0.into_raw_fd()
    }
}

impl FromRawFd for File {
    unsafe fn from_raw_fd(fd: RawFd) -> File {
        // SAFETY: the caller's promise: the descriptor is open and given up for this.
        File(unsafe { std::fs::File::from_raw_fd(fd) })
    }
}
