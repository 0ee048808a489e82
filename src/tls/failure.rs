//! Why a TLS connection failed: one small name for each cause, for counters, logs and the answer to a client.
//!
//! Every failure is fatal to its connection (RFC 8446 §6.2). Whoever sees one still writes out what
//! `Records` has queued, since that is the alert which tells the peer, and then closes.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// Why a TLS connection failed. 2 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// The peer's first bytes are not a TLS record; most often plain HTTP sent to a TLS port.
    NotTls,
    /// A record that cannot be parsed or decrypted (RFC 8446 §5).
    BadRecord,
    /// Well-formed messages in an order or with a content the protocol forbids.
    ProtocolViolation,
    /// No version in common: the peer knows neither TLS 1.2 nor 1.3.
    NoSharedVersion,
    /// No cipher suite, key exchange group or signature scheme in common.
    NoSharedCipher,
    /// Both sides named application protocols and none is common (RFC 7301 §3.2).
    NoSharedAlpn,
    /// There was no certificate to show, or the peer showed none.
    NoCertificate,
    /// The peer's certificate is past its end or before its beginning.
    CertificateExpired,
    /// The peer's certificate does not lead to a trusted root.
    CertificateUntrusted,
    /// The peer's certificate is for another name.
    CertificateName,
    /// The peer's certificate is refused for any other reason.
    CertificateInvalid,
    /// The peer closed the connection with this fatal alert (RFC 8446 §6); for a listener most often a client
    /// that does not trust our certificate.
    AlertReceived(u8),
    /// Our own side failed: no randomness, or a mistake of the gateway.
    Internal,
}

impl TlsFailure {
    /// Name of each cause in the order of [`TlsFailure::index`], for counters.
    pub const NAMES: [&'static str; 13] = [
        "not_tls",
        "bad_record",
        "protocol_violation",
        "no_shared_version",
        "no_shared_cipher",
        "no_shared_alpn",
        "no_certificate",
        "certificate_expired",
        "certificate_untrusted",
        "certificate_name",
        "certificate_invalid",
        "alert_received",
        "internal",
    ];

    /// Position in [`TlsFailure::NAMES`].
    pub fn index(self) -> usize {
        match self {
            Self::NotTls => 0,
            Self::BadRecord => 1,
            Self::ProtocolViolation => 2,
            Self::NoSharedVersion => 3,
            Self::NoSharedCipher => 4,
            Self::NoSharedAlpn => 5,
            Self::NoCertificate => 6,
            Self::CertificateExpired => 7,
            Self::CertificateUntrusted => 8,
            Self::CertificateName => 9,
            Self::CertificateInvalid => 10,
            Self::AlertReceived(_) => 11,
            Self::Internal => 12,
        }
    }

    /// The name of the cause, as counters and log fields show it.
    pub fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }

    /// The failure inside an [`io::Error`] made by a TLS stream, if it is one of TLS.
    pub fn inside(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref::<Error>().map(Self::from)
    }
}

impl From<&Error> for TlsFailure {
    fn from(error: &Error) -> Self {
        match error {
            Error::DecryptError | Error::PeerSentOversizedRecord => Self::BadRecord,
            // A version nobody speaks is refused while parsing, before it is negotiated.
            Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion) => Self::NoSharedVersion,
            Error::InvalidMessage(_) => Self::BadRecord,
            Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::InvalidEncryptedClientHello(_)
            | Error::PeerMisbehaved(_) => Self::ProtocolViolation,
            Error::PeerIncompatible(reason) => Self::from(reason),
            Error::NoApplicationProtocol => Self::NoSharedAlpn,
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::UnsupportedNameType => Self::CertificateName,
            Error::InvalidCertificate(reason) => Self::from(reason),
            Error::AlertReceived(alert) => Self::AlertReceived(u8::from(*alert)),
            _ => Self::Internal,
        }
    }
}

impl From<&PeerIncompatible> for TlsFailure {
    fn from(reason: &PeerIncompatible) -> Self {
        match reason {
            // A client that names no signature algorithms is older than TLS 1.2, whose field that is.
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled => Self::NoSharedVersion,
            _ => Self::NoSharedCipher,
        }
    }
}

impl From<&CertificateError> for TlsFailure {
    fn from(reason: &CertificateError) -> Self {
        match reason {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::CertificateExpired,
            CertificateError::UnknownIssuer => Self::CertificateUntrusted,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::CertificateName
            }
            _ => Self::CertificateInvalid,
        }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotTls => "the peer does not speak TLS (plain HTTP sent to a TLS port?)",
            Self::BadRecord => "a TLS record cannot be parsed or decrypted",
            Self::ProtocolViolation => "the peer broke the TLS protocol",
            Self::NoSharedVersion => "the peer speaks neither TLS 1.2 nor TLS 1.3",
            Self::NoSharedCipher => "no cipher suite, group or signature scheme in common with the peer",
            Self::NoSharedAlpn => "no application protocol (ALPN) in common with the peer",
            Self::NoCertificate => "no certificate was presented",
            Self::CertificateExpired => "the peer's certificate is expired or not valid yet",
            Self::CertificateUntrusted => "the peer's certificate is not signed by a trusted authority",
            Self::CertificateName => "the peer's certificate is for another name",
            Self::CertificateInvalid => "the peer's certificate is not acceptable",
            Self::AlertReceived(code) => {
                return write!(f, "the peer refused with TLS alert {code} ({:?})", AlertDescription::from(*code));
            }
            Self::Internal => "TLS failed on our side",
        })
    }
}

impl std::error::Error for TlsFailure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_have_distinct_names_and_rustls_errors_map_to_them() {
        let mut names = TlsFailure::NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TlsFailure::NAMES.len());
        assert_eq!(size_of::<TlsFailure>(), 2);
        for (error, name) in [
            (Error::DecryptError, "bad_record"),
            (Error::NoApplicationProtocol, "no_shared_alpn"),
            (Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered), "no_shared_version"),
            (Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon), "no_shared_cipher"),
            (Error::InvalidCertificate(CertificateError::Expired), "certificate_expired"),
            (Error::InvalidCertificate(CertificateError::UnknownIssuer), "certificate_untrusted"),
            (Error::InvalidCertificate(CertificateError::NotValidForName), "certificate_name"),
            (Error::InvalidCertificate(CertificateError::BadEncoding), "certificate_invalid"),
            (Error::AlertReceived(AlertDescription::UnknownCA), "alert_received"),
            (Error::FailedToGetRandomBytes, "internal"),
        ] {
            assert_eq!(TlsFailure::from(&error).name(), name, "{error:?}");
            let wrapped = io::Error::other(error);
            assert_eq!(TlsFailure::inside(&wrapped).map(TlsFailure::name), Some(name));
        }
        assert_eq!(TlsFailure::inside(&io::ErrorKind::BrokenPipe.into()), None);
        assert!(TlsFailure::AlertReceived(48).to_string().contains("48 (UnknownCA)"));
    }
}
