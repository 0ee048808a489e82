//! Freshness: where the lifetime comes from, and how age is counted. Ages are told by the origin, not waited for.

use super::super::harness::Row;

/// RFC 9111 §4.2.1, §4.2.2, §5.3.
pub const LIFETIME: &[Row] = &[
    ("§4.2.1 s-maxage before max-age", &[("GET", "200|Cache-Control: max-age=0, s-maxage=60|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("§4.2.1 s-maxage=0 before max-age", &[("GET", "200|Cache-Control: s-maxage=0, max-age=60|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§4.2.1 max-age before Expires", &[("GET", "200|Cache-Control: max-age=60|Expires: {-60}|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("§4.2.1 max-age=0 before Expires", &[("GET", "200|Cache-Control: max-age=0|Expires: {60}|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§4.2.1 Expires counts from Date", &[("GET", "200|Date: {-30}|Expires: {30}|=a", "200 miss"), ("GET", "", "200 hit|Age>=30|=a")]),
    ("§4.2.1 Expires before Date", &[("GET", "200|Date: {0}|Expires: {-1}|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§5.3 Expires: 0", &[("GET", "200|Expires: 0|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§5.3 Expires that is no date", &[("GET", "200|Expires: tomorrow|Last-Modified: {-100000}|=a", "200 -"), ("GET", "304", "200 valid|=a|>If-Modified-Since: {-100000}")]),
    ("§5.3 two Expires that differ", &[("GET", "200|Expires: {-10}|Expires: {60}|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§5.3 Expires as RFC 850 wrote it", &[("GET", "200|Expires: Sunday, 06-Nov-94 08:49:37 GMT|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§4.2.2 a tenth of the age of the content", &[("GET", "200|Date: {0}|Last-Modified: {-1000}|Age: 90|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("§4.2.2 a tenth is over", &[("GET", "200|Date: {0}|Last-Modified: {-1000}|Age: 101|=a", "200 -"), ("GET", "304", "200 valid|=a|>If-Modified-Since: {-1000}")]),
    ("§4.2.2 not more than a day", &[("GET", "200|Last-Modified: {-31536000}|Age: 86300|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("§4.2.2 a day is over", &[("GET", "200|Last-Modified: {-31536000}|Age: 86401|=a", "200 -"), ("GET", "304", "200 valid|=a")]),
    ("§4.2.2 content of the future", &[("GET", "200|Last-Modified: {1000}|=a", "200 -"), ("GET", "?200|=a", "200 !hit|=a")]),
    ("§4.2.2 no guess where a lifetime is said", &[("GET", "200|Cache-Control: max-age=10|Last-Modified: {-100000}|Age: 20|=a", "200 -"), ("GET", "304", "200 valid|=a")]),
];

/// RFC 9111 §4.2.3, §5.1.
pub const AGE: &[Row] = &[
    ("§4.2.3 Age is taken over", &[("GET", "200|Cache-Control: max-age=60|Age: 30|=a", "200 miss|Age: 30"), ("GET", "", "200 hit|Age>=30|Age<=35|=a")]),
    ("§4.2.3 Age below the lifetime", &[("GET", "200|Cache-Control: max-age=60|Age: 50|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("§4.2.3 stale when it comes", &[("GET", "200|Cache-Control: max-age=60|Age: 60|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§4.2.3 Date of the past", &[("GET", "200|Cache-Control: max-age=60|Date: {-30}|=a", "200 miss"), ("GET", "", "200 hit|Age>=30|Date: {-30}|=a")]),
    ("§4.2.3 Date too far in the past", &[("GET", "200|Cache-Control: max-age=60|Date: {-61}|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§4.2.3 Date of the future", &[("GET", "200|Cache-Control: max-age=60|Date: {100}|=a", "200 miss"), ("GET", "", "200 hit|Age<=2|=a")]),
    ("§4.2.3 of Age and Date the older", &[("GET", "200|Cache-Control: max-age=60|Age: 10|Date: {-40}|=a", "200 miss"), ("GET", "", "200 hit|Age>=40|=a")]),
    ("§4.2.3 of Date and Age the older", &[("GET", "200|Cache-Control: max-age=60|Age: 40|Date: {-10}|=a", "200 miss"), ("GET", "", "200 hit|Age>=40|=a")]),
    ("§4.2.3 Date that is no date", &[("GET", "200|Cache-Control: max-age=60|Date: yesterday|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("§4.2.3 Date is given where there is none", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss|Date"), ("GET", "", "200 hit|Date|=a")]),
    ("§5.1 Age that is no number", &[("GET", "200|Cache-Control: max-age=60|Age: old|=a", "200 miss"), ("GET", "", "200 hit|Age<=2|=a")]),
    ("§5.1 negative Age", &[("GET", "200|Cache-Control: max-age=60|Age: -5|=a", "200 miss"), ("GET", "", "200 hit|Age<=2|=a")]),
    ("§5.1 Age beyond all numbers is stale", &[("GET", "200|Cache-Control: max-age=60|Age: 99999999999999999999|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§5.1 Age of a list is its first member", &[("GET", "200|Cache-Control: max-age=60|Age: 70, 0|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§4.2.3 a confirmed answer is young again", &[("GET", "200|Cache-Control: max-age=60|Age: 70|ETag: \"e\"|=a", "200 -"), ("GET", "304|Cache-Control: max-age=60|ETag: \"e\"", "200 valid|=a"), ("GET", "", "200 hit|Age<=2|=a")]),
];
