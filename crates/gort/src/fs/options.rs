//! How a file is to be opened.
//!
//! Owns: [`OpenOptions`], std's around a call that is announced.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use gort_core::blocking::brief;

use super::File;

/// How a file is to be opened: `std::fs::OpenOptions`. [`OpenOptionsExt`] works too.
///
/// ```
/// #[gort::main(unsafe(migrate))]
/// fn main() {
///     let null = gort::fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
///     assert_eq!(std::io::Read::read(&mut &null, &mut [0; 8]).unwrap(), 0);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions(std::fs::OpenOptions);

macro_rules! switches {
    ($($(#[$doc:meta])+ $name:ident;)*) => {
        impl OpenOptions {
            $($(#[$doc])+
            pub fn $name(&mut self, $name: bool) -> &mut OpenOptions {
                self.0.$name($name);
                self
            })*
        }
    };
}

switches! {
    /// For reading.
    read;
    /// For writing.
    write;
    /// For writing at the end.
    append;
    /// Emptied.
    truncate;
    /// Made if it is missing.
    create;
    /// Made; an error if it is not missing.
    create_new;
}

impl OpenOptions {
    /// Nothing is wanted yet.
    #[allow(clippy::new_without_default)]
    pub fn new() -> OpenOptions {
        OpenOptions(std::fs::OpenOptions::new())
    }

    /// Opens the file. The call is [announced](crate::fs).
    ///
    /// # Errors
    /// As std's.
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        brief(|| self.0.open(path)).map(File::from)
    }
}

impl OpenOptionsExt for OpenOptions {
    fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.0.mode(mode);
        self
    }

    fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
        self.0.custom_flags(flags);
        self
    }
}

impl From<std::fs::OpenOptions> for OpenOptions {
    fn from(options: std::fs::OpenOptions) -> OpenOptions {
        OpenOptions(options)
    }
}

impl From<OpenOptions> for std::fs::OpenOptions {
    fn from(options: OpenOptions) -> std::fs::OpenOptions {
        options.0
    }
}
