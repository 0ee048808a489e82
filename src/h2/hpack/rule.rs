//! What the encoder does with each field: which values are worth a place in the table, and which must never have one.

use crate::http::FieldId;
use crate::http::field::KNOWN;

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A secret: written so that nobody on the way puts it into a table (RFC 7541 §7.1.3).
    Secret,
    /// Another value in most messages: not worth a look into the table.
    Varies,
    /// Put into the table at first sight, while the values of its name do repeat; else at second sight.
    Repeats,
    /// Put into the table when it is seen a second time.
    SecondSight,
}

/// The rule of a field; of an unknown one, as long as its name does not say more ([`names_secret`]).
#[inline]
pub(super) fn of(id: FieldId) -> Rule {
    RULES[id as usize]
}

/// Ends of unknown names whose values look like secrets. A guess: too many cost a few bytes, too few help who guesses
/// secrets by the size of blocks on a connection that several clients share.
const SECRET_ENDS: [&[u8]; 7] = [b"token", b"-key", b"secret", b"password", b"signature", b"auth", b"cookie"];

/// Whether an unknown name, in lower case, is one of a secret.
pub(super) fn names_secret(name: &[u8]) -> bool {
    SECRET_ENDS.iter().any(|end| name.ends_with(end))
}

static RULES: [Rule; KNOWN.len() + 1] = rules();

const fn rules() -> [Rule; KNOWN.len() + 1] {
    let mut rules = [Rule::Repeats; KNOWN.len() + 1];
    let mut at = 0;
    while at < KNOWN.len() {
        rules[KNOWN[at].0 as usize] = known(KNOWN[at].0);
        at += 1;
    }
    rules
}

const fn known(id: FieldId) -> Rule {
    match id {
        FieldId::ApiKey
        | FieldId::Authorization
        | FieldId::Cookie
        | FieldId::ProxyAuthorization
        | FieldId::SetCookie
        | FieldId::XApiKey
        | FieldId::XGoogApiKey => Rule::Secret,
        FieldId::Age
        | FieldId::CacheTag
        | FieldId::ContentLength
        | FieldId::ContentLocation
        | FieldId::ContentRange
        | FieldId::Etag
        | FieldId::IfMatch
        | FieldId::IfModifiedSince
        | FieldId::IfNoneMatch
        | FieldId::IfRange
        | FieldId::IfUnmodifiedSince
        | FieldId::LastModified
        | FieldId::Location
        | FieldId::ProxyAuthenticationInfo
        | FieldId::Range
        | FieldId::RetryAfter
        | FieldId::SurrogateKey
        | FieldId::XRequestId => Rule::Varies,
        FieldId::Expires | FieldId::Forwarded | FieldId::Referer | FieldId::XForwardedFor | FieldId::XRealIp => {
            Rule::SecondSight
        }
        _ => Rule::Repeats,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_number_and_guessed_by_name() {
        for name in ["authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key", "api-key"] {
            assert_eq!(of(FieldId::of(name.as_bytes())), Rule::Secret, "{name}");
        }
        assert!(names_secret(b"x-amz-security-token") && names_secret(b"x-team-key"));
        assert!(!names_secret(b"cache-status") && !names_secret(b"x-keyboard"));
        assert_eq!(of(FieldId::Server), Rule::Repeats);
        assert_eq!(of(FieldId::Other), Rule::Repeats);
        assert_eq!(of(FieldId::Age), Rule::Varies);
    }
}
