//! SecLang: from the text of rule files to the `model`. The language is described in docs/waf.md.
//!
//! Collects all that is wrong, never stops at the first. Reads no file: whoever calls hands in a function that does.
//! Nothing here judges a request.

mod actions;
mod lines;
mod macros;
mod names;
mod operators;
mod rules;
mod targets;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use super::model::{Document, Item, Place, Selection};
use lines::Line;
use rules::Rules;

/// Files inside of files.
const INCLUDE_DEPTH_MAX: u32 = 16;
/// Files of rules in all.
const INCLUDED_FILES_MAX: usize = 1_000;

/// A text of rules.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// What it is called in messages, and what relative paths in it are resolved against.
    pub name: Arc<str>,
    pub text: &'a str,
}

/// Names and contents of files, in order.
pub type Given = Vec<(Arc<str>, Vec<u8>)>;

/// Gives the contents of files: a path as written, which may be a pattern, and the name of the text that names it.
/// None where there is no such file.
pub type Files<'a> = &'a mut dyn FnMut(&str, &str) -> Result<Given, String>;

/// All that was read.
#[derive(Debug, Default)]
pub struct Loaded {
    pub document: Document,
    /// What could not be taken. A rule that is named here is not in the document.
    pub problems: Vec<Problem>,
    /// What was taken and has no effect.
    pub notes: Vec<Problem>,
    pub counts: Counts,
}

/// Rules by what became of them; a chain is one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub loaded: usize,
    /// Not taken; the problems say why.
    pub skipped: usize,
    /// Rules of the phases 3 to 5.
    pub not_judged: usize,
}

/// Something that could not be taken, or that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    /// 0 = no rule's.
    pub rule: u64,
    /// `@geoLookup`, `t:foo`, `SecFoo`.
    pub construct: String,
    pub what: String,
    /// What to do; may be empty.
    pub hint: String,
    pub kind: Kind,
}

/// Whether rules can be left out for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The text is wrong: a mistake that its author wants to know of.
    Malformed,
    /// The text is right, and there is no such thing here.
    Unsupported,
}

impl Problem {
    /// Whether the rule set stands without it, where its owner says that unsupported rules are left out.
    pub fn can_be_skipped(&self) -> bool {
        rules::can_be_skipped(self)
    }

    fn of(place: &Place, rule: u64, fault: Fault) -> Self {
        let Fault { construct, what, hint, kind } = fault;
        Self { place: place.clone(), rule, construct, what, hint, kind }
    }
}

/// `file:line: rule 1001: @foo: is not an operator; what to do`, in one line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if self.rule > 0 {
            write!(f, "rule {}: ", self.rule)?;
        }
        write!(f, "{}: {}", self.construct, self.what)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

/// What is wrong with a piece of text, without its place.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    construct: String,
    what: String,
    hint: String,
    kind: Kind,
}

fn fault(construct: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault { construct: construct.into(), what: what.into(), hint: hint.into(), kind: Kind::Malformed }
}

fn unsupported(construct: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault { kind: Kind::Unsupported, ..fault(construct, what, hint) }
}

/// The files that a text names.
struct DataFiles<'a> {
    files: Files<'a>,
    from: Arc<str>,
}

impl DataFiles<'_> {
    fn read(&mut self, path: &str) -> Result<Given, String> {
        (self.files)(path, &self.from)
    }
}

/// Reads texts in order, as if they were one.
pub fn read(sources: &[Source<'_>], files: Files<'_>) -> Loaded {
    let mut reader = Reader { rules: Rules::default(), files, included: 0 };
    for source in sources {
        reader.text(&source.name, source.text, 0);
    }
    reader.rules.apply_updates();
    let Rules { document, counts, problems, notes, .. } = reader.rules;
    Loaded { document, problems, notes, counts }
}

struct Reader<'a> {
    rules: Rules,
    files: Files<'a>,
    included: usize,
}

impl Reader<'_> {
    fn text(&mut self, name: &Arc<str>, text: &str, depth: u32) {
        let (lines, swallowed) = lines::directives(text);
        for line in swallowed {
            let what = "this line belongs to the comment above it, which ends with a backslash";
            let note = fault("#", what, "remove the backslash, or put # in front of this line, too");
            self.rules.notes.push(Problem::of(&Place { file: Arc::clone(name), line }, 0, note));
        }
        for Line { number, text } in lines {
            let place = Place { file: Arc::clone(name), line: number };
            let result = lines::words(&text).and_then(|words| self.directive(&place, &words, depth));
            if let Err(fault) = result {
                self.rules.problem(&place, 0, fault);
            }
        }
        self.rules.end_chain();
    }

    fn directive(&mut self, place: &Place, words: &[String], depth: u32) -> Result<(), Fault> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some((name, arguments)) = words.split_first() else { return Ok(()) };
        let lower = name.to_ascii_lowercase();
        match (lower.as_str(), arguments) {
            ("secrule", [targets, operator]) => self.link(place, Some((targets, operator)), ""),
            ("secrule", [targets, operator, actions]) => self.link(place, Some((targets, operator)), actions),
            ("secaction", [actions]) => self.link(place, None, actions),
            ("secrule" | "secaction", _) => {
                let hint =
                    "write SecRule VARIABLES \"@operator operand\" \"actions\", each in quotes where it holds spaces";
                return Err(fault(*name, format!("has {} arguments", arguments.len()), hint));
            }
            _ => {
                self.rules.end_chain();
                return self.other(place, name, &lower, arguments, depth);
            }
        }
        Ok(())
    }

    fn link(&mut self, place: &Place, asks: Option<(&str, &str)>, actions: &str) {
        let mut files = DataFiles { files: &mut *self.files, from: Arc::clone(&place.file) };
        self.rules.link(place, asks, actions, &mut files);
    }

    /// Directives that are no links of rules.
    fn other(&mut self, place: &Place, name: &str, lower: &str, arguments: &[&str], depth: u32) -> Result<(), Fault> {
        match (lower, arguments) {
            ("secmarker", [marker]) => self.push(Item::Marker((*marker).into())),
            ("secruleengine", [mode]) => {
                let mode = actions::mode(mode);
                self.push(Item::Engine(mode.ok_or_else(|| value(name, "write On, DetectionOnly or Off"))?));
            }
            ("secrequestbodyaccess", [on]) => self.push(Item::BodyAccess(on_off(name, on)?)),
            ("secdefaultaction", [actions]) => self.rules.default_action(place, actions),
            ("include", [path]) => self.include(place, path, depth, true)?,
            ("includeoptional", [path]) => self.include(place, path, depth, false)?,
            ("secruleupdateactionbyid", [id, actions]) => {
                let id = id
                    .parse()
                    .map_err(|_| value(name, "write the id of a rule; links behind the first are not changed"))?;
                self.rules.update_actions(place, id, actions);
            }
            _ if lower.starts_with("secruleremoveby") || lower.starts_with("secruleupdatetargetby") => {
                let item = change(name, lower, arguments)?;
                self.push(item);
            }
            _ if names::is_without_effect(name) => {
                let note = Problem::of(place, 0, fault(name, "has no effect here", hint_of(lower)));
                self.rules.notes.push(note);
            }
            ("secremoterules" | "secrulescript" | "secremoterulesfailaction", _) => {
                return Err(unsupported(name, "is not supported", "keep the rules in a file"));
            }
            (
                "secmarker"
                | "secruleengine"
                | "secrequestbodyaccess"
                | "secdefaultaction"
                | "include"
                | "includeoptional"
                | "secruleupdateactionbyid",
                _,
            ) => {
                return Err(fault(
                    name,
                    format!("has {} arguments", arguments.len()),
                    "put quotes around what holds spaces",
                ));
            }
            _ if name.starts_with('<') => {
                let hint = "remove the line: a rule file holds directives only";
                return Err(fault(name, "is a section of a web server's configuration", hint));
            }
            _ => return Err(fault(name, "is not a directive", "docs/waf.md lists the directives")),
        }
        Ok(())
    }

    fn push(&mut self, item: Item) {
        self.rules.document.items.push(item);
    }

    fn include(&mut self, place: &Place, path: &str, depth: u32, required: bool) -> Result<(), Fault> {
        let construct = || format!("Include {path}");
        if depth >= INCLUDE_DEPTH_MAX {
            return Err(fault(construct(), format!("is {depth} files deep"), "check whether a file includes itself"));
        }
        let files =
            (self.files)(path, &place.file).map_err(|e| fault(construct(), e, "check the path and its permissions"))?;
        if files.is_empty() {
            let nothing =
                fault(construct(), "there is no such file", "check the path; IncludeOptional takes none, too");
            return if required {
                Err(nothing)
            } else {
                self.rules.notes.push(Problem::of(place, 0, Fault { hint: String::new(), ..nothing }));
                Ok(())
            };
        }
        for (name, bytes) in files {
            self.included += 1;
            if self.included > INCLUDED_FILES_MAX {
                let what = format!("there are more than {INCLUDED_FILES_MAX} files");
                return Err(fault(construct(), what, "check whether a file includes itself"));
            }
            match std::str::from_utf8(&bytes) {
                Ok(text) => self.text(&name, text, depth + 1),
                Err(_) => self.rules.problem(place, 0, fault(&*name, "is not UTF-8", "save the file as UTF-8")),
            }
        }
        Ok(())
    }
}

/// `SecRuleRemoveBy…`, `SecRuleUpdateTargetBy…`.
fn change(name: &str, lower: &str, arguments: &[&str]) -> Result<Item, Fault> {
    let all = |targets: &str| targets::targets(targets, &['|', ',']);
    let of = |id: &str| actions::range(id).ok_or_else(|| value(name, "write the id of a rule, or a range such as 1-9"));
    Ok(match (lower, arguments) {
        ("secruleremovebyid", [_, ..]) => {
            let ids = arguments.iter().flat_map(|word| word.split([' ', ','])).filter(|id| !id.is_empty());
            Item::RemoveById(ids.map(of).collect::<Result<_, _>>()?)
        }
        ("secruleremovebytag", [tag]) => Item::RemoveByTag((*tag).into()),
        ("secruleremovebymsg", [msg]) => Item::RemoveByMsg((*msg).into()),
        ("secruleupdatetargetbyid", [id, targets]) => {
            let (from, to) = of(id)?;
            Item::UpdateTargets { of: Selection::Id(from, to), targets: all(targets)? }
        }
        ("secruleupdatetargetbytag", [tag, targets]) => {
            Item::UpdateTargets { of: Selection::Tag((*tag).into()), targets: all(targets)? }
        }
        ("secruleupdatetargetbymsg", [msg, targets]) => {
            Item::UpdateTargets { of: Selection::Msg((*msg).into()), targets: all(targets)? }
        }
        (_, [_, _, _]) if lower.starts_with("secruleupdatetarget") => {
            let hint = "exclude the old one: \"!OLD,NEW\"";
            return Err(unsupported(name, "has a third argument, the variable to replace", hint));
        }
        _ => {
            return Err(fault(
                name,
                format!("has {} arguments", arguments.len()),
                "docs/waf.md shows how it is written",
            ));
        }
    })
}

fn value(name: &str, hint: &str) -> Fault {
    fault(name, "has a value that it cannot have", hint)
}

fn on_off(name: &str, word: &str) -> Result<bool, Fault> {
    match word.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(value(name, "write On or Off")),
    }
}

/// What to use instead of a directive without effect.
fn hint_of(lower: &str) -> &'static str {
    match lower {
        _ if lower.starts_with("secrequestbody") => "set inspect_bytes and over in [[waf]]",
        _ if lower.starts_with("secauditlog") => "decisions are in the access log",
        _ => "",
    }
}
