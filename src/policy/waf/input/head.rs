//! Phase 1: what the head of a request says.
//!
//! The head is copied once, whole; its parts are ranges of the copy. Nothing of it is decoded but the arguments of the
//! query (as ModSecurity: REQUEST_FILENAME and cookies stay as they came, rules transform them).

use super::super::model::Variable;
use super::arena::Copied;
use super::{COOKIES_MAX, Fault, HeadView, Input, Span, body, urlencoded};
use crate::h1::target::{authority, split_port, target_parts};
use crate::http::{self, FieldId, RequestHead};

/// See [`Input::read_head`].
pub(super) fn read(input: &mut Input, view: &HeadView<'_>) {
    let head = view.head;
    let copy = Copied::new(input.arena.push(&head.bytes));
    target(input, head, copy);
    request_line(input, head, copy);
    fields(input, head, copy);
    surroundings(input, view);
    for variable in [Variable::MultipartStrictError, Variable::MultipartUnmatchedBoundary, Variable::FilesCombinedSize]
    {
        let zero = input.arena.push(b"0");
        input.singles.set(variable, zero);
    }
    body::name_processor(input, None);
    input.state_fault();
    input.state_args_size();
}

fn place(copy: Copied, span: http::Span) -> Span {
    let start = usize::from(span.start);
    copy.span(start, start + usize::from(span.len))
}

/// Everything that the request target gives.
fn target(input: &mut Input, head: &RequestHead, copy: Copied) {
    let raw = place(copy, head.target_span);
    input.singles.set(Variable::RequestUriRaw, raw);
    let parts = target_parts(head);
    let query_bytes = parts.query.map_or(0, |query| query.len() + 1);
    // Path and query are the end of the target, but for an absolute form without a path.
    let uri_bytes = parts.path.len() + query_bytes;
    let target = head.target();
    let whole = Span { start: raw.end.saturating_sub(uri_bytes as u32).max(raw.start), end: raw.end };
    let (uri, path) =
        if target.ends_with(parts.query.unwrap_or(parts.path)) && input.bytes(whole).starts_with(parts.path) {
            (whole, Span { start: whole.start, end: whole.start + parts.path.len() as u32 })
        } else {
            let start = input.arena.end();
            let path = input.arena.push(parts.path);
            if let Some(query) = parts.query {
                input.arena.push_byte(b'?');
                input.arena.push(query);
            }
            (input.arena.since(start), path)
        };
    input.singles.set(Variable::RequestUri, uri);
    input.singles.set(Variable::RequestFilename, path);
    let base = parts.path.iter().rposition(|byte| matches!(byte, b'/' | b'\\')).map_or(0, |at| at + 1);
    input.singles.set(Variable::RequestBasename, Span { start: path.start + base as u32, end: path.end });
    let query = Span { start: uri.end - query_bytes.saturating_sub(1) as u32, end: uri.end };
    input.singles.set(Variable::QueryString, query);
    urlencoded::read(input, parts.query.unwrap_or_default(), Copied::new(query));
    input.args_get = input.args.len();
}

/// REQUEST_LINE, REQUEST_METHOD, REQUEST_PROTOCOL.
fn request_line(input: &mut Input, head: &RequestHead, copy: Copied) {
    let method = place(copy, head.method_span);
    input.singles.set(Variable::RequestMethod, method);
    let start = input.arena.end();
    input.arena.push(head.method_text());
    input.arena.push_byte(b' ');
    input.arena.push(head.target());
    input.arena.push_byte(b' ');
    let protocol = input.arena.push(head.version.name().as_bytes());
    input.singles.set(Variable::RequestLine, input.arena.since(start));
    input.singles.set(Variable::RequestProtocol, protocol);
}

/// Fields and cookies.
fn fields(input: &mut Input, head: &RequestHead, copy: Copied) {
    for field in &head.fields {
        let value = place(copy, field.value);
        input.headers.push(place(copy, field.name), value);
        match field.id {
            FieldId::Cookie => cookies(input, field.value.of(&head.bytes), Copied::new(value)),
            FieldId::ContentType if input.content_type.is_empty() => input.content_type = value,
            // Who reads the body depends on which of them is believed.
            FieldId::ContentType => input.fail(Fault::ContentTypeTwice),
            _ => {}
        }
    }
}

/// The cookies of one field: `name=value`, divided by `;`, blanks in front of names left out.
fn cookies(input: &mut Input, text: &[u8], copy: Copied) {
    let mut at = 0;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        at += rest.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(rest.len());
        let rest = text.get(at..).unwrap_or_default();
        // The last one that is taken holds what is left, so that nothing goes unseen.
        let is_last = input.cookies.len() + 1 >= COOKIES_MAX;
        let len = if is_last { rest.len() } else { memchr::memchr(b';', rest).unwrap_or(rest.len()) };
        let pair = rest.get(..len).unwrap_or_default();
        if !pair.is_empty() {
            let name = memchr::memchr(b'=', pair).unwrap_or(len);
            let value = copy.span(at + (name + 1).min(len), at + len);
            input.cookies.push(copy.span(at, at + name), value);
        }
        at += len + 1;
    }
}

/// What does not stand in the head.
fn surroundings(input: &mut Input, view: &HeadView<'_>) {
    let Input { arena, singles, .. } = input;
    let name = split_port(authority(view.head)).0;
    singles.set(Variable::ServerName, arena.push(name));
    singles.set(Variable::RemoteAddr, arena.push_display(view.client.ip().to_canonical()));
    singles.set(Variable::RemotePort, arena.push_number(u64::from(view.client.port())));
    if let Some(server) = view.server {
        singles.set(Variable::ServerAddr, arena.push_display(server.ip().to_canonical()));
        singles.set(Variable::ServerPort, arena.push_number(u64::from(server.port())));
    }
    singles.set(Variable::TimeEpoch, arena.push_number(view.unix_ms / 1_000));
    singles.set(Variable::UniqueId, arena.push(view.request_id));
}
