//! Preconditions of a request, judged by the stored answer. The origin is not asked for any of it.

use super::super::harness::Row;

const TAGGED: &str = "200|Cache-Control: max-age=60|ETag: \"e\"|Content-Type: text/plain|X-A: 1|=abc";
const WEAK: &str = "200|Cache-Control: max-age=60|ETag: W/\"e\"|=abc";
const DATED: &str = "200|Cache-Control: max-age=60|Last-Modified: {-500}|=abc";
const BOTH: &str = "200|Cache-Control: max-age=60|ETag: \"e\"|Last-Modified: {-500}|=abc";

/// RFC 9110 §13.1, §13.2.2, §15.4.5; RFC 9111 §4.3.2.
pub const ROWS: &[Row] = &[
    ("§13.1.2 If-None-Match that matches", &[("GET", TAGGED, "200 miss"), ("GET|If-None-Match: \"e\"", "", "304 hit|ETag: \"e\"|Cache-Control: max-age=60|Date|Age|!Content-Type|!Content-Length|=")]),
    ("§13.1.2 If-None-Match that does not", &[("GET", TAGGED, "200 miss"), ("GET|If-None-Match: \"f\"", "", "200 hit|=abc")]),
    ("§13.1.2 If-None-Match compares weakly", &[("GET", TAGGED, "200 miss"), ("GET|If-None-Match: W/\"e\"", "", "304 hit")]),
    ("§13.1.2 a weak tag is compared weakly", &[("GET", WEAK, "200 miss"), ("GET|If-None-Match: \"e\"", "", "304 hit|ETag: W/\"e\""), ("GET|If-None-Match: W/\"e\"", "", "304 hit")]),
    ("§13.1.2 a list", &[("GET", TAGGED, "200 miss"), ("GET|If-None-Match: \"x\", W/\"y\",\"e\"", "", "304 hit")]),
    ("§13.1.2 two lines", &[("GET", TAGGED, "200 miss"), ("GET|If-None-Match: \"x\"|If-None-Match: \"e\"", "", "304 hit")]),
    ("§13.1.2 *", &[("GET", TAGGED, "200 miss"), ("GET|If-None-Match: *", "", "304 hit")]),
    ("§13.1.2 * without a tag", &[("GET", DATED, "200 miss"), ("GET|If-None-Match: *", "", "304 hit")]),
    ("§8.8.3 a comma inside the quotes", &[("GET", "200|Cache-Control: max-age=60|ETag: \"a,b\"|=abc", "200 miss"), ("GET|If-None-Match: \"a\", \"b\"", "", "200 hit|=abc"), ("GET|If-None-Match: \"a,b\"", "", "304 hit")]),
    ("§8.8.3 a backslash escapes nothing", &[("GET", "200|Cache-Control: max-age=60|ETag: \"a\\\"|=abc", "200 miss"), ("GET|If-None-Match: \"a\\\", \"b\"", "", "304 hit")]),
    ("§8.8.3 case counts", &[("GET", TAGGED, "200 miss"), ("GET|If-None-Match: \"E\"", "", "200 hit|=abc")]),
    ("§13.1.3 the same date", &[("GET", DATED, "200 miss"), ("GET|If-Modified-Since: {-500}", "", "304 hit|!Content-Length|=")]),
    ("§13.1.3 a later date", &[("GET", DATED, "200 miss"), ("GET|If-Modified-Since: {-100}", "", "304 hit")]),
    ("§13.1.3 an earlier date", &[("GET", DATED, "200 miss"), ("GET|If-Modified-Since: {-501}", "", "200 hit|=abc")]),
    ("§13.1.3 no date at all", &[("GET", DATED, "200 miss"), ("GET|If-Modified-Since: yesterday", "", "200 hit|=abc")]),
    ("§13.1.3 not beside If-None-Match", &[("GET", BOTH, "200 miss"), ("GET|If-None-Match: \"f\"|If-Modified-Since: {-500}", "", "200 hit|=abc"), ("GET|If-None-Match: \"e\"|If-Modified-Since: {-501}", "", "304 hit")]),
    ("§4.3.2 without Last-Modified Date counts", &[("GET", "200|Cache-Control: max-age=60|Date: {-20}|=abc", "200 miss"), ("GET|If-Modified-Since: {-10}", "", "304 hit"), ("GET|If-Modified-Since: {-30}", "", "200 hit|=abc")]),
    ("§13.1.1 If-Match that matches", &[("GET", TAGGED, "200 miss"), ("GET|If-Match: \"x\", \"e\"", "", "200 hit|=abc")]),
    ("§13.1.1 If-Match that does not", &[("GET", TAGGED, "200 miss"), ("GET|If-Match: \"f\"", "", "412 -"), ("GET", "", "200 hit|=abc")]),
    ("§13.1.1 If-Match compares strongly", &[("GET", WEAK, "200 miss"), ("GET|If-Match: W/\"e\"", "", "412 -")]),
    ("§13.1.1 If-Match: *", &[("GET", TAGGED, "200 miss"), ("GET|If-Match: *", "", "200 hit|=abc")]),
    ("§13.1.4 If-Unmodified-Since that holds", &[("GET", DATED, "200 miss"), ("GET|If-Unmodified-Since: {-500}", "", "200 hit|=abc")]),
    ("§13.1.4 If-Unmodified-Since that does not", &[("GET", DATED, "200 miss"), ("GET|If-Unmodified-Since: {-501}", "", "412 -")]),
    ("§13.1.4 If-Unmodified-Since without a date", &[("GET", DATED, "200 miss"), ("GET|If-Unmodified-Since: soon", "", "200 hit|=abc")]),
    ("§13.2.2 If-Match before If-Unmodified-Since", &[("GET", BOTH, "200 miss"), ("GET|If-Match: \"e\"|If-Unmodified-Since: {-501}", "", "200 hit|=abc")]),
    ("§13.2.2 If-Match before If-None-Match", &[("GET", TAGGED, "200 miss"), ("GET|If-Match: \"f\"|If-None-Match: \"e\"", "", "412 -"), ("GET|If-Match: \"e\"|If-None-Match: \"e\"", "", "304 hit")]),
    ("§13.1 HEAD", &[("GET", TAGGED, "200 miss"), ("HEAD|If-None-Match: \"e\"", "", "304 hit|="), ("HEAD|If-None-Match: \"f\"", "", "200 hit|Content-Length: 3|=")]),
    ("§13.2.1 only where the answer would be 2xx", &[("GET", "404|Cache-Control: max-age=60|ETag: \"e\"|=abc", "404 miss"), ("GET|If-None-Match: \"e\"", "", "404 hit|=abc"), ("GET|If-Match: \"f\"", "", "404 hit|=abc")]),
    ("§15.4.5 fields of 304", &[("GET", "200|Cache-Control: max-age=60|ETag: \"e\"|Vary: X-V|Expires: {60}|Content-Location: /here|Content-Language: en|=abc", "200 miss"), ("GET|If-None-Match: \"e\"", "", "304 hit|ETag: \"e\"|Vary: X-V|Expires: {60}|Content-Location: /here|Cache-Control: max-age=60|!Content-Language")]),
    ("a condition on what is not stored is judged by what is fetched", &[("GET|If-None-Match: \"e\"", "200|Cache-Control: max-age=60|ETag: \"e\"|=abc", "304 -|ETag: \"e\"|>!If-None-Match"), ("GET", "", "200 hit|=abc")]),
    ("a condition on what is not stored and does not hold", &[("GET|If-None-Match: \"f\"", "200|Cache-Control: max-age=60|ETag: \"e\"|=abc", "200 miss|=abc"), ("GET", "", "200 hit|=abc")]),
    ("If-Match without anything stored is the origin's", &[("GET|If-Match: \"e\"", "412|=no", "412 pass detail=precondition|=no|>If-Match: \"e\"")]),
    ("If-Unmodified-Since without anything stored is the origin's", &[("GET|If-Unmodified-Since: {-500}", "200|Cache-Control: max-age=60|=abc", "200 pass|=abc|>If-Unmodified-Since: {-500}")]),
];
