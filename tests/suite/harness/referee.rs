//! A strict reader of pipelined HTTP/1.1 requests over a slice of bytes, written from RFC 9112 for the tests alone.
//!
//! It says which requests a sequence of bytes holds and how the sequence ends. The gateway must let its origin see exactly
//! these. Speed does not matter here; whatever is doubtful is refused. It shares no code with the gateway.

use super::message::is_token_byte;

/// How a sequence of bytes ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// After a whole request; more may follow.
    Open,
    /// After a whole request whose answer is the last one.
    Last,
    /// Inside of a request.
    Incomplete,
    /// At a request that is refused.
    Refused,
}

/// What the bytes hold: each request as `METHOD target body`, and the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub requests: Vec<String>,
    pub ending: Ending,
}

/// The limit that the tests of malformed requests configure.
const BODY_BYTES: u64 = 64 * 1024;
/// Target of a request that is refused, though its bytes are in order and the connection goes on.
pub const REFUSED_ALONE: &str = "(refused)";
const HEAD_BYTES: usize = 16 * 1024;
const LINE_BYTES: usize = 8 * 1024;
const FIELDS: usize = 100;
const CHUNK_LINE_BYTES: usize = 256;
const TRAILER_BYTES: usize = 8 * 1024;

/// Why reading stopped inside of a request.
enum Stop {
    Incomplete,
    Refused,
}

type Read<T> = Result<T, Stop>;

/// Reads requests until the bytes end or one of them is refused.
pub fn read(bytes: &[u8]) -> Reading {
    let mut rest = bytes;
    let mut requests = Vec::new();
    loop {
        let before = rest;
        rest = skip_empty_lines(rest);
        if rest.is_empty() && before.len() <= 4 {
            return Reading { requests, ending: Ending::Open };
        }
        match request(&mut rest) {
            Ok((brief, true)) => requests.push(brief),
            Ok((brief, false)) => {
                requests.push(brief);
                return Reading { requests, ending: Ending::Last };
            }
            Err(Stop::Incomplete) => return Reading { requests, ending: Ending::Incomplete },
            Err(Stop::Refused) => return Reading { requests, ending: Ending::Refused },
        }
    }
}

/// RFC 9112 §2.2: at least one empty line before a request line is passed over; here at most two.
fn skip_empty_lines(mut rest: &[u8]) -> &[u8] {
    for _ in 0..2 {
        rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
    }
    rest
}

/// A line without its CRLF. A CR or LF alone, NUL and control bytes but HTAB are refused where they stand.
fn line<'a>(rest: &mut &'a [u8], most: usize) -> Read<&'a [u8]> {
    for (at, &b) in rest.iter().enumerate() {
        match (b, rest.get(at + 1)) {
            (b'\r', Some(b'\n')) => {
                let (line, after) = (&rest[..at], &rest[at + 2..]);
                *rest = after;
                return if line.len() > most { Err(Stop::Refused) } else { Ok(line) };
            }
            (b'\r', None) => return Err(Stop::Incomplete),
            (b'\t', _) => {}
            (0..0x20 | 0x7f, _) => return Err(Stop::Refused),
            _ if at > most => return Err(Stop::Refused),
            _ => {}
        }
    }
    Err(Stop::Incomplete)
}

fn refuse_unless(holds: bool) -> Read<()> {
    if holds { Ok(()) } else { Err(Stop::Refused) }
}

/// One request; whether the connection goes on after it.
fn request(rest: &mut &[u8]) -> Read<(String, bool)> {
    let start = *rest;
    let (method, target, minor) = request_line(line(rest, LINE_BYTES)?)?;
    let mut fields: Vec<(String, String)> = Vec::new();
    loop {
        let line = line(rest, HEAD_BYTES)?;
        refuse_unless(start.len() - rest.len() <= HEAD_BYTES)?;
        if line.is_empty() {
            break;
        }
        fields.push(field(line)?);
        refuse_unless(fields.len() <= FIELDS)?;
    }
    let all = |name: &str| -> Vec<&str> { fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect() };
    let target = check_target(&method, &target, minor, &all("host"))?;
    let body = body(rest, minor, &all("content-length"), &all("transfer-encoding"))?;
    let connection = all("connection").join(",").to_ascii_lowercase();
    let says = |token: &str| connection.split(',').any(|t| t.trim() == token);
    let goes_on = if minor == 0 { says("keep-alive") && !says("close") } else { !says("close") };
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok((format!("{method} {target} {body}").trim_end().to_owned(), goes_on))
}

/// RFC 9112 §3: method SP target SP version, one space each.
fn request_line(line: &[u8]) -> Read<(String, String, u8)> {
    let text = std::str::from_utf8(line).map_err(|_| Stop::Refused)?;
    let parts: Vec<&str> = text.split(' ').collect();
    let [method, target, version] = parts[..] else { return Err(Stop::Refused) };
    refuse_unless(!method.is_empty() && method.bytes().all(is_token_byte))?;
    refuse_unless(!target.is_empty() && target.bytes().all(|b| b.is_ascii_graphic()))?;
    let minor = version.strip_prefix("HTTP/1.").ok_or(Stop::Refused)?;
    refuse_unless(minor.len() == 1 && minor.bytes().all(|b| b.is_ascii_digit()))?;
    Ok((method.to_owned(), target.to_owned(), minor.as_bytes()[0] - b'0'))
}

/// RFC 9112 §5: name ":" value; no space before the colon, no folding.
fn field(line: &[u8]) -> Read<(String, String)> {
    let text: String = line.iter().map(|&b| char::from(b)).collect();
    let (name, value) = text.split_once(':').ok_or(Stop::Refused)?;
    refuse_unless(!name.is_empty() && name.bytes().all(is_token_byte) && name.is_ascii())?;
    Ok((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
}

/// Whether a path holds `.` or `..` as a segment, encoded or not, behind a backslash or before a parameter: readers differ
/// in what they make of it, so the gateway takes no such path.
fn has_dot_segment(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default().to_ascii_lowercase();
    let path = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").replace('\\', "/");
    path.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}

/// RFC 9112 §3.2: which form goes with which method, and Host. Returns the target as the origin should see it.
fn check_target(method: &str, target: &str, minor: u8, hosts: &[&str]) -> Read<String> {
    refuse_unless(method != "CONNECT" && !target.contains('#'))?;
    refuse_unless(hosts.len() == 1 || (hosts.is_empty() && minor == 0))?;
    refuse_unless(hosts.iter().all(|host| is_authority(host)))?;
    let seen = seen_target(method, target, hosts)?;
    let refused = has_dot_segment(&seen) || method == "TRACE";
    Ok(if refused { REFUSED_ALONE.to_owned() } else { seen })
}

/// The target in the form that an origin gets.
fn seen_target(method: &str, target: &str, hosts: &[&str]) -> Read<String> {
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok(target.to_owned());
    }
    let lower = target.to_ascii_lowercase();
    let skip = ["http://", "https://"].iter().find(|s| lower.starts_with(**s)).ok_or(Stop::Refused)?.len();
    let rest = &target[skip..];
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    refuse_unless(is_authority(authority))?;
    let plain = |host: &str| host.to_ascii_lowercase().trim_end_matches(":80").to_owned();
    refuse_unless(hosts.iter().all(|host| plain(host) == plain(authority)))?;
    Ok(match path {
        "" if method == "OPTIONS" => "*".to_owned(),
        "" => "/".to_owned(),
        query if query.starts_with('?') => format!("/{query}"),
        path => path.to_owned(),
    })
}

/// RFC 9110 §7.2: host[:port], without user information.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rfind(':') {
        Some(at) if !text[at..].contains(']') => (&text[..at], &text[at + 1..]),
        _ => (text, ""),
    };
    let name = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let port_fits = port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    let host_fits = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(name),
    };
    host_fits && port_fits && port.parse::<u32>().unwrap_or(0) <= 65_535
}

/// RFC 9112 §6.3, the strict reading: either one plain Content-Length, or one `chunked`, or no body.
fn body(rest: &mut &[u8], minor: u8, lengths: &[&str], codings: &[&str]) -> Read<Vec<u8>> {
    match (lengths, codings) {
        ([], []) => Ok(Vec::new()),
        ([length], []) => {
            refuse_unless(!length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()))?;
            let length: u64 = length.parse().map_err(|_| Stop::Refused)?;
            refuse_unless(length <= BODY_BYTES)?;
            take(rest, length as usize).map(<[u8]>::to_vec)
        }
        ([], [coding]) => {
            refuse_unless(minor > 0 && coding.eq_ignore_ascii_case("chunked"))?;
            chunks(rest)
        }
        _ => Err(Stop::Refused),
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Read<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count).ok_or(Stop::Incomplete)?;
    *rest = after;
    Ok(taken)
}

/// RFC 9112 §7.1.
fn chunks(rest: &mut &[u8]) -> Read<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = chunk_size(line(rest, CHUNK_LINE_BYTES)?)?;
        if size == 0 {
            break;
        }
        refuse_unless(body.len() as u64 + size <= BODY_BYTES)?;
        body.extend_from_slice(take(rest, size as usize)?);
        match *rest {
            [b'\r', b'\n', after @ ..] => *rest = after,
            [] | [b'\r'] => return Err(Stop::Incomplete),
            _ => return Err(Stop::Refused),
        }
    }
    let trailers = rest.len();
    loop {
        let line = line(rest, TRAILER_BYTES)?;
        refuse_unless(trailers - rest.len() <= TRAILER_BYTES)?;
        if line.is_empty() {
            return Ok(body);
        }
        field(line)?;
    }
}

/// Hexadecimal digits, at most 16, then extensions behind a semicolon or nothing.
fn chunk_size(line: &[u8]) -> Read<u64> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    refuse_unless((1..=16).contains(&digits))?;
    let after = line[digits..].iter().copied().find(|b| !b" \t".contains(b));
    let space = line.get(digits).is_some_and(|b| b" \t".contains(b));
    // White space before the semicolon is bad white space (RFC 9112 §7.1.1): taken. At the end of the line it is not.
    refuse_unless(after == Some(b';') || (after.is_none() && !space))?;
    let text = std::str::from_utf8(&line[..digits]).map_err(|_| Stop::Refused)?;
    u64::from_str_radix(text, 16).map_err(|_| Stop::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The referee itself reads what it should and refuses what it should.
    #[test]
    fn the_referee_reads_strictly() {
        let one = b"GET /a HTTP/1.1\r\nHost: t\r\n\r\n";
        let two = [&one[..], b"POST /b HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"]
            .concat();
        let reading = read(&two);
        assert_eq!(reading.requests, ["GET /a", "POST /b hi"]);
        assert_eq!(reading.ending, Ending::Open);
        for cut in 1..one.len() {
            assert_eq!(read(&one[..cut]).ending, Ending::Incomplete, "cut at {cut}");
        }
        assert_eq!(read(b"GET / HTTP/1.1\nHost: t\r\n\r\n").ending, Ending::Refused);
        assert_eq!(read(b"GET / HTTP/1.0\r\n\r\nrest").ending, Ending::Last);
    }
}
