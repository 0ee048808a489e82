//! Reads a pattern of PCRE.
//!
//! Everything that PCRE takes is either read with its meaning or refused by its name; nothing is read as something else,
//! with one exception: atomic groups, and possessive quantifiers of more than a set of bytes or with a last count, are read
//! as plain ones. Whatever such a pattern matches, the plain one matches too; the plain one may match more. Nesting and length are bounded: a pattern is what an operator wrote,
//! but it may have been downloaded.

use super::class::Class;
use super::{Node, Position};

/// Bytes of a pattern.
pub const PATTERN_BYTES_MAX: usize = 64 * 1024;
/// How deep groups may stand in one another.
const DEPTH_MAX: usize = 100;
/// The largest count of a quantifier.
const COUNT_MAX: u32 = 1000;

/// What `(?i)` and its kin turn on.
#[derive(Clone, Copy, Default)]
struct Flags {
    ignore_case: bool,
    lines: bool,
    /// `(?-s)`: the dot does not match a newline.
    dot_stops: bool,
    extended: bool,
    ungreedy: bool,
}

/// Reads `pattern`.
///
/// # Errors
///
/// What of the pattern cannot be taken, by name.
pub fn parse(pattern: &[u8]) -> Result<Node, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("the pattern is longer than {PATTERN_BYTES_MAX} bytes"));
    }
    let mut reader = Reader { pattern, at: 0, groups: 0, depth: 0 };
    let node = reader.alternation(Flags::default())?;
    if reader.at < pattern.len() {
        return Err(reader.wrong("a `)` without its `(`"));
    }
    Ok(node)
}

struct Reader<'a> {
    pattern: &'a [u8],
    at: usize,
    /// Groups opened so far.
    groups: u32,
    depth: usize,
}

/// What an escape stands for.
pub(super) enum Escape {
    Byte(u8),
    Class(Class),
    At(Position),
    /// Something longer.
    Node(Node),
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.pattern.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.pattern.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, what: &[u8]) -> bool {
        let found = self.rest().starts_with(what);
        if found {
            self.at += what.len();
        }
        found
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn wrong(&self, what: &str) -> String {
        format!("{what} (byte {} of the pattern)", self.at)
    }

    /// Alternatives up to the end or the `)` that closes them. Flags set within hold for what follows, in later
    /// alternatives too.
    fn alternation(&mut self, mut flags: Flags) -> Result<Node, String> {
        if self.depth > DEPTH_MAX {
            return Err(self.wrong("groups stand too deep in one another"));
        }
        self.depth += 1;
        let mut alternatives = Vec::new();
        loop {
            alternatives.push(self.concat(&mut flags)?);
            if !self.take(b"|") {
                break;
            }
        }
        self.depth -= 1;
        Ok(match alternatives.pop() {
            Some(only) if alternatives.is_empty() => only,
            Some(last) => {
                alternatives.push(last);
                Node::Alternation(alternatives)
            }
            None => Node::Empty,
        })
    }

    fn concat(&mut self, flags: &mut Flags) -> Result<Node, String> {
        let mut nodes = Vec::new();
        while let Some(byte) = self.peek() {
            if byte == b'|' || byte == b')' {
                break;
            }
            if self.skip(*flags) {
                continue;
            }
            if self.take(b"\\Q") {
                self.quoted(*flags, &mut nodes);
                continue;
            }
            if self.take(b"\\E") {
                continue;
            }
            let Some(atom) = self.atom(flags)? else { continue };
            nodes.push(self.quantified(atom, *flags)?);
        }
        Ok(match nodes.pop() {
            None => Node::Empty,
            Some(only) if nodes.is_empty() => only,
            Some(last) => {
                nodes.push(last);
                Node::Concat(nodes)
            }
        })
    }

    /// White space and comments under `(?x)`, and `(?#…)`.
    fn skip(&mut self, flags: Flags) -> bool {
        let comment_end = if self.rest().starts_with(b"(?#") {
            b')'
        } else if flags.extended && self.peek() == Some(b'#') {
            b'\n'
        } else {
            let space = flags.extended && self.peek().is_some_and(super::class::is_space);
            self.at += usize::from(space);
            return space;
        };
        while self.next().is_some_and(|byte| byte != comment_end) {}
        true
    }

    /// What stands between `\Q` and `\E`. A quantifier behind `\E` holds for the last byte.
    fn quoted(&mut self, flags: Flags, nodes: &mut Vec<Node>) {
        while !self.take(b"\\E") {
            let Some(byte) = self.next() else { return };
            nodes.push(byte_node(byte, flags));
        }
        if let Some(last) = nodes.pop() {
            // An error is found again, and said, where the quantifier is read as an atom.
            let before = self.at;
            match self.quantified(last.clone(), flags) {
                Ok(node) => nodes.push(node),
                Err(_) => {
                    self.at = before;
                    nodes.push(last);
                }
            }
        }
    }

    /// `None`: flags for what follows, nothing to match.
    fn atom(&mut self, flags: &mut Flags) -> Result<Option<Node>, String> {
        let Some(byte) = self.next() else { return Ok(None) };
        Ok(Some(match byte {
            b'^' => Node::At(if flags.lines { Position::LineStart } else { Position::Start }),
            b'$' => Node::At(if flags.lines { Position::LineEnd } else { Position::End }),
            b'.' if flags.dot_stops => Node::Byte(Class::of(b'\n').negated()),
            b'.' => Node::Byte(Class::ALL),
            b'[' => Node::Byte(self.class(*flags)?),
            b'(' => return self.group(flags),
            b'*' | b'+' | b'?' => return Err(self.wrong("a quantifier with nothing to repeat")),
            b'{' if self.counts().is_some() => return Err(self.wrong("a quantifier with nothing to repeat")),
            b'\\' => match self.escape()? {
                Escape::Byte(byte) => byte_node(byte, *flags),
                Escape::Class(class) => Node::Byte(class),
                Escape::At(position) => Node::At(position),
                Escape::Node(node) => node,
            },
            _ => byte_node(byte, *flags),
        }))
    }

    /// Behind `(`. A group has flags of its own from here on.
    fn group(&mut self, flags: &mut Flags) -> Result<Option<Node>, String> {
        if self.peek() == Some(b'*') {
            return Err(self.wrong("a verb such as (*SKIP)"));
        }
        if !self.take(b"?") {
            return self.capture(*flags).map(Some);
        }
        for (written, ahead, negative) in
            [(&b"="[..], true, false), (b"!", true, true), (b"<=", false, false), (b"<!", false, true)]
        {
            if self.take(written) {
                let node = Box::new(self.closed(*flags)?);
                return Ok(Some(Node::Around { ahead, negative, node }));
            }
        }
        if self.take(b">") {
            return self.closed(*flags).map(Some);
        }
        for (written, end) in [(&b"P<"[..], b'>'), (b"<", b'>'), (b"'", b'\'')] {
            if self.take(written) {
                while self.next().is_some_and(|byte| byte != end) {}
                return self.capture(*flags).map(Some);
            }
        }
        match self.peek() {
            Some(b'|') => Err(self.wrong("a branch reset group (?|")),
            Some(b'(') => Err(self.wrong("a condition (?(")),
            Some(b'R' | b'&' | b'P' | b'+' | b'0'..=b'9') => Err(self.wrong("a recursion or a call of a group")),
            Some(b'C') => Err(self.wrong("a callout (?C")),
            _ => self.flags(flags),
        }
    }

    fn capture(&mut self, flags: Flags) -> Result<Node, String> {
        self.groups += 1;
        let index = self.groups;
        Ok(Node::Group(index, Box::new(self.closed(flags)?)))
    }

    fn closed(&mut self, flags: Flags) -> Result<Node, String> {
        let node = self.alternation(flags)?;
        if self.take(b")") { Ok(node) } else { Err(self.wrong("a `(` without its `)`")) }
    }

    /// `(?i)`, `(?i-s:…)`, `(?:…)`, behind the question mark.
    fn flags(&mut self, outer: &mut Flags) -> Result<Option<Node>, String> {
        let mut flags = *outer;
        let mut on = true;
        while let Some(byte) = self.next() {
            match byte {
                b'i' => flags.ignore_case = on,
                b'm' => flags.lines = on,
                b's' => flags.dot_stops = !on,
                b'x' => flags.extended = on,
                b'U' => flags.ungreedy = on,
                b'J' => {}
                b'-' if on => on = false,
                b':' => return self.closed(flags).map(Some),
                b')' => {
                    *outer = flags;
                    return Ok(None);
                }
                _ => return Err(self.wrong(&format!("an unknown group (?{}", byte.escape_ascii()))),
            }
        }
        Err(self.wrong("a `(` without its `)`"))
    }

    fn quantified(&mut self, atom: Node, flags: Flags) -> Result<Node, String> {
        while self.skip(flags) {}
        let (min, max) = match self.peek() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') => {
                self.at += 1;
                let Some((min, max, len)) = self.counts() else {
                    self.at -= 1;
                    return Ok(atom);
                };
                self.at += len - 1;
                (min, max)
            }
            _ => return Ok(atom),
        };
        self.at += 1;
        if min.max(max.unwrap_or(0)) > COUNT_MAX {
            return Err(self.wrong(&format!("a count above {COUNT_MAX}")));
        }
        if max.is_some_and(|max| max < min) {
            return Err(self.wrong("counts out of order"));
        }
        let lazy = self.take(b"?");
        let possessive = !lazy && self.take(b"+");
        if matches!(self.peek(), Some(b'*' | b'+' | b'?')) {
            return Err(self.wrong("a quantifier of a quantifier"));
        }
        Ok(match atom {
            // A condition holds or not, however often it is asked.
            Node::At(_) | Node::Around { .. } | Node::Empty if min == 0 => Node::Empty,
            Node::At(_) | Node::Around { .. } | Node::Empty => atom,
            // As many as there are: none of them comes behind. Exact, where the plain reading would match more.
            Node::Byte(class) if possessive && max.is_none() => {
                let rest = Node::Around { ahead: true, negative: true, node: Box::new(Node::Byte(class)) };
                Node::Concat(vec![Node::Repeat { min, max, greedy: true, node: Box::new(atom) }, rest])
            }
            _ => Node::Repeat { min, max, greedy: possessive || lazy == flags.ungreedy, node: Box::new(atom) },
        })
    }

    /// `n}`, `n,}` or `n,m}` behind a `{`: the counts, and how many bytes they and the `}` take.
    fn counts(&self) -> Option<(u32, Option<u32>, usize)> {
        let rest = self.rest();
        let len = rest.iter().take(16).position(|byte| *byte == b'}')?;
        let text = std::str::from_utf8(rest.get(..len)?).ok()?;
        let number = |digits: &str| -> Option<u32> {
            if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                digits.parse().ok()
            } else {
                None
            }
        };
        let (min, max) = match text.split_once(',') {
            None => (number(text)?, Some(number(text)?)),
            Some((min, "")) => (number(min)?, None),
            Some((min, max)) => (number(min)?, Some(number(max)?)),
        };
        Some((min, max, len + 1))
    }
}

/// Escapes and classes.
impl Reader<'_> {
    /// Behind a backslash, outside of a class.
    fn escape(&mut self) -> Result<Escape, String> {
        let Some(byte) = self.peek() else { return Err(self.wrong("a backslash at the end")) };
        self.at += 1;
        Ok(match byte {
            b'b' => Escape::At(Position::Word),
            b'B' => Escape::At(Position::NotWord),
            b'A' => Escape::At(Position::Start),
            b'z' => Escape::At(Position::End),
            b'Z' => Escape::Node(Node::Around { ahead: true, negative: false, node: Box::new(before_end()) }),
            b'R' => Escape::Node(line_break()),
            b'N' if self.peek() != Some(b'{') => Escape::Class(Class::of(b'\n').negated()),
            b'C' => Escape::Class(Class::ALL),
            // What is in front of it would not be a part of group 0; whether there is a match is the same.
            b'K' => Escape::Node(Node::Empty),
            b'1'..=b'9' => return self.numbered(byte),
            b'g' | b'k' => return Err(self.wrong("a back-reference")),
            b'G' | b'X' => return Err(self.wrong(&format!("\\{}", char::from(byte)))),
            _ => return self.escape_common(byte),
        })
    }

    /// `\1` is a back-reference; so is `\12` where there are as many groups, else octal.
    fn numbered(&mut self, first: u8) -> Result<Escape, String> {
        let digits = self.rest().iter().take(2).take_while(|byte| (b'0'..=b'7').contains(*byte)).count();
        if digits == 0 || first > b'7' || self.groups >= 10 {
            return Err(self.wrong(&format!("a back-reference \\{}", char::from(first))));
        }
        self.at -= 1;
        Ok(Escape::Byte(self.octal(3)))
    }

    /// Up to `most` octal digits; the value is cut to a byte.
    fn octal(&mut self, most: usize) -> u8 {
        let mut value = 0u32;
        for _ in 0..most {
            match self.peek() {
                Some(digit @ b'0'..=b'7') => value = value * 8 + u32::from(digit - b'0'),
                _ => break,
            }
            self.at += 1;
        }
        value.to_le_bytes()[0]
    }

    /// Escapes that mean the same inside and outside of a class.
    fn escape_common(&mut self, byte: u8) -> Result<Escape, String> {
        Ok(match byte {
            b'd' => Escape::Class(Class::digits()),
            b'D' => Escape::Class(Class::digits().negated()),
            b'w' => Escape::Class(Class::word()),
            b'W' => Escape::Class(Class::word().negated()),
            b's' => Escape::Class(Class::space()),
            b'S' => Escape::Class(Class::space().negated()),
            b'h' => Escape::Class(Class::horizontal()),
            b'H' => Escape::Class(Class::horizontal().negated()),
            b'v' => Escape::Class(Class::vertical()),
            b'V' => Escape::Class(Class::vertical().negated()),
            b'a' => Escape::Byte(7),
            b'e' => Escape::Byte(0x1b),
            b'f' => Escape::Byte(0x0c),
            b'n' => Escape::Byte(b'\n'),
            b'r' => Escape::Byte(b'\r'),
            b't' => Escape::Byte(b'\t'),
            b'0' => {
                self.at -= 1;
                Escape::Byte(self.octal(3))
            }
            b'x' => Escape::Byte(self.hexadecimal()?),
            b'c' => match self.next() {
                Some(control) if control.is_ascii() => Escape::Byte(control.to_ascii_uppercase() ^ 0x40),
                _ => return Err(self.wrong("\\c without a character")),
            },
            b'p' | b'P' => return Err(self.wrong("a Unicode property \\p: patterns are of bytes")),
            b'N' | b'L' | b'l' | b'U' | b'u' | b'o' => {
                return Err(self.wrong(&format!("\\{}", char::from(byte))));
            }
            _ => Escape::Byte(byte),
        })
    }

    /// Behind `\x`: up to two digits, or any in braces.
    fn hexadecimal(&mut self) -> Result<u8, String> {
        let braced = self.take(b"{");
        let most = if braced { 8 } else { 2 };
        let mut value = 0u32;
        for _ in 0..most {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else { break };
            value = value << 4 | digit;
            self.at += 1;
        }
        if braced && !self.take(b"}") {
            return Err(self.wrong("\\x{ without its `}`"));
        }
        u8::try_from(value).map_err(|_| self.wrong("\\x{…} above ff: patterns are of bytes"))
    }

    /// Behind `[`.
    fn class(&mut self, flags: Flags) -> Result<Class, String> {
        let negative = self.take(b"^");
        let mut class = Class::default();
        let mut first = true;
        let mut quoted = false;
        loop {
            if self.take(if quoted { b"\\E" } else { b"\\Q" }) {
                quoted = !quoted;
                continue;
            }
            if !quoted && self.take(b"\\E") {
                continue;
            }
            let Some(byte) = self.peek() else { return Err(self.wrong("a `[` without its `]`")) };
            if byte == b']' && !first && !quoted {
                self.at += 1;
                break;
            }
            first = false;
            if !quoted && byte == b'[' && self.posix(&mut class)? {
                continue;
            }
            match self.member(quoted)? {
                Escape::Byte(start) => self.range(start, quoted, &mut class)?,
                Escape::Class(members) => class.unite(&members),
                Escape::At(_) | Escape::Node(_) => return Err(self.wrong("an escape that no class can hold")),
            }
        }
        let class = if flags.ignore_case { class.folded() } else { class };
        Ok(if negative { class.negated() } else { class })
    }

    /// One member of a class, or the start of a range.
    fn member(&mut self, quoted: bool) -> Result<Escape, String> {
        match self.next() {
            Some(b'\\') if !quoted => match self.next() {
                Some(b'b') => Ok(Escape::Byte(8)),
                Some(b'1'..=b'7') => {
                    self.at -= 1;
                    Ok(Escape::Byte(self.octal(3)))
                }
                Some(b'B' | b'R' | b'X') => Err(self.wrong("an escape that no class can hold")),
                Some(byte) => self.escape_common(byte),
                None => Err(self.wrong("a backslash at the end")),
            },
            Some(byte) => Ok(Escape::Byte(byte)),
            None => Err(self.wrong("a `[` without its `]`")),
        }
    }

    /// `start`, or the range from it where a `-` and an end follow.
    fn range(&mut self, start: u8, quoted: bool, class: &mut Class) -> Result<(), String> {
        class.insert(start);
        if quoted || self.peek() != Some(b'-') || matches!(self.pattern.get(self.at + 1), None | Some(b']')) {
            return Ok(());
        }
        let before = self.at;
        self.at += 1;
        if self.rest().starts_with(b"[:") {
            self.at = before;
            return Ok(());
        }
        match self.member(false)? {
            Escape::Byte(end) if end < start => Err(self.wrong("a range out of order")),
            Escape::Byte(end) => {
                class.unite(&Class::by(|byte| (start..=end).contains(&byte)));
                Ok(())
            }
            // `[a-\d]`: the hyphen is one of its members, as is the class.
            Escape::Class(members) => {
                class.insert(b'-');
                class.unite(&members);
                Ok(())
            }
            Escape::At(_) | Escape::Node(_) => Err(self.wrong("an escape that no class can hold")),
        }
    }

    /// `[:alpha:]` at a `[` inside of a class.
    fn posix(&mut self, class: &mut Class) -> Result<bool, String> {
        let rest = self.rest();
        let Some(len) = rest.strip_prefix(b"[:").and_then(|name| name.iter().position(|byte| !is_posix_name(*byte)))
        else {
            return Ok(false);
        };
        if !rest.get(len + 2..).is_some_and(|rest| rest.starts_with(b":]")) {
            return Ok(false);
        }
        let name = rest.get(2..len + 2).unwrap_or_default();
        let (negative, name) = name.strip_prefix(b"^").map_or((false, name), |name| (true, name));
        let Some(members) = Class::posix(name) else { return Err(self.wrong("an unknown POSIX class")) };
        class.unite(&if negative { members.negated() } else { members });
        self.at += len + 4;
        Ok(true)
    }
}

fn is_posix_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte == b'^'
}

fn byte_node(byte: u8, flags: Flags) -> Node {
    let class = Class::of(byte);
    Node::Byte(if flags.ignore_case { class.folded() } else { class })
}

/// `\Z`: what follows is the end, or a newline and the end.
fn before_end() -> Node {
    Node::Concat(vec![
        Node::Repeat { min: 0, max: Some(1), greedy: true, node: Box::new(Node::Byte(Class::of(b'\n'))) },
        Node::At(Position::End),
    ])
}

/// `\R`
fn line_break() -> Node {
    Node::Alternation(vec![
        Node::Concat(vec![Node::Byte(Class::of(b'\r')), Node::Byte(Class::of(b'\n'))]),
        Node::Byte(Class::vertical()),
    ])
}
