//! The hash that a key is found by, and the part of a key that names its URL. Does no I/O.

/// Keyed 128-bit hash of a key: uniform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub u128);

/// The first part of a key: what it asks for, without how.
pub fn identity(key: &[u8]) -> &[u8] {
    let length = key.get(1..5).and_then(|l| l.try_into().ok()).map_or(0, u32::from_le_bytes);
    key.get(5..).and_then(|rest| rest.get(..length as usize)).unwrap_or_default()
}
