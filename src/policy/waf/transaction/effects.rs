//! What a match does: TX variables are set, and `ctl` changes how the rest of the request is judged.
//!
//! Done once for each value that matches, in the order written. Numbers never count below 0. Nothing here ends the judging:
//! what a rule leads to is decided in `conclude`.

use super::super::compile::{Effect, Link, Rule, RuleSet, Template, TxName};
use super::Transaction;
use super::tx::TxValue;

impl Transaction {
    /// Does what a link does when a value matches.
    pub(super) fn effects(&mut self, rules: &RuleSet, rule: &Rule, link: &Link) {
        for effect in &link.effects {
            match effect {
                Effect::Assign { name, value } => {
                    let value = self.assigned(rules, rule, value);
                    if let Some(slot) = self.slot(rules, rule, name, true) {
                        self.tx.set(slot, value);
                    }
                }
                Effect::Add { name, value, negative } => self.add(rules, rule, name, value, *negative),
                Effect::Remove { name } => {
                    if let Some(slot) = self.slot(rules, rule, name, false) {
                        self.tx.set(slot, TxValue::Unset);
                    }
                }
                Effect::Engine(mode) => self.mode = *mode,
                Effect::BodyAccess(on) => self.body_access = *on,
                Effect::BodyProcessor(processor) => self.processor = Some(*processor),
                Effect::ForceBodyVariable(on) => self.force_body_variable = *on,
                Effect::RemoveRules(bits) => {
                    for (word, out) in self.pending.iter_mut().zip(bits) {
                        *word &= !out;
                    }
                }
                Effect::RemoveTarget(removal) => {
                    if !self.removals.contains(removal) {
                        self.removals.push(*removal);
                    }
                }
            }
        }
    }

    /// The value of `setvar:tx.name=value`. A value that is not there is the empty text.
    fn assigned(&mut self, rules: &RuleSet, rule: &Rule, value: &Template) -> TxValue {
        match value {
            Template::Fixed(text) => TxValue::Fixed(*text),
            Template::Tx(slot) => match self.tx.get(*slot) {
                TxValue::Unset => TxValue::Fixed(0),
                held => held,
            },
            Template::Pieces(_) => {
                let mut text = std::mem::take(&mut self.scratch);
                text.clear();
                let tainted = self.expand(rules, Some(rule), value, &mut text);
                let made = self.tx.text(&text, tainted);
                self.scratch = text;
                made
            }
        }
    }

    /// `setvar:tx.name=+value` and `=-value`. What was not set counts from 0, and nothing counts below 0.
    fn add(&mut self, rules: &RuleSet, rule: &Rule, name: &TxName, value: &Template, negative: bool) {
        let by = self.assigned(rules, rule, value);
        let Some(slot) = self.slot(rules, rule, name, true) else { return };
        let held = self.tx.get(slot);
        let (old, by_number) = (self.tx.number(&rules.texts, held), self.tx.number(&rules.texts, by));
        let sum = if negative { old.saturating_sub(by_number) } else { old.saturating_add(by_number) };
        let tainted = held.is_tainted() || by.is_tainted();
        self.tx.set(slot, TxValue::Number { value: sum.max(0), tainted });
    }

    fn slot(&mut self, rules: &RuleSet, rule: &Rule, name: &TxName, make: bool) -> Option<usize> {
        match name {
            TxName::Slot(slot) => Some(*slot),
            TxName::Made(template) => {
                let mut text = std::mem::take(&mut self.scratch);
                text.clear();
                self.expand(rules, Some(rule), template, &mut text);
                let slot = self.tx.slot(&rules.slots, &mut text, make);
                self.scratch = text;
                slot
            }
        }
    }
}
