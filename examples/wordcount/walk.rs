//! Walking directory trees, depth first. Knows nothing of goroutines: an iterator over what there is to see.
//!
//! Symbolic links are not followed, except a root that is one itself: so there are no loops, and no file is seen
//! under two names. What is neither file, directory nor link (a pipe could block its reader for ever) is skipped.

use std::fs;
use std::path::PathBuf;

/// What the walk came across.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A regular file.
    File(PathBuf),
    /// A directory, of which the entries follow.
    Directory,
    /// Something that is not read, and why.
    Skipped(PathBuf, String),
}

/// The walk: an iterator of [`Seen`].
pub(crate) struct Walk {
    /// Directories that are still to be read, and roots.
    pending: Vec<PathBuf>,
    /// The directory that is being read now.
    open: Option<(PathBuf, fs::ReadDir)>,
}

impl Walk {
    /// Walks `roots` one after the other; a root may be a file.
    pub(crate) fn new(mut roots: Vec<PathBuf>) -> Walk {
        roots.reverse();
        Walk { pending: roots, open: None }
    }

    /// Opens a directory, or tells what else `path` is. `path` is a root or a directory: links are followed.
    fn enter(&mut self, path: PathBuf) -> Seen {
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) => return Seen::Skipped(path, error.to_string()),
        };
        if metadata.is_file() {
            return Seen::File(path);
        }
        if !metadata.is_dir() {
            return Seen::Skipped(path, "not a regular file".to_string());
        }
        match fs::read_dir(&path) {
            Ok(entries) => {
                self.open = Some((path, entries));
                Seen::Directory
            }
            Err(error) => Seen::Skipped(path, error.to_string()),
        }
    }

    fn entry(&mut self, entry: &fs::DirEntry) -> Option<Seen> {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_file() => Some(Seen::File(path)),
            Ok(kind) if kind.is_dir() => {
                self.pending.push(path);
                None
            }
            Ok(kind) if kind.is_symlink() => Some(Seen::Skipped(path, "a link, not followed".to_string())),
            Ok(_) => Some(Seen::Skipped(path, "not a regular file".to_string())),
            Err(error) => Some(Seen::Skipped(path, error.to_string())),
        }
    }
}

impl Iterator for Walk {
    type Item = Seen;

    fn next(&mut self) -> Option<Seen> {
        loop {
            let seen = match &mut self.open {
                None => {
                    let path = self.pending.pop()?;
                    Some(self.enter(path))
                }
                Some((directory, entries)) => match entries.next() {
                    None => {
                        self.open = None;
                        None
                    }
                    Some(Ok(entry)) => self.entry(&entry),
                    Some(Err(error)) => Some(Seen::Skipped(directory.clone(), error.to_string())),
                },
            };
            if seen.is_some() {
                return seen;
            }
        }
    }
}
