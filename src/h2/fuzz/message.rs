//! A reader of what comes out of a stream: text of heads and of a body becomes what was meant by it.
//!
//! Heads are read by httparse, a stranger to the writer of the text.

use crate::h2::message::{BodyText, TextBody};

/// Fields of a head or of trailers.
pub type Fields = Vec<(String, Vec<u8>)>;

/// One message as it comes out of a stream.
pub struct Incoming {
    /// Heads of interim responses, then that of the final one.
    pub heads: Vec<(u16, Fields)>,
    pub body: Vec<u8>,
    pub trailers: Fields,
    is_head: bool,
    text: Vec<u8>,
    framing: Option<BodyText>,
}

impl Incoming {
    /// The body of a request whose head came by itself.
    pub fn body(body: TextBody) -> Self {
        Self { framing: Some(BodyText::new(body)), ..Self::response(false) }
    }

    /// A response; `is_head` = the request was HEAD.
    pub fn response(is_head: bool) -> Self {
        let (heads, body, trailers) = (Vec::new(), Vec::new(), Vec::new());
        Self { heads, body, trailers, is_head, text: Vec::new(), framing: None }
    }

    /// Takes what was read.
    pub fn push(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
        while self.framing.is_none() && !self.text.is_empty() {
            if !self.head() {
                return;
            }
        }
        let Some(framing) = &mut self.framing else { return };
        let mut text = self.text.as_slice();
        while !text.is_empty() {
            let unframed =
                framing.next(text, usize::MAX).expect("text as this house writes it, and none behind the end");
            assert!(unframed.consumed > 0, "text is taken");
            self.body.extend_from_slice(unframed.data);
            text = &text[unframed.consumed..];
            if unframed.end {
                self.trailers = fields_of(&framing.take_trailers());
            }
        }
        self.text.clear();
    }

    /// Whether the message may end here.
    pub fn is_whole(&self) -> bool {
        self.text.is_empty() && self.framing.as_ref().is_some_and(BodyText::may_end)
    }

    /// Takes a head, where it is whole.
    fn head(&mut self) -> bool {
        let mut slots = [httparse::EMPTY_HEADER; 256];
        let mut response = httparse::Response::new(&mut slots);
        let parsed = response.parse(&self.text).expect("a head that others can read");
        let httparse::Status::Complete(bytes) = parsed else { return false };
        let status = response.code.expect("a status, because the head is complete");
        let fields: Fields = response.headers.iter().map(|f| (f.name.to_owned(), f.value.to_vec())).collect();
        are_clean(&fields);
        let find = |name| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let length = find("content-length").map(|value| String::from_utf8_lossy(&value).parse().expect("a length"));
        let chunked = find("transfer-encoding").is_some();
        assert!(length.is_none() || !chunked, "two framings");
        let body = match length {
            _ if self.is_head || status == 204 || status == 304 => TextBody::None,
            Some(length) => TextBody::Length(length),
            None if chunked => TextBody::Chunked,
            None => TextBody::UntilClose,
        };
        if !(100..200).contains(&status) || status == 101 {
            self.framing = Some(BodyText::new(body));
        }
        self.heads.push((status, fields));
        self.text.drain(..bytes);
        true
    }
}

/// Lines of text as fields.
pub fn fields_of(lines: &[u8]) -> Fields {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let fields: Fields = lines
        .map(|line| {
            let line = line.strip_suffix(b"\r").expect("CRLF");
            let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
            (String::from_utf8_lossy(&line[..colon]).into_owned(), line[colon + 1..].trim_ascii().to_vec())
        })
        .collect();
    are_clean(&fields);
    fields
}

/// Nothing in them can be read as the end of a line, and names are those of HTTP/2.
pub fn are_clean(fields: &Fields) {
    for (name, value) in fields {
        is_clean(name.as_bytes(), value);
    }
}

/// See [`are_clean`].
pub fn is_clean(name: &[u8], value: &[u8]) {
    assert!(!name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b':'), "name {name:?}");
    assert!(!name.iter().any(u8::is_ascii_uppercase), "lower case {name:?}");
    assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "value {value:?}");
    assert_eq!(value.trim_ascii(), value, "no blanks around");
}
