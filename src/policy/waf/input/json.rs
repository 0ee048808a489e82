//! JSON bodies (RFC 8259) as arguments: every string, number, `true`, `false` and `null` with its path.
//!
//! Names are those of ModSecurity 3 (`json.messages.array_0.content`) for ARGS, plain paths (`messages.0.content`) for
//! JSON. No recursion; strings without escapes are ranges of the body. Takes what serde_json takes, and beyond it bytes
//! that are not UTF-8 and lone surrogates (given as U+FFFD): some servers do, and rules must see what they see. Members
//! of one name are all given, and empty containers, for their names.
//!
//! What lenient servers forgive (NaN, control characters, commas at the end, comments, unknown escapes) is a fault, and is
//! read on behind. Where no reading on is possible, the rest is given as the strings in it, and once as a whole with its
//! escapes undone. Of arrays of numbers, which prompts of token ids are, only the first are arguments.

use super::arena::{Arena, Copied};
use super::{
    ARGS_MAX, DEPTH_MAX, Entry, Fault, Input, JSON_NAME_BYTES_MAX, JSON_SCALARS_MAX, Span, urlencoded::nibble,
};

/// Where the leaves of a document go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Into {
    /// To ARGS and to JSON.
    Args,
    /// To JSON only: nobody said that the body is JSON.
    JsonOnly,
}

/// Memory of the walk, kept from body to body.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The path as ModSecurity names it, and as rules of this gateway do.
    long: Vec<u8>,
    plain: Vec<u8>,
    frames: Vec<Frame>,
    key: Vec<u8>,
}

/// An object or an array that is being read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// The index of the member, in an array; nothing in an object.
    index: Option<u32>,
    /// How long the paths of the container itself are.
    long: usize,
    plain: usize,
}

/// Adds the leaves of a body that is in the arena as `copy`.
///
/// # Errors
/// What ended the walk; the leaves before it were given, and a string that the end of the body cuts.
pub(super) fn read(input: &mut Input, body: &[u8], copy: Copied, into: Into) -> Result<(), Fault> {
    let mut scratch = std::mem::take(&mut input.json_scratch);
    scratch.frames.clear();
    scratch.long.clear();
    scratch.long.extend_from_slice(b"json");
    scratch.plain.clear();
    let at = if body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut walk = Walk { input, body, copy, into, at, scratch: &mut scratch, is_flawed: false, scalars: 0 };
    let verdict = walk.document();
    if verdict.is_err() {
        walk.leave_undivided();
    }
    let is_flawed = walk.is_flawed;
    input.json_scratch = scratch;
    if is_flawed { Err(Fault::JsonSyntax) } else { verdict }
}

struct Walk<'a> {
    input: &'a mut Input,
    body: &'a [u8],
    copy: Copied,
    into: Into,
    /// Invariant: `at <= body.len()`.
    at: usize,
    scratch: &'a mut Scratch,
    /// Something was not JSON, but could be passed over.
    is_flawed: bool,
    /// Elements of arrays that were no strings.
    scalars: usize,
}

impl Walk<'_> {
    fn document(&mut self) -> Result<(), Fault> {
        loop {
            if self.value()? {
                continue;
            }
            // A value is complete: what surrounds it goes on or ends.
            loop {
                let byte = self.skip_blanks();
                let Some(frame) = self.scratch.frames.last_mut() else {
                    return if byte.is_none() { Ok(()) } else { Err(Fault::JsonSyntax) };
                };
                match (byte, &mut frame.index) {
                    (Some(b','), index) => {
                        let is_array = index.is_some();
                        if let Some(index) = index {
                            *index += 1;
                        }
                        self.at += 1;
                        if matches!(self.skip_blanks(), Some(b']' | b'}')) {
                            self.is_flawed = true;
                            continue;
                        }
                        if is_array {
                            self.enter_element()?
                        } else {
                            self.enter_member()?
                        }
                        break;
                    }
                    (Some(b']'), Some(_)) | (Some(b'}'), None) => {
                        self.at += 1;
                        self.leave();
                    }
                    (None, _) => return Err(Fault::Incomplete),
                    _ => return Err(Fault::JsonSyntax),
                }
            }
        }
    }

    /// Reads a value, or the beginning of one: `true` when a member of it comes next.
    fn value(&mut self) -> Result<bool, Fault> {
        match self.skip_blanks() {
            Some(b'"') => {
                self.at += 1;
                let start = self.at;
                let (value, end) = self.string();
                if let Err(fault) = self.leaf(value) {
                    // It is among what is left undivided.
                    self.at = start - 1;
                    return Err(fault);
                }
                end.map(|()| false)
            }
            Some(b'{') => {
                self.open(None)?;
                if self.skip_blanks() == Some(b'}') {
                    return self.empty().map(|()| false);
                }
                self.enter_member().map(|()| true)
            }
            Some(b'[') => {
                self.open(Some(0))?;
                if self.skip_blanks() == Some(b']') {
                    return self.empty().map(|()| false);
                }
                self.enter_element().map(|()| true)
            }
            Some(_) => {
                let start = self.at;
                self.literal()?;
                if self.scratch.frames.last().is_some_and(|frame| frame.index.is_some()) {
                    self.scalars += 1;
                    if self.scalars > JSON_SCALARS_MAX {
                        return Ok(false);
                    }
                }
                let value = self.copy.span(start, self.at);
                self.leaf(value).map(|()| false)
            }
            None => Err(Fault::Incomplete),
        }
    }

    /// The end of a container without members: its name is given all the same.
    fn empty(&mut self) -> Result<(), Fault> {
        let end = self.copy.span(self.at, self.at);
        self.at += 1;
        self.leave();
        if self.scratch.frames.is_empty() { Ok(()) } else { self.leaf(end) }
    }

    /// The next byte that is no blank, which is left there. Comments are blanks, and a flaw.
    fn skip_blanks(&mut self) -> Option<u8> {
        loop {
            match self.body.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(b'/') => {
                    let rest = self.body.get(self.at..).unwrap_or_default();
                    let len = match rest.get(1) {
                        Some(b'/') => memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
                        Some(b'*') => memchr::memmem::find(rest, b"*/").map_or(rest.len(), |end| end + 2),
                        _ => return Some(b'/'),
                    };
                    self.is_flawed = true;
                    self.at += len;
                }
                other => return other.copied(),
            }
        }
    }

    fn open(&mut self, index: Option<u32>) -> Result<(), Fault> {
        self.at += 1;
        if self.scratch.frames.len() >= DEPTH_MAX {
            return Err(Fault::TooDeep);
        }
        let (long, plain) = (self.scratch.long.len(), self.scratch.plain.len());
        self.scratch.frames.push(Frame { index, long, plain });
        Ok(())
    }

    /// Back to the path of the container that has ended.
    fn leave(&mut self) {
        if let Some(frame) = self.scratch.frames.pop() {
            self.scratch.long.truncate(frame.long);
            self.scratch.plain.truncate(frame.plain);
        }
    }

    /// The path of the next element of an array.
    fn enter_element(&mut self) -> Result<(), Fault> {
        let Some(Frame { index: Some(index), long, plain }) = self.scratch.frames.last().copied() else {
            return Err(Fault::JsonSyntax);
        };
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(index).as_bytes();
        self.scratch.long.truncate(long);
        self.scratch.long.extend_from_slice(b".array_");
        self.scratch.long.extend_from_slice(digits);
        self.scratch.plain.truncate(plain);
        if self.scratch.frames.len() > 1 {
            self.scratch.plain.push(b'.');
        }
        self.scratch.plain.extend_from_slice(digits);
        self.bound_name()
    }

    /// Reads the name of the next member of an object and the colon: the path of what follows.
    fn enter_member(&mut self) -> Result<(), Fault> {
        let (byte, Some(frame)) = (self.skip_blanks(), self.scratch.frames.last().copied()) else {
            return Err(Fault::JsonSyntax);
        };
        match byte {
            Some(b'"') => self.at += 1,
            None => return Err(Fault::Incomplete),
            Some(_) => return Err(Fault::JsonSyntax),
        }
        self.scratch.long.truncate(frame.long);
        self.scratch.plain.truncate(frame.plain);
        self.key()?;
        let Scratch { long, plain, key, frames } = &mut *self.scratch;
        long.push(b'.');
        long.extend_from_slice(key);
        if frames.len() > 1 {
            plain.push(b'.');
        }
        plain.extend_from_slice(key);
        self.bound_name()?;
        match self.skip_blanks() {
            Some(b':') => self.at += 1,
            None => return Err(Fault::Incomplete),
            Some(_) => return Err(Fault::JsonSyntax),
        }
        Ok(())
    }

    /// Reads a name whose quote was passed.
    fn key(&mut self) -> Result<(), Fault> {
        let (name, end) = self.string();
        end?;
        self.scratch.key.clear();
        self.scratch.key.extend_from_slice(self.input.bytes(name));
        Ok(())
    }

    fn bound_name(&self) -> Result<(), Fault> {
        match self.scratch.long.len() > JSON_NAME_BYTES_MAX {
            true => Err(Fault::JsonNameTooLong),
            false => Ok(()),
        }
    }

    /// Reads a string whose quote was passed: what it says, and whether it ended well.
    fn string(&mut self) -> (Span, Result<(), Fault>) {
        let start = self.at;
        let rest = self.body.get(start..).unwrap_or_default();
        let len = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        let plain = rest.get(..len).unwrap_or_default();
        self.at += len;
        match rest.get(len) {
            Some(b'"') => self.at += 1,
            Some(_) => return self.escaped_string(start),
            None => {}
        }
        self.is_flawed |= has_control(plain);
        let end = if len == rest.len() { Err(Fault::Incomplete) } else { Ok(()) };
        (self.copy.span(start, start + len), end)
    }

    /// The string that began at `start` and has its first escape where we are.
    fn escaped_string(&mut self, start: usize) -> (Span, Result<(), Fault>) {
        let begin = self.input.arena.end();
        let mut from = start;
        let end = loop {
            let rest = self.body.get(from..).unwrap_or_default();
            let len = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            let plain = rest.get(..len).unwrap_or_default();
            self.input.arena.push(plain);
            self.at = from + len;
            self.is_flawed |= has_control(plain);
            match rest.get(len) {
                None => break Err(Fault::Incomplete),
                Some(b'"') => {
                    self.at += 1;
                    break Ok(());
                }
                Some(_) => {
                    let after = rest.get(len + 1..).unwrap_or_default();
                    match escape(after, &mut self.input.arena) {
                        Ok(used) => from = self.at + 1 + used,
                        Err(Fault::Incomplete) => {
                            self.at = self.body.len();
                            break Err(Fault::Incomplete);
                        }
                        // Those who take it take the character as it is.
                        Err(_) => {
                            self.is_flawed = true;
                            from = self.at + 1;
                        }
                    }
                }
            }
        };
        (self.input.arena.since(begin), end)
    }

    /// Passes over a number or a word; over what may pass for one elsewhere (`NaN`, `+1`, `0x1F`) as a flaw.
    fn literal(&mut self) -> Result<(), Fault> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        let len = match rest.first() {
            Some(b't') => word(rest, b"true"),
            Some(b'f') => word(rest, b"false"),
            Some(b'n') => word(rest, b"null"),
            _ => number(rest),
        };
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._$".contains(byte);
        let run = rest.iter().take_while(|byte| is_part(byte)).count();
        self.at += match len {
            Ok(len) if len == run => len,
            Err(Fault::Incomplete) => return Err(Fault::Incomplete),
            _ if run == 0 => return Err(Fault::JsonSyntax),
            _ => {
                self.is_flawed = true;
                run
            }
        };
        Ok(())
    }

    /// Gives a value under the path of where we are.
    fn leaf(&mut self, value: Span) -> Result<(), Fault> {
        let Input { arena, args, json, .. } = &mut *self.input;
        let is_full = match self.into {
            // The last place is for what is left.
            Into::Args => args.len() + 1 >= ARGS_MAX,
            Into::JsonOnly => json.len() >= ARGS_MAX,
        };
        if is_full {
            return Err(Fault::TooManyArgs);
        }
        if self.into == Into::Args {
            args.push(arena.push(&self.scratch.long), value);
        }
        json.push(Entry { name: arena.push(&self.scratch.plain), value });
        Ok(())
    }

    /// What was not divided any more: the strings in it while there are places, and all of it as one argument with its
    /// escapes undone, so that nothing goes unseen.
    fn leave_undivided(&mut self) {
        let rest = self.body.get(self.at..).unwrap_or_default();
        if rest.is_empty() || self.into == Into::JsonOnly {
            return;
        }
        let name = self.input.arena.push(&self.scratch.long);
        let start = self.input.arena.end();
        unescape_all(rest, &mut self.input.arena);
        let whole = self.input.arena.since(start);
        while self.input.args.len() + 1 < ARGS_MAX
            && let Some(quote) = memchr::memchr(b'"', self.body.get(self.at..).unwrap_or_default())
        {
            self.at += quote + 1;
            let (value, _) = self.string();
            self.input.args.push(name, value);
        }
        if self.input.args.len() < ARGS_MAX {
            self.input.args.push(name, whole);
        }
    }
}

/// Appends a text with all escapes in it undone, whether they stand in strings or not.
fn unescape_all(text: &[u8], arena: &mut Arena) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, found) = rest.split_at(at);
        arena.push(plain);
        let after = found.get(1..).unwrap_or_default();
        rest = after.get(escape(after, arena).unwrap_or(0)..).unwrap_or_default();
    }
    arena.push(rest);
}

/// Whether there is a byte that RFC 8259 §7 wants escaped. Without an early end, so that it is done many at a time.
fn has_control(text: &[u8]) -> bool {
    text.iter().fold(false, |found, byte| found | (*byte < 0x20))
}

/// Appends what an escape means, given what stands behind its backslash; how many bytes of it that took.
fn escape(after: &[u8], arena: &mut Arena) -> Result<usize, Fault> {
    let byte = match after.first() {
        None => return Err(Fault::Incomplete),
        Some(b'u') => return unicode_escape(after, arena),
        Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
        Some(b'b') => 0x08,
        Some(b'f') => 0x0c,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(_) => return Err(Fault::JsonSyntax),
    };
    arena.push_byte(byte);
    Ok(1)
}

/// `uXXXX`, and the second half of a pair (RFC 8259 §7).
fn unicode_escape(after: &[u8], arena: &mut Arena) -> Result<usize, Fault> {
    let first = unit(after.get(1..).unwrap_or_default())?;
    let mut used = 5;
    let mut code = u32::from(first);
    if (0xd800..0xdc00).contains(&first)
        && let Some(low) = after.get(5..).and_then(|rest| rest.strip_prefix(b"\\u"))
        && let Ok(low) = unit(low)
        && (0xdc00..0xe000).contains(&low)
    {
        code = 0x10000 + ((u32::from(first) - 0xd800) << 10) + (u32::from(low) - 0xdc00);
        used = 11;
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    arena.push(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(used)
}

/// Four hexadecimal digits.
fn unit(text: &[u8]) -> Result<u16, Fault> {
    let digits = text.get(..4).unwrap_or(text);
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Fault::JsonSyntax);
    }
    if digits.len() < 4 {
        return Err(Fault::Incomplete);
    }
    Ok(digits.iter().fold(0, |unit, digit| unit << 4 | u16::from(nibble(*digit))))
}

/// The length of a word that must stand here.
fn word(rest: &[u8], word: &[u8]) -> Result<usize, Fault> {
    if rest.starts_with(word) {
        Ok(word.len())
    } else if word.starts_with(rest) {
        Err(Fault::Incomplete)
    } else {
        Err(Fault::JsonSyntax)
    }
}

/// The length of the number that must stand here (RFC 8259 §6).
fn number(text: &[u8]) -> Result<usize, Fault> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        match rest.iter().take_while(|byte| byte.is_ascii_digit()).count() {
            0 if rest.is_empty() => Err(Fault::Incomplete),
            0 => Err(Fault::JsonSyntax),
            count => Ok(from + count),
        }
    };
    let start = usize::from(text.first() == Some(&b'-'));
    let mut end = digits(start)?;
    if end > start + 1 && text.get(start) == Some(&b'0') {
        return Err(Fault::JsonSyntax);
    }
    if text.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(end) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        end = digits(end + 1 + sign)?;
    }
    Ok(end)
}
