//! The OWASP Core Rule Set as Debian installs it (`modsecurity-crs`), judged by the library: every case of
//! `suite/screening/crs_cases` behaves, at its paranoia level. Without the package there is nothing to judge by: the test
//! says so, and in CI (`CI=true`) it fails.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "suite/screening/crs_cases.rs"]
mod crs_cases;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crs_cases::{Case, Expected};
use ringway::h1::{HeadLimits, RequestParser};
use ringway::http::RequestHead;
use ringway::policy::waf::compile::RuleSet;
use ringway::policy::waf::input::HeadView;
use ringway::policy::waf::model::{Document, Item};
use ringway::policy::waf::text::{Source, read};
use ringway::policy::waf::transaction::{Transaction, Verdict};

const RULES: &str = "/usr/share/modsecurity-crs/rules";
const SETUP: &str = "/etc/modsecurity/crs/crs-setup.conf";

/// Rules whose requests our own head parser refuses before any rule sees them: right, but not by the rule.
const REFUSED_EARLIER: &[u64] = &[920_100, 920_280, 920_430];
/// Rules that are not taken: back-references have no place in patterns that are matched in linear time.
const NOT_TAKEN: &[u64] = &[942_130];
/// Rules that the reader names and leaves out: they count over requests, know places, or ask other servers.
const NOT_READ: &[u64] = &[910_000, 910_100, 910_120, 910_140, 912_120, 912_130, 949_100];

/// The rules; the client's address says at which paranoia level: 198.51.100.1 to 198.51.100.4.
fn rules() -> RuleSet {
    rules_with("")
}

/// The same with lines of one's own in front of the rules.
fn rules_with(own: &str) -> RuleSet {
    let mut text = format!("SecRuleEngine On\nSecRequestBodyAccess On\nInclude {SETUP}\n{own}\n");
    for level in 1..=4 {
        text += &format!(
            "SecRule REMOTE_ADDR \"@ipMatch {}\" \"id:{level},phase:1,nolog,pass,t:none,setvar:tx.paranoia_level={level}\"\n",
            client(level)
        );
    }
    text += &format!("Include {RULES}/*.conf\n");
    let loaded = read(&[Source { name: Arc::from("test"), text: &text }], &mut files);
    let mut not_read: Vec<u64> = loaded.problems.iter().map(|problem| problem.rule).collect();
    not_read.dedup();
    assert_eq!(not_read, NOT_READ, "{:?}", loaded.problems);
    let is_taken = |item: &Item| !matches!(item, Item::Rule(rule) if NOT_TAKEN.contains(&rule.actions.id));
    let (taken, refused) = loaded.document.items.into_iter().partition(is_taken);
    let errors = RuleSet::compile(Document { items: refused }).err().unwrap_or_default();
    assert_eq!(errors.len(), NOT_TAKEN.len(), "{errors:?}");
    RuleSet::compile(Document { items: taken }).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn client(level: u8) -> IpAddr {
    [198, 51, 100, level].into()
}

/// Names and contents.
type Files = Vec<(Arc<str>, Vec<u8>)>;

/// Reads what rules name: the folder's files for a pattern, a data file beside the rules.
fn files(name: &str, by: &str) -> Result<Files, String> {
    let mut paths = vec![PathBuf::from(name)];
    if let Some(folder) = name.strip_suffix("/*.conf") {
        let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
        paths = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "conf"));
        paths.sort();
    } else if !name.starts_with('/') {
        paths = vec![Path::new(by).parent().unwrap_or(Path::new("/")).join(name)];
    }
    let text = |path: PathBuf| {
        let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok((Arc::from(path.to_string_lossy()), bytes))
    };
    paths.into_iter().map(text).collect()
}

/// The rules that matched, with whether they have a severity, and whether the request passes.
fn judge(rules: &RuleSet, transaction: &mut Transaction, case: &Case) -> Option<(Vec<(u64, bool)>, bool)> {
    let mut head = RequestHead::default();
    RequestParser::default().parse(&case.request.head(), &HeadLimits::default(), &mut head).ok()?;
    let view = HeadView {
        head: &head,
        client: (client(case.level), 4711).into(),
        server: Some("203.0.113.1:80".parse().unwrap()),
        unix_ms: 1_700_000_000_000,
        request_id: b"case",
    };
    let mut verdict = transaction.head(rules, &view);
    if verdict == Verdict::Pass {
        verdict = transaction.body(rules, &view, &case.request.body, true);
    }
    let matched = transaction.notes().iter().map(|note| (note.id, note.severity.is_some())).collect();
    Some((matched, verdict == Verdict::Pass))
}

fn expects_any(case: &Case, rules: &[u64]) -> bool {
    case.expected.iter().any(|expected| matches!(expected, Expected::Matches(id) if rules.contains(id)))
}

/// Each case of the table holds: what must match matches, and what is honest passes.
#[test]
fn every_case_behaves() {
    if !Path::new(RULES).exists() || !Path::new(SETUP).exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "install modsecurity-crs: in CI the cases are judged");
        eprintln!("skipped: install modsecurity-crs");
        return;
    }
    let cases = crs_cases::all();
    assert!(cases.len() >= 300, "{} cases", cases.len());
    let mut faults = Vec::new();
    let mut transaction = Transaction::default();
    let rules = rules();
    for case in &cases {
        let Some((matched, passes)) = judge(&rules, &mut transaction, case) else {
            if !expects_any(case, REFUSED_EARLIER) {
                faults.push(format!("{} {}: our parser refuses the head", case.place, case.name));
            }
            continue;
        };
        if expects_any(case, NOT_TAKEN) {
            continue;
        }
        let ids: Vec<u64> = matched.iter().map(|(id, _)| *id).collect();
        let holds = |expected: &Expected| match expected {
            Expected::Matches(id) => ids.contains(id),
            Expected::MatchesNot(id) => !ids.contains(id),
            Expected::Clean => passes && !matched.iter().any(|(_, is_severe)| *is_severe),
        };
        for missed in case.expected.iter().filter(|expected| !holds(expected)) {
            faults.push(format!("{} {}: {missed:?}, but {ids:?}", case.place, case.name));
        }
    }
    assert!(faults.is_empty(), "{} of {} cases:\n{}", faults.len(), cases.len(), faults.join("\n"));
}

fn is_installed() -> bool {
    let is_there = Path::new(RULES).exists() && Path::new(SETUP).exists();
    if !is_there {
        eprintln!("modsecurity-crs is not installed: nothing was judged");
    }
    is_there
}

/// With `examples/waf/crs-llm.conf` every prompt passes on the paths of an LLM API, and all else is judged as before.
#[test]
fn prompts_pass_where_they_are_left_out() {
    if !is_installed() {
        return;
    }
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/waf/crs-llm.conf");
    let rules = rules_with(&format!("Include {own}"));
    let mut transaction = Transaction::default();
    let mut severe = |target: &str, mut case: Case| {
        case.request.target = target.into();
        let (matched, passes) = judge(&rules, &mut transaction, &case).unwrap();
        (matched.iter().filter(|(_, is_severe)| *is_severe).map(|(id, _)| *id).collect::<Vec<_>>(), passes)
    };
    let cases = crs_cases::all();
    let prompts = cases.into_iter().filter(|case| case.place.starts_with("llm.txt"));
    for case in prompts {
        let (place, is_honest) = (format!("{} {}", case.place, case.name), case.expected == [Expected::Clean]);
        let (elsewhere, _) = severe("/", crs_cases::again(&case));
        assert_eq!(elsewhere.is_empty(), is_honest, "{place}: on other paths nothing is left out: {elsewhere:?}");
        assert_eq!(severe("/v1/chat/completions", case), (vec![], true), "{place}");
    }
    let attack = "' union select 1,2 from users -- <script>alert(1)</script>";
    let post = |body: serde_json::Value| crs_cases::json(&body);
    for (body, passes) in [
        (serde_json::json!({"prompt": attack}), true),
        (serde_json::json!({"prompt": ["a", attack]}), true),
        (serde_json::json!({"input": [attack]}), true),
        (serde_json::json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": attack}]}]}), true),
        (serde_json::json!({"system": [{"type": "text", "text": attack}]}), true),
        (serde_json::json!({"messages": [{"role": "user", "content": attack}]}), true),
        (serde_json::json!({"messages": [{"role": "user", "content": [{"type": "text", "text": attack}]}]}), true),
        (serde_json::json!({"messages": [{"tool_calls": [{"function": {"arguments": attack}}]}]}), true),
        (serde_json::json!({"tools": [{"function": {"description": attack}}]}), true),
        (serde_json::json!({"model": attack, "prompt": "x"}), false),
        (serde_json::json!({"user": attack}), false),
        (serde_json::json!({"messages": [{"role": attack, "content": "x"}]}), false),
        (serde_json::json!({"messages": [{"name": attack, "content": "x"}]}), false),
        (serde_json::json!({"metadata": {"content": attack}}), false),
        (serde_json::json!({"messages": [{"<script>alert(1)</script>": 1}]}), false),
    ] {
        assert_eq!(severe("/v1/chat/completions", post(body.clone())).1, passes, "{body}");
    }
    let harmless = || post(serde_json::json!({"prompt": "x"}));
    assert!(!severe("/v1/chat/completions?q=%3Cscript%3Ealert(1)%3C/script%3E", harmless()).1);
    assert!(!severe("/v1/models", post(serde_json::json!({"prompt": attack}))).1);
    let mut headed = harmless();
    headed.request.fields.push(("Referer".into(), b"http://x/?a=<script>alert(1)</script>".to_vec()));
    assert!(!severe("/v1/chat/completions", headed).1);
}

/// Bodies that say one thing to a firewall and another to a server: JSON in disguise is judged like JSON.
#[test]
fn disguised_bodies_are_judged_like_plain_ones() {
    if !is_installed() {
        return;
    }
    let rules = rules();
    let mut transaction = Transaction::default();
    let attack = "\\u0027 union select 1\\u002c2 from users -- <script>alert(1)</script>";
    let plain = format!("{{\"q\":\"{attack}\"}}");
    let wide: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let many = format!("[{}\"{attack}\"]", "\"x\",".repeat(5_000));
    let deep = format!("{}\"{attack}\"", "[".repeat(200));
    let multipart = |parameters: &str| {
        let field = "' union select 1,2 from users -- <script>alert(1)</script>";
        format!("--B\r\nContent-Disposition: form-data; name=\"a\"{parameters}\r\n\r\n{field}\r\n--B--\r\n")
            .into_bytes()
    };
    let json = "application/json";
    for (content_type, body) in [
        (json, plain.clone().into_bytes()),
        ("text/plain", plain.clone().into_bytes()),
        ("application/x-www-form-urlencoded", plain.clone().into_bytes()),
        ("application/octet-stream", plain.clone().into_bytes()),
        (json, wide),
        (json, format!("\u{feff}{plain}").into_bytes()),
        (json, format!("{{\"n\":NaN,\"q\":\"{attack}\"}}").into_bytes()),
        (json, format!("{{\"q\":1,\"q\":\"{attack}\"}}").into_bytes()),
        (json, format!("{{\"q\":1}}\n{plain}").into_bytes()),
        (json, format!("{{/* x */\"q\":\"{attack}\"}}").into_bytes()),
        (json, format!("{{q:'x',\"r\":\"{attack}\"}}").into_bytes()),
        (json, format!("{{\"t\":\"\t\",\"q\":\"{attack}\"}}").into_bytes()),
        (json, format!("{{\"{attack}\":{{}}}}").into_bytes()),
        (json, format!("[{}\"{attack}\"]", "7,".repeat(5_000)).into_bytes()),
        (json, many.into_bytes()),
        (json, deep.into_bytes()),
        ("multipart/form-data; boundary=B", multipart("")),
        ("multipart/form-data; boundary=B", multipart("; filename=\"\"")),
        ("multipart/form-data; boundary=B", multipart("; filename*=utf-8''x")),
    ] {
        let case = crs_cases::posted(content_type, body);
        let (matched, passes) = judge(&rules, &mut transaction, &case).unwrap();
        assert!(!passes, "{content_type} {:.80}: {matched:?}", String::from_utf8_lossy(&case.request.body));
    }
}

/// Time that this thread has had, whatever else the machine does.
fn cpu_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(now.tv_sec * 1_000_000 + now.tv_nsec / 1_000).unwrap()
}

/// Microseconds that judging takes for a body of this type, and the longest turn of it.
fn cost_us(rules: &RuleSet, transaction: &mut Transaction, content_type: &str, body: &[u8]) -> (u64, u64) {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: x\r\nAccept: */*\r\n\
         Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let text = head.as_bytes();
    let mut head = RequestHead::default();
    RequestParser::default().parse(text, &HeadLimits::default(), &mut head).unwrap();
    let view =
        HeadView { head: &head, client: (client(1), 4711).into(), server: None, unix_ms: 0, request_id: b"cost" };
    let mut once = || {
        let (mut all, mut longest) = (0, 0);
        let mut turn = |start: u64| {
            let us = cpu_us() - start;
            (all, longest) = (all + us, longest.max(us));
        };
        let mut start = cpu_us();
        transaction.begin_head(rules, &view);
        while transaction.step(rules).is_none() {}
        transaction.begin_body(rules, &view, body, false);
        loop {
            let verdict = transaction.step(rules);
            turn(start);
            if verdict.is_some() {
                return (all, longest);
            }
            start = cpu_us();
        }
    };
    once().min(once())
}

/// What hostile bodies of 128 KiB cost: each attack of the table, and what parsers dislike, repeated to that length as one
/// prompt, and as many arguments. Prints the dearest. Means something in an optimised build only:
/// `CARGO_PROFILE_DEV_OPT_LEVEL=3 cargo test --test core_rule_set -- --ignored --nocapture`.
#[test]
#[ignore = "measures, and proves nothing"]
fn hostile_bodies_cost() {
    const BYTES: usize = 128 * 1024;
    let rules = rules();
    let mut transaction = Transaction::default();
    let mut seeds: Vec<String> = crs_cases::all()
        .iter()
        .flat_map(|case| [case.request.target.clone(), case.request.body.clone()])
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .filter(|text| text.len() > 3)
        .collect();
    let more = [
        "or.or.or",
        "' or 1=1 ",
        "/*",
        "<a ",
        "<a a=",
        "''",
        "((",
        "select ",
        "%25",
        "&#x3c;",
        "a=",
        "../",
        "function(",
        "@@",
        "==",
        "<!--",
        "${",
        "1e1.",
        "onerror=",
        "<?",
        "javascript:",
        "data:",
        ";",
        "|",
        "$(",
        "\\\\",
        "`",
        "--",
        "#",
        "a",
        " ",
        "'\\\"",
        "union ",
        "union all ",
        "1,",
        "waitfor ",
        "/**/",
        "\\u0027",
        "<x ",
        "</",
        "<![CDATA[",
        "{",
        "}",
        "[",
        "x;",
        "%u0027",
        "0x1",
        "\\t",
        "and 1 ",
        "like ",
        "=>",
        "in(",
        "<svg/onload=",
        "&&",
        "!!",
        "!1",
        "a.",
        "`a`.",
        "$a.",
        "@a ",
        "<script",
        "style=",
        "src=",
        "url(",
        "<iframe ",
        "import ",
        "cat ",
        "echo ",
        "wget ",
    ];
    seeds.extend(more.map(str::to_owned));
    let mut costs = Vec::new();
    for seed in &seeds {
        let plain: String = seed.repeat(BYTES / seed.len());
        let escaped = serde_json::to_string(&plain).unwrap();
        let one = format!("{{\"prompt\":{}", &escaped[..escaped.floor_char_boundary(BYTES - 20)]);
        costs.push((cost_us(&rules, &mut transaction, "application/json", one.as_bytes()), format!("one {seed:.60}")));
        let piece = serde_json::to_string(&seed.repeat(100 / seed.len() + 1)).unwrap();
        let list = format!("[{}", format!("{piece},").repeat(BYTES / (piece.len() + 1)));
        costs
            .push((cost_us(&rules, &mut transaction, "application/json", list.as_bytes()), format!("list {seed:.60}")));
    }
    for (name, piece) in [("numbers", "1,"), ("strings", "\"ab\","), ("distinct", "\"a b\",\"c' d\","), ("deep", "[")] {
        let body = format!("[{}", piece.repeat(BYTES / piece.len()));
        costs.push((cost_us(&rules, &mut transaction, "application/json", body.as_bytes()), format!("json {name}")));
    }
    let form = (0..BYTES / 8).map(|n| format!("{n:x}=a{n}&")).collect::<String>();
    costs
        .push((cost_us(&rules, &mut transaction, "application/x-www-form-urlencoded", form.as_bytes()), "form".into()));
    costs.sort();
    for ((us, turn), name) in costs.iter().rev().take(30) {
        println!("{us:>9} us, a turn {turn:>7} us  {}", name.escape_debug());
    }
    costs.sort_by_key(|((_, turn), _)| *turn);
    for ((us, turn), name) in costs.iter().rev().take(20) {
        println!("{us:>9} us, a turn {turn:>7} us  {}", name.escape_debug());
    }
}
