//! The firewall's keys: what is said about each mistake, which route has which firewall, what rules are told to be.

use super::errors::check_all;
use super::*;
use crate::bounds;
use crate::http::RequestHead;
use crate::policy::waf::guard::{Guard, Over};
use crate::policy::waf::model::Mode;

const RULE: &str = "rules = 'SecRule ARGS x \"id:1,deny\"'";

fn guard(loaded: &Loaded, path: &str) -> Option<Arc<Guard>> {
    let route = loaded.plan.service.router.find(b"h", path.as_bytes(), &RequestHead::default()).unwrap();
    route.screen.waf.clone()
}

fn accepted(result: Result<Loaded, ConfigErrors>) -> Loaded {
    result.unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn keys() {
    let waf = |lines: &str| format!("waf = \"w\"\n[[waf]]\nname = \"w\"\n{lines}");
    let cases = [
        (waf(""), "13:1: waf[0]: has no rules; add files = "),
        (waf(&format!("{RULE}\nmode = \"on\"")), "16:8: waf[0].mode: \"on\" is not a known value; "),
        (
            waf(&format!("{RULE}\ninspect_bytes = \"9MiB\"")),
            "16:17: waf[0].inspect_bytes: is too large; write at most 8MiB",
        ),
        (waf(&format!("{RULE}\nover = 1")), "16:8: waf[0].over: is a whole number, but must be a string"),
        (waf(&format!("{RULE}\nfoo = 1")), "16:1: waf[0].foo: is not a known key; "),
        (waf("files = [\"none.conf\"]"), "15:10: waf[0].files[0]: there is no such file; check the path"),
        (waf("rules = 'SecFoo'"), "15:9: waf[0].rules: rules of w:1: SecFoo: is not a directive; docs/waf.md"),
        (
            waf("rules = '''\nSecRule ARGS @rbl id:7'''"),
            "15:9: waf[0].rules: rules of w:1: rule 7: @rbl: asks another server about each request; remove the rule; or set \
             skip_unsupported = true to go without such rules",
        ),
        ("waf = \"x\"".to_owned(), "12:7: route[0].waf: there is no waf \"x\"; "),
        (format!("[[waf]]\nname = \"off\"\n{RULE}"), "13:8: waf[0].name: is taken: waf = \"off\" on a route means"),
        (format!("[[waf]]\n{RULE}"), "12:1: waf[0].name: is missing; add name = "),
    ];
    for (extra, wanted) in &cases {
        let shown = load_text(&with("route", extra)).unwrap_err().to_string();
        assert!(shown.starts_with(&format!("c.toml:{wanted}")) && !shown.contains('\n'), "{extra}:\n{shown}\n{wanted}");
    }
    check_all(&[("server", "waf = \"x\"", &["2:7: server.waf: there is no waf \"x\"; "])]);
}

#[test]
fn routes_have_the_firewall_that_they_name_or_that_of_all() {
    let text = format!(
        "[server]\nwaf = \"a\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n[[upstream]]\nname = \"api\"\n\
         endpoints = [\"http://127.0.0.1:9000\"]\n[[route]]\nupstream = \"api\"\n[[route]]\npath = \"/b\"\n\
         upstream = \"api\"\nwaf = \"b\"\n[[route]]\npath = \"/off\"\nupstream = \"api\"\nwaf = \"off\"\n\
         [[route]]\npath = \"/c\"\nupstream = \"api\"\nwaf = \"c\"\n\
         [[waf]]\nname = \"a\"\n{RULE}\n[[waf]]\nname = \"b\"\n{RULE}\nmode = \"detect\"\ninspect_bytes = \"1KiB\"\n\
         over = \"deny\"\ndecompress = true\n[[waf]]\nname = \"c\"\nmode = \"off\"\n{RULE}\n[[waf]]\nname = \"d\"\n{RULE}\n"
    );
    let loaded = accepted(load_text(&text));
    let a = guard(&loaded, "/").unwrap();
    assert_eq!((&*a.name, a.mode(), a.terms.over, a.terms.decompress), ("a", Mode::On, Over::Partial, false));
    assert_eq!((a.terms.inspect_bytes, a.rules(0).len()), (bounds::WAF_BODY_BYTES_DEFAULT, 1));
    let b = guard(&loaded, "/b").unwrap();
    assert_eq!((&*b.name, b.mode(), b.terms.over, b.terms.decompress), ("b", Mode::DetectionOnly, Over::Deny, true));
    assert_eq!(b.terms.inspect_bytes, 1024);
    assert!(guard(&loaded, "/off").is_none() && guard(&loaded, "/c").is_none());
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].contains("waf[3]: has no effect: no route names it"));
    assert_eq!(loaded.reports[0], "waf a: blocks; rules: 1 loaded, 0 skipped, 0 not judged (about responses)");
    assert!(loaded.reports[1].starts_with("waf b: detects only;") && loaded.reports[2].starts_with("waf c: off;"));
}

#[test]
fn files_are_found_from_the_file_that_names_them_and_noted() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    write("main.conf", "SecRuleEngine DetectionOnly\nInclude rules/*.conf\n");
    write("rules/1.conf", "SecRule ARGS \"@pmFromFile words.data\" \"id:1,deny\"\nSecRule ARGS \"@geoLookup\" id:2\n");
    write("rules/2.conf", "SecRule RESPONSE_BODY x \"id:3,phase:4\"\n# \\\nSecRule ARGS x id:4\n");
    write("rules/words.data", "one\ntwo\n");
    let waf =
        |more: &str| with("route", &format!("waf = \"w\"\n[[waf]]\nname = \"w\"\nfiles = [\"main.conf\"]\n{more}"));
    let refused = load_in(folder.path(), &waf("")).unwrap_err().to_string();
    assert!(refused.contains("rules/1.conf:2: rule 2: @geoLookup: needs a database of places; "), "{refused}");
    let loaded = accepted(load_in(folder.path(), &waf("skip_unsupported = true\nrules = 'SecRule ARGS x id:5'")));
    let files: Vec<_> =
        loaded.files.iter().map(|path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap()).collect();
    assert_eq!(files, ["main.conf", "rules/1.conf", "rules/2.conf", "rules/words.data"]);
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    assert!(
        loaded.warnings[1].contains("rules/2.conf:3: #: this line belongs to the comment"),
        "{:?}",
        loaded.warnings
    );
    assert!(loaded.warnings[0].contains("left out: "), "{:?}", loaded.warnings);
    assert_eq!(loaded.reports, ["waf w: detects only; rules: 2 loaded, 1 skipped, 1 not judged (about responses)"]);
    let rules = guard(&loaded, "/").unwrap();
    assert_eq!(rules.rules(0).len(), 2);
}

/// Loads a configuration of `examples/waf`.
fn example(name: &str) -> Loaded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/waf").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    accepted(parse(&text, &path, &Keep::new().unwrap(), &|_| None))
}

#[test]
fn the_examples_are_accepted() {
    let loaded = example("prompts.toml");
    assert_eq!(loaded.warnings, [""; 0]);
    let shown = ["prompts: blocks; rules: 3 loaded, 0", "words: detects only; rules: 1 loaded, 0"];
    assert!(loaded.reports.iter().zip(shown).all(|(report, shown)| report.contains(shown)), "{:?}", loaded.reports);
    assert!(guard(&loaded, "/v1/x").is_some() && guard(&loaded, "/health").is_none());
    if Path::new("/usr/share/modsecurity-crs/rules").exists() {
        let loaded = example("crs.toml");
        assert!(loaded.reports[0].starts_with("waf crs: detects only; rules: 528 loaded, 8 skipped, 98 not"));
        assert!(loaded.warnings.iter().all(|warning| warning.contains("left out: ")));
    }
}
