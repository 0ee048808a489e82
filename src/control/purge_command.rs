//! `purge`: one call to the admin listener of a running gateway, told as one line.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::admin::PurgeBody;

/// How long the whole call may take.
const CALL: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Drop answers from the cache of a running gateway; in effect on every core when the command ends
// The text above is also the help of the command.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(false))]
pub struct PurgeOptions {
    /// URL of the admin listener
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9901")]
    pub admin: String,
    /// All answers of this URL, of every method, caller and variant
    #[arg(long, group = "what")]
    pub url: Option<String>,
    /// Of the URL only answers to this method
    #[arg(long, requires = "url", conflicts_with_all = ["key", "prefix", "tag", "all", "version_of"])]
    pub method: Option<String>,
    /// One answer by its key, as GET /cache/keys shows it
    #[arg(long, value_name = "HEX", group = "what")]
    pub key: Option<String>,
    /// All answers whose URL begins like this: host/path, with or without scheme
    #[arg(long, group = "what")]
    pub prefix: Option<String>,
    /// All answers with this tag (Surrogate-Key, Cache-Tag); may be given several times
    #[arg(long, group = "what")]
    pub tag: Vec<String>,
    /// Everything
    #[arg(long, group = "what")]
    pub all: bool,
    /// Everything of one route, at once, by raising its version
    #[arg(long, value_name = "ROUTE", group = "what")]
    pub version_of: Option<String>,
    /// Stale at once instead of gone: still there for when the upstream fails or is slow
    #[arg(long, conflicts_with = "version_of")]
    pub soft: bool,
}

/// Makes the call. Returns the line to print.
///
/// # Errors
/// What failed, where, and what to do.
pub async fn run(options: &PurgeOptions) -> Result<String, String> {
    let (path, body) = call_of(options);
    let answer = timeout(CALL, post(&options.admin, path, &body))
        .await
        .map_err(|_| format!("purge: {} did not answer within {} s; is it a gateway?", options.admin, CALL.as_secs()))?
        .map_err(|why| format!("purge: {why}"))?;
    Ok(line_of(options, &answer))
}

fn call_of(options: &PurgeOptions) -> (&'static str, Value) {
    if let Some(route) = &options.version_of {
        return ("/cache/version", json!({ "route": route }));
    }
    let body = PurgeBody {
        url: options.url.clone(),
        method: options.method.clone(),
        key: options.key.clone(),
        prefix: options.prefix.clone(),
        tags: (!options.tag.is_empty()).then(|| options.tag.clone()),
        all: options.all.then_some(true),
        soft: options.soft,
        ..PurgeBody::default()
    };
    ("/cache/purge", json!(body))
}

fn line_of(options: &PurgeOptions, answer: &Value) -> String {
    if let Some(route) = &options.version_of {
        return format!("purged route {route}: version {} is now {}", answer["old"], answer["new"]);
    }
    let what = match options {
        PurgeOptions { url: Some(url), method: Some(method), .. } => format!("{method} {url}"),
        PurgeOptions { url: Some(url), .. } => format!("url {url}"),
        PurgeOptions { key: Some(key), .. } => format!("key {key}"),
        PurgeOptions { prefix: Some(prefix), .. } => format!("prefix {prefix}"),
        PurgeOptions { all: true, .. } => "everything".to_owned(),
        PurgeOptions { tag, .. } => format!("tag {}", tag.join(", ")),
    };
    let how = if options.soft { "is stale now" } else { "is gone" };
    format!("purged {what}: {how} (purge {})", answer["sequence"])
}

/// Why a call failed, before it is said which.
struct Why(String);

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Why {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// The answer to a POST, where it is 200.
async fn post(admin: &str, path: &str, body: &Value) -> Result<Value, Why> {
    let uri: Uri = admin.parse().map_err(|_| not_a_url(admin))?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(not_a_url(admin)) };
    let host = authority.host().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await.map_err(|error| {
        Why(format!("no connection to {admin}: {error}; start the gateway, or name its admin listener with --admin"))
    })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Drives the connection until the answer was read; its errors reach us through the answer.
    tokio::spawn(connection);
    let request = Request::post(format!("{}{path}", uri.path().trim_end_matches('/')))
        .header(HOST, authority.as_str())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let whole = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let whole = whole.map_err(|error| Why(format!("the answer of {admin} broke off: {error}")))?.to_bytes();
    let answer: Value = serde_json::from_slice(&whole).unwrap_or_default();
    match (status, &answer) {
        (StatusCode::OK, Value::Object(_)) => Ok(answer),
        _ => {
            let message = answer.pointer("/error/message").and_then(Value::as_str);
            let message = message.unwrap_or("the answer is not one of a gateway's admin listener; check --admin");
            Err(Why(format!("{admin} refused ({}): {message}", status.as_u16())))
        }
    }
}

fn not_a_url(admin: &str) -> Why {
    Why(format!("--admin {admin:?} is not the URL of an admin listener; write http://HOST:PORT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_the_body_of_the_call() {
        let url =
            PurgeOptions { url: Some("http://a/b".to_owned()), method: Some("GET".to_owned()), ..Default::default() };
        assert_eq!(call_of(&url), ("/cache/purge", json!({ "url": "http://a/b", "method": "GET" })));
        let tags = PurgeOptions { tag: vec!["x".to_owned(), "y".to_owned()], soft: true, ..Default::default() };
        assert_eq!(call_of(&tags), ("/cache/purge", json!({ "tags": ["x", "y"], "soft": true })));
        assert_eq!(line_of(&tags, &json!({ "sequence": 7 })), "purged tag x, y: is stale now (purge 7)");
        let all = PurgeOptions { all: true, ..Default::default() };
        assert_eq!(call_of(&all), ("/cache/purge", json!({ "all": true })));
        let version = PurgeOptions { version_of: Some("api".to_owned()), ..Default::default() };
        assert_eq!(call_of(&version), ("/cache/version", json!({ "route": "api" })));
        let answer = json!({ "route": "api", "old": 1, "new": 2 });
        assert_eq!(line_of(&version, &answer), "purged route api: version 1 is now 2");
    }
}
