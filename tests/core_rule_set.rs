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
    let mut text = format!("SecRuleEngine On\nSecRequestBodyAccess On\nInclude {SETUP}\n");
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
