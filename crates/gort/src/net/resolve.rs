//! From what the user calls an address to the addresses: names are looked up aside, so that no other goroutine waits for
//! it.
//!
//! std's `ToSocketAddrs` does not say whether it is going to ask somebody. A value of one of std's types with a numeric
//! address in it asks nobody, and is resolved on the spot; everything else goes to [`blocking`].

use std::any::TypeId;
use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs};

use gort_core::{blocking::blocking, grow};

use super::error;

/// A look-up runs in C, which takes no notice of how small a goroutine's stack is.
const STACK_FOR_LOOK_UP: usize = 128 * 1024;
const SEGMENT_FOR_LOOK_UP: usize = 1 << 20;

/// What an address stands for.
pub(super) struct Addrs {
    pub(super) list: Vec<SocketAddr>,
    /// They come from a look-up of a name, and not from the caller in an order of his.
    pub(super) looked_up: bool,
}

/// All addresses.
pub(super) fn all<A: ToSocketAddrs>(addr: &A) -> io::Result<Addrs> {
    let collect = || addr.to_socket_addrs().map(Iterator::collect);
    if is_numeric(addr) {
        Ok(Addrs { list: collect()?, looked_up: false })
    } else {
        Ok(Addrs { list: aside(collect)?, looked_up: true })
    }
}

/// The first address, for a datagram.
pub(super) fn first<A: ToSocketAddrs>(addr: &A) -> io::Result<SocketAddr> {
    let first = || Ok(addr.to_socket_addrs()?.next());
    let first = if is_numeric(addr) { first()? } else { aside(first)? };
    first.ok_or_else(error::nothing_to_send_to)
}

/// Runs a look-up without the processor, and with enough stack if there is a way to have it.
fn aside<T>(look_up: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    blocking(|| match grow::maybe_grow(STACK_FOR_LOOK_UP, SEGMENT_FOR_LOOK_UP, look_up) {
        Ok(result) => result,
        Err((_, look_up)) => look_up(),
    })
}

/// Whether resolving `addr` asks nobody. May be `false` for one that does not, and then costs a hand-over.
fn is_numeric<A: ToSocketAddrs>(addr: &A) -> bool {
    let host = |host: &str| host.parse::<IpAddr>().is_ok();
    let whole = |addr: &str| addr.parse::<SocketAddr>().is_ok();
    if let Some(addr) = as_type::<A, &'static str>(addr) {
        whole(addr)
    } else if let Some(addr) = as_type::<A, String>(addr) {
        whole(addr)
    } else if let Some(addr) = as_type::<A, &'static String>(addr) {
        whole(addr)
    } else if let Some((name, _)) = as_type::<A, (&'static str, u16)>(addr) {
        host(name)
    } else if let Some((name, _)) = as_type::<A, (String, u16)>(addr) {
        host(name)
    } else {
        asks_nobody(type_id::<A>())
    }
}

/// The types that hold nothing but numbers, and references to them.
fn asks_nobody(id: TypeId) -> bool {
    fn either<T: 'static>(id: TypeId) -> bool {
        id == TypeId::of::<T>() || id == TypeId::of::<&'static T>()
    }
    either::<SocketAddr>(id)
        || either::<SocketAddrV4>(id)
        || either::<SocketAddrV6>(id)
        || either::<(IpAddr, u16)>(id)
        || either::<(Ipv4Addr, u16)>(id)
        || either::<(Ipv6Addr, u16)>(id)
        || either::<&'static [SocketAddr]>(id)
}

/// `value` as a `T`, if it is one; lifetimes in `T` stand for any lifetime.
fn as_type<'a, A, T: Covariant>(value: &'a A) -> Option<&'a T::Shortened<'a>> {
    if type_id::<A>() == TypeId::of::<T>() {
        // SAFETY: the types are the same but for lifetimes, and what `value` borrows lives for 'a at least, since `value`
        // does; `Covariant` promises that `Shortened` is `T` with 'a in the place of 'static.
        Some(unsafe { &*std::ptr::from_ref(value).cast::<T::Shortened<'a>>() })
    } else {
        None
    }
}

/// A type that may be used with shorter lifetimes.
///
/// # Safety
/// `Shortened<'a>` is the type itself with `'a` in the place of each `'static`.
unsafe trait Covariant: 'static {
    type Shortened<'a>;
}

// SAFETY: as the trait asks, by eye.
unsafe impl Covariant for &'static str {
    type Shortened<'a> = &'a str;
}
// SAFETY: it borrows nothing.
unsafe impl Covariant for String {
    type Shortened<'a> = String;
}
// SAFETY: as the trait asks, by eye.
unsafe impl Covariant for &'static String {
    type Shortened<'a> = &'a String;
}
// SAFETY: as the trait asks, by eye.
unsafe impl Covariant for (&'static str, u16) {
    type Shortened<'a> = (&'a str, u16);
}
// SAFETY: it borrows nothing.
unsafe impl Covariant for (String, u16) {
    type Shortened<'a> = (String, u16);
}

/// The identity of a type that may borrow: of the type with each of its lifetimes taken for `'static`.
fn type_id<T>() -> TypeId {
    trait Identity {
        fn id(&self) -> TypeId
        where
            Self: 'static;
    }
    impl<T> Identity for PhantomData<T> {
        fn id(&self) -> TypeId
        where
            Self: 'static,
        {
            TypeId::of::<T>()
        }
    }
    let it: &dyn Identity = &PhantomData::<T>;
    // SAFETY: only the bound of the object's lifetime changes. `id` looks at no value, and lifetimes are gone when the
    // function that it calls is made, so it can be called for any.
    let it = unsafe { std::mem::transmute::<&dyn Identity, &(dyn Identity + 'static)>(it) };
    it.id()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_names() {
        let v4: SocketAddr = ([127, 0, 0, 1], 80).into();
        assert!(is_numeric(&v4) && is_numeric(&&v4) && is_numeric(&(v4.ip(), 80)));
        assert!(is_numeric(&(Ipv6Addr::LOCALHOST, 80)) && is_numeric(&&[v4, v4][..]));
        for (addr, numeric) in
            [("127.0.0.1:80", true), ("[::1]:80", true), ("localhost:80", false), ("x", false)]
        {
            let owned = addr.to_owned();
            assert_eq!(is_numeric(&addr), numeric);
            assert_eq!(is_numeric(&owned.as_str()), numeric, "of a shorter life");
            assert_eq!(is_numeric(&&owned), numeric);
            assert_eq!(is_numeric(&owned), numeric);
        }
        let host = String::from("::1");
        assert!(is_numeric(&(host.as_str(), 80)) && is_numeric(&(host, 80)));
        assert!(!is_numeric(&("localhost", 80)));
    }

    #[test]
    fn addresses_are_std_s() {
        let list = all(&("127.0.0.1", 7)).unwrap();
        assert!(!list.looked_up && list.list == [SocketAddr::from(([127, 0, 0, 1], 7))]);
        let list = all(&"localhost:7").unwrap();
        assert!(list.looked_up && list.list.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 7));
        let none: &[SocketAddr] = &[];
        assert_eq!(first(&none).unwrap_err().to_string(), "no addresses to send data to");
    }
}
