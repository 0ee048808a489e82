//! Bytes that nobody may read by accident: keys, tokens, passwords, values of headers that an operator set.
//!
//! A [`Secret`] has no `Display`, its `Debug` shows stars, two are compared in constant time, and its memory is
//! overwritten when it is dropped. The one way to the bytes is [`Secret::expose`]; the tidy test lists the files that may
//! call it, and none of them may put what it returns into a log line, an error or a metric.

use std::fmt;

use subtle::ConstantTimeEq;

/// Bytes that are not shown. 24 bytes and the secret itself, on the heap.
#[derive(Clone, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes over without copying them: no second place is left behind that would not be overwritten.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes themselves, for the wire or for a computation. Never for a text that somebody reads.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Bytes of the secret. Its length is not taken for a secret.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these are the same bytes, in a time that depends on the lengths alone.
    pub fn is(&self, bytes: &[u8]) -> bool {
        self.0.as_slice().ct_eq(bytes).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Somebody might look: without this the compiler may leave the writes out, as nothing reads them.
        std::hint::black_box(self.0.as_slice());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_in_any_form() {
        #[derive(Debug)]
        #[expect(dead_code, reason = "only printed")]
        struct Holder {
            name: &'static str,
            key: Option<Secret>,
        }
        let holder = Holder { name: "hook", key: Some(Secret::from("sesame")) };
        let shown = format!("{holder:?} {holder:#?}");
        assert!(shown.contains("Secret(***)") && shown.contains("hook") && !shown.contains("sesame"), "{shown}");
        // Neither as a list of numbers.
        assert!(!shown.contains("115"), "{shown}");
    }

    #[test]
    fn secrets_are_compared_by_their_bytes() {
        let secret = Secret::from("sesame".to_owned());
        assert!(secret.is(b"sesame") && !secret.is(b"Sesame") && !secret.is(b"sesam") && !secret.is(b""));
        assert_eq!(secret, secret.clone());
        assert_ne!(secret, Secret::default());
        assert!(Secret::default().is_empty() && Secret::default().is(b""));
        assert_eq!((secret.len(), secret.expose()), (6, &b"sesame"[..]));
    }
}
