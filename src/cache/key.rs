//! Placeholder of the key's module: the type that others name, and the first part of a key. Replaced at the merge.

/// Hash of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeyHash(pub u128);

/// The first part of a key: the URL as the key sees it.
pub fn identity(key: &[u8]) -> &[u8] {
    let length = key.get(1..5).and_then(|l| l.try_into().ok()).map_or(0, u32::from_le_bytes);
    key.get(5..).and_then(|rest| rest.get(..length as usize)).unwrap_or_default()
}
