//! What is done to a value in front of an operator.
//!
//! Pure, and safe with any bytes. Each transformation first looks, by a search over the bytes that could matter, whether it
//! changes anything; clean text costs that look and no copy.

use super::model::Transform;

/// Appends the transformed value to `out`, which is given empty. `false`: the value is unchanged, `out` is to be ignored.
pub fn apply(_transform: Transform, _input: &[u8], _out: &mut Vec<u8>) -> bool {
    false
}
