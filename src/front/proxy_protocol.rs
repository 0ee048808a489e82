//! The PROXY protocol, versions 1 and 2 (HAProxy's specification of 2020): who the client is, said by a balancer in front.
//!
//! Reads exactly the header, never a byte of what follows it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::net::ready::Waited;
use crate::net::{Socket, Timer};

const SIGNATURE_V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of the longest line of version 1, CRLF included.
const LINE_BYTES_MAX: usize = 107;
/// Bytes of addresses and extensions in a header of version 2 that are taken.
const V2_BYTES_MAX: usize = 4096;

/// Receives the header. `None` = there is none, or it is malformed, or it did not come in time; `Some(None)` = the
/// balancer speaks for itself (LOCAL, UNKNOWN).
pub async fn receive(socket: &Socket, timer: &Timer) -> Option<Option<SocketAddr>> {
    let mut start = [0; 12];
    read_exact(socket, timer, &mut start).await?;
    if &start == SIGNATURE_V2 { receive_v2(socket, timer).await } else { receive_v1(socket, timer, &start).await }
}

async fn receive_v2(socket: &Socket, timer: &Timer) -> Option<Option<SocketAddr>> {
    let mut fixed = [0; 4];
    read_exact(socket, timer, &mut fixed).await?;
    let [command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > V2_BYTES_MAX {
        return None;
    }
    let mut rest = vec![0; length];
    read_exact(socket, timer, &mut rest).await?;
    parse_v2(command, family, &rest)
}

async fn receive_v1(socket: &Socket, timer: &Timer, start: &[u8]) -> Option<Option<SocketAddr>> {
    if !start.starts_with(b"PROXY ") {
        return None;
    }
    let mut line = start.to_vec();
    let mut room = [0; LINE_BYTES_MAX];
    while !line.ends_with(b"\n") {
        let room = room.get_mut(..LINE_BYTES_MAX.checked_sub(line.len()).filter(|n| *n > 0)?)?;
        let seen = read_some(socket, timer, room, true).await?;
        let wanted = memchr::memchr(b'\n', room.get(..seen)?).map_or(seen, |i| i + 1);
        let room = room.get_mut(..wanted)?;
        read_exact(socket, timer, room).await?;
        line.extend_from_slice(room);
    }
    parse_v1(&line)
}

async fn read_exact(socket: &Socket, timer: &Timer, mut room: &mut [u8]) -> Option<()> {
    while !room.is_empty() {
        let count = read_some(socket, timer, room, false).await?;
        room = room.get_mut(count..)?;
    }
    Some(())
}

async fn read_some(socket: &Socket, timer: &Timer, room: &mut [u8], peek: bool) -> Option<usize> {
    loop {
        match socket.try_read_slice(room, peek) {
            Ok(Some(0)) | Err(_) => return None,
            Ok(Some(count)) => return Some(count),
            Ok(None) => {}
        }
        if !matches!(socket.readable(timer).await, Ok(Waited::Ready)) {
            return None;
        }
    }
}

fn parse_v1(line: &[u8]) -> Option<Option<SocketAddr>> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let mut words = line.split(' ');
    let (proxy, family) = (words.next()?, words.next()?);
    if proxy != "PROXY" {
        return None;
    }
    if family == "UNKNOWN" {
        return Some(None);
    }
    let (source, destination): (IpAddr, IpAddr) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (port, _) = (plain_port(words.next()?)?, plain_port(words.next()?)?);
    let agrees = match family {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => false,
    };
    (agrees && words.next().is_none()).then_some(Some(SocketAddr::new(source, port)))
}

/// A port in plain decimals: no sign, no leading zero.
fn plain_port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn parse_v2(command: u8, family: u8, rest: &[u8]) -> Option<Option<SocketAddr>> {
    match command {
        // LOCAL: a health check of the balancer.
        0x20 => return Some(None),
        0x21 => {}
        _ => return None,
    }
    match family {
        0x11 => {
            let [a, b, c, d, _, _, _, _, high, low, _, _] = rest.first_chunk::<12>()?;
            let port = u16::from_be_bytes([*high, *low]);
            Some(Some(SocketAddr::from((Ipv4Addr::new(*a, *b, *c, *d), port))))
        }
        0x21 => {
            let addresses = rest.first_chunk::<36>()?;
            let source: [u8; 16] = *addresses.first_chunk()?;
            let port = u16::from_be_bytes([addresses[32], addresses[33]]);
            Some(Some(SocketAddr::from((Ipv6Addr::from(source), port))))
        }
        // Other families (UNIX, UDP) name nobody we could log.
        _ => Some(None),
    }
}

/// Entry of the fuzzers: any bytes as a line of version 1, and as command, family and rest of version 2.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    if let Some(named) = parse_v1(data) {
        assert!(data.starts_with(b"PROXY ") && data.ends_with(b"\r\n"));
        let text = String::from_utf8_lossy(data);
        assert_eq!(named.is_none(), text.starts_with("PROXY UNKNOWN"));
        assert_eq!(
            named.map(|n| n.ip()),
            text.split(' ').nth(2).filter(|_| named.is_some()).and_then(|w| w.parse().ok())
        );
    }
    if let [command, family, rest @ ..] = data {
        let named = parse_v2(*command, *family, rest);
        let bytes = if *family == 0x11 { 12 } else { 36 };
        let may_name = *command == 0x21 && matches!(family, 0x11 | 0x21) && rest.len() >= bytes;
        assert_eq!(named.flatten().is_some(), may_name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_lines_name_the_client_or_are_refused() {
        let tcp4 = parse_v1(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n");
        assert_eq!(tcp4, Some(Some("192.0.2.1:56324".parse().expect("an address"))));
        let tcp6 = parse_v1(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n");
        assert_eq!(tcp6, Some(Some("[2001:db8::1]:1".parse().expect("an address"))));
        assert_eq!(parse_v1(b"PROXY UNKNOWN\r\n"), Some(None));
        for bad in [
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n",
            "PROXY TCP4 2001:db8::1 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 70000 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n",
            "PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n",
            "GET / HTTP/1.1\r\n",
        ] {
            assert_eq!(parse_v1(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn version_2_headers_name_the_client_or_are_refused() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xDC, 0x04, 0x01, 0xBB];
        assert_eq!(parse_v2(0x21, 0x11, &v4), Some(Some("192.0.2.1:56324".parse().expect("an address"))));
        assert_eq!(parse_v2(0x20, 0x00, &[]), Some(None));
        assert_eq!(parse_v2(0x21, 0x11, &v4[..11]), None, "cut short");
        assert_eq!(parse_v2(0x31, 0x11, &v4), None, "another version");
    }
}
