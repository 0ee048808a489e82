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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::{HeadLimits, parse_response};

    fn of(fields: &str) -> Vec<String> {
        let mut head = ResponseHead::default();
        let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        parse_response(text.as_bytes(), &HeadLimits::default(), &mut head).unwrap();
        tags(&head).into_iter().map(|t| String::from_utf8(t.to_vec()).unwrap()).collect()
    }

    #[test]
    fn both_fields_are_read_each_by_its_own_separator() {
        assert_eq!(
            of("Surrogate-Key:  a  b,c\td\r\nCache-Tag: x, y z ,,\t, w\r\nsurrogate-key: a\r\n"),
            ["a", "b,c", "d", "x", "y z", "w", "a"]
        );
        assert!(of("Surrogate-Keys: a\r\nSurrogate-Key:\r\nCache-Tag: ,\r\n").is_empty());
    }

    #[test]
    fn tags_are_bounded() {
        assert_eq!(of(&format!("Surrogate-Key: {}\r\n", "t ".repeat(500))).len(), bounds::TAGS_MAX);
    }
}
