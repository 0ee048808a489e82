//! The keys of `[route.cache]`: name, lines of the table, steps.

use super::super::harness::script::Step;

type Rule = (&'static str, &'static str, &'static [Step]);

const A: &str = "200|Cache-Control: max-age=60|=a";
const B: &str = "200|Cache-Control: max-age=60|=b";
const C: &str = "200|Cache-Control: max-age=60|=c";
const OLD: &str = "200|Cache-Control: max-age=60|Age: 70|ETag: \"e\"|=old";

pub const ROWS: &[Rule] = &[
    // What makes the key.
    ("key without host", "key = [\"path\", \"query\", \"caller\"]", &[("GET|Host: t", A, "200 miss"), ("GET|Host: u", "", "200 hit|=a"), ("GET @/x|Host: u", B, "200 miss|=b")]),
    ("key without path", "key = [\"host\"]", &[("GET @/x?1", A, "200 miss"), ("GET @/y?2", "", "200 hit|=a"), ("GET @/x|Host: u", B, "200 miss|=b")]),
    ("key without query", "key = [\"host\", \"path\"]", &[("GET @?x=1", A, "200 miss|>target: @?x=1"), ("GET @?x=2", "", "200 hit|=a"), ("GET", "", "200 hit|=a")]),
    ("key with a header", "key = [\"host\", \"path\", \"query\", \"caller\", \"header:X-Mode\"]", &[("GET|X-Mode: 1", A, "200 miss"), ("GET|X-Mode: 2", B, "200 miss|=b"), ("GET", C, "200 miss|=c"), ("GET|x-mode: 1", "", "200 hit|=a")]),
    ("query sorted", "query = \"sorted\"", &[("GET @?b=2&a=1", A, "200 miss|>target: @?b=2&a=1"), ("GET @?a=1&b=2", "", "200 hit|=a"), ("GET @?a=1&b=3", B, "200 miss|=b")]),
    ("query sorted keeps the order of equal names", "query = \"sorted\"", &[("GET @?a=1&a=2", A, "200 miss"), ("GET @?a=2&a=1", B, "200 miss|=b")]),
    ("query whole", "query = \"whole\"", &[("GET @?b=2&a=1", A, "200 miss"), ("GET @?a=1&b=2", B, "200 miss|=b")]),
    ("query_only", "query_only = [\"id\"]", &[("GET @?id=1&utm=x", A, "200 miss"), ("GET @?utm=y&id=1", "", "200 hit|=a"), ("GET @?%69d=1", "", "200 hit|=a"), ("GET @?id=2", B, "200 miss|=b")]),
    ("query_except", "query_except = [\"utm\"]", &[("GET @?id=1&utm=x", A, "200 miss"), ("GET @?utm=y&id=1", "", "200 hit|=a"), ("GET @?id=1&utmost=x", B, "200 miss|=b")]),
    ("body as it is", "post = true\nkey = [\"host\", \"path\", \"body\"]", &[("POST|=one", A, "200 miss|=a"), ("POST|=one", "", "200 hit|=a"), ("POST|=two", B, "200 miss|=b"), ("POST|=one ", C, "200 miss|=c")]),
    ("body as JSON", "post = true\nkey = [\"host\", \"path\", \"body-json\"]", &[("POST|={\"a\":1,\"b\":[1,2]}", A, "200 miss|=a"), ("POST|={ \"b\" : [1, 2], \"a\" : 1 }", "", "200 hit|=a"), ("POST|={\"a\":1,\"b\":[2,1]}", B, "200 miss|=b"), ("POST|={\"a\":1,\"b\":[1,2],\"c\":null}", C, "200 miss|=c")]),
    ("body as JSON: every way to write a string", "post = true\nkey = [\"host\", \"path\", \"body-json\"]", &[("POST|={\"a\":\"A\"}", A, "200 miss|=a"), ("POST|={\"\\u0061\":\"\\u0041\"}", "", "200 hit|=a"), ("POST|={\"a\":\"a\"}", B, "200 miss|=b")]),
    ("body that is no JSON is taken as it is", "post = true\nkey = [\"host\", \"path\", \"body-json\"]", &[("POST|={\"a\":", A, "200 miss|=a"), ("POST|={\"a\":", "", "200 hit|=a"), ("POST|={\"a\": ", B, "200 miss|=b")]),
    ("body_except", "post = true\nkey = [\"host\", \"path\", \"body-json\"]\nbody_except = [\"user\"]", &[("POST|={\"a\":1,\"user\":\"me\"}", A, "200 miss|=a|>method: POST"), ("POST|={\"a\":1,\"user\":\"you\"}", "", "200 hit|=a"), ("POST|={\"a\":{\"user\":1},\"user\":1}", B, "200 miss|=b"), ("POST|={\"a\":{\"user\":2},\"user\":1}", C, "200 miss|=c")]),
    ("body_max", "post = true\nkey = [\"host\", \"path\", \"body\"]\nbody_max = \"8B\"", &[("POST|=12345678", A, "200 miss|=a"), ("POST|=12345678", "", "200 hit|=a"), ("POST|=123456789", B, "200 pass detail=key_body_too_large|=b"), ("POST|=123456789", C, "200 pass|=c")]),
    ("post alone means the JSON of the body", "post = true", &[("POST|={\"a\":1,\"b\":2}", A, "200 miss|=a"), ("POST|={\"b\":2,\"a\":1}", "", "200 hit|=a"), ("POST|={\"b\":2}", B, "200 miss|=b"), ("GET", C, "200 miss|=c")]),
    ("post: PUT is no POST", "post = true", &[("PUT|=x", A, "200 pass fwd=method|=a"), ("PUT|=x", B, "200 pass|=b")]),
    ("post: what a POST brings is no invalidation", "post = true", &[("GET", A, "200 miss|=a"), ("POST|={}", B, "200 miss|=b"), ("GET", "", "200 hit|=a"), ("POST|={}", "", "200 hit|=b")]),
    ("version", "version = \"1\"", &[("GET", A, "200 miss"), ("GET", "", "200 hit|=a")]),
    // Whose word counts, and for how long.
    ("ttl where the origin says nothing", "ttl = { 200 = \"1m\" }", &[("GET", "200|=a", "200 miss"), ("GET", "", "200 hit|=a"), ("GET @/x", "200|Cache-Control: no-store|=a", "200 pass detail=no_store"), ("GET @/y", OLD, "200 -"), ("GET @/y", "304|ETag: \"e\"", "200 valid|=old")]),
    ("ttl before a guess", "ttl = { 200 = \"1m\" }", &[("GET", "200|Last-Modified: {-100000}|Age: 61|=a", "200 -"), ("GET", "304", "200 valid|=a")]),
    ("ttl of any status", "ttl = { 404 = \"1m\", any = \"2m\" }", &[("GET", "404|Age: 61|ETag: \"e\"|=a", "404 -"), ("GET", "404|=b", "404 -|=b"), ("GET @/x", "500|Age: 61|=a", "500 miss"), ("GET @/x", "", "500 hit|=a")]),
    ("ttl of nothing", "ttl = { 200 = \"0s\", any = \"1m\" }", &[("GET", "200|=a", "200 pass"), ("GET", "200|=b", "200 -|=b"), ("GET @/x", "404|=a", "404 miss"), ("GET @/x", "", "404 hit|=a")]),
    ("origin overridden", "origin = \"override\"\nttl = { 200 = \"1m\" }", &[("GET", "200|Cache-Control: no-store, private, max-age=0|Expires: 0|Pragma: no-cache|=a", "200 miss"), ("GET", "", "200 hit|=a|Cache-Control: no-store, private, max-age=0"), ("GET @/x", "200|Cache-Control: no-store|Set-Cookie: a=1|=a", "200 pass detail=set_cookie"), ("GET @/y", "200|Cache-Control: no-store|Vary: *|=a", "200 pass detail=vary_star")]),
    ("origin overridden in its length too", "origin = \"override\"\nttl = { 200 = \"1m\" }", &[("GET", "200|Cache-Control: max-age=600|Age: 61|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("origin respected", "origin = \"respect\"", &[("GET", "200|Cache-Control: no-store|=a", "200 pass"), ("GET", "200|=b", "200 -|=b")]),
    ("stale_while_revalidate", "stale_while_revalidate = \"1m\"", &[("GET", OLD, "200 -"), ("GET", A, "200 stale|=old|>If-None-Match: \"e\""), ("...GET", "", "200 hit|=a")]),
    ("stale_while_revalidate of the origin counts", "stale_while_revalidate = \"1m\"", &[("GET", "200|Cache-Control: max-age=60, stale-while-revalidate=1|Age: 70|ETag: \"e\"|=old", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=old")]),
    ("stale_while_revalidate against must-revalidate", "stale_while_revalidate = \"1m\"", &[("GET", "200|Cache-Control: max-age=60, must-revalidate|Age: 70|ETag: \"e\"|=old", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=old")]),
    ("stale_if_error", "stale_if_error = \"1m\"", &[("GET", OLD, "200 -"), ("GET", "x", "200 stale|=old"), ("GET", "503|=no", "200 stale|=old"), ("GET", "304|Cache-Control: max-age=60|ETag: \"e\"", "200 valid|=old")]),
    ("stale_if_error against must-revalidate", "stale_if_error = \"1m\"", &[("GET", "200|Cache-Control: max-age=60, must-revalidate|Age: 70|ETag: \"e\"|=old", "200 -"), ("GET", "x", "502 -")]),
    ("refresh_ahead", "refresh_ahead = 10", &[("GET", "200|Cache-Control: max-age=100|Age: 80|=old", "200 miss"), ("GET", "", "200 hit|=old"), ("GET @/x", "200|Cache-Control: max-age=100|Age: 92|=old", "200 miss"), ("GET @/x", A, "200 hit|=old"), ("...GET @/x", "", "200 hit|=a")]),
    ("ignore_client_no_cache", "ignore_client_no_cache = \"browsers reload too much\"", &[("GET", A, "200 miss"), ("GET|Cache-Control: no-cache", "", "200 hit|=a"), ("GET|Cache-Control: max-age=0", "", "200 hit|=a"), ("GET|Pragma: no-cache", "", "200 hit|=a"), ("GET|Cache-Control: no-store", B, "200 pass detail=request_no_store|=b"), ("GET @/x|Cache-Control: only-if-cached", "", "504 -")]),
    // What is stored, and for whom.
    ("object_max", "object_max = \"1KiB\"", &[("GET", "200|Cache-Control: max-age=60|=small", "200 miss"), ("GET", "", "200 hit|=small")]),
    ("min_uses", "min_uses = 3", &[("GET", A, "200 pass detail=min_uses|=a"), ("GET", B, "200 !hit|=b"), ("GET", C, "200 stored|=c"), ("GET", "", "200 hit|=c")]),
    ("bypass_headers", "bypass_headers = [\"X-Debug\", \"x-preview\"]", &[("GET", A, "200 miss"), ("GET|x-debug: 1", B, "200 pass fwd=bypass detail=bypass|=b|>X-Debug: 1"), ("GET|X-Preview:", C, "200 pass|=c"), ("GET", "", "200 hit|=a")]),
    ("bypass_query", "bypass_query = [\"nocache\"]", &[("GET @?a=1", A, "200 miss"), ("GET @?nocache", B, "200 pass fwd=bypass detail=bypass|=b"), ("GET @?a=1&nocache=1", C, "200 pass|=c"), ("GET @?nocaches=1", A, "200 miss|=a"), ("GET @?a=1", "", "200 hit|=a")]),
    ("authorization by the RFC", "authorization = \"rfc9111\"", &[("GET|Authorization: Bearer a", A, "200 pass detail=authorization"), ("GET|Authorization: Bearer a", B, "200 -|=b")]),
    ("authorization: each their own", "authorization = \"own\"", &[("GET|Authorization: Bearer a", A, "200 miss"), ("GET|Authorization: Bearer a", "", "200 hit|=a"), ("GET|Authorization: Bearer b", B, "200 miss|=b"), ("GET", C, "200 miss|=c"), ("GET|X-Api-Key: a", B, "200 miss|=b"), ("GET|X-Api-Key: a", "", "200 hit|=b")]),
    ("authorization: shared", "authorization = \"shared\"\nkey = [\"host\", \"path\"]", &[("GET|Authorization: Bearer a", A, "200 miss"), ("GET|Authorization: Bearer b", "", "200 hit|=a"), ("GET", "", "200 hit|=a"), ("GET|Cookie: s=1", "", "200 hit|=a")]),
    ("authorization: own, and private all the same", "authorization = \"own\"", &[("GET|Authorization: Bearer a", "200|Cache-Control: private, max-age=60|=a", "200 pass detail=private"), ("GET|Authorization: Bearer a", B, "200 -|=b")]),
    ("set_cookie: not stored", "set_cookie = \"not-stored\"", &[("GET", "200|Cache-Control: max-age=60|Set-Cookie: a=1|=a", "200 pass detail=set_cookie|Set-Cookie: a=1"), ("GET", B, "200 -|=b")]),
    ("set_cookie: stripped", "set_cookie = \"strip\"", &[("GET", "200|Cache-Control: max-age=60|Set-Cookie: a=1|Set-Cookie: b=2|X-A: 1|=a", "200 miss|Set-Cookie: a=1, b=2"), ("GET", "", "200 hit|!Set-Cookie|X-A: 1|=a")]),
    ("strip_tags", "strip_tags = true", &[("GET", "200|Cache-Control: max-age=60|Surrogate-Key: a b|Cache-Tag: c|X-A: 1|=a", "200 miss|!Surrogate-Key|!Cache-Tag|X-A: 1"), ("GET", "", "200 hit|!Surrogate-Key|!Cache-Tag|X-A: 1")]),
    ("tags are passed on otherwise", "", &[("GET", "200|Cache-Control: max-age=60|Surrogate-Key: a b|=a", "200 miss|Surrogate-Key: a b"), ("GET", "", "200 hit|Surrogate-Key: a b")]),
];
