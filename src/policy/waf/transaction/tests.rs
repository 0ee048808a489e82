//! Rules judged: what each construct of the language does, and the referee's word on random rules and requests.
//!
//! Rules are written as text and read by the reader, so that tests say what a user would write. The Core Rule Set is
//! refereed where Debian's `modsecurity-crs` is installed.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::compile::RuleSet;
use super::super::input::HeadView;
use super::super::model::{Document, Item};
use super::super::text::{Source, read};
use super::referee::{self, Judged};
use super::*;
use crate::h1::{HeadLimits, RequestParser};
use crate::http::RequestHead;

const CRS_SETUP: &str = "/etc/modsecurity/crs/crs-setup.conf";
const CRS_RULES: &str = "/usr/share/modsecurity-crs/rules/";

/// Names and contents.
type Files = Vec<(Arc<str>, Vec<u8>)>;

fn document(text: &str) -> Document {
    let mut files = |path: &str, _: &str| -> Result<Files, String> {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("{CRS_RULES}{path}") };
        let mut paths = vec![path.clone()];
        if let Some(folder) = path.strip_suffix("*.conf") {
            let entries = std::fs::read_dir(folder).unwrap().flatten();
            paths = entries.map(|entry| entry.path().display().to_string()).collect();
            paths.retain(|path| path.ends_with(".conf"));
            paths.sort();
        }
        Ok(paths.into_iter().map(|path| (Arc::from(&*path), std::fs::read(&path).unwrap())).collect())
    };
    read(&[Source { name: "test".into(), text }], &mut files).document
}

fn rules(text: &str) -> RuleSet {
    RuleSet::compile(document(text)).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn head_of(text: &str) -> Option<RequestHead> {
    let mut head = RequestHead::default();
    RequestParser::default().parse(text.as_bytes(), &HeadLimits::default(), &mut head).ok()?;
    Some(head)
}

fn view(head: &RequestHead) -> HeadView<'_> {
    HeadView { head, client: referee::client(), server: None, unix_ms: 1_700_000_000_000, request_id: b"id" }
}

/// Judges a request; verdict and notes.
fn judged(rules: &RuleSet, target: &str, content_type: &str, body: &[u8]) -> (Verdict, Vec<Note>) {
    let head = head_of(&format!(
        "POST {target} HTTP/1.1\r\nHost: h\r\nX-Key: sk-secret\r\nContent-Type: {content_type}\r\n\r\n"
    ))
    .unwrap();
    let mut transaction = Transaction::default();
    let verdict = judge_with(&mut transaction, rules, &head, body);
    (verdict, transaction.notes().to_vec())
}

fn judge_with(transaction: &mut Transaction, rules: &RuleSet, head: &RequestHead, body: &[u8]) -> Verdict {
    match transaction.head(rules, &view(head)) {
        Verdict::Pass => transaction.body(rules, &view(head), body, true),
        verdict => verdict,
    }
}

fn form(text: &str, body: &str) -> (Verdict, Vec<Note>) {
    judged(&rules(text), "/p?q=1", "application/x-www-form-urlencoded", body.as_bytes())
}

fn ids(notes: &[Note]) -> Vec<u64> {
    notes.iter().map(|note| note.id).collect()
}

const ARTICLE: &str = "SecRule REQUEST_URI \"@contains /v1/completions\" \
    \"id:1001,phase:2,deny,status:403,msg:'Abusive prompt detected',chain\"\n\
    SecRule REQUEST_BODY \"@rx (dangerous|harmful|暴力)\" \"t:lowercase,t:urlDecode\"\n";

#[test]
fn the_chained_rule_of_the_article_blocks_its_words_on_its_path_only() {
    let rules = rules(ARTICLE);
    assert!(rules.needs_body());
    let json = "application/json";
    for body in ["{\"prompt\":\"关于暴力的\"}", "{\"prompt\":\"DANGEROUS\"}", "{\"prompt\":\"%e6%9a%b4%e5%8a%9b\"}"]
    {
        let (verdict, notes) = judged(&rules, "/v1/completions", json, body.as_bytes());
        assert_eq!(verdict, Verdict::Deny { status: 403, note: 0 }, "{body}");
        assert_eq!((notes[0].id, &*notes[0].message), (1001, "Abusive prompt detected"));
        assert_eq!((&*notes[0].variable, notes[0].would), ("REQUEST_BODY", false));
        assert_eq!(judged(&rules, "/v1/other", json, body.as_bytes()).0, Verdict::Pass);
    }
    assert_eq!(judged(&rules, "/v1/completions", json, b"{\"prompt\":\"mirror\"}"), (Verdict::Pass, Vec::new()));
}

#[test]
fn detection_only_notes_what_it_would_have_done() {
    let (verdict, notes) =
        form(&format!("SecRuleEngine DetectionOnly\n{ARTICLE}SecAction \"id:2,phase:2,pass,log\"\n"), "");
    assert_eq!((verdict, ids(&notes)), (Verdict::Pass, vec![2]));
    let set = rules(&format!("SecRuleEngine DetectionOnly\n{ARTICLE}"));
    let (verdict, notes) = judged(&set, "/v1/completions", "text/plain", b"harmful");
    assert_eq!(verdict, Verdict::Pass);
    assert!(notes[0].would);
    let (verdict, _) = judged(&set.with_mode(Mode::On), "/v1/completions", "text/plain", b"harmful");
    assert_eq!(verdict, Verdict::Deny { status: 403, note: 0 });
}

#[test]
fn a_score_counts_each_value_that_matches() {
    let text = "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.critical=5\"\n\
        SecRule ARGS \"@contains evil\" \"id:2,phase:2,pass,log,setvar:tx.score=+%{tx.critical}\"\n\
        SecRule TX:SCORE \"@ge 10\" \"id:3,phase:2,deny,status:406,log,msg:'Score %{TX.score}'\"\n";
    assert_eq!(form(text, "a=evil&b=fine").0, Verdict::Pass);
    let (verdict, notes) = form(text, "a=evil&b=EVIL&c=evil");
    assert_eq!(verdict, Verdict::Deny { status: 406, note: 1 });
    assert_eq!(&*notes[1].message, "Score 10");
}

#[test]
fn skips_lead_to_markers_and_over_rules() {
    let text = "SecAction \"id:1,phase:2,pass,nolog,skipAfter:END\"\nSecAction \"id:2,phase:2,pass,log\"\n\
        SecMarker END\nSecAction \"id:3,phase:2,pass,log,skip:1\"\nSecAction \"id:4,phase:2,pass,log\"\n\
        SecAction \"id:5,phase:2,pass,log\"\n";
    assert_eq!(ids(&form(text, "").1), [3, 5]);
    let errors = RuleSet::compile(document("SecAction \"id:1,phase:2,pass,skipAfter:NOWHERE\"\n")).unwrap_err();
    assert!(errors[0].to_string().contains("rule 1: skipAfter:NOWHERE"), "{}", errors[0]);
}

#[test]
fn rules_and_targets_can_be_removed_before_and_while_judging() {
    let rule = "SecRule ARGS \"@contains x\" \"id:7,phase:2,pass,log,tag:'attack-x'\"\n";
    assert_eq!(ids(&form(rule, "a=x").1), [7]);
    for removal in ["SecRuleRemoveById 5-8\n", "SecRuleRemoveByTag attack\n", "SecRuleUpdateTargetById 7 \"!ARGS:a\"\n"]
    {
        assert_eq!(ids(&form(&format!("{rule}{removal}"), "a=x").1), [0_u64; 0], "{removal}");
    }
    for ctl in [
        "ruleRemoveById=7",
        "ruleRemoveByTag=attack",
        "ruleRemoveTargetById=7;ARGS:a",
        "ruleEngine=Off",
        "ruleRemoveTargetByTag=attack-.;ARGS:A",
    ] {
        let text = format!("SecRule REQUEST_URI \"@beginsWith /p\" \"id:1,phase:1,pass,nolog,ctl:{ctl}\"\n{rule}");
        assert_eq!(ids(&form(&text, "a=x").1), [0_u64; 0], "{ctl}");
        let elsewhere = judged(&rules(&text), "/o", "application/x-www-form-urlencoded", b"a=x").1;
        assert_eq!(ids(&elsewhere), [7], "{ctl}");
    }
}

#[test]
fn captures_and_matched_variables_are_what_the_rule_found() {
    let text = "SecRule ARGS \"@rx ^(\\w+)-(\\w+)$\" \"id:1,phase:2,pass,log,capture,chain\"\n\
        SecRule TX:1 \"@streq %{TX.2}\" \"setvar:tx.seen_%{MATCHED_VAR}=1\"\n\
        SecRule TX:seen_same \"@eq 1\" \"id:2,phase:2,pass,log,msg:'%{MATCHED_VAR_NAME} %{MATCHED_VAR} %{tx.1}'\"\n\
        SecRule ARGS \"@contains sa\" \"id:3,phase:2,pass,log,chain\"\n\
        SecRule MATCHED_VARS \"@contains same\" \"chain\"\n\
        SecRule MATCHED_VARS_NAMES \"@streq ARGS:b\" \"t:none\"\n";
    let (_, notes) = form(text, "a=x-y&b=same-same");
    assert_eq!(ids(&notes), [1, 2, 3]);
    assert_eq!(&*notes[0].variable, "ARGS:b");
    assert_eq!(&*notes[1].message, "TX:seen_same MATCHED_VAR ***");
}

#[test]
fn multi_match_asks_in_front_of_each_transformation() {
    let rule = |more: &str| {
        format!(
            "SecRule ARGS \"@rx ^%3c$|^<$\" \"id:1,phase:2,pass,log,t:none,t:urlDecodeUni{more},setvar:tx.n=+1\"\n\
            SecRule TX:n \"@eq 2\" \"id:2,phase:2,pass,log\"\n"
        )
    };
    assert_eq!(ids(&form(&rule(""), "a=%253c").1), [1]);
    assert_eq!(ids(&form(&rule(",multiMatch"), "a=%253c").1), [1, 2]);
}

#[test]
fn a_note_shows_nothing_that_the_request_brought() {
    let text = "SecRule REQUEST_HEADERS|ARGS_NAMES|ARGS|REQUEST_BODY \"@rx (sk-\\w+)\" \
        \"id:1,phase:2,deny,capture,msg:'%{tx.0} %{tx.1} %{MATCHED_VAR} %{REQUEST_HEADERS.x-key} %{REQUEST_URI} %{rule.id}',\
        logdata:'%{MATCHED_VAR}',tag:'%{MATCHED_VAR}',setvar:'tx.1=a%{tx.0}'\"\n";
    let text =
        &format!("SecRuleEngine DetectionOnly\n{text}SecRule ARGS_NAMES \"@contains sk\" \"id:2,phase:2,deny\"\n");
    let (_, notes) =
        judged(&rules(text), "/?k=sk-secret2", "application/x-www-form-urlencoded", b"{\"k\":\"sk-secret3\"}");
    assert_eq!(ids(&notes), [1, 2]);
    for note in &notes {
        assert!(!format!("{note:?}").contains("secret"), "{note:?}");
    }
    assert_eq!(&*notes[0].message, "*** *** MATCHED_VAR REQUEST_HEADERS REQUEST_URI 1");
}

#[test]
fn what_is_a_name_only_because_it_has_no_value_is_not_shown() {
    let text = "SecRule ARGS_NAMES|REQUEST_COOKIES_NAMES \"@contains sesame\" \"id:1,phase:2,pass,log\"\n";
    for (body, shown) in [("opensesame", "ARGS_NAMES:***"), ("opensesame=1", "ARGS_NAMES:opensesame")] {
        assert_eq!(&*form(text, body).1[0].variable, shown, "{body}");
    }
    let (_, notes) = judged(&rules(text), "/", "application/json", b"{\"sesame\":[]}");
    assert_eq!(&*notes[0].variable, "ARGS_NAMES:json.sesame");
}

#[test]
fn judging_in_turns_comes_to_the_same() {
    let rule = |n: u32| format!("SecRule ARGS \"@detectSQLi\" \"id:{n},phase:2,pass,log\"\n");
    let text: String = (1..20).map(rule).collect();
    let rules = rules(&(text + "SecRule ARGS \"@contains z\" \"id:99,phase:2,deny\"\n"));
    let body = "a=ab+ab+ab&".repeat(900) + "b=1+or+1=1&c=z";
    let head =
        head_of("POST /p HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n").unwrap();
    let mut whole = Transaction::default();
    let expected = judge_with(&mut whole, &rules, &head, body.as_bytes());
    let mut transaction = Transaction::default();
    transaction.begin_head(&rules, &view(&head));
    assert_eq!(transaction.step(&rules), Some(Verdict::Pass));
    transaction.begin_body(&rules, &view(&head), body.as_bytes(), true);
    let mut turns = 1;
    let verdict = loop {
        match transaction.step(&rules) {
            Some(verdict) => break verdict,
            None => turns += 1,
        }
    };
    assert!(turns > 2 && verdict == expected, "{turns} turns: {verdict:?}");
    assert_eq!(ids(transaction.notes()), ids(whole.notes()));
}

#[test]
fn many_notes_have_a_bound_and_the_one_that_decides_is_kept() {
    let mut text: String = (1..=200).map(|n| format!("SecAction \"id:{n},phase:2,pass,log\"\n")).collect();
    text.push_str("SecAction \"id:999,phase:2,deny,log\"\n");
    let head = head_of("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut transaction = Transaction::default();
    let verdict = judge_with(&mut transaction, &rules(&text), &head, b"");
    assert_eq!(verdict, Verdict::Deny { status: 403, note: NOTES_MAX - 1 });
    assert_eq!(transaction.notes()[NOTES_MAX - 1].id, 999);
    assert_eq!(transaction.notes_left_out(), 200 - NOTES_MAX as u32 + 1);
}

#[test]
fn what_cannot_be_compiled_is_said_or_left_out() {
    let text = "SecRule ARGS \"@rx (a)\\1\" \"id:1,phase:2,deny\"\nSecAction \"id:2,phase:2,pass,log,skipAfter:1\"\n";
    let text = format!("SecAction \"id:3,phase:2,pass,log\"\n{text}");
    let Err(errors) = RuleSet::compile(document(&text)) else { panic!("a back-reference") };
    assert!(errors.iter().any(|error| error.rule == 1 && error.construct == "@rx"), "{errors:?}");
    let (set, errors) = RuleSet::compile_what_can(document(&text));
    assert!(!errors.is_empty());
    assert!(!set.is_empty(), "{errors:?}");
}

/// Both ways, and what they came to.
fn compared(
    transaction: &mut Transaction,
    document: &Document,
    rules: &RuleSet,
    head: &RequestHead,
    body: &[u8],
) -> (Judged, Judged) {
    let verdict = judge_with(transaction, rules, head, body);
    let id = |note: usize| transaction.notes()[note].id;
    let mut tx = Vec::new();
    for slot in 0..transaction.tx.slots() {
        let value = transaction.tx.get(slot);
        if value != tx::TxValue::Unset {
            let mut bytes = Vec::new();
            transaction.tx.write(&rules.texts, value, &mut bytes);
            let name = String::from_utf8_lossy(transaction.tx.name(&rules.names, slot)).into_owned();
            tx.push((name, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    tx.sort();
    let ours = Judged {
        denied: if let Verdict::Deny { status, note } = verdict { Some((id(note), status)) } else { None },
        dropped: if let Verdict::Drop { note } = verdict { Some(id(note)) } else { None },
        notes: transaction.notes().iter().map(|note| (note.id, note.would)).collect(),
        tx,
    };
    (ours, referee::judge(document, &view(head), body, true))
}

fn a_word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["evil", "Union", "sel", "ev%69l", "x", "a b", "%75nion", "<b>", "", "12", "暴力", "7"])
        .prop_map(str::to_owned)
}

fn an_operator() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "@contains evil",
        "@rx (?i)uni(on)|evil",
        "!@rx ^[a-z]+$",
        "@pm evil union sel",
        "@streq x",
        "@rx ^(.)(.*)$",
        "@beginsWith ev",
        "!@contains x",
        "@endsWith l",
        "@within evil union",
        "@ge 5",
        "@eq 1",
        "@lt %{tx.a}",
        "!@eq 0",
        "@contains %{tx.b}",
        "@detectSQLi",
        "@unconditionalMatch",
        "@rx \\d",
        "@streq %{MATCHED_VAR}",
        "@rx 暴力|<b>",
        "@pm <b> 12",
        "@validateUrlEncoding",
        "@gt 0",
    ])
    .prop_map(str::to_owned)
}

fn targets() -> impl Strategy<Value = String> {
    let one = prop::sample::select(vec![
        "ARGS",
        "ARGS:a",
        "ARGS|!ARGS:b",
        "&ARGS",
        "ARGS_NAMES",
        "REQUEST_BODY",
        "REQUEST_URI",
        "REQUEST_HEADERS",
        "REQUEST_HEADERS:x-one",
        "TX:a",
        "&TX:b",
        "TX:c",
        "MATCHED_VAR",
        "MATCHED_VARS",
        "REQUEST_COOKIES",
        "ARGS:/^[ab]/",
        "FILES",
        "JSON:a",
        "TX:1",
        "!ARGS:a",
        "MATCHED_VARS_NAMES",
        "ARGS_GET",
        "&FILES",
        "TX:0",
        "ARGS_POST",
        "TX:n_%{tx.b}",
        "REQUEST_METHOD",
    ]);
    prop::collection::vec(one, 1..3).prop_map(|list| list.join("|"))
}

fn actions() -> impl Strategy<Value = String> {
    let transforms = prop::sample::select(vec![
        "",
        "t:lowercase",
        "t:urlDecodeUni",
        "t:lowercase,t:urlDecode",
        "t:urlDecodeUni,t:lowercase",
        "t:removeNulls",
        "t:length",
        "t:hexEncode",
        "t:urlDecodeUni,t:htmlEntityDecode,t:lowercase",
        "multiMatch,t:urlDecode,t:lowercase",
    ]);
    let effects = prop::collection::vec(
        prop::sample::select(vec![
            "setvar:tx.a=+1",
            "setvar:tx.a=+%{tx.c}",
            "setvar:tx.b=evil",
            "setvar:tx.b=%{MATCHED_VAR}",
            "setvar:tx.c=5",
            "setvar:!tx.b",
            "setvar:tx.n_%{MATCHED_VAR}=+1",
            "capture",
            "ctl:ruleRemoveById=3",
            "setvar:tx.a=-2",
            "ctl:ruleRemoveTargetById=1-4;ARGS:a",
            "ctl:ruleRemoveTargetByTag=two;REQUEST_BODY",
            "setvar:tx.c=%{tx.1}",
            "ctl:ruleRemoveByTag=three",
        ]),
        0..3,
    );
    (transforms, effects).prop_map(|(transforms, effects)| {
        let mut all = effects;
        all.push(transforms);
        all.retain(|text| !text.is_empty());
        if all.is_empty() { "t:none".to_owned() } else { format!("t:none,{}", all.join(",")) }
    })
}

fn a_rule() -> impl Strategy<Value = String> {
    let disposition = prop::sample::select(vec![
        "pass",
        "pass",
        "pass",
        "pass",
        "deny,status:401",
        "drop",
        "allow:phase",
        "pass,skip:1",
        "pass,skipAfter:M",
        "pass,ctl:ruleEngine=DetectionOnly",
        "pass,nolog",
        "pass,tag:three",
        "pass,tag:two",
        "deny,nolog",
    ]);
    let link = (targets(), an_operator(), actions());
    (1_u8..=2, disposition, prop::collection::vec(link, 1..4)).prop_map(|(phase, disposition, links)| {
        let count = links.len();
        let mut out = String::new();
        for (nth, (targets, operator, actions)) in links.into_iter().enumerate() {
            let first = if nth == 0 { format!("id:ID,phase:{phase},log,{disposition},") } else { String::new() };
            let chain = if nth + 1 < count { ",chain" } else { "" };
            out.push_str(&format!("SecRule {targets} \"{operator}\" \"{first}{actions}{chain}\"\n"));
        }
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_fast_way_comes_to_what_the_plain_way_comes_to(
        written in prop::collection::vec(a_rule(), 1..12),
        detect in any::<bool>(),
        pairs in prop::collection::vec((prop::sample::select(vec!["a", "b", "A", "evil"]), a_word()), 0..5),
        (query, one, json) in (a_word(), a_word(), any::<bool>()),
    ) {
        let mut text = if detect { "SecRuleEngine DetectionOnly\n".to_owned() } else { String::new() };
        for (id, rule) in (1..).zip(written) {
            text.push_str(&rule.replace("ID", &format!("{id}")));
        }
        text.push_str("SecMarker M\nSecRule TX:a \"@ge 3\" \"id:90,phase:2,deny,log\"\n");
        let document = document(&text);
        let Ok(rules) = RuleSet::compile(document.clone()) else { return Ok(()) };
        prop_assert!(document.items.iter().filter(|item| matches!(item, Item::Rule(_))).count() >= 1);
        let (content_type, body) = if json {
            let fields: Vec<String> = pairs.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
            ("application/json", format!("{{{}}}", fields.join(",")))
        } else {
            let fields: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            ("application/x-www-form-urlencoded", fields.join("&"))
        };
        let target = query.replace([' ', '<', '>'], "+");
        let Some(head) = head_of(&format!(
            "POST /p?a={target} HTTP/1.1\r\nHost: h\r\nX-One: {one}\r\nCookie: c={one}\r\nContent-Type: {content_type}\r\n\r\n"
        )) else { return Ok(()) };
        let mut transaction = Transaction::default();
        // Twice, because nothing may stay behind.
        compared(&mut transaction, &document, &rules, &head, b"a=evil");
        let (ours, plain) = compared(&mut transaction, &document, &rules, &head, body.as_bytes());
        prop_assert_eq!(ours, plain, "{}", text);
    }
}

/// Requests made of pieces that the Core Rule Set knows well, and of plain words.
fn pieces() -> Vec<&'static str> {
    vec![
        "select",
        " from ",
        "union ",
        "' or 1=1--",
        "<script>",
        "../../etc/passwd",
        "; cat ",
        "php://",
        "alert(1)",
        "hello",
        "world",
        "{{7*7}}",
        "%27",
        "%252e",
        "sleep(5)",
        "onerror=",
        "$(id)",
        "http://1.2.3.4/",
        "java.lang.Runtime",
        "\u{4e16}",
        "=",
        ";",
        "/",
        "\\x41",
        "&lt;",
        "exec(",
        "a",
        "0x3a",
        "--",
        "wget ",
    ]
}

#[test]
fn the_core_rule_set_judged_fast_is_the_core_rule_set() {
    if !std::path::Path::new(CRS_SETUP).exists() {
        eprintln!("modsecurity-crs is not installed: not refereed");
        return;
    }
    let text = format!(
        "Include {CRS_SETUP}\nSecAction \"id:1,phase:1,pass,nolog,setvar:tx.paranoia_level=4\"\nInclude {CRS_RULES}*.conf\n"
    );
    let mut document = document(&text);
    if let Err(errors) = RuleSet::compile(document.clone()) {
        let refused =
            |item: &Item| matches!(item, Item::Rule(rule) if errors.iter().any(|e| e.rule == rule.actions.id));
        document.items.retain(|item| !refused(item));
    }
    let rules = RuleSet::compile(document.clone()).unwrap();
    let pieces = pieces();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut word = |count: usize| {
        let mut out = String::new();
        for _ in 0..count {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            out.push_str(pieces[(random >> 33) as usize % pieces.len()]);
        }
        out
    };
    let mut transaction = Transaction::default();
    for round in 0..6 {
        let target = word(2).replace([' ', '<', '>', '{', '}', '\u{4e16}', '"', '\\'], "+");
        let (content_type, body) = match round % 3 {
            0 => ("application/json", format!("{{\"prompt\":\"{}\"}}", word(6).replace('\\', ""))),
            1 => ("application/x-www-form-urlencoded", format!("a={}&{}=1", word(3), word(1))),
            _ => ("text/plain", word(4)),
        };
        let head = head_of(&format!(
            "POST /x?q={target} HTTP/1.1\r\nHost: example.com\r\nUser-Agent: {}\r\nAccept: */*\r\nCookie: k={target}\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            word(1).replace('\u{4e16}', "w"),
            body.len()
        ));
        let Some(head) = head else { continue };
        let (ours, plain) = compared(&mut transaction, &document, &rules, &head, body.as_bytes());
        assert_eq!(ours, plain, "{target} {body}");
    }
}
