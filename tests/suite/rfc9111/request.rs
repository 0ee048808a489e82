//! What a request may ask of a cache.

use super::super::harness::Row;

const AGED: &str = "200|Cache-Control: max-age=60|Age: 30|ETag: \"e\"|=a";
const OLD: &str = "200|Cache-Control: max-age=60|Age: 70|ETag: \"e\"|=a";

/// RFC 9111 §5.2.1, §5.4.
pub const DIRECTIVES: &[Row] = &[
    ("§5.2.1.1 max-age above the age", &[("GET", AGED, "200 miss"), ("GET|Cache-Control: max-age=40", "", "200 hit|=a")]),
    ("§5.2.1.1 max-age below the age", &[("GET", AGED, "200 miss"), ("GET|Cache-Control: max-age=20", "304|ETag: \"e\"", "200 valid fwd=request|=a|>If-None-Match: \"e\"")]),
    ("§5.2.1.1 max-age=0", &[("GET", "200|Cache-Control: max-age=60|ETag: \"e\"|=a", "200 miss"), ("GET|Cache-Control: max-age=0", "304|ETag: \"e\"", "200 valid fwd=request|=a")]),
    ("§5.2.1.1 max-age that is no number is the strictest", &[("GET", AGED, "200 miss"), ("GET|Cache-Control: max-age=x", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§5.2.1.3 min-fresh that is there", &[("GET", AGED, "200 miss"), ("GET|Cache-Control: min-fresh=20", "", "200 hit|=a")]),
    ("§5.2.1.3 min-fresh that is not there", &[("GET", AGED, "200 miss"), ("GET|Cache-Control: min-fresh=40", "304|ETag: \"e\"", "200 valid fwd=request|=a")]),
    ("§5.2.1.2 max-stale without a number", &[("GET", OLD, "200 -"), ("GET|Cache-Control: max-stale", "", "200 stale|=a|Age>=70")]),
    ("§5.2.1.2 max-stale that is enough", &[("GET", OLD, "200 -"), ("GET|Cache-Control: max-stale=20", "", "200 stale|=a")]),
    ("§5.2.1.2 max-stale that is not enough", &[("GET", OLD, "200 -"), ("GET|Cache-Control: max-stale=5", "304|ETag: \"e\"", "200 valid fwd=stale|=a")]),
    ("§5.2.1.2 max-stale against must-revalidate", &[("GET", "200|Cache-Control: max-age=60, must-revalidate|Age: 70|ETag: \"e\"|=a", "200 -"), ("GET|Cache-Control: max-stale", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§5.2.1.2 max-stale against proxy-revalidate", &[("GET", "200|Cache-Control: max-age=60, proxy-revalidate|Age: 70|ETag: \"e\"|=a", "200 -"), ("GET|Cache-Control: max-stale", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§5.2.1.2 max-stale against s-maxage", &[("GET", "200|Cache-Control: s-maxage=60|Age: 70|ETag: \"e\"|=a", "200 -"), ("GET|Cache-Control: max-stale", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§5.2.1.2 max-stale against no-cache", &[("GET", "200|Cache-Control: max-age=60, no-cache|ETag: \"e\"|=a", "200 -"), ("GET|Cache-Control: max-stale", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§5.2.1.4 no-cache", &[("GET", "200|Cache-Control: max-age=60|ETag: \"e\"|=a", "200 miss"), ("GET|Cache-Control: no-cache", "304|ETag: \"e\"", "200 valid fwd=request|=a")]),
    ("§5.2.1.4 what no-cache fetches is stored", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss"), ("GET|Cache-Control: no-cache", "200|Cache-Control: max-age=60|=b", "200 fwd=request stored|=b"), ("GET", "", "200 hit|=b")]),
    ("§5.2.1.4 no-cache in capitals, in a list", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss"), ("GET|Cache-Control: thing, NO-CACHE", "200|Cache-Control: max-age=60|=b", "200 fwd=request|=b")]),
    ("§5.4 Pragma: no-cache", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss"), ("GET|Pragma: no-cache", "200|Cache-Control: max-age=60|=b", "200 fwd=request|=b")]),
    ("§5.4 Pragma beside Cache-Control", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss"), ("GET|Pragma: no-cache|Cache-Control: max-age=600", "", "200 hit|=a")]),
    ("§5.2.1.7 only-if-cached, and it is", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss"), ("GET|Cache-Control: only-if-cached", "", "200 hit|=a")]),
    ("§5.2.1.7 only-if-cached, and it is not", &[("GET|Cache-Control: only-if-cached", "", "504 -"), ("GET", "200|Cache-Control: max-age=60|=a", "200 miss|=a")]),
    ("§5.2.1.7 only-if-cached, and it is stale", &[("GET", OLD, "200 -"), ("GET|Cache-Control: only-if-cached", "", "504 -"), ("GET|Cache-Control: only-if-cached, max-stale", "", "200 stale|=a")]),
    ("§5.2.1.7 only-if-cached, and no-cache", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss"), ("GET|Cache-Control: only-if-cached, no-cache", "", "504 -")]),
    ("§5.2.1.6 no-transform", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss"), ("GET|Cache-Control: no-transform", "", "200 hit|=a")]),
    ("§5.2.3 unknown directives", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss"), ("GET|Cache-Control: surprise=\"no-cache\", s-maxage=0, must-revalidate", "", "200 hit|=a")]),
    ("RFC 5861 §4 stale-if-error of a request", &[("GET", OLD, "200 -"), ("GET|Cache-Control: stale-if-error=60", "x", "200 stale|=a"), ("GET|Cache-Control: stale-if-error=5", "x", "502 -")]),
    ("a request with a body goes past, and its body is taken", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss"), ("GET|=GET /smuggled HTTP/1.1", "200|=b", "200 pass detail=request_body|=b|>target: @"), ("GET", "", "200 hit|=a")]),
    ("fields that ask for nothing", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss"), ("GET|User-Agent: x|Accept: text/html|Referer: http://t/", "", "200 hit|=a")]),
];
