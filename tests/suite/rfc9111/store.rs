//! Storability: directives of the response, credentials, lists, targeted fields.

use super::super::harness::Row;

/// RFC 9111 §3 and §5.2.2.
pub const DIRECTIVES: &[Row] = &[
    ("§5.2.2.1 max-age", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss|=a|!Age"), ("GET", "", "200 hit|Age|=a|Cache-Control: max-age=60")]),
    ("§5.2.2.10 s-maxage", &[("GET", "200|Cache-Control: s-maxage=60|=a", "200 miss|=a"), ("GET", "", "200 hit|=a")]),
    ("§5.3 Expires", &[("GET", "200|Date: {0}|Expires: {60}|=a", "200 miss|=a"), ("GET", "", "200 hit|=a|Expires: {60}")]),
    ("§5.2.2.9 public with a guess", &[("GET", "200|Cache-Control: public|Last-Modified: {-100000}|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("§5.2.2.9 public makes any status cacheable", &[("GET", "302|Cache-Control: public|Last-Modified: {-100000}|Location: /x|=a", "302 miss"), ("GET", "", "302 hit|Location: /x")]),
    ("§5.2.2.5 no-store", &[("GET", "200|Cache-Control: no-store, max-age=60|=a", "200 pass detail=no_store|=a"), ("GET", "200|Cache-Control: no-store|=b", "200 -|=b|!Age")]),
    ("§5.2.2.7 private", &[("GET", "200|Cache-Control: private, max-age=60|=a", "200 pass detail=private|=a"), ("GET", "200|Cache-Control: private|=b", "200 -|=b|!Age")]),
    ("§5.2.2.7 private and public", &[("GET", "200|Cache-Control: public, private, max-age=60|=a", "200 pass"), ("GET", "200|=b", "200 -|=b")]),
    ("§5.2.2.7 private of one field", &[("GET", "200|Cache-Control: max-age=60, private=\"x-mine\"|X-Mine: 1|X-All: 2|=a", "200 miss|X-Mine: 1|=a"), ("GET", "", "200 hit|!X-Mine|X-All: 2|=a")]),
    ("§5.2.2.7 private of several fields", &[("GET", "200|Cache-Control: private=\"X-Mine, x-other\", max-age=60|X-Mine: 1|X-Other: 2|X-All: 3|=a", "200 miss|X-Mine: 1|X-Other: 2"), ("GET", "", "200 hit|!X-Mine|!X-Other|X-All: 3")]),
    ("§5.2.2.4 no-cache is asked about each time", &[("GET", "200|Cache-Control: no-cache, max-age=60|ETag: \"e\"|=a", "200 -|=a"), ("GET", "304|Cache-Control: no-cache, max-age=60|ETag: \"e\"", "200 valid|=a|>If-None-Match: \"e\""), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("§5.2.2.4 no-cache without a validator", &[("GET", "200|Cache-Control: no-cache, max-age=60|=a", "200 -|=a"), ("GET", "200|Cache-Control: no-cache|=b", "200 -|=b|>!If-None-Match|>!If-Modified-Since")]),
    ("§5.2.2.4 no-cache of one field", &[("GET", "200|Cache-Control: max-age=60, no-cache=\"x-mine\"|X-Mine: 1|X-All: 2|=a", "200 miss|X-Mine: 1|=a"), ("GET", "", "200 hit|!X-Mine|X-All: 2|=a")]),
    ("§5.2.2.4 no-cache whole and of one field is whole", &[("GET", "200|Cache-Control: max-age=60, no-cache=\"x-mine\", no-cache|ETag: \"e\"|=a", "200 -|=a"), ("GET", "304|ETag: \"e\"", "200 valid|=a|>If-None-Match: \"e\"")]),
    ("§5.2.2.3 must-understand with a status that is known", &[("GET", "200|Cache-Control: must-understand, no-store, max-age=60|=a", "200 miss|=a"), ("GET", "", "200 hit|=a")]),
    ("§5.2.2.3 must-understand with a status that is not", &[("GET", "299|Cache-Control: must-understand, max-age=60|=a", "299 pass|=a"), ("GET", "299|=b", "299 -|=b")]),
    ("§5.2.2.6 no-transform", &[("GET", "200|Cache-Control: no-transform, max-age=60|=a", "200 miss"), ("GET", "", "200 hit|Cache-Control: no-transform, max-age=60|=a")]),
    ("§5.2.3 unknown directives", &[("GET", "200|Cache-Control: surprise, max-age=60, thing=\"1, 2\"|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("RFC 8246 immutable", &[("GET", "200|Cache-Control: max-age=60, immutable|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("§3 neither lifetime nor validator", &[("GET", "200|=a", "200 pass detail=no_freshness|=a"), ("GET", "200|=b", "200 -|=b|!Age")]),
    ("§3 a lifetime of nothing without a validator", &[("GET", "200|Cache-Control: max-age=0|=a", "200 pass|=a"), ("GET", "200|=b", "200 -|=b")]),
    ("§3 a lifetime of nothing with a validator", &[("GET", "200|Cache-Control: max-age=0|ETag: \"e\"|=a", "200 -|=a"), ("GET", "304|ETag: \"e\"", "200 valid|=a|>If-None-Match: \"e\"")]),
    ("§3 Set-Cookie", &[("GET", "200|Cache-Control: max-age=60|Set-Cookie: a=1|=a", "200 pass detail=set_cookie|Set-Cookie: a=1"), ("GET", "200|=b", "200 -|!Set-Cookie|=b")]),
    ("§3.3 206 that nobody asked for", &[("GET", "206|Cache-Control: max-age=60|Content-Range: bytes 0-0/3|=a", "206 pass detail=status|=a"), ("GET", "200|=abc", "200 -|=abc")]),
    ("§3.3 206 is never taken for the whole", &[("GET|Range: bytes=1-1", "206|Cache-Control: max-age=60|Content-Range: bytes 1-1/3|=b", "206 pass detail=range|=b|>Range: bytes=1-1"), ("GET", "200|Cache-Control: max-age=60|=abc", "200 -|=abc"), ("GET|Range: bytes=1-1", "", "206 hit|=b")]),
    ("§3 a Range that the origin does not know", &[("GET|Range: bytes=1-1", "200|Cache-Control: max-age=60|=abc", "200 -|=abc"), ("GET", "?200|=abc", "200 -|=abc")]),
    ("§5.4 Pragma of a response says nothing", &[("GET", "200|Cache-Control: max-age=60|Pragma: no-cache|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("§5.2.1.5 no-store of a request", &[("GET|Cache-Control: no-store", "200|Cache-Control: max-age=60|=a", "200 pass detail=request_no_store|=a"), ("GET", "200|Cache-Control: max-age=60|=b", "200 miss|=b"), ("GET|Cache-Control: no-store", "200|Cache-Control: max-age=60|=c", "200 pass|=c"), ("GET", "", "200 hit|=b")]),
    ("an upgrade that is not served is no upgrade", &[("GET|Connection: upgrade|Upgrade: thing/1", "200|Cache-Control: max-age=60|=a", "200 miss|=a|>!Upgrade"), ("GET", "", "200 hit|=a")]),
    ("an upgrade goes past", &[("GET|Connection: upgrade|Upgrade: websocket", "200|Cache-Control: max-age=60|=a", "200 pass detail=upgrade|=a|>Upgrade: websocket"), ("GET", "200|Cache-Control: max-age=60|=b", "200 miss|=b"), ("GET|Connection: upgrade|Upgrade: websocket", "200|=c", "200 pass|=c")]),
];

/// RFC 9111 §3.5, §7.1: whose answer it is.
pub const CREDENTIALS: &[Row] = &[
    ("§3.5 Authorization", &[("GET|Authorization: Bearer a", "200|Cache-Control: max-age=60|=a", "200 pass detail=authorization|=a"), ("GET|Authorization: Bearer a", "200|=b", "200 -|=b|!Age")]),
    ("§3.5 x-api-key", &[("GET|X-Api-Key: a", "200|Cache-Control: max-age=60|=a", "200 pass detail=authorization|=a"), ("GET|X-Api-Key: a", "200|=b", "200 -|=b")]),
    ("§3.5 Authorization and public", &[("GET|Authorization: Bearer a", "200|Cache-Control: public, max-age=60|=a", "200 miss|=a"), ("GET|Authorization: Bearer a", "", "200 hit|=a")]),
    ("§3.5 Authorization and s-maxage", &[("GET|Authorization: Bearer a", "200|Cache-Control: s-maxage=60|=a", "200 miss|=a"), ("GET|Authorization: Bearer a", "", "200 hit|=a")]),
    ("§3.5 Authorization and must-revalidate", &[("GET|Authorization: Bearer a", "200|Cache-Control: must-revalidate, max-age=60|=a", "200 miss|=a"), ("GET|Authorization: Bearer a", "", "200 hit|=a")]),
    ("§3.5 Authorization and proxy-revalidate is not enough", &[("GET|Authorization: Bearer a", "200|Cache-Control: proxy-revalidate, max-age=60|=a", "200 pass|=a"), ("GET|Authorization: Bearer a", "200|=b", "200 -|=b")]),
    ("two callers never share", &[("GET|Authorization: Bearer a", "200|Cache-Control: public, max-age=60|=a", "200 miss|=a"), ("GET|Authorization: Bearer b", "200|Cache-Control: public, max-age=60|=b", "200 miss|=b"), ("GET", "200|Cache-Control: public, max-age=60|=c", "200 miss|=c"), ("GET|Authorization: Bearer a", "", "200 hit|=a"), ("GET|Authorization: Bearer b", "", "200 hit|=b"), ("GET", "", "200 hit|=c")]),
    ("two API keys never share", &[("GET|X-Api-Key: a", "200|Cache-Control: public, max-age=60|=a", "200 miss|=a"), ("GET|X-Api-Key: b", "200|Cache-Control: public, max-age=60|=b", "200 miss|=b"), ("GET|Authorization: a", "200|Cache-Control: public, max-age=60|=c", "200 miss|=c"), ("GET|X-Api-Key: a", "", "200 hit|=a")]),
    ("two sessions never share", &[("GET|Cookie: s=1", "200|Cache-Control: max-age=60|=a", "200 miss|=a"), ("GET|Cookie: s=2", "200|Cache-Control: max-age=60|=b", "200 miss|=b"), ("GET", "200|Cache-Control: max-age=60|=c", "200 miss|=c"), ("GET|Cookie: s=1", "", "200 hit|=a")]),
    ("what is stored for nobody is not for a caller", &[("GET", "200|Cache-Control: max-age=60|=a", "200 miss|=a"), ("GET|Authorization: Bearer a", "200|Cache-Control: max-age=60|=b", "200 pass|=b"), ("GET", "", "200 hit|=a")]),
];

/// RFC 9110 §5.6.1 and §5.6.4, RFC 9111 §1.2.2 and §5.2.
pub const LISTS: &[Row] = &[
    ("case of names", &[("GET", "200|cache-control: MAX-AGE=60|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("case of no-store", &[("GET", "200|Cache-Control: No-Store, max-age=60|=a", "200 pass"), ("GET", "200|=b", "200 -|=b")]),
    ("quoted number", &[("GET", "200|Cache-Control: max-age=\"60\"|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("two lines", &[("GET", "200|Cache-Control: public|Cache-Control: max-age=60|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("no-store on the second line", &[("GET", "200|Cache-Control: max-age=60|Cache-Control: no-store|=a", "200 pass"), ("GET", "200|=b", "200 -|=b")]),
    ("empty members", &[("GET", "200|Cache-Control: ,, ,max-age=60,|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("empty lines", &[("GET", "200|Cache-Control:|Cache-Control: max-age=60|Cache-Control:|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("tabs and spaces", &[("GET", "200|Cache-Control: \tpublic\t, \t max-age=60 \t|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("no space behind the comma", &[("GET", "200|Cache-Control: public,max-age=60|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("of two max-age the smaller", &[("GET", "200|Cache-Control: max-age=60, max-age=0|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("of two max-age the smaller, the other way round", &[("GET", "200|Cache-Control: max-age=0, max-age=60|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("no-store inside quotes", &[("GET", "200|Cache-Control: thing=\"no-store\", max-age=60|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("no-store inside quotes with commas", &[("GET", "200|Cache-Control: thing=\"a, no-store, b\", max-age=60|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("escaped quote", &[("GET", "200|Cache-Control: thing=\"a\\\", no-store\", max-age=60|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("max-age inside quotes", &[("GET", "200|Cache-Control: thing=\"max-age=0\", max-age=60|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("name that begins like another", &[("GET", "200|Cache-Control: no-stores, max-age=60|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("max-age that is no number is stale", &[("GET", "200|Cache-Control: max-age=soon|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("negative max-age is stale", &[("GET", "200|Cache-Control: max-age=-1|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("fraction in max-age is stale", &[("GET", "200|Cache-Control: max-age=60.5|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("max-age without a number is stale", &[("GET", "200|Cache-Control: max-age|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("max-age beyond 2^31", &[("GET", "200|Cache-Control: max-age=4294967296|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("max-age beyond 2^64", &[("GET", "200|Cache-Control: max-age=99999999999999999999999999|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("leading zeros", &[("GET", "200|Cache-Control: max-age=00060|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
];

/// RFC 9213.
pub const TARGETED: &[Row] = &[
    ("CDN-Cache-Control before Cache-Control", &[("GET", "200|CDN-Cache-Control: max-age=60|Cache-Control: no-store|=a", "200 miss"), ("GET", "", "200 hit|Cache-Control: no-store|=a")]),
    ("CDN-Cache-Control forbids", &[("GET", "200|CDN-Cache-Control: no-store|Cache-Control: max-age=60|=a", "200 pass"), ("GET", "200|=b", "200 -|=b")]),
    ("CDN-Cache-Control before s-maxage", &[("GET", "200|CDN-Cache-Control: max-age=0|Cache-Control: s-maxage=60|ETag: \"e\"|=a", "200 -"), ("GET", "304|ETag: \"e\"", "200 valid|=a")]),
    ("CDN-Cache-Control before Expires", &[("GET", "200|CDN-Cache-Control: max-age=60|Expires: 0|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("CDN-Cache-Control on two lines", &[("GET", "200|CDN-Cache-Control: must-revalidate|CDN-Cache-Control: max-age=60|Cache-Control: no-store|=a", "200 miss"), ("GET", "", "200 hit|=a")]),
    ("malformed CDN-Cache-Control", &[("GET", "200|CDN-Cache-Control: max-age=\"6|Cache-Control: no-store|=a", "200 pass"), ("GET", "200|=b", "200 -|=b")]),
    ("malformed CDN-Cache-Control permits nothing", &[("GET", "200|CDN-Cache-Control: max-age=60, =|Cache-Control: no-store|=a", "200 pass"), ("GET", "200|=b", "200 -|=b")]),
];
