//! Field names the gateway knows by number, so that no step compares strings twice.

macro_rules! fields {
    ($($id:ident $name:literal),* $(,)?) => {
        /// A field name known to the gateway, or [`FieldId::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        #[repr(u8)]
        pub enum FieldId {
            #[default]
            Other,
            $($id),*
        }

        /// Every known name in lower case with its number.
        pub const KNOWN: &[(FieldId, &str)] = &[$((FieldId::$id, $name)),*];
    };
}

fields! {
    Accept "accept",
    AcceptEncoding "accept-encoding",
    AcceptLanguage "accept-language",
    Age "age",
    ApiKey "api-key",
    Authorization "authorization",
    CacheControl "cache-control",
    CacheTag "cache-tag",
    Connection "connection",
    ContentEncoding "content-encoding",
    ContentLength "content-length",
    ContentType "content-type",
    Cookie "cookie",
    Date "date",
    Etag "etag",
    Expect "expect",
    Expires "expires",
    Forwarded "forwarded",
    Host "host",
    Http2Settings "http2-settings",
    IfMatch "if-match",
    IfModifiedSince "if-modified-since",
    IfNoneMatch "if-none-match",
    IfRange "if-range",
    KeepAlive "keep-alive",
    LastModified "last-modified",
    Location "location",
    ProxyAuthenticate "proxy-authenticate",
    ProxyAuthorization "proxy-authorization",
    ProxyConnection "proxy-connection",
    Range "range",
    Referer "referer",
    RetryAfter "retry-after",
    Server "server",
    SetCookie "set-cookie",
    SurrogateKey "surrogate-key",
    Te "te",
    Trailer "trailer",
    TransferEncoding "transfer-encoding",
    Upgrade "upgrade",
    UserAgent "user-agent",
    Vary "vary",
    Via "via",
    XApiKey "x-api-key",
    XForwardedFor "x-forwarded-for",
    XForwardedHost "x-forwarded-host",
    XForwardedProto "x-forwarded-proto",
    XGoogApiKey "x-goog-api-key",
    XRealIp "x-real-ip",
    XRequestId "x-request-id",
}

/// Bytes of the widest vector a known name is compared in; no known name is longer.
pub const NAME_BYTES_MAX: usize = 32;

impl FieldId {
    /// The number of a field name, whatever its case.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let (Some(first), Some(last)) = (name.first(), name.last()) else { return Self::Other };
        let id = Self::candidate(name.len(), *first, *last);
        if id.is_spelled(name) { id } else { Self::Other }
    }

    /// Whether the name is this one in any case, compared eight bytes at a time. Never for [`FieldId::Other`].
    #[inline]
    fn is_spelled(self, name: &[u8]) -> bool {
        let len = self.name().len();
        if len != name.len() || len == 0 {
            return false;
        }
        let known = self.padded_name();
        let Some(last) = len.checked_sub(8) else { return self.name().eq_ignore_ascii_case(name) };
        // The last word overlaps the one before it.
        (0..last).step_by(8).chain([last]).all(|at| match (word(name, at), word(known, at)) {
            (Some(ours), Some(known)) => (ours ^ known) & !letters(known) == 0,
            _ => false,
        })
    }

    /// The only known name that a name of this length, first and last byte can be; compare before use.
    #[inline]
    pub const fn candidate(len: usize, first: u8, last: u8) -> Self {
        SLOTS[slot(MULTIPLIERS, len, first, last)]
    }

    /// The name in lower case; empty for [`FieldId::Other`].
    #[inline]
    pub const fn name(self) -> &'static [u8] {
        NAMES[self as usize]
    }

    /// The name in lower case, zeros behind it.
    #[inline]
    pub const fn padded_name(self) -> &'static [u8; NAME_BYTES_MAX] {
        &PADDED[self as usize]
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|word| u64::from_ne_bytes(*word))
}

/// 0x20, the bit of the case, at each letter of a word of a known name: other bytes of it are `-`, below 0x40.
const fn letters(known: u64) -> u64 {
    (known & 0x4040_4040_4040_4040) >> 1
}

const SLOT_COUNT: usize = 256;
/// Found at compile time so that no two known names share a slot.
const MULTIPLIERS: (usize, usize) =
    find_multipliers().expect("a pair exists because no two known names share length, first and last byte");
static SLOTS: [FieldId; SLOT_COUNT] = slots();
static NAMES: [&[u8]; KNOWN.len() + 1] = names();
static PADDED: [[u8; NAME_BYTES_MAX]; KNOWN.len() + 1] = padded();

const fn slot(multipliers: (usize, usize), len: usize, first: u8, last: u8) -> usize {
    let (first, last) = ((first | 0x20) as usize, (last | 0x20) as usize);
    (len + first * multipliers.0 + last * multipliers.1) % SLOT_COUNT
}

const fn slot_of_known(multipliers: (usize, usize), index: usize) -> usize {
    let name = KNOWN[index].1.as_bytes();
    slot(multipliers, name.len(), name[0], name[name.len() - 1])
}

const fn find_multipliers() -> Option<(usize, usize)> {
    let mut pair = 0;
    while pair < 64 * 64 {
        let multipliers = (pair / 64, pair % 64);
        if is_perfect(multipliers) {
            return Some(multipliers);
        }
        pair += 1;
    }
    None
}

const fn is_perfect(multipliers: (usize, usize)) -> bool {
    let mut used = [false; SLOT_COUNT];
    let mut index = 0;
    while index < KNOWN.len() {
        let slot = slot_of_known(multipliers, index);
        if used[slot] {
            return false;
        }
        used[slot] = true;
        index += 1;
    }
    true
}

const fn slots() -> [FieldId; SLOT_COUNT] {
    let mut table = [FieldId::Other; SLOT_COUNT];
    let mut index = 0;
    while index < KNOWN.len() {
        table[slot_of_known(MULTIPLIERS, index)] = KNOWN[index].0;
        index += 1;
    }
    table
}

const fn names() -> [&'static [u8]; KNOWN.len() + 1] {
    let mut table: [&[u8]; KNOWN.len() + 1] = [b""; KNOWN.len() + 1];
    let mut index = 0;
    while index < KNOWN.len() {
        table[KNOWN[index].0 as usize] = KNOWN[index].1.as_bytes();
        index += 1;
    }
    table
}

const fn padded() -> [[u8; NAME_BYTES_MAX]; KNOWN.len() + 1] {
    let mut table = [[0; NAME_BYTES_MAX]; KNOWN.len() + 1];
    let mut index = 0;
    while index < KNOWN.len() {
        let name = KNOWN[index].1.as_bytes();
        assert!(name.len() <= NAME_BYTES_MAX);
        let mut byte = 0;
        while byte < name.len() {
            table[KNOWN[index].0 as usize][byte] = name[byte];
            byte += 1;
        }
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for (id, name) in KNOWN {
            assert_eq!(FieldId::of(name.as_bytes()), *id);
            assert_eq!(FieldId::of(name.to_uppercase().as_bytes()), *id);
        }
        assert_eq!(FieldId::of(b"x-unknown"), FieldId::Other);
        assert_eq!(FieldId::of(b""), FieldId::Other);
        assert_eq!(FieldId::of(b"hoSt"), FieldId::Host);
        for near in [&b"hosT\0"[..], b"hxst", b"h", b"content-lengtx", b"content\rlength", b"t\x05"] {
            assert_eq!(FieldId::of(near), FieldId::Other);
        }
    }
}
