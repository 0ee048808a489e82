//! What the admin listener says no with, and what it asks of requests before it does anything: one shape of error, a
//! guard against pages in a browser, query parameters that are all known.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Bytes of a request body.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// A request that is not carried out: status, a word for programs, a sentence for people.
#[derive(Debug)]
pub struct Refusal {
    pub code: StatusCode,
    pub kind: &'static str,
    pub message: String,
}

impl Refusal {
    /// The request says something that cannot be meant.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { code: StatusCode::BAD_REQUEST, kind: "bad_request", message: message.into() }
    }

    /// What is named is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { code: StatusCode::NOT_FOUND, kind: "not_found", message: message.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.code, Json(json!({ "error": { "type": self.kind, "message": self.message } }))).into_response()
    }
}

/// Refuses what a page in somebody's browser could send: a browser puts Origin on every POST, and without being asked
/// first it sends no JSON.
pub fn guard(headers: &HeaderMap) -> Result<(), Refusal> {
    refuse_pages(headers)?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = kind.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "send a JSON body with Content-Type: application/json".to_owned();
    Err(Refusal { code: StatusCode::UNSUPPORTED_MEDIA_TYPE, kind: "unsupported_media_type", message })
}

/// Refuses what carries Origin.
pub fn refuse_pages(headers: &HeaderMap) -> Result<(), Refusal> {
    if !headers.contains_key(header::ORIGIN) {
        return Ok(());
    }
    let message = "the request carries Origin, as a page in a browser sends it; the cache is not at the service of \
                   pages: call from a program, without Origin"
        .to_owned();
    Err(Refusal { code: StatusCode::FORBIDDEN, kind: "forbidden", message })
}

/// The body of a request, or why it could not be read.
pub fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Refusal> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the body is larger than {BODY_BYTES_MAX} bytes; send several requests");
            Refusal { code: StatusCode::PAYLOAD_TOO_LARGE, kind: "body_too_large", message }
        }
        code => Refusal { code, kind: "bad_request", message: rejection.body_text() },
    })
}

/// The parameters of a query, each of a known name and given once; values are percent-decoded.
pub fn parameters<'a, const N: usize>(
    query: &'a str,
    known: [&'static str; N],
) -> Result<[Option<String>; N], Refusal> {
    let mut values = [const { None }; N];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value): (&'a str, &'a str) = pair.split_once('=').unwrap_or((pair, ""));
        let place = known.iter().position(|k| *k == name).and_then(|index| values.get_mut(index)).ok_or_else(|| {
            let known = if N == 0 { "none".to_owned() } else { known.join(", ") };
            Refusal::bad_request(format!("unknown query parameter {name:?}; known here: {known}"))
        })?;
        let value = percent_decoded(value)
            .ok_or_else(|| Refusal::bad_request(format!("{name} is not percent-encoded UTF-8")))?;
        if place.replace(value).is_some() {
            return Err(Refusal::bad_request(format!("{name} is given twice")));
        }
    }
    Ok(values)
}

/// RFC 3986 §2.1.
fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let is_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        out.push(is_hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten()?);
        out.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_are_known_given_once_and_decoded() {
        let [limit, prefix] = parameters("limit=5&&prefix=a%2Fb%3fc", ["limit", "prefix"]).unwrap();
        assert_eq!((limit.as_deref(), prefix.as_deref()), (Some("5"), Some("a/b?c")));
        for (query, said) in [
            ("limits=5", "unknown query parameter \"limits\"; known here: limit, prefix"),
            ("limit=5&limit=6", "limit is given twice"),
            ("prefix=%2", "prefix is not percent-encoded UTF-8"),
            ("prefix=%+1", "prefix is not percent-encoded UTF-8"),
            ("prefix=%ff", "prefix is not percent-encoded UTF-8"),
        ] {
            assert_eq!(parameters(query, ["limit", "prefix"]).unwrap_err().message, said);
        }
        assert!(parameters("a=1", []).unwrap_err().message.ends_with("known here: none"));
    }
}
