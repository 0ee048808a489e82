//! Certificates and TLS ends of the tests: an authority made on the spot, its pairs on disk, configurations of both sides.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SignatureAlgorithm};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

use super::wire::{Connection, Wire};

/// A certificate authority of one test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

/// A certificate with its key.
pub struct Pair {
    pub cert_pem: String,
    pub key_pem: String,
    der: CertificateDer<'static>,
    key: Vec<u8>,
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl Authority {
    /// A new authority.
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "tests");
        let cert = params.self_signed(&key).expect("a certificate");
        Self { pem: cert.pem(), der: cert.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// A pair for these names, ECDSA P-256.
    pub fn pair(&self, names: &[&str]) -> Pair {
        self.pair_with(names, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// A pair for these names with a key of the given kind.
    pub fn pair_with(&self, names: &[&str], kind: &'static SignatureAlgorithm) -> Pair {
        let key = KeyPair::generate_for(kind).expect("a key");
        let names: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
        let params = CertificateParams::new(names).expect("names of a certificate");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        let der = cert.der().clone();
        Pair { cert_pem: cert.pem(), key_pem: key.serialize_pem(), der, key: key.serialize_der() }
    }

    /// Writes the authority's certificate and returns its path.
    pub fn write(&self, dir: &Path) -> PathBuf {
        let path = dir.join("ca.pem");
        std::fs::write(&path, &self.pem).expect("a file in the scratch folder");
        path
    }

    /// A client that trusts this authority.
    pub fn client(&self) -> ClientConfig {
        self.client_of(rustls::ALL_VERSIONS)
    }

    /// A client that trusts this authority and speaks only these versions.
    pub fn client_of(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a root");
        let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions);
        builder.expect("versions").with_root_certificates(roots).with_no_client_auth()
    }
}

impl Pair {
    /// Writes `NAME.pem` and `NAME.key`; returns both paths.
    pub fn write(&self, dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (cert, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
        std::fs::write(&cert, &self.cert_pem).expect("a file in the scratch folder");
        std::fs::write(&key, &self.key_pem).expect("a file in the scratch folder");
        (cert, key)
    }

    /// The bytes of the certificate, to compare with what a client was shown.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// A server that shows this pair.
    pub fn server(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key.clone()).expect("a key");
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.expect("versions").with_no_client_auth();
        Arc::new(builder.with_single_cert(vec![self.der.clone()], key).expect("a matching pair"))
    }
}

/// Connects and shakes hands; the error is rustls' or the socket's.
pub fn connect(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> std::io::Result<Connection> {
    connect_behind(address, name, config, b"")
}

/// The same with bytes in front of the handshake.
pub fn connect_behind(
    address: SocketAddr,
    name: &str,
    config: &Arc<ClientConfig>,
    front: &[u8],
) -> std::io::Result<Connection> {
    let name = ServerName::try_from(name.to_owned()).expect("a server name");
    let tls = ClientConnection::new(config.clone(), name).map_err(std::io::Error::other)?;
    let mut tcp = TcpStream::connect(address)?;
    tcp.write_all(front)?;
    let mut tls = StreamOwned::new(tls, tcp);
    tls.sock.set_read_timeout(Some(super::WAIT))?;
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(Connection::new(Wire::Client(Box::new(tls))))
}

/// The certificate that the server showed.
pub fn shown(connection: &Connection) -> Vec<u8> {
    let Wire::Client(tls) = &connection.wire else { panic!("a TLS client") };
    tls.conn.peer_certificates().and_then(|chain| chain.first()).expect("a certificate").to_vec()
}
