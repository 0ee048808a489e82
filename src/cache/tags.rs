//! The tags by which an operator drops groups of answers: Surrogate-Key and Cache-Tag of the response.
//!
//! Pure; borrows from the head. A tag is any bytes without its separator; case counts.

use crate::bounds;
use crate::http::FieldId;
use crate::http::head::ResponseHead;
use crate::http::syntax;

/// The tags of a response in the order they stand: Surrogate-Key separates them by white space, Cache-Tag by commas.
///
/// Empty ones are dropped; those beyond [`bounds::TAGS_MAX`] are not taken. A tag that stands twice comes twice.
pub fn tags(response: &ResponseHead) -> Vec<&[u8]> {
    let separator = |id| match id {
        FieldId::SurrogateKey => Some(is_space as fn(&u8) -> bool),
        FieldId::CacheTag => Some(is_comma as fn(&u8) -> bool),
        _ => None,
    };
    response
        .fields()
        .filter_map(|field| Some(field.value.split(separator(field.id)?)))
        .flatten()
        .map(syntax::trim)
        .filter(|tag| !tag.is_empty())
        .take(bounds::TAGS_MAX)
        .collect()
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_comma(byte: &u8) -> bool {
    *byte == b','
}
