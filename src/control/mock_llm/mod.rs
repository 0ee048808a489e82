//! `mock-llm`: an upstream to try the gateway on, shaped like the APIs of OpenAI and Anthropic.
//!
//! Owns its endpoints and the steps of one exchange: receive, wait, refuse or answer. Its answers are functions of the
//! request, so that tests may compute them; `GET /__stats` tells what arrived. Never imports from the data plane.

mod anthropic;
mod failure;
mod openai;
mod options;
mod reply;
mod stats;
mod stream;
mod text;

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, request};
use axum::response::Response;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::base::clock;
use crate::base::rand::Random;
use failure::{Refusal, Vendor};
use options::Behaviour;
pub use options::MockOptions;
use reply::{Kind, Reply};
use stats::{Stage, Stats, Watch};
use stream::EventStream;

/// The largest request body that is accepted.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long exchanges in progress may go on after a shutdown.
const DRAIN: Duration = Duration::from_secs(1);

/// One mock, shared by its exchanges.
struct Mock {
    options: MockOptions,
    random: Mutex<Random>,
    stats: Stats,
    /// Exchanges so far; numbers answers.
    number: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Models,
    Model,
    Complete(Kind),
    Embeddings,
    Unknown,
    MethodUnknown,
}

/// What is sent when nothing was refused.
enum Answer {
    Json(Value),
    Stream(Reply, Behaviour),
}

/// Serves until `shutdown` completes, then lets exchanges in progress end for at most a second. Connections that are
/// still busy then live on in the runtime, and end with it. Needs a tokio runtime with I/O and time enabled.
///
/// # Errors
/// None today: what fails on one connection ends that connection only.
pub async fn serve(
    listener: tokio::net::TcpListener,
    options: MockOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let random = Mutex::new(options.seed.map_or_else(Random::from_os, Random::seeded));
    let mock = Arc::new(Mock { options, random, stats: Stats::default(), number: AtomicU64::new(1) });
    let stats = mock.stats.clone();
    let listener = listener.tap_io(move |connection| {
        stats.connection();
        // Without this an event may wait for the acknowledgement of the one before. A connection that refuses it still works.
        let _ = connection.set_nodelay(true);
    });
    let (began, drain) = oneshot::channel();
    let serving = axum::serve(listener, router(&mock)).with_graceful_shutdown(async move {
        shutdown.await;
        let _ = began.send(()); // The receiver waits below for as long as this future lives.
    });
    tokio::select! {
        ended = async { serving.await } => ended,
        () = async { if drain.await.is_ok() { tokio::time::sleep(DRAIN).await } } => Ok(()),
    }
}

fn router(mock: &Arc<Mock>) -> Router {
    let answer = |endpoint: Endpoint| {
        let mock = Arc::clone(mock);
        move |request: Request| exchange(Arc::clone(&mock), endpoint, request)
    };
    let (shown, forgotten) = (mock.stats.clone(), mock.stats.clone());
    Router::new()
        .route("/v1/models", get(answer(Endpoint::Models)))
        .route("/v1/models/{*id}", get(answer(Endpoint::Model)))
        .route("/v1/chat/completions", post(answer(Endpoint::Complete(Kind::Chat))))
        .route("/v1/completions", post(answer(Endpoint::Complete(Kind::Completion))))
        .route("/v1/messages", post(answer(Endpoint::Complete(Kind::Message))))
        .route("/v1/embeddings", post(answer(Endpoint::Embeddings)))
        .route("/health", get(|| async { "ok\n" }))
        .route("/__stats", get(move || async move { json_response(StatusCode::OK, &shown.to_json()) }))
        .route(
            "/__stats/reset",
            post(move || async move {
                forgotten.reset();
                json_response(StatusCode::OK, &json!({"reset": true}))
            }),
        )
        .fallback(answer(Endpoint::Unknown))
        .method_not_allowed_fallback(answer(Endpoint::MethodUnknown))
}

impl Endpoint {
    /// As the statistics name it.
    fn name(self) -> &'static str {
        match self {
            Endpoint::Models => "GET /v1/models",
            Endpoint::Model => "GET /v1/models/{id}",
            Endpoint::Complete(Kind::Chat) => "POST /v1/chat/completions",
            Endpoint::Complete(Kind::Completion) => "POST /v1/completions",
            Endpoint::Complete(Kind::Message) => "POST /v1/messages",
            Endpoint::Embeddings => "POST /v1/embeddings",
            Endpoint::Unknown => "unknown path",
            Endpoint::MethodUnknown => "unknown method",
        }
    }

    fn vendor(self, headers: &HeaderMap) -> Vendor {
        let anthropic = self == Endpoint::Complete(Kind::Message) || headers.contains_key("anthropic-version");
        if anthropic { Vendor::Anthropic } else { Vendor::OpenAi }
    }
}

/// One exchange, from its head to the beginning of its answer.
async fn exchange(mock: Arc<Mock>, endpoint: Endpoint, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut watch = mock.stats.request(endpoint.name(), &head.method, &head.uri, &head.headers);
    let number = mock.number.fetch_add(1, Ordering::Relaxed);
    let vendor = endpoint.vendor(&head.headers);
    let request_id = format!("req_mock{number:08}");
    let mut response = match answer(&mock, endpoint, number, &head, body, &mut watch).await {
        Ok(Answer::Json(value)) => {
            watch.reached(Stage::Done);
            json_response(StatusCode::OK, &value)
        }
        Ok(Answer::Stream(reply, behaviour)) => stream_response(EventStream::new(reply, &behaviour, watch)),
        Err(refusal) => {
            watch.reached(Stage::Done);
            let mut response = json_response(refusal.status, &refusal.body(vendor, &request_id));
            if let Some(Ok(value)) = refusal.retry_after.map(HeaderValue::try_from) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            response
        }
    };
    mock.stats.answered(response.status());
    let name = match vendor {
        Vendor::OpenAi => HeaderName::from_static("x-request-id"),
        Vendor::Anthropic => HeaderName::from_static("request-id"),
    };
    if let Ok(value) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// The steps of an exchange up to its answer. The whole body is read before anything is refused, as the vendors do.
async fn answer(
    mock: &Mock,
    endpoint: Endpoint,
    number: u64,
    head: &request::Parts,
    body: Body,
    watch: &mut Watch,
) -> Result<Answer, Refusal> {
    let behaviour = {
        let random = mock.random.lock().unwrap_or_else(PoisonError::into_inner);
        Behaviour::of(&mock.options, &random, &head.headers)?
    };
    let body = receive(&mock.stats, body, watch).await?;
    watch.reached(Stage::Waiting);
    if mock.options.require_key && !has_key(&head.headers) {
        let message = "No API key: send Authorization: Bearer … or x-api-key.";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, message));
    }
    if !behaviour.latency.is_zero() {
        tokio::time::sleep(behaviour.latency).await;
    }
    if let Some(status) = behaviour.status {
        return Err(Refusal::staged(status, behaviour.retry_after));
    }
    let models = &mock.options.models;
    let value = match (endpoint, endpoint.vendor(&head.headers)) {
        (Endpoint::Models, Vendor::OpenAi) => openai::models(models),
        (Endpoint::Models, Vendor::Anthropic) => anthropic::models(models),
        (Endpoint::Model, Vendor::OpenAi) => openai::model(known_model(models, head)?),
        (Endpoint::Model, Vendor::Anthropic) => anthropic::model(known_model(models, head)?),
        (Endpoint::Embeddings, _) => embeddings(&parsed(&body)?)?,
        (Endpoint::Complete(kind), _) => {
            let reply = Reply::plan(kind, &parsed(&body)?, &behaviour, number, clock::unix_ms() / 1_000)?;
            match (reply.stream, kind) {
                (true, _) => return Ok(Answer::Stream(reply, behaviour)),
                (false, Kind::Message) => anthropic::whole(&reply),
                (false, Kind::Chat | Kind::Completion) => openai::whole(&reply),
            }
        }
        (Endpoint::Unknown, _) => {
            let message = format!("Unknown request URL: {} {}", head.method, head.uri.path());
            return Err(Refusal::new(StatusCode::NOT_FOUND, message));
        }
        (Endpoint::MethodUnknown, _) => {
            let wanted = if head.method == Method::GET { "POST" } else { "GET or POST" };
            let message = format!("{} is not allowed at {}: use {wanted}.", head.method, head.uri.path());
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message));
        }
    };
    Ok(Answer::Json(value))
}

/// Reads a body whole, counting bytes as they arrive.
async fn receive(stats: &Stats, mut body: Body, watch: &mut Watch) -> Result<Vec<u8>, Refusal> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            watch.reached(Stage::Broken);
            return Err(Refusal::bad_request("the body ended before its announced end", None));
        };
        let Ok(data) = frame.into_data() else { continue };
        stats.received(data.len());
        if whole.len() + data.len() > BODY_BYTES_MAX {
            let message = format!("the body is larger than {BODY_BYTES_MAX} bytes");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole)
}

fn parsed(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body)
        .map_err(|e| Refusal::bad_request(format!("We could not parse the JSON body of your request: {e}"), None))
}

fn has_key(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").trim();
    let (scheme, token) = text("authorization").split_once(' ').unwrap_or_default();
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()) || !text("x-api-key").is_empty()
}

fn known_model<'a>(models: &'a [String], head: &request::Parts) -> Result<&'a str, Refusal> {
    let id = head.uri.path().strip_prefix("/v1/models/").unwrap_or("");
    let found = models.iter().find(|model| *model == id).map(String::as_str);
    found.ok_or_else(|| Refusal {
        param: Some("model"),
        ..Refusal::new(StatusCode::NOT_FOUND, format!("The model {id:?} does not exist"))
    })
}

fn embeddings(body: &Value) -> Result<Value, Refusal> {
    let model = reply::model(body)?;
    let inputs = match body.get("input") {
        Some(Value::Array(items)) if items.is_empty() => {
            return Err(Refusal::bad_request("input: empty", Some("input")));
        }
        // A list of numbers is one input made of token identifiers; any other list is a list of inputs.
        Some(Value::Array(items)) if !items.iter().all(Value::is_number) => items.clone(),
        Some(one @ (Value::String(_) | Value::Array(_))) => vec![one.clone()],
        Some(_) => return Err(Refusal::bad_request("input: a text or a list is wanted", Some("input"))),
        None => return Err(reply::missing("input")),
    };
    let dimensions = match body.get("dimensions").map(Value::as_u64) {
        None => text::DIMENSIONS_DEFAULT,
        Some(Some(n)) if (1..=text::DIMENSIONS_MAX as u64).contains(&n) => n as usize, // keeps the value: bounded
        Some(_) => {
            let message = format!("dimensions: a whole number from 1 to {} is wanted", text::DIMENSIONS_MAX);
            return Err(Refusal::bad_request(message, Some("dimensions")));
        }
    };
    let base64 = body.get("encoding_format").and_then(Value::as_str) == Some("base64");
    Ok(openai::embeddings(model, &inputs, dimensions, base64))
}

fn json_response(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn stream_response(events: EventStream) -> Response {
    let mut response = Response::new(Body::new(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests;
