//! `multipart/form-data` (RFC 7578, RFC 2046 §5.1): parts become arguments and files.
//!
//! Parts are ranges of the body. What readers disagree about (bare line feeds, folded headers, text around the parts,
//! quotes, …) sets MULTIPART_STRICT_ERROR, and the part is given in the reading that shows most; a line that nearly is
//! the boundary sets MULTIPART_UNMATCHED_BOUNDARY. Parts without a name are given with an empty one, so that nothing
//! goes unseen.

use memchr::memmem::Finder;

use super::super::model::Variable;
use super::arena::{Arena, Copied};
use super::{ARGS_MAX, Entry, Fault, Input, PARTS_MAX, Span, urlencoded};

/// RFC 2046 §5.1.1: a boundary has at most 70 characters.
const BOUNDARY_BYTES_MAX: usize = 70;
/// How far before the boundary's text its line is looked for: two dashes, and what an evasion would put between.
const LOOK_BACK_BYTES: usize = 16;

/// Adds the parts of a body that is in the arena as `copy`.
///
/// # Errors
/// What makes the body no multipart body; parts that could be found were given.
pub(super) fn read(input: &mut Input, body: &[u8], copy: Copied) -> Result<(), Fault> {
    let mut odd = Odd::default();
    let mut files_bytes = 0;
    let verdict = match boundary(input.bytes(input.content_type)) {
        Ok((text, is_quoted)) => {
            odd.strict |= is_quoted;
            let text = text.to_vec();
            parts(input, body, copy, &text, &mut odd, &mut files_bytes)
        }
        Err(fault) => Err(fault),
    };
    let is_broken = matches!(verdict, Err(fault) if fault != Fault::Incomplete);
    for (variable, flag) in [
        (Variable::MultipartStrictError, odd.strict || is_broken),
        (Variable::MultipartUnmatchedBoundary, odd.unmatched),
    ] {
        let flag = input.arena.push(if flag { b"1" } else { b"0" });
        input.singles.set(variable, flag);
    }
    let total = input.arena.push_number(files_bytes);
    input.singles.set(Variable::FilesCombinedSize, total);
    verdict
}

/// What is odd about a body.
#[derive(Clone, Copy, Debug, Default)]
struct Odd {
    strict: bool,
    unmatched: bool,
}

fn parts(
    input: &mut Input,
    body: &[u8],
    copy: Copied,
    boundary: &[u8],
    odd: &mut Odd,
    files_bytes: &mut u64,
) -> Result<(), Fault> {
    let finder = Finder::new(boundary);
    let mut verdict = Ok(());
    let Some(mut delimiter) = next_delimiter(&finder, body, 0, odd) else { return Err(Fault::Incomplete) };
    odd.strict |= delimiter.start > 0;
    let mut count = 0;
    while !delimiter.is_last {
        let from = delimiter.end;
        let next = next_delimiter(&finder, body, from, odd);
        let to = next.map_or(body.len(), |next| next.start.max(from));
        count += 1;
        if count > PARTS_MAX {
            return Err(Fault::TooManyParts);
        }
        let part = body.get(from..to).unwrap_or_default();
        let read = Part { text: part, base: from, copy }.read(input, odd, files_bytes);
        verdict = verdict.and(read);
        let Some(next) = next else { return verdict.and(Err(Fault::Incomplete)) };
        delimiter = next;
    }
    let behind = body.get(delimiter.end..).unwrap_or_default();
    odd.strict |= !behind.iter().all(u8::is_ascii_whitespace);
    verdict
}

/// A line that divides parts.
#[derive(Clone, Copy)]
struct Delimiter {
    /// Where the part before it ends: in front of the line break that belongs to the line.
    start: usize,
    end: usize,
    is_last: bool,
}

/// The first delimiter from `from` on, which is the start of a line.
fn next_delimiter(finder: &Finder<'_>, body: &[u8], from: usize, odd: &mut Odd) -> Option<Delimiter> {
    let length = finder.needle().len();
    let mut at = from;
    loop {
        let found = at + finder.find(body.get(at..)?)?;
        at = found + length;
        let low = found.saturating_sub(LOOK_BACK_BYTES).max(from);
        let before = body.get(low..found)?;
        let line = match memchr::memrchr(b'\n', before) {
            Some(feed) => feed + 1,
            None if low == from => 0,
            None => continue,
        };
        let line_at = low + line;
        match before.get(line..)? {
            b"--" => {}
            [b'-', b'-', between @ ..] => {
                odd.unmatched |= between.iter().all(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\''));
                continue;
            }
            _ => continue,
        }
        let Some((end, is_last)) = line_end(body, at, odd) else {
            odd.unmatched = true;
            continue;
        };
        let break_bytes = match body.get(from..line_at)? {
            [.., b'\r', b'\n'] => 2,
            [.., b'\n'] => {
                odd.strict = true;
                1
            }
            _ => 0,
        };
        return Some(Delimiter { start: line_at - break_bytes, end, is_last });
    }
}

/// Where the line ends that has the boundary's text in front of `at`, and whether it is the last one; nothing where
/// other text follows.
fn line_end(body: &[u8], at: usize, odd: &mut Odd) -> Option<(usize, bool)> {
    let rest = body.get(at..)?;
    let is_last = rest.starts_with(b"--");
    let rest = rest.strip_prefix(b"--").unwrap_or(rest);
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let break_bytes = match rest.get(blanks..)? {
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => {
            odd.strict = true;
            1
        }
        // The break behind the last line may be missing, and so may the rest of a body that was cut.
        [] => 0,
        _ if is_last => {
            odd.strict = true;
            0
        }
        _ => return None,
    };
    odd.strict |= blanks > 0;
    Some((at + usize::from(is_last) * 2 + blanks + break_bytes, is_last))
}

/// A part: its header and what is in it.
struct Part<'a> {
    text: &'a [u8],
    /// Where `text` begins in the body.
    base: usize,
    copy: Copied,
}

impl Part<'_> {
    fn span(&self, from: usize, to: usize) -> Span {
        self.copy.span(self.base + from, self.base + to)
    }

    fn read(&self, input: &mut Input, odd: &mut Odd, files_bytes: &mut u64) -> Result<(), Fault> {
        let mut verdict = Ok(());
        let mut disposition = Disposition::default();
        let first_header = input.part_headers.len();
        let mut at = 0;
        let mut is_complete = false;
        while let Some((end, next)) = header(self.text, at, odd) {
            if end == at {
                at = next;
                is_complete = true;
                break;
            }
            let line = self.text.get(at..end).unwrap_or_default();
            match memchr::memchr(b':', line) {
                Some(colon) if line.get(..colon).unwrap_or_default().eq_ignore_ascii_case(b"content-disposition") => {
                    let value = line.get(colon + 1..).unwrap_or_default();
                    verdict = verdict.and(disposition.read(&mut input.arena, value, odd));
                }
                Some(_) => {}
                None => verdict = Err(Fault::MultipartHeader),
            }
            if input.part_headers.len() < ARGS_MAX {
                input.part_headers.push(Entry { name: Span::default(), value: self.span(at, end) });
            }
            at = next;
        }
        let name = disposition.name.unwrap_or_default();
        for entry in input.part_headers.get_mut(first_header..).unwrap_or_default() {
            entry.name = name;
        }
        if !is_complete {
            // A part that is cut off in its header: there is nothing in it yet.
            return Err(Fault::Incomplete);
        }
        if disposition.name.is_none() {
            verdict = verdict.and(Err(Fault::MultipartHeader));
        }
        let value = self.span(at, self.text.len());
        let mut is_arg = true;
        if let Some(file) = disposition.file {
            // What not every reader takes for a file is an argument, too: without a plain name of a file it is a field to
            // some (Go, Starlette), and a header that cannot be read is anybody's guess.
            is_arg = file.is_empty() || disposition.is_extended_only || verdict.is_err() || disposition.is_twice;
            let size = value.len() as u64;
            *files_bytes += size;
            input.files.push(Entry { name, value: file });
            input.file_names.push(Entry { name, value: name });
            let size = input.arena.push_number(size);
            input.file_sizes.push(Entry { name, value: size });
        }
        if is_arg && input.args.len() < ARGS_MAX {
            input.args.push(name, value);
        } else if is_arg {
            verdict = verdict.and(Err(Fault::TooManyArgs));
        }
        verdict
    }
}

/// The header that begins at `at`, folded lines with it: where its text ends and where the next one begins.
fn header(text: &[u8], at: usize, odd: &mut Odd) -> Option<(usize, usize)> {
    let mut from = at;
    loop {
        let rest = text.get(from..)?;
        if rest.is_empty() {
            return None;
        }
        let feed = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let is_crlf = rest.get(..feed).is_some_and(|line| line.ends_with(b"\r"));
        odd.strict |= !is_crlf;
        let end = from + feed - usize::from(is_crlf);
        let next = (from + feed + 1).min(text.len());
        match text.get(next) {
            // RFC 7578 knows no folding; older readers do.
            Some(b' ' | b'\t') if end > at => {
                odd.strict = true;
                from = next;
            }
            _ => return Some((end, next)),
        }
    }
}

/// What Content-Disposition says of a part.
#[derive(Clone, Copy, Debug, Default)]
struct Disposition {
    name: Option<Span>,
    file: Option<Span>,
    /// Only `filename*` names the file.
    is_extended_only: bool,
    /// The header is there more than once.
    is_twice: bool,
}

impl Disposition {
    fn read(&mut self, arena: &mut Arena, value: &[u8], odd: &mut Odd) -> Result<(), Fault> {
        self.is_twice = self.name.is_some() || self.file.is_some();
        let kind = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
        let (kind, mut rest) = value.split_at(kind);
        let mut verdict = match kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
            true => Ok(()),
            false => Err(Fault::MultipartHeader),
        };
        loop {
            rest = rest.trim_ascii_start();
            if rest.is_empty() {
                return verdict;
            }
            match rest.strip_prefix(b";") {
                Some(after) => rest = after.trim_ascii_start(),
                None => odd.strict = true,
            }
            let Some(equals) = memchr::memchr(b'=', rest) else {
                odd.strict |= !rest.is_empty();
                return verdict;
            };
            let (key, after) = rest.split_at(equals);
            let key = key.trim_ascii();
            let (span, after) = parameter(arena, after.get(1..).unwrap_or_default().trim_ascii_start(), odd);
            rest = after;
            let slot = if key.eq_ignore_ascii_case(b"name") {
                &mut self.name
            } else if key.eq_ignore_ascii_case(b"filename") {
                &mut self.file
            } else if key.eq_ignore_ascii_case(b"filename*") {
                // RFC 7578 §4.2 forbids it; whoever reads it takes it for the name.
                odd.strict = true;
                self.is_extended_only = self.file.is_none();
                self.file = self.file.or(Some(extended(arena, span)));
                continue;
            } else {
                continue;
            };
            let is_plain_file = key.eq_ignore_ascii_case(b"filename") && self.is_extended_only;
            if slot.is_some() && !is_plain_file {
                verdict = Err(Fault::MultipartHeader);
            }
            self.is_extended_only &= !is_plain_file;
            *slot = Some(span);
        }
    }
}

/// The value of a parameter, and what is behind it.
fn parameter<'t>(arena: &mut Arena, text: &'t [u8], odd: &mut Odd) -> (Span, &'t [u8]) {
    let start = arena.end();
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
        let (value, after) = text.split_at(end);
        odd.strict |= value.contains(&b'\'') || value.contains(&b'"');
        return (arena.push(value.trim_ascii_end()), after);
    };
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return (arena.since(start), quoted.get(at + 1..).unwrap_or_default()),
            // Browsers do not escape backslashes of file names: only what must be escaped is taken as such.
            b'\\' if matches!(quoted.get(at + 1), Some(b'"' | b'\\')) => {
                if let Some((_, byte)) = bytes.next() {
                    arena.push_byte(*byte);
                }
            }
            byte => arena.push_byte(*byte),
        }
    }
    odd.strict = true;
    (arena.since(start), &[])
}

/// `UTF-8''name%20of%20it` (RFC 8187 §3.2) decoded.
fn extended(arena: &mut Arena, value: Span) -> Span {
    let text = arena.bytes(value);
    let mut marks = text.iter().enumerate().filter(|(_, byte)| **byte == b'\'').map(|(at, _)| at);
    let start = marks.nth(1).map_or(0, |at| at + 1);
    let text = text.get(start..).unwrap_or_default().to_vec();
    urlencoded::percent_decode(arena, &text, false, &mut false)
}

/// The boundary of a content type, and whether it was quoted.
fn boundary(content_type: &[u8]) -> Result<(&[u8], bool), Fault> {
    let mut found = None;
    let mut rest = content_type;
    while let Some(at) = memchr::memchr(b';', rest) {
        rest = rest.get(at + 1..).unwrap_or_default();
        let Some(equals) = memchr::memchr(b'=', rest) else { break };
        let (key, value) = rest.split_at(equals);
        if !key.trim_ascii().eq_ignore_ascii_case(b"boundary") {
            continue;
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii_start();
        let value = match value.strip_prefix(b"\"") {
            Some(quoted) => (memchr::memchr(b'"', quoted).and_then(|end| quoted.get(..end)), true),
            None => {
                let end = value.iter().position(|byte| matches!(byte, b';' | b',')).unwrap_or(value.len());
                (value.get(..end).map(<[u8]>::trim_ascii_end), false)
            }
        };
        // Readers that disagree about which of two counts see different parts.
        if found.replace(value).is_some() {
            return Err(Fault::MultipartBoundary);
        }
    }
    match found {
        Some((Some(text), is_quoted)) if !text.is_empty() && text.len() <= BOUNDARY_BYTES_MAX => Ok((text, is_quoted)),
        _ => Err(Fault::MultipartBoundary),
    }
}
