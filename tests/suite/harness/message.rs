//! Messages as the tests see them: heads, fields and bodies, read strictly.
//!
//! The reader here shares no code with the gateway. It refuses whatever RFC 9112 does not allow in a message that the
//! gateway wrote, so that a sloppy gateway fails the test that looks at something else.

/// How a connection ended, seen from the reading side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed in order (FIN, or close_notify on TLS).
    Closed,
    /// The peer reset the connection, or TLS ended without close_notify.
    Reset,
    /// Nothing came within the time a test waits.
    Silent,
}

/// Start line and fields of a message, as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub start: String,
    pub fields: Vec<(String, String)>,
    pub raw: Vec<u8>,
}

impl Head {
    /// Reads a head that ends in an empty line. The error says what a strict reader refuses.
    pub fn parse(raw: &[u8]) -> Result<Self, String> {
        let text: String = raw.iter().map(|&b| char::from(b)).collect();
        let inner = text.strip_suffix("\r\n\r\n").ok_or("the head does not end in an empty line")?;
        let mut lines = inner.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let fields = lines.map(parse_field).collect::<Result<Vec<_>, _>>()?;
        if inner.replace("\r\n", "").contains(['\r', '\n', '\0']) {
            return Err(format!("bare CR, LF or NUL in the head: {inner:?}"));
        }
        Ok(Self { start, fields, raw: raw.to_vec() })
    }

    /// All values of a field, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    /// The value of a field that may stand once only.
    #[track_caller]
    pub fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} stands {} times in {:?}", all.len(), self.fields);
        all.first().copied()
    }

    /// Whether a comma-separated field holds this token.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).iter().flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    /// Length of the body by the fields alone: `Chunked`, `Length`, or `None` where neither is said.
    pub fn framing(&self) -> Result<Framing, String> {
        let (length, coding) = (self.all("content-length"), self.all("transfer-encoding"));
        match (length.as_slice(), coding.as_slice()) {
            ([], []) => Ok(Framing::Unsaid),
            ([], [one]) if one.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
            ([one], []) if !one.is_empty() && one.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(Framing::Length(one.parse().map_err(|_| format!("content-length {one}"))?))
            }
            _ => Err(format!("ambiguous framing: content-length {length:?}, transfer-encoding {coding:?}")),
        }
    }
}

/// What the fields say about the length of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Unsaid,
    Length(usize),
    Chunked,
}

/// One field line without its CRLF.
pub fn parse_field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("field line without a colon: {line:?}"))?;
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(format!("bad field name {name:?}"));
    }
    if value.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f) {
        return Err(format!("control byte in the value of {name}: {value:?}"));
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

/// RFC 9110 §5.6.2: tchar.
pub fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// A body as it came, with the borders of its chunks and its trailers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    pub bytes: Vec<u8>,
    pub chunks: Vec<Vec<u8>>,
    pub trailers: Vec<(String, String)>,
    /// Set when the connection ended before the body did.
    pub cut: Option<End>,
}

/// A request as the origin got it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub version: String,
    pub head: Head,
    pub body: Body,
}

impl Request {
    /// The request of a head; its body is read later.
    #[track_caller]
    pub fn of(head: Head) -> Self {
        let parts: Vec<&str> = head.start.split(' ').collect();
        let [method, target, version] = parts[..] else { panic!("request line {:?}", head.start) };
        let (method, target, version) = (method.to_owned(), target.to_owned(), version.to_owned());
        Self { method, target, version, head, body: Body::default() }
    }

    /// The value of a field that may stand once only.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.one(name)
    }

    /// `METHOD target body`, the body left out when it is empty: how tables name a request.
    pub fn brief(&self) -> String {
        let body = String::from_utf8_lossy(&self.body.bytes);
        let line = format!("{} {} {body}", self.method, self.target);
        line.trim_end().to_owned()
    }
}

/// A response as the client got it.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub version: String,
    pub head: Head,
    pub body: Body,
}

impl Response {
    /// The response of a head; its body is read later.
    #[track_caller]
    pub fn of(head: Head) -> Self {
        let mut parts = head.start.splitn(3, ' ');
        let version = parts.next().unwrap_or_default().to_owned();
        let code = parts.next().unwrap_or_default();
        assert!(version == "HTTP/1.1" || version == "HTTP/1.0", "status line {:?}", head.start);
        assert!(parts.next().is_some(), "no space after the status code in {:?} (RFC 9112 §4)", head.start);
        let status = code.parse().unwrap_or_else(|_| panic!("status line {:?}", head.start));
        Self { status, version, head, body: Body::default() }
    }

    /// The value of a field that may stand once only.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.one(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.bytes).into_owned()
    }

    /// Whether the sender said that this is the last answer on the connection.
    pub fn says_close(&self) -> bool {
        self.head.has_token("connection", "close")
            || (self.version == "HTTP/1.0" && !self.head.has_token("connection", "keep-alive"))
    }

    /// Asserts that this is an answer made by the gateway itself: JSON shape, type, request id.
    #[track_caller]
    pub fn assert_failure(&self, status: u16) -> &Self {
        let text = self.text();
        assert_eq!(self.status, status, "{:?} {text}", self.head);
        assert_eq!(self.field("content-type"), Some("application/json"), "{:?}", self.head);
        let json: serde_json::Value = serde_json::from_slice(&self.body.bytes).expect("a failure body is JSON");
        let part = |name: &str| json["error"][name].as_str().unwrap_or_default().to_owned();
        assert!(!part("type").is_empty() && !part("message").is_empty(), "{text}");
        assert_eq!(self.field("x-request-id"), Some(part("request_id").as_str()), "{text}");
        self
    }
}
