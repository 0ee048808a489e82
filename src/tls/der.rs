//! The one field of a certificate that neither rustls nor webpki shows: the end of its validity.
//!
//! A walk over DER (X.690) down to that field, for our own certificates only, for a metric only. Never used to
//! decide trust, never fed with a peer's bytes; whatever it does not understand is `None`.

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Seconds since the Unix epoch at which the certificate ends (RFC 5280 §4.1.2.5).
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    let (tag, certificate, _) = element(certificate)?;
    let (inner_tag, body, _) = element(certificate)?;
    if tag != SEQUENCE || inner_tag != SEQUENCE {
        return None;
    }
    // TBSCertificate: [0] version, serial, signature algorithm, issuer, validity (RFC 5280 §4.1).
    let (first, _, after_first) = element(body)?;
    let serial_on = if first == VERSION { after_first } else { body };
    let (_, _, rest) = element(serial_on)?;
    let (_, _, rest) = element(rest)?;
    let (_, _, rest) = element(rest)?;
    let (_, validity, _) = element(rest)?;
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    unix_seconds(tag, text)
}

/// Splits off one element: its tag, its content, what follows it.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        // The long form: the low bits count the bytes of the length. Four are more than any certificate needs.
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.is_empty() || bytes.len() > 4 {
            return None;
        }
        (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`; the years of the short form are 1950–2049.
fn unix_seconds(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    if rest.len() != 11 || !rest.ends_with('Z') {
        return None;
    }
    let two = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let time = jiff::civil::DateTime::new(year, two(0)?, two(2)?, two(4)?, two(6)?, two(8)?, 0).ok()?;
    Some(time.duration_since(jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_secs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_of_time_are_read_and_nonsense_is_not() {
        assert_eq!(unix_seconds(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(unix_seconds(UTC_TIME, b"491231235959Z"), Some(2_524_607_999));
        assert_eq!(unix_seconds(GENERALIZED_TIME, b"20500101000000Z"), Some(2_524_608_000));
        assert_eq!(unix_seconds(GENERALIZED_TIME, b"99991231235959Z"), Some(253_402_300_799));
        for text in [
            &b""[..],
            b"700101000000",
            b"701301000000Z",
            b"7001010000Z",
            b"70010100000\xffZ",
            "7é0101000000Z".as_bytes(),
        ] {
            assert_eq!(unix_seconds(UTC_TIME, text), None);
        }
        assert_eq!(unix_seconds(0x16, b"700101000000Z"), None);
    }

    #[test]
    fn the_end_of_a_real_certificate_is_found() {
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2049, 12, 31);
        let key = rcgen::KeyPair::generate().unwrap();
        assert_eq!(not_after(params.self_signed(&key).unwrap().der()), Some(2_524_521_600));
        params.not_after = rcgen::date_time_ymd(2126, 1, 1);
        assert_eq!(not_after(params.self_signed(&key).unwrap().der()), Some(4_922_899_200));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = not_after(&bytes);
            let nested: Vec<u8> = [&[SEQUENCE, 0x82, 0, 66, SEQUENCE, 64][..], &bytes, &[0; 64]].concat();
            let _ = not_after(&nested);
        }
    }
}
