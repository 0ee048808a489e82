//! The referee: the same rules judged the plain way. No prefilter, nothing shared, nothing kept, TX as a list of texts.
//!
//! It takes the document itself, so that the compiler is refereed, too. Slow, and only for tests. It carries out
//! everything but the directives that change other rules.

use std::net::SocketAddr;

use super::super::compile::is_judged;
use super::super::input::{HeadView, Input, json_path_matches, variable_name};
use super::super::model::{
    AllowScope, Control, Disposition, Document, Effect, How, Item, Mode, Operator, Part, Rule, Selector, SetVar,
    Target, Text, Variable,
};
use super::super::operator::{self, Captures, number};
use super::super::transform;
use super::Verdict;

/// What the plain way comes to: the verdict, and of each note the rule, the variable's text, and whether it would block.
#[derive(Debug, PartialEq, Eq)]
pub struct Judged {
    pub denied: Option<(u64, u16)>,
    pub dropped: Option<u64>,
    pub notes: Vec<(u64, bool)>,
    pub tx: Vec<(String, String)>,
}

#[derive(Clone)]
struct Value {
    variable: Variable,
    count: bool,
    name: Vec<u8>,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Referee {
    input: Input,
    tx: Vec<(Vec<u8>, Vec<u8>)>,
    matched: Vec<Value>,
    removed: Vec<Control>,
    notes: Vec<(u64, bool)>,
    mode: Mode,
    body_access: bool,
    processor: Option<super::BodyProcessor>,
    force: bool,
    now_ms: u64,
    allowed: bool,
}

/// Judges a request by a document.
pub fn judge(document: &Document, view: &HeadView<'_>, body: &[u8], whole: bool) -> Judged {
    let mut referee = Referee { body_access: true, now_ms: view.unix_ms, ..Referee::default() };
    for item in &document.items {
        match item {
            Item::Engine(mode) => referee.mode = *mode,
            Item::BodyAccess(on) => referee.body_access = *on,
            _ => {}
        }
    }
    let mut judged = Judged { denied: None, dropped: None, notes: Vec::new(), tx: Vec::new() };
    let mut verdict = None;
    if referee.mode != Mode::Off {
        referee.input.read_head(view);
        verdict = referee.phase(document, 1);
    }
    if verdict.is_none() && referee.mode != Mode::Off && !referee.allowed {
        let body = if referee.body_access { body } else { b"" };
        referee.input.read_body(body, referee.processor, whole, referee.force);
        verdict = referee.phase(document, 2);
    }
    match verdict {
        Some((id, Verdict::Deny { status, .. })) => judged.denied = Some((id, status)),
        Some((id, Verdict::Drop { .. })) => judged.dropped = Some(id),
        _ => {}
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    judged.tx = referee.tx.iter().map(|(name, value)| (text(name), text(value))).collect();
    judged.tx.sort();
    judged.notes = referee.notes;
    judged
}

impl Referee {
    fn phase(&mut self, document: &Document, phase: u8) -> Option<(u64, Verdict)> {
        let mut at = 0;
        let mut skip = 0;
        while let Some(item) = document.items.get(at) {
            at += 1;
            let Item::Rule(rule) = item else { continue };
            if rule.phase != phase {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            if self.mode == Mode::Off {
                return None;
            }
            self.matched.clear();
            if self.is_removed(rule) || !self.rule(rule) {
                continue;
            }
            let (id, blocks) =
                (rule.actions.id, matches!(rule.actions.disposition, Disposition::Deny | Disposition::Drop));
            if (rule.actions.log && !blocks) || (blocks && self.mode != Mode::Off) {
                self.notes.push((id, blocks && self.mode == Mode::DetectionOnly));
            }
            match rule.actions.disposition {
                Disposition::Deny if self.mode == Mode::On => {
                    return Some((id, Verdict::Deny { status: rule.actions.status.unwrap_or(403), note: 0 }));
                }
                Disposition::Drop if self.mode == Mode::On => return Some((id, Verdict::Drop { note: 0 })),
                Disposition::Allow(scope) => {
                    self.allowed |= scope != AllowScope::Phase;
                    return None;
                }
                _ => {}
            }
            skip = rule.actions.skip;
            if let Some(name) = &rule.actions.skip_after {
                let rest = document.items.iter().skip(at);
                at += rest.take_while(|item| !is_place(item, name)).count();
            }
        }
        None
    }

    fn is_removed(&self, rule: &Rule) -> bool {
        self.removed.iter().any(|control| match control {
            Control::RemoveById(from, to) => (from..=to).contains(&&rule.actions.id),
            Control::RemoveByTag(tag) => rule.actions.tags.iter().any(|text| found(tag, text)),
            Control::RemoveByMsg(msg) => rule.actions.msg.iter().any(|text| found(msg, text)),
            _ => false,
        })
    }

    fn is_left_out(&self, rule: &Rule, value: &Value) -> bool {
        self.removed.iter().any(|control| match control {
            Control::RemoveTargetById { from, to, target } => {
                (from..=to).contains(&&rule.actions.id) && self.is_meant(rule, target, value)
            }
            Control::RemoveTargetByTag { tag, target } => {
                rule.actions.tags.iter().any(|text| found(tag, text)) && self.is_meant(rule, target, value)
            }
            _ => false,
        })
    }

    fn rule(&mut self, rule: &Rule) -> bool {
        for (nth, link) in rule.links.iter().enumerate() {
            let once = nth + 1 == rule.links.len() && rule.actions.disposition != Disposition::Pass;
            let Some(test) = &link.test else {
                self.effects(rule, &link.effects);
                continue;
            };
            let matcher = operator::compile(&test.operator).expect("it was compiled before");
            let operand = matcher.operand().map(|text| self.expand(rule, text)).unwrap_or_default();
            let mut matched = false;
            'values: for value in self.values(rule, &test.targets) {
                if self.is_left_out(rule, &value) {
                    continue;
                }
                let mut variants = vec![value.bytes.clone()];
                for &transform in &test.transforms {
                    let (last, mut out) = (variants.last().cloned().unwrap_or_default(), Vec::new());
                    let changed = transform::apply(transform, &last, &mut out);
                    variants.push(if changed { out } else { last });
                }
                if link.multi_match {
                    variants.dedup();
                } else {
                    variants.drain(..variants.len() - 1);
                }
                for bytes in variants {
                    let mut captures = Captures::default();
                    if matcher.matches(&bytes, &operand, Some(&mut captures)) == test.negated {
                        continue;
                    }
                    matched = true;
                    if link.capture && !test.negated {
                        for group in 0..10 {
                            let name = group.to_string().into_bytes();
                            self.set(name, captures.get(group, &bytes).map(<[u8]>::to_vec));
                        }
                    }
                    self.matched.push(Value { bytes, ..value.clone() });
                    self.effects(rule, &link.effects);
                    if once {
                        break 'values;
                    }
                }
            }
            if !matched {
                return false;
            }
        }
        true
    }

    fn values(&self, rule: &Rule, targets: &[Target]) -> Vec<Value> {
        let mut all = Vec::new();
        for target in targets.iter().filter(|target| target.how != How::Excluded) {
            let excluded = |value: &Value| {
                let mut leaves = targets.iter().filter(|target| target.how == How::Excluded);
                leaves.any(|leave| self.is_meant(rule, leave, value))
            };
            let plain = Target { how: How::Values, ..target.clone() };
            let mut found: Vec<Value> = self.members(target.variable);
            found.retain(|value| self.is_meant(rule, &plain, value) && !excluded(value));
            if target.how == How::Count {
                let bytes = found.len().to_string().into_bytes();
                found = vec![Value { variable: target.variable, count: true, name: Vec::new(), bytes }];
            }
            all.extend(found);
        }
        all
    }

    fn members(&self, variable: Variable) -> Vec<Value> {
        let value =
            |name: &[u8], bytes: &[u8]| Value { variable, count: false, name: name.into(), bytes: bytes.into() };
        match variable {
            Variable::Tx => self.tx.iter().map(|(name, bytes)| value(name, bytes)).collect(),
            Variable::MatchedVar => {
                self.matched.last().map(|held| value(&held.name, &held.bytes)).into_iter().collect()
            }
            Variable::MatchedVars => self.matched.iter().map(|held| value(&held.name, &held.bytes)).collect(),
            Variable::MatchedVarName => {
                self.matched.last().map(|held| value(&held.name, &place(held))).into_iter().collect()
            }
            Variable::MatchedVarsNames => self.matched.iter().map(|held| value(&held.name, &place(held))).collect(),
            Variable::Duration => vec![value(b"", b"0")],
            Variable::TimeEpoch => vec![value(b"", (self.now_ms / 1000).to_string().as_bytes())],
            Variable::Rule => Vec::new(),
            _ => {
                let entries = self.input.entries(variable).iter();
                entries.map(|entry| value(self.input.bytes(entry.name), self.input.bytes(entry.value))).collect()
            }
        }
    }

    fn is_meant(&self, rule: &Rule, target: &Target, value: &Value) -> bool {
        let judged_name = is_judged(value.variable) && value.variable != Variable::Tx;
        target.variable == value.variable
            && match &target.selector {
                Selector::All => true,
                _ if judged_name => true,
                Selector::Name(text) if value.variable == Variable::Json => {
                    let path = self.expand(rule, text);
                    json_path_matches(&String::from_utf8_lossy(&path), &value.name)
                }
                Selector::Name(text) => self.expand(rule, text).eq_ignore_ascii_case(&value.name),
                Selector::Pattern(pattern) => {
                    let pattern = Operator::Rx(format!("(?i){pattern}").into());
                    operator::compile(&pattern).expect("it was compiled before").matches(&value.name, b"", None)
                }
            }
    }

    fn expand(&self, rule: &Rule, text: &Text) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &text.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Macro(Variable::Rule, Some(name)) if &**name == "id" => {
                    out.extend_from_slice(rule.actions.id.to_string().as_bytes());
                }
                Part::Macro(Variable::Rule, _) => {}
                Part::Macro(variable, name) => {
                    let members = match variable {
                        Variable::MatchedVars => self.members(Variable::MatchedVar),
                        Variable::MatchedVarsNames => self.members(Variable::MatchedVarName),
                        variable => self.members(*variable),
                    };
                    let fits = |value: &&Value| {
                        let any = is_judged(*variable) && *variable != Variable::Tx;
                        any || name.as_ref().is_none_or(|name| value.name.eq_ignore_ascii_case(name.as_bytes()))
                    };
                    out.extend(members.iter().find(fits).map(|value| value.bytes.clone()).unwrap_or_default());
                }
            }
        }
        out
    }

    fn set(&mut self, name: Vec<u8>, value: Option<Vec<u8>>) {
        let name = name.to_ascii_lowercase();
        let at = self.tx.iter().position(|(held, _)| *held == name);
        match (at, value) {
            (Some(at), Some(value)) => self.tx[at].1 = value,
            (Some(at), None) => drop(self.tx.remove(at)),
            (None, Some(value)) => self.tx.push((name, value)),
            (None, None) => {}
        }
    }

    fn effects(&mut self, rule: &Rule, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::SetVar(SetVar::Assign { name, value }) => {
                    let value = self.expand(rule, value);
                    self.set(self.expand(rule, name), Some(value));
                }
                Effect::SetVar(SetVar::Remove { name }) => self.set(self.expand(rule, name), None),
                Effect::SetVar(SetVar::Add { name, value, negative }) => {
                    let name = self.expand(rule, name).to_ascii_lowercase();
                    let old = self.tx.iter().find(|(held, _)| *held == name).map_or(0, |(_, value)| number(value));
                    let by = number(&self.expand(rule, value));
                    let sum = if *negative { old.saturating_sub(by) } else { old.saturating_add(by) };
                    self.set(name, Some(sum.max(0).to_string().into_bytes()));
                }
                Effect::Control(Control::Engine(mode)) => self.mode = *mode,
                Effect::Control(Control::RequestBodyAccess(on)) => self.body_access = *on,
                Effect::Control(Control::BodyProcessor(processor)) => self.processor = Some(*processor),
                Effect::Control(Control::ForceRequestBodyVariable(on)) => self.force = *on,
                Effect::Control(control) => self.removed.push(control.clone()),
            }
        }
    }
}

fn place(value: &Value) -> Vec<u8> {
    let mut place = if value.count { b"&".to_vec() } else { Vec::new() };
    place.extend_from_slice(variable_name(value.variable).as_bytes());
    if !value.name.is_empty() {
        place.push(b':');
        place.extend_from_slice(&value.name);
    }
    place
}

fn is_place(item: &Item, name: &str) -> bool {
    match item {
        Item::Marker(marker) => **marker == *name,
        Item::Rule(rule) => rule.actions.id.to_string() == name,
        _ => false,
    }
}

fn found(pattern: &str, text: &Text) -> bool {
    let plain: String = text
        .parts
        .iter()
        .filter_map(|part| if let Part::Literal(text) = part { Some(&**text) } else { None })
        .collect();
    operator::compile(&Operator::Rx(pattern.into())).expect("it was compiled before").matches(
        plain.as_bytes(),
        b"",
        None,
    )
}

/// Where a request comes from, for all tests.
pub fn client() -> SocketAddr {
    "198.51.100.7:4711".parse().expect("an address")
}
