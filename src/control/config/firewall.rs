//! The firewall's part of the plan: reads the rules of each `[[waf]]`, says what could not be taken, and finds the one of
//! each route. The language of rules is `policy::waf::text`'s.

use std::path::Path;
use std::sync::Arc;

use super::problems::{Place, Problems};
use super::raw::{RawConfig, RawRoute};
use super::raw_waf::{OFF, RawWaf};
use super::reader::did_you_mean;
use super::resolve::{Context, items, or, refuse_twice};
use super::rule_files;
use super::values::quoted;
use crate::bounds;
use crate::policy::waf::compile::RuleSet;
use crate::policy::waf::guard::{Guard, Terms};
use crate::policy::waf::model::{self, Item, Mode};
use crate::policy::waf::text::{self, Counts, Loaded, Problem, Source};

/// The firewalls of a configuration.
pub(super) struct Guards {
    /// In the order written.
    known: Vec<(String, Option<Arc<Guard>>)>,
    /// The name for routes that name none.
    of_all: Option<String>,
}

impl Guards {
    /// Reads all rules. Problems are noted.
    pub fn resolve(raw: &RawConfig, context: &Context<'_>) -> Self {
        let names = raw.wafs.iter().filter_map(|w| w.name.as_ref()).map(|name| (name.as_str(), &name.place));
        refuse_twice("waf", names, context.problems);
        let known = raw.wafs.iter().filter_map(|waf| {
            let guard = guard(waf, context);
            waf.name.as_ref().map(|name| (name.value.clone(), guard))
        });
        let mut guards = Self { known: known.collect(), of_all: None };
        if let Some(name) = raw.server.waf.as_ref().filter(|name| name.as_str() != OFF) {
            guards.find(name, &name.place, context.problems);
            guards.of_all = Some(name.value.clone());
        }
        let named = |waf: &RawWaf| {
            let is_it = |name: &&str| waf.name.as_ref().is_some_and(|own| own.as_str() == *name);
            let of_routes = raw.routes.iter().filter_map(|route| route.waf.as_ref());
            of_routes.chain(&raw.server.waf).map(|at| at.as_str()).any(|name| is_it(&name))
        };
        for waf in raw.wafs.iter().filter(|waf| waf.name.is_some() && !named(waf)) {
            context.problems.warn(&waf.place, "has no effect: no route names it", "add waf = \"NAME\" to a [[route]]");
        }
        guards
    }

    /// The firewall of a route.
    pub fn of(&self, route: &RawRoute, context: &Context<'_>) -> Option<Arc<Guard>> {
        let guard = match &route.waf {
            Some(name) if name.as_str() == OFF => None,
            Some(name) => self.find(name, &name.place, context.problems),
            None => self.known.iter().find(|(name, _)| Some(name) == self.of_all.as_ref())?.1.clone(),
        };
        // One that is switched off costs nothing.
        guard.filter(|guard| guard.mode() != Mode::Off)
    }

    fn find(&self, name: &str, place: &Place, problems: &Problems) -> Option<Arc<Guard>> {
        let found = self.known.iter().find(|(known, _)| known == name);
        if found.is_none() {
            let known: Vec<&str> = self.known.iter().map(|(name, _)| name.as_str()).chain([OFF]).collect();
            problems.error(place, format!("there is no waf {}", quoted(name)), did_you_mean(name, &known));
        }
        found.and_then(|(_, guard)| guard.clone())
    }
}

/// One firewall. `None`: something is wrong, and noted.
fn guard(raw: &RawWaf, context: &Context<'_>) -> Option<Arc<Guard>> {
    let problems = context.problems;
    if items(&raw.files).is_empty() && raw.rules.is_none() && !problems.any_under(&raw.place.path) {
        problems.error(&raw.place, "has no rules", "add files = [\"rules/*.conf\"], or rules = '''…'''");
    }
    let name = raw.name.as_ref()?;
    let loaded = load(raw, name, context);
    let skip = or(&raw.skip_unsupported, false);
    for problem in &loaded.problems {
        note(problem, skip, raw, name, problems);
    }
    for swallowed in loaded.notes.iter().filter(|note| note.construct == "#") {
        problems.warn(place_of(&swallowed.place, raw, name), swallowed.to_string(), "");
    }
    let ids: Vec<u64> = loaded.document.items.iter().filter_map(rule_id).collect();
    let (rules, errors) = RuleSet::compile_what_can(loaded.document);
    for error in &errors {
        let place = place_of(&error.place, raw, name);
        match skip {
            true => problems.warn(place, format!("left out: {error}"), ""),
            false => problems.error(place, error.to_string(), "correct the rule, or set skip_unsupported = true"),
        }
    }
    let rules = match or(&raw.mode, None) {
        Some(mode) => rules.with_mode(mode),
        None => rules,
    };
    context.reports.borrow_mut().push(report(name, loaded.counts, errors.len(), rules.mode()));
    let name: Arc<str> = name.as_str().into();
    let counters = context.registry.rules(&name, ids);
    let terms = Terms {
        inspect_bytes: or(&raw.inspect_bytes, bounds::WAF_BODY_BYTES_DEFAULT),
        over: or(&raw.over, Default::default()),
        decompress: or(&raw.decompress, false),
    };
    Some(Arc::new(Guard::new(name, &rules, context.registry.cores(), terms, counters)))
}

fn rule_id(item: &Item) -> Option<u64> {
    if let Item::Rule(rule) = item { Some(rule.actions.id) } else { None }
}

/// What the rules of the table itself are called in messages.
fn own_name(name: &str) -> String {
    format!("rules of {name}")
}

/// Reads the rules of the files, and behind them those of the table.
fn load(raw: &RawWaf, name: &str, context: &Context<'_>) -> Loaded {
    let own = own_name(name);
    let mut give = |path: &str, from: &str| {
        let folder = if from == own { context.base_dir } else { Path::new(from).parent().unwrap_or(Path::new("")) };
        rule_files::read(path, folder, context)
    };
    let mut texts: Vec<(Arc<str>, String)> = Vec::new();
    for file in items(&raw.files) {
        match rule_files::read(file, context.base_dir, context) {
            Ok(files) if files.is_empty() && context.ticketer.is_some() => {
                context.problems.error(&file.place, "there is no such file", "check the path");
            }
            Ok(files) => texts.extend(files.into_iter().filter_map(|(name, bytes)| {
                let utf8 = String::from_utf8(bytes);
                if utf8.is_err() {
                    context.problems.error(&file.place, format!("{name} is not UTF-8"), "save the file as UTF-8");
                }
                Some((name, utf8.ok()?))
            })),
            Err(e) => context.problems.error(&file.place, e, "check the path and its permissions"),
        }
    }
    if let Some(rules) = &raw.rules {
        texts.push((own.as_str().into(), rules.value.clone()));
    }
    let sources: Vec<Source<'_>> = texts.iter().map(|(name, text)| Source { name: Arc::clone(name), text }).collect();
    text::read(&sources, &mut give)
}

/// Where the configuration names the text that a problem is in.
fn place_of<'r>(at: &model::Place, raw: &'r RawWaf, name: &str) -> &'r Place {
    let own = raw.rules.as_ref().filter(|_| *at.file == *own_name(name)).map(|rules| &rules.place);
    own.or(raw.files.as_ref().map(|files| &files.place)).unwrap_or(&raw.place)
}

/// A rule that could not be taken: a warning where that was agreed to, else an error.
fn note(problem: &Problem, skip: bool, raw: &RawWaf, name: &str, problems: &Problems) {
    let place = place_of(&problem.place, raw, name);
    let shown = Problem { hint: String::new(), ..problem.clone() }.to_string();
    match (skip, problem.can_be_skipped()) {
        (true, true) => problems.warn(place, format!("left out: {shown}"), problem.hint.as_str()),
        (false, true) => {
            let hint = format!("{}; or set skip_unsupported = true to go without such rules", problem.hint);
            problems.error(place, shown, hint);
        }
        (_, false) => problems.error(place, shown, problem.hint.as_str()),
    }
}

/// What was made of the rules, in one line.
fn report(name: &str, counts: Counts, left_out: usize, mode: Mode) -> String {
    let Counts { loaded, skipped, not_judged } = counts;
    let (taken, skipped) = (loaded.saturating_sub(left_out), skipped + left_out);
    let mode = match mode {
        Mode::On => "blocks",
        Mode::DetectionOnly => "detects only",
        Mode::Off => "off",
    };
    format!("waf {name}: {mode}; rules: {taken} loaded, {skipped} skipped, {not_judged} not judged (about responses)")
}
