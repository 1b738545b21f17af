//! Size classes of stacks: powers of two from 64 KiB to 1 GiB. The size includes guard, `G` and everything.

use std::fmt;

/// Index of a size class: the stack has `64 KiB << class` bytes.
pub(crate) type Class = u8;

pub(crate) const SMALLEST: usize = 64 * 1024;
pub(crate) const LARGEST: usize = 1024 * 1024 * 1024;
pub(crate) const COUNT: usize = (LARGEST / SMALLEST).trailing_zeros() as usize + 1;

/// What a goroutine gets that did not ask: a quarter of a MiB of addresses, of which it touches one page.
pub(crate) const DEFAULT_BYTES: usize = 256 * 1024;
/// What a main goroutine gets: at least what std gives to main threads, several times over.
pub(crate) const MAIN_BYTES: usize = 64 * 1024 * 1024;

/// A stack size outside of what can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StackSizeError {
    pub(crate) bytes: usize,
}

impl fmt::Display for StackSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gort: stack size out of range: {} bytes asked for, ", self.bytes)?;
        can_be_had(f)
    }
}

impl std::error::Error for StackSizeError {}

/// A text that should have been a stack size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotANumber;

impl fmt::Display for NotANumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gort: not a number of bytes; ")?;
        can_be_had(f)
    }
}

fn can_be_had(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "between {SMALLEST} (64 KiB) and {LARGEST} (1 GiB) can be had")
}

/// The smallest class that holds `bytes`.
pub(crate) fn for_bytes(bytes: usize) -> Result<Class, StackSizeError> {
    if !(SMALLEST..=LARGEST).contains(&bytes) {
        return Err(StackSizeError { bytes });
    }
    Ok((bytes.next_power_of_two() / SMALLEST).trailing_zeros() as Class)
}

pub(crate) const fn bytes_of(class: Class) -> usize {
    SMALLEST << class
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_up_to_classes_and_out_of_range_is_refused() {
        assert_eq!(for_bytes(SMALLEST), Ok(0));
        assert_eq!(for_bytes(SMALLEST + 1), Ok(1));
        assert_eq!(for_bytes(DEFAULT_BYTES), Ok(2));
        assert_eq!(for_bytes(LARGEST), Ok(COUNT as Class - 1));
        assert_eq!(bytes_of(for_bytes(LARGEST).unwrap()), LARGEST);
        for bytes in [0, 1, SMALLEST - 1, LARGEST + 1, usize::MAX] {
            let error = for_bytes(bytes).unwrap_err();
            assert!(error.to_string().contains(&bytes.to_string()));
        }
    }
}
