//! Server side: the text of a response head, as `proxy` writes it for everybody, becomes a field block.
//!
//! On the path of every answer, a cached one above all: one pass, nothing allocated.

use super::body_text::TextBody;
use super::check;
use super::lines::{BadText, Framing, Lines};
use crate::h2::hpack::Encoder;
use crate::http::FieldId;

/// What a response text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseShape {
    /// Bytes of the text that are the head.
    pub head_bytes: usize,
    /// The status of the text: 101 where the block says 200.
    pub status: u16,
    /// What follows the head in the text.
    pub body: TextBody,
    /// The text was `101 Switching Protocols`: the block says 200 and the stream is a tunnel (RFC 8441 §5).
    pub switched: bool,
}

/// The status that a response text begins with. On a stream of an extended CONNECT any 2xx would open the tunnel
/// (RFC 8441 §5), so that its owner looks before it encodes: there only 101 may become a success.
#[inline]
pub fn status_of(text: &[u8]) -> Option<u16> {
    let [a, b, c] = *text.strip_prefix(b"HTTP/1.1 ")?.first_chunk::<3>()?;
    let ends = matches!(text.get(12), Some(b' ' | b'\r'));
    let digits = a.is_ascii_digit() && b.is_ascii_digit() && c.is_ascii_digit();
    (ends && digits).then(|| u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
}

/// Appends the block of the response whose head stands at the front of `text`; body bytes may follow it.
///
/// Fields that belong to a connection of HTTP/1.1 are left out, names become lower case (RFC 9113 §8.2).
///
/// # Errors
/// Text that this house does not write, or the beginning of a head. Lines before the fault are in the encoder's table
/// already: a connection whose block is not sent is of no use any more.
pub fn encode_response(
    encoder: &mut Encoder,
    text: &[u8],
    is_head_request: bool,
    block: &mut Vec<u8>,
) -> Result<ResponseShape, BadText> {
    let status = status_of(text).filter(|status| (100..=599).contains(status)).ok_or(BadText::StartLine)?;
    let switched = status == 101;
    let mut lines = Lines { rest: text };
    lines.start_line()?;
    encoder.begin(block);
    encoder.status(block, if switched { 200 } else { status });
    let mut framing = Framing::default();
    while let Some(line) = lines.field()? {
        match line.id {
            FieldId::TransferEncoding => {
                framing.take(&line)?;
                continue;
            }
            FieldId::ContentLength => {
                framing.take(&line)?;
                if switched {
                    continue;
                }
            }
            FieldId::Other if switched && line.name.eq_ignore_ascii_case(b"sec-websocket-accept") => continue,
            id if check::is_of_connection(id) => continue,
            _ => {}
        }
        encoder.field(block, line.id, line.name, line.value);
    }
    let bodiless = is_head_request || matches!(status, 100 | 102..=199 | 204 | 304);
    let body = match framing {
        _ if switched => TextBody::UntilClose,
        _ if bodiless => TextBody::None,
        Framing { chunked: true, .. } => TextBody::Chunked,
        Framing { length: Some(0), .. } => TextBody::None,
        Framing { length: Some(length), .. } => TextBody::Length(length),
        Framing { .. } => TextBody::UntilClose,
    };
    Ok(ResponseShape { head_bytes: text.len() - lines.rest.len(), status, body, switched })
}
