//! What the gateway asks of TLS upstreams: whom it trusts, which protocols it offers.
//!
//! Owns the client's configuration, made on the control plane. Verification is always on; the only way around it is
//! `insecure`, which is said in the configuration and nowhere else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::certificate::load_chain;
use super::certificate_error::CertificateError;
use super::provider;

/// How to speak TLS to upstreams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTlsOptions {
    /// A PEM file of roots to trust **instead of** the system's.
    pub ca: Option<PathBuf>,
    /// Trust whoever answers: anybody on the path can read and change everything. For tests only.
    pub insecure: bool,
    /// Application protocols to offer, in order of preference; empty offers none.
    pub alpn: Vec<Vec<u8>>,
}

/// A configuration for upstreams: TLS 1.2 and 1.3, with resumption from a store in memory.
///
/// # Errors
/// An unreadable or useless `ca`, a system without roots, `insecure` together with `ca`.
pub fn client_config(options: &ClientTlsOptions) -> Result<Arc<ClientConfig>, CertificateError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|e| CertificateError::Settings(e.to_string()))?;
    let mut config = match (&options.ca, options.insecure) {
        (Some(ca), true) => return Err(CertificateError::InsecureWithCa(ca.clone())),
        (None, true) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAnybody::new())).with_no_client_auth()
        }
        (Some(ca), false) => builder.with_root_certificates(file_roots(ca)?).with_no_client_auth(),
        (None, false) => builder.with_root_certificates(system_roots()?).with_no_client_auth(),
    };
    config.alpn_protocols = options.alpn.clone();
    Ok(Arc::new(config))
}

/// The same trust with other application protocols. Sessions are shared with `config`: a resumed one negotiates ALPN anew
/// (RFC 7301 §3.1).
pub fn with_alpn(config: &ClientConfig, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// What a server's certificate must be for, from the host of its URL: a DNS name or an IP address, `[…]` allowed
/// around the latter. DNS names are also sent to the server (SNI), addresses are not (RFC 6066 §3).
///
/// # Errors
/// [`CertificateError::BadHost`].
pub fn verified_name(host: &str) -> Result<ServerName<'static>, CertificateError> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    ServerName::try_from(bare.to_owned()).map_err(|_| CertificateError::BadHost(host.to_owned()))
}

fn file_roots(ca: &Path) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for cert in load_chain(ca)? {
        roots.add(cert).map_err(|e| CertificateError::BadCertificate(ca.to_owned(), e.to_string()))?;
    }
    Ok(roots)
}

/// The system's roots; single ones that cannot be parsed are passed over, as there are such in the wild.
fn system_roots() -> Result<RootCertStore, CertificateError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let detail = found.errors.first().map_or(String::new(), |error| format!(" ({error})"));
        return Err(CertificateError::NoSystemRoots(detail));
    }
    Ok(roots)
}

/// Accepts every certificate and every signature.
#[derive(Debug)]
pub(super) struct TrustAnybody {
    schemes: Vec<SignatureScheme>,
}

impl TrustAnybody {
    pub(super) fn new() -> Self {
        Self { schemes: provider().signature_verification_algorithms.supported_schemes() }
    }
}

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _own: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    // Without trust in the certificate its signature proves nothing, and certificates in odd formats would fail it.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{connected, fixture, fixtures, serving};
    use super::*;

    #[test]
    fn a_ca_file_must_be_usable_and_contradictions_are_refused() {
        let with =
            |ca: &str, insecure| ClientTlsOptions { ca: Some(fixture(ca)), insecure, alpn: vec![b"h2".to_vec()] };
        assert_eq!(client_config(&with("ec.crt", false)).unwrap().alpn_protocols, [b"h2".to_vec()]);
        let refused = |ca, insecure| client_config(&with(ca, insecure)).unwrap_err().to_string();
        assert!(refused("ec-sec1.key", false).contains("holds no certificate"));
        assert!(refused("absent.crt", false).contains("cannot be read"));
        assert!(refused("ec.crt", true).contains("no effect with `insecure = true`"));
    }

    #[test]
    fn another_alpn_is_the_same_trust_and_leaves_the_first_as_it_was() {
        let options = ClientTlsOptions { insecure: true, alpn: vec![b"http/1.1".to_vec()], ..Default::default() };
        let first = client_config(&options).unwrap();
        let second = with_alpn(&first, &[b"h2", b"http/1.1"]);
        assert_eq!(second.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert_eq!(first.alpn_protocols, options.alpn);
        let server = serving(&[fixtures("ec.crt", "ec-sec1.key")], &[b"h2", b"http/1.1"]);
        for (config, agreed) in [(&first, &b"http/1.1"[..]), (&second, b"h2")] {
            let (client, server) = connected(config, "gateway.test", server.per_core());
            assert_eq!((client.alpn(), server.alpn()), (Some(agreed), Some(agreed)));
        }
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for (host, name) in [
            ("api.example.org", "api.example.org"),
            ("api.example.org.", "api.example.org"),
            ("10.0.0.1", "10.0.0.1"),
            ("[::1]", "::1"),
            ("::1", "::1"),
        ] {
            assert_eq!(verified_name(host).unwrap().to_str(), name);
        }
        for host in ["", ".", "a b", "[::1", "https://a", "a:443", "*.a.test"] {
            assert_eq!(verified_name(host), Err(CertificateError::BadHost(host.to_owned())));
        }
    }

    #[test]
    fn the_systems_roots_are_found_or_the_error_says_what_to_install() {
        match client_config(&ClientTlsOptions::default()) {
            Ok(config) => assert!(config.alpn_protocols.is_empty()),
            Err(error) => assert!(error.to_string().contains("install the package `ca-certificates`"), "{error}"),
        }
    }
}
