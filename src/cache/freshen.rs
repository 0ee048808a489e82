//! What a 304 or a response to HEAD says about a stored answer (RFC 9111 §3.2, §4.3.4, §4.3.5).
//!
//! Pure: whether it is meant, and the fields it has afterwards. Its terms are computed anew by who asked.

use super::answer::AnswerHead;
use super::conditional::EntityTag;
use super::fields::{FieldRules, StoredFields, date_s, kept, write_date, write_field};
use crate::http::head::FieldRef;
use crate::http::{FieldId, ResponseHead};
use crate::stats::NotStored;

/// The stored fields brought up to date by those of a 304 or of a response to HEAD (RFC 9111 §3.2).
///
/// Each field of the response takes the place of all stored ones of its name. Kept as stored: Content-Encoding,
/// Content-Type and Content-Range, which describe the bytes that are stored; a stored entity tag; and Set-Cookie, because
/// a cookie of a confirmation is meant for the one client that caused it. A response without Date is dated by
/// `rules.response_ms`.
///
/// # Errors
/// [`NotStored::FieldsTooLarge`] above [`crate::bounds::STORED_FIELDS_BYTES_MAX`].
pub fn freshened(
    stored: &StoredFields,
    response: &ResponseHead,
    rules: &FieldRules<'_>,
) -> Result<StoredFields, NotStored> {
    let tagged = stored.find(FieldId::Etag).is_some();
    let updates = kept(response, rules).filter(|f| match f.id {
        FieldId::Etag => !tagged,
        id => !stays_as_stored(id),
    });
    let dated = updates.clone().any(|f| f.id == FieldId::Date);
    let mut lines = Vec::with_capacity(stored.lines().len() + response.bytes.len());
    for field in stored.iter() {
        let replaced = updates.clone().any(|update| is_same_name(&update, &field))
            || (field.id == FieldId::Date && !dated)
            || rules.without.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(field.name));
        if !replaced {
            write_field(&mut lines, field.name, field.value);
        }
    }
    for update in updates {
        write_field(&mut lines, update.name, update.value);
    }
    if !dated {
        write_date(&mut lines, rules.response_ms);
    }
    StoredFields::bounded(lines)
}

fn stays_as_stored(id: FieldId) -> bool {
    use FieldId as F;
    matches!(id, F::ContentEncoding | F::ContentRange | F::ContentType | F::SetCookie)
}

fn is_same_name(a: &FieldRef<'_>, b: &FieldRef<'_>) -> bool {
    a.id == b.id && (a.id != FieldId::Other || a.name.eq_ignore_ascii_case(b.name))
}

/// Whether a 304, the answer to a request with the validators of this stored answer, confirms it (RFC 9111 §4.3.4).
///
/// Entity tags decide where both have one, else Last-Modified. A 304 without any validator confirms an answer that was
/// asked for with one, since no other was. Deviation: a strong tag confirms a stored weak one of the same text, because
/// servers that compress weaken the tag of a 200 and not that of its 304; the only tag asked for was the weak one.
pub fn confirms(stored: &AnswerHead, response: &ResponseHead) -> bool {
    if response.status != 304 {
        return false;
    }
    let own_date = stored.fields.find(FieldId::LastModified);
    match (stored.fields.find(FieldId::Etag), response.find(FieldId::Etag)) {
        (Some(own), Some(theirs)) => is_same_tag(own, theirs),
        (own, theirs) => match (own_date, response.find(FieldId::LastModified)) {
            (Some(own), Some(theirs)) => is_same_date(own, theirs),
            (None, Some(_)) => false,
            (own_date, None) => theirs.is_none() && (own.is_some() || own_date.is_some()),
        },
    }
}

/// Whether a response to HEAD speaks of the answer that is stored for GET (RFC 9111 §4.3.5): same status, the validators
/// and the length that it names are the stored ones. Otherwise the stored answer is stale.
pub fn head_agrees(stored: &AnswerHead, body_length: u64, response: &ResponseHead) -> bool {
    let tags = match (stored.fields.find(FieldId::Etag), response.find(FieldId::Etag)) {
        (_, None) => true,
        (Some(own), Some(theirs)) => is_same_tag(own, theirs),
        (None, Some(_)) => false,
    };
    let dates = match (stored.fields.find(FieldId::LastModified), response.find(FieldId::LastModified)) {
        (_, None) => true,
        (Some(own), Some(theirs)) => is_same_date(own, theirs),
        (None, Some(_)) => false,
    };
    let length = response.find(FieldId::ContentLength).is_none_or(|length| is_number(length, body_length));
    stored.status == response.status && tags && dates && length
}

/// Weak comparison; a tag outside of the syntax is compared as it is.
fn is_same_tag(own: &[u8], theirs: &[u8]) -> bool {
    match (EntityTag::of(own), EntityTag::of(theirs)) {
        (Some(own), Some(theirs)) => own.is_weakly(theirs),
        _ => own == theirs,
    }
}

fn is_same_date(own: &[u8], theirs: &[u8]) -> bool {
    own == theirs || date_s(own).is_some_and(|own| date_s(theirs) == Some(own))
}

fn is_number(text: &[u8], number: u64) -> bool {
    let digits = text.iter().all(u8::is_ascii_digit);
    digits && std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) == Some(number)
}

#[cfg(test)]
mod tests {
    use super::super::answer::Terms;
    use super::super::fields::testing::{response, stored};
    use super::*;
    use crate::http::Version;

    const DAY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATE: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn head(lines: &str) -> AnswerHead {
        AnswerHead {
            status: 200,
            version: Version::Http11,
            reason: Box::default(),
            fields: stored(lines),
            terms: Terms::default(),
            vary: None,
            tags: Box::default(),
            length: None,
        }
    }

    fn freshened_lines(before: &str, update: &str, rules: &FieldRules<'_>) -> String {
        let fields = freshened(&stored(before), &response(304, update), rules).unwrap();
        String::from_utf8(fields.lines().to_vec()).unwrap()
    }

    #[test]
    fn fields_of_a_confirmation_take_the_place_of_the_stored_ones() {
        let date = format!("Date: {LATE}\r\n");
        let rows: &[(&str, &str, &str)] = &[
            (
                "Cache-Control: max-age=1\r\nX: a\r\n",
                "cache-control: max-age=2\r\n",
                "X: a\r\ncache-control: max-age=2\r\n",
            ),
            ("X: 1\r\nX: 2\r\nY: 1\r\n", "x: 3\r\nx: 4\r\n", "Y: 1\r\nx: 3\r\nx: 4\r\n"),
            (
                "Content-Type: a/b\r\n",
                "Content-Type: c/d\r\nContent-Length: 0\r\nContent-Encoding: br\r\n",
                "Content-Type: a/b\r\n",
            ),
            ("X: 1\r\n", "Content-Range: bytes 0-1/2\r\n", "X: 1\r\n"),
            ("ETag: W/\"a\"\r\n", "ETag: \"a\"\r\n", "ETag: W/\"a\"\r\n"),
            ("X: 1\r\n", "ETag: \"a\"\r\n", "X: 1\r\nETag: \"a\"\r\n"),
            ("X: 1\r\n", "Connection: x\r\nX: 2\r\nAge: 9\r\nKeep-Alive: timeout=1\r\n", "X: 1\r\n"),
            ("X: 1\r\n", "Set-Cookie: a=b\r\n", "X: 1\r\n"),
            ("X: 1\r\n", "X-New: 1\r\n", "X: 1\r\nX-New: 1\r\n"),
        ];
        for (before, update, after) in rows {
            let before = format!("Date: {DAY}\r\n{before}");
            let lines = freshened_lines(&before, &format!("{update}{date}"), &FieldRules::default());
            assert_eq!(lines, format!("{after}{date}"), "{before}{update}");
        }
    }

    #[test]
    fn rules_hold_for_confirmations_too() {
        let without: [Box<str>; 1] = ["x-own".into()];
        let rules = FieldRules { response_ms: 784_111_778_000, strip_cookies: true, without: &without };
        let before = format!("Date: {DAY}\r\nX-Own: 1\r\nX: 1\r\n");
        let after = freshened_lines(&before, "Set-Cookie: a=b\r\nX-Own: 2\r\n", &rules);
        assert_eq!(after, format!("X: 1\r\nDate: {LATE}\r\n"));
        let large = format!("Y: {}\r\n", "a".repeat(crate::bounds::STORED_FIELDS_BYTES_MAX));
        assert_eq!(freshened(&stored(&before), &response(304, &large), &rules), Err(NotStored::FieldsTooLarge));
    }

    #[test]
    fn a_304_confirms_what_it_was_asked_for() {
        let modified = format!("Last-Modified: {DAY}\r\n");
        let later = format!("Last-Modified: {LATE}\r\n");
        let rows: &[(&str, &str, bool)] = &[
            ("ETag: \"a\"\r\n", "ETag: \"a\"\r\n", true),
            ("ETag: \"a\"\r\n", "ETag: \"b\"\r\n", false),
            ("ETag: \"a\"\r\n", "ETag: W/\"a\"\r\n", true),
            ("ETag: W/\"a\"\r\n", "ETag: \"a\"\r\n", true),
            ("ETag: W/\"a\"\r\n", "ETag: W/\"b\"\r\n", false),
            ("ETag: odd\r\n", "ETag: odd\r\n", true),
            ("ETag: odd\r\n", "ETag: \"odd\"\r\n", false),
            ("", "", false),
            ("ETag: \"a\"\r\n", "", true),
            (&modified, "", true),
            (&modified, &modified, true),
            (&modified, "Last-Modified: Sunday, 06-Nov-94 08:49:37 GMT\r\n", true),
            (&modified, &later, false),
            (&modified, "ETag: \"a\"\r\n", false),
            ("ETag: \"a\"\r\n", &modified, false),
            ("", &modified, false),
            ("", "ETag: \"a\"\r\n", false),
        ];
        for (before, update, confirmed) in rows {
            assert_eq!(confirms(&head(before), &response(304, update)), *confirmed, "{before}{update}");
            assert!(!confirms(&head(before), &response(200, update)));
        }
    }

    #[test]
    fn a_response_to_head_agrees_where_validators_and_length_do() {
        let modified = format!("Last-Modified: {DAY}\r\n");
        let both = format!("ETag: \"a\"\r\n{modified}");
        let rows: &[(&str, u16, String, bool)] = &[
            (&both, 200, String::new(), true),
            (&both, 200, format!("{both}Content-Length: 7\r\n"), true),
            (&both, 200, "Content-Length: 8\r\n".into(), false),
            (&both, 200, "Content-Length: 7, 7\r\n".into(), false),
            (&both, 200, "ETag: \"b\"\r\n".into(), false),
            (&both, 200, format!("Last-Modified: {LATE}\r\n"), false),
            (&both, 404, String::new(), false),
            ("", 200, "ETag: \"a\"\r\n".into(), false),
            ("", 200, modified.clone(), false),
            ("", 200, "Content-Length: 7\r\n".into(), true),
        ];
        for (before, status, lines, agrees) in rows {
            assert_eq!(head_agrees(&head(before), 7, &response(*status, lines)), *agrees, "{before}{lines}");
        }
    }
}
