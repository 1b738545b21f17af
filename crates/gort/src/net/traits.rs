//! What all sockets have in common, as macros: the same methods with the same words on each, the traits of descriptors,
//! and conversions from and to std's types.

/// Methods that every socket and listener has.
macro_rules! shared_methods {
    ($name:ident, $std:ty) => {
        impl $name {
            /// A second handle to the same socket.
            ///
            /// As in std, what is set on one shows in the other. Here this includes deadlines, timeouts and `close`. The
            /// descriptor is the same one, and no new one is needed; it is freed with the last handle.
            ///
            /// # Errors
            /// None; std's can fail.
            pub fn try_clone(&self) -> ::std::io::Result<$name> {
                Ok($name(::std::sync::Arc::clone(&self.0)))
            }

            /// The socket's pending error, which this takes away; `None` if there is none.
            ///
            /// # Errors
            /// If the kernel cannot be asked.
            pub fn take_error(&self) -> ::std::io::Result<Option<::std::io::Error>> {
                self.as_std().take_error()
            }

            /// Whether calls that would wait fail with [`WouldBlock`](std::io::ErrorKind::WouldBlock) instead.
            ///
            /// The descriptor itself is non-blocking either way; waiting parks the goroutine.
            ///
            /// # Errors
            /// None; std's can fail.
            pub fn set_nonblocking(&self, nonblocking: bool) -> ::std::io::Result<()> {
                self.0.set_nonblocking(nonblocking);
                Ok(())
            }

            /// Takes over a socket of std: what `From` does, with the error at once.
            ///
            /// # Errors
            /// If the kernel does not let the runtime watch one more descriptor.
            pub fn from_std(std: $std) -> ::std::io::Result<$name> {
                $crate::net::fd::NetFd::adopt(std.into()).registered().map($name)
            }

            /// std's view of the descriptor, for options: its methods do exactly what std does.
            fn as_std(&self) -> ::std::mem::ManuallyDrop<$std> {
                use ::std::os::fd::{AsFd, AsRawFd, FromRawFd};
                // SAFETY: the descriptor is open while `self` is borrowed, and is not closed by this: `ManuallyDrop`. The
                // value does not leave the method that has asked for it.
                ::std::mem::ManuallyDrop::new(unsafe { <$std>::from_raw_fd(self.0.as_fd().as_raw_fd()) })
            }
        }
    };
}

/// Timeouts per call and deadlines, for what reads and writes.
macro_rules! time_limits {
    ($name:ident) => {
        impl $name {
            /// How long a call that reads may wait. `None`: for ever, as at first.
            ///
            /// A call that takes longer fails with [`TimedOut`](std::io::ErrorKind::TimedOut) (std: `WouldBlock`, on
            /// Unix). It begins anew with each call; for a moment that holds for many calls see
            #[doc = concat!("[`set_read_deadline`](", stringify!($name), "::set_read_deadline).")]
            ///
            /// # Errors
            /// [`InvalidInput`](std::io::ErrorKind::InvalidInput) for a duration of zero, as in std.
            pub fn set_read_timeout(&self, timeout: Option<::std::time::Duration>) -> ::std::io::Result<()> {
                self.0.set_timeout($crate::net::fd::READ, timeout)
            }

            /// How long a call that writes may wait. `None`: for ever, as at first. As
            #[doc = concat!("[`set_read_timeout`](", stringify!($name), "::set_read_timeout).")]
            ///
            /// # Errors
            /// [`InvalidInput`](std::io::ErrorKind::InvalidInput) for a duration of zero, as in std.
            pub fn set_write_timeout(&self, timeout: Option<::std::time::Duration>) -> ::std::io::Result<()> {
                self.0.set_timeout($crate::net::fd::WRITE, timeout)
            }

            /// What `set_read_timeout` has set.
            ///
            /// # Errors
            /// None; std's can fail.
            pub fn read_timeout(&self) -> ::std::io::Result<Option<::std::time::Duration>> {
                Ok(self.0.timeout($crate::net::fd::READ))
            }

            /// What `set_write_timeout` has set.
            ///
            /// # Errors
            /// None; std's can fail.
            pub fn write_timeout(&self) -> ::std::io::Result<Option<::std::time::Duration>> {
                Ok(self.0.timeout($crate::net::fd::WRITE))
            }

            /// The moment from which on all calls fail, those that wait now included, even if they would not have to
            /// wait. `None` takes it away. Go's `SetDeadline`.
            ///
            /// The error is [`TimedOut`](std::io::ErrorKind::TimedOut), with the text `i/o timeout`. A moment that has
            /// passed wakes whoever waits. After the deadline has been moved, calls work again.
            ///
            /// # Errors
            /// If the socket is closed.
            pub fn set_deadline(
                &self,
                deadline: impl Into<Option<::std::time::Instant>>,
            ) -> ::std::io::Result<()> {
                let deadline = deadline.into();
                self.0.set_deadline($crate::net::fd::READ, deadline)?;
                self.0.set_deadline($crate::net::fd::WRITE, deadline)
            }

            /// As `set_deadline`, for calls that read. Go's `SetReadDeadline`.
            ///
            /// # Errors
            /// If the socket is closed.
            pub fn set_read_deadline(
                &self,
                deadline: impl Into<Option<::std::time::Instant>>,
            ) -> ::std::io::Result<()> {
                self.0.set_deadline($crate::net::fd::READ, deadline.into())
            }

            /// As `set_deadline`, for calls that write. Go's `SetWriteDeadline`.
            ///
            /// # Errors
            /// If the socket is closed.
            pub fn set_write_deadline(
                &self,
                deadline: impl Into<Option<::std::time::Instant>>,
            ) -> ::std::io::Result<()> {
                self.0.set_deadline($crate::net::fd::WRITE, deadline.into())
            }
        }
    };
}

/// `close` and `set_deadline` of a listener.
macro_rules! listener_methods {
    ($name:ident) => {
        impl $name {
            /// The moment from which on `accept` fails, also if it waits now, or if there is somebody to be accepted.
            /// `None` takes it away. Go's `SetDeadline`.
            ///
            /// The error is [`TimedOut`](std::io::ErrorKind::TimedOut), with the text `i/o timeout`. A moment that has
            /// passed wakes whoever waits.
            ///
            /// # Errors
            /// If the listener is closed.
            pub fn set_deadline(
                &self,
                deadline: impl Into<Option<::std::time::Instant>>,
            ) -> ::std::io::Result<()> {
                self.0.set_deadline($crate::net::fd::READ, deadline.into())
            }

            /// Wakes everybody who waits in `accept`, on any clone, and fails all later calls, with
            /// [`NotConnected`](std::io::ErrorKind::NotConnected) and the text `use of closed network connection`.
            /// `incoming` ends. Go's `Close`.
            ///
            /// The descriptor is freed with the last handle, and until then the address is in use and the kernel takes
            /// connections. Closing twice does nothing.
            pub fn close(&self) {
                self.0.close();
            }
        }
    };
}

/// `close` of a socket for datagrams.
macro_rules! close_method {
    ($name:ident) => {
        impl $name {
            /// Wakes everybody who waits for the socket, on any clone, and fails all later calls, with
            /// [`NotConnected`](std::io::ErrorKind::NotConnected) and the text `use of closed network connection`. Go's
            /// `Close`.
            ///
            /// The descriptor is freed with the last handle; until then the address is in use. Closing twice does nothing.
            pub fn close(&self) {
                self.0.close();
            }
        }
    };
}

/// `Read` and `Write`, for a stream and for a reference to one. What a short read says of it is a
/// [`Short`](super::calls::Short).
macro_rules! stream_traits {
    ($name:ident, $short:ident) => {
        impl ::std::io::Read for $name {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> ::std::io::Result<usize> {
                $crate::net::calls::read(&self.0, buf, $crate::net::calls::Short::$short)
            }

            fn read_vectored(&mut self, bufs: &mut [::std::io::IoSliceMut<'_>]) -> ::std::io::Result<usize> {
                $crate::net::calls::read_vectored(&self.0, bufs, $crate::net::calls::Short::$short)
            }
        }

        impl ::std::io::Read for &$name {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> ::std::io::Result<usize> {
                $crate::net::calls::read(&self.0, buf, $crate::net::calls::Short::$short)
            }

            fn read_vectored(&mut self, bufs: &mut [::std::io::IoSliceMut<'_>]) -> ::std::io::Result<usize> {
                $crate::net::calls::read_vectored(&self.0, bufs, $crate::net::calls::Short::$short)
            }
        }

        impl ::std::io::Write for $name {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> ::std::io::Result<usize> {
                $crate::net::calls::write(&self.0, buf)
            }

            fn write_vectored(&mut self, bufs: &[::std::io::IoSlice<'_>]) -> ::std::io::Result<usize> {
                $crate::net::calls::write_vectored(&self.0, bufs)
            }

            #[inline]
            fn flush(&mut self) -> ::std::io::Result<()> {
                Ok(())
            }
        }

        impl ::std::io::Write for &$name {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> ::std::io::Result<usize> {
                $crate::net::calls::write(&self.0, buf)
            }

            fn write_vectored(&mut self, bufs: &[::std::io::IoSlice<'_>]) -> ::std::io::Result<usize> {
                $crate::net::calls::write_vectored(&self.0, bufs)
            }

            #[inline]
            fn flush(&mut self) -> ::std::io::Result<()> {
                Ok(())
            }
        }
    };
}

/// The traits by which descriptors come and go, and `Debug`, which is std's.
macro_rules! descriptor_traits {
    ($name:ident, $std:ty) => {
        impl ::std::os::fd::AsFd for $name {
            fn as_fd(&self) -> ::std::os::fd::BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        /// The descriptor is non-blocking.
        impl ::std::os::fd::AsRawFd for $name {
            fn as_raw_fd(&self) -> ::std::os::fd::RawFd {
                ::std::os::fd::AsFd::as_fd(self).as_raw_fd()
            }
        }

        /// Makes the descriptor non-blocking and registers it with the runtime. If that fails, all calls do;
        /// `from_std` tells at once.
        impl From<::std::os::fd::OwnedFd> for $name {
            fn from(fd: ::std::os::fd::OwnedFd) -> $name {
                $name($crate::net::fd::NetFd::adopt(fd))
            }
        }

        /// As the conversion into std's type, which see.
        impl From<$name> for ::std::os::fd::OwnedFd {
            fn from(socket: $name) -> ::std::os::fd::OwnedFd {
                socket.0.give_away()
            }
        }

        /// Makes the descriptor non-blocking and registers it with the runtime. If that fails, all calls do;
        /// `from_std` tells at once. Its timeouts are kept. Calls wait, whichever mode the socket was in.
        impl From<$std> for $name {
            fn from(std: $std) -> $name {
                $name($crate::net::fd::NetFd::adopt(std.into()))
            }
        }

        /// The descriptor, made blocking again (unless `set_nonblocking(true)` has been called), with its timeouts.
        ///
        /// While there are clones the result is a duplicate. Since both are the same open socket, a listener's clones then
        /// block their threads in `accept`.
        ///
        /// # Panics
        /// If there are clones, and no descriptor is left for a duplicate.
        impl From<$name> for $std {
            fn from(socket: $name) -> $std {
                socket.0.give_away().into()
            }
        }

        impl ::std::os::fd::IntoRawFd for $name {
            fn into_raw_fd(self) -> ::std::os::fd::RawFd {
                self.0.give_away().into_raw_fd()
            }
        }

        impl ::std::os::fd::FromRawFd for $name {
            unsafe fn from_raw_fd(fd: ::std::os::fd::RawFd) -> $name {
                // SAFETY: as the caller promises, `fd` is open and owned by nobody else.
                unsafe { ::std::os::fd::OwnedFd::from_raw_fd(fd) }.into()
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(&*self.as_std(), f)
            }
        }
    };
}

pub(super) use {
    close_method, descriptor_traits, listener_methods, shared_methods, stream_traits, time_limits,
};
