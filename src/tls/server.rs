//! What a TLS listener agrees to: versions, suites, certificates by name, resumption.
//!
//! Owns the server's configuration, immutable once made; a reload makes another one and keeps the ticketer, so that
//! sessions survive it. Each core serves from a copy of its own: only the ticketer's short lock is shared.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::{CipherSuite, ServerConfig};

use super::certificate::LoadedPair;
use super::certificate_error::CertificateError;
use super::failure::TlsFailure;
use super::names::NameResolver;
use super::provider;

/// Tickets sent after a TLS 1.3 handshake. One is enough for a client that keeps its connections, and each costs
/// time and bytes; with none, clients that close after each request run into delayed acknowledgements.
const TICKETS: usize = 1;

/// What a listener holds: shared among cores, immutable.
#[derive(Clone)]
pub struct ServerTls {
    config: ServerConfig,
    warnings: Vec<String>,
}

/// The configuration of a listener with `pairs`, the first being the default, and the application protocols `alpn`
/// in our order of preference. A client without ALPN is served; one that offers only others is refused
/// (RFC 7301 §3.2). Cipher suites are rustls' own in the server's order, see [`suites`].
///
/// # Errors
/// [`CertificateError::NoPairs`], or [`CertificateError::NoNames`] for a pair nobody could ever get.
pub fn server_tls(
    pairs: Vec<LoadedPair>,
    alpn: &[&[u8]],
    ticketer: Arc<dyn ProducesTickets>,
) -> Result<ServerTls, CertificateError> {
    if let Some(nameless) = pairs.iter().skip(1).find(|pair| pair.names.is_empty()) {
        return Err(CertificateError::NoNames(nameless.cert.clone()));
    }
    let (resolver, warnings) = NameResolver::new(&pairs).ok_or(CertificateError::NoPairs)?;
    let builder = ServerConfig::builder_with_provider(suites())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|e| CertificateError::Settings(e.to_string()))?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config.ignore_client_order = true;
    config.ticketer = ticketer;
    config.send_tls13_tickets = TICKETS;
    // Sessions live in tickets, on the client's side: a store would be a lock that all cores share.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(ServerTls { config, warnings })
}

/// The provider with AES-128-GCM and SHA-256 in front. Clients made with OpenSSL ask for AES-256 and SHA-384 first; that
/// hash has no instructions of its own on most processors and was 15 % of the CPU time of a handshake
/// (docs/measurements.md). All suites are as strong as TLS 1.3 asks for.
fn suites() -> Arc<CryptoProvider> {
    let mut provider = CryptoProvider::clone(&provider());
    provider.cipher_suites.sort_by_key(|suite| {
        let suite = suite.suite();
        !matches!(
            suite,
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    });
    Arc::new(provider)
}

impl ServerTls {
    /// A copy for one core, so that cores do not share the count of its references.
    pub fn per_core(&self) -> Arc<ServerConfig> {
        Arc::new(self.config.clone())
    }

    /// In words, what was accepted but deserves a line in the log.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Makes the tickets of the process: ONE for all cores and listeners, kept over reloads, so that a client resumes on
/// any core. Its keys are random, live in memory only and rotate every six hours. Listeners that ask for client
/// certificates would need one of their own: a ticket proves nothing about the client.
///
/// # Errors
/// [`TlsFailure::Internal`] without randomness.
pub fn ticketer() -> Result<Arc<dyn ProducesTickets>, TlsFailure> {
    rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|e| TlsFailure::from(&e))
}

#[cfg(test)]
mod tests {
    use super::super::certificate::load_pair;
    use super::super::testing::{fixtures, serving};
    use super::*;

    #[test]
    fn a_listener_needs_a_certificate_and_none_that_nobody_could_get() {
        let pair = load_pair(&fixtures("ec.crt", "ec-sec1.key")).unwrap();
        let nameless = LoadedPair { names: Vec::new(), ..pair.clone() };
        let refusal = |pairs| server_tls(pairs, &[], ticketer().unwrap()).err();
        assert_eq!(refusal(Vec::new()), Some(CertificateError::NoPairs));
        assert_eq!(refusal(vec![nameless.clone(), pair.clone()]), None, "a default needs no name");
        assert_eq!(refusal(vec![pair.clone(), nameless]), Some(CertificateError::NoNames(pair.cert)));
    }

    #[test]
    fn cores_have_copies_that_share_the_tickets_and_store_nothing() {
        let tls = serving(&[fixtures("ec.crt", "ec-sec1.key")], &[b"http/1.1"]);
        let (one, two) = (tls.per_core(), tls.per_core());
        assert!(!Arc::ptr_eq(&one, &two));
        assert!(Arc::ptr_eq(&one.ticketer, &two.ticketer));
        assert!(one.ticketer.enabled() && !one.session_storage.can_cache());
        assert_eq!((one.send_tls13_tickets, one.max_early_data_size), (1, 0), "no replayable early data");
        let twice = [fixtures("ec.crt", "ec-sec1.key"), fixtures("ec.crt", "ec-pkcs8.key")];
        assert_eq!(serving(&twice, &[]).warnings().len(), 2);
    }
}
