//! Operators that judge the bytes of a value: `@validateByteRange`, `@validateUrlEncoding`, `@validateUtf8Encoding`,
//! `@ipMatch`. The first three match what is wrong.
//!
//! Pure; nothing is allocated.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whether a byte is outside of those allowed.
pub fn has_byte_outside(value: &[u8], allowed: &[u64; 4]) -> bool {
    value.iter().any(|byte| {
        let word = allowed.get(usize::from(byte >> 6)).copied().unwrap_or(0);
        word >> (byte & 63) & 1 == 0
    })
}

/// Whether a percent sign is not followed by two hexadecimal digits.
pub fn is_url_encoding_wrong(value: &[u8]) -> bool {
    memchr::memchr_iter(b'%', value).any(|at| {
        let digits = value.get(at + 1..at + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Whether the value is not UTF-8: stray or missing continuation bytes, overlong forms, surrogates, beyond U+10FFFF.
pub fn is_utf8_wrong(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_err()
}

/// Whether the value is an address within one of the networks. An IPv4 address written as IPv6 (`::ffff:10.0.0.1`) is an
/// IPv4 address.
pub fn is_in(value: &[u8], networks: &[IpNet]) -> bool {
    let Some(address) = std::str::from_utf8(value).ok().and_then(|text| text.trim_ascii().parse::<IpAddr>().ok())
    else {
        return false;
    };
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_encoding_needs_two_digits() {
        for (value, wrong) in [("a%20b", false), ("%", true), ("%2", true), ("%2g", true), ("%%41", true), ("", false)]
        {
            assert_eq!(is_url_encoding_wrong(value.as_bytes()), wrong, "{value}");
        }
    }

    #[test]
    fn bytes_outside_are_seen() {
        let allowed = [!1u64, u64::MAX, 0, 0];
        assert!(has_byte_outside(b"a\0", &allowed));
        assert!(has_byte_outside(b"\x80", &allowed));
        assert!(!has_byte_outside(b"abc\n", &allowed));
    }

    #[test]
    fn addresses_are_matched_in_either_form() {
        let networks = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        for (value, inside) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.1", false),
            ("2001:db8::1", true),
            ("example", false),
            ("", false),
        ] {
            assert_eq!(is_in(value.as_bytes(), &networks), inside, "{value}");
        }
    }

    #[test]
    fn overlong_forms_are_wrong() {
        assert!(is_utf8_wrong(b"\xc0\xaf"));
        assert!(is_utf8_wrong(b"\xed\xa0\x80"));
        assert!(!is_utf8_wrong("暴力".as_bytes()));
    }
}
