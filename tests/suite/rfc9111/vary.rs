//! Which stored answer is the one for this request.

use super::super::harness::Row;

const EN: &str = "200|Cache-Control: max-age=60|Vary: Accept-Language|=en";
const DE: &str = "200|Cache-Control: max-age=60|Vary: Accept-Language|=de";

/// RFC 9111 §4.1, RFC 9110 §12.5.5.
pub const ROWS: &[Row] = &[
    ("the same value", &[("GET|Accept-Language: en", EN, "200 miss|=en"), ("GET|Accept-Language: en", "", "200 hit|=en|Vary: Accept-Language")]),
    ("another value", &[("GET|Accept-Language: en", EN, "200 miss|=en"), ("GET|Accept-Language: de", DE, "200 fwd=vary-miss stored|=de"), ("GET|Accept-Language: en", "", "200 hit|=en"), ("GET|Accept-Language: de", "", "200 hit|=de")]),
    ("absent is a value", &[("GET|Accept-Language: en", EN, "200 miss|=en"), ("GET", DE, "200 fwd=vary-miss|=de"), ("GET", "", "200 hit|=de"), ("GET|Accept-Language: en", "", "200 hit|=en")]),
    ("absent and absent", &[("GET", EN, "200 miss|=en"), ("GET", "", "200 hit|=en")]),
    ("white space in a list", &[("GET|Accept-Language: en,de", EN, "200 miss"), ("GET|Accept-Language: en , \tde", "", "200 hit|=en")]),
    ("a list on two lines", &[("GET|Accept-Language: en|Accept-Language: de", EN, "200 miss"), ("GET|Accept-Language: en, de", "", "200 hit|=en")]),
    ("the second line counts", &[("GET|Accept-Language: en|Accept-Language: de", EN, "200 miss"), ("GET|Accept-Language: en|Accept-Language: fr", DE, "200 fwd=vary-miss|=de")]),
    ("case where case does not matter", &[("GET|Accept-Language: en-GB", EN, "200 miss"), ("GET|Accept-Language: EN-gb", "", "200 hit|=en")]),
    ("case where it may matter", &[("GET|X-Mode: a", "200|Cache-Control: max-age=60|Vary: X-Mode|=a", "200 miss"), ("GET|X-Mode: A", "200|Cache-Control: max-age=60|Vary: X-Mode|=A", "200 fwd=vary-miss|=A")]),
    ("order counts", &[("GET|Accept-Language: en, de", EN, "200 miss"), ("GET|Accept-Language: de, en", DE, "200 fwd=vary-miss|=de")]),
    ("the name in capitals", &[("GET|accept-language: en", "200|Cache-Control: max-age=60|vary: ACCEPT-LANGUAGE|=en", "200 miss"), ("GET|ACCEPT-LANGUAGE: en", "", "200 hit|=en"), ("GET|Accept-Language: de", DE, "200 fwd=vary-miss|=de")]),
    ("several members", &[("GET|X-A: 1|X-B: 1", "200|Cache-Control: max-age=60|Vary: X-A, X-B|=11", "200 miss"), ("GET|X-A: 1|X-B: 2", "200|Cache-Control: max-age=60|Vary: X-A, X-B|=12", "200 fwd=vary-miss|=12"), ("GET|X-A: 2|X-B: 1", "200|Cache-Control: max-age=60|Vary: X-A, X-B|=21", "200 fwd=vary-miss|=21"), ("GET|X-B: 1|X-A: 1", "", "200 hit|=11"), ("GET|X-A: 1|X-B: 2", "", "200 hit|=12")]),
    ("several lines", &[("GET|X-A: 1|X-B: 1", "200|Cache-Control: max-age=60|Vary: X-A|Vary: X-B|=11", "200 miss"), ("GET|X-A: 1|X-B: 2", "200|Cache-Control: max-age=60|Vary: X-A|Vary: X-B|=12", "200 fwd=vary-miss|=12"), ("GET|X-A: 1|X-B: 1", "", "200 hit|=11")]),
    ("members in another order", &[("GET|X-A: 1|X-B: 1", "200|Cache-Control: max-age=60|Vary: X-A, X-B|=11", "200 miss"), ("GET|X-A: 2|X-B: 2", "200|Cache-Control: max-age=60|Vary: X-B,X-A|=22", "200 fwd=vary-miss|=22"), ("GET|X-A: 1|X-B: 1", "", "200 hit|=11"), ("GET|X-A: 2|X-B: 2", "", "200 hit|=22")]),
    ("values cannot flow from one field into the next", &[("GET|X-A: 1|X-B: 2,3", "200|Cache-Control: max-age=60|Vary: X-A, X-B|=a", "200 miss"), ("GET|X-A: 1,2|X-B: 3", "200|Cache-Control: max-age=60|Vary: X-A, X-B|=b", "200 fwd=vary-miss|=b"), ("GET|X-A: 1|X-B: 2,3", "", "200 hit|=a")]),
    ("*", &[("GET", "200|Cache-Control: max-age=60|Vary: *|=a", "200 pass detail=vary_star|=a"), ("GET", "200|=b", "200 -|=b|!Age")]),
    ("* among others", &[("GET", "200|Cache-Control: max-age=60|Vary: Accept, *|=a", "200 pass|=a"), ("GET", "200|=b", "200 -|=b")]),
    ("* on a second line", &[("GET", "200|Cache-Control: max-age=60|Vary: Accept|Vary: *|=a", "200 pass|=a"), ("GET", "200|=b", "200 -|=b")]),
    ("a second variant that may not be stored", &[("GET|Accept-Language: en", EN, "200 miss"), ("GET|Accept-Language: de", "200|Cache-Control: no-store|Vary: Accept-Language|=de", "200 pass|=de"), ("GET|Accept-Language: en", "", "200 hit|=en")]),
    ("Vary that comes later", &[("GET|X-A: 1", "200|Cache-Control: max-age=60|Vary: X-A|=1", "200 miss"), ("GET|X-A: 2|X-B: 1", "200|Cache-Control: max-age=60|Vary: X-A, X-B|=21", "200 fwd=vary-miss|=21"), ("GET|X-A: 2|X-B: 2", "200|Cache-Control: max-age=60|Vary: X-A, X-B|=22", "200 fwd=vary-miss|=22"), ("GET|X-A: 2|X-B: 1", "", "200 hit|=21")]),
    ("each variant is confirmed by its own tag", &[("GET|Accept-Language: en", "200|Cache-Control: max-age=60|Age: 70|Vary: Accept-Language|ETag: \"en\"|=en", "200 -"), ("GET|Accept-Language: de", "200|Cache-Control: max-age=60|Age: 70|Vary: Accept-Language|ETag: \"de\"|=de", "200 -|=de"), ("GET|Accept-Language: en", "304|Cache-Control: max-age=60|Vary: Accept-Language|ETag: \"en\"", "200 valid|=en|>If-None-Match~\"en\"|>Accept-Language: en")]),
    ("HEAD finds its variant", &[("GET|Accept-Language: en", EN, "200 miss"), ("HEAD|Accept-Language: en", "", "200 hit|Content-Length: 2|=")]),
    ("compressed and not", &[("GET|Accept-Encoding: gzip, br", "200|Cache-Control: max-age=60|Vary: Accept-Encoding|Content-Encoding: gzip|=gz", "200 miss|=gz"), ("GET", "200|Cache-Control: max-age=60|Vary: Accept-Encoding|=plain", "200 fwd=vary-miss|=plain"), ("GET|Accept-Encoding: GZIP,br", "", "200 hit|Content-Encoding: gzip|=gz"), ("GET", "", "200 hit|!Content-Encoding|=plain")]),
];
