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
    Authorization "authorization",
    CacheControl "cache-control",
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
    XRealIp "x-real-ip",
    XRequestId "x-request-id",
}

impl FieldId {
    /// The number of a field name, whatever its case.
    pub fn of(name: &[u8]) -> Self {
        for (id, known) in KNOWN {
            if known.len() == name.len() && known.as_bytes().eq_ignore_ascii_case(name) {
                return *id;
            }
        }
        Self::Other
    }
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
    }
}
