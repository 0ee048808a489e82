//! `demo`: a handful of calls through a running gateway, told as a transcript.
//!
//! Owns the calls, what must be true of their answers, and how they are told. It starts nothing: the gateway and the
//! mock behind it are the caller's. Any answer that is not as it should be ends it with an error that names the call.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::base::clock;

/// How long a single step of a call may take: connecting, the head of an answer, the next piece of its body.
const STEP: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why the demo ended early: which call, and what was wrong with it.
#[derive(Debug)]
pub struct DemoError {
    call: String,
    reason: String,
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "demo: {} failed: {}", self.call, self.reason)
    }
}

impl std::error::Error for DemoError {}

/// What went wrong inside a call, before the call is named.
struct Reason(String);

impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<hyper::Error> for Reason {
    fn from(error: hyper::Error) -> Self {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        Self(format!("{error}{source}"))
    }
}

/// Where the gateway is.
struct Gateway {
    host: String,
    port: u16,
    authority: String,
    prefix: String,
}

/// One answer whose body is still to come.
struct Answer {
    response: Response<Incoming>,
    begun_us: u64,
}

/// Which vendor's stream is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Chat,
    Messages,
}

/// Makes the calls against the gateway at `base_url` (such as `http://127.0.0.1:8080`) and writes the transcript.
/// Needs a tokio runtime with I/O and time enabled.
///
/// # Errors
/// The first call that fails or is answered otherwise than it should be, or the transcript not being writable.
pub async fn run(base_url: &str, out: &mut impl Write) -> Result<(), DemoError> {
    let gateway = named("the gateway's address", gateway(base_url))?;
    let begun_us = clock::now_us();
    named("GET /v1/models", models(&gateway, out).await)?;
    named("POST /v1/chat/completions", chat(&gateway, out).await)?;
    named("POST /v1/chat/completions, streamed", stream(&gateway, Dialect::Chat, out).await)?;
    named("POST /v1/messages, streamed", stream(&gateway, Dialect::Messages, out).await)?;
    named("POST /v1/chat/completions, refused with 429", refused(&gateway, out).await)?;
    let total = since(begun_us);
    let told =
        writeln!(out, "5 calls through {base_url}, each answered as it should be, in {total}").map_err(Reason::from);
    named("writing the transcript", told)
}

fn named<T>(call: &str, result: Result<T, Reason>) -> Result<T, DemoError> {
    result.map_err(|Reason(reason)| DemoError { call: call.to_owned(), reason })
}

/// The parts of the base URL.
fn gateway(base_url: &str) -> Result<Gateway, Reason> {
    let wanted = || Reason(format!("{base_url:?} is not the URL of a gateway: write http://HOST:PORT"));
    let uri: Uri = base_url.parse().map_err(|_| wanted())?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(authority)) => Ok(Gateway {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: authority.to_string(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        }),
        _ => Err(wanted()),
    }
}

async fn models(gateway: &Gateway, out: &mut impl Write) -> Result<(), Reason> {
    writeln!(out, "GET /v1/models")?;
    let mut answer = gateway.call(Method::GET, "/v1/models", &[], None).await?;
    let list = answer.json(StatusCode::OK).await?;
    let models = list["data"].as_array().ok_or_else(|| Reason(format!("no list of models in {list}")))?;
    let names: Vec<&str> = models.iter().filter_map(|model| model["id"].as_str()).collect();
    Ok(writeln!(out, "  {}: {}\n", answer.outcome(), names.join(", "))?)
}

async fn chat(gateway: &Gateway, out: &mut impl Write) -> Result<(), Reason> {
    writeln!(out, "POST /v1/chat/completions")?;
    let body = json!({"model": "gpt-mock", "max_tokens": 14, "messages": prompt()});
    let mut answer = gateway.call(Method::POST, "/v1/chat/completions", &[], Some(&body)).await?;
    let whole = answer.json(StatusCode::OK).await?;
    let text = whole.pointer("/choices/0/message/content").and_then(Value::as_str);
    let text = text.ok_or_else(|| Reason(format!("no text in {whole}")))?;
    let (asked, said) = (&whole["usage"]["prompt_tokens"], &whole["usage"]["completion_tokens"]);
    writeln!(out, "  {}: {asked} tokens asked, {said} answered", answer.outcome())?;
    Ok(writeln!(out, "  {text}\n")?)
}

/// A stream, each token printed when it arrives.
async fn stream(gateway: &Gateway, dialect: Dialect, out: &mut impl Write) -> Result<(), Reason> {
    let (path, model) = match dialect {
        Dialect::Chat => ("/v1/chat/completions", "gpt-mock"),
        Dialect::Messages => ("/v1/messages", "claude-mock"),
    };
    writeln!(out, "POST {path}, streamed")?;
    let body = json!({"model": model, "max_tokens": 12, "stream": true, "messages": prompt()});
    let pace = [("x-mock-chunk-delay", "40ms"), ("anthropic-version", "2023-06-01")];
    let mut answer = gateway.call(Method::POST, path, &pace, Some(&body)).await?;
    if answer.response.status() != StatusCode::OK {
        let status = answer.response.status();
        return Err(Reason(format!("{status} came instead of 200: {}", answer.text().await?)));
    }
    let (mut events, mut count, mut tokens, mut ended) = (SseReader::default(), 0, 0, false);
    let mut first_event = None;
    while let Some(piece) = answer.piece().await? {
        events.feed(&piece);
        while let Some(data) = events.next() {
            count += 1;
            first_event.get_or_insert_with(|| since(answer.begun_us));
            ended |= dialect.is_end(&data);
            if let Some(token) = dialect.token(&data) {
                tokens += 1;
                writeln!(out, "  +{:>9}  {}", since(answer.begun_us), token.trim())?;
                out.flush()?;
            }
        }
        if events.pending.len() > ANSWER_BYTES_MAX {
            return Err(Reason(format!("an event is larger than {ANSWER_BYTES_MAX} bytes")));
        }
    }
    match first_event {
        Some(first) if ended && tokens > 0 => {
            let outcome = answer.outcome();
            Ok(writeln!(out, "  {outcome} in all: first event after {first}, {count} events, {tokens} tokens\n")?)
        }
        _ => Err(Reason(format!("the stream ended before its last event, after {count} events and {tokens} tokens"))),
    }
}

async fn refused(gateway: &Gateway, out: &mut impl Write) -> Result<(), Reason> {
    writeln!(out, "POST /v1/chat/completions, with an upstream at its limit")?;
    let staged = [("x-mock-status", "429"), ("x-mock-retry-after", "2")];
    let body = json!({"model": "gpt-mock", "messages": prompt()});
    let mut answer = gateway.call(Method::POST, "/v1/chat/completions", &staged, Some(&body)).await?;
    let refusal = answer.json(StatusCode::TOO_MANY_REQUESTS).await?;
    let retry_after = answer.response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    if retry_after != Some("2") {
        return Err(Reason(format!("Retry-After: 2 was sent upstream, and {retry_after:?} arrived")));
    }
    let message = refusal.pointer("/error/message").and_then(Value::as_str).unwrap_or("");
    writeln!(out, "  {}: Retry-After: 2, passed on as the upstream sent it", answer.outcome())?;
    Ok(writeln!(out, "  {message}\n")?)
}

impl Gateway {
    /// One call on a connection of its own, up to the head of its answer.
    async fn call(
        &self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Reason> {
        let begun_us = clock::now_us();
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = within("a connection", connecting).await?;
        let stream = stream.map_err(|e| Reason(format!("no connection to {}: {e}", self.authority)))?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Drives the connection until its answer was read or dropped; errors reach the caller through the answer.
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.prefix));
        request = request.header(HOST, &self.authority).header("authorization", "Bearer demo");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Full::new(Bytes::from(body.to_string()))
            }
            None => Full::default(),
        };
        let request = request.body(body).map_err(|e| Reason(e.to_string()))?;
        let response = within("the answer's head", sender.send_request(request)).await??;
        Ok(Answer { response, begun_us })
    }
}

impl Answer {
    /// The next piece of the body, as it arrives; none at its proper end.
    async fn piece(&mut self) -> Result<Option<Bytes>, Reason> {
        while let Some(frame) = within("the next piece of the answer", self.response.body_mut().frame()).await? {
            if let Ok(data) = frame?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The rest of the body.
    async fn text(&mut self) -> Result<String, Reason> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece().await? {
            whole.extend_from_slice(&piece);
            if whole.len() > ANSWER_BYTES_MAX {
                return Err(Reason(format!("the answer is larger than {ANSWER_BYTES_MAX} bytes")));
            }
        }
        Ok(String::from_utf8_lossy(&whole).into_owned())
    }

    /// The body as JSON, if the status is the one that is wanted.
    async fn json(&mut self, wanted: StatusCode) -> Result<Value, Reason> {
        let text = self.text().await?;
        match self.response.status() {
            status if status == wanted => {
                serde_json::from_str(&text).map_err(|e| Reason(format!("the answer is not JSON ({e}): {text}")))
            }
            status => Err(Reason(format!("{status} came instead of {wanted}: {text}"))),
        }
    }

    /// Status and duration up to now.
    fn outcome(&self) -> String {
        format!("{} after {}", self.response.status(), since(self.begun_us))
    }
}

impl Dialect {
    /// The text that an event adds to the answer, if it adds any.
    fn token(self, data: &str) -> Option<String> {
        let place = match self {
            Dialect::Chat => "/choices/0/delta/content",
            Dialect::Messages => "/delta/text",
        };
        let event: Value = serde_json::from_str(data).ok()?;
        event.pointer(place).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// Whether an event is the last one of a whole stream.
    fn is_end(self, data: &str) -> bool {
        match self {
            Dialect::Chat => data == "[DONE]",
            Dialect::Messages => serde_json::from_str::<Value>(data).is_ok_and(|event| event["type"] == "message_stop"),
        }
    }
}

/// Data of server-sent events (WHATWG HTML §9.2) out of pieces of any size; names and comments are skipped.
#[derive(Default)]
struct SseReader {
    pending: Vec<u8>,
}

impl SseReader {
    fn feed(&mut self, piece: &[u8]) {
        self.pending.extend_from_slice(piece);
    }

    /// The data of the next whole event that has any.
    fn next(&mut self) -> Option<String> {
        loop {
            let end = memchr::memmem::find(&self.pending, b"\n\n")?;
            let event: Vec<u8> = self.pending.drain(..end + 2).collect();
            let text = String::from_utf8_lossy(&event);
            let lines = text.lines().filter_map(|line| line.strip_prefix("data:"));
            let data: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
            if !data.is_empty() {
                return Some(data.join("\n"));
            }
        }
    }
}

async fn within<T>(what: &str, step: impl Future<Output = T>) -> Result<T, Reason> {
    let late = |_| Reason(format!("{what} did not come within {} s", STEP.as_secs()));
    tokio::time::timeout(STEP, step).await.map_err(late)
}

fn since(begun_us: u64) -> String {
    format!("{:.1} ms", clock::now_us().saturating_sub(begun_us) as f64 / 1_000.0)
}

fn prompt() -> Value {
    json!([{"role": "user", "content": "What do you answer?"}])
}

#[cfg(test)]
mod tests {
    use super::super::mock_llm::{self, MockOptions};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bad_url_is_refused_with_what_to_write() {
        for bad in ["", "127.0.0.1:8080", "https://127.0.0.1:8443", "http://", "ftp://x"] {
            let error = named("x", gateway(bad).map(|_| ())).unwrap_err().to_string();
            assert!(error.contains("http://HOST:PORT"), "{bad}: {error}");
        }
        let good = gateway("http://[::1]:8080/base/").ok().unwrap();
        assert_eq!((good.host.as_str(), good.port, good.prefix.as_str()), ("::1", 8080, "/base"));
    }

    #[test]
    fn tokens_and_ends_are_found() {
        assert_eq!(Dialect::Chat.token(r#"{"choices":[{"delta":{"content":" a"}}]}"#).as_deref(), Some(" a"));
        assert_eq!(Dialect::Chat.token(r#"{"choices":[]}"#), None);
        assert_eq!(Dialect::Messages.token(r#"{"delta":{"text":"b"}}"#).as_deref(), Some("b"));
        assert!(Dialect::Chat.is_end("[DONE]") && !Dialect::Chat.is_end("{}"));
        assert!(Dialect::Messages.is_end(r#"{"type":"message_stop"}"#) && !Dialect::Messages.is_end("[DONE]"));
    }

    /// The demo against a mock, without a gateway between them.
    async fn told(options: MockOptions) -> (String, Option<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(mock_llm::serve(listener, options, std::future::pending()));
        let mut out = Vec::new();
        let error = run(&url, &mut out).await.err();
        (String::from_utf8(out).unwrap(), error.map(|e| e.to_string()))
    }

    #[tokio::test]
    async fn the_transcript_shows_every_call_and_ends_with_a_summary() {
        let (text, error) = told(MockOptions { latency: Duration::ZERO, ..MockOptions::default() }).await;
        assert_eq!(error, None);
        for part in ["gpt-mock-mini", "This answer was made", "first event after", "429 Too Many", "Retry-After: 2"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("  +")).count(), 24, "{text}");
        assert!(text.lines().last().unwrap().starts_with("5 calls through http://127.0.0.1:"));
    }

    #[tokio::test]
    async fn a_failed_call_is_named() {
        let quick = || MockOptions { latency: Duration::ZERO, ..MockOptions::default() };
        let (_, error) = told(MockOptions { error_rate: 1.0, ..quick() }).await;
        assert!(error.as_ref().is_some_and(|e| e.starts_with("demo: GET /v1/models failed: 500")), "{error:?}");
        let (_, error) = told(MockOptions { abort_rate: 1.0, seed: Some(1), ..quick() }).await;
        assert!(error.as_ref().is_some_and(|e| e.contains("/v1/chat/completions, streamed failed")), "{error:?}");
        // Bound but not listening: connections are refused, and no other test can get the port.
        let silent = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        silent.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        let free = silent.local_addr().unwrap().as_socket().unwrap();
        let error = run(&format!("http://{free}"), &mut Vec::new()).await.unwrap_err().to_string();
        assert!(error.contains(&format!("no connection to {free}")), "{error}");
    }

    proptest! {
        #[test]
        fn events_are_the_same_however_the_bytes_are_split(cuts in prop::collection::vec(0usize..80, 0..8)) {
            let bytes = b": t=1\nevent: ping\ndata: {\"a\":1}\n\n: only a comment\n\ndata: x\ndata:y\n\ndata: [DONE]\n\n";
            let mut cuts = cuts;
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let (mut reader, mut seen) = (SseReader::default(), Vec::new());
            for pair in cuts.windows(2) {
                reader.feed(&bytes[pair[0]..pair[1]]);
                seen.extend(std::iter::from_fn(|| reader.next()));
            }
            prop_assert_eq!(seen, vec!["{\"a\":1}", "x\ny", "[DONE]"]);
        }
    }
}
