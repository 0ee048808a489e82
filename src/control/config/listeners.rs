//! Listeners: addresses that must differ, time-outs, and the certificates that are loaded for TLS.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::defaults;
use super::limiting::Limiting;
use super::problems::{At, Place, Problems};
use super::raw::{RawCertificate, RawListener};
use super::resolve::{Context, items, or};
use crate::bounds;
use crate::front::ListenerOptions;
use crate::plan::Start;
use crate::tls::{CertificateError, CertificateFiles, LoadedPair, ServerTls, load_pair, server_tls};

/// What TLS listeners offer by ALPN, the best first. A client of HTTP/1.0 may offer nothing but its own version (curl
/// does), and RFC 7301 §3.2 would end its handshake.
const ALPN: [&[u8]; 3] = [b"h2", b"http/1.1", b"http/1.0"];
/// The same without HTTP/2.
const ALPN_H1: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];

/// All listeners in the order written; those with problems are left out.
pub(super) fn resolve(
    raw: &[RawListener],
    start: &Start,
    limiting: &Limiting<'_>,
    context: &Context<'_>,
) -> Vec<Arc<ListenerOptions>> {
    refuse_same_address(raw, start, context.problems);
    raw.iter()
        .filter_map(|listener| {
            let http2 = or(&listener.http2, true);
            warn_without_effect(&listener.http2_streams, http2, context.problems);
            let tls = tls(&listener.tls, http2, context);
            Some(Arc::new(ListenerOptions {
                address: listener.address.as_ref()?.value,
                tls,
                idle_ms: or(&listener.idle_timeout, defaults::LISTENER_IDLE_MS),
                head_ms: or(&listener.head_timeout, defaults::LISTENER_HEAD_MS),
                body_ms: or(&listener.body_timeout, defaults::LISTENER_BODY_MS),
                send_ms: or(&listener.send_timeout, defaults::LISTENER_SEND_MS),
                handshake_ms: or(&listener.handshake_timeout, defaults::LISTENER_HANDSHAKE_MS),
                proxy_protocol: or(&listener.proxy_protocol, false),
                http2,
                arrivals: limiting.arrivals(listener, context),
                http2_streams: listener
                    .http2_streams
                    .as_ref()
                    .and_then(|streams| u32::try_from(streams.value).ok())
                    .unwrap_or(bounds::HTTP2_STREAMS_DEFAULT),
            }))
        })
        .collect()
}

/// Two listeners of one address would share its connections at random. Port 0 is a new port each time.
fn refuse_same_address(raw: &[RawListener], start: &Start, problems: &Problems) {
    let mut seen: BTreeMap<SocketAddr, &str> = BTreeMap::new();
    if let Some(admin) = start.admin {
        seen.insert(admin, "the admin listener (`admin` in [server])");
    }
    for address in raw.iter().filter_map(|l| l.address.as_ref()).filter(|a| a.port() != 0) {
        if let Some(taken) = seen.insert(address.value, "another listener") {
            problems.error(&address.place, format!("{taken} has this address too"), "give each its own port");
        }
    }
}

/// `http2_streams` says something about HTTP/2 only.
fn warn_without_effect(streams: &Option<At<u64>>, http2: bool, problems: &Problems) {
    if let Some(streams) = streams.as_ref().filter(|_| !http2) {
        problems.warn(&streams.place, "has no effect: http2 = false", "remove it or `http2`");
    }
}

fn tls(raw: &[RawCertificate], http2: bool, context: &Context<'_>) -> Option<ServerTls> {
    let pairs: Vec<LoadedPair> = raw.iter().filter_map(|certificate| pair(certificate, context)).collect();
    let ticketer = context.ticketer.clone()?;
    let place = &raw.first()?.cert.as_ref()?.place;
    if pairs.len() < raw.len() {
        return None; // already noted
    }
    let alpn: &[&[u8]] = if http2 { &ALPN } else { &ALPN_H1 };
    let tls = server_tls(pairs, alpn, ticketer).map_err(|e| context.problems.error(place, e.to_string(), "")).ok()?;
    tls.warnings().iter().for_each(|warning| context.problems.warn(place, warning.as_str(), ""));
    Some(tls)
}

fn pair(raw: &RawCertificate, context: &Context<'_>) -> Option<LoadedPair> {
    let (cert, key) = (raw.cert.as_ref()?, raw.key.as_ref()?);
    let (cert_path, key_path) = (context.path(cert), context.path(key));
    // Both are opened first, so that two missing files are two errors at their own places.
    let opens = [(&cert_path, &cert.place), (&key_path, &key.place)].map(|(path, place)| opens(path, place, context));
    if opens != [true, true] {
        return None;
    }
    let names = items(&raw.names).iter().map(|name| name.value.clone()).collect();
    let files = CertificateFiles { cert: cert_path, key: key_path, names };
    let noted = |e: CertificateError| {
        // The text begins with the file at fault: the error stands where that one is written.
        let text = e.to_string();
        let of_key = files.key != files.cert && text.starts_with(&format!("{}: ", files.key.display()));
        context.problems.error(if of_key { &key.place } else { &cert.place }, text, "");
    };
    load_pair(&files).map_err(noted).ok()
}

/// Whether a file can be read; if not, that is noted. Also false when no file may be touched.
pub(super) fn opens(path: &Path, place: &Place, context: &Context<'_>) -> bool {
    if !context.reads(path) {
        return false;
    }
    let opened = std::fs::File::open(path).and_then(|file| file.metadata());
    match opened {
        Ok(about) if about.is_file() => true,
        Ok(_) => {
            context.problems.error(place, format!("{} is not a file", path.display()), "write the path of a PEM file");
            false
        }
        Err(e) => {
            let hint = match context.base_dir.as_os_str().is_empty() {
                true => "check the path and its permissions",
                false => "check the path and its permissions; relative paths count from the configuration's folder",
            };
            context.problems.error(place, format!("cannot read {}: {e}", path.display()), hint);
            false
        }
    }
}
