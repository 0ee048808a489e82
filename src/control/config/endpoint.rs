//! Endpoints as they are written: `http://host[:port]` or `https://host[:port]`. Pure.
//!
//! A refused URL is not repeated in its error: it may carry a password or a key.

use std::net::{IpAddr, Ipv6Addr};

use super::problems::{Fault, fault};
use super::values::{host_name, quoted};

/// A parsed endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `https`.
    pub tls: bool,
    /// In lower case, without brackets.
    pub host: String,
    /// Written or the scheme's own.
    pub port: u16,
    /// Host and port as written, the host in lower case: what goes into Host.
    pub authority: String,
}

/// Reads an endpoint.
pub(super) fn endpoint(url: &str) -> Result<Endpoint, Fault> {
    const FORM: &str = "write http://HOST:PORT or https://HOST:PORT";
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(fault("is not a URL: it has no scheme", FORM));
    };
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return Err(fault(format!("has the unknown scheme {}", quoted(scheme)), FORM)),
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(fault("has a user or password", "set `authorization` in the route's [route.request] set"));
    }
    if !matches!(tail, "" | "/") {
        return Err(fault(
            "has a path, query or fragment",
            "write scheme, host and port alone; paths are changed by the route's strip_prefix and replace_prefix",
        ));
    }
    let (host, port) = split_authority(authority)?;
    let default_port = if tls { 443 } else { 80 };
    Ok(Endpoint { tls, port: port.unwrap_or(default_port), authority: authority.to_ascii_lowercase(), host })
}

/// The value of a Host field: a host and perhaps a port, in lower case.
pub(super) fn authority(text: &str) -> Result<String, Fault> {
    if text.contains(['/', '@', '?', '#']) {
        return Err(fault("is not a host", "write a host and perhaps a port, such as api.example.com"));
    }
    split_authority(text).map(|_| text.to_ascii_lowercase())
}

impl Endpoint {
    /// The address, when the host is one: nothing to look up.
    pub fn literal(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// The host in lower case without brackets, and the port if there is one.
pub(super) fn split_authority(authority: &str) -> Result<(String, Option<u16>), Fault> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let parts = rest.split_once(']').filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok());
            let (host, rest) = parts.ok_or_else(|| fault("has a malformed IPv6 address", "write it as [::1]:8080"))?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(fault("has something between the address and the port", "write [::1]:8080")),
            }
        }
        None if authority.parse::<Ipv6Addr>().is_ok() => {
            return Err(fault("has an IPv6 address without brackets", "write it as [::1]:8080"));
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(fault("has no host", "write a host name or an IP address"));
    }
    let port = port.map(|digits| match digits.parse::<u16>() {
        Ok(port) if port > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err(fault("has a bad port", "write a port from 1 to 65535")),
    });
    let host = match host.parse::<Ipv6Addr>() {
        Ok(_) => host.to_ascii_lowercase(),
        Err(_) => host_name(host)?,
    };
    Ok((host, port.transpose()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read() {
        for (url, tls, host, port, authority) in [
            ("http://127.0.0.1:9000", false, "127.0.0.1", 9000, "127.0.0.1:9000"),
            ("https://API.example.com", true, "api.example.com", 443, "api.example.com"),
            ("HTTP://localhost/", false, "localhost", 80, "localhost"),
            ("https://[::1]:8443", true, "::1", 8443, "[::1]:8443"),
            ("https://[::1]", true, "::1", 443, "[::1]"),
        ] {
            let (host, authority) = (host.to_owned(), authority.to_owned());
            assert_eq!(endpoint(url), Ok(Endpoint { tls, host, port, authority }), "{url}");
        }
    }

    #[test]
    fn bad_endpoints_are_refused_without_repeating_secrets() {
        for (url, what) in [
            ("api.example.com", "no scheme"),
            ("ws://a", "unknown scheme \"ws\""),
            ("http://", "no host"),
            ("http://:80", "no host"),
            ("http:///v1", "has a path"),
            ("http://a/v1?sesame", "has a path"),
            ("http://a?sesame", "has a path"),
            ("http://a#sesame", "has a path"),
            ("http://user:sesame@a", "user or password"),
            ("http://a:0", "bad port"),
            ("http://a:", "bad port"),
            ("http://a:+1", "bad port"),
            ("http://a:65536", "bad port"),
            ("http://a:1:2", "bad port"),
            ("http://::1", "without brackets"),
            ("http://[::1", "malformed IPv6"),
            ("http://[zz]", "malformed IPv6"),
            ("http://[::1]x", "between"),
            ("http://10.0.0.300", "not an IP address"),
            ("http://a b", "not a host name"),
            ("http://-a", "not a host name"),
            ("http://a..b", "not a host name"),
            ("http://bücher.example", "xn--"),
        ] {
            let fault = endpoint(url).unwrap_err();
            let text = format!("{}; {}", fault.what, fault.hint);
            assert!(text.contains(what), "{url}: {text}");
            assert!(!text.contains("sesame"), "{url}: {text}");
        }
        assert!(authority("example.com:8080").is_ok());
        assert!(authority("example.com/x").is_err());
        assert!(authority("a\r\nb").is_err());
    }
}
