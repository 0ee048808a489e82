//! What is said about a rule that matched, without saying anything that the request brought.
//!
//! Holds texts of the rule set, numbers that rules counted, and names of members that look like identifiers; never a value
//! of the request, and never a name that could be one.

use std::sync::Arc;

/// Notes of one request that are kept; the rest is counted.
pub const NOTES_MAX: usize = 64;
/// Bytes of a member's name in a note.
const NAME_BYTES_MAX: usize = 48;
/// Bytes of a piece of a name that mixes letters and digits: longer ones look like keys.
const MIXED_BYTES_MAX: usize = 12;
/// Bytes of a piece of a name.
const PIECE_BYTES_MAX: usize = 24;
/// What stands in place of what is not shown.
pub const HIDDEN: &str = "***";

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub id: u64,
    /// `msg`, with macros expanded except those that would show what the request brought.
    pub message: Box<str>,
    /// Where it matched: `ARGS:prompt`.
    pub variable: Box<str>,
    /// 0 (emergency) to 7 (debug).
    pub severity: Option<u8>,
    pub tags: Arc<[Box<str>]>,
    /// The rule would have blocked, but the engine only detects.
    pub would: bool,
}

/// A member's name as it may be shown. Names come from the client, too, and a body that is not the form it says it is
/// becomes a name as a whole: only what looks like an identifier is shown, and what could be a key is not.
pub fn shown(name: &[u8]) -> &str {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-[]$".contains(byte);
    let fine = |piece: &[u8]| {
        let digit = piece.iter().any(u8::is_ascii_digit);
        let letter = piece.iter().any(u8::is_ascii_alphabetic);
        piece.len() <= if digit && letter { MIXED_BYTES_MAX } else { PIECE_BYTES_MAX }
    };
    let secretive = name.len() > NAME_BYTES_MAX || !name.iter().all(plain);
    if secretive || !name.split(|byte| !byte.is_ascii_alphanumeric()).all(fine) {
        return HIDDEN;
    }
    std::str::from_utf8(name).unwrap_or(HIDDEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_and_what_could_be_a_secret_is_not() {
        for name in ["prompt", "json.messages.array_0.content", "X-Forwarded-For", "items[0][id]", "wp_customize"] {
            assert_eq!(shown(name.as_bytes()), name);
        }
        for name in ["{\"prompt\":\"x\"}", "sk-4f9a8b7c6d5e4f3a2b1c", "a b", "密", &"x".repeat(60)] {
            assert_eq!(shown(name.as_bytes()), HIDDEN, "{name}");
        }
    }
}
