//! One request judged by a rule set: [`Transaction`].
//!
//! Rules are taken in the order written; what a match does (`setvar`, `ctl`) is done once for each value that matches,
//! because scores count matches. What cannot match is passed over by bits: before a rule is judged, its probe has looked
//! once at the values that it and its like ask about. That never changes a verdict or a note, as the referee in `tests`
//! holds. Clock and sockets are elsewhere; a warm transaction allocates only to note a match.
//!
//! MATCHED_VAR and its kin are those of the rule that is being judged, all its links so far. `deny`, `drop` and `allow`
//! take effect at the first value that matches. Under DetectionOnly `deny` and `drop` are noted and judging goes on.

mod effects;
mod expand;
mod judge;
mod members;
mod note;
mod store;
mod tx;

#[cfg(test)]
mod referee;
#[cfg(test)]
mod tests;

use super::compile::{Disposition, Rule, RuleSet};
use super::input::{HeadView, Input};
use super::model::{AllowScope, BodyProcessor, Mode};
use super::operator::Captures;
use members::{Member, Resolved};
pub use note::{NOTES_MAX, Note};
use store::Store;
use tx::Tx;

/// What is to be done with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Pass,
    /// It is answered with `status`; `note` is the index of the rule that decided among the notes.
    Deny {
        status: u16,
        note: usize,
    },
    /// Its connection is closed without an answer.
    Drop {
        note: usize,
    },
}

/// The judging of one request. Reused by a core from request to request, one at a time.
///
/// About 3 KiB, the input's arena, and what was transformed.
#[derive(Debug, Default)]
pub struct Transaction {
    input: Input,
    store: Store,
    tx: Tx,
    /// Rules that may still match, over both phases.
    pending: Vec<u64>,
    /// Probes that were asked in this phase.
    probed: Vec<bool>,
    /// Target lists as they were looked up in this phase.
    resolved: Vec<Resolved>,
    members: Vec<Member>,
    /// What matched in the rule that is being judged.
    matched: Vec<Matched>,
    captures: Captures,
    operand: Vec<u8>,
    scratch: Vec<u8>,
    row: Vec<u64>,
    /// `ctl:ruleRemoveTarget…` that were done.
    removals: Vec<usize>,
    notes: Vec<Note>,
    notes_left_out: u32,
    mode: Mode,
    body_access: bool,
    processor: Option<BodyProcessor>,
    force_body_variable: bool,
    /// An `allow` that holds for phase 2, too.
    allowed: bool,
    began_ms: u64,
    now_ms: u64,
    /// Rules `at..end` are still to be judged in this phase.
    at: usize,
    end: usize,
}

/// A value that matched, and where it stood.
#[derive(Clone, Copy, Debug)]
struct Matched {
    member: Member,
    value: MatchedValue,
}

#[derive(Clone, Copy, Debug)]
enum MatchedValue {
    Variant(u32),
    Number(i64),
}

/// How much is looked at in one turn of [`Transaction::step`]: bytes, those dear to look at counted several times. About
/// a millisecond, and no usual request comes to it.
const TURN_WORK: u64 = 512 * 1024;

/// How a rule ended.
enum End {
    /// The next rule is this one.
    Next(usize),
    Verdict(Verdict),
}

impl Transaction {
    /// Phase 1, the head, to its end. Forgets what an earlier request left.
    pub fn head(&mut self, rules: &RuleSet, view: &HeadView<'_>) -> Verdict {
        self.begin_head(rules, view);
        self.finish(rules)
    }

    /// Phase 2 to its end; see [`begin_body`](Self::begin_body).
    pub fn body(&mut self, rules: &RuleSet, view: &HeadView<'_>, body: &[u8], whole: bool) -> Verdict {
        self.begin_body(rules, view, body, whole);
        self.finish(rules)
    }

    fn finish(&mut self, rules: &RuleSet) -> Verdict {
        loop {
            if let Some(verdict) = self.step(rules) {
                return verdict;
            }
        }
    }

    /// Phase 1, the head, to be judged by [`step`](Self::step). Forgets what an earlier request left.
    pub fn begin_head(&mut self, rules: &RuleSet, view: &HeadView<'_>) {
        self.clear(rules, view);
        if self.mode != Mode::Off {
            self.input.read_head(view);
            self.begin(rules, 0, rules.heads);
        }
    }

    /// Phase 2, also for requests without a body, to be judged by [`step`](Self::step). `whole`: false when `body` is only
    /// the beginning.
    pub fn begin_body(&mut self, rules: &RuleSet, view: &HeadView<'_>, body: &[u8], whole: bool) {
        self.now_ms = view.unix_ms;
        if self.mode == Mode::Off || self.allowed || rules.heads == rules.rules.len() {
            (self.at, self.end) = (0, 0);
            return;
        }
        let body = if self.body_access { body } else { b"" };
        self.input.read_body(body, self.processor, whole, self.force_body_variable);
        self.begin(rules, rules.heads, rules.rules.len());
    }

    /// Rules that matched and say `log`, and the one that decided, in order; at most [`NOTES_MAX`].
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Matches that are not among the notes because there were too many.
    pub fn notes_left_out(&self) -> u32 {
        self.notes_left_out
    }

    /// Whether the body is to be read for phase 2: some rule looks at it, and no rule of phase 1 said otherwise.
    pub fn wants_body(&self, rules: &RuleSet) -> bool {
        rules.needs_body() && self.mode != Mode::Off && self.body_access && !self.allowed
    }

    fn clear(&mut self, rules: &RuleSet, view: &HeadView<'_>) {
        self.input.clear();
        self.store.clear(rules.nodes.len(), rules.row_words);
        self.tx.clear(rules.names.len());
        self.pending.clear();
        self.pending.resize(rules.rule_words(), u64::MAX);
        self.matched.clear();
        self.removals.clear();
        self.notes.clear();
        self.notes_left_out = 0;
        self.mode = rules.mode;
        self.body_access = rules.body_access;
        self.processor = None;
        self.force_body_variable = false;
        self.allowed = false;
        self.began_ms = view.unix_ms;
        self.now_ms = view.unix_ms;
        (self.at, self.end) = (0, 0);
    }

    /// Rules `start..end` are to be judged.
    fn begin(&mut self, rules: &RuleSet, start: usize, end: usize) {
        self.probed.clear();
        self.probed.resize(rules.probes.len(), false);
        self.forget_members(rules);
        (self.at, self.end) = (start, end);
    }

    /// Judges on, for about a millisecond at most. `None`: there is more to judge; others may have their turn first.
    pub fn step(&mut self, rules: &RuleSet) -> Option<Verdict> {
        let stop = self.store.work + TURN_WORK;
        let end = self.end;
        while let Some(index) = self.next_pending(self.at, end) {
            if self.store.work > stop {
                return None;
            }
            self.at = index + 1;
            let Some(rule) = rules.rules.get(index) else { break };
            if let Some(probe) = rule.probe
                && self.probed.get(probe) == Some(&false)
            {
                self.probe(rules, probe);
                if self.next_pending(index, index + 1).is_none() {
                    continue;
                }
            }
            self.matched.clear();
            if self.store.is_full() {
                self.store.clear(rules.nodes.len(), rules.row_words);
                self.forget_members(rules);
            }
            if !self.rule(rules, index, rule) {
                continue;
            }
            match self.conclude(rules, rule, end) {
                End::Next(next) => self.at = next,
                End::Verdict(verdict) => return Some(verdict),
            }
        }
        Some(Verdict::Pass)
    }

    /// Target lists are looked up anew.
    fn forget_members(&mut self, rules: &RuleSet) {
        self.members.clear();
        self.resolved.clear();
        self.resolved.resize(rules.lists.len(), Resolved::default());
    }

    /// The first rule from `at` on that may match.
    #[inline]
    fn next_pending(&self, at: usize, end: usize) -> Option<usize> {
        let mut word = at / 64;
        let mut bits = self.pending.get(word)? & (u64::MAX << (at % 64));
        while bits == 0 {
            word += 1;
            if word * 64 >= end {
                return None;
            }
            bits = *self.pending.get(word)?;
        }
        let index = word * 64 + bits.trailing_zeros() as usize;
        (index < end).then_some(index)
    }

    /// What follows from a rule that matched.
    fn conclude(&mut self, rules: &RuleSet, rule: &Rule, end: usize) -> End {
        let decides = self.mode == Mode::On;
        match rule.disposition {
            // A rule may have said `ctl:ruleEngine=Off`: nothing is judged behind it.
            Disposition::Deny { .. } | Disposition::Drop if self.mode == Mode::Off => End::Next(end),
            Disposition::Deny { status } if decides => {
                let note = self.note(rules, rule, true);
                End::Verdict(Verdict::Deny { status, note })
            }
            Disposition::Drop if decides => {
                let note = self.note(rules, rule, true);
                End::Verdict(Verdict::Drop { note })
            }
            Disposition::Deny { .. } | Disposition::Drop => {
                self.note(rules, rule, true);
                End::Next(rule.next)
            }
            Disposition::Pass | Disposition::Allow(_) => {
                if rule.log {
                    self.note(rules, rule, false);
                }
                match rule.disposition {
                    Disposition::Allow(scope) => {
                        self.allowed |= scope != AllowScope::Phase;
                        End::Verdict(Verdict::Pass)
                    }
                    _ if self.mode == Mode::Off => End::Next(end),
                    _ => End::Next(rule.next),
                }
            }
        }
    }

    /// Notes a match. `blocks`: the rule is one that blocks; its note is kept even where there is no room, at the end.
    fn note(&mut self, rules: &RuleSet, rule: &Rule, blocks: bool) -> usize {
        if self.notes.len() >= NOTES_MAX {
            self.notes_left_out = self.notes_left_out.saturating_add(1);
            if !(blocks && self.mode == Mode::On) {
                return NOTES_MAX - 1;
            }
            self.notes.pop();
        }
        let note = Note {
            id: rule.id,
            message: self.message(rules, rule),
            variable: self.place(rules),
            severity: rule.severity,
            tags: rule.tags.clone(),
            would: blocks && self.mode == Mode::DetectionOnly,
        };
        self.notes.push(note);
        self.notes.len() - 1
    }
}
