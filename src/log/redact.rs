//! Secrets taken out of what is logged: targets, referers, free text.
//!
//! Pure, but for the names that an operator adds once, before anything is served. When in doubt it hides: a value that is hidden without need costs a reader a moment, a key in a log file costs
//! more. What is hidden is shown as `***`.

use std::sync::OnceLock;

/// Put in the place of a secret.
const MASK: &[u8] = b"***";

/// Names whose value is hidden, compared by letters and digits only, in lower case (`x-api-key` is `xapikey`).
const NAMES: &[&str] = &["assertion", "bearer", "code", "jwt", "otp", "pass", "pwd", "sid", "sig", "ticket"];
/// Ends of names whose value is hidden: `key` covers `api_key`, `subscription-key`, `X-Api-Key`.
const NAME_ENDS: &[&str] = &["auth", "authorization", "cookie", "key", "token", "session", "sessionid"];
/// Parts of names whose value is hidden: `signature` covers `X-Amz-Signature`.
const NAME_PARTS: &[&str] = &["apikey", "credential", "password", "passwd", "secret", "signature", "privatekey"];

/// Names that the configuration adds, in the form of [`NAMES`].
static ADDED: OnceLock<Vec<String>> = OnceLock::new();

/// Adds names of parameters and headers whose value is hidden, everywhere and for the life of the process: to be called
/// once, before anything is served; a second call changes nothing.
pub fn also_hide(names: &[Box<str>]) {
    let plain = |name: &str| letters(name.as_bytes(), &mut [0; NAME_BYTES_MAX]).to_owned();
    // Whoever comes second finds the list of the first: the process has one configuration at its start.
    let _ = ADDED.set(names.iter().map(|name| plain(name)).filter(|name| !name.is_empty()).collect());
}

/// Beginnings by which issuers mark their keys.
const KEY_PREFIXES: &[&[u8]] = &[
    b"sk-",
    b"pk-",
    b"rk-",
    b"sk_",
    b"pk_",
    b"rk_",
    b"rw_",
    b"gsk_",
    b"hf_",
    b"xai-",
    b"xoxa-",
    b"xoxb-",
    b"xoxp-",
    b"xoxs-",
    b"xapp-",
    b"ghp_",
    b"gho_",
    b"ghu_",
    b"ghs_",
    b"ghr_",
    b"github_pat_",
    b"glpat-",
    b"npm_",
    b"AKIA",
    b"ASIA",
    b"AIza",
    b"ya29.",
    b"eyJ",
];
/// Bytes of a value that looks like a key, prefix included: in a query, and elsewhere, where a short one is a word.
const KEY_BYTES_QUERY: usize = 6;
const KEY_BYTES_ELSEWHERE: usize = 16;

/// Bytes of a name that are compared.
const NAME_BYTES_MAX: usize = 64;
/// How often a part is percent-decoded in search of a secret: a URL inside a parameter of a URL.
const DECODE_DEPTH: usize = 2;

/// Where a part stands: decides how sure one must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Query,
}

/// Appends a request target or a referer in any of its forms (RFC 9112 §3.2), without its secrets: user information of
/// the authority, values of parameters with a telling name, values and segments that look like keys.
pub fn uri(input: &[u8], out: &mut Vec<u8>) {
    let rest = authority(input, out);
    let query_at = rest.iter().position(|&b| b == b'?').unwrap_or(rest.len());
    let (path, query) = rest.split_at(query_at);
    let mut decoded = Vec::new();
    path_parts(path, &mut decoded, out);
    let Some((mark, query)) = query.split_first() else { return };
    out.push(*mark);
    for (index, part) in query.split(|&b| b == b'&').enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        if !is_secret(part, Place::Query, &mut decoded) {
            out.extend_from_slice(part);
            continue;
        }
        if let Some(name) = part.iter().position(|&b| b == b'=').and_then(|at| part.get(..at))
            && !looks_like_key(name, KEY_BYTES_QUERY)
            && !name.contains(&b'%')
            && !name.iter().any(|&b| is_separator(b))
        {
            out.extend_from_slice(name);
            out.push(b'=');
        }
        out.extend_from_slice(MASK);
    }
}

/// Appends the value of a header: hidden as a whole where its name is that of a secret, or where it holds what looks like
/// a key, a telling name with a value, or a URL with user information.
pub fn header(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    if is_secret_name(name) || is_secret(value, Place::Query, &mut Vec::new()) {
        return out.extend_from_slice(MASK);
    }
    text(value, out);
}

/// Appends free text with words that look like keys, and what follows `Bearer` or `Basic`, hidden.
pub fn text(input: &[u8], out: &mut Vec<u8>) {
    let mut is_after_scheme = false;
    for (index, word) in input.split(|&b| b == b' ').enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        let is_key =
            word.split(|&b| is_separator(b) || is_delimiter(b)).any(|w| looks_like_key(w, KEY_BYTES_ELSEWHERE));
        let is_hidden = is_key || (is_after_scheme && !word.is_empty());
        out.extend_from_slice(if is_hidden { MASK } else { word });
        let last = word.rsplit(|b| !b.is_ascii_alphanumeric()).find(|w| !w.is_empty()).unwrap_or_default();
        is_after_scheme = last.eq_ignore_ascii_case(b"bearer") || last.eq_ignore_ascii_case(b"basic");
    }
}

/// Appends scheme and authority, user information hidden, and returns what follows them. A path has none of it.
fn authority<'a>(input: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let start = match input.iter().position(|b| b"/?#".contains(b)) {
        // `scheme://` or `//`: the authority follows.
        Some(slash) if input.get(slash..).is_some_and(|rest| rest.starts_with(b"//")) => slash + 2,
        Some(0) => return input,
        // Authority-form, asterisk-form, or no form at all.
        _ => 0,
    };
    let (before, rest) = input.split_at(start);
    out.extend_from_slice(before);
    let mut end = rest.iter().position(|b| b"/?#\\".contains(b)).unwrap_or(rest.len());
    if has_odd_port(rest.get(..end).unwrap_or(rest)) {
        // A password with a slash in it, not encoded: the true authority ends later.
        end = rest.iter().rposition(|&b| b == b'@').map_or(end, |at| at.max(end));
    }
    let (host, rest) = rest.split_at(end);
    let user_end = host.iter().rposition(|&b| b == b'@');
    match user_end {
        _ if rest.first() == Some(&b'@') => out.extend_from_slice(MASK),
        Some(at) => {
            out.extend_from_slice(MASK);
            out.extend_from_slice(host.get(at..).unwrap_or_default());
        }
        // Not an authority at all, but something like `key=value`.
        None if is_secret(host, Place::Path, &mut Vec::new()) => out.extend_from_slice(MASK),
        None => out.extend_from_slice(host),
    }
    rest
}

/// What follows the last colon is not a port number (and the colon is not within the brackets of IPv6).
fn has_odd_port(host: &[u8]) -> bool {
    let port = host.iter().rposition(|&b| b == b':').and_then(|at| host.get(at + 1..));
    port.is_some_and(|port| !port.iter().all(u8::is_ascii_digit) && !host.ends_with(b"]"))
}

fn path_parts(path: &[u8], decoded: &mut Vec<u8>, out: &mut Vec<u8>) {
    for (index, segment) in path.split(|&b| b == b'/').enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        if !is_secret(segment, Place::Path, decoded) {
            out.extend_from_slice(segment);
            continue;
        }
        out.extend_from_slice(MASK);
        if segment.contains(&b'=') || segment.contains(&b'%') {
            // A value with a name may hold slashes of its own: hide the rest of the path with it.
            return;
        }
    }
}

/// Whether a part of a URI carries a secret, as it stands or percent-decoded.
fn is_secret(part: &[u8], place: Place, decoded: &mut Vec<u8>) -> bool {
    if has_secret_piece(part, place) {
        return true;
    }
    if !part.contains(&b'%') {
        return false;
    }
    decoded.clear();
    decoded.extend_from_slice(part);
    for _ in 0..DECODE_DEPTH {
        percent_decode(decoded);
        if has_secret_piece(decoded, place) {
            return true;
        }
    }
    false
}

fn has_secret_piece(part: &[u8], place: Place) -> bool {
    let key_bytes = if place == Place::Query { KEY_BYTES_QUERY } else { KEY_BYTES_ELSEWHERE };
    for piece in part.split(|&b| is_separator(b)) {
        let mut words = piece.split(|&b| b == b'=' || (place == Place::Query && b == b':')).peekable();
        while let Some(word) = words.next() {
            let is_name = words.peek().is_some();
            if looks_like_key(word, key_bytes) || (is_name && is_secret_name(word)) {
                return true;
            }
            if place == Place::Query && word.eq_ignore_ascii_case(b"bearer") {
                return true;
            }
        }
    }
    // A URL with user information, as the value of a parameter.
    place == Place::Query
        && memchr::memmem::find(part, b"://").is_some_and(|at| part.iter().skip(at).any(|&b| b == b'@'))
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'&' | b';' | b'?' | b'#' | b'/' | b',' | b'+' | b' ' | b'|')
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'=' | b':' | b'"' | b'\'' | b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}')
}

/// Whether a name of a parameter or field is that of a secret, in any case and punctuation.
pub fn is_secret_name(name: &[u8]) -> bool {
    let mut buffer = [0; NAME_BYTES_MAX];
    let name = letters(name, &mut buffer);
    NAMES.contains(&name)
        || NAME_ENDS.iter().any(|end| name.ends_with(end))
        || NAME_PARTS.iter().any(|part| name.contains(part))
        || ADDED.get().is_some_and(|added| added.iter().any(|other| other == name))
}

/// Letters and digits of a name in lower case, without digits at the end: `token[0]` and `key2` are `token` and `key`.
fn letters<'b>(name: &[u8], buffer: &'b mut [u8; NAME_BYTES_MAX]) -> &'b str {
    let mut length = 0;
    let letters = name.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase);
    for (slot, letter) in buffer.iter_mut().zip(letters) {
        *slot = letter;
        length += 1;
    }
    let name = std::str::from_utf8(buffer.get(..length).unwrap_or_default()).unwrap_or_default();
    name.trim_end_matches(|c: char| c.is_ascii_digit())
}

fn looks_like_key(word: &[u8], bytes_min: usize) -> bool {
    let start = word.iter().position(u8::is_ascii_alphanumeric).unwrap_or(word.len());
    let word = word.get(start..).unwrap_or_default();
    word.len() >= bytes_min && KEY_PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

/// Decodes `%XX` where it stands; what is no escape stays as it is.
fn percent_decode(bytes: &mut Vec<u8>) {
    let (mut read, mut write) = (0, 0);
    while let Some(&byte) = bytes.get(read) {
        let escape = if byte == b'%' { hex_pair(bytes.get(read + 1), bytes.get(read + 2)) } else { None };
        read += if escape.is_some() { 3 } else { 1 };
        if let Some(slot) = bytes.get_mut(write) {
            *slot = escape.unwrap_or(byte);
        }
        write += 1;
    }
    bytes.truncate(write);
}

fn hex_pair(high: Option<&u8>, low: Option<&u8>) -> Option<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? * 16 + digit(low)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clean(input: &str) -> String {
        let mut out = Vec::new();
        uri(input.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is() {
        for plain in [
            "/",
            "*",
            "",
            "/v1/chat/completions",
            "/v1/models?limit=20&after=gpt-4",
            "example.com:443",
            "https://example.com/@user/page?x=1#top",
            "//cdn.example.com/a",
            "/a?",
            "/a?&&=&b",
            "/%zz?%",
            "/a=b;c=d",
            "/npm/@scope/pkg",
            "/sk-learn/eyJ",
            "/v1beta/models/gemini:countTokens?alt=sse",
            "?x=1",
            "/token/code/key",
            "/a?max_tokens=5&stream=true&q=a:b,c+d",
            "http://[::1]:8080/x?y=[::1]",
            "/s?q=task-force",
        ] {
            assert_eq!(clean(plain), plain);
        }
    }

    #[test]
    fn values_of_telling_names_are_hidden() {
        for (input, expected) in [
            ("/v1?key=abc&alt=sse", "/v1?key=***&alt=sse"),
            ("/v1?a=1&API_KEY=abc", "/v1?a=1&API_KEY=***"),
            ("/v1?x-api-key=a/b+c==&z=1", "/v1?x-api-key=***&z=1"),
            ("/v1?api%5Fkey=abc&z=1", "/v1?***&z=1"),
            ("/v1?%6b%65%79=abc", "/v1?***"),
            ("/v1?subscription-key=abc", "/v1?subscription-key=***"),
            ("/v1?a=1;token=abc;d/ef&b=2", "/v1?a=***&b=2"),
            ("/v1?key=ab?cd#ef", "/v1?key=***"),
            ("/v1?auth[token]=abc", "/v1?auth[token]=***"),
            (
                "/v1?X-Amz-Signature=abc&X-Amz-Credential=d/e&X-Amz-Date=5",
                "/v1?X-Amz-Signature=***&X-Amz-Credential=***&X-Amz-Date=5",
            ),
            ("/cb?code=abc&state=x&session_id=5", "/cb?code=***&state=x&session_id=***"),
            ("/x?filter={\"api_key\":\"abc\"}", "/x?filter=***"),
            ("/go?to=https%3A%2F%2Fx%2F%3Ftoken%3Dabc", "/go?to=***"),
            ("/go?to=https%253A%252F%252Fx%253Ftoken%253Dabc", "/go?to=***"),
            ("/go?to=https://u:pw@host/", "/go?to=***"),
            ("/a;jsessionid=abc/def?x=1", "/***?x=1"),
            ("/a/key=abc/def?x=1", "/a/***?x=1"),
            ("key=abc", "***"),
            ("/p#access_token=abc", "/***"),
            ("/p?a=1#access_token=abc&b=2", "/p?a=***&b=2"),
        ] {
            assert_eq!(clean(input), expected, "{input}");
        }
    }

    #[test]
    fn values_that_look_like_keys_are_hidden_under_any_name() {
        for (input, expected) in [
            ("/v1?x=sk-abcdef", "/v1?x=***"),
            ("/v1?x=%73k-abcdef", "/v1?x=***"),
            ("/v1?q=my+sk-abcdef&b=1", "/v1?q=***&b=1"),
            ("/v1?sk-abcdef", "/v1?***"),
            ("/v1?sk-abcdef=1", "/v1?***"),
            ("/v1?h=Bearer%20abc", "/v1?h=***"),
            ("/v1?x=eyJhbGciOi", "/v1?x=***"),
            ("/v1?x=AKIAIOSFODNN7EXAMPLE", "/v1?x=***"),
            ("/u/sk-abcdefghijklmnop/send?x=1", "/u/***/send?x=1"),
        ] {
            assert_eq!(clean(input), expected, "{input}");
        }
    }

    #[test]
    fn user_information_is_hidden() {
        for (input, expected) in [
            ("https://user:pw@example.com:8443/a?b=1", "https://***@example.com:8443/a?b=1"),
            ("https://pw@example.com", "https://***@example.com"),
            ("//user:pw@example.com/x", "//***@example.com/x"),
            ("user:pw@example.com:443", "***@example.com:443"),
            ("https://user:p/w@example.com/x", "https://***@example.com/x"),
            ("https://user:p?w@example.com/x", "https://***@example.com/x"),
            ("https://u:p@w@example.com/x", "https://***@example.com/x"),
        ] {
            assert_eq!(clean(input), expected, "{input}");
        }
    }

    #[test]
    fn free_text_loses_its_keys() {
        let mut out = Vec::new();
        text(b"sdk/1.0 (key=\"sk-abcdefghijklmnop\") Authorization: Bearer abc x sk-learn Basic dXNlcg==", &mut out);
        assert_eq!(out, b"sdk/1.0 *** Authorization: Bearer *** x sk-learn Basic ***");
    }

    proptest! {
        #[test]
        fn a_planted_secret_never_comes_out(
            before in "[ -~]{0,24}", middle in "[a-z0-9=&;/%+]{0,12}", after in "(&[ -~]{0,16})?",
            name in prop::sample::select(vec!["key", "Api-Key", "access_token", "PASSWORD", "x%2Damz%2Dsignature", "co%64e"]),
        ) {
            // Only `&` ends the value of a parameter: whatever else surrounds it, the secret is inside.
            let middle = middle.replace('&', "+");
            for form in [
                format!("/{before}?{name}={middle}PLANTED{after}"),
                format!("/a?{before}&{name}={middle}PLANTED{after}"),
                format!("https://h/a?{before}&x=sk-PLANTED{middle}{after}"),
                format!("/a?{before};{name}={middle}PLANTED{after}"),
            ] {
                prop_assert!(!clean(&form).contains("PLANTED"), "{form} -> {}", clean(&form));
            }
        }

        #[test]
        fn any_bytes_are_taken_and_what_is_hidden_is_idempotent(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let (mut once, mut twice, mut words) = (Vec::new(), Vec::new(), Vec::new());
            uri(&bytes, &mut once);
            uri(&once, &mut twice);
            text(&bytes, &mut words);
            prop_assert_eq!(once, twice);
            prop_assert!(words.len() <= bytes.len() * 4);
        }
    }
}
