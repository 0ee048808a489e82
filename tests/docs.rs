//! The documents against the program: names, statuses, keys and links that a page states must be there, and the other
//! way round. Prose is nobody's business here.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ringway::cache::store::Cache;
use ringway::control::admin::{CacheAdmin, Hooked, metrics};
use ringway::h1::Reject;
use ringway::log::Field;
use ringway::proxy::failure::Failure;
use ringway::stats::{
    CacheOutcome, CoreStats, Counter, Gauge, Histogram, NotStored, Pass, ProcessInfo, Reason, render,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The cells of all table rows of a page, trimmed.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    rows.map(|row| row.split('|').map(str::trim).collect()).collect()
}

/// The first cells of a table that opens after `heading`, without backticks and labels.
fn names_under(text: &str, heading: &str) -> BTreeSet<String> {
    let at = text.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let section = &text[at + heading.len() + 2..];
    let section = &section[..section.find("\n#").unwrap_or(section.len())];
    let names = rows(section).into_iter().filter_map(|row| row.first()?.strip_prefix('`')?.strip_suffix('`'));
    names.map(|name| name.split('{').next().unwrap_or(name).to_owned()).collect()
}

/// All pages that belong to the project.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|p| root().join(p)).to_vec();
    for folder in ["docs", "tuning"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        pages.extend(entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "md")));
    }
    pages
}

#[test]
fn every_metric_that_a_scrape_shows_is_documented_and_no_other() {
    let page = read("docs/metrics.md");
    let core = CoreStats::new();
    core.status(200);
    let cache = CacheAdmin::new(Cache::new(1 << 20, [0; 32]));
    let scrape = render(&[core], &ProcessInfo::default()) + &metrics::render(&cache);
    let types = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut shown: [BTreeSet<String>; 3] = Default::default();
    for (name, kind) in types {
        let index = ["counter", "gauge", "histogram"].iter().position(|k| *k == kind).unwrap();
        shown[index].insert(name.to_owned());
    }
    assert!(Counter::ALL.iter().all(|c| shown[0].contains(c.name())));
    assert!(Gauge::ALL.iter().all(|g| shown[1].contains(g.name())));
    assert!(Histogram::ALL.iter().all(|h| shown[2].contains(h.name())));
    for (shown, heading) in shown.iter().zip(["### Counters", "### Gauges", "### Histograms"]) {
        assert_eq!(&names_under(&page, heading), shown, "{heading} of docs/metrics.md");
    }
}

#[test]
fn every_word_of_the_cache_is_documented_with_its_meaning_and_no_other() {
    let page = read("docs/metrics.md");
    let rows = rows(&page);
    let outcomes: Vec<_> = CacheOutcome::ALL.iter().map(|word| (word.name(), word.help())).collect();
    let passes: Vec<_> = Pass::ALL.iter().map(|word| (word.name(), word.help())).collect();
    let not_stored: Vec<_> = NotStored::ALL.iter().map(|word| (word.name(), word.help())).collect();
    for (heading, words) in
        [("### Cache outcomes", outcomes), ("### Cache passes", passes), ("### Cache not stored", not_stored)]
    {
        let known: BTreeSet<String> = words.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names_under(&page, heading), known, "{heading} of docs/metrics.md");
        for (name, help) in words {
            let row = [format!("`{name}`"), help.to_owned()];
            assert!(rows.iter().any(|r| r.iter().eq(row.iter())), "docs/metrics.md lacks | {} | {help} |", row[0]);
        }
    }
    let known: BTreeSet<String> = Hooked::ALL
        .iter()
        .map(|outcome| outcome.name())
        .chain(["X-Ringway-Signature", "X-Ringway-Timestamp"])
        .map(str::to_owned)
        .collect();
    assert_eq!(names_under(&read("docs/cache.md"), "## Webhook"), known, "docs/cache.md");
}

#[test]
fn every_field_of_the_log_is_documented_and_no_other() {
    let page = read("docs/logging.md");
    let known: BTreeSet<String> = Field::ALL.iter().map(|field| field.name().to_owned()).collect();
    assert_eq!(names_under(&page, "## Fields"), known, "docs/logging.md");
    let rows = rows(&page);
    for field in Field::ALL {
        let row = [format!("`{}`", field.name()), field.help().to_owned()];
        assert!(rows.iter().any(|r| r.iter().eq(row.iter())), "docs/logging.md lacks | {} | {} |", row[0], row[1]);
    }
}

#[test]
fn every_reason_is_documented_with_its_status_and_no_other() {
    let known: BTreeSet<String> = Reason::ALL.iter().map(|reason| reason.name().to_owned()).collect();
    assert_eq!(names_under(&read("docs/metrics.md"), "### Reasons"), known, "docs/metrics.md");
    let page = read("docs/failures.md");
    assert_eq!(names_under(&page, "## Reasons"), known, "docs/failures.md");
    let rows = rows(&page);
    for reason in Reason::ALL {
        let answer = Failure::from(*reason).answer();
        let name = format!("`{}`", reason.name());
        let status = answer.status.to_string();
        let kind = if answer.status == 499 { "–".to_owned() } else { format!("`{}`", answer.kind) };
        assert!(
            rows.iter().any(|row| row.starts_with(&[&name, &status, &kind])),
            "docs/failures.md lacks | {name} | {status} | {kind} |"
        );
    }
}

#[test]
fn every_reason_of_http2_says_how_its_connection_ends() {
    let known: BTreeSet<String> =
        Reason::ALL.iter().map(|reason| reason.name().to_owned()).filter(|name| name.starts_with("h2_")).collect();
    assert_eq!(names_under(&read("docs/http2.md"), "## How what is refused ends"), known, "docs/http2.md");
}

#[test]
fn every_rule_of_http_is_documented_with_its_status_and_reason() {
    let page = read("docs/failures.md");
    let mut known: BTreeSet<String> = Reject::ALL.iter().map(|reject| reject.name().to_owned()).collect();
    known.insert("dot_segment_in_path".to_owned());
    assert_eq!(names_under(&page, "## Rules of HTTP/1.1"), known);
    let rows = rows(&page);
    for reject in Reject::ALL.iter().filter(|reject| **reject != Reject::BadStatus) {
        let failure = Failure::from(*reject);
        let name = format!("`{}`", reject.name());
        let (status, reason) = (failure.answer().status.to_string(), format!("`{}`", failure.reason.name()));
        assert!(
            rows.iter().any(|row| row.starts_with(&[&name, &status, &reason])),
            "docs/failures.md lacks | {name} | {status} | {reason} |"
        );
    }
}

#[test]
fn every_key_of_the_full_example_is_documented_and_no_other() {
    let page = read("docs/configuration.md");
    let cells: BTreeSet<&str> = rows(&page).into_iter().filter_map(|row| row.first().copied()).collect();
    let mut keys = BTreeSet::new();
    for line in read("examples/full.toml").lines() {
        let line = line.strip_prefix("# connections_max").map_or(line, |_| &line[2..]);
        if line.starts_with('[') {
            let section = &line[..line.rfind(']').unwrap() + 1];
            assert!(page.contains(&format!("`{section}`")), "docs/configuration.md lacks {section}");
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            assert!(cells.contains(&*format!("`{key}`")), "docs/configuration.md lacks a row for `{key}`");
            keys.insert(key.to_owned());
        }
    }
    for key in cells.iter().filter_map(|cell| cell.strip_prefix('`')?.strip_suffix('`')) {
        assert!(keys.contains(key), "examples/full.toml lacks `{key}`");
    }
}

#[test]
fn links_and_paths_in_the_documents_lead_somewhere() {
    const FOLDERS: [&str; 9] =
        ["src/", "tests/", "docs/", "benches/", "examples/", "deploy/", "tuning/", "fuzz/", ".ci/"];
    let mut lost = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            let is_there = link.starts_with("https://") || (target.exists() && has_anchor(&target, anchor));
            if !is_there {
                lost.push(format!("{}: {link}", page.display()));
            }
        }
        for word in text.split('`').skip(1).step_by(2) {
            let is_path = FOLDERS.iter().any(|f| word.starts_with(f)) && !word.contains([' ', '*', '<', '\n']);
            if is_path && !root().join(word).exists() {
                lost.push(format!("{}: {word}", page.display()));
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

/// Whether a page has the heading that an anchor names; no anchor is always there.
fn has_anchor(page: &Path, anchor: &str) -> bool {
    if anchor.is_empty() {
        return true;
    }
    let text = std::fs::read_to_string(page).unwrap();
    let slug = |heading: &str| -> String {
        let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
    };
    text.lines().filter(|line| line.starts_with('#')).any(|line| slug(line.trim_start_matches('#')) == anchor)
}
