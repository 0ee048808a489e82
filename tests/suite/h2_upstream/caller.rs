//! A client of either version, for tests that must hold whichever the client speaks.

use super::super::h2::frames::*;
use super::super::harness::*;

/// A client of the gateway on a connection of its own.
pub enum Caller {
    H1(Connection),
    H2 { h2: Box<H2>, next: u32 },
}

/// An answer, whichever version it came in. Names of fields are in lower case.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub status: u16,
    pub interim: Vec<u16>,
    pub fields: Fields,
    pub body: Vec<u8>,
    pub trailers: Fields,
    /// It ended before it was whole.
    pub is_cut: bool,
}

impl Told {
    /// The value of a field that may stand once only.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        fields::one(&self.fields, name)
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Status and text of an answer that is whole.
    #[track_caller]
    pub fn whole(&self) -> (u16, String) {
        assert!(!self.is_cut, "{self:?}");
        (self.status, self.text())
    }

    /// Asserts that this is an answer made by the gateway itself.
    #[track_caller]
    pub fn assert_failure(&self, status: u16) {
        assert_eq!(self.whole().0, status, "{self:?}");
        assert_eq!(self.field("content-type"), Some("application/json"), "{self:?}");
        let json: serde_json::Value = serde_json::from_slice(&self.body).expect("a failure body is JSON");
        assert_eq!(json["error"]["request_id"].as_str(), self.field("x-request-id"), "{self:?}");
    }

    /// Asserts that the answer was cut, or that the gateway says what failed: never a whole answer.
    #[track_caller]
    pub fn assert_cut_or_502(&self) {
        assert!(self.is_cut || self.status == 502, "{self:?}");
    }
}

fn lower(fields: &[(String, String)]) -> Fields {
    fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
}

impl Caller {
    /// A client of HTTP/1.1.
    #[track_caller]
    pub fn h1(gateway: &Gateway) -> Self {
        Self::H1(gateway.client())
    }

    /// A client of HTTP/2, in clear, that opens its windows as bytes come.
    #[track_caller]
    pub fn h2(gateway: &Gateway) -> Self {
        let mut h2 = H2::connect(gateway);
        h2.updates = true;
        Self::H2 { h2: Box::new(h2), next: 1 }
    }

    /// One of each.
    #[track_caller]
    pub fn both(gateway: &Gateway) -> [Self; 2] {
        [Self::h1(gateway), Self::h2(gateway)]
    }

    /// Sends a whole request.
    #[track_caller]
    pub fn ask(&mut self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) {
        let bare = matches!(method, "GET" | "HEAD") && body.is_empty();
        match self {
            Self::H1(client) => {
                let mut text = format!("{method} {path} HTTP/1.1\r\nHost: t\r\n");
                fields.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
                if !bare {
                    text.push_str(&format!("Content-Length: {}\r\n", body.len()));
                }
                client.send([text.as_bytes(), b"\r\n", body].concat());
            }
            Self::H2 { h2, next } => {
                let stream = *next;
                *next += 2;
                let length = body.len().to_string();
                // RFC 9113 §8.2.1: names are in lower case.
                let names: Vec<String> = fields.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
                let mut all: Vec<(&str, &str)> = names.iter().zip(fields).map(|(name, (_, v))| (&**name, *v)).collect();
                if !bare {
                    all.push(("content-length", &length));
                }
                h2.request(stream, method, path, &all, body.is_empty());
                if !body.is_empty() {
                    h2.body(stream, body, true);
                }
            }
        }
    }

    /// Sends a GET.
    #[track_caller]
    pub fn get(&mut self, path: &str) {
        self.ask("GET", path, &[], b"");
    }

    /// Sends a POST.
    #[track_caller]
    pub fn post(&mut self, path: &str, body: &str) {
        self.ask("POST", path, &[], body.as_bytes());
    }

    /// The stream of the request sent last, of a client of HTTP/2.
    fn last(next: u32) -> u32 {
        next - 2
    }

    /// The answer to the request sent last, interim ones included.
    #[track_caller]
    pub fn told(&mut self) -> Told {
        self.told_of("GET")
    }

    /// The same for a request with this method.
    #[track_caller]
    pub fn told_of(&mut self, method: &str) -> Told {
        match self {
            Self::H1(client) => {
                let mut interim = Vec::new();
                let head = loop {
                    let head = match client.try_head() {
                        Ok(head) => Response::of(head),
                        Err(End::Silent) => panic!("no answer in time"),
                        Err(_) => return Told { is_cut: true, interim, ..Told::default() },
                    };
                    if head.status >= 200 || head.status == 101 {
                        break head;
                    }
                    interim.push(head.status);
                };
                let Response { status, head, body, .. } = client.finish_response(head, method == "HEAD");
                let (fields, trailers) = (lower(&head.fields), lower(&body.trailers));
                assert_ne!(body.cut, Some(End::Silent), "the answer neither goes on nor ends");
                Told { status, interim, fields, trailers, is_cut: body.cut.is_some(), body: body.bytes }
            }
            Self::H2 { h2, next } => {
                let message = h2.message(Self::last(*next));
                assert_ne!(message.ending, Ending::Cut(End::Silent), "no end of the answer in time: {message:?}");
                Told {
                    status: message.status(),
                    interim: message.interim_statuses(),
                    is_cut: message.ending != Ending::Whole,
                    fields: message.fields,
                    body: message.body,
                    trailers: message.trailers.unwrap_or_default(),
                }
            }
        }
    }

    /// A whole GET and its answer.
    #[track_caller]
    pub fn fetch(&mut self, path: &str) -> Told {
        self.get(path);
        self.told()
    }

    /// A GET that this played origin answers; the text of the answer.
    #[track_caller]
    pub fn ask_through(&mut self, peer: &mut H2) -> String {
        self.get("/through");
        let request = super::origin::whole_request(peer);
        assert_eq!(request.field(":path"), Some("/through"));
        peer.answer(request.stream, 200, "through");
        self.told().whole().1
    }

    /// The head of the answer to the request sent last, its body left unread; the status.
    #[track_caller]
    pub fn told_head(&mut self) -> u16 {
        match self {
            Self::H1(client) => client.read_response_head().status,
            Self::H2 { h2, next } => {
                let head = h2.head(Self::last(*next));
                fields::one(&head, ":status").and_then(|status| status.parse().ok()).expect("a status")
            }
        }
    }

    /// The next piece of a body without a length, whose head was read.
    #[track_caller]
    pub fn piece(&mut self) -> Vec<u8> {
        match self {
            Self::H1(client) => client.next_chunk(&mut Body::default()).expect("the body goes on").unwrap_or_default(),
            Self::H2 { h2, next } => h2.next_data(Self::last(*next)).0,
        }
    }

    /// The rest of a body without a length, whose head was read: its bytes, and whether it was cut.
    #[track_caller]
    pub fn rest(&mut self) -> (Vec<u8>, bool) {
        match self {
            Self::H1(client) => {
                let body = client.body(Framing::Chunked, false);
                assert_ne!(body.cut, Some(End::Silent), "the answer neither goes on nor ends");
                (body.bytes, body.cut.is_some())
            }
            Self::H2 { h2, next } => {
                let message = super::origin::rest_of(h2, Self::last(*next));
                assert_ne!(message.ending, Ending::Cut(End::Silent), "no end of the answer in time");
                (message.body, message.ending != Ending::Whole)
            }
        }
    }

    /// Gives the request up: a client of HTTP/1.1 by closing, one of HTTP/2 by RST_STREAM (its connection is returned).
    #[track_caller]
    pub fn leave(self) -> Option<Self> {
        match self {
            Self::H1(client) => {
                drop(client);
                None
            }
            Self::H2 { mut h2, next } => {
                h2.send(Frame::reset(Self::last(next), CANCEL));
                Some(Self::H2 { h2, next })
            }
        }
    }
}
