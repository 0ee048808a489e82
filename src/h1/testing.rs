//! What tests of other modules need of this one: a request head out of its text.

use super::{HeadLimits, RequestParser};
use crate::http::RequestHead;

/// The head that a text is.
pub fn request_head(text: &str) -> RequestHead {
    let mut head = RequestHead::default();
    RequestParser::default().parse(text.as_bytes(), &HeadLimits::default(), &mut head).expect("a head");
    head
}
