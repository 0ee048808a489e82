//! `@detectSQLi` and `@detectXSS`, by libinjection.
//!
//! Owns what stands between it and hostile values: libinjection must not be handed what would cost it more than linear
//! time or run its stack out.

use libinjectionrs::XssDetector;
use libinjectionrs::sqli::{SqliFlags, SqliState};
use libinjectionrs::xss::Html5Flags;

use super::captures::Captures;

/// Full stops and backticks that a word may have before it is divided.
const WORD_PARTS_MAX: usize = 16;
/// Bytes of a value that are judged undivided, too.
const UNDIVIDED_BYTES_MAX: usize = 256;

/// Whether the value reads as an injected part of an SQL statement. Captures the fingerprint.
///
/// libinjection takes words apart at full stops and backticks, and measures the rest of the word anew each time: 8 KiB of
/// `or.or.or` take it half a second. So words of more than 16 parts are divided by spaces first, which makes the time
/// linear; the start of such a value is judged as it is, too.
pub fn is_sqli(value: &[u8], captures: Option<&mut Captures>) -> bool {
    let Some(divided) = divided(value) else { return is_plain_sqli(value, captures) };
    let start = value.get(..UNDIVIDED_BYTES_MAX).unwrap_or(value);
    let mut captures = captures;
    is_plain_sqli(start, captures.as_deref_mut()) || is_plain_sqli(&divided, captures)
}

fn is_plain_sqli(value: &[u8], captures: Option<&mut Captures>) -> bool {
    let mut state = SqliState::new(value, SqliFlags::FLAG_NONE);
    if !state.detect() {
        return false;
    }
    if let Some(captures) = captures {
        captures.set_own(state.fingerprint.split(|byte| *byte == 0).next().unwrap_or_default());
    }
    true
}

/// The value with a space in front of every 16th full stop or backtick of a word; `None` where no word has as many.
fn divided(value: &[u8]) -> Option<Vec<u8>> {
    let mut divided: Option<Vec<u8>> = None;
    let mut copied = 0;
    let mut parts = 0;
    let mut word_end = 0;
    for at in memchr::memchr2_iter(b'.', b'`', value) {
        let between = value.get(word_end..at).unwrap_or_default();
        parts = if between.iter().any(|byte| ends_word(*byte)) { 1 } else { parts + 1 };
        word_end = at + 1;
        if parts == WORD_PARTS_MAX {
            let out = divided.get_or_insert_with(|| Vec::with_capacity(value.len() + value.len() / WORD_PARTS_MAX));
            out.extend_from_slice(value.get(copied..at).unwrap_or_default());
            out.push(b' ');
            copied = at;
            parts = 0;
        }
    }
    divided.map(|mut out| {
        out.extend_from_slice(value.get(copied..).unwrap_or_default());
        out
    })
}

/// Whether a word of libinjection ends at the byte.
fn ends_word(byte: u8) -> bool {
    !matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'$' | b'.' | b'`' | 0x80..=0x9f | 0xa1..)
        && !matches!(byte, 0x01..=0x08 | 0x0e..=0x1f | 0x7f)
}

/// A value without any of these bytes is not taken for script: whatever is, is a tag or an attribute with a value.
pub const XSS_NEEDS: [u8; 2] = [b'<', b'='];

/// Whether the value reads as script in some context of HTML.
pub fn is_xss(value: &[u8]) -> bool {
    let [tag, attribute] = XSS_NEEDS;
    if memchr::memchr2(tag, attribute, value).is_none() {
        return false;
    }
    // libinjection calls itself once more for each empty end tag that stands right behind another one: a value with many
    // of them would run the stack out. Nobody writes that in good faith.
    if memchr::memmem::find(value, &EMPTY_END_TAGS).is_some() {
        return true;
    }
    XssDetector::is_xss(value, Html5Flags::ValueNoQuote)
        || [
            (tag, Html5Flags::DataState),
            (b'\'', Html5Flags::ValueSingleQuote),
            (b'"', Html5Flags::ValueDoubleQuote),
            (b'`', Html5Flags::ValueBackQuote),
        ]
        .into_iter()
        // Without a tag all is text; without the quote that ends it all is one value of a harmless attribute.
        .any(|(mark, context)| memchr::memchr(mark, value).is_some() && XssDetector::is_xss(value, context))
}

/// So many empty end tags in a row as no text needs.
const EMPTY_END_TAGS: [u8; 96] = {
    let mut tags = [0; 96];
    let mut at = 0;
    while at < tags.len() {
        tags[at] = b"</>"[at % 3];
        at += 1;
    }
    tags
};
