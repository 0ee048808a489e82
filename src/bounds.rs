//! Every bound of the gateway, in one place, with the relations between them asserted at compile time.
//!
//! A bound that an operator may change stands here as its default and its ceiling; the configuration refuses
//! values above the ceiling. Units are in the names.

/// Bytes of a request or response head, start line and empty line included.
pub const HEAD_BYTES_DEFAULT: usize = 16 * 1024;
/// Ceiling of [`HEAD_BYTES_DEFAULT`]: spans inside a head are 16 bits wide.
pub const HEAD_BYTES_MAX: usize = 60 * 1024;
/// Bytes of a request line (method, target, version).
pub const REQUEST_LINE_BYTES_DEFAULT: usize = 8 * 1024;
/// Field lines in a head.
pub const FIELDS_DEFAULT: usize = 100;
/// Ceiling of [`FIELDS_DEFAULT`].
pub const FIELDS_MAX: usize = 256;
/// Bytes of a chunk-size line, extensions included (RFC 9112 §7.1.1 asks for a limit).
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Bytes of a trailer section.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a request body before 413.
pub const BODY_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;

/// Bytes of a request body that is read for the model it names, where a key may ask only some models.
pub const MODEL_BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// One pooled buffer, the unit of reading from a socket.
pub const BUFFER_BYTES: usize = 16 * 1024;
/// A pooled buffer for large bodies; also the bound of what one direction of an exchange holds.
pub const BUFFER_BYTES_LARGE: usize = 64 * 1024;
/// Free buffers of the small kind that one core keeps.
pub const BUFFERS_FREE_MAX: usize = 128;
/// Free buffers of the large kind that one core keeps.
pub const BUFFERS_LARGE_FREE_MAX: usize = 16;

/// Bytes of an unread request body that are drained after the response so that the connection can live on.
pub const DRAIN_BYTES_MAX: usize = 64 * 1024;
/// How long draining an unread body may take.
pub const DRAIN_MS_MAX: u64 = 1_000;
/// After the last response: how long the client may be silent, and how long it may send, until the connection is closed.
pub const LINGER_SILENCE_MS: u64 = 2_000;
/// See [`LINGER_SILENCE_MS`].
pub const LINGER_MS_MAX: u64 = 30_000;
/// After the drain deadline: how long cut exchanges have to say so in the log, milliseconds.
pub const CUT_MS_MAX: u64 = 200;

/// Orders that may wait for one core.
pub const ORDERS_MAX: usize = 64;
/// Batches of access-log lines that may wait for the writer, per core.
pub const LOG_BATCHES_MAX: usize = 64;
/// Bytes of one batch of access-log lines.
pub const LOG_BATCH_BYTES: usize = 32 * 1024;
/// Written batches that wait to be filled again, per core.
pub const LOG_BATCHES_FREE_MAX: usize = 8;
/// Bytes of a request target in a log line, before escaping; the rest is cut.
pub const LOG_TARGET_BYTES_MAX: usize = 4 * 1024;
/// Bytes of any other field in a log line, before escaping; the rest is cut.
pub const LOG_FIELD_BYTES_MAX: usize = 1024;
/// Events that one core may write between two flushes of its log.
pub const LOG_EVENTS_PER_FLUSH: usize = 16;
/// How long a syslog server may take a line, milliseconds; then the rest of its batch is lost.
pub const SYSLOG_WAIT_MS: u64 = 100;
/// How long the end of the process waits for a log writer that is stuck.
pub const LOG_FINISH_MS_MAX: u64 = 2_000;

/// Period of the per-core sweep over deadlines: a deadline fires at most this much late.
pub const SWEEP_MS: u64 = 25;
/// How often an exchange that waits for its upstream looks whether its client is still there.
pub const CLIENT_CHECK_MS: u64 = 250;

/// Waits that time out in one turn of a core: each may be an answer and a connection closed.
pub const FIRES_PER_TURN: usize = 32;
/// Pause of the accept loop when the process has no descriptor left, milliseconds.
pub const ACCEPT_PAUSE_MS: u64 = 50;
/// Bytes read and forgotten after the last response of a connection, so that the client gets to read it.
pub const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes that one transfer copies without a pause for the other tasks of its core; about a millisecond's worth.
pub const BURST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Exchanges of one connection within one beat of the core's clockwork before it pauses for the others.
pub const EXCHANGES_PER_BEAT: u32 = 512;
/// Idle upstream connections that one sweep asks whether they are still open.
pub const POOL_CHECKS_PER_SWEEP: usize = 256;
/// How long an address that failed is asked only after the others: at first, and at most (it doubles), milliseconds.
pub const COOL_DOWN_MS: u64 = 2_000;
/// See [`COOL_DOWN_MS`].
pub const COOL_DOWN_MS_MAX: u64 = 60_000;
/// Bytes of the first TLS record that are taken in before a handshake begins.
pub const CLIENT_HELLO_BYTES_MAX: usize = 5 + 16 * 1024;
/// Connections that one wake-up of the accept loop takes before other tasks get their turn.
pub const ACCEPTS_PER_WAKE: usize = 64;
/// TLS handshakes in progress on one core.
pub const HANDSHAKES_MAX: usize = 512;
/// Streams that a client of HTTP/2 may have open on one connection (RFC 9113 §5.1.2), where the listener does not say.
pub const HTTP2_STREAMS_DEFAULT: u32 = 128;
/// Ceiling of [`HTTP2_STREAMS_DEFAULT`]: each open stream may cost the gateway an upstream connection.
pub const HTTP2_STREAMS_MAX: u32 = 1_000;
/// Idle upstream connections per endpoint and core.
pub const POOL_IDLE_DEFAULT: usize = 1_024;
/// Ceiling of [`POOL_IDLE_DEFAULT`].
pub const POOL_IDLE_MAX: usize = 65_536;
/// How long a forwarded `Expect: 100-continue` holds the body back.
pub const CONTINUE_MS_MAX: u64 = 1_000;
/// Longest silence of a tunnel (both directions), milliseconds.
pub const TUNNEL_IDLE_MS: u64 = 3_600_000;
/// Bytes of a request body in the course of being sent that are kept, in case that an upstream of HTTP/2 did not process
/// them.
pub const KEPT_UPLOAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of request bodies that the gateway holds at a time, where the configuration does not say.
pub const IN_FLIGHT_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;
/// Floor of [`IN_FLIGHT_BYTES_DEFAULT`].
pub const IN_FLIGHT_BYTES_MIN: u64 = 1024 * 1024;
/// What a core takes of them at a time, so that it need not ask the others for each body.
pub const IN_FLIGHT_STEP_BYTES: u64 = 64 * 1024;
/// How late a core's turn may come, where the configuration does not say, milliseconds.
pub const OVERLOAD_TARGET_MS_DEFAULT: u64 = 50;
/// Floor of [`OVERLOAD_TARGET_MS_DEFAULT`]: below it the timers themselves are late.
pub const OVERLOAD_TARGET_MS_MIN: u64 = 5;
/// Endpoints tried for one request.
pub const ATTEMPTS_MAX: usize = 3;
/// Interim (1xx) responses taken from an upstream before the final one.
pub const INTERIM_MAX: usize = 16;
/// Ceiling of the connections of the whole process.
pub const CONNECTIONS_MAX: usize = 10_000_000;

/// Request bytes that one stream of HTTP/2 may send ahead of who reads them: what a client on a far line needs to be
/// fast.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 512 * 1024;
/// The same for all streams of one connection: what a client can make the gateway hold.
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Response bytes that one stream of an upstream may send ahead of who reads them: what each slow client costs beside its
/// own connection.
pub const HTTP2_UPSTREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Heads of interim responses that wait on one stream of an upstream, as multiples of the bound of one head.
pub const HTTP2_HEADS_WAITING_MAX: usize = 2;
/// Bytes that wait to be sent on one connection of HTTP/2; streams wait for room beyond it.
pub const HTTP2_OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// Bytes that one peer may send before the other tasks of its core have their turn: some hundred microseconds' work.
pub const HTTP2_BURST_BYTES: usize = 256 * 1024;
/// Bytes read and forgotten after a connection of HTTP/2 was ended for what its peer did: more would be a present.
pub const HTTP2_LINGER_BYTES_MAX: usize = 128 * 1024;
/// Requests that a client's connection of HTTP/2 may begin at once, of what has come together; the others take turns.
pub const HTTP2_BEGIN_FIRST: usize = 4;
/// Requests that all connections of one core begin in one turn beyond that: some hundred microseconds' work.
pub const HTTP2_BEGIN_PER_TURN: usize = 8;
/// Connections that begin those: each its part.
pub const HTTP2_BEGINNERS: usize = 2;
/// A request that announces a body waits so long for the beginning of it before it costs an upstream connection,
/// milliseconds: most bodies come right behind their heads.
pub const HTTP2_SILENCE_MS: u64 = 2;
/// Exchanges under way of one connection of HTTP/2 whose request announces a body of which nothing has come, while the
/// answer has not begun either: further ones are not begun before something comes.
pub const HTTP2_SILENT_MAX: usize = 16;
/// A frame counts as so many of them, whatever its length: a burst of small ones is no more work than one of large ones.
pub const HTTP2_FRAME_BYTES: usize = 128;
/// Frames that are taken at one go.
pub const HTTP2_FRAMES_MAX: usize = 256;
/// A request counts as so many of them.
pub const HTTP2_REQUEST_BYTES: usize = 512;
/// An answer that is given where the request is read counts as so many of them.
pub const HTTP2_ANSWER_BYTES: usize = 4 * 1024;
/// A field line counts as so many of them.
pub const HTTP2_LINE_BYTES: usize = 64;
/// How long a client may take to learn that a connection is about to end, milliseconds: requests that it sends meanwhile
/// are served.
pub const HTTP2_LEAVING_MS: u64 = 500;
/// Bytes that wait to be sent before they are sent in the middle of a batch.
pub const HTTP2_BATCH_BYTES: usize = 64 * 1024;

/// Bytes of the cache where the configuration does not say.
pub const CACHE_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;
/// Floor of the cache's bytes: below it a few flights would fill it.
pub const CACHE_BYTES_MIN: u64 = 1024 * 1024;
/// Body bytes of one stored object where the route does not say.
pub const OBJECT_BYTES_DEFAULT: u64 = 8 * 1024 * 1024;
/// Bytes of the fields of one stored answer.
pub const STORED_FIELDS_BYTES_MAX: usize = 32 * 1024;
/// Bytes of a request body that may be part of a key, where the route does not say.
pub const KEY_BODY_BYTES_DEFAULT: u64 = 1024 * 1024;
/// Ceiling of [`KEY_BODY_BYTES_DEFAULT`]: such a body is held while it is read.
pub const KEY_BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of a request body that rules of the firewall judge, where it does not say.
pub const WAF_BODY_BYTES_DEFAULT: u64 = 128 * 1024;
/// Ceiling of [`WAF_BODY_BYTES_DEFAULT`]: so much is held for each request that is judged.
pub const WAF_BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Requests that may wait for one answer, where the route does not say.
pub const WAITERS_DEFAULT: u32 = 10_000;
/// How long a request waits for the beginning of an answer that another one fetches, where the route does not say.
pub const WAIT_MS_DEFAULT: u64 = 60_000;
/// How long an answer that could not be stored keeps requests from merging, where the route does not say.
pub const HIT_FOR_MISS_MS_DEFAULT: u64 = 10_000;
/// Ceiling of the heuristic lifetime (RFC 9111 §4.2.2).
pub const HEURISTIC_MS_MAX: u64 = 24 * 3_600 * 1_000;
/// Ceiling of any lifetime: ten years. More would overflow nothing, but nobody means it.
pub const LIFETIME_MS_MAX: u64 = 10 * 365 * 24 * 3_600 * 1_000;
/// Body bytes in flight of an answer that is too large to be stored: what its slowest reader may be behind.
pub const UNSTORED_WINDOW_BYTES: u64 = 1024 * 1024;
/// Objects that a core's front holds at most.
pub const FRONT_OBJECTS_MAX: usize = 8_192;
/// Tags of one answer; more are not taken.
pub const TAGS_MAX: usize = 64;
/// How often live objects are written to the snapshot, where the configuration does not say.
pub const SNAPSHOT_INTERVAL_MS_DEFAULT: u64 = 300_000;
/// Wakes between cores that may wait for one core.
pub const WAKES_MAX: usize = 4_096;

/// Bytes of the table of all limits where the configuration does not say: four million keys.
pub const LIMITS_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// Floor of [`LIMITS_BYTES_DEFAULT`]: below it a few thousand keys push each other out.
pub const LIMITS_BYTES_MIN: u64 = 64 * 1024;
/// Limits that the requests of one route may have to pass.
pub const LIMITS_PER_ROUTE_MAX: usize = 28;
/// Limits that a caller's key may have beside them.
pub const LIMITS_PER_KEY_MAX: usize = 4;
/// Those of a route that count what is in flight; those of a key may all do so.
pub const IN_FLIGHT_LIMITS_MAX: usize = 4;
/// Requests that may wait for their time under one limit, where it does not say.
pub const WAITING_DEFAULT: u64 = 1_000;
/// Ceiling of how long such a request waits, milliseconds.
pub const DELAY_MS_MAX: u64 = 300_000;

const _: () = {
    assert!(LIMITS_PER_ROUTE_MAX + LIMITS_PER_KEY_MAX <= 32, "a receipt has a bit for each");
    assert!(IN_FLIGHT_LIMITS_MAX <= LIMITS_PER_ROUTE_MAX);
    assert!(LIMITS_BYTES_MIN <= LIMITS_BYTES_DEFAULT);
    assert!(HTTP2_STREAM_WINDOW_BYTES <= HTTP2_CONNECTION_WINDOW_BYTES);
    assert!(HTTP2_BATCH_BYTES < HTTP2_OUTPUT_BYTES_MAX);
    assert!(CACHE_BYTES_MIN <= CACHE_BYTES_DEFAULT);
    assert!(OBJECT_BYTES_DEFAULT < CACHE_BYTES_DEFAULT);
    assert!(KEY_BODY_BYTES_DEFAULT <= KEY_BODY_BYTES_MAX);
    assert!(WAF_BODY_BYTES_DEFAULT <= WAF_BODY_BYTES_MAX);
    assert!(HEAD_BYTES_MAX <= u16::MAX as usize, "spans in a head are 16 bits wide");
    assert!(HEAD_BYTES_DEFAULT <= HEAD_BYTES_MAX);
    assert!(REQUEST_LINE_BYTES_DEFAULT < HEAD_BYTES_DEFAULT);
    assert!(FIELDS_DEFAULT <= FIELDS_MAX);
    assert!(POOL_IDLE_DEFAULT <= POOL_IDLE_MAX);
    assert!(HTTP2_STREAMS_DEFAULT >= 100, "RFC 9113 §6.5.2: fewer would limit parallelism needlessly");
    assert!(HTTP2_STREAMS_DEFAULT <= HTTP2_STREAMS_MAX);
    assert!(HEAD_BYTES_MAX <= BUFFER_BYTES_LARGE, "a head fits one large buffer");
    assert!(BUFFER_BYTES < BUFFER_BYTES_LARGE);
    assert!(LINGER_SILENCE_MS <= LINGER_MS_MAX);
    assert!(COOL_DOWN_MS <= COOL_DOWN_MS_MAX);
    assert!(BURST_BYTES_MAX >= BUFFER_BYTES_LARGE);
    assert!(CHUNK_LINE_BYTES_MAX < BUFFER_BYTES, "a chunk line fits one buffer");
    assert!(TRAILER_BYTES_MAX < BUFFER_BYTES, "a trailer section fits one buffer");
    assert!(LOG_BATCHES_FREE_MAX <= LOG_BATCHES_MAX);
    assert!(LOG_TARGET_BYTES_MAX + 4 * LOG_FIELD_BYTES_MAX <= LOG_BATCH_BYTES, "a line fits one batch, escapes aside");
    assert!(CLIENT_CHECK_MS + SWEEP_MS < 1_000, "a client that left is noticed within a second");
};
