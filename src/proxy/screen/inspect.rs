//! Inspect: what the rules of the firewall say of the request: of its head first, then of its body, which is read as far as
//! the rules look.
//!
//! The body is read once: what is inspected is what goes up.

use std::borrow::Cow;
use std::io::Read as _;
use std::net::SocketAddr;

use crate::base::clock;
use crate::h1::BodyLength;
use crate::http::FieldId;
use crate::policy::waf::guard::{Consequence, Guard, Over};
use crate::policy::waf::input::HeadView;
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
    let verdict = transaction.head(guard.rules(core.index), &view(client, exchange));
    conclude(core, guard, exchange, transaction, verdict)?;
    let has_body = !client.framing.body.is_empty() && transaction.wants_body(guard.rules(core.index));
    if has_body && !is_at_hand(client, guard) {
        let whole = Box::pin(gather_front(core, guard.terms.inspect_bytes, route.body_bytes_max, client)).await?;
        if !whole && guard.terms.over == Over::Deny {
            return Err(Reason::WafBodyTooLarge.into());
        }
    }
    let seen = if has_body { look_at(client, guard)? } else { Seen { bytes: Cow::Borrowed(&[]), whole: true } };
    let verdict = transaction.body(guard.rules(core.index), &view(client, exchange), &seen.bytes, seen.whole);
    conclude(core, guard, exchange, transaction, verdict)
}

/// Judges a request without a body, where nothing is to be waited for. `false` = it is denied: nothing was noted.
pub fn passes_at_once(core: &Core, route: &Route, client: &Client<'_>, exchange: &mut Exchange<'_>) -> bool {
    let Some(guard) = route.screen.waf.as_deref() else { return true };
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
    match (client.framing.body, &client.body) {
        (BodyLength::Length(length), Some(body)) => {
            length <= guard.terms.inspect_bytes && length <= body.at_hand().len() as u64
        }
        _ => false,
    }
}

/// What is there of the body, decoded where that is asked for.
fn look_at<'b>(client: &'b Client<'_>, guard: &Guard) -> Result<Seen<'b>, Failure> {
    let Some(body) = &client.body else { return Ok(Seen { bytes: Cow::Borrowed(&[]), whole: true }) };
    let most = usize::try_from(guard.terms.inspect_bytes).unwrap_or(usize::MAX);
    let (bytes, whole) = match client.framing.body {
        BodyLength::Length(length) if length <= body.at_hand().len() as u64 => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            (body.at_hand().get(..length).unwrap_or_default(), length <= most)
        }
        _ => (&*body.read, false),
    };
    if !whole && guard.terms.over == Over::Allow {
        return Ok(Seen { bytes: Cow::Borrowed(&[]), whole: false });
    }
    let bytes = bytes.get(..most.min(bytes.len())).unwrap_or_default();
    let coding = client.head.find(FieldId::ContentEncoding).filter(|_| guard.terms.decompress);
    let Some(coding) = coding.filter(|coding| !coding.eq_ignore_ascii_case(b"identity")) else {
        return Ok(Seen { bytes: Cow::Borrowed(bytes), whole });
    };
    match decoded(coding, bytes, most) {
        Some((_, false)) if guard.terms.over == Over::Deny => Err(Reason::WafBodyTooLarge.into()),
        Some((bytes, ended)) => Ok(Seen { bytes: Cow::Owned(bytes), whole: whole && ended }),
        // What cannot be decoded cannot be judged: it is treated as a body that is too long to be seen whole.
        None if guard.terms.over == Over::Deny => {
            Err(Failure { reason: Reason::WafBodyTooLarge, detail: Some("content_coding_unknown") })
        }
        None => Ok(Seen { bytes: Cow::Borrowed(bytes), whole: false }),
    }
}

/// At most `most` bytes of what a coding holds, and whether that is all.
fn decoded(coding: &[u8], bytes: &[u8], most: usize) -> Option<(Vec<u8>, bool)> {
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(4).min(most));
    let limit = most as u64 + 1;
    let is = |name: &[u8]| coding.eq_ignore_ascii_case(name);
    // A stream that is cut or broken gives what could be read of it.
    let read = if is(b"gzip") || is(b"x-gzip") {
        flate2::read::MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut out)
    } else if is(b"deflate") {
        flate2::read::ZlibDecoder::new(bytes).take(limit).read_to_end(&mut out)
    } else {
        return None;
    };
    let ended = read.is_ok() && out.len() <= most;
    out.truncate(most);
    Some((out, ended))
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
        assert_eq!(decoded(b"GZIP", &gzip, 10_000), Some((text.clone(), true)));
        assert_eq!(decoded(b"gzip", &gzip, 100), Some((text[..100].to_vec(), false)));
        let (bytes, ended) = decoded(b"gzip", &gzip[..gzip.len() - 9], 10_000).unwrap();
        assert!(!ended && text.starts_with(&bytes));
        assert_eq!(decoded(b"br", &gzip, 100), None);
        assert_eq!(decoded(b"gzip", b"not gzip", 100), Some((Vec::new(), false)));
    }
}
