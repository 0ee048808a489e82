//! Single values: a text becomes a value or a fault. Pure; knows nothing of other keys.

use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::problems::{Fault, fault};
use super::reader::did_you_mean;
use crate::base::units;
use crate::http::Method;
use crate::plan::Cores;
use crate::proxy::route::has_dot_segment;

/// The highest number a core may have, the kernel's own ceiling on x86-64.
const CORE_MAX: usize = 8191;
/// Characters of a value that an error repeats.
const SHOWN_CHARS_MAX: usize = 60;
/// Bytes of the name of a route or upstream: it is a label of metrics.
const NAME_BYTES_MAX: usize = 64;
/// Slashes in a path: the compiled router looks at 32 levels of a request's path.
const PATH_SLASHES_MAX: usize = 31;

/// A value as errors repeat it: quoted, escaped, shortened. Never used for what may hold a secret.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Any text.
pub(super) fn any(text: &str) -> Result<String, Fault> {
    Ok(text.to_owned())
}

/// A path of a file; may be relative.
pub(super) fn file_name(text: &str) -> Result<String, Fault> {
    match text {
        "" => Err(fault("is empty", "write the path of a file")),
        text if text.contains('\0') => Err(fault("has a NUL character", "write the path of a file")),
        text => Ok(text.to_owned()),
    }
}

/// A duration in milliseconds, at least one; parts of a millisecond are rounded up.
pub(super) fn duration_ms(text: &str) -> Result<u64, Fault> {
    match milliseconds(text)? {
        0 => Err(fault("is zero", "a time-out cannot be switched off; write a long one such as 24h")),
        ms => Ok(ms),
    }
}

/// A duration in milliseconds, zero included; parts of a millisecond are rounded up.
pub(super) fn milliseconds(text: &str) -> Result<u64, Fault> {
    let duration = units::parse_duration(text).map_err(|e| of_units(&e))?;
    Ok(u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

/// A size in bytes between two bounds, both included.
pub(super) fn size_between(text: &str, least: u64, most: u64) -> Result<u64, Fault> {
    size_in_range(units::parse_size(text).map_err(|e| of_units(&e))?, least, most)
}

/// A number of bytes between two bounds, both included.
pub(super) fn size_in_range(bytes: u64, least: u64, most: u64) -> Result<u64, Fault> {
    if bytes < least {
        return Err(fault("is too small", format!("write at least {}", units::format_size(least))));
    }
    if bytes > most {
        return Err(fault("is too large", format!("write at most {}", units::format_size(most))));
    }
    Ok(bytes)
}

fn of_units(error: &units::UnitError) -> Fault {
    let text = error.to_string();
    match text.rsplit_once("; ") {
        Some((what, hint)) => fault(what, hint),
        None => fault(text, ""),
    }
}

/// One of some words.
pub(super) fn choice<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Fault> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    Err(fault(format!("{} is not a known value", quoted(text)), did_you_mean(text, &known)))
}

/// `all`, a count (`4`), or a list of cores and ranges (`0-3,6`). A lone number is a count; the one core 3 is `3-3`.
///
/// # Errors
/// The text of the problem and what to do.
pub(super) fn cores(text: &str) -> Result<Cores, Fault> {
    const HINT: &str = "write all, a count such as 4, or a list such as 0-3,6";
    if text == "all" {
        return Ok(Cores::All);
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return core_count(text.parse().unwrap_or(u64::MAX));
    }
    let number = |part: &str| match part.trim().parse::<usize>() {
        _ if part.contains('+') => Err(fault(format!("{} is not a list of cores", quoted(text)), HINT)),
        Ok(core) if core <= CORE_MAX => Ok(core),
        Ok(core) => Err(fault(format!("core {core} does not exist"), HINT)),
        Err(_) => Err(fault(format!("{} is not a list of cores", quoted(text)), HINT)),
    };
    let (mut list, mut seen) = (Vec::new(), BTreeSet::new());
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if first > last {
            return Err(fault(format!("the range {first}-{last} runs backwards"), HINT));
        }
        // Stops at the first repetition, so that a long text of wide ranges stays small.
        for core in first..=last {
            if !seen.insert(core) {
                return Err(fault(format!("core {core} is listed twice"), "list each core once"));
            }
            list.push(core);
        }
    }
    Ok(Cores::List(list))
}

/// So many cores.
pub(super) fn core_count(count: u64) -> Result<Cores, Fault> {
    match usize::try_from(count) {
        Ok(count) if (1..=CORE_MAX + 1).contains(&count) => Ok(Cores::Count(count)),
        _ => Err(fault(format!("{count} is out of range"), format!("write a count from 1 to {}", CORE_MAX + 1))),
    }
}

/// An IP address and a port.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        let hint = match text.strip_prefix(':').map_or(text, |port| port).parse::<u16>() {
            Ok(port) => format!("write 127.0.0.1:{port}, or 0.0.0.0:{port} for all interfaces"),
            Err(_) => "write an IP address and a port, such as 127.0.0.1:8080 or [::]:8080; names are not looked up \
                       here"
                .to_owned(),
        };
        fault(format!("{} is not an address with a port", quoted(text)), hint)
    })
}

/// A range of addresses; a bare address is a range of one.
pub(super) fn network(text: &str) -> Result<IpNet, Fault> {
    let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    net.map(|net| net.trunc()).ok_or_else(|| {
        fault(format!("{} is not a range of addresses", quoted(text)), "write 10.0.0.0/8, fd00::/8 or one address")
    })
}

/// The name of a route or upstream: it goes to logs and metrics.
pub(super) fn name(text: &str) -> Result<String, Fault> {
    const HINT: &str = "write 1 to 64 letters, digits and signs, no blanks or quotes";
    let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'\'' | b'`');
    match text {
        "" => Err(fault("is empty", HINT)),
        text if text.len() > NAME_BYTES_MAX => Err(fault("is too long", HINT)),
        text if !text.bytes().all(fits) => Err(fault(format!("{} is not a name", quoted(text)), HINT)),
        text => Ok(text.to_owned()),
    }
}

/// The pseudonym in Via: a token, or a host with a port (RFC 9110 §7.6.3).
pub(super) fn via(text: &str) -> Result<String, Fault> {
    let fits = |b: u8| is_token_byte(b) || b == b':';
    match !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(fits) {
        true => Ok(text.to_owned()),
        false => Err(fault(format!("{} cannot stand in Via", quoted(text)), "write a word such as ringway")),
    }
}

/// A request method.
pub(super) fn method(text: &str) -> Result<String, Fault> {
    let upper = text.to_ascii_uppercase();
    let known = Method::of(upper.as_bytes());
    if text.is_empty() || !text.bytes().all(is_token_byte) {
        return Err(fault(format!("{} is not a method", quoted(text)), "write a word such as GET"));
    }
    if known == Method::Connect {
        return Err(fault("CONNECT is always refused", "leave it out: this gateway is no tunnel"));
    }
    if known != Method::Other && upper != text {
        return Err(fault(
            format!("{} is no method", quoted(text)),
            format!("methods are case-sensitive, did you mean {upper}?"),
        ));
    }
    Ok(text.to_owned())
}

/// Whether a byte may stand in a token (RFC 9110 §5.6.2).
pub(super) fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// A path, or a prefix of one: begins with `/`, in the form in which requests are compared (no decoding takes place).
pub(super) fn path(text: &str) -> Result<String, Fault> {
    let bad = |what: &str, hint: &str| Err(fault(format!("{} {what}", quoted(text)), hint));
    if !text.starts_with('/') {
        return bad("does not begin with /", "write a path such as /v1");
    }
    if text.starts_with("//") {
        return bad("begins with two slashes", "write one: two would make it look like a host name");
    }
    if text.contains(['?', '#']) {
        return bad("has a query or fragment", "routes look at the path alone");
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return bad("has characters that no request path has", "write it percent-encoded, as it comes in requests");
    }
    if has_dot_segment(text.as_bytes()) {
        return bad("has a . or .. segment", "write the path it stands for: requests with such segments are refused");
    }
    if text.bytes().filter(|b| *b == b'/').count() > PATH_SLASHES_MAX {
        return Err(fault("is too deep", format!("write at most {PATH_SLASHES_MAX} slashes")));
    }
    Ok(text.to_owned())
}

/// The host a route serves, in lower case: a name, an address, or `*.` and a name.
pub(super) fn host_pattern(text: &str) -> Result<String, Fault> {
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_suffix('.').unwrap_or(&lower);
    if bare == "*" {
        return Err(fault("\"*\" is not a host pattern", "leave `host` out to serve any host"));
    }
    let literal = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if literal.is_some_and(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok()) {
        return Ok(bare.to_owned());
    }
    if bare.contains(':') {
        return Err(fault(format!("{} has a port", quoted(text)), "write the host alone: any port matches"));
    }
    host_name(bare.strip_prefix("*.").unwrap_or(bare)).map(|_| bare.to_owned())
}

/// A host name or IPv4 address, in lower case.
pub(super) fn host_name(text: &str) -> Result<String, Fault> {
    const HINT: &str = "write a name such as api.example.com";
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_suffix('.').unwrap_or(&lower);
    if !bare.is_ascii() {
        let what = format!("{} has letters beyond ASCII", quoted(text));
        return Err(fault(what, "write the name in its ASCII form, which begins with xn--"));
    }
    let label = |l: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        !l.is_empty() && l.len() <= 63 && l.bytes().all(inner) && !l.starts_with('-') && !l.ends_with('-')
    };
    if bare.is_empty() || bare.len() > 253 || !bare.split('.').all(label) {
        return Err(fault(format!("{} is not a host name", quoted(text)), HINT));
    }
    let last = bare.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) && bare.parse::<std::net::Ipv4Addr>().is_err() {
        return Err(fault(format!("{} is not an IP address", quoted(text)), HINT));
    }
    Ok(bare.to_owned())
}

/// A name in a certificate: a host name, or `*.` and one.
pub(super) fn certificate_name(text: &str) -> Result<String, Fault> {
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_prefix("*.").unwrap_or(&lower);
    host_name(bare)?;
    if bare.parse::<IpAddr>().is_ok() {
        return Err(fault(format!("{} is an address", quoted(text)), "names in TLS are host names; leave it out"));
    }
    Ok(lower)
}
