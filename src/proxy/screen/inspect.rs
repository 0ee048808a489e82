//! Inspect: what the rules of the firewall say of the request: of its head first, then of its body, which is read as far as
//! the rules look.
//!
//! The body is read once: what is inspected is what goes up.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::Read as _;
use std::net::SocketAddr;

use crate::base::clock;
use crate::http::{FieldId, RequestHead};
use crate::net::task;
use crate::policy::waf::compile::RuleSet;
use crate::policy::waf::guard::{Consequence, Guard, Over};
use crate::policy::waf::input::HeadView;
use crate::policy::waf::model::Mode;
use crate::policy::waf::transaction::{Transaction, Verdict};
use crate::proxy::core::Core;
use crate::proxy::exchange::{Client, Exchange, Refusal, RuleNote};
use crate::proxy::failure::Failure;
use crate::proxy::gather::gather_front;
use crate::proxy::route::Route;
use crate::stats::Reason;

/// What of a body is judged.
struct Seen<'b> {
    bytes: Cow<'b, [u8]>,
    whole: bool,
}

/// Judges the request by the route's rules, its body too.
///
/// # Errors
/// It was denied, or its body could not be read.
pub async fn inspect(
    core: &Core,
    route: &Route,
    client: &mut Client<'_>,
    exchange: &mut Exchange<'_>,
) -> Result<(), Failure> {
    let Some(guard) = route.screen.waf.as_deref() else { return Ok(()) };
    let mut transaction = core.take_transaction();
    let outcome = judge(core, guard, route, client, exchange, &mut transaction).await;
    core.give_transaction(transaction);
    outcome
}

async fn judge(
    core: &Core,
    guard: &Guard,
    route: &Route,
    client: &mut Client<'_>,
    exchange: &mut Exchange<'_>,
    transaction: &mut Transaction,
) -> Result<(), Failure> {
    let rules = guard.rules(core.index);
    transaction.begin_head(rules, &view(client, exchange));
    let verdict = verdict(core, rules, transaction).await;
    conclude(core, guard, exchange, transaction, verdict)?;
    refuse_ambiguous(client, guard)?;
    let has_body = !client.framing.body.is_empty() && transaction.wants_body(rules);
    if has_body && !is_at_hand(client, guard) {
        let whole = Box::pin(gather_front(core, guard.terms.inspect_bytes, route.body_bytes_max, client)).await?;
        if !whole && guard.terms.over == Over::Deny && guard.mode() == Mode::On {
            return Err(Reason::WafBodyTooLarge.into());
        }
    }
    let seen = match has_body {
        true => look_at(client, guard).inspect_err(|failure| say_coding(exchange, failure))?,
        false => Seen { bytes: Cow::Borrowed(&[]), whole: true },
    };
    let _seat = if seen.bytes.len() > LONG_BODY_BYTES { Some(Box::pin(seat(core)).await?) } else { None };
    transaction.begin_body(rules, &view(client, exchange), &seen.bytes, seen.whole);
    let verdict = self::verdict(core, rules, transaction).await;
    conclude(core, guard, exchange, transaction, verdict)
}

/// Bodies longer than this are judged a few at a time on a core: what is transformed of one may be many times as long.
const LONG_BODY_BYTES: usize = 16 * 1024;
const LONG_BODIES_MAX: u32 = 4;
/// How long one waits for its turn before that is overload.
const SEAT_WAIT_MS: u64 = 5_000;

/// One of the places for long bodies, until it is dropped.
struct Seat<'c>(&'c Cell<u32>);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

async fn seat(core: &Core) -> Result<Seat<'_>, Failure> {
    let deadline_ms = clock::now_ms() + SEAT_WAIT_MS;
    while core.judging.get() >= LONG_BODIES_MAX {
        if clock::now_ms() > deadline_ms {
            return Err(Failure { reason: Reason::Overload, detail: Some("firewall_busy") });
        }
        task::pause(1).await;
    }
    core.judging.set(core.judging.get() + 1);
    Ok(Seat(&core.judging))
}

/// What the rules say. Where that takes long, others have their turns in between.
async fn verdict(core: &Core, rules: &RuleSet, transaction: &mut Transaction) -> Verdict {
    match transaction.step(rules) {
        Some(verdict) => verdict,
        None => Box::pin(verdict_in_turns(core, rules, transaction)).await,
    }
}

async fn verdict_in_turns(core: &Core, rules: &RuleSet, transaction: &mut Transaction) -> Verdict {
    loop {
        core.deadlines.give_way().await;
        if let Some(verdict) = transaction.step(rules) {
            return verdict;
        }
    }
}

/// Two types of one body: the server may believe the one that the rules did not.
fn refuse_ambiguous(client: &Client<'_>, guard: &Guard) -> Result<(), Failure> {
    let types = client.head.fields.iter().filter(|field| field.id == FieldId::ContentType).count();
    match types > 1 && guard.mode() == Mode::On {
        true => Err(Failure { reason: Reason::BadRequest, detail: Some("content_type_twice") }),
        false => Ok(()),
    }
}

/// RFC 9110 §15.5.16: a coding that is not taken is 415, and the answer says which are (§12.5.3).
fn say_coding(exchange: &mut Exchange<'_>, failure: &Failure) {
    if failure.detail == Some(CODING_UNKNOWN) {
        let fields = vec![("Accept-Encoding", "gzip, deflate".to_owned())];
        exchange.refusal = Some(Box::new(Refusal { status: Some(415), fields, ..Refusal::default() }));
    }
}

const CODING_UNKNOWN: &str = "content_coding_unknown";

/// Heads up to this are judged without a pause where a stored answer waits.
const HEAD_AT_ONCE_BYTES_MAX: usize = 4 * 1024;

/// Judges a request without a body, where nothing is to be waited for. `false` = it is denied: nothing was noted.
pub fn passes_at_once(core: &Core, route: &Route, client: &Client<'_>, exchange: &mut Exchange<'_>) -> bool {
    let Some(guard) = route.screen.waf.as_deref() else { return true };
    // Judging it could take more than one turn, or it is refused for its own sake.
    if client.head.bytes.len() > HEAD_AT_ONCE_BYTES_MAX || refuse_ambiguous(client, guard).is_err() {
        return false;
    }
    let mut transaction = core.take_transaction();
    let view = view(client, exchange);
    let passes = transaction.head(guard.rules(core.index), &view) == Verdict::Pass
        && transaction.body(guard.rules(core.index), &view, &[], true) == Verdict::Pass;
    if passes {
        note(core, guard, exchange, &transaction, None);
    }
    core.give_transaction(transaction);
    passes
}

fn view<'a>(client: &Client<'a>, exchange: &'a Exchange<'_>) -> HeadView<'a> {
    HeadView {
        head: client.head,
        // Behind proxies that are trusted it has no port that anybody knows; the peer's stands for it.
        client: SocketAddr::new(exchange.address, client.peer.address.port()),
        server: None,
        unix_ms: clock::unix_ms(),
        request_id: exchange.request_id.as_bytes(),
    }
}

/// Whether all of the body that is looked at is there without being read.
fn is_at_hand(client: &Client<'_>, guard: &Guard) -> bool {
    client.whole_body().is_some_and(|body| body.len() as u64 <= guard.terms.inspect_bytes)
}

/// What is there of the body, decoded where that is asked for.
fn look_at<'b>(client: &'b Client<'_>, guard: &Guard) -> Result<Seen<'b>, Failure> {
    let most = usize::try_from(guard.terms.inspect_bytes).unwrap_or(usize::MAX);
    let (bytes, whole) = match client.whole_body() {
        Some(bytes) => (bytes, bytes.len() <= most),
        None => (client.body.as_ref().map(|body| &*body.read).unwrap_or_default(), false),
    };
    if !whole && guard.terms.over == Over::Allow {
        return Ok(Seen { bytes: Cow::Borrowed(&[]), whole: false });
    }
    let bytes = bytes.get(..most.min(bytes.len())).unwrap_or_default();
    if !guard.terms.decompress {
        return Ok(Seen { bytes: Cow::Borrowed(bytes), whole });
    }
    let is_detecting = guard.mode() != Mode::On;
    match decoded(&codings(client.head), bytes, most) {
        Some((_, false)) if guard.terms.over == Over::Deny && !is_detecting => Err(Reason::WafBodyTooLarge.into()),
        Some((bytes, ended)) => Ok(Seen { bytes, whole: whole && ended }),
        // What cannot be decoded cannot be judged.
        None if guard.terms.over == Over::Allow || is_detecting => {
            Ok(Seen { bytes: Cow::Borrowed(bytes), whole: false })
        }
        None => Err(Failure { reason: Reason::WafBodyTooLarge, detail: Some(CODING_UNKNOWN) }),
    }
}

/// The content codings of a request, of all its fields, in the order in which they were applied (RFC 9110 §8.4).
fn codings(head: &RequestHead) -> Vec<&[u8]> {
    let fields = head.fields.iter().filter(|field| field.id == FieldId::ContentEncoding);
    let all = fields.flat_map(|field| field.value.of(&head.bytes).split(|byte| *byte == b','));
    all.map(<[u8]>::trim_ascii)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
        .collect()
}

/// At most `most` bytes of what the codings hold, and whether that is all. `None`: one is not known, or there are too many.
fn decoded<'b>(codings: &[&[u8]], bytes: &'b [u8], most: usize) -> Option<(Cow<'b, [u8]>, bool)> {
    if codings.len() > CODINGS_MAX {
        return None;
    }
    let mut seen = (Cow::Borrowed(bytes), true);
    // The last one that was applied is undone first.
    for coding in codings.iter().rev() {
        let (bytes, ended) = undone(coding, &seen.0, most)?;
        seen = (Cow::Owned(bytes), seen.1 && ended);
    }
    Some(seen)
}

/// Codings of one body, each upon the other. Nobody needs two.
const CODINGS_MAX: usize = 3;

/// At most `most` bytes of what a coding holds, and whether that is all.
fn undone(coding: &[u8], bytes: &[u8], most: usize) -> Option<(Vec<u8>, bool)> {
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(4).min(most));
    let limit = most as u64 + 1;
    let is = |name: &[u8]| coding.eq_ignore_ascii_case(name);
    // A stream that is cut or broken gives what could be read of it.
    let read = if is(b"gzip") || is(b"x-gzip") {
        flate2::read::MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut out)
    } else if is(b"deflate") && has_zlib_header(bytes) {
        flate2::read::ZlibDecoder::new(bytes).take(limit).read_to_end(&mut out)
    } else if is(b"deflate") {
        // RFC 9110 §8.4.1.2: some senders leave the zlib format out, and some servers take that.
        flate2::read::DeflateDecoder::new(bytes).take(limit).read_to_end(&mut out)
    } else {
        return None;
    };
    let ended = read.is_ok() && out.len() <= most;
    out.truncate(most);
    Some((out, ended))
}

/// RFC 1950 §2.2: method 8, and a multiple of 31.
fn has_zlib_header(bytes: &[u8]) -> bool {
    match bytes {
        [method, flags, ..] => method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0,
        _ => true,
    }
}

/// What a verdict means for the exchange.
fn conclude(
    core: &Core,
    guard: &Guard,
    exchange: &mut Exchange<'_>,
    transaction: &Transaction,
    verdict: Verdict,
) -> Result<(), Failure> {
    let decider = match verdict {
        Verdict::Pass => None,
        Verdict::Deny { note, .. } | Verdict::Drop { note } => Some(note),
    };
    note(core, guard, exchange, transaction, decider);
    match verdict {
        Verdict::Pass => Ok(()),
        Verdict::Drop { .. } => Err(Reason::WafDropped.into()),
        Verdict::Deny { status, note } => {
            let message = transaction.notes().get(note).map(|note| note.message.clone());
            let message = message.filter(|message| !message.is_empty());
            exchange.refusal = Some(Box::new(Refusal { status: Some(status), message, ..Refusal::default() }));
            Err(Reason::WafDenied.into())
        }
    }
}

/// Counts what has matched, and keeps for the log what decided, or else what weighs most.
fn note(core: &Core, guard: &Guard, exchange: &mut Exchange<'_>, transaction: &Transaction, decider: Option<usize>) {
    let notes = transaction.notes();
    let counted = exchange.rules_counted;
    for (index, note) in notes.iter().enumerate().skip(counted) {
        let consequence = match () {
            () if decider == Some(index) => Consequence::Denied,
            () if note.would => Consequence::Detected,
            () => Consequence::Noted,
        };
        guard.counters.count(core.index, note.id, consequence);
    }
    exchange.rules_counted = notes.len();
    let shown = decider.and_then(|index| notes.get(index)).or_else(|| {
        let weight = |note: &&crate::policy::waf::transaction::Note| (!note.would, note.severity.unwrap_or(u8::MAX));
        notes.iter().min_by_key(weight)
    });
    if let Some(note) = shown {
        exchange.rule =
            Some(Box::new(RuleNote { id: note.id, message: note.message.clone(), variable: note.variable.clone() }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_coded_body_is_decoded_as_far_as_it_is_inspected() {
        let text = b"{\"prompt\":\"hello\"}".repeat(100);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        let decoded = |codings: &[&[u8]], bytes: &[u8], most| {
            decoded(codings, bytes, most).map(|(bytes, ended)| (bytes.into_owned(), ended))
        };
        assert_eq!(decoded(&[b"GZIP"], &gzip, 10_000), Some((text.clone(), true)));
        assert_eq!(decoded(&[b"gzip"], &gzip, 100), Some((text[..100].to_vec(), false)));
        let (bytes, ended) = decoded(&[b"gzip"], &gzip[..gzip.len() - 9], 10_000).unwrap();
        assert!(!ended && text.starts_with(&bytes));
        assert_eq!(decoded(&[b"br"], &gzip, 100), None);
        assert_eq!(decoded(&[b"gzip"], b"not gzip", 100), Some((Vec::new(), false)));
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        raw.write_all(&gzip).unwrap();
        let raw = raw.finish().unwrap();
        assert_eq!(decoded(&[b"gzip", b"deflate"], &raw, 10_000), Some((text.clone(), true)));
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(&text).unwrap();
        assert_eq!(decoded(&[b"deflate"], &zlib.finish().unwrap(), 10_000), Some((text.clone(), true)));
        assert_eq!(decoded(&[&b"gzip"[..]; 4], &gzip, 100), None);
        assert_eq!(decoded(&[], &text, 10_000), Some((text.clone(), true)));
    }
}
