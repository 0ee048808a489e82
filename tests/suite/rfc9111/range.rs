//! Parts of a stored answer. The origin is not asked for any of it.

use super::super::harness::Row;

const TEN: &str = "200|Cache-Control: max-age=60|ETag: \"e\"|Last-Modified: {-500}|Content-Type: text/plain|=0123456789";
const WEAK: &str = "200|Cache-Control: max-age=60|ETag: W/\"e\"|=0123456789";

/// RFC 9110 §14, §15.3.7, §15.5.17.
pub const ROWS: &[Row] = &[
    ("§14.1.2 from the start", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=0-3", "", "206 hit|Content-Range: bytes 0-3/10|Content-Length: 4|ETag: \"e\"|Content-Type: text/plain|Cache-Control: max-age=60|Date|Age|=0123")]),
    ("§14.1.2 one byte", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=9-9", "", "206 hit|Content-Range: bytes 9-9/10|=9")]),
    ("§14.1.2 open", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=7-", "", "206 hit|Content-Range: bytes 7-9/10|=789")]),
    ("§14.1.2 open from the start", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=0-", "", "206 hit|Content-Range: bytes 0-9/10|=0123456789")]),
    ("§14.1.2 suffix", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=-3", "", "206 hit|Content-Range: bytes 7-9/10|=789")]),
    ("§14.1.2 suffix longer than all", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=-30", "", "206 hit|Content-Range: bytes 0-9/10|=0123456789")]),
    ("§14.1.2 beyond the end", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=5-100", "", "206 hit|Content-Range: bytes 5-9/10|=56789")]),
    ("§14.1.2 beyond all numbers", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=5-99999999999999999999", "", "206 hit|Content-Range: bytes 5-9/10|=56789")]),
    ("§15.5.17 behind the end", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=10-", "", "416 -|Content-Range: bytes */10"), ("GET", "", "200 hit|=0123456789")]),
    ("§15.5.17 suffix of nothing", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=-0", "", "416 -|Content-Range: bytes */10")]),
    ("§14.2 the other way round", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=5-3", "", "200 hit|=0123456789|!Content-Range")]),
    ("§14.2 no range at all", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=a-b", "", "200 hit|=0123456789"), ("GET|Range: bytes", "", "200 hit|=0123456789"), ("GET|Range: bytes=", "", "200 hit|=0123456789")]),
    ("§14.2 another unit", &[("GET", TEN, "200 miss"), ("GET|Range: lines=0-3", "", "200 hit|=0123456789")]),
    ("§14.1 the unit in capitals", &[("GET", TEN, "200 miss"), ("GET|Range: BYTES=0-3", "", "206 hit|=0123")]),
    ("§14.2 overlapping ranges", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=0-8,0-8,0-8,0-8", "", "200 hit|=0123456789")]),
    ("§14.2 one of two can be had", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=2-3,20-30", "", "206 hit|*23")]),
    ("§15.5.17 none of two can be had", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=20-30,40-50", "", "416 -|Content-Range: bytes */10")]),
    ("§14.2 HEAD has no parts", &[("GET", TEN, "200 miss"), ("HEAD|Range: bytes=0-3", "", "200 hit|Content-Length: 10|=")]),
    ("§13.1.5 If-Range with the tag", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=0-3|If-Range: \"e\"", "", "206 hit|=0123")]),
    ("§13.1.5 If-Range with another tag", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=0-3|If-Range: \"f\"", "", "200 hit|=0123456789")]),
    ("§13.1.5 If-Range with a weak tag", &[("GET", WEAK, "200 miss"), ("GET|Range: bytes=0-3|If-Range: W/\"e\"", "", "200 hit|=0123456789")]),
    ("§13.1.5 If-Range with the date", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=0-3|If-Range: {-500}", "", "206 hit|=0123")]),
    ("§13.1.5 If-Range with a later date", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=0-3|If-Range: {-100}", "", "200 hit|=0123456789")]),
    ("§13.1.5 If-Range with a date that is not strong", &[("GET", "200|Cache-Control: max-age=60|Date: {-10}|Last-Modified: {-10}|=0123456789", "200 miss"), ("GET|Range: bytes=0-3|If-Range: {-10}", "", "200 hit|=0123456789")]),
    ("§13.1.5 If-Range without Range", &[("GET", TEN, "200 miss"), ("GET|If-Range: \"f\"", "", "200 hit|=0123456789")]),
    ("§13.2.2 conditions come first", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=0-3|If-None-Match: \"e\"", "", "304 hit|="), ("GET|Range: bytes=0-3|If-None-Match: \"f\"", "", "206 hit|=0123"), ("GET|Range: bytes=0-3|If-Match: \"f\"", "", "412 -")]),
    ("§14.2 of what came in chunks", &[("GET", "200|Cache-Control: max-age=60|+0123456789", "200 miss"), ("GET|Range: bytes=2-4", "", "206 hit|Content-Range: bytes 2-4/10|=234")]),
    ("§14.2 of nothing", &[("GET", "200|Cache-Control: max-age=60|=", "200 miss"), ("GET|Range: bytes=0-3", "", "416 -|Content-Range: bytes */0")]),
    ("§15.3.7 only of 200", &[("GET", "404|Cache-Control: max-age=60|=0123456789", "404 miss"), ("GET|Range: bytes=0-3", "", "404 hit|=0123456789")]),
    ("§14.2 from the start to the end of what is not stored is the whole", &[("GET|Range: bytes=0-", "200|Cache-Control: max-age=60|=0123", "200 -|=0123|>!Range"), ("GET", "", "200 hit|=0123")]),
    ("a stored part does not hide the whole", &[("GET", TEN, "200 miss"), ("GET|Range: bytes=0-3", "", "206 hit|=0123"), ("GET", "", "200 hit|Content-Length: 10|!Content-Range|=0123456789")]),
];
