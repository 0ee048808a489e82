//! Which rules can be ruled out together, and by what: probes and gates.
//!
//! A rule cannot match where one of its links cannot. Its probe is asked first: the first link that has a gate, as long as
//! no link in front of it does anything; else the first link, when its values are of the request alone.

use super::super::model::Variable;
use super::program::{Ask, Effect, Link, Piece, Probe, Rule, TargetList, Template, Values};
use super::{set, sieve};

/// The probes of a set and the literals of its gates.
#[derive(Debug, Default)]
pub struct Plan {
    pub probes: Vec<Probe>,
    pub literals: Vec<Vec<Box<[u8]>>>,
}

/// The question of one rule that its probe asks.
struct Candidate {
    rule: usize,
    link: usize,
    literals: Option<Vec<Box<[u8]>>>,
}

/// Gives rules their probes and links their gates.
pub fn plan(rules: &mut [Rule], heads: usize, lists: &[TargetList]) -> Plan {
    let mut plan = Plan::default();
    let words = rules.len().div_ceil(64);
    let mut candidates: Vec<Vec<Candidate>> = Vec::new();
    for (index, rule) in rules.iter_mut().enumerate() {
        let Some((link, literals)) = probing_link(rule, lists) else { continue };
        let Some(values) = values_of(rule.links.get(link)) else { continue };
        // Probes of phase 2 are others than those of phase 1: there is more to look at.
        let phase_2 = index >= heads;
        let same = |(probe, of): (&Probe, &Vec<Candidate>)| {
            probe.list == values.list
                && probe.node == values.node
                && probe.steps == values.steps
                && of.first().is_some_and(|first| (first.rule >= heads) == phase_2)
        };
        let at = plan.probes.iter().zip(&candidates).position(same).unwrap_or_else(|| {
            plan.probes.push(Probe {
                list: values.list,
                node: values.node,
                steps: values.steps.clone(),
                all: vec![0; words].into(),
                gated: vec![0; words].into(),
                first_gate: 0,
                rules: Box::default(),
            });
            candidates.push(Vec::new());
            plan.probes.len() - 1
        });
        rule.probe = Some(at);
        if let Some(of) = candidates.get_mut(at) {
            of.push(Candidate { rule: index, link, literals });
        }
    }
    for (probe, candidates) in plan.probes.iter_mut().zip(candidates) {
        number_gates(probe, candidates, rules, &mut plan.literals);
    }
    // The other links are gated, too, for themselves alone.
    for link in rules.iter_mut().flat_map(|rule| &mut *rule.links) {
        if let Some(literals) = literals_of(link)
            && let Ask::Values(values) = &mut link.ask
            && values.gate.is_none()
        {
            values.gate = Some(plan.literals.len());
            plan.literals.push(literals);
        }
    }
    plan
}

/// The gates of a probe are neighbours, in the order of its rules.
fn number_gates(probe: &mut Probe, candidates: Vec<Candidate>, rules: &mut [Rule], all: &mut Vec<Vec<Box<[u8]>>>) {
    probe.first_gate = all.len();
    let mut gated = Vec::new();
    for candidate in candidates {
        set(&mut probe.all, candidate.rule);
        let Some(literals) = candidate.literals else { continue };
        set(&mut probe.gated, candidate.rule);
        gated.push(candidate.rule);
        let link = rules.get_mut(candidate.rule).and_then(|rule| rule.links.get_mut(candidate.link));
        if let Some(Link { ask: Ask::Values(values), .. }) = link {
            values.gate = Some(all.len());
        }
        all.push(literals);
    }
    probe.rules = gated.into();
}

/// Texts of which one must occur.
type Literals = Vec<Box<[u8]>>;

/// The link that shows soonest that a rule cannot match, and its literals.
fn probing_link(rule: &Rule, lists: &[TargetList]) -> Option<(usize, Option<Literals>)> {
    let mut first = None;
    for (index, link) in rule.links.iter().enumerate() {
        if let Some(values) = values_of(Some(link))
            && lists.get(values.list).is_some_and(|list| list.fixed)
        {
            if let Some(literals) = literals_of(link) {
                return Some((index, Some(literals)));
            }
            if first.is_none() {
                first = Some((index, None));
            }
        }
        // What a link does must be done although the rest of the chain does not match.
        if !link.effects.is_empty() || link.capture {
            break;
        }
    }
    first
}

fn values_of(link: Option<&Link>) -> Option<&Values> {
    match link {
        Some(Link { ask: Ask::Values(values), .. }) => Some(values),
        _ => None,
    }
}

/// The literals of a link that can be gated by them. Negated, an operator matches where there are none.
fn literals_of(link: &Link) -> Option<Vec<Box<[u8]>>> {
    let values = values_of(Some(link)).filter(|values| !values.negated)?;
    values.matcher.literals().filter(|literals| sieve::can_gate(literals))
}

/// Whether a rule of phase 2 looks at something that comes from the body.
pub fn need_body(rules: &[Rule], heads: usize, lists: &[TargetList]) -> bool {
    let mut links = rules.iter().skip(heads).flat_map(|rule| &rule.links);
    let takes = |values: &Values| {
        let of_list = |list: &TargetList| list.takes.iter().any(|take| is_of_body(take.variable));
        lists.get(values.list).is_some_and(of_list) || values.operand.as_ref().is_some_and(names_body)
    };
    let sets = |effect: &Effect| match effect {
        Effect::Assign { value, .. } | Effect::Add { value, .. } => names_body(value),
        _ => false,
    };
    links.any(|link| values_of(Some(link)).is_some_and(takes) || link.effects.iter().any(sets))
}

/// Whether a macro of a text gives something of the body.
fn names_body(text: &Template) -> bool {
    let of_body = |piece: &Piece| matches!(piece, Piece::Variable(variable, _) if is_of_body(*variable));
    matches!(text, Template::Pieces(pieces) if pieces.iter().any(of_body))
}

fn is_of_body(variable: Variable) -> bool {
    matches!(
        variable,
        Variable::Args
            | Variable::ArgsPost
            | Variable::ArgsNames
            | Variable::ArgsPostNames
            | Variable::ArgsCombinedSize
            | Variable::Files
            | Variable::FilesNames
            | Variable::FilesSizes
            | Variable::FilesCombinedSize
            | Variable::Json
            | Variable::MultipartStrictError
            | Variable::MultipartUnmatchedBoundary
            | Variable::MultipartPartHeaders
            | Variable::ReqbodyError
            | Variable::ReqbodyErrorMsg
            | Variable::ReqbodyProcessor
            | Variable::RequestBody
            | Variable::RequestBodyLength
            | Variable::XmlText
            | Variable::XmlAttributes
    )
}
