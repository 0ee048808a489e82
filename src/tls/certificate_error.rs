//! Why certificates, keys, names or roots cannot be used, in words for whoever runs the gateway.
//!
//! Each text says which file, what is wrong and what to do. No text quotes a file's content: it may hold a key.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why certificates could not be used. Its text names the file, what is wrong and what to do. Made on the
/// control plane only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateError {
    /// The file cannot be opened or read.
    Unreadable(PathBuf, io::ErrorKind, String),
    /// The file has no content.
    Empty(PathBuf),
    /// The file has more than this many bytes: too large to be PEM of certificates.
    TooLarge(PathBuf, u64),
    /// The file is not well-formed PEM.
    BadPem(PathBuf, &'static str),
    /// The file holds no certificate.
    NoCertificate(PathBuf),
    /// The file holds no private key.
    NoKey(PathBuf),
    /// The key needs a passphrase.
    EncryptedKey(PathBuf),
    /// The key is of a kind or size that is not supported, or malformed.
    UnsupportedKey(PathBuf),
    /// The certificate cannot be parsed.
    BadCertificate(PathBuf, String),
    /// The key belongs to the certificate at this place of the chain, counted from 1, and not to the first.
    ChainOrder(PathBuf, usize),
    /// The key belongs to no certificate of the file.
    KeyMismatch {
        /// File of the certificate.
        cert: PathBuf,
        /// File of the key.
        key: PathBuf,
    },
    /// A name to serve the certificate for is not a DNS name.
    BadName(PathBuf, String),
    /// The host of an upstream is neither a DNS name nor an address.
    BadHost(String),
    /// A certificate that is not the first has no names: it would never be chosen.
    NoNames(PathBuf),
    /// A TLS listener without certificates.
    NoPairs,
    /// The system has no trusted roots.
    NoSystemRoots(String),
    /// `insecure` and `ca` together contradict each other.
    InsecureWithCa(PathBuf),
    /// The TLS library refused its settings; the text is its own.
    Settings(String),
}

impl CertificateError {
    /// The file to look at, when there is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Unreadable(file, ..)
            | Self::Empty(file)
            | Self::TooLarge(file, _)
            | Self::BadPem(file, _)
            | Self::NoCertificate(file)
            | Self::NoKey(file)
            | Self::EncryptedKey(file)
            | Self::UnsupportedKey(file)
            | Self::BadCertificate(file, _)
            | Self::ChainOrder(file, _)
            | Self::KeyMismatch { key: file, .. }
            | Self::BadName(file, _)
            | Self::NoNames(file)
            | Self::InsecureWithCa(file) => Some(file),
            Self::BadHost(_) | Self::NoPairs | Self::NoSystemRoots(_) | Self::Settings(_) => None,
        }
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = self.file() {
            write!(f, "{}: ", file.display())?;
        }
        let text = match self {
            Self::Unreadable(_, _, error) => {
                return write!(f, "cannot be read: {error}; check the path and that the gateway's user may read it");
            }
            Self::TooLarge(_, most) => return write!(f, "has more than {most} bytes; give the PEM file itself"),
            Self::BadPem(_, what) => {
                return write!(f, "is not valid PEM: {what}; write the file again from its source");
            }
            Self::BadCertificate(_, error) => {
                return write!(f, "the certificate cannot be used: {error}; ask its issuer for a new one");
            }
            Self::ChainOrder(_, at) => {
                return write!(
                    f,
                    "the key belongs to certificate {at} of the file; put the server's own certificate first and the \
                     intermediate ones after it"
                );
            }
            Self::KeyMismatch { cert, .. } => {
                let cert = cert.display();
                return write!(
                    f,
                    "this key does not belong to the certificate in {cert}; give the two files of one pair"
                );
            }
            Self::BadName(_, name) => {
                return write!(f, "{name:?} is not a DNS name; use names like \"a.example.org\" or \"*.example.org\"");
            }
            Self::BadHost(host) => {
                return write!(
                    f,
                    "{host:?} is neither a DNS name nor an IP address, so no certificate can be for it; use the host \
                     alone, without scheme and port"
                );
            }
            Self::NoSystemRoots(detail) => {
                return write!(
                    f,
                    "the system has no trusted root certificates{detail}; install the package `ca-certificates`, or \
                     set `ca` to a PEM file"
                );
            }
            Self::Settings(error) => {
                return write!(f, "TLS settings were refused: {error}; this is a defect, report it");
            }
            fixed => fixed.fixed_text(),
        };
        f.write_str(text)
    }
}

impl CertificateError {
    /// The text of the variants that have no more to say than themselves.
    fn fixed_text(&self) -> &'static str {
        match self {
            Self::Empty(_) => "is empty; write the PEM text into it",
            Self::NoCertificate(_) => {
                "holds no certificate; expected PEM with -----BEGIN CERTIFICATE----- (convert DER with `openssl x509 \
                 -inform der`)"
            }
            Self::NoKey(_) => {
                "holds no private key; expected PEM with -----BEGIN PRIVATE KEY----- (or EC or RSA PRIVATE KEY)"
            }
            Self::EncryptedKey(_) => {
                "the private key is encrypted; store it decrypted (`openssl pkey -in FILE -out NEW`), readable by the \
                 gateway's user only"
            }
            Self::UnsupportedKey(_) => {
                "the private key is malformed or of an unsupported kind; use ECDSA (P-256, P-384, P-521), RSA of 2048 \
                 bits or more, or Ed25519"
            }
            Self::NoNames(_) => {
                "the certificate has no DNS names and is not the first one, so no client would ever get it; set \
                 `names` or put it first"
            }
            Self::NoPairs => "a TLS listener needs at least one certificate with its key",
            Self::InsecureWithCa(_) => {
                "`ca` has no effect with `insecure = true`, which trusts anybody; remove one of the two"
            }
            _ => "cannot be used",
        }
    }
}

impl std::error::Error for CertificateError {}
