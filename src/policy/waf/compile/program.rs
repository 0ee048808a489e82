//! What a rule set is made of once it is compiled: names are numbers, texts are pieces, skips are positions.
//!
//! Only data. `compile` writes it, `transaction` reads it.

use std::sync::Arc;

use super::super::model::{AllowScope, BodyProcessor, Mode, Transform, Variable};
use super::super::operator::Matcher;

/// A number of rules as a bit set over all rules of a set.
pub type RuleBits = Box<[u64]>;

/// One rule with its chain.
#[derive(Clone, Debug)]
pub struct Rule {
    pub id: u64,
    pub disposition: Disposition,
    pub log: bool,
    pub severity: Option<u8>,
    pub tags: Arc<[Box<str>]>,
    pub message: Template,
    /// The rule that is next when this one matched: behind it, or where `skip` and `skipAfter` lead.
    pub next: usize,
    /// The probe that may show at once that this rule cannot match.
    pub probe: Option<usize>,
    /// At least one.
    pub links: Box<[Link]>,
}

/// What a match leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    Pass,
    Deny { status: u16 },
    Drop,
    Allow(AllowScope),
}

/// One link of a chain.
#[derive(Clone, Debug)]
pub struct Link {
    pub ask: Ask,
    pub capture: bool,
    pub effects: Box<[Effect]>,
}

/// How a link is asked.
#[derive(Clone, Debug)]
pub enum Ask {
    /// `SecAction`.
    Always,
    /// A comparison of numbers that needs no text.
    Number(Number),
    Values(Box<Values>),
}

/// TX variables or counts against a number: what rule sets steer themselves with.
#[derive(Clone, Debug)]
pub struct Number {
    pub lefts: Box<[Left]>,
    pub order: Order,
    pub negated: bool,
    pub right: Right,
}

/// The left side of a comparison.
#[derive(Clone, Copy, Debug)]
pub enum Left {
    /// `TX:name`
    Tx(usize),
    /// `&TX:name`
    TxCount(usize),
}

/// The right side of a comparison.
#[derive(Clone, Copy, Debug)]
pub enum Right {
    Fixed(i64),
    Tx(usize),
}

/// `@eq` and its kin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Eq,
    Ge,
    Gt,
    Le,
    Lt,
}

/// A link that asks an operator about values.
#[derive(Clone, Debug)]
pub struct Values {
    /// Which values: a number of a [`TargetList`].
    pub list: usize,
    /// The chain of transformations: a node of the tree, 0 for none.
    pub node: usize,
    /// `multiMatch`: all nodes on the way, the untransformed value first; else empty.
    pub steps: Box<[usize]>,
    pub matcher: Matcher,
    pub operand: Option<Template>,
    pub negated: bool,
    /// The bit of the sieve that is set in every value that can match.
    pub gate: Option<usize>,
}

/// What a link looks at.
#[derive(Clone, Debug)]
pub struct TargetList {
    pub takes: Box<[Take]>,
    pub leaves: Box<[Take]>,
    /// Whether the request alone decides: no TX, no MATCHED_VAR, no macro. Then it is looked up once a phase.
    pub fixed: bool,
}

/// A part of a variable.
#[derive(Clone, Debug)]
pub struct Take {
    pub variable: Variable,
    pub count: bool,
    pub which: Which,
}

/// Which members of a variable.
#[derive(Clone, Debug)]
pub enum Which {
    All,
    /// In lower case.
    Name(Box<[u8]>),
    /// Of JSON.
    Path(Box<str>),
    Pattern(Box<Matcher>),
    /// Of TX.
    Slot(usize),
    Made(Template),
}

/// A text, as cheap to expand as it can be.
#[derive(Clone, Debug)]
pub enum Template {
    /// A text without macros: a number of the texts of the set.
    Fixed(usize),
    /// One macro of one TX variable.
    Tx(usize),
    Pieces(Box<[Piece]>),
}

/// A piece of a text.
#[derive(Clone, Debug)]
pub enum Piece {
    Literal(Box<[u8]>),
    Tx(usize),
    /// All that is not TX and not RULE; the name in lower case.
    Variable(Variable, Option<Box<[u8]>>),
    RuleId,
    RuleMessage,
}

/// A text without macros, and the number that it is where one is asked for.
#[derive(Clone, Debug)]
pub struct Text {
    pub bytes: Box<[u8]>,
    pub number: i64,
}

/// The name of a TX variable.
#[derive(Clone, Debug)]
pub enum TxName {
    Slot(usize),
    Made(Template),
}

/// What a matching link does.
#[derive(Clone, Debug)]
pub enum Effect {
    Assign {
        name: TxName,
        value: Template,
    },
    Add {
        name: TxName,
        value: Template,
        negative: bool,
    },
    Remove {
        name: TxName,
    },
    Engine(Mode),
    BodyAccess(bool),
    BodyProcessor(BodyProcessor),
    ForceBodyVariable(bool),
    RemoveRules(RuleBits),
    /// A number of the set's target removals.
    RemoveTarget(usize),
}

/// `ctl:ruleRemoveTarget…`: of these rules, this target.
#[derive(Clone, Debug)]
pub struct TargetRemoval {
    pub rules: RuleBits,
    pub target: Take,
}

/// One transformation on the way of a chain; node 0 is no transformation.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub parent: usize,
    pub transform: Transform,
}

/// The rules whose first question is about the same values, transformed alike: one look at these values rules most of
/// them out.
#[derive(Clone, Debug)]
pub struct Probe {
    pub list: usize,
    pub node: usize,
    /// As in [`Values`].
    pub steps: Box<[usize]>,
    /// Rules that cannot match where there is no value.
    pub all: RuleBits,
    /// Those of them that have a gate.
    pub gated: RuleBits,
    /// The gates of the gated ones, and whose they are: `gates.start + n` is the gate of rule `rules[n]`.
    pub first_gate: usize,
    pub rules: Box<[usize]>,
}
