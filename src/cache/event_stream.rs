//! Whether a stream of events (WHATWG HTML §9.2, `text/event-stream`) came to its protocol's own end.
//!
//! Pure; memory is bounded: of a line only the first 256 bytes are looked at, of the data of an event too. A stream is
//! worth keeping when the origin itself said that it is complete: a transport that ends well says nothing about that.
//! When in doubt it says that a stream is unfinished or wrong: then it is passed on and not kept.

/// Bytes of a line, and of the data of an event, that are looked at.
const LOOK_BYTES: usize = 256;
/// Data that may be `[DONE]` and white space, and is certainly seen whole.
const DONE_BYTES_MAX: usize = 32;
/// RFC 3629: may stand once, at the very front.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a stream came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamVerdict {
    /// It said that it is over, and nothing but that came after.
    Ended,
    /// It just stopped, went on after its end, or its protocol has no end that could be seen.
    Unfinished,
    /// It said that something went wrong.
    Error,
}

/// Looks for the end of a stream of events while its bytes pass. About 600 bytes.
///
/// Ends are `data: [DONE]` (OpenAI chat completions and what speaks like it), `message_stop` (Anthropic messages) and
/// `response.completed` (OpenAI responses). Errors are events named `error`, `response.failed`, `response.incomplete`,
/// and data that is an object with a member `error` that is not null, or with such a name as its `type`.
#[derive(Clone, Debug, Default)]
pub struct StreamEnd {
    /// The beginning of a line that goes on in the next bytes.
    line: Look,
    /// A line feed at the front of the next bytes belongs to the line end before it.
    after_return: bool,
    /// The first line is behind us.
    has_begun: bool,
    event: Event,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    #[default]
    Going,
    Ended,
    /// Something came after the end: we did not understand this stream.
    Overrun,
    Failed,
}

/// The event whose lines are arriving.
#[derive(Clone, Debug, Default)]
struct Event {
    name: Name,
    data: Look,
    has_data: bool,
}

/// What is known of the name of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Name {
    #[default]
    None,
    End,
    Error,
    Other,
}

impl StreamEnd {
    /// Takes the next bytes of the body, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.after_return && !rest.is_empty() {
            self.after_return = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
            let (line, behind) = rest.split_at(end);
            if self.line.length == 0 {
                self.take_line(line);
            } else {
                self.line.append(line);
                let line = std::mem::take(&mut self.line);
                self.take_line(line.bytes());
            }
            rest = match behind {
                [b'\r', b'\n', behind @ ..] => behind,
                [b'\r'] => {
                    self.after_return = true;
                    return;
                }
                [_, behind @ ..] => behind,
                [] => behind,
            };
        }
        self.line.append(rest);
    }

    /// What the stream came to, if these were all its bytes.
    ///
    /// An event without the empty line behind it is none, as clients see it; but a `[DONE]` is the last word even when
    /// the stream was cut right behind it.
    pub fn verdict(&self) -> StreamVerdict {
        let mut last = self.clone();
        let line = std::mem::take(&mut last.line);
        if line.length > 0 {
            last.take_line(line.bytes());
        }
        if last.event.is_done() || last.event.is_error() {
            last.dispatch();
        } else if last.event.has_data && last.progress == Progress::Ended {
            last.progress = Progress::Overrun;
        }
        match last.progress {
            Progress::Ended => StreamVerdict::Ended,
            Progress::Failed => StreamVerdict::Error,
            Progress::Going | Progress::Overrun => StreamVerdict::Unfinished,
        }
    }

    /// Takes a line without its end, or the first [`LOOK_BYTES`] of it.
    fn take_line(&mut self, line: &[u8]) {
        // The same bytes whether they came in one piece or were kept.
        let mut line = line.get(..LOOK_BYTES).unwrap_or(line);
        if !self.has_begun {
            self.has_begun = true;
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch();
        } else if let Some(value) = value_of(line, b"data") {
            self.event.add_data(value);
        } else if let Some(value) = value_of(line, b"event") {
            self.event.name = Name::of(value);
        }
    }

    fn dispatch(&mut self) {
        let event = &self.event;
        self.progress = match self.progress {
            Progress::Failed => Progress::Failed,
            _ if event.is_error() => Progress::Failed,
            // An event without data is none; its name is forgotten.
            progress if !event.has_data => progress,
            Progress::Going | Progress::Ended if event.is_end() => Progress::Ended,
            Progress::Going => Progress::Going,
            Progress::Ended | Progress::Overrun => Progress::Overrun,
        };
        self.event.clear();
    }
}

impl Event {
    fn add_data(&mut self, value: &[u8]) {
        if self.has_data {
            self.data.append(b"\n");
        }
        self.has_data = true;
        self.data.append(value);
    }

    /// As it was before the first line, without writing over bytes that nobody will look at.
    fn clear(&mut self) {
        self.name = Name::None;
        self.has_data = false;
        self.data.length = 0;
    }

    fn is_done(&self) -> bool {
        self.has_data && self.data.length <= DONE_BYTES_MAX && self.data.bytes().trim_ascii() == b"[DONE]"
    }

    fn is_end(&self) -> bool {
        self.name == Name::End || self.is_done() || (self.name == Name::None && self.type_of_data() == Name::End)
    }

    fn is_error(&self) -> bool {
        let data = self.data.bytes();
        self.name == Name::Error
            || (self.has_data && self.type_of_data() == Name::Error)
            || (data.trim_ascii_start().first() == Some(&b'{')
                && memchr::memmem::find(data, b"\"error\"").is_some()
                && has_error_member(data))
    }

    /// What the `type` says where it is the first member, as all who write one do.
    fn type_of_data(&self) -> Name {
        let mut data = self.data.bytes();
        for token in [&b"{"[..], b"\"type\"", b":", b"\""] {
            match data.trim_ascii_start().strip_prefix(token) {
                Some(behind) => data = behind,
                None => return Name::None,
            }
        }
        let end = memchr::memchr(b'"', data).unwrap_or(data.len());
        Name::of(data.get(..end).unwrap_or_default())
    }
}

impl Name {
    fn of(value: &[u8]) -> Self {
        match value {
            b"" => Self::None,
            b"message_stop" | b"response.completed" => Self::End,
            b"error" | b"response.failed" | b"response.incomplete" => Self::Error,
            _ => Self::Other,
        }
    }
}

/// The value of a line where it is of this field: what stands behind the colon and one space.
fn value_of<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(field)? {
        [] => Some(b""),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// Whether the object that the data is has a member `error` that is not null, or the `type` of an error, as far as the bytes
/// go. A text that speaks of errors has neither.
fn has_error_member(data: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut rest = data;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let text = skip_string(&mut rest);
                let value = rest.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
                if let (1, Some(value)) = (depth, value)
                    && ((text == b"error" && !b"null".starts_with(value.get(..4).unwrap_or(value)))
                        || (text == b"type" && value.starts_with(b"\"error\"")))
                {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// Passes the rest of a string and gives what stood in it, as written.
fn skip_string<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let whole = *rest;
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', whole.get(at..).unwrap_or_default()) {
        at += found;
        if whole.get(at) == Some(&b'"') {
            *rest = whole.get(at + 1..).unwrap_or_default();
            return whole.get(..at).unwrap_or_default();
        }
        at += 2;
    }
    *rest = b"";
    b""
}

/// The first bytes of something, and how many of them there are.
#[derive(Clone, Debug)]
struct Look {
    bytes: [u8; LOOK_BYTES],
    /// length ≤ LOOK_BYTES
    length: usize,
}

impl Default for Look {
    fn default() -> Self {
        Self { bytes: [0; LOOK_BYTES], length: 0 }
    }
}

impl Look {
    /// Keeps of these bytes what fits.
    fn append(&mut self, more: &[u8]) {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        let count = more.len().min(room.len());
        if let (Some(room), Some(more)) = (room.get_mut(..count), more.get(..count)) {
            room.copy_from_slice(more);
        }
        self.length += count;
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::StreamVerdict::{Ended, Error, Unfinished};
    use super::*;

    fn verdict(pieces: &[&[u8]]) -> StreamVerdict {
        let mut end = StreamEnd::default();
        pieces.iter().for_each(|piece| end.feed(piece));
        end.verdict()
    }

    const CHAT: &str = "data: {\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";

    #[test]
    fn each_protocol_has_its_own_end() {
        for (stream, expected) in [
            // OpenAI chat completions.
            (CHAT.repeat(3) + "data: [DONE]\n\n", Ended),
            (CHAT.repeat(3) + "data:[DONE] \r\n\r\n", Ended),
            (CHAT.repeat(3) + "data: [DONE]", Ended),
            (CHAT.repeat(3) + "data: [DON", Unfinished),
            (CHAT.repeat(3), Unfinished),
            // Anthropic messages.
            (
                "event: message_start\ndata: {}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".into(),
                Ended,
            ),
            ("data: {\"type\": \"message_stop\"}\n\n".into(), Ended),
            ("event: message_stop\ndata: {\"type\":\"message_stop\"}\n".into(), Unfinished),
            ("event: message_stop\n\n".into(), Unfinished),
            // OpenAI responses.
            ("event: response.completed\ndata: {\"response\":{\"error\":null}}\n\n".into(), Ended),
            ("event: response.completed\ndata: {}\n\ndata: [DONE]\n\n".into(), Ended),
            ("event: response.failed\ndata: {}\n\n".into(), Error),
            ("event: response.incomplete\ndata: {}\n\n".into(), Error),
            ("data: {\"type\":\"response.failed\"}\n\n".into(), Error),
            // No protocol that we know.
            ("data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\r\n\r\n".into(), Unfinished),
            (String::new(), Unfinished),
            ("[DONE]\n\n".into(), Unfinished),
        ] {
            assert_eq!(verdict(&[stream.as_bytes()]), expected, "{stream}");
        }
    }

    #[test]
    fn an_end_is_the_last_word_or_none() {
        let done = "data: [DONE]\n\n";
        for (stream, expected) in [
            (format!("{done}{CHAT}"), Unfinished),
            (format!("{done}{CHAT}{done}"), Unfinished),
            (format!("{done}data: x"), Unfinished),
            (format!("{done}data: {{\"error\":1}}"), Error),
            (format!("{done}: bye\n\nid: 7\nretry: 1\n\nevent: x\n\n\n"), Ended),
            // Within data it is text.
            ("data: {\"content\":\"data: [DONE]\"}\n\n".into(), Unfinished),
            ("data: \"[DONE]\"\n\n".into(), Unfinished),
            ("data: [DONE]\ndata: x\n\n".into(), Unfinished),
            ("data: x\ndata: [DONE]\n\n".into(), Unfinished),
            ("data:  [DONE]x\n\n".into(), Unfinished),
            (format!("data: [DONE]{}x\n\n", " ".repeat(300)), Unfinished),
            (": data: [DONE]\n\n".into(), Unfinished),
            ("dataset: [DONE]\n\n".into(), Unfinished),
            // A byte order mark stands at the front only; every line end will do.
            ("\u{feff}data: [DONE]\n\n".into(), Ended),
            ("\u{feff}\u{feff}data: [DONE]\n\n".into(), Unfinished),
            ("data: 1\n\n\u{feff}data: [DONE]\n\n".into(), Unfinished),
            ("event: message_stop\rdata: {}\r\r".into(), Ended),
            ("event: message_stop\r\ndata: {}\r\n\r\n".into(), Ended),
            ("event: message_stop\r\ndata: {}\r\n".into(), Unfinished),
        ] {
            assert_eq!(verdict(&[stream.as_bytes()]), expected, "{stream}");
        }
    }

    #[test]
    fn errors_are_seen_and_talk_about_errors_is_none() {
        for (data, is_error) in [
            ("{\"error\":{\"message\":\"overloaded\"}}", true),
            ("{ \"error\" : \"x\"}", true),
            ("{\"id\":\"1\",\"choices\":[],\"error\":{\"code\":502}}", true),
            ("{\"type\":\"error\",\"error\":{}}", true),
            ("{\"sequence\":1,\"type\": \"error\"}", true),
            ("{\ndata:   \"error\": {}\ndata: }", true),
            ("{\"id\":1,\"error\":null,\"x\":1}", false),
            ("{\"type\":\"x\",\"content\":\"\\\"error\\\":1\"}", false),
            ("{\"response\":{\"error\":{\"a\":1}}}", false),
            ("[{\"error\":1}]", false),
            ("\"error\":1", false),
            ("{\"content\":\"error\"}", false),
        ] {
            let stream = format!("data: {data}\n\ndata: [DONE]\n\n");
            assert_eq!(verdict(&[stream.as_bytes()]), if is_error { Error } else { Ended }, "{stream}");
        }
        assert_eq!(verdict(&[b"event: error\n"]), Error);
        assert_eq!(verdict(&[b"event: error\ndata: x\n\ndata: [DONE]\n\n"]), Error);
    }

    fn any_stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                "\n",
                "\r",
                "\r\n",
                "\n\n",
                "\u{feff}",
                "data: [DONE]",
                "data:",
                "data: x",
                "event: message_stop",
                "event: error",
                "event: response.completed",
                ": c",
                "{\"error\":",
                "data: {\"type\":\"message_stop\"}",
                "null}",
                "\"",
            ])
            .prop_map(|s| s.as_bytes().to_vec()),
            (prop::sample::select(b" x[".to_vec()), 240..270_usize).prop_map(|(b, n)| vec![b; n]),
            prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(stream in any_stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            let bytes: Vec<_> = stream.chunks(1).collect();
            let whole = verdict(&[&stream]);
            prop_assert_eq!(verdict(&pieces), whole);
            prop_assert_eq!(verdict(&bytes), whole);
        }

        #[test]
        fn a_stream_that_is_cut_before_its_end_has_not_ended(events in 1..5_usize, cut in any::<prop::sample::Index>()) {
            let stream = CHAT.repeat(events) + "event: message_stop\ndata: {}\n\n";
            let cut = cut.index(stream.len());
            prop_assert_eq!(verdict(&[&stream.as_bytes()[..cut]]), Unfinished);
        }
    }
}
