//! Which values a target list means: its variables, their members, and what is left out.
//!
//! Lists of the request alone are looked up once a phase; those with TX, MATCHED_VAR or macros each time, and taken away
//! behind the link. Values get numbers of the store here; nothing is transformed.

use super::super::compile::{RuleSet, Take, Which};
use super::super::input::{Input, Span, json_path_matches};
use super::super::model::Variable;
use super::{MatchedValue, Transaction};

/// A value that a link looks at.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    pub variable: Variable,
    pub count: bool,
    pub name: Name,
    /// A number of the store.
    pub value: usize,
}

/// The name of a member within its variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    None,
    Input(Span),
    /// Of TX.
    Slot(usize),
}

/// Where the members of a list stand, once they were looked up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resolved {
    pub known: bool,
    pub start: usize,
    pub end: usize,
}

impl Transaction {
    /// The members of a list. Those of a list that is not fixed stand last: they are to be taken away again.
    pub(super) fn members_of(&mut self, rules: &RuleSet, list: usize) -> Resolved {
        if let Some(resolved) = self.resolved.get(list).filter(|resolved| resolved.known) {
            return *resolved;
        }
        let Some(targets) = rules.lists.get(list) else { return Resolved::default() };
        let start = self.members.len();
        for take in &targets.takes {
            self.take(rules, take, &targets.leaves);
        }
        let resolved = Resolved { known: targets.fixed, start, end: self.members.len() };
        if targets.fixed
            && let Some(slot) = self.resolved.get_mut(list)
        {
            *slot = resolved;
        }
        resolved
    }

    fn take(&mut self, rules: &RuleSet, take: &Take, leaves: &[Take]) {
        let start = self.members.len();
        match take.variable {
            Variable::Tx => self.take_tx(rules, take),
            Variable::MatchedVar
            | Variable::MatchedVarName
            | Variable::MatchedVars
            | Variable::MatchedVarsNames
            | Variable::Rule
            | Variable::Duration
            | Variable::TimeEpoch => self.take_judged(rules, take.variable),
            variable => self.take_input(rules, take, variable),
        }
        if leaves.iter().any(|leave| leave.variable == take.variable) {
            let mut kept = start;
            for at in start..self.members.len() {
                let Some(member) = self.members.get(at).copied() else { break };
                if !leaves.iter().any(|leave| self.is_meant(rules, leave, &member)) {
                    self.members.swap(kept, at);
                    kept += 1;
                }
            }
            self.members.truncate(kept);
        }
        if take.count {
            let count = self.members.len() - start;
            self.members.truncate(start);
            let value = self.store.of_bytes(itoa::Buffer::new().format(count).as_bytes());
            self.members.push(Member { variable: take.variable, count: true, name: Name::None, value });
        }
    }

    fn take_input(&mut self, rules: &RuleSet, take: &Take, variable: Variable) {
        let made = self.made_name(rules, &take.which);
        for entry in self.input.entries(variable) {
            if names(&self.input, &take.which, made, &self.scratch, entry.name) {
                let value = self.store.of_input(entry.value);
                self.members.push(Member { variable, count: false, name: Name::Input(entry.name), value });
            }
        }
    }

    /// Expands a selector that holds macros into `scratch`; whether there is one.
    fn made_name(&mut self, rules: &RuleSet, which: &Which) -> bool {
        let Which::Made(template) = which else { return false };
        let mut name = std::mem::take(&mut self.scratch);
        name.clear();
        self.expand(rules, None, template, &mut name);
        self.scratch = name;
        true
    }

    fn take_tx(&mut self, rules: &RuleSet, take: &Take) {
        match &take.which {
            Which::Slot(slot) => self.take_slot(rules, *slot),
            Which::Made(_) => {
                self.made_name(rules, &take.which);
                if let Some(slot) = self.tx.slot(&rules.slots, &mut self.scratch, false) {
                    self.take_slot(rules, slot);
                }
            }
            which => {
                for slot in 0..self.tx.slots() {
                    let meant = match which {
                        Which::Pattern(matcher) => matcher.matches(self.tx.name(&rules.names, slot), b"", None),
                        _ => matches!(which, Which::All),
                    };
                    if meant {
                        self.take_slot(rules, slot);
                    }
                }
            }
        }
    }

    fn take_slot(&mut self, rules: &RuleSet, slot: usize) {
        let held = self.tx.get(slot);
        if held == super::tx::TxValue::Unset {
            return;
        }
        let mut text = std::mem::take(&mut self.scratch);
        text.clear();
        self.tx.write(&rules.texts, held, &mut text);
        let value = self.store.of_bytes(&text);
        self.scratch = text;
        self.members.push(Member { variable: Variable::Tx, count: false, name: Name::Slot(slot), value });
    }

    /// Variables that the judging itself makes.
    fn take_judged(&mut self, rules: &RuleSet, variable: Variable) {
        let all = matches!(variable, Variable::MatchedVars | Variable::MatchedVarsNames);
        let names = matches!(variable, Variable::MatchedVarName | Variable::MatchedVarsNames);
        let mut text = std::mem::take(&mut self.scratch);
        match variable {
            Variable::Duration | Variable::TimeEpoch => {
                let number = match variable {
                    Variable::Duration => self.now_ms.saturating_sub(self.began_ms),
                    _ => self.now_ms / 1000,
                };
                let value = self.store.of_bytes(itoa::Buffer::new().format(number).as_bytes());
                self.members.push(Member { variable, count: false, name: Name::None, value });
            }
            Variable::Rule => {}
            _ => {
                let first = if all { 0 } else { self.matched.len().saturating_sub(1) };
                for at in first..self.matched.len() {
                    let Some(matched) = self.matched.get(at).copied() else { break };
                    let value = match matched.value {
                        MatchedValue::Variant(variant) if !names => self.store.of_variant(variant),
                        matched_value => {
                            text.clear();
                            if names {
                                self.write_place(rules, &matched.member, &mut text);
                            } else {
                                self.write_matched(matched_value, &mut text);
                            }
                            self.store.of_bytes(&text)
                        }
                    };
                    self.members.push(Member { variable, count: false, name: matched.member.name, value });
                }
            }
        }
        self.scratch = text;
    }

    /// Whether a target that is left out means this member.
    pub(super) fn is_meant(&mut self, rules: &RuleSet, target: &Take, member: &Member) -> bool {
        if target.variable != member.variable {
            return false;
        }
        let made = self.made_name(rules, &target.which);
        match (member.name, &target.which) {
            (Name::Slot(slot), Which::Slot(meant)) => slot == *meant,
            (Name::Slot(slot), Which::Pattern(matcher)) => matcher.matches(self.tx.name(&rules.names, slot), b"", None),
            (Name::Slot(slot), Which::Made(_)) => self.scratch.eq_ignore_ascii_case(self.tx.name(&rules.names, slot)),
            (Name::Input(span), which) => names(&self.input, which, made, &self.scratch, span),
            (_, which) => matches!(which, Which::All),
        }
    }
}

/// Whether a selector means a member of this name.
fn names(input: &Input, which: &Which, made: bool, text: &[u8], name: Span) -> bool {
    let name = input.bytes(name);
    match which {
        Which::All => true,
        Which::Name(meant) => name.eq_ignore_ascii_case(meant),
        Which::Path(path) => json_path_matches(path, name),
        Which::Pattern(matcher) => matcher.matches(name, b"", None),
        Which::Made(_) => made && name.eq_ignore_ascii_case(text),
        Which::Slot(_) => false,
    }
}
