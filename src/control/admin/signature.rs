//! When a webhook is believed: signed by a shared secret, fresh, and taken once. Reads no clock and purges nothing.
//!
//! The signature is HMAC-SHA-256 (RFC 2104) over timestamp, full stop and body, compared in constant time. Accepted
//! ones are remembered as long as their timestamp would be fresh; when there are too many, the oldest are forgotten and
//! everything as old as they is refused, so that nothing is ever taken twice by one process.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::hmac;
use axum::http::HeaderMap;

use crate::plan::PurgeHook;

/// Seconds since the Unix epoch at which the request was signed.
const TIMESTAMP: &str = "x-ringway-timestamp";
/// `sha256=` and 64 hexadecimal digits.
const SIGNATURE: &str = "x-ringway-signature";
/// Accepted signatures that are remembered. About 50 bytes each.
const REMEMBERED_MAX: usize = 32_768;
const DIGEST_BYTES: usize = 32;

/// What became of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hooked {
    /// Authentic, fresh and new; its body may still be refused.
    Accepted,
    Missing,
    BadSignature,
    Stale,
    Replayed,
}

impl Hooked {
    /// Every outcome, in the order of the table.
    pub const ALL: [Self; 5] = [Self::Accepted, Self::Missing, Self::BadSignature, Self::Stale, Self::Replayed];

    /// The name outside the program.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Missing => "missing",
            Self::BadSignature => "bad_signature",
            Self::Stale => "stale",
            Self::Replayed => "replayed",
        }
    }

    /// What its sender should do.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Accepted => "",
            Self::Missing => {
                "send X-Ringway-Timestamp: <unix seconds> and X-Ringway-Signature: sha256=<64 hex digits>, once each"
            }
            Self::BadSignature => {
                "the signature is not HMAC-SHA-256 of timestamp, full stop and body under the hook secret"
            }
            Self::Stale => "the timestamp is too far from now; compare the clocks, and sign again for each attempt",
            Self::Replayed => "this signature was taken already; sign again for each attempt",
        }
    }
}

/// Accepted webhooks, remembered and counted.
#[derive(Default)]
pub struct Hooks {
    seen: Mutex<Seen>,
    counts: [AtomicU64; Hooked::ALL.len()],
}

#[derive(Default)]
struct Seen {
    accepted: BTreeSet<(u64, [u8; DIGEST_BYTES])>,
    /// Everything up to this timestamp is refused: what was accepted of it is not remembered any more.
    floor: Option<u64>,
}

impl Hooks {
    /// How many webhooks came to this.
    pub fn count(&self, outcome: Hooked) -> u64 {
        self.counts[outcome as usize].load(Relaxed)
    }

    /// Judges a webhook and counts the judgement; an accepted one is accepted once.
    pub fn judge(&self, terms: &PurgeHook, headers: &HeaderMap, body: &[u8], now_ms: u64) -> Hooked {
        let outcome = match authentic(terms, headers, body) {
            Ok((timestamp, digest)) => {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.take(timestamp, digest, now_ms, terms.window_ms)
            }
            Err(outcome) => outcome,
        };
        self.counts[outcome as usize].fetch_add(1, Relaxed);
        outcome
    }
}

impl Seen {
    fn take(&mut self, timestamp: u64, digest: [u8; DIGEST_BYTES], now_ms: u64, window_ms: u64) -> Hooked {
        if timestamp.saturating_mul(1_000).abs_diff(now_ms) > window_ms.saturating_add(999) {
            return Hooked::Stale;
        }
        if self.accepted.contains(&(timestamp, digest)) {
            return Hooked::Replayed;
        }
        if self.floor.is_some_and(|floor| timestamp <= floor) {
            return Hooked::Stale;
        }
        self.accepted.insert((timestamp, digest));
        let is_over =
            |timestamp: u64| timestamp.saturating_mul(1_000).saturating_add(window_ms).saturating_add(999) < now_ms;
        while let Some((oldest, _)) = self.accepted.first()
            && (self.accepted.len() > REMEMBERED_MAX || is_over(*oldest))
        {
            self.floor = self.floor.max(Some(*oldest));
            self.accepted.pop_first();
        }
        Hooked::Accepted
    }
}

/// Timestamp and digest of a webhook that was signed with the secret.
fn authentic(terms: &PurgeHook, headers: &HeaderMap, body: &[u8]) -> Result<(u64, [u8; DIGEST_BYTES]), Hooked> {
    let (stamp, signature) = only(headers, TIMESTAMP).zip(only(headers, SIGNATURE)).ok_or(Hooked::Missing)?;
    let is_number = !stamp.is_empty() && stamp.bytes().all(|b| b.is_ascii_digit());
    let timestamp = stamp.parse().ok().filter(|_| is_number).ok_or(Hooked::Missing)?;
    let digest = signature.strip_prefix("sha256=").and_then(digest_of).ok_or(Hooked::BadSignature)?;
    let message = [stamp.as_bytes(), b".", body].concat();
    if is_signed(terms.secret.expose(), &message, &digest) {
        Ok((timestamp, digest))
    } else {
        Err(Hooked::BadSignature)
    }
}

/// The value of a field that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn digest_of(hex: &str) -> Option<[u8; DIGEST_BYTES]> {
    let digits = hex.as_bytes();
    if digits.len() != 2 * DIGEST_BYTES || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut digest = [0; DIGEST_BYTES];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

/// In constant time.
fn is_signed(secret: &[u8], message: &[u8], digest: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message, digest).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn signatures_are_those_of_the_standard() {
        // RFC 4231 §4.3.
        let digest = digest_of("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843").unwrap();
        assert!(is_signed(b"Jefe", b"what do ya want for nothing?", &digest));
        assert!(!is_signed(b"Jefe", b"what do ya want for nothing!", &digest));
        assert!(!is_signed(b"Jeff", b"what do ya want for nothing?", &digest));
        assert!(digest_of("5b").is_none() && digest_of(&"g".repeat(64)).is_none());
    }

    #[test]
    fn a_signature_is_taken_once_within_its_window_and_never_after() {
        let mut seen = Seen::default();
        let (digest, window) = ([1; 32], 300_000);
        assert_eq!(seen.take(1_000, digest, 700_000, window), Hooked::Accepted);
        assert_eq!(seen.take(1_000, digest, 1_300_000, window), Hooked::Replayed);
        assert_eq!(seen.take(1_000, digest, 1_301_000, window), Hooked::Stale);
        assert_eq!(seen.take(1_000, digest, 698_000, window), Hooked::Stale);
        // It is forgotten with the next one, and a window that grew brings it not back.
        assert_eq!(seen.take(2_000, digest, 2_000_000, window), Hooked::Accepted);
        assert_eq!(seen.accepted.len(), 1);
        assert_eq!(seen.take(1_000, digest, 2_000_000, 10 * window), Hooked::Stale);
        assert_eq!(seen.take(1_001, digest, 2_000_000, 10 * window), Hooked::Accepted);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_forgotten_is_refused() {
        let mut seen = Seen::default();
        let digest = |n: usize| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_be_bytes());
            digest
        };
        for n in 0..REMEMBERED_MAX + 10 {
            let timestamp = 1_000 + u64::from(n >= 100);
            assert_eq!(seen.take(timestamp, digest(n), 1_000_000, 300_000), Hooked::Accepted);
        }
        assert_eq!(seen.accepted.len(), REMEMBERED_MAX);
        assert_eq!(seen.take(1_000, digest(0), 1_000_000, 300_000), Hooked::Stale);
        assert_eq!(seen.take(1_000, digest(50), 1_000_000, 300_000), Hooked::Replayed);
        assert_eq!(seen.take(1_001, digest(100), 1_000_000, 300_000), Hooked::Replayed);
        assert_eq!(seen.take(1_001, digest(999_999), 1_000_000, 300_000), Hooked::Accepted);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn nothing_is_taken_twice(
            calls in proptest::collection::vec((0_u64..20, 0_u8..3, 0_u64..20, 1_u64..8), 1..60),
        ) {
            let (mut seen, mut taken) = (Seen::default(), BTreeSet::new());
            for (timestamp, digest, now, window) in calls {
                let outcome = seen.take(timestamp, [digest; 32], now * 1_000, window * 1_000);
                if outcome == Hooked::Accepted {
                    prop_assert!(taken.insert((timestamp, digest)));
                    prop_assert!(timestamp.abs_diff(now) <= window);
                }
            }
        }
    }
}
