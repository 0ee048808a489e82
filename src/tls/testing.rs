//! Pieces for the tests of this module: certificates, pairs of connections, and moving bytes between them.
//!
//! Everything happens in memory: the two sides meet in byte vectors, never in a socket.

use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::server::ProducesTickets;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};

use super::*;

pub(super) const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
pub(super) const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// A file of `tests/fixtures/tls`.
pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// Where a pair of fixtures lies.
pub(super) fn fixtures(cert: &str, key: &str) -> CertificateFiles {
    CertificateFiles { cert: fixture(cert), key: fixture(key), names: Vec::new() }
}

/// A fresh ECDSA pair for `names`, as files in `dir`.
pub(super) fn ecdsa(dir: &Path, label: &str, names: &[&str]) -> CertificateFiles {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, label);
    let signing = rcgen::KeyPair::generate().unwrap();
    let (cert, key) = (dir.join(format!("{label}.crt")), dir.join(format!("{label}.key")));
    std::fs::write(&cert, params.self_signed(&signing).unwrap().pem()).unwrap();
    std::fs::write(&key, signing.serialize_pem()).unwrap();
    CertificateFiles { cert, key, names: Vec::new() }
}

/// A listener's configuration over pairs of files, with a ticketer of its own.
pub(super) fn serving(files: &[CertificateFiles], alpn: &[&[u8]]) -> ServerTls {
    serving_with(files, alpn, ticketer().unwrap())
}

pub(super) fn serving_with(
    files: &[CertificateFiles],
    alpn: &[&[u8]],
    ticketer: Arc<dyn ProducesTickets>,
) -> ServerTls {
    server_tls(files.iter().map(|files| load_pair(files).unwrap()).collect(), alpn, ticketer).unwrap()
}

/// A client that trusts anybody, limited to `versions`.
pub(super) fn trusting(versions: &[&'static SupportedProtocolVersion], alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let base = client_config(&ClientTlsOptions { insecure: true, ..ClientTlsOptions::default() }).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::clone(base.crypto_provider()));
    let verifier = Arc::new(client::TrustAnybody::new());
    let builder = builder.with_protocol_versions(versions).unwrap().dangerous();
    let mut config = builder.with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// A client and a server that have not spoken yet.
pub(super) fn pair(client: &Arc<ClientConfig>, name: &str, server: Arc<ServerConfig>) -> (Records, Records) {
    let client = Records::connect(Arc::clone(client), verified_name(name).unwrap());
    (client.unwrap(), Records::server(server).unwrap())
}

/// The same after the handshake.
pub(super) fn connected(client: &Arc<ClientConfig>, name: &str, server: Arc<ServerConfig>) -> (Records, Records) {
    let (mut client, mut server) = pair(client, name, server);
    shake(&mut client, &mut server).unwrap();
    assert!(!client.is_handshaking() && !server.is_handshaking());
    (client, server)
}

/// What `from` has to send.
pub(super) fn ciphertext(from: &mut Records) -> Vec<u8> {
    let mut out = Vec::new();
    from.write_to(&mut out).unwrap();
    out
}

/// Which side failed.
#[derive(Debug, PartialEq)]
pub(super) enum Failed {
    Client(TlsFailure),
    Server(TlsFailure),
}

/// Moves ciphertext both ways until neither side has any. A side that failed still sends its alert.
pub(super) fn shake(client: &mut Records, server: &mut Records) -> Result<(), Failed> {
    while client.wants_write() || server.wants_write() {
        server.feed(&ciphertext(client)).map_err(Failed::Server)?;
        client.feed(&ciphertext(server)).map_err(Failed::Client)?;
    }
    Ok(())
}

/// All plaintext that waits in `from`, read in pieces of at most `most` bytes, and how reading ended.
pub(super) fn plaintext(from: &mut Records, most: usize) -> (Vec<u8>, PlainRead) {
    let mut all = Vec::new();
    loop {
        let mut room = Vec::with_capacity(most);
        match from.read_into(&mut room) {
            PlainRead::Data(_) => all.extend_from_slice(&room),
            end => return (all, end),
        }
    }
}

pub(super) fn write(to: &mut Records, bytes: &[u8]) {
    assert_eq!(to.write(&[IoSlice::new(bytes)]), bytes.len());
}

/// A socket that takes `room` bytes and then no more, `step` at a time.
pub(super) struct Narrow {
    pub(super) taken: Vec<u8>,
    pub(super) room: usize,
    pub(super) step: usize,
}

impl Write for Narrow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(self.room).min(self.step);
        if n == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.taken.extend_from_slice(&bytes[..n]);
        self.room -= n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
