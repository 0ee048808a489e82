//! Speed of judging requests: one chained rule, the OWASP Core Rule Set, and many rules that cannot match.
//!
//! Goal: what a rule set adds to a 1 KB JSON POST of an honest prompt on one core, taking the request apart included
//! (`input` is that part alone). The Core Rule Set is read from where Debian's `modsecurity-crs` installs it, and left
//! out where it is not; its own honest verdict on the request is held before it is timed.
//!
//! Non-goal: requests that are blocked, and the work of reading rules.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use ringway::h1::{HeadLimits, RequestParser};
use ringway::http::RequestHead;
use ringway::policy::waf::compile::RuleSet;
use ringway::policy::waf::input::{HeadView, Input};
use ringway::policy::waf::text::{Source, read};
use ringway::policy::waf::transaction::{Transaction, Verdict};

const CRS_SETUP: &str = "/etc/modsecurity/crs/crs-setup.conf";
const CRS_RULES: &str = "/usr/share/modsecurity-crs/rules/";

const HEAD: &str = "POST /v1/completions?stream=false HTTP/1.1\r\nHost: api.example.com\r\n\
    User-Agent: OpenAI/Python 1.54.3\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\n\
    Connection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n\
    Authorization: Bearer TEST_KEY_0123456789\r\nX-Stainless-Lang: python\r\nX-Stainless-OS: Linux\r\n\r\n";

const PROSE: &str = "Explain mirror deployment to a new colleague: what is copied, how the two sides stay alike, and \
    what happens when one of them is lost for a while. Use a table with three rows, then a short example with numbers. \
    Mention the cost of network traffic, the order in which writes arrive, and why reads may be older than writes. ";

/// A request of 1 KB, and its head parsed.
fn request() -> (RequestHead, Vec<u8>) {
    let mut head = RequestHead::default();
    assert!(RequestParser::default().parse(HEAD.as_bytes(), &HeadLimits::default(), &mut head).is_ok());
    let mut body = String::from("{\"model\":\"gpt-4o-mini\",\"max_tokens\":100,\"temperature\":0.7,\"prompt\":\"");
    while body.len() < 1020 {
        body.push_str(PROSE);
    }
    body.truncate(1022);
    body.push_str("\"}");
    (head, body.into_bytes())
}

fn view(head: &RequestHead) -> HeadView<'_> {
    HeadView {
        head,
        client: "192.0.2.7:4711".parse().expect("an address"),
        server: "192.0.2.1:443".parse().ok(),
        unix_ms: 1_700_000_000_000,
        request_id: b"5f2c",
    }
}

/// Names and contents.
type Files = Vec<(Arc<str>, Vec<u8>)>;

/// A rule set from a text; rules that cannot be taken are left out.
fn rules(text: &str) -> RuleSet {
    let mut files = |path: &str, _: &str| -> Result<Files, String> {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("{CRS_RULES}{path}") };
        let mut paths: Vec<String> = match path.strip_suffix("*.conf") {
            Some(folder) => std::fs::read_dir(folder)
                .map_err(|error| error.to_string())?
                .flatten()
                .map(|entry| entry.path().display().to_string())
                .filter(|path| path.ends_with(".conf"))
                .collect(),
            None => vec![path],
        };
        paths.sort();
        let read = |path: String| std::fs::read(&path).map(|bytes| (path.into(), bytes));
        paths.into_iter().map(read).collect::<Result<_, _>>().map_err(|error| error.to_string())
    };
    let loaded = read(&[Source { name: "bench".into(), text }], &mut files);
    let (rules, errors) = RuleSet::compile_what_can(loaded.document);
    eprintln!("{} rules, {} unread, {} left out", rules.len(), loaded.problems.len(), errors.len());
    rules
}

/// Rules about arguments and the body, each about a word of its own that no request holds.
fn rules_that_cannot_match(count: usize) -> String {
    let rule = |n: usize| {
        let word = format!("{}zq{}", ["qx", "vk", "jw", "xj", "zv"][n % 5], n);
        match n % 3 {
            0 => format!("SecRule ARGS \"@rx (?i){word}\\s+\\w+\" \"id:{},phase:2,deny,t:none,t:lowercase\"\n", n + 1),
            1 => format!("SecRule REQUEST_BODY \"@contains {word}\" \"id:{},phase:2,deny,t:none\"\n", n + 1),
            _ => format!("SecRule REQUEST_URI|ARGS \"@rx {word}(a|b)\" \"id:{},phase:2,deny,t:urlDecodeUni\"\n", n + 1),
        }
    };
    (0..count).map(rule).collect()
}

fn judged(criterion: &mut Criterion, name: &str, rules: &RuleSet, body: &[u8], head: &RequestHead) {
    let mut transaction = Transaction::default();
    let mut once = move || {
        let view = view(head);
        match transaction.head(rules, &view) {
            Verdict::Pass => transaction.body(rules, &view, black_box(body), true),
            verdict => verdict,
        }
    };
    assert_eq!(once(), Verdict::Pass, "{name}: the request is honest");
    criterion.bench_function(name, |bencher| bencher.iter(&mut once));
}

fn waf(criterion: &mut Criterion) {
    let (head, body) = request();
    criterion.bench_function("input", |bencher| {
        let mut input = Input::default();
        bencher.iter(|| {
            input.clear();
            input.read_head(&view(&head));
            input.read_body(black_box(&body), None, true, false);
        });
    });
    let article = "SecRule REQUEST_URI \"@contains /v1/completions\" \
        \"id:1001,phase:2,deny,status:403,msg:'Abusive prompt detected',chain\"\n\
        SecRule REQUEST_BODY \"@rx (dangerous|harmful|暴力)\" \"t:lowercase,t:urlDecode\"\n";
    judged(criterion, "article", &rules(article), &body, &head);
    for count in [100, 500] {
        let text = rules_that_cannot_match(count);
        judged(criterion, &format!("cannot_match_{count}"), &rules(&text), &body, &head);
    }
    if std::fs::exists(CRS_SETUP).unwrap_or(false) {
        for level in 1..=4 {
            let text = format!(
                "Include {CRS_SETUP}\nSecAction \"id:1,phase:1,pass,nolog,setvar:tx.paranoia_level={level}\"\n\
                 SecAction \"id:2,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=1000\"\n\
                 Include {CRS_RULES}*.conf\n"
            );
            judged(criterion, &format!("crs_{level}"), &rules(&text), &body, &head);
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = waf
}
criterion_main!(benches);
