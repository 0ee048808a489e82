//! Writing of field blocks (RFC 7541 §6): our side of the compression of one connection.
//!
//! A line that equals the last one of its name is one byte; that is looked for first, without hashing. Else a small
//! table of hashes says where an equal line is, or that one was seen: names whose values keep changing are put into the
//! table only when a value comes a second time ([`super::rule`]). A hash is never trusted: text is compared.

use super::rule::{self, Rule};
use super::table::{ENTRY_OVERHEAD, Table};
use super::{FieldLine, TABLE_BYTES_DEFAULT, integer, static_table};
use crate::http::FieldId;
use crate::http::field::KNOWN;

/// Lines of which the encoder remembers that it has seen them.
const SEEN_LINES: usize = 64;
/// Names of which the encoder remembers the last line: known fields, pseudo-fields, and unknown ones by their hash.
const NAMES: usize = 128;
/// Where the pseudo-fields begin.
const PSEUDO_NAMES: usize = KNOWN.len() + 1;
/// Where the unknown names begin.
const OTHER_NAMES: usize = 64;
/// Values put into the table at first sight before the name is one whose values change.
const MISSES_MAX: u8 = 2;
/// Bytes of a line that may enter the table at first sight, measured as the table does.
const FIRST_SIGHT_BYTES_MAX: usize = 512;

const _: () = assert!(PSEUDO_NAMES + PSEUDO.len() <= OTHER_NAMES && OTHER_NAMES < NAMES);

/// Pseudo-fields with a place among the names, and their static index.
const PSEUDO: [(&[u8], usize); 5] = [
    (b":authority", static_table::AUTHORITY),
    (b":method", static_table::METHOD),
    (b":path", static_table::PATH),
    (b":scheme", static_table::SCHEME),
    (b":protocol", 0),
];

/// The writer of all blocks of one connection, in their order.
///
/// About 1.7 KiB, and on the heap what its table of at most 4,096 bytes takes (10 KiB) once lines repeat.
pub struct Encoder {
    table: Table,
    /// The smallest size that the table was given since the last block; `None` = it was not changed.
    size_min: Option<usize>,
    names: [Name; NAMES],
    seen: [Seen; SEEN_LINES],
    /// An unknown name in lower case.
    lower: Vec<u8>,
}

/// What is remembered of a name.
#[derive(Clone, Copy, Default)]
struct Name {
    /// Number of the last entry with this name, or one that shares the place; see [`Table::age`].
    entry: u32,
    /// Values put into the table at first sight since one was of use.
    misses: u8,
}

/// What is remembered of a line.
#[derive(Clone, Copy, Default)]
struct Seen {
    hash: u32,
    /// Number of its entry; 0 = it was seen and not put into the table.
    entry: u32,
}

/// A line that may have a place in the table.
struct Line<'a> {
    id: FieldId,
    name: &'a [u8],
    value: &'a [u8],
    /// Its place among the names.
    place: usize,
    /// Index of its name in the static table, or 0.
    static_name: usize,
    rule: Rule,
}

impl Line<'_> {
    /// Whether an entry has the name of this line.
    #[inline]
    fn names(&self, entry: &FieldLine<'_>) -> bool {
        entry.id == self.id && (self.id != FieldId::Other || entry.name == self.name)
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder as the protocol begins: a table of 4,096 bytes (RFC 9113 §6.5.2).
    pub fn new() -> Self {
        Self {
            table: Table::new(TABLE_BYTES_DEFAULT),
            size_min: None,
            names: [Name::default(); NAMES],
            seen: [Seen::default(); SEEN_LINES],
            lower: Vec::new(),
        }
    }

    /// Takes the peer's SETTINGS_HEADER_TABLE_SIZE; of more than 4,096 bytes no use is made. The next block says so.
    pub fn set_table_bytes_max(&mut self, bytes: usize) {
        let size = bytes.min(TABLE_BYTES_DEFAULT);
        if size != self.table.size_max() {
            self.size_min = Some(self.size_min.map_or(size, |least| least.min(size)));
            self.table.resize(size);
        }
    }

    /// Begins a block: changes of the table's size come first, the smallest and the last (§4.2).
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        let Some(size_min) = self.size_min.take() else { return };
        if size_min < self.table.size_max() {
            integer::write(out, 0x20, 5, size_min);
        }
        integer::write(out, 0x20, 5, self.table.size_max());
    }

    /// Appends `:status`. `status` has three digits.
    #[inline]
    pub fn status(&mut self, out: &mut Vec<u8>, status: u16) {
        let index = match status {
            200 => static_table::STATUS,
            204 => static_table::STATUS + 1,
            206 => static_table::STATUS + 2,
            304 => static_table::STATUS + 3,
            400 => static_table::STATUS + 4,
            404 => static_table::STATUS + 5,
            500 => static_table::STATUS + 6,
            _ => {
                let digit = |unit: u16| b'0' + (status / unit % 10) as u8;
                return literal(out, 0x00, 4, static_table::STATUS, b":status", &[digit(100), digit(10), digit(1)]);
            }
        };
        write_index(out, index);
    }

    /// Appends another pseudo-field; `name` begins with `:`.
    pub fn pseudo(&mut self, out: &mut Vec<u8>, name: &'static [u8], value: &[u8]) {
        let known = PSEUDO.iter().position(|(known, _)| *known == name);
        let Some(nth) = known else { return literal(out, 0x00, 4, 0, name, value) };
        let static_name = PSEUDO[nth].1;
        // `:method`, `:path` and `:scheme` have two lines each.
        let full = [static_name, static_name + 1].into_iter().find(|index| {
            static_table::get(*index).is_some_and(|line| line.name == name && line.value == value && !value.is_empty())
        });
        if let Some(index) = full {
            return write_index(out, index);
        }
        let rule = if static_name == static_table::PATH { Rule::SecondSight } else { Rule::Repeats };
        let line = Line { id: FieldId::Other, name, value, place: PSEUDO_NAMES + nth, static_name, rule };
        self.line(out, &line);
    }

    /// Appends a field. `name` may be in any case and is written in lower case; `id` is its number.
    pub fn field(&mut self, out: &mut Vec<u8>, id: FieldId, name: &[u8], value: &[u8]) {
        if id == FieldId::Other {
            return self.other(out, name, value);
        }
        let static_name = static_table::index_of_name(id);
        let name = id.name();
        match rule::of(id) {
            Rule::Secret => literal(out, 0x10, 4, static_name, name, value),
            Rule::Varies => literal(out, 0x00, 4, static_name, name, value),
            _ if id == FieldId::AcceptEncoding && value == b"gzip, deflate" => {
                write_index(out, static_table::ACCEPT_ENCODING);
            }
            rule => self.line(out, &Line { id, name, value, place: id as usize, static_name, rule }),
        }
    }

    /// Appends a field whose name has no number.
    fn other(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        let mut lower = std::mem::take(&mut self.lower);
        lower.clear();
        lower.extend(name.iter().map(u8::to_ascii_lowercase));
        let place = OTHER_NAMES + hash(0, &lower) as usize % (NAMES - OTHER_NAMES);
        let line = Line { id: FieldId::Other, name: &lower, value, place, static_name: 0, rule: Rule::Repeats };
        self.line(out, &line);
        self.lower = lower;
    }

    /// Appends a line by its index if the table has it, else as a literal, with a place in the table or without.
    fn line(&mut self, out: &mut Vec<u8>, line: &Line<'_>) {
        let last = self.names[line.place].entry;
        let last = self.table.age(last).and_then(|age| Some((age, self.table.get(age)?)));
        let same_name = last.filter(|(_, entry)| line.names(entry));
        if let Some((age, entry)) = same_name
            && entry.value == line.value
        {
            self.names[line.place].misses = 0;
            return write_index(out, static_table::LINES + 1 + age);
        }
        let name_index = match line.static_name {
            0 => same_name.map_or(0, |(age, _)| static_table::LINES + 1 + age),
            index => index,
        };
        self.line_by_hash(out, line, name_index);
    }

    /// [`Encoder::line`] for a line that is not the last one of its name.
    fn line_by_hash(&mut self, out: &mut Vec<u8>, line: &Line<'_>, name_index: usize) {
        let size = line.name.len() + line.value.len() + ENTRY_OVERHEAD;
        if line.place >= OTHER_NAMES && rule::names_secret(line.name) {
            return literal(out, 0x10, 4, name_index, line.name, line.value);
        }
        // A line that fills half of the table throws out more than it is worth.
        if size > self.table.size_max() / 2 {
            return literal(out, 0x00, 4, name_index, line.name, line.value);
        }
        let hash = hash(hash(line.place as u64, line.name), line.value) as u32;
        let seen = self.seen[hash as usize % SEEN_LINES];
        let again = seen.hash == hash;
        if again
            && let Some(age) = self.table.age(seen.entry)
            && self.is(age, line)
        {
            self.names[line.place] = Name { entry: seen.entry, misses: 0 };
            return write_index(out, static_table::LINES + 1 + age);
        }
        let first_sight =
            line.rule == Rule::Repeats && self.names[line.place].misses < MISSES_MAX && size <= FIRST_SIGHT_BYTES_MAX;
        if !again && !first_sight {
            self.seen[hash as usize % SEEN_LINES] = Seen { hash, entry: 0 };
            return literal(out, 0x00, 4, name_index, line.name, line.value);
        }
        literal(out, 0x40, 6, name_index, line.name, line.value);
        self.table.add(line.id, line.name, line.value);
        let entry = self.table.added();
        let misses = self.names[line.place].misses.saturating_add(u8::from(!again));
        self.names[line.place] = Name { entry, misses };
        self.seen[hash as usize % SEEN_LINES] = Seen { hash, entry };
    }

    /// Whether an entry is this line.
    fn is(&self, age: usize, line: &Line<'_>) -> bool {
        self.table.get(age).is_some_and(|entry| line.names(&entry) && entry.value == line.value)
    }

    /// Recounts the table and gives its size in bytes; for fuzzers and tests.
    pub(super) fn validate(&self) -> usize {
        assert!(self.table.size_max() <= TABLE_BYTES_DEFAULT);
        self.table.validate()
    }
}

/// Appends an indexed line (§6.1).
#[inline]
fn write_index(out: &mut Vec<u8>, index: usize) {
    integer::write(out, 0x80, 7, index);
}

/// Appends a literal line (§6.2): the pattern of its kind, its name by index or in full, its value.
fn literal(out: &mut Vec<u8>, pattern: u8, prefix_bits: u32, name_index: usize, name: &[u8], value: &[u8]) {
    integer::write(out, pattern, prefix_bits, name_index);
    if name_index == 0 {
        text(out, name);
    }
    text(out, value);
}

/// Appends a string as it is (§5.2).
#[inline]
fn text(out: &mut Vec<u8>, text: &[u8]) {
    integer::write(out, 0x00, 7, text.len());
    out.extend_from_slice(text);
}

/// A hash that is quick on short text. Whoever makes texts collide gains only that their lines are written in full.
#[inline]
fn hash(seed: u64, text: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    let (words, tail) = text.as_chunks::<8>();
    let hash = words.iter().fold(seed ^ text.len() as u64, |hash, word| step(hash, u64::from_ne_bytes(*word)));
    let tail = tail.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let hash = step(hash, tail);
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::super::Decoder;
    use super::*;

    /// Writes one line as a block and reads it back; gives the bytes it took.
    fn bytes_of(encoder: &mut Encoder, decoder: &mut Decoder, name: &str, value: &str) -> usize {
        let (mut out, mut lines) = (Vec::new(), Vec::new());
        encoder.begin(&mut out);
        encoder.field(&mut out, FieldId::of(name.as_bytes()), name.as_bytes(), value.as_bytes());
        assert_eq!(decoder.decode(&out, |line| lines.push((line.name.to_vec(), line.value.to_vec()))), Ok(()));
        assert_eq!(lines, [(name.to_lowercase().into_bytes(), value.into())]);
        encoder.validate();
        out.len()
    }

    #[test]
    fn a_line_that_repeats_takes_one_byte() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4_096));
        for (name, value) in [
            ("Content-Type", "application/json"),
            ("Server", "ringway"),
            ("Via", "2 ringway"),
            ("Cache-Status", "ringway; hit"),
            ("Access-Control-Allow-Origin", "*"),
        ] {
            assert!(bytes_of(&mut encoder, &mut decoder, name, value) > 1, "{name}");
            assert_eq!(bytes_of(&mut encoder, &mut decoder, name, value), 1, "{name}");
        }
        assert_eq!(bytes_of(&mut encoder, &mut decoder, "Accept-Encoding", "gzip, deflate"), 1, "static");
    }

    #[test]
    fn values_that_take_turns_are_found_by_their_hash() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4_096));
        let types = ["text/html", "text/css", "image/png", "text/javascript"];
        for _ in 0..3 {
            types.iter().for_each(|value| {
                bytes_of(&mut encoder, &mut decoder, "Content-Type", value);
            });
        }
        for value in types {
            assert_eq!(bytes_of(&mut encoder, &mut decoder, "Content-Type", value), 1, "{value}");
        }
    }

    #[test]
    fn a_name_whose_values_never_repeat_leaves_the_table_alone() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4_096));
        for nth in 0..100 {
            bytes_of(&mut encoder, &mut decoder, "X-Trace", &format!("trace number {nth}"));
        }
        assert_eq!(encoder.table.added(), u32::from(MISSES_MAX));
        // A value that comes twice is taken in nevertheless, and the name has its credit back.
        bytes_of(&mut encoder, &mut decoder, "X-Trace", "trace number 99");
        assert_eq!(bytes_of(&mut encoder, &mut decoder, "X-Trace", "trace number 99"), 1);
        assert_eq!(encoder.table.added(), u32::from(MISSES_MAX) + 1);
    }

    #[test]
    fn a_hash_alone_is_not_believed() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4_096));
        bytes_of(&mut encoder, &mut decoder, "Server", "one");
        bytes_of(&mut encoder, &mut decoder, "Server", "two");
        // As if `three` had the hash of `one`.
        let hash = hash(hash(FieldId::Server as u64, b"server"), b"three") as u32;
        encoder.seen[hash as usize % SEEN_LINES] = Seen { hash, entry: 1 };
        assert!(bytes_of(&mut encoder, &mut decoder, "Server", "three") > 1);
    }

    #[test]
    fn secrets_and_what_varies_never_enter_the_table() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4_096));
        for name in ["Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "X-Amz-Security-Token", "Etag", "Age"] {
            (0..3).for_each(|_| {
                bytes_of(&mut encoder, &mut decoder, name, "0123456789");
            });
        }
        assert_eq!(encoder.table.added(), 0);
        let mut out = Vec::new();
        encoder.field(&mut out, FieldId::Authorization, b"Authorization", b"x");
        assert_eq!(out, [0x1f, 23 - 15, 1, b'x'], "never indexed, name 23");
        out.clear();
        encoder.field(&mut out, FieldId::Etag, b"ETag", b"x");
        assert_eq!(out, [0x0f, 34 - 15, 1, b'x'], "without indexing, name 34");
    }

    #[test]
    fn changes_of_size_are_said_once_the_smallest_and_the_last() {
        let mut encoder = Encoder::new();
        let said = |encoder: &mut Encoder| {
            let mut out = Vec::new();
            encoder.begin(&mut out);
            out
        };
        assert_eq!(said(&mut encoder), [0_u8; 0]);
        encoder.set_table_bytes_max(65_536);
        assert_eq!(said(&mut encoder), [0_u8; 0], "of more than the default no use is made");
        encoder.set_table_bytes_max(0);
        encoder.set_table_bytes_max(4_096);
        assert_eq!(said(&mut encoder), [0x20, 0x3f, 0xe1, 0x1f]);
        assert_eq!(said(&mut encoder), [0_u8; 0]);
        encoder.set_table_bytes_max(30);
        assert_eq!(said(&mut encoder), [0x3e]);
    }

    #[test]
    fn a_path_enters_the_table_when_it_comes_again() {
        let mut encoder = Encoder::new();
        let mut bytes_of = |path: &[u8]| {
            let mut out = Vec::new();
            encoder.pseudo(&mut out, b":path", path);
            (out.len(), encoder.table.added())
        };
        assert_eq!(bytes_of(b"/"), (1, 0));
        assert_eq!(bytes_of(b"/v1/messages"), (14, 0));
        assert_eq!(bytes_of(b"/v1/messages"), (14, 1));
        assert_eq!(bytes_of(b"/v1/messages"), (1, 1));
    }
}
