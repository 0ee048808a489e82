//! Which requests are the same, and which are not.

use super::super::harness::Row;

const A: &str = "200|Cache-Control: max-age=60|=a";
const B: &str = "200|Cache-Control: max-age=60|=b";

/// RFC 9111 §2, RFC 9110 §4.2.3, §7.1.
pub const ROWS: &[Row] = &[
    ("path", &[("GET @/x", A, "200 miss|=a"), ("GET @/y", B, "200 miss|=b"), ("GET @/x", "", "200 hit|=a"), ("GET @/y", "", "200 hit|=b")]),
    ("case of the path", &[("GET @/x", A, "200 miss|=a"), ("GET @/X", B, "200 miss|=b")]),
    ("a slash at the end", &[("GET @", A, "200 miss|=a"), ("GET @/", B, "200 miss|=b")]),
    ("query", &[("GET @?x=1", A, "200 miss|=a"), ("GET @?x=2", B, "200 miss|=b"), ("GET @?x=1", "", "200 hit|=a")]),
    ("query and none", &[("GET @?x=1", A, "200 miss|=a"), ("GET @", B, "200 miss|=b"), ("GET @", "", "200 hit|=b")]),
    ("order of the query", &[("GET @?a=1&b=2", A, "200 miss|=a"), ("GET @?b=2&a=1", B, "200 miss|=b")]),
    ("a query that looks like a path", &[("GET @/x?y", A, "200 miss|=a"), ("GET @/x%3Fy", B, "200 miss|=b")]),
    ("host", &[("GET|Host: t", A, "200 miss|=a"), ("GET|Host: u", B, "200 miss|=b"), ("GET|Host: t", "", "200 hit|=a")]),
    ("case of the host", &[("GET|Host: t.example", A, "200 miss|=a"), ("GET|Host: T.Example", "", "200 hit|=a")]),
    ("the default port", &[("GET|Host: t", A, "200 miss|=a"), ("GET|Host: t:80", "", "200 hit|=a")]),
    ("another port", &[("GET|Host: t", A, "200 miss|=a"), ("GET|Host: t:81", B, "200 miss|=b")]),
    ("absolute form", &[("GET", A, "200 miss|=a"), ("GET http://t@", "", "200 hit|=a"), ("GET HTTP://T@", "", "200 hit|=a")]),
    ("absolute form of another host", &[("GET", A, "200 miss|=a"), ("GET http://u@|Host: u", B, "200 miss|=b")]),
    ("HEAD from what GET stored", &[("GET", "200|Cache-Control: max-age=60|ETag: \"e\"|=abc", "200 miss"), ("HEAD", "", "200 hit|Content-Length: 3|ETag: \"e\"|Age|="), ("GET", "", "200 hit|=abc")]),
    ("HEAD stores nothing", &[("HEAD", "200|Cache-Control: max-age=60|=abc", "200 pass detail=head_miss|Content-Length: 3|=|>method: HEAD"), ("GET", "200|Cache-Control: max-age=60|=abc", "200 miss|=abc")]),
    ("HTTP/1.0", &[("GET", A, "200 miss|=a"), ("GET @ HTTP/1.0", "", "200 hit|=a|Content-Length: 1"), ("GET", "", "200 hit|=a")]),
    ("HTTP/1.0 and what came in chunks", &[("GET", "200|Cache-Control: max-age=60|+abc", "200 miss|=abc"), ("GET @ HTTP/1.0", "", "200 hit|=abc|!Transfer-Encoding")]),
    ("HTTP/1.0 stores too", &[("GET @ HTTP/1.0", A, "200 miss|=a"), ("GET", "", "200 hit|=a")]),
    ("the body's framing is no part", &[("GET|Connection: close", A, "200 miss|=a"), ("GET", "", "200 hit|=a")]),
    ("parts cannot flow into each other", &[("GET @/a?b|Host: t", A, "200 miss|=a"), ("GET @/a|Host: t|X: ?b", B, "200 miss|=b")]),
];
