//! Keys of the house: `rw_ID_SECRET`, how they are made, and where a request carries one.
//!
//! Pure: randomness is handed in. A secret is known here as long as a request is looked at, and never stored: what is
//! stored is its SHA-256, which is enough against guessing because a secret has 256 random bits.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::http::{FieldId, RequestHead};

/// Characters of an id.
pub const ID_BYTES: usize = 12;
/// Characters of a secret: 32 bytes in base64url (RFC 4648 §5).
pub const SECRET_BYTES: usize = 43;
/// Random bytes that a key is made of.
pub const RANDOM_BYTES: usize = ID_BYTES + 32;
/// What every key begins with.
pub const PREFIX: &[u8] = b"rw_";
/// Bytes of Basic credentials, decoded, in which a key may stand.
const BASIC_BYTES_MAX: usize = 255;

/// The id of a key: not secret, it is shown in lists.
pub type Id = [u8; ID_BYTES];
/// SHA-256 of a secret.
pub type SecretHash = [u8; digest::SHA256_OUTPUT_LEN];

/// The fields in which a request may carry a credential, a key of the house or a vendor's.
pub const FIELDS: [FieldId; 4] = [FieldId::Authorization, FieldId::XApiKey, FieldId::ApiKey, FieldId::XGoogApiKey];

/// A key as a request carries it. `Debug` shows the id alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub id: Id,
    secret: [u8; SECRET_BYTES],
}

/// A key that was just made.
pub struct NewKey {
    pub id: String,
    /// The whole key: shown once, stored nowhere.
    pub text: String,
    pub sha256: SecretHash,
}

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// No credential at all.
    Nothing,
    /// A credential that is no key of the house.
    Foreign,
    Key(Key),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", String::from_utf8_lossy(&self.id))
    }
}

impl Key {
    /// Reads `rw_ID_SECRET`; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (id, rest) = rest.split_first_chunk::<ID_BYTES>()?;
        let secret: &[u8; SECRET_BYTES] = rest.strip_prefix(b"_")?.try_into().ok()?;
        let fits = is_id(id) && secret.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        fits.then_some(Self { id: *id, secret: *secret })
    }

    /// SHA-256 of the secret.
    pub fn secret_hash(&self) -> SecretHash {
        hash(&self.secret)
    }
}

impl NewKey {
    /// A key of these random bytes.
    pub fn of(random: &[u8; RANDOM_BYTES]) -> Self {
        const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let (id, secret) = random.split_at(ID_BYTES);
        // An id need not be uniform, only unlikely to be there already.
        let id = id.iter().filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()));
        Self::with_id(id.map(|letter| char::from(*letter)).collect(), secret)
    }

    /// A key with a new secret under an id that is known; the last 32 of the random bytes count.
    pub fn renewed(id: &str, random: &[u8; RANDOM_BYTES]) -> Self {
        Self::with_id(id.to_owned(), random.split_at(ID_BYTES).1)
    }

    fn with_id(id: String, random: &[u8]) -> Self {
        let secret = URL_SAFE_NO_PAD.encode(random);
        let sha256 = hash(secret.as_bytes());
        Self { text: format!("rw_{id}_{secret}"), id, sha256 }
    }
}

/// Whether this is the form of an id.
pub fn is_id(text: &[u8]) -> bool {
    text.len() == ID_BYTES && text.iter().all(u8::is_ascii_alphanumeric)
}

fn hash(secret: &[u8]) -> SecretHash {
    let digest = digest::digest(&digest::SHA256, secret);
    *digest.as_ref().first_chunk().expect("32 bytes because that is what SHA-256 has")
}

/// What a request carries: the first key of the house in any of [`FIELDS`], so that a client that must send something
/// else beside it may.
pub fn presented(head: &RequestHead) -> Presented {
    let mut found = Presented::Nothing;
    for id in FIELDS {
        for line in head.fields().filter(|field| field.id == id) {
            let key = if id == FieldId::Authorization { of_authorization(line.value) } else { Key::parse(line.value) };
            match key {
                Some(key) => return Presented::Key(key),
                None => found = Presented::Foreign,
            }
        }
    }
    found
}

/// Bearer (RFC 6750 §2.1) or Basic (RFC 7617 §2): the password, or the user where there is no password.
fn of_authorization(value: &[u8]) -> Option<Key> {
    let blank = memchr::memchr(b' ', value)?;
    let (scheme, rest) = value.split_at(blank);
    let credentials = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Key::parse(credentials);
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let mut buffer = [0; BASIC_BYTES_MAX];
    let length = STANDARD.decode_slice(credentials, &mut buffer).ok()?;
    let decoded = buffer.get(..length)?;
    let (user, password) = decoded.split_at_checked(memchr::memchr(b':', decoded)?)?;
    match password.get(1..).unwrap_or_default() {
        b"" => Key::parse(user),
        password => Key::parse(password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::testing::request_head;
    use proptest::prelude::*;

    fn head(fields: &str) -> RequestHead {
        request_head(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
    }

    #[test]
    fn a_key_is_found_wherever_clients_put_one() {
        let NewKey { text, id, sha256 } = NewKey::of(&[7; RANDOM_BYTES]);
        assert_eq!(text.len(), 59);
        let basic = |user: &str, password: &str| STANDARD.encode(format!("{user}:{password}"));
        for fields in [
            format!("Authorization: Bearer {text}\r\n"),
            format!("authorization: bearer   {text}\r\n"),
            format!("x-api-key: {text}\r\n"),
            format!("api-key: {text}\r\n"),
            format!("x-goog-api-key: {text}\r\n"),
            format!("Authorization: Basic {}\r\n", basic("anybody", &text)),
            format!("Authorization: Basic {}\r\n", basic(&text, "")),
            format!("Authorization: Bearer dummy\r\nx-api-key: {text}\r\n"),
        ] {
            let Presented::Key(key) = presented(&head(&fields)) else { panic!("{fields}") };
            assert_eq!((key.id.as_slice(), key.secret_hash()), (id.as_bytes(), sha256));
            assert!(!format!("{key:?}").contains(&text[16..]), "the secret is not shown");
        }
        assert_eq!(presented(&head("")), Presented::Nothing);
        let long = basic(&"u".repeat(400), &text);
        for fields in [
            "Authorization: Bearer sk-x\r\n".to_owned(),
            format!("Authorization: {text}\r\n"),
            format!("Authorization: Bearer {text}x\r\n"),
            format!("x-api-key: Bearer {text}\r\n"),
            format!("Authorization: Basic {}\r\n", basic(&text, "x")),
            format!("Authorization: Basic {long}\r\n"),
            "Authorization: Basic ====\r\n".to_owned(),
        ] {
            assert_eq!(presented(&head(&fields)), Presented::Foreign, "{fields}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// What is made is read; a text that differs in one byte is another key or none.
        #[test]
        fn keys_are_read_as_they_were_made(random in any::<[u8; 32]>(), at in 0usize..59, byte in any::<u8>()) {
            let mut bytes = [1; RANDOM_BYTES];
            bytes[ID_BYTES..].copy_from_slice(&random);
            let made = NewKey::of(&bytes);
            let key = Key::parse(made.text.as_bytes()).unwrap();
            prop_assert_eq!(key.secret_hash(), made.sha256);
            prop_assert_eq!(Key::parse(NewKey::renewed(&made.id, &bytes).text.as_bytes()), Some(key));
            let mut other = made.text.into_bytes();
            prop_assume!(other[at] != byte);
            other[at] = byte;
            prop_assert_ne!(Key::parse(&other), Some(key));
        }
    }
}
