//! Answers that are stale: confirmed by the origin, or served because it fails or is slow.

use super::super::harness::Row;

const OLD: &str = "200|Cache-Control: max-age=60|Age: 70|ETag: \"e\"|=a";
const OLD_ON_ERROR: &str = "200|Cache-Control: max-age=60, stale-if-error=60|Age: 70|ETag: \"e\"|=a";
const OLD_WHILE: &str = "200|Cache-Control: max-age=60, stale-while-revalidate=60|Age: 70|ETag: \"e\"|=a";

/// RFC 9111 §4.3, §3.2.
pub const CONFIRMED: &[Row] = &[
    ("§4.3.1 the entity tag is sent", &[("GET", OLD, "200 -"), ("GET", "304|ETag: \"e\"", "200 valid fwd=stale|=a|>If-None-Match: \"e\"|>method: GET")]),
    ("§4.3.1 a weak entity tag is sent as it is", &[("GET", "200|Cache-Control: max-age=60|Age: 70|ETag: W/\"e\"|=a", "200 -"), ("GET", "304|ETag: W/\"e\"", "200 valid|=a|>If-None-Match: W/\"e\"")]),
    ("§4.3.1 Last-Modified is sent", &[("GET", "200|Cache-Control: max-age=60|Age: 70|Last-Modified: {-500}|=a", "200 -"), ("GET", "304", "200 valid|=a|>If-Modified-Since: {-500}|>!If-None-Match")]),
    ("§4.3.1 without a validator nothing is sent", &[("GET", "200|Cache-Control: max-age=60|Age: 70|=a", "200 -"), ("GET", "200|Cache-Control: max-age=60|=b", "200 -|=b|>!If-None-Match|>!If-Modified-Since")]),
    ("§4.3.3 a whole answer takes the place", &[("GET", OLD, "200 -"), ("GET", "200|Cache-Control: max-age=60|ETag: \"f\"|=b", "200 fwd=stale stored|=b|ETag: \"f\""), ("GET", "", "200 hit|=b|ETag: \"f\"")]),
    ("§4.3.3 a failure is passed on", &[("GET", OLD, "200 -"), ("GET", "500|=x", "500 -|=x"), ("GET", "200|Cache-Control: max-age=60|=b", "200 -|=b"), ("GET", "?200|Cache-Control: max-age=60|=b", "200 -|=b"), ("GET", "", "200 hit|=b")]),
    ("§4.3.3 404 is passed on", &[("GET", OLD, "200 -"), ("GET", "404|=x", "404 -|=x")]),
    ("§4.3.4 fields of the confirmation count", &[("GET", "200|Cache-Control: max-age=60|Age: 70|ETag: \"e\"|X-A: 1|X-B: 1|=a", "200 -"), ("GET", "304|Cache-Control: max-age=600|ETag: \"e\"|X-A: 2", "200 valid|X-A: 2|X-B: 1|Cache-Control: max-age=600|=a"), ("GET", "", "200 hit|X-A: 2|X-B: 1|Cache-Control: max-age=600|=a")]),
    ("§3.2 a confirmation does not change what the body is", &[("GET", "200|Cache-Control: max-age=60|Age: 70|ETag: \"e\"|Content-Type: text/plain|=abc", "200 -"), ("GET", "304|Cache-Control: max-age=60|ETag: \"e\"|Content-Length: 99", "200 valid|Content-Length: 3|Content-Type: text/plain|=abc"), ("GET", "", "200 hit|Content-Length: 3|Content-Type: text/plain|=abc")]),
    ("§4.3.4 Date of the confirmation counts", &[("GET", "200|Cache-Control: max-age=60|Date: {-70}|ETag: \"e\"|=a", "200 -"), ("GET", "304|Cache-Control: max-age=60|Date: {0}|ETag: \"e\"", "200 valid|=a"), ("GET", "", "200 hit|Date: {0}|Age<=3|=a")]),
    ("§4.3.4 a confirmation may be stale again", &[("GET", OLD, "200 -"), ("GET", "304|Cache-Control: max-age=0|ETag: \"e\"", "200 valid|=a"), ("GET", "304|Cache-Control: max-age=60|ETag: \"e\"", "200 valid|=a"), ("GET", "", "200 hit|=a")]),
    ("§4.3.4 a confirmation that says no-store ends it", &[("GET", OLD, "200 -"), ("GET", "304|Cache-Control: no-store|ETag: \"e\"", "200 -|=a"), ("GET", "200|Cache-Control: max-age=60|=b", "200 -|=b|>!If-None-Match")]),
    ("§4.3.2 the client's own condition holds too", &[("GET", OLD, "200 -"), ("GET|If-None-Match: \"e\"", "304|Cache-Control: max-age=60|ETag: \"e\"", "304 valid|ETag: \"e\"|>If-None-Match~\"e\"")]),
    ("§4.3.2 a condition for another answer", &[("GET", OLD, "200 -"), ("GET|If-None-Match: \"other\"", "304|Cache-Control: max-age=60|ETag: \"e\"", "200 valid|=a|>If-None-Match~\"e\"")]),
    ("§4.3.3 new content against the client's condition", &[("GET", OLD, "200 -"), ("GET|If-None-Match: \"e\"", "200|Cache-Control: max-age=60|ETag: \"f\"|=b", "200 -|ETag: \"f\"|=b"), ("GET", "", "200 hit|=b")]),
    ("§4.3.5 HEAD confirms", &[("GET", OLD, "200 -"), ("HEAD", "?200|Cache-Control: max-age=60|ETag: \"e\"|=a", "200 -|Content-Length: 1|="), ("GET", "?200|Cache-Control: max-age=60|ETag: \"e\"|=a", "200 -|=a"), ("GET", "", "200 hit|=a")]),
    ("§4.3.5 HEAD shows that there is something new", &[("GET", "200|Cache-Control: max-age=60|ETag: \"e\"|=a", "200 miss"), ("HEAD|Cache-Control: no-cache", "200|Cache-Control: max-age=60|ETag: \"f\"|=bb", "200 -|Content-Length: 2|="), ("GET", "?200|Cache-Control: max-age=60|ETag: \"f\"|=bb", "200 -|=bb|ETag: \"f\"")]),
    ("a part of what is confirmed", &[("GET", "200|Cache-Control: max-age=60|Age: 70|ETag: \"e\"|=0123456789", "200 -"), ("GET|Range: bytes=2-4", "304|Cache-Control: max-age=60|ETag: \"e\"", "206 valid|Content-Range: bytes 2-4/10|=234|>!Range")]),
];

/// RFC 9111 §4.2.4, §5.2.2.2, §5.2.2.8, RFC 5861.
pub const SERVED: &[Row] = &[
    ("§4.2.4 a dead origin and no permission", &[("GET", OLD, "200 -"), ("GET", "x", "502 -")]),
    ("§5.2.2.2 must-revalidate", &[("GET", "200|Cache-Control: max-age=60, must-revalidate|Age: 70|ETag: \"e\"|=a", "200 -"), ("GET", "x", "502 -"), ("GET", "304|Cache-Control: max-age=60|ETag: \"e\"", "200 valid|=a")]),
    ("§5.2.2.2 must-revalidate before stale-if-error", &[("GET", "200|Cache-Control: max-age=60, must-revalidate, stale-if-error=60|Age: 70|ETag: \"e\"|=a", "200 -"), ("GET", "x", "502 -")]),
    ("§5.2.2.8 proxy-revalidate before stale-if-error", &[("GET", "200|Cache-Control: max-age=60, proxy-revalidate, stale-if-error=60|Age: 70|ETag: \"e\"|=a", "200 -"), ("GET", "x", "502 -")]),
    ("§5.2.2.4 no-cache before stale-if-error", &[("GET", "200|Cache-Control: max-age=60, no-cache, stale-if-error=60|ETag: \"e\"|=a", "200 -"), ("GET", "x", "502 -")]),
    ("RFC 5861 §4 a dead origin", &[("GET", OLD_ON_ERROR, "200 -"), ("GET", "x", "200 stale|=a|Age>=70")]),
    ("RFC 5861 §4 500", &[("GET", OLD_ON_ERROR, "200 -"), ("GET", "500|=x", "200 stale|=a")]),
    ("RFC 5861 §4 502", &[("GET", OLD_ON_ERROR, "200 -"), ("GET", "502|=x", "200 stale|=a")]),
    ("RFC 5861 §4 503", &[("GET", OLD_ON_ERROR, "200 -"), ("GET", "503|=x", "200 stale|=a")]),
    ("RFC 5861 §4 504", &[("GET", OLD_ON_ERROR, "200 -"), ("GET", "504|=x", "200 stale|=a")]),
    ("RFC 5861 §4 404 is no failure", &[("GET", OLD_ON_ERROR, "200 -"), ("GET", "404|=x", "404 -|=x")]),
    ("RFC 5861 §4 a failure does not last", &[("GET", OLD_ON_ERROR, "200 -"), ("GET", "503|=x", "200 stale|=a"), ("GET", "304|Cache-Control: max-age=60|ETag: \"e\"", "200 valid|=a"), ("GET", "", "200 hit|=a")]),
    ("RFC 5861 §4 too old", &[("GET", "200|Cache-Control: max-age=60, stale-if-error=60|Age: 200|ETag: \"e\"|=a", "200 -"), ("GET", "x", "502 -")]),
    ("RFC 5861 §4 fresh answers need no permission", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("RFC 5861 §3 stale at once, confirmed beside", &[("GET", OLD_WHILE, "200 -"), ("GET", "304|Cache-Control: max-age=60|ETag: \"e\"", "200 stale|=a|>If-None-Match: \"e\""), ("...GET", "", "200 hit|=a")]),
    ("RFC 5861 §3 stale at once, fetched beside", &[("GET", OLD_WHILE, "200 -"), ("GET", "200|Cache-Control: max-age=60|ETag: \"f\"|=b", "200 stale|=a"), ("...GET", "", "200 hit|=b|ETag: \"f\"")]),
    ("RFC 5861 §3 too old", &[("GET", "200|Cache-Control: max-age=60, stale-while-revalidate=60|Age: 200|ETag: \"e\"|=a", "200 -"), ("GET", "304|Cache-Control: max-age=60|ETag: \"e\"", "200 valid fwd=stale|=a")]),
    ("RFC 5861 §3 a refresh that fails is tried again", &[("GET", OLD_WHILE, "200 -"), ("GET", "x", "200 stale|=a"), ("...GET", "200|Cache-Control: max-age=60|=b", "200 hit|=b")]),
    ("RFC 5861 §3 a refresh that is refused is tried again", &[("GET", OLD_WHILE, "200 -"), ("GET", "503|=x", "200 stale|=a"), ("...GET", "304|Cache-Control: max-age=60|ETag: \"e\"", "200 hit|=a")]),
    ("RFC 5861 §3 a refresh that brings what may not be stored", &[("GET", OLD_WHILE, "200 -"), ("GET", "200|Cache-Control: no-store|=b", "200 stale|=a"), ("...GET", "200|Cache-Control: no-store|=c", "200 -|=c")]),
    ("RFC 5861 §3 a refresh that is cut", &[("GET", OLD_WHILE, "200 -"), ("GET", "200|Cache-Control: max-age=60|!b", "200 stale|=a"), ("...GET", "200|Cache-Control: max-age=60|=c", "200 hit|=c")]),
    ("RFC 5861 §3 must-revalidate comes first", &[("GET", "200|Cache-Control: max-age=60, must-revalidate, stale-while-revalidate=60|Age: 70|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid fwd=stale|=a")]),
    ("RFC 5861 §3 not against the request's no-cache", &[("GET", OLD_WHILE, "200 -"), ("GET|Cache-Control: no-cache", "304|Cache-Control: max-age=60|ETag: \"e\"", "200 valid|=a")]),
    ("RFC 5861 §3 a part of a stale answer", &[("GET", "200|Cache-Control: max-age=60, stale-while-revalidate=60|Age: 70|ETag: \"e\"|=0123", "200 -"), ("GET|Range: bytes=1-2", "304|Cache-Control: max-age=60|ETag: \"e\"", "206 stale|=12|>!Range")]),
];

/// Lifetimes of the route: a minute for 404 and 503, none for 200.
pub const NEGATIVE: &[Row] = &[
    ("404 that says nothing", &[("GET", "404|=a", "404 miss"), ("GET", "", "404 hit|=a|Age")]),
    ("503 that says nothing", &[("GET", "503|Retry-After: 5|=a", "503 miss"), ("GET", "", "503 hit|Retry-After: 5|=a")]),
    ("404 that says no-store", &[("GET", "404|Cache-Control: no-store|=a", "404 pass"), ("GET", "404|=b", "404 -|=b")]),
    ("404 that says how long", &[("GET", "404|Cache-Control: max-age=60|Age: 70|ETag: \"e\"|=a", "404 -"), ("GET", "404|=b", "404 -|=b")]),
    ("500 has no lifetime", &[("GET", "500|=a", "500 pass"), ("GET", "500|=b", "500 -|=b")]),
    ("200 that says nothing is not guessed at", &[("GET", "200|Last-Modified: {-100000}|=a", "200 !hit"), ("GET", "?200|=b", "200 !hit")]),
    ("200 that says how long", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
];
