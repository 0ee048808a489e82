//! Certificates and keys from PEM files, checked as far as files alone allow.
//!
//! Owns loading. Runs on the control plane, at start and when a file changed; never on a core. Reads no clock: an
//! expired certificate loads, and [`LoadedPair::not_after_unix_s`] tells. The content of a key never appears in an error.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::InconsistentKeys;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::certificate_error::CertificateError;
use super::{der, names, provider};
use crate::base::secret::Secret;

/// Bytes of a PEM file; a bundle of all public roots has about 220 KB.
const PEM_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: the server's own certificate first, then the intermediate ones.
    pub cert: PathBuf,
    /// PEM: one private key (PKCS#8, SEC1 or PKCS#1), not encrypted. May be the same file.
    pub key: PathBuf,
    /// Names to serve it for, `*.` for one label; empty takes the DNS names of the certificate.
    pub names: Vec<String>,
}

/// A certificate with its key, ready to be served.
#[derive(Clone, Debug)]
pub struct LoadedPair {
    /// The file of the certificate, for messages.
    pub cert: PathBuf,
    /// Names it is served for, in lower case; empty when the certificate has none: it can be a default only.
    pub names: Vec<String>,
    /// Seconds since the Unix epoch at which it expires, where the certificate could be understood that far.
    pub not_after_unix_s: Option<i64>,
    /// Chain and signing key.
    pub key: Arc<CertifiedKey>,
}

/// Reads and checks one certificate with its key.
///
/// # Errors
/// [`CertificateError`] names the file and what to do.
pub fn load_pair(files: &CertificateFiles) -> Result<LoadedPair, CertificateError> {
    let chain = load_chain(&files.cert)?;
    let key = load_key(&files.key)?;
    let own = chain.first().ok_or_else(|| CertificateError::NoCertificate(files.cert.clone()))?;
    let malformed = |detail: String| CertificateError::BadCertificate(files.cert.clone(), detail);
    let parsed = webpki::EndEntityCert::try_from(own).map_err(|e| malformed(e.to_string()))?;
    let names = if files.names.is_empty() {
        parsed.valid_dns_names().filter_map(names::normalised).collect()
    } else {
        let checked = files.names.iter().map(|name| {
            names::normalised(name).ok_or_else(|| CertificateError::BadName(files.cert.clone(), name.clone()))
        });
        checked.collect::<Result<Vec<String>, _>>()?
    };
    let not_after_unix_s = der::not_after(own);
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => return Err(mismatch(files, &certified)),
        Err(error) => return Err(malformed(error.to_string())),
    }
    Ok(LoadedPair { cert: files.cert.clone(), names, not_after_unix_s, key: Arc::new(certified) })
}

/// All certificates of a PEM file, at least one.
pub(super) fn load_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let text = read(path)?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(text.expose()).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(CertificateError::NoCertificate(path.to_owned())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(CertificateError::BadPem(path.to_owned(), pem_detail(&error))),
    }
}

fn load_key(path: &Path) -> Result<Arc<dyn rustls::sign::SigningKey>, CertificateError> {
    let text = read(path)?;
    let text = text.expose();
    // PKCS#8 says it in the label; the older form keeps the plain label and says so inside (RFC 1421 §4.6).
    let marks = [&b"BEGIN ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"];
    if marks.iter().any(|mark| memchr::memmem::find(text, mark).is_some()) {
        return Err(CertificateError::EncryptedKey(path.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => CertificateError::NoKey(path.to_owned()),
        error => CertificateError::BadPem(path.to_owned(), pem_detail(&error)),
    })?;
    let loaded = provider().key_provider.load_private_key(key);
    loaded.map_err(|_| CertificateError::UnsupportedKey(path.to_owned()))
}

/// The file may hold a key, so what was read of it is overwritten when it is done with.
fn read(path: &Path) -> Result<Secret, CertificateError> {
    let unreadable = |error: io::Error| CertificateError::Unreadable(path.to_owned(), error.kind(), error.to_string());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = Vec::new();
    file.take(PEM_FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > PEM_FILE_BYTES_MAX {
        return Err(CertificateError::TooLarge(path.to_owned(), PEM_FILE_BYTES_MAX));
    }
    if text.trim_ascii().is_empty() {
        return Err(CertificateError::Empty(path.to_owned()));
    }
    Ok(Secret::new(text))
}

/// Why PEM was refused, without quoting the file: it may hold a key.
fn pem_detail(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no END line; the file may have been cut short",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "the text between BEGIN and END is not base64",
        pem::Error::SectionTooLarge => "a section is too large",
        _ => "it cannot be parsed",
    }
}

/// The key is not the first certificate's: either a chain in the wrong order, or files of different pairs.
fn mismatch(files: &CertificateFiles, certified: &CertifiedKey) -> CertificateError {
    let belongs = |cert: &CertificateDer<'static>| {
        CertifiedKey::new(vec![cert.clone()], Arc::clone(&certified.key)).keys_match().is_ok()
    };
    match certified.cert.iter().position(belongs) {
        Some(at) => CertificateError::ChainOrder(files.cert.clone(), at + 1),
        None => CertificateError::KeyMismatch { cert: files.cert.clone(), key: files.key.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{fixture, fixtures};
    use super::*;

    /// The error for a pair whose certificate, or key, has this text instead.
    fn refusal(cert: Option<&[u8]>, key: Option<&[u8]>) -> CertificateError {
        let dir = tempfile::tempdir().unwrap();
        let mut files = fixtures("ec.crt", "ec-sec1.key");
        for (text, file) in [(cert, &mut files.cert), (key, &mut files.key)] {
            if let Some(text) = text {
                *file = dir.path().join("given.pem");
                std::fs::write(&file, text).unwrap();
            }
        }
        load_pair(&files).unwrap_err()
    }

    #[test]
    fn every_form_of_key_loads_and_names_come_from_the_certificate() {
        for (cert, key, name) in [
            ("ec.crt", "ec-sec1.key", "ec.test"),
            ("ec.crt", "ec-pkcs8.key", "ec.test"),
            ("rsa.crt", "rsa-pkcs1.key", "rsa.test"),
            ("rsa.crt", "rsa-pkcs8.key", "rsa.test"),
        ] {
            let pair = load_pair(&fixtures(cert, key)).unwrap();
            assert_eq!(pair.names, [name, "twin.test"]);
            assert!(pair.not_after_unix_s.unwrap() > 4_900_000_000, "100 years");
            assert_eq!(pair.cert, fixture(cert));
        }
    }

    #[test]
    fn one_file_may_hold_both_with_text_around() {
        let dir = tempfile::tempdir().unwrap();
        let both = dir.path().join("both.pem");
        let part = |name| std::fs::read_to_string(fixture(name)).unwrap();
        let text = format!("key:\r\n{}\ncertificate:\n{}\n", part("ec-sec1.key"), part("ec.crt"));
        std::fs::write(&both, text.replace('\n', "\r\n")).unwrap();
        load_pair(&CertificateFiles { cert: both.clone(), key: both, names: Vec::new() }).unwrap();
    }

    #[test]
    fn a_key_of_another_certificate_is_refused_with_both_files() {
        let error = load_pair(&fixtures("ec.crt", "rsa-pkcs1.key")).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, CertificateError::KeyMismatch { .. }));
        assert!(text.contains("rsa-pkcs1.key: this key does not belong to the certificate in"), "{text}");
        assert!(text.contains("ec.crt;"), "{text}");
        let chain = [std::fs::read(fixture("rsa.crt")).unwrap(), std::fs::read(fixture("ec.crt")).unwrap()].concat();
        let error = refusal(Some(&chain), None);
        assert!(matches!(error, CertificateError::ChainOrder(_, 2)), "{error}");
    }

    #[test]
    fn each_broken_file_has_its_own_error() {
        let missing = CertificateFiles { cert: "/no/such.crt".into(), ..fixtures("ec.crt", "ec-sec1.key") };
        let text = load_pair(&missing).unwrap_err().to_string();
        assert!(text.starts_with("/no/such.crt: cannot be read: No such file"), "{text}");

        let name = |error: CertificateError| format!("{error:?}").split(['(', ' ']).next().unwrap().to_owned();
        let cert = std::fs::read(fixture("ec.crt")).unwrap();
        let key = std::fs::read(fixture("ec-sec1.key")).unwrap();
        let cut = &cert[..cert.len() / 2];
        let garbage = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
        let no_certificate = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        let no_key = b"-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n";
        let huge = vec![b'\n'; usize::try_from(PEM_FILE_BYTES_MAX).unwrap() + 1];
        for (cert, key, expected) in [
            (Some(&b""[..]), None, "Empty"),
            (Some(b" \n"), None, "Empty"),
            (None, Some(&b""[..]), "Empty"),
            (Some(b"\x30\x82\x01\x02 not PEM"), None, "NoCertificate"),
            (Some(&key), None, "NoCertificate"),
            (Some(cut), None, "BadPem"),
            (Some(garbage), None, "BadPem"),
            (Some(no_certificate), None, "BadCertificate"),
            (None, Some(&cert), "NoKey"),
            (None, Some(no_key), "UnsupportedKey"),
            (None, Some(&key[..key.len() / 2]), "BadPem"),
            (None, Some(&huge), "TooLarge"),
        ] {
            assert_eq!(name(refusal(cert, key)), expected);
        }
        for encrypted in ["ec-encrypted.key", "rsa-encrypted.key"] {
            assert_eq!(name(load_pair(&fixtures("ec.crt", encrypted)).unwrap_err()), "EncryptedKey");
        }
        let odd = CertificateFiles { names: vec!["a b".to_owned()], ..fixtures("ec.crt", "ec-sec1.key") };
        assert_eq!(name(load_pair(&odd).unwrap_err()), "BadName");
    }

    #[test]
    fn no_error_shows_a_part_of_a_key() {
        let key = std::fs::read_to_string(fixture("ec-sec1.key")).unwrap();
        let secret = &key.lines().nth(1).unwrap()[..20];
        for broken in [key.replacen("EC PRIVATE", "EC PRIV", 1), key.replacen('\n', "\n!", 1), key.replace("END", "")] {
            let error = refusal(None, Some(broken.as_bytes()));
            assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
        }
    }
}
