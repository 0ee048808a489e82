//! Rules as they were written become a rule set that is judged fast: [`RuleSet::compile`].
//!
//! Everything that can be decided once is decided here: which rules there are, where skips lead, what a selector and a
//! `ctl` mean, which texts hold macros, which transformations chains share, and which literals a value must hold before
//! an operator is asked (`sieve`). A rule set never changes afterwards; cores share it.

mod edit;
mod links;
mod names;
mod probes;
mod program;
mod sieve;
mod targets;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::model::{self, Document, Mode, Place, Selection};
use edit::{Edited, Step};
use links::Builder;
pub use names::CAPTURE_SLOTS;
pub use program::*;
pub use sieve::Sieve;
pub use targets::is_judged;

/// Why a document cannot be compiled: where, which rule, which construct, and what about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    pub place: Place,
    /// 0 where it is no rule.
    pub rule: u64,
    pub construct: String,
    pub what: String,
}

impl CompileError {
    fn nowhere(construct: &str, what: &str) -> Self {
        let place = Place { file: "".into(), line: 0 };
        Self { place, rule: 0, construct: construct.into(), what: what.into() }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.line > 0 {
            write!(f, "{}: ", self.place)?;
        }
        if self.rule > 0 {
            write!(f, "rule {}: ", self.rule)?;
        }
        write!(f, "{}: {}", self.construct, self.what)
    }
}

impl std::error::Error for CompileError {}

/// Rules ready to judge requests. A clone shares nothing that is written while judging, so a core that judges by a clone
/// of its own never waits for another.
#[derive(Clone, Debug)]
pub struct RuleSet {
    pub(super) mode: Mode,
    pub(super) body_access: bool,
    /// Those of phase 1 first, `heads` of them, then those of phase 2, each in the order written.
    pub(super) rules: Box<[Rule]>,
    pub(super) heads: usize,
    pub(super) lists: Arc<[TargetList]>,
    pub(super) probes: Arc<[Probe]>,
    /// Chains of transformations as a tree; node 0 is the value itself.
    pub(super) nodes: Arc<[Node]>,
    pub(super) sieve: Arc<Sieve>,
    /// Words of a row of the sieve's bits.
    pub(super) row_words: usize,
    pub(super) removals: Arc<[TargetRemoval]>,
    /// TX names by slot.
    pub(super) names: Arc<[Box<[u8]>]>,
    pub(super) slots: Arc<HashMap<Box<[u8]>, usize>>,
    pub(super) texts: Arc<[Text]>,
    needs_body: bool,
}

impl RuleSet {
    /// Compiles a document. Rules of phases that are not judged (3 to 5) are left out.
    ///
    /// # Errors
    ///
    /// All that cannot be compiled: operators, patterns of selectors, places to skip to that are not there.
    pub fn compile(document: Document) -> Result<Self, Vec<CompileError>> {
        let mut errors = Vec::new();
        let edited = edit::edit(document, &mut errors);
        let set = build(&edited, &mut errors);
        if errors.is_empty() { Ok(set) } else { Err(errors) }
    }

    /// Compiles what can be compiled; rules that cannot be are left out and said.
    pub fn compile_what_can(document: Document) -> (Self, Vec<CompileError>) {
        let mut errors = Vec::new();
        let mut edited = edit::edit(document, &mut errors);
        let mut found = Vec::new();
        let mut set = build(&edited, &mut found);
        if !found.is_empty() {
            edited.leave_out(|id| found.iter().any(|error| error.rule == id));
            errors.append(&mut found);
            // Rules that are left out take their errors along; places to skip to are kept.
            set = build(&edited, &mut Vec::new());
        }
        (set, errors)
    }

    /// The same rules under another mode: what a route says over what `SecRuleEngine` says.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether any rule looks at the body. Where none does, it need not be read for judging.
    pub fn needs_body(&self) -> bool {
        self.needs_body && self.mode != Mode::Off
    }

    /// What `SecRuleEngine` says; on where nothing does.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// How many rules are judged; a chain is one.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Words of a bit set over all rules.
    pub(super) fn rule_words(&self) -> usize {
        self.rules.len().div_ceil(64)
    }
}

/// The rules of both phases behind each other, and where each leads.
fn build(edited: &Edited, errors: &mut Vec<CompileError>) -> RuleSet {
    let mut ordered: Vec<&model::Rule> = Vec::new();
    let mut nexts = Vec::new();
    let mut heads = 0;
    for phase in [1, 2] {
        let (rules, leads) = in_phase(&edited.steps, phase, ordered.len(), errors);
        ordered.extend(rules);
        nexts.extend(leads);
        if phase == 1 {
            heads = ordered.len();
        }
    }
    let mut builder = Builder::new(&ordered);
    let mut rules = Vec::with_capacity(ordered.len());
    for (rule, next) in ordered.iter().zip(nexts) {
        rules.push(builder.rule(rule, next, errors));
    }
    let gates = probes::plan(&mut rules, heads, &builder.lists.lists);
    let needs_body = edited.body_access && probes::need_body(&rules, heads, &builder.lists.lists);
    let (names, slots, texts) = builder.names.finish();
    RuleSet {
        mode: edited.mode,
        body_access: edited.body_access,
        heads,
        rules: rules.into(),
        lists: builder.lists.lists.into(),
        probes: gates.probes.into(),
        nodes: builder.nodes.into(),
        row_words: gates.literals.len().div_ceil(64),
        sieve: Arc::new(Sieve::new(&gates.literals)),
        removals: builder.removals.into(),
        names: names.into_vec().into(),
        slots: Arc::new(slots),
        texts: texts.into_vec().into(),
        needs_body,
    }
}

/// The rules of one phase, and for each the rule that is next when it matched, counted from the beginning of the set.
fn in_phase<'a>(
    steps: &'a [Step],
    phase: u8,
    first: usize,
    errors: &mut Vec<CompileError>,
) -> (Vec<&'a model::Rule>, Vec<usize>) {
    let mut rules = Vec::new();
    // Where a skip may lead to: a marker or the id of a rule, and the position of the rule behind it.
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    for step in steps {
        match step {
            Step::Marker(name) => places.entry(name.to_string()).or_default().push(first + rules.len()),
            Step::Rule(rule) => {
                if rule.phase == phase {
                    rules.push(rule);
                }
                places.entry(rule.actions.id.to_string()).or_default().push(first + rules.len());
            }
        }
    }
    let end = first + rules.len();
    let mut nexts = Vec::with_capacity(rules.len());
    for (index, rule) in rules.iter().enumerate() {
        let behind = first + index + 1;
        let next = match &rule.actions.skip_after {
            None => behind + rule.actions.skip as usize,
            Some(name) => {
                let found = places.get(&**name).and_then(|at| at.iter().copied().find(|&at| at >= behind));
                found.unwrap_or_else(|| {
                    errors.push(CompileError {
                        place: rule.place.clone(),
                        rule: rule.actions.id,
                        construct: format!("skipAfter:{name}"),
                        what: "there is no such SecMarker behind the rule".into(),
                    });
                    end
                })
            }
        };
        nexts.push(next.min(end));
    }
    (rules, nexts)
}

/// The rules that a selection means, as bits.
fn bits_of(rules: &[&model::Rule], selection: &Selection, errors: &mut Vec<CompileError>) -> RuleBits {
    let mut bits = vec![0_u64; rules.len().div_ceil(64)];
    if let Some(chosen) = edit::chooser(selection, errors) {
        for (index, _) in rules.iter().enumerate().filter(|(_, rule)| chosen(rule)) {
            set(&mut bits, index);
        }
    }
    bits.into()
}

/// Sets a bit.
fn set(bits: &mut [u64], index: usize) {
    if let Some(word) = bits.get_mut(index / 64) {
        *word |= 1 << (index % 64);
    }
}
