//! Messages as this house writes them for the text side of a stream, with what they mean, so that it can be compared.

use super::message::Fields;
use super::program::{Choices, pattern};

/// One message on its way into a stream.
#[derive(Clone, Default)]
pub struct Outgoing {
    /// Heads that are still to be written, the next one last; each goes in whole.
    heads: Vec<Vec<u8>>,
    /// Text of the body that is still to be written.
    text: Vec<u8>,
    at: usize,
    /// Only the end of the stream ends it.
    pub until_close: bool,
    pub is_head: bool,
    pub websocket: bool,
    /// What it means: fields that the other side must see, body, trailers; status of a response.
    pub status: u16,
    pub fields: Fields,
    pub body: Vec<u8>,
    pub trailers: Fields,
}

impl Outgoing {
    /// A request with a number in its path; `choice` says of which kind.
    pub fn request(choices: &mut Choices<'_>, number: usize) -> Self {
        let kind = choices.below(8);
        let mut message = Self { is_head: kind == 3, websocket: kind == 4, until_close: kind == 4, ..Self::default() };
        let method = match kind {
            1 | 2 | 6 => "POST",
            3 => "HEAD",
            _ => "GET",
        };
        message.field("x-number", &number.to_string());
        let mut head = format!("{method} /{number} HTTP/1.1\r\nHost: a\r\n");
        match kind {
            4 => head.push_str(
                "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            ),
            5 => message.many_fields(choices),
            _ => {}
        }
        message.frame(choices, head, if kind == 4 { 3 } else { kind }, number);
        message
    }

    /// A response to a request of that kind; the number seeds its body.
    pub fn response(choices: &mut Choices<'_>, number: usize, is_head: bool, websocket: bool) -> Self {
        let kind = choices.below(8);
        let status = match kind {
            _ if websocket => 101,
            3 => 204,
            4 => 304,
            7 => 500,
            _ => 200,
        };
        let mut message = Self { status, is_head, websocket, ..Self::default() };
        message.field("x-answer", &number.to_string());
        match kind {
            5 => message.many_fields(choices),
            6 => message.heads.push(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_vec()),
            _ => {}
        }
        let head = format!("HTTP/1.1 {status} Whatever\r\nServer: Z\r\n");
        message.until_close = websocket || (kind == 7 && !is_head);
        let framing = if message.until_close || matches!(status, 204 | 304) { 3 } else { kind };
        let head = if websocket { head + "Upgrade: websocket\r\nConnection: upgrade\r\n" } else { head };
        message.frame(choices, head, framing, number);
        message
    }

    fn field(&mut self, name: &str, value: &str) {
        self.fields.push((name.to_owned(), value.as_bytes().to_vec()));
    }

    /// So many that a block takes more than one frame.
    fn many_fields(&mut self, choices: &mut Choices<'_>) {
        let bytes = choices.word() % 700;
        for nth in 0..40 {
            self.field(&format!("x-{nth}"), &"v".repeat(bytes));
        }
    }

    /// Puts the head together with its framing: `kind` 2 = chunked, 3 = no body by itself, else a length where it has one.
    fn frame(&mut self, choices: &mut Choices<'_>, mut head: String, kind: usize, seed: usize) {
        let is_request = self.status == 0;
        let has_body = self.until_close || !(matches!(kind, 3) || (is_request && !matches!(kind, 1 | 2 | 6)));
        self.body = pattern(seed, if has_body { choices.size() } else { 0 }).collect();
        for (name, value) in &self.fields {
            // Names of any case go in, and come out in lower case.
            head.push_str(&format!("{}: {}\r\n", name.to_uppercase(), String::from_utf8_lossy(value)));
        }
        match kind {
            2 => {
                head.push_str("Transfer-Encoding: chunked\r\n");
                self.chunk(choices);
            }
            _ if self.until_close || !has_body => {}
            _ => {
                head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
                self.text = self.body.clone();
            }
        }
        if self.until_close {
            self.text = self.body.clone();
        }
        if self.is_head && !is_request {
            (self.body, self.text, self.trailers) = Default::default();
        }
        self.heads.insert(0, (head + "\r\n").into_bytes());
    }

    fn chunk(&mut self, choices: &mut Choices<'_>) {
        let size = choices.word() % 9_000 + 1 + self.body.len() / 200;
        for chunk in self.body.chunks(size) {
            self.text.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
            self.text.extend_from_slice(chunk);
            self.text.extend_from_slice(b"\r\n");
        }
        self.text.extend_from_slice(b"0\r\n");
        match choices.below(4) {
            0 => {
                self.text.extend_from_slice(b"X-Sum: 1\r\nX-End:  b \r\n");
                self.trailers = vec![("x-sum".into(), b"1".to_vec()), ("x-end".into(), b"b".to_vec())];
            }
            // Nothing that may pass.
            1 => self.text.extend_from_slice(b"Content-Length: 5\r\n"),
            _ => {}
        }
        self.text.extend_from_slice(b"\r\n");
    }

    /// Whether all text was written.
    pub fn is_written(&self) -> bool {
        self.heads.is_empty() && self.at == self.text.len()
    }

    /// The next piece: heads go in whole, with some of the body behind the last one.
    pub fn piece(&self, most: usize) -> Vec<u8> {
        let mut piece = self.heads.last().cloned().unwrap_or_default();
        if self.heads.len() < 2 {
            piece.extend_from_slice(&self.text[self.at..self.text.len().min(self.at.saturating_add(most))]);
        }
        piece
    }

    /// So much of the last piece was taken.
    pub fn taken(&mut self, bytes: usize) {
        let head_bytes = self.heads.last().map_or(0, Vec::len);
        assert!(bytes == 0 || bytes >= head_bytes, "heads go in whole");
        if bytes > 0 {
            self.heads.pop();
            self.at += bytes - head_bytes;
        }
    }
}
