//! Every reason for which a strict reader of HTTP/1.1 refuses a message.
//!
//! One variant per distinct violation. What a refusal means for the connection (status, counter) is mapped elsewhere,
//! in the one table of failures; here it only gets its name.

macro_rules! rejects {
    ($($(#[$doc:meta])* $id:ident $name:literal),* $(,)?) => {
        /// Why a message was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reject {
            $($(#[$doc])* $id),*
        }

        impl Reject {
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

rejects! {
    /// A line feed without the carriage return before it (RFC 9112 §2.2).
    BareLf "bare_lf",
    /// A carriage return without the line feed behind it (RFC 9112 §2.2).
    BareCr "bare_cr",
    /// A control byte in a start line, a field name or chunk framing (RFC 9110 §5.5).
    ControlByte "control_byte",
    /// The method is not a token (RFC 9112 §3.1).
    BadMethod "bad_method",
    /// The target is empty, holds bytes other than visible ASCII, or has a form that the method does not allow (RFC 9112 §3.2).
    BadTarget "bad_target",
    /// The target carries a fragment, which never goes over the wire (RFC 9110 §4.2.5).
    TargetFragment "target_fragment",
    /// The target's authority carries user information (RFC 9110 §4.2.4).
    TargetUserinfo "target_userinfo",
    /// The version is not `HTTP/` digit `.` digit, or missing (RFC 9112 §2.3).
    BadVersion "bad_version",
    /// The version is well formed and its major number is not 1.
    VersionUnsupported "version_unsupported",
    /// The request line is longer than its bound (RFC 9112 §3: 414).
    TargetTooLong "target_too_long",
    /// The head is longer than its bound (RFC 6585 §5: 431).
    HeadTooLarge "head_too_large",
    /// More field lines than the bound (431).
    TooManyFields "too_many_fields",
    /// White space between field name and colon (RFC 9112 §5.1).
    SpaceBeforeColon "space_before_colon",
    /// A field line that starts with white space: obsolete line folding (RFC 9112 §5.2).
    ObsFold "obs_fold",
    /// A field name that is empty or not a token, or a line without a colon (RFC 9110 §5.1).
    BadFieldName "bad_field_name",
    /// A control byte in a field value (RFC 9110 §5.5).
    BadFieldValue "bad_field_value",
    /// A status line without a status of 100 to 599 (RFC 9110 §15).
    BadStatus "bad_status",
    /// HTTP/1.1 without Host (RFC 9112 §3.2).
    HostMissing "host_missing",
    /// More than one Host line (RFC 9112 §3.2).
    HostDuplicate "host_duplicate",
    /// Host is not `name[:port]` (RFC 9110 §7.2).
    HostBad "host_bad",
    /// Host differs from the authority of an absolute-form target (RFC 9112 §3.2.2).
    HostDisagrees "host_disagrees",
    /// Content-Length is not one plain decimal number: empty, signed, a list, out of range (RFC 9112 §6.3).
    LengthBad "length_bad",
    /// More than one Content-Length line, equal or not (RFC 9112 §6.3).
    LengthDuplicate "length_duplicate",
    /// Content-Length beside Transfer-Encoding (RFC 9112 §6.1).
    LengthWithTransferEncoding "length_with_transfer_encoding",
    /// A transfer coding other than chunked, or an empty member (RFC 9112 §6.1).
    TransferCodingUnknown "transfer_coding_unknown",
    /// Chunked is not the last coding, or is applied twice (RFC 9112 §6.1).
    TransferCodingNotFinal "transfer_coding_not_final",
    /// Transfer-Encoding in an HTTP/1.0 message (RFC 9112 §6.1).
    TransferEncodingInHttp10 "transfer_encoding_in_http10",
    /// A chunk size that is empty or not hexadecimal (RFC 9112 §7.1).
    ChunkSizeBad "chunk_size_bad",
    /// A chunk size of more than 16 digits (RFC 9112 §7.1).
    ChunkSizeOverflow "chunk_size_overflow",
    /// A chunk-size line beyond its bound, or extensions that outweigh the data (RFC 9112 §7.1.1).
    ChunkLineTooLong "chunk_line_too_long",
    /// Chunk data that is not followed by CRLF (RFC 9112 §7.1).
    ChunkEndBad "chunk_end_bad",
    /// A trailer line that is not a field line (RFC 9112 §7.1.2).
    TrailerBad "trailer_bad",
    /// A trailer section beyond its bound.
    TrailerTooLarge "trailer_too_large",
    /// CONNECT, which this gateway does not serve (RFC 9110 §9.3.6).
    ConnectRefused "connect_refused",
}

impl std::fmt::Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Reject {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_snake_case_and_distinct() {
        let names: std::collections::HashSet<_> = Reject::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), Reject::ALL.len());
        assert!(names.iter().all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')));
    }
}
