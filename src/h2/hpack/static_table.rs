//! The static table (RFC 7541 Appendix A), with the number of each name beside it.

use super::FieldLine;
use crate::http::FieldId;
use crate::http::field::KNOWN;

/// Entries of the static table; the dynamic table goes on behind them (§2.3.3).
pub(super) const LINES: usize = 61;

/// Index of the first of the seven `:status` lines.
pub(super) const STATUS: usize = 8;
/// Index of `:authority`.
pub(super) const AUTHORITY: usize = 1;
/// Index of `:method: GET`; `POST` follows.
pub(super) const METHOD: usize = 2;
/// Index of `:path: /`.
pub(super) const PATH: usize = 4;
/// Index of `:scheme: http`; `https` follows.
pub(super) const SCHEME: usize = 6;
/// Index of `accept-encoding: gzip, deflate`, the only known field with a useful value.
pub(super) const ACCEPT_ENCODING: usize = 16;

static TABLE: [FieldLine<'static>; LINES] = table();
static INDEX_OF: [u8; KNOWN.len() + 1] = index_of();

/// The entry with this index, 1..=61.
#[inline]
pub(super) fn get(index: usize) -> Option<FieldLine<'static>> {
    TABLE.get(index.wrapping_sub(1)).copied()
}

/// Index of the first entry with this name; 0 = there is none.
#[inline]
pub(super) fn index_of_name(id: FieldId) -> usize {
    usize::from(INDEX_OF[id as usize])
}

const TEXT: [(&str, &str); LINES] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

const fn table() -> [FieldLine<'static>; LINES] {
    let mut table = [FieldLine { id: FieldId::Other, name: b"", value: b"" }; LINES];
    let mut at = 0;
    while at < LINES {
        let (name, value) = TEXT[at];
        table[at] = FieldLine { id: id_of(name.as_bytes()), name: name.as_bytes(), value: value.as_bytes() };
        at += 1;
    }
    table
}

const fn index_of() -> [u8; KNOWN.len() + 1] {
    let mut indexes = [0; KNOWN.len() + 1];
    let mut at = LINES;
    while at > 0 {
        indexes[id_of(TEXT[at - 1].0.as_bytes()) as usize] = at as u8;
        at -= 1;
    }
    indexes[FieldId::Other as usize] = 0;
    indexes
}

/// [`FieldId::of`] for names in lower case at compile time.
const fn id_of(name: &[u8]) -> FieldId {
    let id = FieldId::candidate(name.len(), name[0], name[name.len() - 1]);
    let known = id.name();
    let mut same = known.len() == name.len();
    let mut at = 0;
    while same && at < name.len() {
        same = known[at] == name[at];
        at += 1;
    }
    if same { id } else { FieldId::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_the_number_of_its_name_and_every_number_its_first_entry() {
        for index in 1..=LINES {
            let line = get(index).expect("61 entries");
            assert_eq!(line.id, FieldId::of(line.name), "{index}");
            if line.id != FieldId::Other {
                assert_eq!(index_of_name(line.id), index);
            }
        }
        assert!(get(0).is_none() && get(LINES + 1).is_none());
        assert_eq!(index_of_name(FieldId::Other), 0);
        assert_eq!(index_of_name(FieldId::XRequestId), 0);
    }

    #[test]
    fn the_named_indexes_are_right() {
        let text = |index| get(index).map(|line| (line.name, line.value));
        assert_eq!(text(AUTHORITY), Some((&b":authority"[..], &b""[..])));
        assert_eq!(text(METHOD), Some((&b":method"[..], &b"GET"[..])));
        assert_eq!(text(PATH), Some((&b":path"[..], &b"/"[..])));
        assert_eq!(text(SCHEME), Some((&b":scheme"[..], &b"http"[..])));
        assert_eq!(text(STATUS), Some((&b":status"[..], &b"200"[..])));
        assert_eq!(text(ACCEPT_ENCODING), Some((&b"accept-encoding"[..], &b"gzip, deflate"[..])));
        assert_eq!(text(LINES), Some((&b"www-authenticate"[..], &b""[..])));
    }
}
