//! Unsafe methods: what they make invalid, and what not.

use super::super::harness::Row;

const A: &str = "200|Cache-Control: max-age=60|=a";
const B: &str = "200|Cache-Control: max-age=60|=b";

/// RFC 9111 §4.4.
pub const ROWS: &[Row] = &[
    ("POST", &[("GET", A, "200 miss"), ("POST|=x", "200|=done", "200 pass|=done"), ("GET", B, "200 !hit|=b")]),
    ("PUT", &[("GET", A, "200 miss"), ("PUT|=x", "204", "204 pass"), ("GET", B, "200 !hit|=b")]),
    ("DELETE", &[("GET", A, "200 miss"), ("DELETE", "200|=done", "200 pass"), ("GET", B, "200 !hit|=b")]),
    ("PATCH", &[("GET", A, "200 miss"), ("PATCH|=x", "200|=done", "200 pass"), ("GET", B, "200 !hit|=b")]),
    ("a method that is not known", &[("GET", A, "200 miss"), ("BREW|=x", "200|=done", "200 pass"), ("GET", B, "200 !hit|=b")]),
    ("a redirect", &[("GET", A, "200 miss"), ("POST|=x", "303|Location: /elsewhere", "303 pass"), ("GET", B, "200 !hit|=b")]),
    ("a refusal changes nothing", &[("GET", A, "200 miss"), ("POST|=x", "404|=no", "404 pass"), ("GET", "", "200 hit|=a")]),
    ("a failure changes nothing", &[("GET", A, "200 miss"), ("POST|=x", "500|=no", "500 pass"), ("GET", "", "200 hit|=a")]),
    ("OPTIONS is safe", &[("GET", A, "200 miss"), ("OPTIONS", "200|=ok", "200 pass"), ("GET", "", "200 hit|=a")]),
    ("HEAD is safe", &[("GET", A, "200 miss"), ("HEAD", "", "200 hit|="), ("GET", "", "200 hit|=a")]),
    ("another path stays", &[("GET @/b", A, "200 miss"), ("POST|=x", "200|=done", "200 pass"), ("GET @/b", "", "200 hit|=a")]),
    ("another query stays", &[("GET @?x=1", A, "200 miss"), ("POST @?x=2|=x", "200|=done", "200 pass"), ("GET @?x=1", "", "200 hit|=a")]),
    ("the same query", &[("GET @?x=1", A, "200 miss"), ("POST @?x=1|=x", "200|=done", "200 pass"), ("GET @?x=1", B, "200 !hit|=b")]),
    ("another host stays", &[("GET", A, "200 miss"), ("POST|Host: u|=x", "200|=done", "200 pass"), ("GET", "", "200 hit|=a")]),
    ("Location", &[("GET @/b", A, "200 miss"), ("POST|=x", "201|Location: @/b|=done", "201 pass"), ("GET @/b", B, "200 !hit|=b")]),
    ("Location as a whole URL", &[("GET @/b", A, "200 miss"), ("POST|=x", "201|Location: http://t@/b|=done", "201 pass"), ("GET @/b", B, "200 !hit|=b")]),
    ("Location with the host in capitals", &[("GET @/b", A, "200 miss"), ("POST|=x", "201|Location: HTTP://T@/b|=done", "201 pass"), ("GET @/b", B, "200 !hit|=b")]),
    ("Location relative to the target", &[("GET @/b/c", A, "200 miss"), ("POST @/b/d|=x", "201|Location: c|=done", "201 pass"), ("GET @/b/c", B, "200 !hit|=b")]),
    ("Location with dots", &[("GET @/c", A, "200 miss"), ("POST @/b/d|=x", "201|Location: ../c|=done", "201 pass"), ("GET @/c", B, "200 !hit|=b")]),
    ("Location on another host", &[("GET @/b", A, "200 miss"), ("POST|=x", "201|Location: http://u@/b|=done", "201 pass"), ("GET @/b", "", "200 hit|=a")]),
    ("another host's answers stay too", &[("GET @/b|Host: u", A, "200 miss"), ("POST|=x", "201|Location: http://u@/b|=done", "201 pass"), ("GET @/b|Host: u", "", "200 hit|=a")]),
    ("Location on another port", &[("GET @/b", A, "200 miss"), ("POST|=x", "201|Location: http://t:81@/b|=done", "201 pass"), ("GET @/b", "", "200 hit|=a")]),
    ("Content-Location", &[("GET @/b", A, "200 miss"), ("PUT|=x", "200|Content-Location: @/b|=done", "200 pass"), ("GET @/b", B, "200 !hit|=b")]),
    ("Content-Location on another host", &[("GET @/b", A, "200 miss"), ("PUT|=x", "200|Content-Location: http://u@/b|=done", "200 pass"), ("GET @/b", "", "200 hit|=a")]),
    ("Location that is no reference", &[("GET @/b", A, "200 miss"), ("POST|=x", "201|Location: http://[|=done", "201 pass"), ("GET @/b", "", "200 hit|=a")]),
    ("Location of a failure", &[("GET @/b", A, "200 miss"), ("POST|=x", "500|Location: @/b|=no", "500 pass"), ("GET @/b", "", "200 hit|=a")]),
    ("Location of a GET", &[("GET @/b", A, "200 miss"), ("GET", "302|Location: @/b", "302 -"), ("GET @/b", "", "200 hit|=a")]),
    ("every caller's answer", &[("GET|Authorization: Bearer a", "200|Cache-Control: public, max-age=60|=a", "200 miss"), ("POST|=x", "200|=done", "200 pass"), ("GET|Authorization: Bearer a", "200|Cache-Control: public, max-age=60|=b", "200 !hit|=b")]),
    ("every variant", &[("GET|X-A: 1", "200|Cache-Control: max-age=60|Vary: X-A|=1", "200 miss"), ("GET|X-A: 2", "200|Cache-Control: max-age=60|Vary: X-A|=2", "200 -|=2"), ("POST|=x", "200|=done", "200 pass"), ("GET|X-A: 1", "200|Cache-Control: max-age=60|Vary: X-A|=3", "200 !hit|=3"), ("GET|X-A: 2", "200|Cache-Control: max-age=60|Vary: X-A|=4", "200 !hit|=4")]),
    ("a POST in absolute form", &[("GET", A, "200 miss"), ("POST http://t@|=x", "200|=done", "200 pass"), ("GET", B, "200 !hit|=b")]),
];
