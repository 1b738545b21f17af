//! Channels.
pub fn bounded() {}
