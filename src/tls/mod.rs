//! TLS as records in, records out: certificates, what listeners and upstreams agree to, and the state of a connection.
//!
//! Owns every use of rustls' configuration. Does no I/O on sockets, names no runtime and reads no clock: whoever
//! holds the socket feeds ciphertext in and takes ciphertext out. The provider of cryptography (aws-lc-rs) is always
//! passed explicitly, so that another one compiled in by a dependency can never be picked by accident.

pub mod certificate;
pub mod certificate_error;
pub mod client;
mod der;
pub mod failure;
pub mod names;
pub mod records;
pub mod server;

#[cfg(test)]
mod handshake_tests;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use certificate::{CertificateFiles, LoadedPair, load_pair};
pub use certificate_error::CertificateError;
pub use client::{ClientTlsOptions, client_config, verified_name, with_alpn};
pub use failure::TlsFailure;
pub use names::NameResolver;
pub use records::{PlainRead, Records};
pub use server::{ServerTls, server_tls, ticketer};

/// The one provider of cryptography of the process: suites and groups in rustls' own order.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
