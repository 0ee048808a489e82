//! One exchange: the client's side of it, its clock, and what the log will say.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::core::Core;
use super::failure::Failure;
use super::in_flight::HeldBytes;
use super::route::Route;
use super::service::Service;
use crate::base::clock;
use crate::cache::cache_status::Status;
use crate::h1::{BodyDecoder, BodyLength, RequestFraming};
use crate::http::{FieldId, RequestHead};
use crate::net::{Input, Stream, Timer};
use crate::policy::limit::{Limit, Receipt, Seats};
use crate::stats::CacheOutcome;

/// The other end of a downstream connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Who speaks: the socket's peer, or whom the PROXY protocol names.
    pub address: SocketAddr,
    /// The socket's peer.
    pub socket: SocketAddr,
    pub tls: bool,
}

/// The client's side of one exchange, as the connection hands it over.
pub struct Client<'a> {
    pub stream: &'a Stream,
    pub head: &'a RequestHead,
    pub framing: RequestFraming,
    pub peer: Peer,
    pub timer: &'a Timer,
    pub body_ms: u64,
    pub send_ms: u64,
    /// The body, until a step takes it.
    pub body: Option<RequestBody<'a>>,
    pub progress: &'a Progress,
    /// When the first byte of the request was there, microseconds.
    pub started_us: u64,
}

/// Where the body of a request comes from.
pub struct RequestBody<'a> {
    pub input: &'a mut Input,
    pub decoder: BodyDecoder,
    /// What was read of it already, framing taken off: it comes before what the decoder still gives.
    pub read: Vec<u8>,
}

impl RequestBody<'_> {
    /// Bytes of the body that need not be waited for, of a body whose framing is a length.
    pub fn at_hand(&self) -> &[u8] {
        if self.read.is_empty() { self.input.unread() } else { &self.read }
    }

    /// Marks the whole body, which was at hand, as done with.
    pub fn consume(&mut self, length: usize) {
        if self.read.is_empty() {
            self.input.consume(length);
        } else {
            self.read = Vec::new();
        }
    }
}

/// What both directions of an exchange know of each other. Lives as long as the exchange.
#[derive(Default)]
pub struct Progress {
    /// The whole request body was read.
    pub body_read: Cell<bool>,
    /// A byte of the final response went out: too late for `100 Continue`.
    pub response_begun: Cell<bool>,
    /// The upstream asked for the body (only where the expectation is forwarded).
    pub body_wanted: Cell<bool>,
    pub body_bytes: Cell<u64>,
    /// Bytes of the body that the gateway holds at a time.
    pub held: HeldBytes,
}

/// Bytes of the longest request id that is taken over.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// What identifies an exchange in logs, in fields and in error bodies: letters, digits and `-_.:/+=@`, so that it needs
/// no escaping anywhere.
#[derive(Clone, Copy)]
pub struct RequestId {
    bytes: [u8; REQUEST_ID_BYTES_MAX],
    len: usize,
}

impl RequestId {
    /// The id a trusted peer sent, or a new one of 128 random bits in hex.
    pub fn of(head: &RequestHead, trusted: bool, core: &Core) -> Self {
        let given = if trusted { head.find(FieldId::XRequestId) } else { None };
        given.and_then(Self::taken_over).unwrap_or_else(|| Self::made(core))
    }

    fn taken_over(given: &[u8]) -> Option<Self> {
        let fits = (1..=REQUEST_ID_BYTES_MAX).contains(&given.len());
        if !fits || !given.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(b)) {
            return None;
        }
        let mut bytes = [0; REQUEST_ID_BYTES_MAX];
        bytes.get_mut(..given.len())?.copy_from_slice(given);
        Some(Self { bytes, len: given.len() })
    }

    fn made(core: &Core) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut bytes = [0; REQUEST_ID_BYTES_MAX];
        for half in bytes[..32].chunks_exact_mut(16) {
            let mut random = core.random.next_u64();
            for digit in half {
                *digit = HEX[(random & 15) as usize];
                random >>= 4;
            }
        }
        Self { bytes, len: 32 }
    }

    /// Its text.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What the cache did for an exchange.
#[derive(Clone, Copy, Debug)]
pub struct CacheNote {
    pub outcome: CacheOutcome,
    /// For the Cache-Status field.
    pub status: Status,
    /// Name of the reason, for log and Cache-Status.
    pub detail: Option<&'static str>,
}

/// What a refusal of the screen says beyond its reason.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    /// In place of the reason's own.
    pub status: Option<u16>,
    /// In place of the reason's own.
    pub message: Option<Box<str>>,
    pub retry_after_s: Option<u64>,
    /// Further fields of the response: names, and values that are field values.
    pub fields: Vec<(&'static str, String)>,
}

/// What the log says of a rule that matched; values never.
#[derive(Clone, Debug)]
pub struct RuleNote {
    pub id: u64,
    pub message: Box<str>,
    /// Name of the variable, such as `ARGS:prompt`.
    pub variable: Box<str>,
}

/// What is known of an exchange while it runs; becomes its log line and its counters.
pub struct Exchange<'s> {
    pub request_id: RequestId,
    /// Whether the peer's word about the client is believed.
    pub trusted: bool,
    /// Whose limits and access rules count, and what the log shows: the peer's, or whom a trusted peer names.
    pub address: IpAddr,
    pub started_us: u64,
    pub upstream_started_us: Option<u64>,
    pub upstream_ended_us: Option<u64>,
    pub first_byte_us: Option<u64>,
    /// Status sent, or 499; 0 until it is known.
    pub status: u16,
    /// Body bytes sent to the client, framing not counted.
    pub bytes_sent: u64,
    pub failure: Option<Failure>,
    /// What the screen adds to the failure it ended in.
    pub refusal: Option<Box<Refusal>>,
    /// The name of the key that asks, where the route knows keys.
    pub caller: Option<&'s str>,
    /// The limits that count for that key beside those of the route.
    pub caller_limits: &'s [Arc<Limit>],
    /// The rule of the firewall that matched, where one did.
    pub rule: Option<Box<RuleNote>>,
    /// How many matches of rules are counted already.
    pub rules_counted: usize,
    /// Counts of requests in flight that this one is in, until it ends.
    pub seats: Seats<'s>,
    /// What a request that is answered at once was charged to.
    pub receipt: Receipt,
    /// Borrowed: counting references to what all cores share would make them wait for each other.
    pub route: Option<&'s Route>,
    pub upstream: Option<&'s str>,
    /// What the cache did, where the route has one.
    pub cache: Option<CacheNote>,
    /// The key under which a mark let this request pass.
    pub marked: Option<Box<[u8]>>,
    pub endpoint: Option<SocketAddr>,
    /// The head of the response as it was sent, where the log shows a part of it.
    pub response_head: Option<Box<[u8]>>,
}

impl Exchange<'_> {
    /// The exchange as it begins.
    pub fn begin(core: &Core, service: &Service, client: &Client<'_>) -> Self {
        // Behind a PROXY header both must be believed: who wrote it and whom it names.
        let trusted = service.trusts(client.peer.address.ip()) && service.trusts(client.peer.socket.ip());
        let address = if trusted { service.client_address(client.head, client.peer.ip()) } else { client.peer.ip() };
        Self::bare(RequestId::of(client.head, trusted, core), trusted, address, client.started_us)
    }

    /// An exchange whose request was never understood.
    pub fn bare(request_id: RequestId, trusted: bool, address: IpAddr, started_us: u64) -> Self {
        Self {
            request_id,
            trusted,
            address,
            started_us,
            upstream_started_us: None,
            upstream_ended_us: None,
            first_byte_us: None,
            status: 0,
            bytes_sent: 0,
            failure: None,
            refusal: None,
            caller: None,
            caller_limits: &[],
            rule: None,
            rules_counted: 0,
            seats: Seats::default(),
            receipt: Receipt::default(),
            route: None,
            upstream: None,
            cache: None,
            marked: None,
            endpoint: None,
            response_head: None,
        }
    }

    /// Notes the head of the response for a log that shows a part of it.
    pub fn note_head(&mut self, core: &Core, head: &[u8]) {
        if core.log.wants_response_head() {
            self.response_head = Some(head.into());
        }
    }

    /// Notes the moment of the first byte of the response, once.
    pub fn first_byte(&mut self) {
        if self.first_byte_us.is_none() {
            self.first_byte_us = Some(clock::now_us());
        }
    }
}

impl Peer {
    /// The client's address without an IPv4-in-IPv6 wrapping.
    pub fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }

    /// The scheme the client used.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

impl Client<'_> {
    /// The whole body, where no byte of it is to be waited for; empty where there is none.
    pub fn whole_body(&self) -> Option<&[u8]> {
        match (self.framing.body, &self.body) {
            (BodyLength::None, _) | (_, None) => Some(&[]),
            (BodyLength::Length(length), Some(body)) => body.at_hand().get(..usize::try_from(length).ok()?),
            _ => None,
        }
    }

    /// Whether the client understands chunked bodies and interim responses.
    pub fn is_modern(&self) -> bool {
        self.head.version.is_modern()
    }
}
