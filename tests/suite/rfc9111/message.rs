//! What is kept of a message, what is added to it, and what the gateway says about it.

use super::super::harness::Row;

/// RFC 9111 §3.1, §5.1; RFC 9110 §7.6.1.
pub const FIELDS: &[Row] = &[
    ("§3.1 fields are kept in order", &[("GET", "200|Cache-Control: max-age=60|X-A: 1|X-B: 2|X-A: 3|Content-Language: en|=a", "200 miss"), ("GET", "", "200 hit|X-A: 1, 3|X-B: 2|Content-Language: en|=a")]),
    ("§3.1 unknown fields are kept", &[("GET", "200|Cache-Control: max-age=60|X-Surprise: \"a, b\"; c=d|=a", "200 miss"), ("GET", "", "200 hit|X-Surprise: \"a, b\"; c=d")]),
    ("§3.1 Connection names what is not kept", &[("GET", "200|Cache-Control: max-age=60|Connection: X-Hop|X-Hop: 1|X-End: 2|=a", "200 miss|!X-Hop"), ("GET", "", "200 hit|!X-Hop|X-End: 2")]),
    ("§3.1 hop-by-hop fields", &[("GET", "200|Cache-Control: max-age=60|Keep-Alive: timeout=5|Proxy-Connection: x|Proxy-Authenticate: Basic|=a", "200 miss"), ("GET", "", "200 hit|!Keep-Alive|!Proxy-Connection|!Proxy-Authenticate")]),
    ("§5.1 Age is said once", &[("GET", "200|Cache-Control: max-age=60|Age: 7|=a", "200 miss|Age: 7"), ("GET", "", "200 hit|Age>=7|Age<=12")]),
    ("§5.1 Age is not said of what was just fetched", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss|!Age")]),
    ("§5.5 no Warning is made", &[("GET", "200|Cache-Control: max-age=60|Age: 70|ETag: \"e\"|=a", "200 -"), ("GET|Cache-Control: max-stale", "", "200 stale|!Warning")]),
    ("§5.5 Warning of the origin is kept", &[("GET", "200|Cache-Control: max-age=60|Warning: 199 - x|=a", "200 miss"), ("GET", "", "200 hit|Warning: 199 - x")]),
    ("Date is the origin's", &[("GET", "200|Cache-Control: max-age=60|Date: {-5}|=a", "200 miss|Date: {-5}"), ("GET", "", "200 hit|Date: {-5}")]),
    ("every answer has its own request id", &[("GET|X-Request-Id: one", "200|Cache-Control: max-age=60|X-Request-Id: of-the-origin|=a", "200 miss"), ("GET", "", "200 hit|X-Request-Id|=a"), ("GET|Cache-Control: only-if-cached", "", "200 hit|X-Request-Id")]),
    ("a content coding is kept", &[("GET", "200|Cache-Control: max-age=60|Content-Encoding: br|=a", "200 miss"), ("GET", "", "200 hit|Content-Encoding: br")]),
];

/// RFC 9111 §3.3, RFC 9112 §6.3, §7.
pub const BODIES: &[Row] = &[
    ("§3.3 a length", &[("GET", "200|Cache-Control: max-age=60|=abc", "200 miss|=abc"), ("GET", "", "200 hit|Content-Length: 3|!Transfer-Encoding|=abc")]),
    ("§3.3 chunks", &[("GET", "200|Cache-Control: max-age=60|+abc", "200 miss|=abc"), ("GET", "", "200 hit|Content-Length: 3|!Transfer-Encoding|=abc")]),
    ("§3.3 the end of the connection proves nothing", &[("GET", "200|Cache-Control: max-age=60|<abc", "200 -|=abc"), ("GET", "200|=def", "200 -|=def")]),
    ("§3.3 a length that is not reached", &[("GET", "200|Cache-Control: max-age=60|!abc", "200 cut|=abc"), ("GET", "200|=def", "200 -|=def|!Age")]),
    ("§3.3 chunks without the last", &[("GET", "200|Cache-Control: max-age=60|-abc", "200 cut|=abc"), ("GET", "200|=def", "200 -|=def|!Age")]),
    ("no body", &[("GET", "200|Cache-Control: max-age=60|=", "200 miss|="), ("GET", "", "200 hit|Content-Length: 0|=")]),
    ("no body in chunks", &[("GET", "200|Cache-Control: max-age=60|+", "200 miss|="), ("GET", "", "200 hit|Content-Length: 0|=")]),
    ("204", &[("GET", "204|Cache-Control: max-age=60", "204 miss|!Content-Length"), ("GET", "", "204 hit|!Content-Length|=")]),
    ("trailers", &[("GET", "200|Cache-Control: max-age=60|Trailer: X-T|^X-T: 1|+abc", "200 -|=abc"), ("GET", "200|=def", "200 -|=def|!Age")]),
    ("a body beside a redirect", &[("GET", "301|Cache-Control: max-age=60|Location: /x|=moved", "301 miss|=moved"), ("GET", "", "301 hit|Location: /x|=moved")]),
];

/// RFC 9211.
pub const STATUS: &[Row] = &[
    ("§2.1 hit and its ttl", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss"), ("GET", "", "200 hit !fwd=uri-miss !stored|Cache-Status~ringway; hit; ttl=")]),
    ("§2.1 a stale hit has a negative ttl", &[("GET", "200|Cache-Control: max-age=60|Age: 70|ETag: \"e\"|=a", "200 -"), ("GET|Cache-Control: max-stale", "", "200 stale|Cache-Status~ttl=-1")]),
    ("§2.2 uri-miss", &[("GET", "200|Cache-Control: max-age=60|=a", "200 fwd=uri-miss stored !hit !collapsed")]),
    ("§2.2 method", &[("POST|=x", "200|=a", "200 fwd=method !stored")]),
    ("§2.2 request", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss"), ("GET|Cache-Control: no-cache", "200|Cache-Control: max-age=60|=b", "200 fwd=request stored")]),
    ("§2.2 stale", &[("GET", "200|Cache-Control: max-age=60|Age: 70|ETag: \"e\"|=a", "200 -"), ("GET", "200|Cache-Control: max-age=60|=b", "200 fwd=stale stored")]),
    ("§2.2 vary-miss", &[("GET|X-A: 1", "200|Cache-Control: max-age=60|Vary: X-A|=a", "200 fwd=uri-miss"), ("GET|X-A: 2", "200|Cache-Control: max-age=60|Vary: X-A|=b", "200 fwd=vary-miss stored")]),
    ("§2.3 fwd-status where it is not the status sent", &[("GET @/b", "200|Cache-Control: max-age=60|Age: 70|ETag: \"e\"|=a", "200 -"), ("GET @/b", "304|ETag: \"e\"", "200 fwd=stale fwd-status=304")]),
    ("§2.8 detail of what was not stored", &[("GET", "200|Cache-Control: no-store|=a", "200 fwd=uri-miss detail=no_store")]),
    ("§2.8 detail of hit-for-miss", &[("GET", "200|Cache-Control: no-store|=a", "200 detail=no_store"), ("GET", "200|Cache-Control: no-store|=a", "200 pass detail=hit_for_miss")]),
    ("§2 what a cache before said is kept in front", &[("GET", "200|Cache-Control: max-age=60|Cache-Status: inner; hit|=a", "200 miss|Cache-Status~inner; hit, ringway; fwd=uri-miss"), ("GET", "", "200 hit|Cache-Status~inner; hit")]),
];
