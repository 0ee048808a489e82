//! Cache directives: Cache-Control of requests and responses, CDN-Cache-Control, Pragma (RFC 9111 §5.2, RFC 9213).
//!
//! Says what is written, not what follows from it. Where a field contradicts itself or cannot be read, the more
//! restrictive reading is taken: nothing malformed ever makes an answer live longer. Allocates only for the names
//! that `no-cache="…"` and `private="…"` list.

use super::dictionary;
use crate::http::{FieldId, RequestHead, ResponseHead, syntax};

/// Delta-seconds above it count as it (RFC 9111 §1.2.2).
pub const SECONDS_MAX: u64 = 1 << 31;
/// Bytes of the longest directive name that is known.
const NAME_BYTES_MAX: usize = 32;

/// What `no-cache` and `private` are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The directive is not there.
    #[default]
    Absent,
    /// The whole answer.
    Whole,
    /// Only the fields that it lists.
    Fields,
}

/// The directives of one message. Durations are seconds, at most [`SECONDS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    pub no_store: bool,
    pub no_cache: Reach,
    pub private: Reach,
    pub public: bool,
    pub must_revalidate: bool,
    pub proxy_revalidate: bool,
    pub must_understand: bool,
    pub no_transform: bool,
    pub only_if_cached: bool,
    pub immutable: bool,
    pub max_age: Option<u64>,
    pub s_maxage: Option<u64>,
    pub stale_while_revalidate: Option<u64>,
    pub stale_if_error: Option<u64>,
    pub min_fresh: Option<u64>,
    /// `Some(None)` = `max-stale` without an argument: however stale.
    pub max_stale: Option<Option<u64>>,
    /// They come from CDN-Cache-Control: Cache-Control and Expires do not count (RFC 9213 §2.1).
    pub targeted: bool,
    no_cache_fields: Vec<Box<str>>,
    private_fields: Vec<Box<str>>,
}

/// The argument of a directive, its syntax judged, its meaning not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    Absent,
    /// `?0` of a structured field: the directive is not there.
    False,
    /// A token or number.
    Text(&'a [u8]),
    /// What stands between the quotes, escapes and all.
    Quoted(&'a [u8]),
    /// What stands between the parentheses of a structured field's inner list.
    List(&'a [u8]),
    Malformed,
}

impl Directives {
    /// Directives of Cache-Control field lines: all of them are one list (RFC 9110 §5.6.1).
    pub fn parse<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut directives = Self::default();
        for value in values {
            for (name, argument) in (Members { rest: value, quotes: true }) {
                directives.apply(name, argument);
            }
        }
        directives
    }

    /// Directives of a response: those of a valid CDN-Cache-Control, else those of Cache-Control.
    pub fn of_response(response: &ResponseHead) -> Self {
        let values = |id| response.fields().filter(move |f| f.id == id).map(|f| f.value);
        if response.fields.iter().any(|f| f.id == FieldId::CdnCacheControl)
            && let Some(targeted) = Self::parse_targeted(values(FieldId::CdnCacheControl))
        {
            return targeted;
        }
        Self::parse(values(FieldId::CacheControl))
    }

    /// Directives of a request. Pragma counts where there is no Cache-Control (RFC 9111 §5.4).
    pub fn of_request(request: &RequestHead) -> Self {
        let values = |id| request.fields().filter(move |f| f.id == id).map(|f| f.value);
        if request.fields.iter().any(|f| f.id == FieldId::CacheControl) {
            return Self::parse(values(FieldId::CacheControl));
        }
        let pragma = Self::parse(values(FieldId::Pragma));
        Self { no_cache: pragma.no_cache, ..Self::default() }
    }

    /// Directives of a targeted field (RFC 9213 §2.1); `None` where it is empty or breaks RFC 8941, and counts for nothing.
    fn parse_targeted<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut directives = Self { targeted: true, ..Self::default() };
        let mut count = 0;
        for value in values {
            count += dictionary::members(value, |name, argument| directives.apply(name, argument))?;
        }
        (count > 0).then_some(directives)
    }

    /// Whether `no-cache="…"` lists the field, in any case.
    pub fn no_cache_lists(&self, name: &[u8]) -> bool {
        lists(&self.no_cache_fields, name)
    }

    /// Whether `private="…"` lists the field, in any case.
    pub fn private_lists(&self, name: &[u8]) -> bool {
        lists(&self.private_fields, name)
    }

    /// Lower-case names that `no-cache="…"` and `private="…"` list: fields that are not stored.
    pub fn into_listed_fields(mut self) -> Vec<Box<str>> {
        self.no_cache_fields.append(&mut self.private_fields);
        self.no_cache_fields
    }

    /// Takes one directive in. In Cache-Control the stricter of two wins, in a structured field the last.
    fn apply(&mut self, name: &[u8], argument: Argument<'_>) {
        let mut lower = [0; NAME_BYTES_MAX];
        let Some(lower) = lower.get_mut(..name.len()) else { return };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let last = self.targeted;
        // A structured string is no number; elsewhere both forms of an argument mean the same (RFC 9111 §5.2).
        let seconds = if last && matches!(argument, Argument::Quoted(_)) { None } else { seconds(argument) };
        match &*lower {
            b"no-store" => flag(&mut self.no_store, argument),
            b"no-cache" => qualify(&mut self.no_cache, &mut self.no_cache_fields, argument, last),
            b"private" => qualify(&mut self.private, &mut self.private_fields, argument, last),
            b"public" => flag(&mut self.public, argument),
            b"must-revalidate" => flag(&mut self.must_revalidate, argument),
            b"proxy-revalidate" => flag(&mut self.proxy_revalidate, argument),
            b"must-understand" => flag(&mut self.must_understand, argument),
            b"no-transform" => flag(&mut self.no_transform, argument),
            b"only-if-cached" => flag(&mut self.only_if_cached, argument),
            b"immutable" => flag(&mut self.immutable, argument),
            // What cannot be read makes stale (RFC 9111 §4.2.1).
            b"max-age" => least(&mut self.max_age, seconds.unwrap_or(0), last),
            b"s-maxage" => least(&mut self.s_maxage, seconds.unwrap_or(0), last),
            b"stale-while-revalidate" => least(&mut self.stale_while_revalidate, seconds.unwrap_or(0), last),
            b"stale-if-error" => least(&mut self.stale_if_error, seconds.unwrap_or(0), last),
            b"min-fresh" => self.min_fresh = self.min_fresh.max(seconds),
            b"max-stale" => {
                let new = if argument == Argument::Absent { None } else { Some(seconds.unwrap_or(0)) };
                let kept = self.max_stale.flatten().into_iter().chain(new).min();
                self.max_stale = Some(kept);
            }
            _ => {}
        }
    }
}

/// How stale an answer the request takes (RFC 9111 §5.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStale {
    /// However stale.
    Any,
    /// Stale for so many milliseconds at most.
    Ms(u64),
}

/// What a request asks of the cache (RFC 9111 §5.2.1), in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestControl {
    pub no_store: bool,
    /// Nothing stored is used without asking the upstream.
    pub no_cache: bool,
    pub max_age_ms: Option<u64>,
    /// What is left of an answer's freshness, at least; 0 = nothing asked.
    pub min_fresh_ms: u64,
    pub max_stale: Option<MaxStale>,
    pub only_if_cached: bool,
    /// RFC 5861 §4, said by the request.
    pub stale_if_error_ms: Option<u64>,
}

impl RequestControl {
    /// What the request asks for. With `ignore_no_cache` its no-cache, max-age, min-fresh and Pragma are not obeyed.
    ///
    /// A request without Cache-Control and Pragma costs one pass over its field numbers.
    #[inline]
    pub fn of(head: &RequestHead, ignore_no_cache: bool) -> Self {
        if !head.fields.iter().any(|f| matches!(f.id, FieldId::CacheControl | FieldId::Pragma)) {
            return Self::default();
        }
        Self::of_directives(&Directives::of_request(head), ignore_no_cache)
    }

    fn of_directives(directives: &Directives, ignore_no_cache: bool) -> Self {
        let obeyed = !ignore_no_cache;
        let ms = |seconds: u64| seconds.saturating_mul(1_000);
        Self {
            no_store: directives.no_store,
            no_cache: obeyed && directives.no_cache != Reach::Absent,
            max_age_ms: directives.max_age.filter(|_| obeyed).map(ms),
            min_fresh_ms: directives.min_fresh.filter(|_| obeyed).map_or(0, ms),
            max_stale: directives.max_stale.map(|limit| limit.map_or(MaxStale::Any, |s| MaxStale::Ms(ms(s)))),
            only_if_cached: directives.only_if_cached,
            stale_if_error_ms: directives.stale_if_error.map(ms),
        }
    }
}

/// Delta-seconds: digits alone, too many of them are [`SECONDS_MAX`] (RFC 9111 §1.2.2).
pub(super) fn delta_seconds(text: impl Iterator<Item = u8>) -> Option<u64> {
    let mut value = None;
    for byte in text {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value = Some((value.unwrap_or(0) * 10 + digit).min(SECONDS_MAX));
    }
    value
}

fn seconds(argument: Argument<'_>) -> Option<u64> {
    match argument {
        Argument::Text(text) => delta_seconds(text.iter().copied()),
        Argument::Quoted(text) => delta_seconds(unescaped(text)),
        Argument::Absent | Argument::False | Argument::List(_) | Argument::Malformed => None,
    }
}

fn flag(slot: &mut bool, argument: Argument<'_>) {
    *slot = argument != Argument::False;
}

fn least(slot: &mut Option<u64>, value: u64, last: bool) {
    *slot = Some(slot.filter(|_| !last).map_or(value, |kept| kept.min(value)));
}

fn lists(names: &[Box<str>], name: &[u8]) -> bool {
    names.iter().any(|listed| listed.as_bytes().eq_ignore_ascii_case(name))
}

/// `no-cache` and `private`: the whole answer is stricter than a list of fields, and so is a list that cannot be read.
fn qualify(reach: &mut Reach, names: &mut Vec<Box<str>>, argument: Argument<'_>, last: bool) {
    if last {
        *reach = Reach::Absent;
        names.clear();
    }
    if argument == Argument::False || *reach == Reach::Whole {
        return;
    }
    *reach = if add_names(names, argument).is_some() { Reach::Fields } else { Reach::Whole };
    if *reach == Reach::Whole {
        names.clear();
    }
}

/// Adds the field names that the argument lists, in lower case; `None` where it lists none or something else.
fn add_names(names: &mut Vec<Box<str>>, argument: Argument<'_>) -> Option<()> {
    let (text, separator) = match argument {
        Argument::Text(text) => (text.to_vec(), b','),
        Argument::Quoted(text) => (unescaped(text).collect(), b','),
        Argument::List(text) => (text.iter().map(|b| if *b == b'"' { b' ' } else { *b }).collect(), b' '),
        Argument::Absent | Argument::False | Argument::Malformed => return None,
    };
    let before = names.len();
    for name in text.split(|b| *b == separator).map(syntax::trim).filter(|name| !name.is_empty()) {
        let name = std::str::from_utf8(name).ok().filter(|name| syntax::is_token(name.as_bytes()))?;
        names.push(name.to_ascii_lowercase().into());
    }
    (names.len() > before).then_some(())
}

/// The text of a quoted string without its escapes (RFC 9110 §5.6.4).
fn unescaped(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut escaped = false;
    text.iter().copied().filter(move |byte| {
        escaped = !escaped && *byte == b'\\';
        !escaped
    })
}

/// The members of one field line: name as it came, and argument.
struct Members<'a> {
    rest: &'a [u8],
    /// Quotes are still looked at: false after one that nothing closes, which is then a byte as any other.
    quotes: bool,
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], Argument<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        while let [b' ' | b'\t' | b',', rest @ ..] = self.rest {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return None;
        }
        let (member, rest) = self.rest.split_at(self.member_bytes());
        self.rest = rest;
        Some(split_member(syntax::trim(member)))
    }
}

impl Members<'_> {
    /// Bytes up to the comma that ends the member, or to the end.
    fn member_bytes(&mut self) -> usize {
        let mut at = 0;
        while let Some(byte) = self.rest.get(at) {
            match byte {
                b',' => return at,
                // A quote opens a string only where an argument begins.
                b'"' if self.quotes && at > 0 && self.rest.get(at - 1) == Some(&b'=') => {
                    match self.rest.get(at + 1..).and_then(closing_quote) {
                        Some(inside) => at += inside + 2,
                        None => self.quotes = false,
                    }
                }
                _ => at += 1,
            }
        }
        at
    }
}

/// Bytes before the quote that closes the string.
pub(super) fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|byte| {
        let closes = !escaped && *byte == b'"';
        escaped = !escaped && *byte == b'\\';
        closes
    })
}

fn split_member(member: &[u8]) -> (&[u8], Argument<'_>) {
    let Some(equals) = memchr::memchr(b'=', member) else { return (member, Argument::Absent) };
    let (name, value) = member.split_at(equals);
    let value = value.get(1..).unwrap_or_default();
    let argument = match value {
        // White space at the equals sign: the name is clear, the argument is not.
        _ if syntax::trim(name).len() != name.len() => Argument::Malformed,
        [b'"', text @ ..] => match closing_quote(text) {
            Some(inside) if inside + 1 == text.len() => Argument::Quoted(text.get(..inside).unwrap_or_default()),
            _ => Argument::Malformed,
        },
        _ if syntax::is_token(value) => Argument::Text(value),
        _ => Argument::Malformed,
    };
    (syntax::trim(name), argument)
}
