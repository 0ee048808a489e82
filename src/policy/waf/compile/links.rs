//! One rule after the other: its links, what they ask, and what they do.
//!
//! Operators are compiled, names become slots, `ctl` becomes sets of rules. All that is wrong is gathered, each with its
//! link's place; a rule with an error is of no use, and the set is then not given out with it.

use std::sync::Arc;

use super::super::model::{self, Control, Operator, Selection, SetVar, Transform, Variable};
use super::super::operator::{self, number};
use super::edit::plain;
use super::names::Names;
use super::program::{
    Ask, Disposition, Effect, Left, Link, Node, Number, Order, Right, Rule, TargetRemoval, Template, Values,
};
use super::targets::{self, Lists};
use super::{CompileError, bits_of};

/// The status of `deny` where the rule gives none.
const STATUS_DEFAULT: u16 = 403;

/// What the rules of a set share while it is made.
pub struct Builder<'a> {
    /// All rules that are judged, in order: what `ctl` selects from.
    all: &'a [&'a model::Rule],
    pub names: Names,
    pub lists: Lists,
    pub nodes: Vec<Node>,
    pub removals: Vec<TargetRemoval>,
}

impl<'a> Builder<'a> {
    pub fn new(all: &'a [&'a model::Rule]) -> Self {
        // Node 0 is the value itself; what it says of a transformation is never read.
        let root = Node { parent: 0, transform: Transform::Lowercase };
        Self { all, names: Names::new(), lists: Lists::default(), nodes: vec![root], removals: Vec::new() }
    }

    /// Compiles a rule; what cannot be is added to `errors`, and the rule is then of no use.
    pub fn rule(&mut self, rule: &model::Rule, next: usize, errors: &mut Vec<CompileError>) -> Rule {
        let actions = &rule.actions;
        let mut links = Vec::with_capacity(rule.links.len());
        for link in &rule.links {
            let mut fail = |construct: String, what: String| {
                errors.push(CompileError { place: link.place.clone(), rule: actions.id, construct, what });
            };
            match self.ask(link) {
                Ok(ask) => {
                    let effects = self.effects(&link.effects, &mut fail);
                    links.push(Link { ask, capture: link.capture, effects });
                }
                Err((construct, what)) => fail(construct, what),
            }
        }
        Rule {
            id: actions.id,
            disposition: match actions.disposition {
                model::Disposition::Pass => Disposition::Pass,
                model::Disposition::Deny => Disposition::Deny { status: actions.status.unwrap_or(STATUS_DEFAULT) },
                model::Disposition::Drop => Disposition::Drop,
                model::Disposition::Allow(scope) => Disposition::Allow(scope),
            },
            log: actions.log,
            severity: actions.severity,
            tags: actions.tags.iter().map(|tag| plain(tag).into()).collect::<Arc<[Box<str>]>>(),
            message: actions.msg.as_ref().map_or(Template::Fixed(0), |text| self.names.template(text)),
            next,
            probe: None,
            links: links.into(),
        }
    }

    fn ask(&mut self, link: &model::Link) -> Result<Ask, (String, String)> {
        let Some(test) = &link.test else { return Ok(Ask::Always) };
        let name = operator_name(&test.operator);
        let matcher = operator::compile(&test.operator).map_err(|error| (name.into(), error.to_string()))?;
        if let Some(number) = self.number(test) {
            return Ok(Ask::Number(number));
        }
        let list = self.lists.intern(&test.targets, &mut self.names);
        let list = list.map_err(|error| ("a selector's pattern".into(), error.to_string()))?;
        let mut steps = vec![0];
        for &transform in &test.transforms {
            let parent = steps.last().copied().unwrap_or(0);
            steps.push(self.node(parent, transform));
        }
        let node = steps.last().copied().unwrap_or(0);
        let operand = matcher.operand().map(|text| self.names.template(text));
        Ok(Ask::Values(Box::new(Values {
            list,
            node,
            steps: if link.multi_match { steps.into() } else { Box::default() },
            matcher,
            operand,
            negated: test.negated,
            gate: None,
        })))
    }

    fn node(&mut self, parent: usize, transform: Transform) -> usize {
        let known = self.nodes.iter().skip(1).position(|node| node.parent == parent && node.transform == transform);
        known.map_or_else(
            || {
                self.nodes.push(Node { parent, transform });
                self.nodes.len() - 1
            },
            |at| at + 1,
        )
    }

    /// A comparison of TX variables with a number, where the test is nothing else.
    fn number(&mut self, test: &model::Test) -> Option<Number> {
        let (order, operand) = match &test.operator {
            Operator::Eq(text) => (Order::Eq, text),
            Operator::Ge(text) => (Order::Ge, text),
            Operator::Gt(text) => (Order::Gt, text),
            Operator::Le(text) => (Order::Le, text),
            Operator::Lt(text) => (Order::Lt, text),
            _ => return None,
        };
        let plain = test.transforms.is_empty() && !test.targets.is_empty();
        let mut lefts = Vec::new();
        for target in &test.targets {
            let model::Selector::Name(name) = &target.selector else { return None };
            if target.variable != Variable::Tx || !plain {
                return None;
            }
            let slot = self.names.slot(name.as_literal()?.as_bytes());
            match target.how {
                model::How::Values => lefts.push(Left::Tx(slot)),
                model::How::Count => lefts.push(Left::TxCount(slot)),
                model::How::Excluded => return None,
            }
        }
        let right = match operand.as_literal() {
            Some(literal) => Right::Fixed(number(literal.as_bytes())),
            None => match self.names.template(operand) {
                Template::Tx(slot) => Right::Tx(slot),
                _ => return None,
            },
        };
        Some(Number { lefts: lefts.into(), order, negated: test.negated, right })
    }

    fn effects(&mut self, effects: &[model::Effect], fail: &mut dyn FnMut(String, String)) -> Box<[Effect]> {
        let mut done = Vec::with_capacity(effects.len());
        for effect in effects {
            match effect {
                model::Effect::SetVar(set) => done.push(self.set_var(set)),
                model::Effect::Control(control) => done.extend(self.control(control, fail)),
            }
        }
        done.into()
    }

    fn set_var(&mut self, set: &SetVar) -> Effect {
        match set {
            SetVar::Assign { name, value } => {
                Effect::Assign { name: self.names.tx_name(name), value: self.names.template(value) }
            }
            SetVar::Add { name, value, negative } => {
                let (name, value) = (self.names.tx_name(name), self.names.template(value));
                Effect::Add { name, value, negative: *negative }
            }
            SetVar::Remove { name } => Effect::Remove { name: self.names.tx_name(name) },
        }
    }

    fn control(&mut self, control: &Control, fail: &mut dyn FnMut(String, String)) -> Option<Effect> {
        let mut select = |selection: Selection| {
            let mut errors = Vec::new();
            let bits = bits_of(self.all, &selection, &mut errors);
            errors.into_iter().for_each(|error| fail(error.construct, error.what));
            bits
        };
        let (rules, target) = match control {
            Control::Engine(mode) => return Some(Effect::Engine(*mode)),
            Control::RequestBodyAccess(on) => return Some(Effect::BodyAccess(*on)),
            Control::BodyProcessor(processor) => return Some(Effect::BodyProcessor(*processor)),
            Control::ForceRequestBodyVariable(on) => return Some(Effect::ForceBodyVariable(*on)),
            Control::RemoveById(from, to) => return Some(Effect::RemoveRules(select(Selection::Id(*from, *to)))),
            Control::RemoveByTag(tag) => return Some(Effect::RemoveRules(select(Selection::Tag(tag.clone())))),
            Control::RemoveByMsg(msg) => return Some(Effect::RemoveRules(select(Selection::Msg(msg.clone())))),
            Control::Ignored(_) => return None,
            Control::RemoveTargetById { from, to, target } => (select(Selection::Id(*from, *to)), target),
            Control::RemoveTargetByTag { tag, target } => (select(Selection::Tag(tag.clone())), target),
        };
        match targets::take(target, &mut self.names) {
            Ok(target) => {
                self.removals.push(TargetRemoval { rules, target });
                Some(Effect::RemoveTarget(self.removals.len() - 1))
            }
            Err(error) => {
                fail("a selector's pattern".into(), error.to_string());
                None
            }
        }
    }
}

/// An operator as it is written.
fn operator_name(operator: &Operator) -> &'static str {
    match operator {
        Operator::Rx(_) => "@rx",
        Operator::Contains(_) => "@contains",
        Operator::ContainsWord(_) => "@containsWord",
        Operator::BeginsWith(_) => "@beginsWith",
        Operator::EndsWith(_) => "@endsWith",
        Operator::StrEq(_) => "@streq",
        Operator::Within(_) => "@within",
        Operator::Pm(_) => "@pm",
        Operator::Eq(_) => "@eq",
        Operator::Ge(_) => "@ge",
        Operator::Gt(_) => "@gt",
        Operator::Le(_) => "@le",
        Operator::Lt(_) => "@lt",
        Operator::IpMatch(_) => "@ipMatch",
        Operator::DetectSqli => "@detectSQLi",
        Operator::DetectXss => "@detectXSS",
        Operator::ValidateByteRange(_) => "@validateByteRange",
        Operator::ValidateUrlEncoding => "@validateUrlEncoding",
        Operator::ValidateUtf8Encoding => "@validateUtf8Encoding",
        Operator::UnconditionalMatch => "@unconditionalMatch",
        Operator::NoMatch => "@noMatch",
    }
}
