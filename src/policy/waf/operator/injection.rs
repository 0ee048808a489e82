//! `@detectSQLi` and `@detectXSS`, by libinjection.

use libinjectionrs::XssDetector;
use libinjectionrs::sqli::{SqliFlags, SqliState};
use libinjectionrs::xss::Html5Flags;

use super::captures::Captures;

/// Whether the value reads as an injected part of an SQL statement. Captures the fingerprint.
pub fn is_sqli(value: &[u8], captures: Option<&mut Captures>) -> bool {
    let mut state = SqliState::new(value, SqliFlags::FLAG_NONE);
    if !state.detect() {
        return false;
    }
    if let Some(captures) = captures {
        captures.set_own(state.fingerprint.split(|byte| *byte == 0).next().unwrap_or_default());
    }
    true
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
