//! Client side: the text of a request head, as `proxy` writes it for an upstream, becomes a field block.
//!
//! Looks through the text twice: what the pseudo-fields say stands anywhere in it, and they come first.

use super::body_text::TextBody;
use super::check;
use super::lines::{BadText, Framing, Line, Lines};
use super::websocket::WebSocketAccept;
use crate::h2::hpack::Encoder;
use crate::http::FieldId;

/// What a request text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestText {
    /// Bytes of the text that are the head.
    pub head_bytes: usize,
    /// The method is HEAD.
    pub is_head: bool,
    /// What follows the head in the text; [`TextBody::None`] = END_STREAM goes with the block.
    pub body: TextBody,
    /// WebSocket was asked for: the block is an extended CONNECT (RFC 8441), and this is what the client expects in the
    /// answer.
    pub websocket: Option<WebSocketAccept>,
}

/// Appends the block of the request whose head stands at the front of `text`; body bytes may follow it. `scheme` is
/// `http` or `https`, whichever the connection is.
///
/// # Errors
/// Text that this house does not write, or the beginning of a head. The encoder was not touched then.
pub fn encode_request(
    encoder: &mut Encoder,
    text: &[u8],
    scheme: &'static [u8],
    block: &mut Vec<u8>,
) -> Result<RequestText, BadText> {
    let mut lines = Lines { rest: text };
    let (method, target) = request_line(lines.start_line().map_err(start_line_fault)?)?;
    let survey = Survey::of(lines)?;
    let websocket = survey.websocket_key(method);
    encoder.begin(block);
    if websocket.is_some() {
        encoder.pseudo(block, b":method", b"CONNECT");
        encoder.pseudo(block, b":protocol", b"websocket");
    } else {
        encoder.pseudo(block, b":method", method);
    }
    encoder.pseudo(block, b":scheme", scheme);
    // A route may remove Host; then there is no authority to name (RFC 9113 §8.3.1).
    if let Some(host) = survey.host.filter(|host| !host.is_empty()) {
        encoder.pseudo(block, b":authority", host);
    }
    encoder.pseudo(block, b":path", target);
    while let Some(line) = lines.field()? {
        match line.id {
            FieldId::Host | FieldId::Http2Settings => {}
            FieldId::Te => {
                if accepts_trailers(line.value) {
                    encoder.field(block, FieldId::Te, b"te", b"trailers");
                }
            }
            FieldId::Other if websocket.is_some() && is_key(&line) => {}
            id if check::is_of_connection(id) => {}
            id => encoder.field(block, id, line.name, line.value),
        }
    }
    Ok(RequestText {
        head_bytes: text.len() - lines.rest.len(),
        is_head: method == b"HEAD",
        body: if websocket.is_some() { TextBody::UntilClose } else { survey.body() },
        websocket: websocket.map(WebSocketAccept::of_key),
    })
}

/// What must be known before the first field of a block is written.
#[derive(Default)]
struct Survey<'t> {
    host: Option<&'t [u8]>,
    upgrade: bool,
    key: Option<&'t [u8]>,
    framing: Framing,
}

impl<'t> Survey<'t> {
    fn of(mut lines: Lines<'t>) -> Result<Self, BadText> {
        let mut survey = Self::default();
        while let Some(line) = lines.field()? {
            match line.id {
                FieldId::Host if survey.host.is_some() => return Err(BadText::FieldLine),
                FieldId::Host => survey.host = Some(line.value),
                FieldId::Upgrade => survey.upgrade |= line.value.eq_ignore_ascii_case(b"websocket"),
                FieldId::ContentLength | FieldId::TransferEncoding => survey.framing.take(&line)?,
                FieldId::Other if is_key(&line) => survey.key = Some(line.value),
                _ => {}
            }
        }
        Ok(survey)
    }

    /// The key of a request for WebSocket. Without a key there would be no answer that the client takes: such a request
    /// goes on as the GET that it is.
    fn websocket_key(&self, method: &[u8]) -> Option<&'t [u8]> {
        self.key.filter(|_| self.upgrade && method == b"GET" && self.body() == TextBody::None)
    }

    fn body(&self) -> TextBody {
        match self.framing {
            Framing { chunked: true, .. } => TextBody::Chunked,
            Framing { length: None | Some(0), .. } => TextBody::None,
            Framing { length: Some(length), .. } => TextBody::Length(length),
        }
    }
}

/// Method and target of a request line without its CRLF.
fn request_line(line: &[u8]) -> Result<(&[u8], &[u8]), BadText> {
    let line = line.strip_suffix(b" HTTP/1.1").ok_or(BadText::StartLine)?;
    let space = memchr::memchr(b' ', line).ok_or(BadText::StartLine)?;
    let (method, target) = line.split_at(space);
    let target = target.get(1..).unwrap_or_default();
    // What stands here was judged when it came, or is a rewritten path: a space or CR in it would end the target.
    if method.is_empty() || target.is_empty() || !check::is_visible(target) {
        return Err(BadText::StartLine);
    }
    Ok((method, target))
}

fn start_line_fault(fault: BadText) -> BadText {
    if fault == BadText::FieldLine { BadText::StartLine } else { fault }
}

fn is_key(line: &Line<'_>) -> bool {
    line.name.eq_ignore_ascii_case(b"sec-websocket-key")
}

fn accepts_trailers(te: &[u8]) -> bool {
    te.split(|b| *b == b',').any(|member| member.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}
