//! Tests of the reader as a whole: what rules become, what is said about mistakes, whole rule sets, any text.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::policy::waf::model::{
    AllowScope, BodyProcessor, Control, Disposition, Effect, How, Mode, Operator, Part, Rule, Selector, SetVar, Target,
    Text, Transform, Variable,
};

/// Reads one text, with these files beside it.
fn read_with(text: &str, files: &[(&str, &str)]) -> Loaded {
    let mut give = |path: &str, _: &str| {
        if path == "secret.conf" {
            return Err("cannot be read: permission denied".to_owned());
        }
        let matching = files.iter().filter(|(name, _)| *name == path || (path == "*.conf" && name.ends_with(".conf")));
        Ok(matching.map(|(name, text)| ((*name).into(), text.as_bytes().to_vec())).collect())
    };
    read(&[Source { name: "r.conf".into(), text }], &mut give)
}

fn rules(text: &str) -> Vec<Rule> {
    let loaded = read_with(text, &[]);
    assert_eq!(loaded.problems, [], "{text}");
    let rules = loaded.document.items.into_iter();
    rules.filter_map(|item| if let Item::Rule(rule) = item { Some(rule) } else { None }).collect()
}

/// The only rule of a text.
fn rule(text: &str) -> Rule {
    let mut rules = rules(text);
    assert_eq!(rules.len(), 1, "{text}");
    rules.remove(0)
}

/// The problems of a text, as they are shown.
fn problems(text: &str) -> Vec<String> {
    read_with(text, &[]).problems.iter().map(ToString::to_string).collect()
}

fn all(variable: Variable) -> Target {
    Target { variable, selector: Selector::All, how: How::Values }
}

#[test]
fn two_chained_rules_about_prompts() {
    let rule = rule(
        "SecRule REQUEST_URI \"@contains /v1/completions\" \"id:1001,phase:2,deny,status:403,msg:'Abusive prompt detected',chain\"\n  \
         SecRule REQUEST_BODY \"@rx (dangerous|harmful|暴力)\" \"t:lowercase,t:urlDecode\"\n",
    );
    assert_eq!((rule.phase, rule.actions.id, rule.actions.status), (2, 1001, Some(403)));
    assert_eq!((rule.actions.disposition, rule.actions.log), (Disposition::Deny, true));
    assert_eq!(rule.actions.msg, Some(Text::literal("Abusive prompt detected")));
    let [uri, body] = &*rule.links else { panic!("{rule:?}") };
    assert_eq!((uri.place.to_string(), body.place.to_string()), ("r.conf:1".to_owned(), "r.conf:2".to_owned()));
    let (uri, body) = (uri.test.as_ref().unwrap(), body.test.as_ref().unwrap());
    assert_eq!(uri.targets, [all(Variable::RequestUri)]);
    assert_eq!((&uri.operator, &*uri.transforms), (&Operator::Contains(Text::literal("/v1/completions")), &[][..]));
    assert_eq!(body.targets, [all(Variable::RequestBody)]);
    assert_eq!(body.operator, Operator::Rx("(dangerous|harmful|暴力)".into()));
    assert_eq!(body.transforms, [Transform::Lowercase, Transform::UrlDecode]);
}

#[test]
fn all_that_a_rule_may_say() {
    let rule = rule(
        r#"SecRule ARGS|!ARGS:x "!@within %{tx.allowed}" \
    "id:7,phase:request,drop,capture,multiMatch,nolog,auditlog,t:length,t:none,t:hexDecode,\
    msg:'a, b\'s %{rule.id}',logdata:'%{TX.0} %{geo.x}',tag:'one',tag:two,severity:CRITICAL,rev:'2',ver:'v/1',\
    skipAfter:END_X,accuracy:8,maturity:'9',\
    setvar:'tx.a_%{matched_var_name}=+%{tx.n}',setvar:!tx.b,setvar:tx.c,setvar:'tx.d=-2',setvar:'TX.e=x=y',\
    ctl:ruleEngine=DetectionOnly,ctl:ruleRemoveById=1-9,ctl:ruleRemoveTargetByTag=t-x;ARGS:'/^p,q/',\
    ctl:requestBodyProcessor=JSON,ctl:auditLogParts=+E""#,
    );
    assert_eq!((rule.phase, rule.actions.disposition), (2, Disposition::Drop));
    assert_eq!((rule.actions.log, rule.actions.auditlog, rule.actions.severity), (false, true, Some(2)));
    assert_eq!(rule.actions.tags, [Text::literal("one"), Text::literal("two")]);
    assert_eq!((rule.actions.rev.as_deref(), rule.actions.ver.as_deref()), (Some("2"), Some("v/1")));
    assert_eq!((rule.actions.skip_after.as_deref(), rule.actions.status), (Some("END_X"), None));
    let msg = rule.actions.msg.unwrap();
    assert_eq!(*msg.parts, [Part::Literal("a, b's ".into()), Part::Macro(Variable::Rule, Some("id".into()))]);
    let link = &rule.links[0];
    assert!(link.capture && link.multi_match);
    assert_eq!(link.logdata.as_ref().unwrap().parts[1], Part::Literal(" %{geo.x}".into()));
    let test = link.test.as_ref().unwrap();
    assert!(test.negated && matches!(&test.operator, Operator::Within(_)));
    assert_eq!(test.transforms, [Transform::HexDecode]);
    let tx = |name: &str| Part::Macro(Variable::Tx, Some(name.into()));
    let text = |parts: &[Part]| Text { parts: parts.into() };
    let name = text(&[Part::Literal("a_".into()), Part::Macro(Variable::MatchedVarName, None)]);
    let excluded = Target { variable: Variable::Args, selector: Selector::Pattern("^p,q".into()), how: How::Values };
    let wanted = [
        Effect::SetVar(SetVar::Add { name, value: text(&[tx("n")]), negative: false }),
        Effect::SetVar(SetVar::Remove { name: Text::literal("b") }),
        Effect::SetVar(SetVar::Assign { name: Text::literal("c"), value: Text::literal("1") }),
        Effect::SetVar(SetVar::Add { name: Text::literal("d"), value: Text::literal("2"), negative: true }),
        Effect::SetVar(SetVar::Assign { name: Text::literal("e"), value: Text::literal("x=y") }),
        Effect::Control(Control::Engine(Mode::DetectionOnly)),
        Effect::Control(Control::RemoveById(1, 9)),
        Effect::Control(Control::RemoveTargetByTag { tag: "t-x".into(), target: excluded }),
        Effect::Control(Control::BodyProcessor(BodyProcessor::Json)),
        Effect::Control(Control::Ignored("auditLogParts".into())),
    ];
    assert_eq!(link.effects, wanted);
}

#[test]
fn the_default_action_is_what_rules_and_block_stand_on() {
    let read = rules(
        "SecRule ARGS a id:1\n\
         SecDefaultAction \"phase:2,deny,status:406,nolog,t:lowercase\"\n\
         SecRule ARGS a \"id:2,block\"\n\
         SecRule ARGS a \"id:3,pass,log,t:none,t:trim,status:400\"\n\
         SecRule ARGS a \"id:4,allow:phase,phase:1\"\n\
         SecAction \"id:5,nolog\"\n",
    );
    let seen: Vec<_> = read.iter().map(|r| (r.actions.disposition, r.actions.status, r.actions.log)).collect();
    let wanted = [
        (Disposition::Pass, None, true),
        (Disposition::Deny, Some(406), false),
        (Disposition::Pass, Some(400), true),
        (Disposition::Allow(AllowScope::Phase), None, true),
        (Disposition::Deny, Some(406), false),
    ];
    assert_eq!(seen, wanted);
    let transforms: Vec<_> = read.iter().filter_map(|r| r.links[0].test.as_ref()).map(|t| &*t.transforms).collect();
    assert_eq!(transforms, [&[][..], &[Transform::Lowercase], &[Transform::Trim], &[]]);
    assert!(read[4].links[0].test.is_none());
}

#[test]
fn what_changes_other_rules() {
    let text = "SecRule ARGS a \"id:1,deny,tag:t,setvar:tx.a=1\"\n\
         SecRuleUpdateActionById 1 \"pass,nolog,status:400,t:trim\"\n\
         SecRuleRemoveById 5 \"7-9 12\"\nSecRuleRemoveByTag \"attack-.*\"\nSecRuleRemoveByMsg m\n\
         SecRuleUpdateTargetById 1-3 \"!ARGS:a,!ARGS:b\"\nSecRuleUpdateTargetByTag t !ARGS:c\n\
         SecMarker END\nSecRuleEngine detectiononly\nSecRequestBodyAccess Off\n";
    let loaded = read_with(text, &[]);
    assert_eq!(loaded.problems, []);
    let [Item::Rule(rule), rest @ ..] = &*loaded.document.items else { panic!("{:?}", loaded.document) };
    let actions = &rule.actions;
    assert_eq!((actions.disposition, actions.log, actions.status), (Disposition::Pass, false, Some(400)));
    assert_eq!(
        (rule.links[0].effects.len(), &*rule.links[0].test.as_ref().unwrap().transforms),
        (1, &[Transform::Trim][..])
    );
    let shown: Vec<String> = rest.iter().map(|item| format!("{item:?}")).collect();
    for (shown, wanted) in shown.iter().zip([
        "RemoveById([(5, 5), (7, 9), (12, 12)])",
        "RemoveByTag(\"attack-.*\")",
        "RemoveByMsg(\"m\")",
        "UpdateTargets { of: Id(1, 3), targets: [Target { variable: Args",
        "UpdateTargets { of: Tag(\"t\")",
        "Marker(\"END\")",
        "Engine(DetectionOnly)",
        "BodyAccess(false)",
    ]) {
        assert!(shown.starts_with(wanted), "{shown} is not {wanted}");
    }
}

#[test]
fn mistakes_are_named_with_their_place_and_what_to_do() {
    for (text, wanted) in [
        ("SecFoo On", "r.conf:1: SecFoo: is not a directive; docs/waf.md"),
        ("\nSecRule ARGS \"@foo x\" id:9", "r.conf:2: rule 9: @foo: is not an operator; "),
        ("SecRule ARGS x id:9,t:foo", "r.conf:1: rule 9: t:foo: is not a transformation that there is; "),
        ("SecRule ARGS x id:9,foo", "r.conf:1: rule 9: foo: is not an action; "),
        ("SecRule ARGS x id:9,ctl:foo=1", "r.conf:1: rule 9: ctl:foo: is not a control that there is; "),
        ("SecRule ARGS x deny", "r.conf:1: id: is missing; add id:NUMBER"),
        ("SecRule ARGS x id:0", "r.conf:1: id:0: is not a value of that action; "),
        ("SecRule ARGS x id:9\nSecRule ARGS x id:9", "r.conf:2: rule 9: id:9: is that of another rule, r.conf:1; "),
        ("SecRule ARGS x id:9,chain\nSecMarker X", "r.conf:1: rule 9: chain: the last rule of the chain is missing; "),
        ("SecRule ARGS x id:9,chain", "r.conf:1: rule 9: chain: the last rule"),
        ("SecRule ARGS x id:9,chain\nSecRule ARGS y deny", "r.conf:2: rule 9: deny, drop or allow: stands behind"),
        ("SecRule ARGS", "r.conf:1: SecRule: has 1 arguments; write SecRule VARIABLES"),
        ("SecRule ARGS @rx a b id:1", "r.conf:1: SecRule: has 5 arguments; write SecRule VARIABLES"),
        ("SecRule ARGS \"x id:1", "r.conf:1: quotes: the quote is not closed in front of \"x id:1\"; close it"),
        ("SecRule ARGS x \"id:9,msg:'it's'\"", "r.conf:1: msg: text follows the closing quote; write \\'"),
        ("SecRule ARGS x \"id:9,msg:'a\"", "r.conf:1: msg: the quote of its value is not closed; "),
        ("SecRule ARGS x id:9,status:99", "r.conf:1: rule 9: status:99: is not a value of that action; write 200"),
        ("SecRule ARGS x id:9,exec:/bin/x", "r.conf:1: rule 9: exec: is not supported; "),
        ("SecRule ARGS x id:9,setvar:env.x=1", "r.conf:1: rule 9: setvar:env.x=1: only members of TX can be set; "),
        ("SecRule ARGS x id:9,setvar:tx.a=%{ip.b}", "r.conf:1: rule 9: %{ip.b}: is a macro of a variable"),
        ("SecRule ARGS \"@eq x\" id:9", "r.conf:1: rule 9: @eq: compares numbers, and \"x\" is none; "),
        ("SecRuleEngine Maybe", "r.conf:1: SecRuleEngine: has a value that it cannot have; write On"),
        ("SecRuleRemoveById x", "r.conf:1: SecRuleRemoveById: has a value that it cannot have; "),
        ("SecDefaultAction phase:2,log", "r.conf:1: SecDefaultAction: says neither pass nor deny; "),
        ("Include nothing.conf", "r.conf:1: Include nothing.conf: there is no such file; "),
        ("IncludeOptional secret.conf", "r.conf:1: Include secret.conf: cannot be read: permission denied; "),
        ("<IfModule security2_module>", "r.conf:1: <IfModule: is a section of a web server's configuration; "),
        ("SecRemoteRules k https://x", "r.conf:1: SecRemoteRules: is not supported; keep the rules in a file"),
    ] {
        let problems = problems(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].starts_with(wanted), "{} is not {wanted}", problems[0]);
    }
}

#[test]
fn a_rule_that_cannot_be_taken_goes_with_its_chain_and_nothing_else_does() {
    let loaded = read_with(
        "SecRule ARGS a id:1\n\
         SecRule ARGS a id:2,chain\nSecRule ARGS b chain\nSecRule IP:x \"@geoLookup\"\n\
         SecRule RESPONSE_BODY x \"id:3,phase:4,t:foo,chain\"\nSecRule FOO \"@bar\"\n\
         SecRule ARGS a id:4,initcol:ip=x,setvar:ip.n=+1\n",
        &[],
    );
    assert_eq!(loaded.counts, Counts { loaded: 2, skipped: 1, not_judged: 1 });
    assert_eq!(loaded.document.items.len(), 2);
    assert!(
        loaded.problems.iter().all(|p| p.can_be_skipped() && p.rule == 2 && p.place.line == 4),
        "{:?}",
        loaded.problems
    );
    let notes: Vec<_> = loaded.notes.iter().map(|note| (note.rule, note.construct.as_str())).collect();
    assert_eq!(notes, [(3, "phase"), (4, "initcol:ip=x"), (4, "setvar:ip.n=+1")]);
}

#[test]
fn files_are_included_in_their_place() {
    let files = [
        ("a.conf", "SecRule ARGS a id:2"),
        ("b.conf", "SecRule ARGS \"@pmFromFile words.data more.data\" id:3"),
        ("words.data", "# comment\n  one two \r\n\n"),
        ("more.data", "three"),
        ("nets.data", "10.0.0.0/8\n# x\n::1\n"),
        ("self.inc", "Include self.inc"),
    ];
    let text = "SecRule ARGS a id:1\nInclude *.conf\nIncludeOptional none.conf\nSecRule REMOTE_ADDR \"@ipMatchF nets.data\" id:4";
    let loaded = read_with(text, &files);
    assert_eq!(loaded.problems, []);
    let ids: Vec<_> = loaded
        .document
        .items
        .iter()
        .filter_map(
            |item| if let Item::Rule(rule) = item { Some((rule.actions.id, rule.place.to_string())) } else { None },
        )
        .collect();
    let places = [(1, "r.conf:1"), (2, "a.conf:1"), (3, "b.conf:1"), (4, "r.conf:4")];
    assert_eq!(ids, places.map(|(id, place)| (id, place.to_owned())));
    assert!(format!("{:?}", loaded.document).contains("IpMatch([10.0.0.0/8, ::1/128])"));
    let Item::Rule(rule) = &loaded.document.items[2] else { panic!() };
    let phrases: [&[u8]; 2] = [b"one two", b"three"];
    assert_eq!(rule.links[0].test.as_ref().unwrap().operator, Operator::Pm(phrases.map(Box::from).into()));
    let deep = read_with("Include self.inc", &files);
    assert_eq!(deep.problems.len(), 1);
    assert!(deep.problems[0].to_string().starts_with("self.inc:1: Include self.inc: is 16 files deep"));
}

#[test]
fn constructs_of_newer_rule_sets() {
    let loaded = read_with(
        r#"
SecAction \
    "id:900990,\
    phase:1,\
    pass,\
    t:none,\
    nolog,\
    tag:'OWASP_CRS',\
    ver:'OWASP_CRS/4.7.0',\
    setvar:tx.crs_setup_version=470"
SecRule &TX:crs_setup_version "@eq 0" \
    "id:901001,phase:1,deny,status:500,log,auditlog,msg:'setup: %{tx.x}',ver:'v',severity:'CRITICAL'"
SecRule TX:DETECTION_PARANOIA_LEVEL "@lt 1" "id:1011,phase:1,pass,nolog,tag:'X',skipAfter:END-REQUEST"
SecRule REQUEST_HEADERS:User-Agent "@pmFromFile a.data b.data" \
    "id:913100,phase:1,block,capture,t:none,setvar:'tx.inbound_anomaly_score_pl1=+%{tx.critical_anomaly_score}'"
SecRule MULTIPART_PART_HEADERS "@rx ^content-type\s*:\s*(.*)$" "id:922110,phase:2,block,capture,t:none,t:lowercase,chain"
    SecRule TX:1 "!@rx ^(?:text/plain)$" "t:none,setvar:'tx.a_%{tx.1}=1'"
SecRule REQUEST_COOKIES|!REQUEST_COOKIES:/__utm/|!REQUEST_COOKIES:/^_ga(?:_\w+)?$/|ARGS|XML:/* \
    "@rx (?i)a\x5cb" "id:932230,phase:2,block,t:none,t:escapeSeqDecode,t:cmdLine,multiMatch"
SecRule REQUEST_FILENAME "@endsWith /admin" "id:9001,phase:1,pass,t:none,nolog,\
    ctl:ruleRemoveTargetByTag=OWASP_CRS;ARGS:pass,\
    ctl:ruleRemoveByTag=attack-sqli,ctl:ruleRemoveTargetById=942100-942999;REQUEST_BODY"
SecRule FILES_NAMES|FILES|REQBODY_PROCESSOR "!@rx ^x" "id:9002,phase:2,block,t:none"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:9003,phase:2,t:none,log,deny,status:400,msg:'PE %{REQBODY_PROCESSOR_ERROR}, BQ %{MULTIPART_BOUNDARY_QUOTED}'"
SecMarker "END-REQUEST"
SecComponentSignature "OWASP_CRS/4.7.0"
SecRequestBodyLimit 13107200
SecAuditLogParts ABIJDEFHZ
"#,
        &[("a.data", "x"), ("b.data", "y\nz")],
    );
    assert_eq!(loaded.problems, []);
    assert_eq!(loaded.counts, Counts { loaded: 9, skipped: 0, not_judged: 0 });
    assert_eq!(loaded.notes.len(), 3);
}

/// Where Debian's package modsecurity-crs puts the OWASP rule set 3.3.
const INSTALLED: &str = "/usr/share/modsecurity-crs/owasp-crs.load";

/// Files of the system; a `*` stands in the last part of a path.
fn from_disk(path: &str, from: &str) -> Result<Given, String> {
    let path = Path::new(from).parent().unwrap().join(path);
    let (folder, pattern) = (path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap());
    let mut paths: Vec<_> = match pattern.split_once('*') {
        None => path.exists().then(|| path.clone()).into_iter().collect(),
        Some((_, end)) => std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|p| p.to_str().unwrap().ends_with(end))
            .collect(),
    };
    paths.sort();
    Ok(paths.iter().map(|path| (path.to_str().unwrap().into(), std::fs::read(path).unwrap())).collect())
}

/// The rules of a document by paranoia level; 0 = of none.
fn by_level(document: &Document) -> BTreeMap<u8, usize> {
    let mut levels = BTreeMap::new();
    for item in &document.items {
        let Item::Rule(rule) = item else { continue };
        let level =
            rule.actions.tags.iter().filter_map(Text::as_literal).find_map(|tag| tag.strip_prefix("paranoia-level/"));
        *levels.entry(level.map_or(0, |level| level.parse().unwrap())).or_default() += 1;
    }
    levels
}

#[test]
fn the_owasp_rules_of_the_system_are_read() {
    let Ok(text) = std::fs::read_to_string(INSTALLED) else { return };
    let loaded = read(&[Source { name: INSTALLED.into(), text: &text }], &mut from_disk);
    assert_eq!(loaded.counts, Counts { loaded: 529, skipped: 7, not_judged: 98 });
    assert_eq!(by_level(&loaded.document), BTreeMap::from([(0, 317), (1, 136), (2, 49), (3, 20), (4, 7)]));
    let mut skipped: Vec<u64> = loaded.problems.iter().map(|problem| problem.rule).collect();
    skipped.dedup();
    assert_eq!(skipped, [910_000, 910_100, 910_120, 910_140, 912_120, 912_130, 949_100]);
    assert!(loaded.problems.iter().all(Problem::can_be_skipped));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_read_without_harm(
        words in prop::collection::vec(
            prop::sample::select(&[
                "SecRule", "SecAction", "ARGS", "TX:", "&", "!", "|", ":", "/", "\"", "'", "\\", "\\\n", "\n", "#", "@rx",
                "@pm", "|4", "id:1", "id:2", "chain", ",", "t:none", "setvar:", "tx.", "%{", "}", "=", "+", "ctl:",
                "ruleRemoveTargetById=1;", "XML:/*", "@validateByteRange", "1-", "Include", "x.conf", "暴", " ",
            ][..]),
            0..60,
        ),
    ) {
        let text = words.join("");
        let loaded = read_with(&text, &[("x.conf", "SecRule ARGS a id:3\n")]);
        for problem in &loaded.problems {
            prop_assert!(!problem.to_string().contains('\n') && !problem.what.is_empty());
        }
        let spaced = words.join(" ");
        read_with(&spaced, &[]);
    }
}
