//! The keys of limits: what is said about each mistake, and what an accepted table means.

use super::*;
use crate::control::callers::store::{Wish, change};
use crate::http::RequestHead;
use crate::policy::auth::Key;
use crate::policy::limit::{KeyPart, Limit};

const ONE: &str = "[[limit]]\nname = \"one\"\n";

fn limits(route: &str, more: &str) -> Vec<Arc<Limit>> {
    let text = with("route", route) + more;
    limits_of(&load_text(&text).unwrap_or_else(|e| panic!("{e}")))
}

fn limits_of(loaded: &Loaded) -> Vec<Arc<Limit>> {
    let route = loaded.plan.service.router.find(b"h", b"/", &RequestHead::default()).unwrap();
    route.screen.limits.to_vec()
}

/// The one error of a text begins so.
fn check(section: &str, text: &str, said: &str) {
    let Err(errors) = load_text(&with(section, text)) else { panic!("accepted: {text}") };
    let shown = errors.to_string();
    assert!(shown.strip_prefix("c.toml:").unwrap().starts_with(said), "{text}:\n{shown}\n{said}");
    assert_eq!(shown.lines().count(), 1, "{shown}");
}

#[test]
fn mistakes_in_a_limit() {
    let with_line = |line: &str| format!("limits = [\"one\"]\n{ONE}{line}");
    let cases = [
        ("", "13:1: limit[0]: limits nothing; add rate = \"100/s\" or in_flight = 20"),
        ("rate = \"100\"", "15:8: limit[0].rate: \"100\" is not a rate; write a number per second"),
        ("rate = \"1/h\"\nburst = 9999999", "15:8: limit[0].rate: takes more than 36 years to give such a burst back"),
        ("rate = \"1/s\"\nkey = []", "16:7: limit[0].key: is empty; leave it out for the address"),
        ("rate = \"1/s\"\nkey = [\"adress\"]", "16:8: limit[0].key[0]: \"adress\" is not a part of a limit's key; did"),
        ("rate = \"1/s\"\nkey = [\"all\", \"route\"]", "16:8: limit[0].key[0]: says nothing beside other parts"),
        ("rate = \"1/s\"\nkey = [\"route\", \"route\"]", "16:17: limit[0].key[1]: is listed twice"),
        ("rate = \"1/s\"\nstatus = 200", "16:10: limit[0].status: 200 is not a status of refusals; write 429 or 503"),
        ("rate = \"1/s\"\ndelay = \"6m\"", "16:9: limit[0].delay: is too long; write at most 5m"),
        ("in_flight = 0", "15:13: limit[0].in_flight: 0 is out of range"),
    ];
    for (line, said) in cases {
        check("route", &with_line(line), said);
    }
    let cases = [
        (
            "route",
            "limits = [\"on\"]\n[[limit]]\nname = \"one\"\nrate = \"1/s\"",
            "12:11: route[0].limits[0]: there is no limit \"on\"; did you mean `one`?",
        ),
        (
            "route",
            "limits = [\"one\"]",
            "12:11: route[0].limits[0]: there is no limit \"one\"; add [[limit]] with this name",
        ),
        ("server", "[limits]\nmemory = \"1KiB\"", "3:10: limits.memory: is too small; write at least 64KiB"),
        ("listener", "new_connections = \"1/d\"", "5:19: listener[0].new_connections: \"1/d\" is not a rate"),
        ("upstream", "in_flight = 0", "9:13: upstream[0].in_flight: 0 is out of range"),
    ];
    for (section, text, said) in cases {
        check(section, text, said);
    }
}

#[test]
fn too_many_limits_of_what_is_in_flight_are_refused() {
    let tables: String = (0..5).map(|i| format!("[[limit]]\nname = \"l{i}\"\nin_flight = 1\n")).collect();
    let names: Vec<String> = (0..5).map(|i| format!("\"l{i}\"")).collect();
    let text = format!("limits = [{}]\n{tables}", names.join(", "));
    let said = "12:10: route[0].limits: has more than 4 limits with `in_flight`; merge some of them";
    check("route", &text, said);
}

#[test]
fn what_has_no_effect_is_warned_about() {
    let text = "limits = [\"one\"]\n[[limit]]\nname = \"one\"\nin_flight = 1\nburst = 2\nwaiting = 3\n\
                [[limit]]\nname = \"two\"\nrate = \"1/s\"\n";
    let warnings = load_text(&with("route", text)).unwrap().warnings;
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].contains("limit[0].burst: has no effect: there is no `rate`"), "{}", warnings[0]);
    assert!(warnings[1].contains("limit[0].waiting: has no effect: there is no `delay`"), "{}", warnings[1]);
    assert!(warnings[2].contains("no route has the limit \"two\""), "{}", warnings[2]);
}

#[test]
fn an_accepted_limit() {
    let lines = format!("{ONE}rate = \"600r/m\"\nburst = 20\ndelay = \"2s\"\nkey = [\"header:X-Team\", \"route\"]\n");
    let found = limits("limits = [\"one\"]", &lines);
    let [one] = &found[..] else { panic!("one limit") };
    let rate = one.rate.unwrap();
    assert_eq!((rate.interval_ns(), rate.quota()), (100_000_000, 21));
    assert_eq!(&*one.key, [KeyPart::Header("x-team".into()), KeyPart::Route]);
    assert_eq!(
        (one.prefixes.v4, one.prefixes.v6, one.status, one.dry_run, one.waiting.most),
        (32, 64, 429, false, 1_000)
    );
}

#[test]
fn a_limit_that_is_named_twice_is_charged_once() {
    let lines = format!("{ONE}rate = \"1/s\"\n[limits]\nevery_route = [\"one\"]\n");
    assert_eq!(limits("limits = [\"one\"]", &lines).len(), 1);
    assert_eq!(limits("", &lines).len(), 1);
}

#[test]
fn state_outlives_a_reload_with_the_same_terms() {
    let keep = Keep::new().unwrap();
    let load = |lines: &str| {
        let text = with("route", "limits = [\"one\"]") + ONE + lines;
        parse(&text, Path::new("c.toml"), &keep, &|_| None).unwrap()
    };
    let state = |loaded: &Loaded| Arc::clone(&limits_of(loaded)[0].state);
    let first = load("rate = \"1/s\"");
    let again = load("rate = \"1/s\"\nstatus = 503\ndry_run = true");
    assert!(Arc::ptr_eq(&state(&first), &state(&again)));
    let other = load("rate = \"2/s\"");
    assert!(!Arc::ptr_eq(&state(&first), &state(&other)));
    assert!(Arc::ptr_eq(&state(&first).table, &state(&other).table));
    assert_ne!(state(&first).number, state(&other).number);
    let resized = load("rate = \"1/s\"\n[limits]\nmemory = \"1MiB\"");
    assert!(!Arc::ptr_eq(&state(&first), &state(&resized)));
}

#[test]
fn names_that_a_key_has_are_resolved_once_and_unknown_ones_are_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let wish = |name: &str, limits: &[&str]| Wish {
        name: name.to_owned(),
        limits: limits.iter().map(|name| (*name).to_owned()).collect(),
        ..Wish::default()
    };
    let keys = change(&folder.path().join("callers.json"), true, |store| {
        let ci = store.create(wish("ci", &["one", "gone", "one"]), 0)?;
        store.create(wish("other", &[]), 0).map(|other| [ci.text, other.text])
    });
    let text = with("route", "limits = [\"two\"]\ncallers = \"required\"")
        .replace("[[upstream]]", "[[upstream]]\ncredential = { none = true }")
        + "[callers]\nstore = \"callers.json\"\n[[limit]]\nname = \"two\"\nrate = \"1/s\"\n"
        + ONE
        + "key = [\"caller\"]\nrate = \"1/s\"\n[[limit]]\nname = \"idle\"\nrate = \"1/s\"\n";
    let loaded = parse(&text, &folder.path().join("c.toml"), &Keep::new().unwrap(), &|_| None).unwrap();
    let warnings = loaded.warnings.join("\n");
    assert!(warnings.contains("the key \"ci\" has the limit \"gone\", and there is none"), "{warnings}");
    assert!(warnings.contains("no route and no key has the limit \"idle\""), "{warnings}");
    assert_eq!(loaded.warnings.len(), 2, "{warnings}");
    let names = keys.unwrap().map(|key| {
        let key = Key::parse(key.as_bytes()).unwrap();
        let caller = loaded.plan.service.callers.find(&key, 0).unwrap();
        caller.limits().iter().map(|limit| limit.name.to_string()).collect::<Vec<_>>()
    });
    assert_eq!(names, [vec!["one".to_owned()], Vec::new()]);
}
