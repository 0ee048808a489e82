//! Directives that change other rules, carried out: what is left is the list of rules of a phase and its markers.
//!
//! `SecRuleRemoveById` and its kin hold for rules before and after them. A rule that is left out still counts as a place
//! to skip to.

use super::super::model::Operator;
use super::super::model::{Document, Item, Mode, Rule, Selection, Target, Text};
use super::super::operator;
use super::CompileError;

/// What a document says once its own changes are carried out.
#[derive(Debug, Default)]
pub struct Edited {
    pub steps: Vec<Step>,
    pub mode: Mode,
    /// `SecRequestBodyAccess`; on where nothing says otherwise, because rules about bodies are written to be judged.
    pub body_access: bool,
}

impl Edited {
    /// Leaves rules out; they stay as places to skip to.
    pub fn leave_out(&mut self, chosen: impl Fn(u64) -> bool) {
        remove(&mut self.steps, |rule| chosen(rule.actions.id));
    }
}

/// One thing on the way through a phase.
#[derive(Debug)]
pub enum Step {
    Rule(Rule),
    /// `SecMarker`, or the place of a rule that was removed.
    Marker(Box<str>),
}

/// Carries out what the document says about its own rules.
pub fn edit(document: Document, errors: &mut Vec<CompileError>) -> Edited {
    let mut edited = Edited { body_access: true, ..Edited::default() };
    let mut changes = Vec::new();
    for item in document.items {
        match item {
            Item::Rule(rule) => edited.steps.push(Step::Rule(rule)),
            Item::Marker(name) => edited.steps.push(Step::Marker(name)),
            Item::Engine(mode) => edited.mode = mode,
            Item::BodyAccess(on) => edited.body_access = on,
            change => changes.push(change),
        }
    }
    for change in changes {
        carry_out(&mut edited.steps, change, errors);
    }
    edited
}

fn carry_out(steps: &mut [Step], change: Item, errors: &mut Vec<CompileError>) {
    match change {
        Item::RemoveById(ranges) => {
            remove(steps, |rule| ranges.iter().any(|&(from, to)| (from..=to).contains(&rule.actions.id)));
        }
        Item::RemoveByTag(pattern) => {
            if let Some(chosen) = chooser(&Selection::Tag(pattern), errors) {
                remove(steps, chosen);
            }
        }
        Item::RemoveByMsg(pattern) => {
            if let Some(chosen) = chooser(&Selection::Msg(pattern), errors) {
                remove(steps, chosen);
            }
        }
        Item::UpdateTargets { of, targets } => {
            if let Some(chosen) = chooser(&of, errors) {
                update_targets(steps, chosen, &targets);
            }
        }
        Item::Rule(_) | Item::Marker(_) | Item::Engine(_) | Item::BodyAccess(_) => {}
    }
}

fn remove(steps: &mut [Step], chosen: impl Fn(&Rule) -> bool) {
    for step in steps {
        if let Step::Rule(rule) = step
            && chosen(rule)
        {
            *step = Step::Marker(rule.actions.id.to_string().into());
        }
    }
}

fn update_targets(steps: &mut [Step], chosen: impl Fn(&Rule) -> bool, targets: &[Target]) {
    for step in steps {
        if let Step::Rule(rule) = step
            && chosen(rule)
            && let Some(test) = rule.links.first_mut().and_then(|link| link.test.as_mut())
        {
            test.targets.extend_from_slice(targets);
        }
    }
}

/// Whether a rule is meant. Patterns of tags and messages match anywhere in them.
pub fn chooser(selection: &Selection, errors: &mut Vec<CompileError>) -> Option<impl Fn(&Rule) -> bool + use<>> {
    let pattern = match selection {
        Selection::Id(..) => None,
        Selection::Tag(pattern) | Selection::Msg(pattern) => match operator::compile(&Operator::Rx(pattern.clone())) {
            Ok(matcher) => Some(matcher),
            Err(error) => {
                errors.push(CompileError::nowhere(pattern, &error.to_string()));
                return None;
            }
        },
    };
    let selection = selection.clone();
    Some(move |rule: &Rule| {
        let hit = |text: &Text| pattern.as_ref().is_some_and(|p| p.matches(plain(text).as_bytes(), b"", None));
        match selection {
            Selection::Id(from, to) => (from..=to).contains(&rule.actions.id),
            Selection::Tag(_) => rule.actions.tags.iter().any(hit),
            Selection::Msg(_) => rule.actions.msg.as_ref().is_some_and(hit),
        }
    })
}

/// A text with its macros left out.
pub fn plain(text: &Text) -> String {
    use super::super::model::Part;
    let literal = |part: &Part| match part {
        Part::Literal(text) => text.to_string(),
        Part::Macro(..) => String::new(),
    };
    text.parts.iter().map(literal).collect()
}
