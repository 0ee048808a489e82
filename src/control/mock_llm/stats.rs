//! What the mock received: counters, the last request, and which clients left before their answer ended.
//!
//! Owns the life of an exchange as the counters see it ([`Watch`]). Never shows a credential: those appear as their
//! length and the start of their SHA-256, enough to see that one arrived unchanged.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, Method, StatusCode, Uri};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use serde_json::{Value, json};

use crate::base::clock;

/// The latest abandoned exchanges that are kept.
const ABANDONED_MAX: usize = 100;
/// Header fields whose values are credentials.
const CREDENTIALS: [&str; 5] = ["authorization", "proxy-authorization", "x-api-key", "api-key", "cookie"];

/// The counters. Cloning shares them.
#[derive(Clone, Default)]
pub struct Stats(Arc<Mutex<Counters>>);

#[derive(Default)]
struct Counters {
    connections: u64,
    requests: BTreeMap<&'static str, u64>,
    statuses: BTreeMap<u16, u64>,
    bytes_received: u64,
    // gauges: a reset leaves them alone
    in_progress: u64,
    streams_open: u64,
    in_progress_max: u64,
    streams_begun: u64,
    streams_completed: u64,
    streams_cut: u64,
    streams_aborted_by_client: u64,
    abandoned_before_answer: u64,
    abandoned: VecDeque<Abandoned>,
    last_request: Option<Value>,
}

/// An exchange whose client left.
struct Abandoned {
    endpoint: &'static str,
    stage: Stage,
    at_us: u64,
}

/// How far an exchange came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its body is being read.
    Receiving,
    /// Nothing of the answer was sent.
    Waiting,
    /// So many events of a stream were handed over.
    Streaming { events: usize },
    /// The client left in the middle of its request body; nothing comes after this stage.
    Broken,
    /// It ended as planned.
    Done,
    /// The mock cut the stream, as planned too.
    Cut,
}

impl Stats {
    /// One more connection was accepted.
    pub fn connection(&self) {
        self.lock().connections += 1;
    }

    /// A request has arrived; it counts as in progress until the watch is dropped.
    pub fn request(&self, endpoint: &'static str, method: &Method, uri: &Uri, headers: &HeaderMap) -> Watch {
        let mut counters = self.lock();
        *counters.requests.entry(endpoint).or_default() += 1;
        counters.in_progress += 1;
        counters.in_progress_max = counters.in_progress_max.max(counters.in_progress);
        counters.last_request = Some(json!({
            "method": method.as_str(),
            "target": uri.to_string(),
            "headers": headers.iter().map(|(name, value)| shown(name.as_str(), value.as_bytes())).collect::<Vec<_>>(),
        }));
        Watch { stats: self.clone(), endpoint, stage: Stage::Receiving }
    }

    /// Bytes of a request body have arrived.
    pub fn received(&self, bytes: usize) {
        self.lock().bytes_received += bytes as u64;
    }

    /// An answer begins with this status.
    pub fn answered(&self, status: StatusCode) {
        *self.lock().statuses.entry(status.as_u16()).or_default() += 1;
    }

    /// Forgets everything but what is in progress right now.
    pub fn reset(&self) {
        let mut counters = self.lock();
        *counters = Counters {
            in_progress: counters.in_progress,
            in_progress_max: counters.in_progress,
            streams_open: counters.streams_open,
            ..Counters::default()
        };
    }

    /// All counters, as `GET /__stats` shows them.
    pub fn to_json(&self) -> Value {
        let now_us = clock::now_us();
        let counters = self.lock();
        let abandoned = counters.abandoned.iter().map(|one| {
            let (stage, events) = match one.stage {
                Stage::Receiving | Stage::Broken => ("request", None),
                Stage::Streaming { events } => ("stream", Some(events)),
                Stage::Waiting | Stage::Done | Stage::Cut => ("waiting", None),
            };
            let ago_ms = now_us.saturating_sub(one.at_us) as f64 / 1_000.0;
            json!({"endpoint": one.endpoint, "stage": stage, "events_sent": events, "ago_ms": ago_ms})
        });
        json!({
            "connections": counters.connections,
            "requests": counters.requests,
            "requests_total": counters.requests.values().sum::<u64>(),
            "statuses": counters.statuses,
            "bytes_received": counters.bytes_received,
            "in_progress": counters.in_progress,
            "in_progress_max": counters.in_progress_max,
            "streams": {
                "open": counters.streams_open,
                "begun": counters.streams_begun,
                "completed": counters.streams_completed,
                "cut_by_mock": counters.streams_cut,
                "aborted_by_client": counters.streams_aborted_by_client,
            },
            "abandoned_before_answer": counters.abandoned_before_answer,
            "abandoned": abandoned.collect::<Vec<_>>(),
            "last_request": counters.last_request,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        // Counters are valid after any panic: each change is one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One exchange. Dropped before [`Stage::Done`] or [`Stage::Cut`], it counts as abandoned by its client.
pub struct Watch {
    stats: Stats,
    endpoint: &'static str,
    stage: Stage,
}

impl Watch {
    /// The exchange has come to this stage.
    pub fn reached(&mut self, stage: Stage) {
        let was_streaming = matches!(self.stage, Stage::Streaming { .. });
        if matches!(stage, Stage::Streaming { .. }) && !was_streaming {
            let mut counters = self.stats.lock();
            counters.streams_begun += 1;
            counters.streams_open += 1;
        }
        if was_streaming && matches!(stage, Stage::Done | Stage::Cut) {
            let mut counters = self.stats.lock();
            counters.streams_open -= 1;
            match stage {
                Stage::Cut => counters.streams_cut += 1,
                _ => counters.streams_completed += 1,
            }
        }
        if self.stage != Stage::Broken {
            self.stage = stage;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut counters = self.stats.lock();
        counters.in_progress -= 1;
        match self.stage {
            Stage::Done | Stage::Cut => return,
            Stage::Streaming { .. } => {
                counters.streams_open -= 1;
                counters.streams_aborted_by_client += 1;
            }
            Stage::Receiving | Stage::Broken | Stage::Waiting => counters.abandoned_before_answer += 1,
        }
        if counters.abandoned.len() == ABANDONED_MAX {
            counters.abandoned.pop_front();
        }
        let abandoned = Abandoned { endpoint: self.endpoint, stage: self.stage, at_us: clock::now_us() };
        counters.abandoned.push_back(abandoned);
    }
}

/// A field as `[name, value]`, without its value if that is a credential.
fn shown(name: &str, value: &[u8]) -> Value {
    if !CREDENTIALS.contains(&name) {
        return json!([name, String::from_utf8_lossy(value)]);
    }
    let digest = TLS13_AES_128_GCM_SHA256.tls13().map(|suite| suite.common.hash_provider.hash(value));
    let digest = digest.iter().flat_map(|hash| hash.as_ref().iter().take(8));
    let start: String = digest.map(|byte| format!("{byte:02x}")).collect();
    json!([name, format!("<{} bytes, sha256 {start}…>", value.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(stats: &Stats) -> Watch {
        stats.request("POST /v1/messages", &Method::POST, &Uri::from_static("/v1/messages?a=b"), &HeaderMap::new())
    }

    #[test]
    fn an_exchange_that_is_dropped_early_was_abandoned_at_its_stage() {
        let stats = Stats::default();
        drop(watch(&stats));
        let mut streaming = watch(&stats);
        streaming.reached(Stage::Streaming { events: 0 });
        streaming.reached(Stage::Streaming { events: 3 });
        assert_eq!(stats.to_json()["streams"]["open"], 1);
        drop(streaming);
        let shown = stats.to_json();
        assert_eq!(shown["abandoned"][0]["stage"], "request");
        assert_eq!(shown["abandoned"][1]["events_sent"], 3);
        assert_eq!(shown["streams"]["aborted_by_client"], 1);
        assert_eq!((&shown["streams"]["open"], &shown["in_progress"]), (&json!(0), &json!(0)));
    }

    #[test]
    fn a_reset_keeps_what_is_in_progress() {
        let stats = Stats::default();
        let mut done = watch(&stats);
        let open = watch(&stats);
        done.reached(Stage::Streaming { events: 0 });
        done.reached(Stage::Done);
        drop(done);
        stats.reset();
        let shown = stats.to_json();
        assert_eq!(shown["requests_total"], 0);
        assert_eq!(shown["streams"]["completed"], 0);
        assert_eq!(shown["in_progress"], 1);
        drop(open);
        assert_eq!(stats.to_json()["in_progress"], 0);
    }

    #[test]
    fn credentials_are_shown_by_length_and_digest_only() {
        // printf 'Bearer abc' | sha256sum
        let text = shown("authorization", b"Bearer abc").to_string();
        assert!(text.contains("10 bytes") && !text.contains("abc"), "{text}");
        assert_eq!(shown("x-api-key", b"abc")[1], "<3 bytes, sha256 ba7816bf8f01cfea…>");
        assert_eq!(shown("accept", b"*/*"), json!(["accept", "*/*"]));
    }
}
