//! Addresses of Unix sockets, from std's type to the system calls' and back.

use std::ffi::OsStr;
use std::io;
use std::mem::offset_of;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::slice;

use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix};

/// The address of a path, for a call. The errors are std's.
pub(super) fn of_path(path: &Path) -> io::Result<SocketAddrUnix> {
    to_kernel(&SocketAddr::from_pathname(path)?)
}

/// The address, for a call.
pub(super) fn to_kernel(addr: &SocketAddr) -> io::Result<SocketAddrUnix> {
    Ok(if let Some(path) = addr.as_pathname() {
        SocketAddrUnix::new(path)?
    } else if let Some(name) = addr.as_abstract_name() {
        SocketAddrUnix::new_abstract_name(name)?
    } else {
        SocketAddrUnix::new_unnamed()
    })
}

/// The address that a call has given. A socket without one sends none; a path that fills the kernel's array to the last
/// byte has no place in std's type, and reads as none.
pub(super) fn from_kernel(addr: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
    let addr = addr.as_ref().map_or(&[][..], path_of);
    match addr {
        [0, name @ ..] => SocketAddr::from_abstract_name(name),
        path => {
            let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
            // Without a path: the empty path is std's address without a name.
            let path = OsStr::from_bytes(&path[..end]);
            SocketAddr::from_pathname(path).or_else(|_| SocketAddr::from_pathname(""))
        }
    }
}

/// What stands behind the family. rustix's own reading takes no name for an empty abstract one, and trusts the other side
/// to end its path with a zero.
fn path_of(addr: &SocketAddrAny) -> &[u8] {
    let (start, whole) = (offset_of!(libc::sockaddr_un, sun_path), size_of::<libc::sockaddr_un>());
    if addr.address_family() != AddressFamily::UNIX {
        return &[];
    }
    let end = (addr.addr_len() as usize).clamp(start, whole);
    // SAFETY: the storage behind the pointer is larger than any address, as rustix says of it, and initialised up to the
    // length of this one; it lives as long as `addr`, which is borrowed.
    unsafe { slice::from_raw_parts(addr.as_ptr().cast::<u8>().add(start), end - start) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let path = SocketAddr::from_pathname("/tmp/some/where").unwrap();
        let name = SocketAddr::from_abstract_name(b"some\0where").unwrap();
        let none = SocketAddr::from_pathname("").unwrap();
        assert!(none.is_unnamed());
        for addr in [path, name, none] {
            let back = from_kernel(Some(to_kernel(&addr).unwrap().into())).unwrap();
            assert_eq!(format!("{back:?}"), format!("{addr:?}"));
        }
        assert!(
            from_kernel(Some(std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into())).unwrap().is_unnamed()
        );
        assert!(from_kernel(None).unwrap().is_unnamed());
        assert!(of_path(Path::new(&"x".repeat(200))).is_err());
    }
}
