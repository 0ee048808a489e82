//! Every reason for which a message of a peer is malformed (RFC 9113 §8.1.1).
//!
//! One variant per distinct violation. Whether a stream is reset or answered is decided elsewhere; here a violation only
//! gets its name.

macro_rules! malformations {
    ($($(#[$doc:meta])* $id:ident $name:literal),* $(,)?) => {
        /// Why a message is malformed: its stream is reset with PROTOCOL_ERROR, or answered with 400.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Malformed {
            $($(#[$doc])* $id),*
        }

        impl Malformed {
            /// Every reason, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$id),*];

            /// The name under which the reason is counted and logged.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$id => $name),*
                }
            }
        }
    };
}

malformations! {
    /// A pseudo-field that the message cannot have: unknown, of the other direction, in trailers, or beside CONNECT
    /// (RFC 9113 §8.3, §8.5).
    PseudoForbidden "pseudo_forbidden",
    /// A pseudo-field behind a regular one (RFC 9113 §8.3).
    PseudoLate "pseudo_late",
    /// A pseudo-field twice (RFC 9113 §8.3).
    PseudoDuplicate "pseudo_duplicate",
    /// A pseudo-field that the message must have is not there (RFC 9113 §8.3.1, §8.3.2).
    PseudoMissing "pseudo_missing",
    /// `:method` is not a token (RFC 9110 §9.1).
    MethodBad "method_bad",
    /// `:scheme` is neither `http` nor `https`.
    SchemeBad "scheme_bad",
    /// `:path` is empty, does not start with a slash, or holds what no request target holds (RFC 9113 §8.3.1).
    PathBad "path_bad",
    /// `:authority`, or Host in its place, is empty, has user information, or bytes other than visible ASCII
    /// (RFC 9113 §8.3.1).
    AuthorityBad "authority_bad",
    /// `:status` is not three digits from 100 to 599, or is 101 (RFC 9113 §8.3.2, §8.6).
    StatusBad "status_bad",
    /// Neither `:authority` nor Host.
    HostMissing "host_missing",
    /// More than one Host line.
    HostDuplicate "host_duplicate",
    /// Host says other than `:authority` (RFC 9113 §8.3.1).
    HostDisagrees "host_disagrees",
    /// A field name with an upper-case letter (RFC 9113 §8.2.1).
    NameUpperCase "name_upper_case",
    /// A field name that is empty or not a token (RFC 9113 §8.2.1).
    NameBad "name_bad",
    /// A control byte in a field value, or white space at its ends (RFC 9113 §8.2.1).
    ValueBad "value_bad",
    /// A field that belongs to one connection of HTTP/1.1 (RFC 9113 §8.2.2).
    ConnectionField "connection_field",
    /// TE with other than `trailers` (RFC 9113 §8.2.2).
    TeBad "te_bad",
    /// Content-Length is not one plain decimal number (RFC 9110 §8.6).
    LengthBad "length_bad",
    /// More than one Content-Length line, equal or not.
    LengthDuplicate "length_duplicate",
    /// Content-Length says other than the bytes that came (RFC 9113 §8.1.1).
    LengthDisagrees "length_disagrees",
    /// An interim response that ends its stream (RFC 9113 §8.1).
    EarlyEnd "early_end",
    /// More bytes or more fields than the bound: of responses and trailers, which nobody can answer with 431.
    TooLarge "too_large",
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_snake_case_and_distinct() {
        let names: std::collections::HashSet<_> = Malformed::ALL.iter().map(|m| m.name()).collect();
        assert_eq!(names.len(), Malformed::ALL.len());
        assert!(names.iter().all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }
}
