//! Rules: from links as they are written to rules with their chain, their defaults and the changes made to them.
//!
//! Counts what was taken and what was not. A rule with a link that cannot be taken is left out as a whole.

use std::collections::HashMap;

use super::actions::{self, Actions, Verb};
use super::{Counts, DataFiles, Fault, Kind, Problem, fault, operators, targets};
use crate::policy::waf::model::{Disposition, Document, Effect, Item, Link, Place, Rule, RuleActions, Test, Transform};

/// The last phase that is judged: 1 = head, 2 = body.
const PHASES_JUDGED: u8 = 2;
/// The phase of rules that name none.
const PHASE_DEFAULT: u8 = 2;

/// What `SecDefaultAction` says of a phase.
#[derive(Clone, Debug)]
struct DefaultAction {
    disposition: Disposition,
    status: Option<u16>,
    log: bool,
    auditlog: bool,
    transforms: Vec<Transform>,
}

impl Default for DefaultAction {
    /// As ModSecurity has it: `log,auditlog,pass`.
    fn default() -> Self {
        Self { disposition: Disposition::Pass, status: None, log: true, auditlog: true, transforms: Vec::new() }
    }
}

/// A rule of which the last link is still to come, or that is about to be finished.
struct Open {
    place: Place,
    id: u64,
    phase: u8,
    /// Nothing was wrong so far.
    sound: bool,
    actions: RuleActions,
    links: Vec<Link>,
}

/// What is gathered while reading.
#[derive(Default)]
pub(super) struct Rules {
    pub document: Document,
    pub counts: Counts,
    pub problems: Vec<Problem>,
    pub notes: Vec<Problem>,
    defaults: HashMap<u8, DefaultAction>,
    seen: HashMap<u64, Place>,
    open: Option<Open>,
    updates: Vec<(Place, u64, Actions)>,
}

impl Rules {
    /// `SecRule` (with targets and operator) or `SecAction` (without).
    pub fn link(&mut self, place: &Place, asks: Option<(&str, &str)>, list: &str, files: &mut DataFiles<'_>) {
        let mut actions = actions::actions(list);
        let first = self.open.is_none();
        let mut open = self.open.take().unwrap_or_else(|| self.begin(place, &mut actions));
        if open.phase <= PHASES_JUDGED {
            if !first {
                refuse_in_chain(&mut actions);
            }
            let default = self.default_of(open.phase);
            match asks.map(|asks| test(asks, &actions, &default, files)).transpose() {
                Ok(test) => open.links.push(link(place, test, &mut actions)),
                Err(fault) => actions.faults.push(fault),
            }
            open.sound &= actions.faults.is_empty();
            for fault in actions.faults {
                self.problem(place, open.id, fault);
            }
            for note in actions.notes {
                self.notes.push(Problem::of(place, open.id, note));
            }
        }
        match actions.chain {
            true => self.open = Some(open),
            false => self.finish(open),
        }
    }

    /// Takes what holds for a whole rule from its first link.
    fn begin(&mut self, place: &Place, actions: &mut Actions) -> Open {
        let phase = actions.phase.unwrap_or(PHASE_DEFAULT);
        let id = actions.id.unwrap_or_default();
        if id == 0 && phase <= PHASES_JUDGED && actions.faults.is_empty() {
            actions.faults.push(fault("id", "is missing", "add id:NUMBER to the actions; each rule has its own"));
        }
        if let Some(other) = self.seen.get(&id).filter(|_| id > 0) {
            let what = format!("is that of another rule, {other}");
            actions.faults.push(fault(format!("id:{id}"), what, "give each rule its own"));
        }
        self.seen.entry(id).or_insert_with(|| place.clone());
        let rule = rule_actions(actions, &self.default_of(phase));
        Open { place: place.clone(), id, phase, sound: true, actions: rule, links: Vec::new() }
    }

    fn finish(&mut self, open: Open) {
        let Open { place, id, phase, sound, actions, links } = open;
        if phase > PHASES_JUDGED {
            self.counts.not_judged += 1;
            let what = format!("is a rule of phase {phase}; responses are not judged");
            self.notes.push(Problem::of(&place, id, fault("phase", what, "")));
        } else if sound {
            self.counts.loaded += 1;
            self.document.items.push(Item::Rule(Rule { place, phase, actions, links }));
        } else {
            self.counts.skipped += 1;
        }
    }

    /// Any directive that is no link, and the end of a file: a chain must not be open there.
    pub fn end_chain(&mut self) {
        if let Some(open) = self.open.take() {
            let fault = fault(
                "chain",
                "the last rule of the chain is missing",
                "remove chain, or add the SecRule that is meant",
            );
            self.problem(&open.place, open.id, fault);
            self.finish(Open { sound: false, ..open });
        }
    }

    /// `SecDefaultAction`.
    pub fn default_action(&mut self, place: &Place, list: &str) {
        let mut actions = actions::actions(list);
        let Some(phase) = actions.phase else {
            return self.problem(place, 0, fault("SecDefaultAction", "names no phase", "add phase:1 or phase:2"));
        };
        if let Some(fault) = actions.faults.pop() {
            return self.problem(place, 0, fault);
        }
        let disposition = match actions.disposition {
            Some(Verb::Is(disposition)) => disposition,
            Some(Verb::Block) | None => {
                let hint = "add pass, deny or drop: it is what block stands for";
                return self.problem(place, 0, fault("SecDefaultAction", "says neither pass nor deny", hint));
            }
        };
        let plain = DefaultAction::default();
        let default = DefaultAction {
            disposition,
            status: actions.status,
            log: actions.log.unwrap_or(plain.log),
            auditlog: actions.auditlog.unwrap_or(plain.auditlog),
            transforms: transforms(&[], &actions.transforms),
        };
        self.defaults.insert(phase, default);
    }

    /// `SecRuleUpdateActionById`: kept until all rules are known.
    pub fn update_actions(&mut self, place: &Place, id: u64, list: &str) {
        let mut actions = actions::actions(list);
        if actions.id.is_some() || actions.phase.is_some() || actions.chain {
            let what = "a rule keeps its id, its phase and its chain";
            actions.faults.push(fault("SecRuleUpdateActionById", what, "remove the rule and write another"));
        }
        let sound = actions.faults.is_empty();
        for fault in std::mem::take(&mut actions.faults) {
            self.problem(place, id, fault);
        }
        if sound {
            self.updates.push((place.clone(), id, actions));
        }
    }

    /// Changes the rules that are meant, now that all are known.
    pub fn apply_updates(&mut self) {
        for (place, id, actions) in std::mem::take(&mut self.updates) {
            let rule = self.document.items.iter_mut().find_map(|item| match item {
                Item::Rule(rule) if rule.actions.id == id => Some(rule),
                _ => None,
            });
            match rule {
                Some(rule) => {
                    let default = self.defaults.get(&rule.phase).cloned().unwrap_or_default();
                    update(rule, actions, &default);
                }
                None => {
                    let note = fault("SecRuleUpdateActionById", "there is no such rule", "");
                    self.notes.push(Problem::of(&place, id, note));
                }
            }
        }
    }

    /// Notes what is wrong.
    pub fn problem(&mut self, place: &Place, rule: u64, fault: Fault) {
        self.problems.push(Problem::of(place, rule, fault));
    }

    fn default_of(&self, phase: u8) -> DefaultAction {
        self.defaults.get(&phase).cloned().unwrap_or_default()
    }
}

/// What only the first link of a chain may say: refused where it would change the verdict, else noted.
fn refuse_in_chain(actions: &mut Actions) {
    let verdict = match actions.disposition {
        Some(Verb::Is(Disposition::Pass) | Verb::Block) | None => None,
        Some(Verb::Is(_)) => Some("deny, drop or allow"),
    };
    let wrong = [
        verdict,
        actions.id.map(|_| "id"),
        actions.phase.map(|_| "phase"),
        actions.skip.map(|_| "skip"),
        actions.skip_after.as_ref().map(|_| "skipAfter"),
    ];
    for construct in wrong.into_iter().flatten() {
        actions.faults.push(fault(construct, "stands behind the first rule of a chain", "write it in the first one"));
    }
    if actions.msg.is_some() || actions.severity.is_some() || !actions.tags.is_empty() || actions.status.is_some() {
        actions.notes.push(fault("msg, severity, tag or status", "counts in the first rule of a chain only", ""));
    }
}

fn rule_actions(actions: &mut Actions, default: &DefaultAction) -> RuleActions {
    RuleActions {
        id: actions.id.unwrap_or_default(),
        disposition: disposition(actions.disposition, default),
        status: actions.status.or(default.status),
        msg: actions.msg.take(),
        tags: std::mem::take(&mut actions.tags),
        severity: actions.severity,
        rev: actions.rev.take(),
        ver: actions.ver.take(),
        log: actions.log.unwrap_or(default.log),
        auditlog: actions.auditlog.unwrap_or(default.auditlog),
        skip_after: actions.skip_after.take(),
        skip: actions.skip.take().unwrap_or_default(),
    }
}

fn disposition(written: Option<Verb>, default: &DefaultAction) -> Disposition {
    match written {
        Some(Verb::Is(disposition)) => disposition,
        Some(Verb::Block) | None => default.disposition,
    }
}

/// The transformations in force: `t:none` takes away all in front of it.
fn transforms(before: &[Transform], written: &[Option<Transform>]) -> Vec<Transform> {
    let mut all = before.to_vec();
    for transform in written {
        match transform {
            Some(transform) => all.push(*transform),
            None => all.clear(),
        }
    }
    all
}

fn test(
    (list, operator): (&str, &str),
    actions: &Actions,
    default: &DefaultAction,
    files: &mut DataFiles<'_>,
) -> Result<Test, Fault> {
    let targets = targets::targets(list, &['|'])?;
    let (operator, negated) = operators::operator(operator, files)?;
    Ok(Test { targets, operator, negated, transforms: transforms(&default.transforms, &actions.transforms) })
}

fn link(place: &Place, test: Option<Test>, actions: &mut Actions) -> Link {
    Link {
        place: place.clone(),
        test,
        effects: std::mem::take(&mut actions.effects),
        capture: actions.capture,
        multi_match: actions.multi_match,
        logdata: actions.logdata.take(),
    }
}

/// Puts what an update says over what the rule says.
fn update(rule: &mut Rule, actions: Actions, default: &DefaultAction) {
    let of = &mut rule.actions;
    if actions.disposition.is_some() {
        of.disposition = disposition(actions.disposition, default);
    }
    of.status = actions.status.or(of.status);
    of.severity = actions.severity.or(of.severity);
    of.log = actions.log.unwrap_or(of.log);
    of.auditlog = actions.auditlog.unwrap_or(of.auditlog);
    of.msg = actions.msg.or(of.msg.take());
    of.skip_after = actions.skip_after.or(of.skip_after.take());
    of.skip = actions.skip.unwrap_or(of.skip);
    of.tags.extend(actions.tags);
    let Some(first) = rule.links.first_mut() else { return };
    first.effects.extend::<Vec<Effect>>(actions.effects);
    first.capture |= actions.capture;
    first.logdata = actions.logdata.or(first.logdata.take());
    if let Some(test) = &mut first.test {
        test.transforms = transforms(&test.transforms, &actions.transforms);
    }
}

/// Whether rules can go without what is wrong: they do where unsupported rules may be left out.
pub(super) fn can_be_skipped(problem: &Problem) -> bool {
    problem.kind == Kind::Unsupported
}
