//! Texts with macros, expanded: for operators and variables as they are, for notes without what the request brought.
//!
//! The first is never to be shown; the second is all that a note holds. A macro that would show a value of the request
//! becomes its variable's name there, and a TX variable that holds any of it becomes `***`.

use super::super::compile::{Piece, Rule, RuleSet, Template};
use super::super::input::variable_name;
use super::super::model::Variable;
use super::members::{Member, Name};
use super::note::{HIDDEN, shown};
use super::{MatchedValue, Transaction};

impl Transaction {
    /// Writes a text behind `out`; whether anything of the request is in it.
    pub(super) fn expand(&self, rules: &RuleSet, rule: Option<&Rule>, text: &Template, out: &mut Vec<u8>) -> bool {
        let mut tainted = false;
        match text {
            Template::Fixed(text) => out.extend_from_slice(rules.texts.get(*text).map_or(b"", |text| &*text.bytes)),
            Template::Tx(slot) => {
                let value = self.tx.get(*slot);
                tainted = value.is_tainted();
                self.tx.write(&rules.texts, value, out);
            }
            Template::Pieces(pieces) => {
                for piece in pieces {
                    tainted |= self.piece(rules, rule, piece, out);
                }
            }
        }
        tainted
    }

    fn piece(&self, rules: &RuleSet, rule: Option<&Rule>, piece: &Piece, out: &mut Vec<u8>) -> bool {
        match piece {
            Piece::Literal(text) => out.extend_from_slice(text),
            Piece::Tx(slot) => return self.expand(rules, rule, &Template::Tx(*slot), out),
            Piece::RuleId => {
                out.extend_from_slice(itoa::Buffer::new().format(rule.map_or(0, |rule| rule.id)).as_bytes());
            }
            Piece::RuleMessage => {
                // A message within its own message would have no end.
                if let Some(Rule { message: message @ (Template::Fixed(_) | Template::Tx(_)), .. }) = rule {
                    return self.expand(rules, None, message, out);
                }
            }
            Piece::Variable(variable, name) => {
                self.variable(rules, *variable, name.as_deref(), out);
                return true;
            }
        }
        false
    }

    /// The first value of a variable, or of its member of this name.
    fn variable(&self, rules: &RuleSet, variable: Variable, name: Option<&[u8]>, out: &mut Vec<u8>) {
        let number = |number: u64, out: &mut Vec<u8>| {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        };
        match (variable, self.matched.last()) {
            (Variable::Duration, _) => number(self.now_ms.saturating_sub(self.began_ms), out),
            (Variable::TimeEpoch, _) => number(self.now_ms / 1000, out),
            (Variable::MatchedVar | Variable::MatchedVars, Some(matched)) => self.write_matched(matched.value, out),
            (Variable::MatchedVarName | Variable::MatchedVarsNames, Some(matched)) => {
                self.write_place(rules, &matched.member, out);
            }
            _ => {
                let meant = |entry: &&super::super::input::Entry| {
                    name.is_none_or(|name| self.input.bytes(entry.name).eq_ignore_ascii_case(name))
                };
                if let Some(entry) = self.input.entries(variable).iter().find(meant) {
                    out.extend_from_slice(self.input.bytes(entry.value));
                }
            }
        }
    }

    /// Writes a value that matched.
    pub(super) fn write_matched(&self, value: MatchedValue, out: &mut Vec<u8>) {
        match value {
            MatchedValue::Variant(variant) => out.extend_from_slice(self.store.bytes(&self.input, variant)),
            MatchedValue::Number(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        }
    }

    /// Writes where a value stood, as it is: `ARGS:prompt`.
    pub(super) fn write_place(&self, rules: &RuleSet, member: &Member, out: &mut Vec<u8>) {
        if member.count {
            out.push(b'&');
        }
        out.extend_from_slice(variable_name(member.variable).as_bytes());
        let name = self.member_name(rules, member);
        if !name.is_empty() {
            out.push(b':');
            out.extend_from_slice(name);
        }
    }

    fn member_name<'a>(&'a self, rules: &'a RuleSet, member: &Member) -> &'a [u8] {
        match member.name {
            Name::None => b"",
            Name::Input(span) => self.input.bytes(span),
            Name::Slot(slot) => self.tx.name(&rules.names, slot),
        }
    }

    /// Where the rule matched, as it may be shown: of the last link that looked at the request itself.
    pub(super) fn place(&self, rules: &RuleSet) -> Box<str> {
        let of_request = |member: &Member| !super::super::compile::is_judged(member.variable);
        let found = self.matched.iter().rev().find(|matched| of_request(&matched.member)).or(self.matched.last());
        found.map_or_else(Box::default, |matched| self.shown_place(rules, &matched.member).into())
    }

    fn shown_place(&self, rules: &RuleSet, member: &Member) -> String {
        let name = self.member_name(rules, member);
        let count = if member.count { "&" } else { "" };
        let variable = variable_name(member.variable);
        match name {
            [] => format!("{count}{variable}"),
            _ if self.may_be_a_value(member, name) => format!("{count}{variable}:{HIDDEN}"),
            name => format!("{count}{variable}:{}", shown(name)),
        }
    }

    /// Whether what stands as a name may be what somebody sent as a value: an argument or a cookie without a value, such
    /// as a form that is a text without `=`.
    fn may_be_a_value(&self, member: &Member, name: &[u8]) -> bool {
        let of = match member.variable {
            Variable::Args | Variable::ArgsGet | Variable::ArgsPost => Variable::Args,
            Variable::ArgsNames | Variable::ArgsGetNames | Variable::ArgsPostNames => Variable::Args,
            Variable::RequestCookies | Variable::RequestCookiesNames => Variable::RequestCookies,
            _ => return false,
        };
        let is_it = |entry: &super::super::input::Entry| {
            Name::Input(entry.name) == member.name && entry.value.is_empty() && !name.starts_with(b"json.")
        };
        self.input.entries(of).iter().any(is_it)
    }

    /// A rule's message, without anything that the request brought.
    pub(super) fn message(&self, rules: &RuleSet, rule: &Rule) -> Box<str> {
        let mut out = Vec::new();
        let slot = |slot: usize, out: &mut Vec<u8>| {
            let value = self.tx.get(slot);
            if value.is_tainted() {
                out.extend_from_slice(HIDDEN.as_bytes());
            } else {
                self.tx.write(&rules.texts, value, out);
            }
        };
        match &rule.message {
            Template::Fixed(_) => {
                self.expand(rules, None, &rule.message, &mut out);
            }
            Template::Tx(number) => slot(*number, &mut out),
            Template::Pieces(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Tx(number) => slot(*number, &mut out),
                        Piece::Variable(Variable::MatchedVarName, _) => {
                            out.extend_from_slice(self.place(rules).as_bytes());
                        }
                        Piece::Variable(variable, _) => out.extend_from_slice(variable_name(*variable).as_bytes()),
                        Piece::RuleMessage => {}
                        Piece::Literal(_) | Piece::RuleId => {
                            self.piece(rules, Some(rule), piece, &mut out);
                        }
                    }
                }
            }
        }
        String::from_utf8_lossy(&out).into()
    }
}
