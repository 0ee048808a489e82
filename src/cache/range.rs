//! Parts of a stored answer: Range, If-Range, Content-Range, multipart/byteranges (RFC 9110 §14, §13.1.5).
//!
//! Only numbers and text: whoever sends takes the bytes from the body by these ranges, which never reach beyond it.

use std::ops::Range;

use super::conditional::{EntityTag, only_line};
use super::fields::{StoredFields, date_s, members};
use crate::http::{FieldId, Method, RequestHead};

/// Ranges that one request may ask for; with more it gets the whole (RFC 9110 §14.2, §17.15).
pub const RANGES_MAX: usize = 16;

/// What a request asks of a stored body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of it, by 200.
    Whole,
    /// A part of it, not empty, by 206.
    One(Range<u64>),
    /// Parts of it that do not overlap, none of them empty, in the order of the request, by 206 and [`Multipart`].
    Several(Vec<Range<u64>>),
    /// Nothing that is there, by 416.
    Unsatisfiable,
}

/// What a request asks of a stored answer of status 200 whose body has this length. The conditions of RFC 9110 §13.2.2
/// up to step 4 hold already.
///
/// A Range field that is not understood, that names more than [`RANGES_MAX`] ranges or overlapping ones, asks for the
/// whole. So an answer has at most the body's bytes and [`RANGES_MAX`] heads of parts.
pub fn select(request: &RequestHead, fields: &StoredFields, length: u64) -> Selection {
    if request.method != Method::Get {
        return Selection::Whole;
    }
    let Some(set) = only_line(request, FieldId::Range).and_then(byte_ranges) else { return Selection::Whole };
    if !is_same_as_stored(request, fields) {
        return Selection::Whole;
    }
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut asked = 0_usize;
    for spec in members(set, b',').filter(|spec| !spec.is_empty()) {
        asked += 1;
        let Some(spec) = Spec::of(spec).filter(|_| asked <= RANGES_MAX) else { return Selection::Whole };
        match spec.within(length) {
            Part::All => return Selection::Whole,
            Part::None => {}
            Part::Some(range) if ranges.iter().any(|other| overlap(other, &range)) => return Selection::Whole,
            Part::Some(range) => ranges.push(range),
        }
    }
    match (asked, ranges.len()) {
        (0, _) => Selection::Whole,
        (_, 0) => Selection::Unsatisfiable,
        (_, 1) => ranges.pop().map_or(Selection::Whole, Selection::One),
        _ => Selection::Several(ranges),
    }
}

/// Whether a request asks for all bytes as a part: its only Range is `bytes=0-`, without a condition on it.
pub fn is_from_zero(request: &RequestHead) -> bool {
    let Some(set) = only_line(request, FieldId::Range).and_then(byte_ranges) else { return false };
    matches!(Spec::of(crate::http::syntax::trim(set)), Some(Spec::From(0))) && request.find(FieldId::IfRange).is_none()
}

/// The value of Content-Range for a part.
pub fn content_range(range: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1))
}

/// The value of Content-Range in a 416 (RFC 9110 §15.5.17).
pub fn unsatisfied_range(length: u64) -> String {
    format!("bytes */{length}")
}

/// The set behind `bytes=`; the unit has no case (RFC 9110 §14.1).
fn byte_ranges(value: &[u8]) -> Option<&[u8]> {
    let equals = memchr::memchr(b'=', value)?;
    let (unit, set) = value.split_at(equals);
    if unit.eq_ignore_ascii_case(b"bytes") { set.get(1..) } else { None }
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

/// One range of a request (RFC 9110 §14.1.2). Numbers beyond 64 bits are as good as the largest.
#[derive(Clone, Copy)]
enum Spec {
    From(u64),
    /// First and last byte, the last included.
    Between(u64, u64),
    Last(u64),
}

/// What of a body a range means.
enum Part {
    Some(Range<u64>),
    None,
    /// A suffix of an empty body: there is no way to say so by a 206.
    All,
}

impl Spec {
    fn of(text: &[u8]) -> Option<Self> {
        let dash = memchr::memchr(b'-', text)?;
        let (first, last) = text.split_at(dash);
        match (first, last.get(1..)?) {
            ([], last) => number(last).map(Self::Last),
            (first, []) => number(first).map(Self::From),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    fn within(self, length: u64) -> Part {
        let range = match self {
            Self::From(first) => first..length,
            Self::Between(first, last) => first..last.saturating_add(1).min(length),
            Self::Last(0) => return Part::None,
            Self::Last(_) if length == 0 => return Part::All,
            Self::Last(count) => length.saturating_sub(count)..length,
        };
        if range.is_empty() { Part::None } else { Part::Some(range) }
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        digit.is_ascii_digit().then(|| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

/// If-Range (RFC 9110 §13.1.5): whether the client's parts are of what is stored. True without the field.
fn is_same_as_stored(request: &RequestHead, fields: &StoredFields) -> bool {
    if request.find(FieldId::IfRange).is_none() {
        return true;
    }
    let Some(given) = only_line(request, FieldId::IfRange) else { return false };
    if let Some(tag) = EntityTag::of(given) {
        return fields.find(FieldId::Etag).and_then(EntityTag::of).is_some_and(|own| tag.is_strongly(own));
    }
    let stored_s = |id| fields.find(id).and_then(date_s);
    let (Some(given), Some(modified)) = (date_s(given), stored_s(FieldId::LastModified)) else { return false };
    // RFC 9110 §8.8.2.2: a date is strong when a second change within its second cannot have been missed.
    given == modified && stored_s(FieldId::Date).is_some_and(|date| date > modified)
}

/// An answer of several parts (RFC 9110 §14.6): what stands before, between and behind the ranges of the body.
#[derive(Clone, Debug)]
pub struct Multipart {
    boundary: [u8; BOUNDARY_BYTES],
    ranges: Box<[Range<u64>]>,
    length: u64,
    part_type: Option<Box<[u8]>>,
}

/// 64 random bits in hex.
const BOUNDARY_BYTES: usize = 16;
const HEX: &[u8; 16] = b"0123456789abcdef";

impl Multipart {
    /// The parts of a body of this length that a [`Selection::Several`] names. `random` makes the boundary, which the
    /// body must not be able to know.
    pub fn new(ranges: Vec<Range<u64>>, length: u64, fields: &StoredFields, random: u64) -> Self {
        let digit = |at: usize| HEX.get((random >> (4 * at) & 15) as usize).copied().unwrap_or(b'0');
        Self {
            boundary: std::array::from_fn(digit),
            ranges: ranges.into(),
            length,
            part_type: fields.find(FieldId::ContentType).map(Into::into),
        }
    }

    /// The ranges in the order of the parts.
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// The value of Content-Type of the whole; the stored one stands in each part.
    pub fn content_type(&self) -> Vec<u8> {
        [b"multipart/byteranges; boundary=", &self.boundary[..]].concat()
    }

    /// Appends what stands before the bytes of part `index`, counted from 0; nothing where there is no such part.
    pub fn write_part_head(&self, out: &mut Vec<u8>, index: usize) {
        let Some(range) = self.ranges.get(index) else { return };
        if index > 0 {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"--");
        out.extend_from_slice(&self.boundary);
        if let Some(part_type) = &self.part_type {
            out.extend_from_slice(b"\r\nContent-Type: ");
            out.extend_from_slice(part_type);
        }
        out.extend_from_slice(b"\r\nContent-Range: ");
        out.extend_from_slice(content_range(range, self.length).as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// Appends what stands behind the last part.
    pub fn write_end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n--");
        out.extend_from_slice(&self.boundary);
        out.extend_from_slice(b"--\r\n");
    }

    /// Bytes of the whole: Content-Length.
    pub fn content_length(&self) -> u64 {
        let mut text = Vec::new();
        for index in 0..self.ranges.len() {
            self.write_part_head(&mut text, index);
        }
        self.write_end(&mut text);
        let parts: u64 = self.ranges.iter().map(|range| range.end - range.start).sum();
        parts + text.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fields::testing::{request, stored};
    use super::Selection::{One, Several, Unsatisfiable, Whole};
    use super::*;

    const DAY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATE: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn selected(range: &str, length: u64) -> Selection {
        select(&request("GET", &format!("Range: {range}\r\n")), &stored(""), length)
    }

    #[test]
    fn ranges_select_what_rfc_9110_says() {
        let many = |count: u64| (0..count).map(|at| format!("{0}-{0}", 3 * at)).collect::<Vec<_>>().join(",");
        let most = many(RANGES_MAX as u64);
        let rows: &[(&str, u64, Selection)] = &[
            ("bytes=0-4", 10, One(0..5)),
            ("BYTES=9-9", 10, One(9..10)),
            ("bytes=5-", 10, One(5..10)),
            ("bytes=0-", 10, One(0..10)),
            ("bytes=5-99", 10, One(5..10)),
            ("bytes=0-99999999999999999999999", 10, One(0..10)),
            ("bytes=-3", 10, One(7..10)),
            ("bytes=-30", 10, One(0..10)),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=99999999999999999999999-", 10, Unsatisfiable),
            ("bytes=10-12,-0", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=-5", 0, Whole),
            ("bytes=0-1, 4-5", 10, Several(vec![0..2, 4..6])),
            ("bytes=-2,,0-0 ,", 10, Several(vec![8..10, 0..1])),
            ("bytes=0-4,5-9", 10, Several(vec![0..5, 5..10])),
            ("bytes=0-1,10-11", 10, One(0..2)),
            ("bytes=0-5,5-9", 10, Whole),
            ("bytes=0-,-1", 10, Whole),
            ("bytes=4-3", 10, Whole),
            ("bytes=0-1,4-3", 10, Whole),
            ("bytes=", 10, Whole),
            ("bytes=,", 10, Whole),
            ("bytes", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=a-", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("bytes=1 - 2", 10, Whole),
            ("bytes=1-2-3", 10, Whole),
            ("bytes =0-1", 10, Whole),
            ("items=0-1", 10, Whole),
            ("0-1", 10, Whole),
            (&format!("bytes={}", many(1 + RANGES_MAX as u64)), 100, Whole),
            (&format!("bytes={most}"), 100, Several((0..RANGES_MAX as u64).map(|at| 3 * at..3 * at + 1).collect())),
        ];
        for (range, length, selection) in rows {
            assert_eq!(selected(range, *length), *selection, "{range}");
        }
        assert_eq!(select(&request("HEAD", "Range: bytes=0-1\r\n"), &stored(""), 10), Whole);
        assert_eq!(select(&request("GET", "Range: bytes=0-1\r\nRange: bytes=2-3\r\n"), &stored(""), 10), Whole);
        assert_eq!(select(&request("GET", ""), &stored(""), 10), Whole);
    }

    #[test]
    fn if_range_wants_strong_validators() {
        let strong = format!("Last-Modified: {DAY}\r\nDate: {LATE}\r\n");
        let weak = format!("Last-Modified: {DAY}\r\nDate: {DAY}\r\n");
        let rows: &[(&str, &str, bool)] = &[
            ("ETag: \"a\"\r\n", "\"a\"", true),
            ("ETag: \"a\"\r\n", "\"b\"", false),
            ("ETag: \"a\"\r\n", "W/\"a\"", false),
            ("ETag: W/\"a\"\r\n", "W/\"a\"", false),
            ("", "\"a\"", false),
            (&strong, DAY, true),
            (&strong, LATE, false),
            (&strong, "Sun Nov  6 08:49:37 1994", true),
            (&weak, DAY, false),
            (&format!("Last-Modified: {DAY}\r\n"), DAY, false),
            (&strong, "*", false),
            (&strong, "", false),
        ];
        for (fields, given, part) in rows {
            let head = request("GET", &format!("Range: bytes=0-1\r\nIf-Range: {given}\r\n"));
            let selection = if *part { One(0..2) } else { Whole };
            assert_eq!(select(&head, &stored(fields), 10), selection, "{fields}{given}");
        }
    }

    #[test]
    fn all_bytes_as_a_part_has_one_spelling() {
        let of = |lines: &str| is_from_zero(&request("GET", lines));
        assert!(of("Range: bytes=0-\r\n"));
        for lines in
            ["", "Range: bytes=0-1\r\n", "Range: bytes=1-\r\n", "Range: bytes=0-,5-\r\n", "Range: bytes=-0\r\n"]
        {
            assert!(!of(lines), "{lines}");
        }
        assert!(!of("Range: bytes=0-\r\nRange: bytes=0-\r\n"));
        assert!(!of("Range: bytes=0-\r\nIf-Range: \"a\"\r\n"));
    }

    #[test]
    fn parts_are_told_in_text() {
        assert_eq!(content_range(&(0..5), 10), "bytes 0-4/10");
        assert_eq!(unsatisfied_range(10), "bytes */10");
        let parts = Multipart::new(vec![0..1, 8..10], 10, &stored("Content-Type: a/b\r\n"), 0x0123_4567_89ab_cdef);
        assert_eq!(parts.content_type(), b"multipart/byteranges; boundary=fedcba9876543210");
        let mut out = Vec::new();
        parts.write_part_head(&mut out, 0);
        out.push(b'0');
        parts.write_part_head(&mut out, 1);
        out.extend_from_slice(b"89");
        parts.write_part_head(&mut out, 2);
        parts.write_end(&mut out);
        let text = "--fedcba9876543210\r\nContent-Type: a/b\r\nContent-Range: bytes 0-0/10\r\n\r\n0\r\n\
                    --fedcba9876543210\r\nContent-Type: a/b\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n\
                    --fedcba9876543210--\r\n";
        assert_eq!(std::str::from_utf8(&out), Ok(text));
        assert_eq!(parts.content_length(), out.len() as u64);
    }

    proptest! {
        #[test]
        fn parts_lie_within_the_body_apart_from_each_other(set in "[0-9]{0,3}-?[0-9, -]{0,40}", length in 0_u64..1_000) {
            let ranges = match selected(&format!("bytes={set}"), length) {
                One(range) => vec![range],
                Several(ranges) => ranges,
                Whole | Unsatisfiable => return Ok(()),
            };
            prop_assert!(ranges.iter().all(|r| r.start < r.end && r.end <= length));
            prop_assert!(ranges.iter().map(|r| r.end - r.start).sum::<u64>() <= length);
            prop_assert!(ranges.len() <= RANGES_MAX);
        }

        #[test]
        fn any_value_is_read_without_panic(value in "[ -~\\t]{0,60}", length: u64) {
            let lines = format!("Range: {value}\r\nIf-Range: {value}\r\n");
            select(&request("GET", &lines), &stored(&format!("ETag: {value}\r\n")), length);
            selected(&format!("bytes={value}"), length);
        }

        #[test]
        fn the_length_of_a_multipart_is_that_of_its_bytes(
            ends in prop::collection::btree_set(0_u64..1_000, 4..12), random: u64, typed: bool
        ) {
            let ends: Vec<u64> = ends.into_iter().collect();
            let ranges: Vec<_> = ends.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect();
            let fields = stored(if typed { "Content-Type: text/plain\r\n" } else { "" });
            let parts = Multipart::new(ranges, 1_000, &fields, random);
            let mut out = Vec::new();
            for (index, range) in parts.ranges().iter().enumerate() {
                parts.write_part_head(&mut out, index);
                out.extend(range.clone().map(|_| b'x'));
            }
            parts.write_end(&mut out);
            prop_assert_eq!(parts.content_length(), out.len() as u64);
        }
    }
}
