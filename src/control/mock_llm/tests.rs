//! The mock over real sockets: raw bytes in, raw bytes out, so that framing and flushing are seen as they are.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"one two three"}]}"#;
const CHAT_STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"one two three"}]}"#;

fn quick() -> MockOptions {
    MockOptions { latency: Duration::ZERO, chunk_delay: Duration::ZERO, tokens: 4, ..MockOptions::default() }
}

async fn start(options: MockOptions) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, options, std::future::pending()));
    address
}

async fn send(address: SocketAddr, line: &str, fields: &str, body: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nHost: mock\r\nContent-Length: {length}\r\n{fields}\r\n");
    connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    connection
}

/// Head and body of an answer; the body may be cut short.
async fn call(address: SocketAddr, line: &str, fields: &str, body: &str) -> (String, String) {
    let mut connection = send(address, line, &format!("Connection: close\r\n{fields}"), body).await;
    let mut bytes = Vec::new();
    connection.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

async fn call_json(address: SocketAddr, line: &str, fields: &str, body: &str) -> (u16, Value) {
    let (head, body) = call(address, line, fields, body).await;
    (head[9..12].parse().unwrap(), serde_json::from_str(&body).unwrap())
}

async fn stats(address: SocketAddr) -> Value {
    call_json(address, "GET /__stats", "", "").await.1
}

/// Asks for the statistics until they satisfy the condition; a test that waits in vain fails after ten seconds.
async fn stats_until(address: SocketAddr, condition: impl Fn(&Value) -> bool) -> Value {
    let ask = async {
        loop {
            let shown = stats(address).await;
            if condition(&shown) {
                return shown;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ask).await.unwrap()
}

/// The payloads of a chunked body, and whether it ended with its last chunk.
fn chunks(body: &str) -> (Vec<&str>, bool) {
    let (mut rest, mut payloads) = (body, Vec::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (payloads, true);
        }
        payloads.push(&after[..size]);
        rest = &after[size + 2..];
    }
    (payloads, false)
}

#[tokio::test]
async fn every_endpoint_answers_in_its_vendor_s_shape() {
    let address = start(quick()).await;
    let (status, models) = call_json(address, "GET /v1/models", "", "").await;
    assert_eq!((status, &models["data"][0]["id"]), (200, &json!("gpt-mock")));
    let (_, models) = call_json(address, "GET /v1/models", "anthropic-version: 2023-06-01\r\n", "").await;
    assert_eq!(models["has_more"], false);
    assert_eq!(call_json(address, "GET /v1/models/claude-mock", "", "").await.1["id"], "claude-mock");
    let (status, chat) = call_json(address, "POST /v1/chat/completions", "", CHAT).await;
    assert_eq!((status, &chat["usage"]["prompt_tokens"]), (200, &json!(3)));
    let (_, text) = call_json(address, "POST /v1/completions", "", r#"{"model":"m","prompt":"a b"}"#).await;
    assert_eq!(text["choices"][0]["text"], "This answer was made");
    let message = r#"{"model":"m","max_tokens":2,"messages":[{"role":"user","content":"a"}]}"#;
    let (_, message) = call_json(address, "POST /v1/messages", "", message).await;
    assert_eq!((&message["stop_reason"], &message["usage"]["output_tokens"]), (&json!("max_tokens"), &json!(2)));
    let input = r#"{"model":"m","input":["a","b c"],"dimensions":4}"#;
    let (_, embeddings) = call_json(address, "POST /v1/embeddings", "", input).await;
    assert_eq!((&embeddings["data"][1]["index"], &embeddings["usage"]["total_tokens"]), (&json!(1), &json!(3)));
    assert_eq!(call(address, "GET /health", "", "").await.1, "ok\n");
}

#[tokio::test]
async fn refusals_have_the_status_and_shape_of_the_vendor() {
    let address = start(quick()).await;
    for (line, fields, body, status, kind) in [
        ("POST /v1/chat/completions", "", "{", 400, "invalid_request_error"),
        ("POST /v1/messages", "", "{}", 400, "invalid_request_error"),
        ("POST /v1/embeddings", "", r#"{"model":"m","input":[]}"#, 400, "invalid_request_error"),
        ("GET /v1/models/none", "", "", 404, "invalid_request_error"),
        ("GET /v1/nothing", "", "", 404, "invalid_request_error"),
        ("GET /v1/messages", "", "", 405, "invalid_request_error"),
        ("POST /v1/messages", "x-mock-status: 429\r\n", "{}", 429, "rate_limit_error"),
        ("POST /v1/messages", "x-mock-status: 529\r\n", "{}", 529, "overloaded_error"),
        ("POST /v1/chat/completions", "x-mock-status: 503\r\n", CHAT, 503, "server_error"),
        ("POST /v1/chat/completions", "x-mock-tokens: many\r\n", CHAT, 400, "invalid_request_error"),
    ] {
        let (got, value) = call_json(address, line, fields, body).await;
        assert_eq!((got, &value["error"]["type"]), (status, &json!(kind)), "{line} {fields}");
    }
    let (head, _) = call(address, "POST /v1/messages", "x-mock-status: 429\r\nx-mock-retry-after: 7\r\n", "").await;
    assert!(head.contains("\r\nretry-after: 7\r\n") && head.contains("\r\nrequest-id: req_mock"), "{head}");
}

#[tokio::test]
async fn a_key_is_wanted_only_when_told() {
    let address = start(MockOptions { require_key: true, ..quick() }).await;
    for (fields, status) in [
        ("", 401),
        ("Authorization: Basic abc\r\n", 401),
        ("Authorization: Bearer \r\n", 401),
        ("Authorization: Bearer abc\r\n", 200),
        ("x-api-key: abc\r\n", 200),
    ] {
        assert_eq!(call_json(address, "GET /v1/models", fields, "").await.0, status, "{fields}");
    }
    let last = stats(address).await["last_request"].to_string();
    assert!(last.contains("<3 bytes, sha256 ba7816bf8f01cfea…>"), "{last}");
}

#[tokio::test]
async fn each_event_is_a_chunk_of_its_own_and_the_stream_ends_properly() {
    let address = start(quick()).await;
    let (head, body) = call(address, "POST /v1/chat/completions", "", CHAT_STREAM).await;
    assert!(head.contains("\r\ncontent-type: text/event-stream\r\n"), "{head}");
    assert!(head.contains("\r\ncache-control: no-cache"), "{head}");
    let (events, ended) = chunks(&body);
    assert!(ended);
    assert_eq!(events.len(), 1 + 4 + 1 + 1);
    assert!(events.iter().all(|event| event.starts_with("data: ") && event.ends_with("\n\n")));
    assert_eq!(*events.last().unwrap(), "data: [DONE]\n\n");
    assert_eq!(stats(address).await["streams"]["completed"], 1);
}

#[tokio::test]
async fn send_times_are_comments_and_come_only_when_asked() {
    let address = start(quick()).await;
    let before = clock::unix_us();
    let (_, body) = call(address, "POST /v1/chat/completions", "x-mock-timestamps: 1\r\n", CHAT_STREAM).await;
    for event in chunks(&body).0 {
        let (time, _) = event.strip_prefix(": t=").unwrap().split_once("\ndata: ").unwrap();
        let time: u64 = time.parse().unwrap();
        assert!((before..=clock::unix_us()).contains(&time));
    }
}

#[tokio::test]
async fn an_event_arrives_before_the_next_one_is_due() {
    // The next token is an hour away: what arrives was flushed by itself.
    let address = start(quick()).await;
    let fields = "x-mock-chunk-delay: 1h\r\n";
    let mut connection = send(address, "POST /v1/chat/completions", fields, CHAT_STREAM).await;
    let mut text = String::new();
    while !text.contains(r#""content":"This""#) {
        let mut bytes = [0; 4096];
        let n = connection.read(&mut bytes).await.unwrap();
        assert!(n > 0);
        text.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
    }
    assert!(!text.contains("answer"));
    // and the client's leaving is seen although nothing is being written
    drop(connection);
    let shown = stats_until(address, |stats| stats["streams"]["aborted_by_client"] == 1).await;
    assert_eq!(shown["abandoned"][0]["events_sent"], 2);
    assert_eq!(shown["streams"]["open"], 0);
    assert!(shown["abandoned"][0]["ago_ms"].as_f64().unwrap() < 5_000.0);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_or_within_its_request_is_counted() {
    let address = start(quick()).await;
    let waiting = send(address, "POST /v1/chat/completions", "x-mock-latency: 1h\r\n", CHAT).await;
    stats_until(address, |stats| stats["in_progress"] == 1).await;
    drop(waiting);
    stats_until(address, |stats| stats["abandoned_before_answer"] == 1).await;
    let mut partial = TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/messages HTTP/1.1\r\nHost: mock\r\nContent-Length: 100\r\n\r\nhalf";
    partial.write_all(head.as_bytes()).await.unwrap();
    stats_until(address, |stats| stats["bytes_received"] == CHAT.len() + 4).await;
    drop(partial);
    let shown = stats_until(address, |stats| stats["abandoned_before_answer"] == 2).await;
    assert_eq!(shown["abandoned"][1]["stage"], "request");
    assert_eq!(shown["in_progress_max"], 1);
}

#[tokio::test]
async fn a_cut_stream_has_no_last_chunk() {
    let address = start(quick()).await;
    for (after, expected) in [(0, 0), (3, 3), (7, 7), (99, 7)] {
        let fields = format!("x-mock-abort-after: {after}\r\n");
        let (head, body) = call(address, "POST /v1/chat/completions", &fields, CHAT_STREAM).await;
        assert!(head.starts_with("HTTP/1.1 200"));
        let (events, ended) = chunks(&body);
        assert_eq!((events.len(), ended), (expected, false), "after {after}");
    }
    let shown = stats(address).await;
    assert_eq!((&shown["streams"]["cut_by_mock"], &shown["streams"]["open"]), (&json!(4), &json!(0)));
    assert_eq!(shown["streams"]["aborted_by_client"], 0);
}

#[tokio::test]
async fn every_stream_is_cut_when_the_share_is_one() {
    let address = start(MockOptions { abort_rate: 1.0, seed: Some(3), ..quick() }).await;
    for _ in 0..20 {
        let (_, body) = call(address, "POST /v1/chat/completions", "", CHAT_STREAM).await;
        assert!(!chunks(&body).1);
    }
}

#[tokio::test]
async fn a_large_body_is_taken_and_a_too_large_one_refused() {
    let address = start(quick()).await;
    let words = "word ".repeat(1_600_000);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{words}"}}]}}"#);
    let (status, chat) = call_json(address, "POST /v1/chat/completions", "", &body).await;
    assert_eq!((status, &chat["usage"]["prompt_tokens"]), (200, &json!(1_600_000)));
    assert_eq!(stats(address).await["bytes_received"], body.len());
    call(address, "POST /__stats/reset", "", "").await;
    assert_eq!(stats(address).await["bytes_received"], 0);
    // Chunked, so that nothing but the count of bytes tells.
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/messages HTTP/1.1\r\nHost: mock\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = connection.split();
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    let write = async {
        for _ in 0..=64 {
            if writer.write_all(chunk.as_bytes()).await.is_err() {
                break; // refused already
            }
        }
    };
    let mut answer = [0; 12];
    let (_, read) = tokio::join!(write, reader.read_exact(&mut answer));
    read.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_shutdown_ends_the_serving() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, quick(), async move { stopped.await.unwrap_or(()) }));
    let mut idle = send(address, "GET /health", "", "").await;
    let mut bytes = [0; 512];
    assert!(idle.read(&mut bytes).await.unwrap() > 0);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    assert_eq!(idle.read(&mut bytes).await.unwrap(), 0, "an idle connection is closed");
    assert!(TcpStream::connect(address).await.is_err());
}

/// One frame of HTTP/2: its type, flags and stream, and its payload.
async fn frame(connection: &mut TcpStream) -> (u8, u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    connection.read_exact(&mut head).await.unwrap();
    let [a, b, c, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    connection.read_exact(&mut payload).await.unwrap();
    (kind, flags, u32::from_be_bytes([stream[0], stream[1], stream[2], stream[3]]), payload)
}

/// HTTP/2 in clear from its first byte on, as `protocol = "h2c"` of an upstream speaks it.
#[tokio::test]
async fn http2_is_served_to_who_begins_with_its_preface() {
    let mut connection = TcpStream::connect(start(quick()).await).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(); // and empty SETTINGS
    // GET http, then :path and :authority as literals without indexing (RFC 7541 §6.2.2).
    let block = b"\x82\x86\x04\x0a/v1/models\x01\x04mock";
    bytes.extend_from_slice(&[0, 0, block.len() as u8, 1, 5, 0, 0, 0, 1]); // HEADERS, the whole of stream 1
    bytes.extend_from_slice(block);
    connection.write_all(&bytes).await.unwrap();
    assert_eq!(frame(&mut connection).await.0, 4, "SETTINGS come first");
    let (mut body, mut ended) = (Vec::new(), false);
    while !ended {
        let (kind, flags, stream, payload) = frame(&mut connection).await;
        assert!(matches!(kind, 0 | 1 | 4 | 8), "neither RST_STREAM nor GOAWAY: {kind}");
        if kind == 0 && stream == 1 {
            body.extend_from_slice(&payload);
        }
        ended = stream == 1 && flags & 1 != 0;
    }
    let models: Value = serde_json::from_slice(&body).unwrap();
    assert!(models["data"].as_array().is_some_and(|models| !models.is_empty()), "{models}");
}
