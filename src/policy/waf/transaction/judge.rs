//! One rule judged: its probe, its links, the values they ask about.
//!
//! A probe only rules out: whether a rule matches is decided by its links. Operators are asked in the order of targets and
//! members, because scores and captures depend on it.

use super::super::compile::{Ask, Disposition, Left, Link, Number, Order, Right, Rule, RuleSet, Values};
use super::super::model::Variable;
use super::members::{Member, Name};
use super::tx::TxValue;
use super::{Matched, MatchedValue, Transaction};

/// What asking about a value costs besides its bytes, in bytes.
const VALUE_WORK: u64 = 32;

impl Transaction {
    /// Looks once at the values that a probe's rules ask about, and rules out those that cannot match.
    pub(super) fn probe(&mut self, rules: &RuleSet, index: usize) {
        let (Some(probe), Some(probed)) = (rules.probes.get(index), self.probed.get_mut(index)) else { return };
        *probed = true;
        let resolved = self.members_of(rules, probe.list);
        if resolved.start == resolved.end {
            exclude(&mut self.pending, &probe.all);
            return;
        }
        if probe.rules.is_empty() {
            return;
        }
        self.row.clear();
        self.row.resize(rules.row_words, 0);
        let nodes = if probe.steps.is_empty() { std::slice::from_ref(&probe.node) } else { &*probe.steps };
        for at in resolved.start..resolved.end {
            let Some(member) = self.members.get(at) else { break };
            for &node in nodes {
                let variant = self.store.variant(&rules.nodes, &self.input, member.value, node);
                for (seen, word) in self.row.iter_mut().zip(self.store.row(&rules.sieve, &self.input, variant)) {
                    *seen |= word;
                }
            }
        }
        // Those with a gate go, those whose gate was seen come back, unless they were gone before.
        let seen = |nth: usize| {
            let gate = probe.first_gate + nth;
            self.row.get(gate / 64).is_some_and(|word| word >> (gate % 64) & 1 == 1)
        };
        let range = probe.first_gate..probe.first_gate + probe.rules.len();
        let any = self.row.iter().skip(range.start / 64).take(range.end / 64 - range.start / 64 + 1).any(|&w| w != 0);
        if !any {
            exclude(&mut self.pending, &probe.gated);
            return;
        }
        for (nth, &rule) in probe.rules.iter().enumerate() {
            if !seen(nth)
                && let Some(word) = self.pending.get_mut(rule / 64)
            {
                *word &= !(1 << (rule % 64));
            }
        }
    }

    /// Judges a rule; whether all its links matched.
    pub(super) fn rule(&mut self, rules: &RuleSet, index: usize, rule: &Rule) -> bool {
        let last = rule.links.len().saturating_sub(1);
        for (nth, link) in rule.links.iter().enumerate() {
            // What takes effect once does so at the first match.
            let once = nth == last && rule.disposition != Disposition::Pass;
            let matched = match &link.ask {
                Ask::Always => {
                    self.effects(rules, rule, link);
                    true
                }
                Ask::Number(number) => self.number(rules, index, rule, link, number, once),
                Ask::Values(values) => self.values(rules, index, rule, link, values, once),
            };
            if !matched {
                return false;
            }
        }
        true
    }

    fn number(&mut self, rules: &RuleSet, index: usize, rule: &Rule, link: &Link, number: &Number, once: bool) -> bool {
        let right = match number.right {
            Right::Fixed(value) => value,
            Right::Tx(slot) => self.tx.number(&rules.texts, self.tx.get(slot)),
        };
        let mut matched = false;
        for left in &number.lefts {
            let (slot, count) = match *left {
                Left::Tx(slot) => (slot, false),
                Left::TxCount(slot) => (slot, true),
            };
            let held = self.tx.get(slot);
            let value = match (count, held) {
                (true, held) => i64::from(held != TxValue::Unset),
                (false, TxValue::Unset) => continue,
                (false, held) => self.tx.number(&rules.texts, held),
            };
            let holds = match number.order {
                Order::Eq => value == right,
                Order::Ge => value >= right,
                Order::Gt => value > right,
                Order::Le => value <= right,
                Order::Lt => value < right,
            };
            let name = if count { Name::None } else { Name::Slot(slot) };
            let member = Member { variable: Variable::Tx, count, name, value: 0 };
            if holds == number.negated || (!self.removals.is_empty() && self.is_removed(rules, index, &member)) {
                continue;
            }
            matched = true;
            self.matched.push(Matched { member, value: MatchedValue::Number(value) });
            self.effects(rules, rule, link);
            if once {
                break;
            }
        }
        matched
    }

    fn values(&mut self, rules: &RuleSet, index: usize, rule: &Rule, link: &Link, values: &Values, once: bool) -> bool {
        let resolved = self.members_of(rules, values.list);
        if let Some(operand) = &values.operand
            && resolved.start < resolved.end
        {
            let mut out = std::mem::take(&mut self.operand);
            out.clear();
            self.expand(rules, Some(rule), operand, &mut out);
            self.operand = out;
        }
        let nodes = if values.steps.is_empty() { std::slice::from_ref(&values.node) } else { &*values.steps };
        let mut matched = false;
        'members: for at in resolved.start..resolved.end {
            let Some(member) = self.members.get(at).copied() else { break };
            if !self.removals.is_empty() && self.is_removed(rules, index, &member) {
                continue;
            }
            let mut last = None;
            for &node in nodes {
                let variant = self.store.variant(&rules.nodes, &self.input, member.value, node);
                if last.replace(variant) == Some(variant) || !self.asked(rules, link, values, variant) {
                    continue;
                }
                matched = true;
                self.matched.push(Matched { member, value: MatchedValue::Variant(variant) });
                if link.capture && !values.negated {
                    self.capture(variant);
                }
                self.effects(rules, rule, link);
                if once {
                    break 'members;
                }
            }
        }
        if !resolved.known {
            self.members.truncate(resolved.start);
        }
        matched
    }

    /// Asks the operator about a variant.
    #[inline]
    fn asked(&mut self, rules: &RuleSet, link: &Link, values: &Values, variant: u32) -> bool {
        if let Some(gate) = values.gate {
            let row = self.store.row(&rules.sieve, &self.input, variant);
            if row.get(gate / 64).is_some_and(|word| word >> (gate % 64) & 1 == 0) {
                return false;
            }
        }
        let value = self.store.bytes(&self.input, variant);
        let work = (value.len() as u64 + VALUE_WORK) * values.matcher.work();
        let captures = (link.capture && !values.negated).then_some(&mut self.captures);
        let holds = values.matcher.matches(value, &self.operand, captures) != values.negated;
        self.store.work += work;
        holds
    }

    /// TX.0 to TX.9 become what the operator found; those it did not find are unset.
    fn capture(&mut self, variant: u32) {
        let value = self.store.bytes(&self.input, variant);
        for group in 0..super::super::compile::CAPTURE_SLOTS {
            self.tx.set_capture(group, self.captures.get(group, value));
        }
    }

    fn is_removed(&mut self, rules: &RuleSet, index: usize, member: &Member) -> bool {
        for at in 0..self.removals.len() {
            let removal = self.removals.get(at).and_then(|&removal| rules.removals.get(removal));
            if let Some(removal) = removal
                && removal.rules.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
                && self.is_meant(rules, &removal.target, member)
            {
                return true;
            }
        }
        false
    }
}

/// Takes the bits of `out` out of `bits`.
fn exclude(bits: &mut [u64], out: &[u64]) {
    for (word, out) in bits.iter_mut().zip(out) {
        *word &= !out;
    }
}
