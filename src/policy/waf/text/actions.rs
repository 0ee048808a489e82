//! Actions: `id:1,phase:2,deny,msg:'a, b',t:lowercase,setvar:'tx.score=+5'` and the like.
//!
//! What one action says; what a rule makes of all of them is decided by `rules`.

use super::macros::{self, Unknown};
use super::{Fault, fault, names, targets, unsupported};
use crate::policy::waf::model::{
    AllowScope, BodyProcessor, Control, Disposition, Effect, Mode, SetVar, Text, Transform,
};

/// What a list of actions says. `None`, empty: it says nothing about that.
#[derive(Default, Debug)]
pub(super) struct Actions {
    pub id: Option<u64>,
    pub phase: Option<u8>,
    pub disposition: Option<Verb>,
    pub status: Option<u16>,
    pub msg: Option<Text>,
    pub tags: Vec<Text>,
    pub severity: Option<u8>,
    pub rev: Option<Box<str>>,
    pub ver: Option<Box<str>>,
    pub log: Option<bool>,
    pub auditlog: Option<bool>,
    pub skip_after: Option<Box<str>>,
    pub skip: Option<u32>,
    /// `None` = `t:none`: those in front of it do not count.
    pub transforms: Vec<Option<Transform>>,
    pub effects: Vec<Effect>,
    pub capture: bool,
    pub multi_match: bool,
    pub logdata: Option<Text>,
    pub chain: bool,
    /// What cannot be taken.
    pub faults: Vec<Fault>,
    /// What was taken and has no effect.
    pub notes: Vec<Fault>,
}

/// What a match leads to, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// `block`: what the default action of the phase says.
    Block,
    Is(Disposition),
}

/// Reads a list of actions.
pub(super) fn actions(list: &str) -> Actions {
    let mut actions = Actions::default();
    match split(list) {
        Ok(items) => {
            for (name, value) in items {
                if let Err(fault) = actions.take(&name, &value) {
                    actions.faults.push(fault);
                }
            }
        }
        Err(fault) => actions.faults.push(fault),
    }
    actions
}

/// Names and values; a value in single quotes may hold commas, and `\'` in it is a quote.
fn split(list: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut items = Vec::new();
    let mut rest = list.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
    while !rest.is_empty() {
        let end = rest.find([':', ',']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let name = name.trim().to_owned();
        let (value, behind) = match behind.strip_prefix(':').map(str::trim_start) {
            None => (String::new(), behind),
            Some(value) => match value.strip_prefix('\'') {
                Some(quoted) => quoted_value(&name, quoted)?,
                None => plain_value(value),
            },
        };
        items.push((name, value));
        rest = behind.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
    }
    Ok(items)
}

fn quoted_value<'t>(name: &str, text: &'t str) -> Result<(String, &'t str), Fault> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next_if(|(_, next)| *next == '\'' || *next == '\\') {
                Some((_, escaped)) => value.push(escaped),
                None => value.push('\\'),
            },
            '\'' => {
                let behind = text.get(at + 1..).unwrap_or_default();
                if !behind.trim_start().is_empty() && !behind.trim_start().starts_with(',') {
                    return Err(fault(
                        name,
                        "text follows the closing quote",
                        "write \\' for a quote inside of quotes",
                    ));
                }
                return Ok((value, behind));
            }
            c => value.push(c),
        }
    }
    Err(fault(name, "the quote of its value is not closed", "close it with '"))
}

/// Up to a comma outside of quotes that begin a part (`TX:'/a,b/'`).
fn plain_value(text: &str) -> (String, &str) {
    let mut inside = false;
    let mut last = ' ';
    let end = text.char_indices().find(|(_, c)| {
        if *c == '\'' && (inside || matches!(last, ':' | '=' | ';')) {
            inside = !inside;
        }
        last = *c;
        *c == ',' && !inside
    });
    let (value, behind) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    (value.trim().to_owned(), behind)
}

impl Actions {
    fn take(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        let word = name.to_ascii_lowercase();
        if self.take_verdict(&word, value)? || self.take_words(&word, value)? {
            return Ok(());
        }
        match word.as_str() {
            "t" => self.transforms.push(transform(value)?),
            "setvar" => match set_var(value)? {
                Some(set) => self.effects.push(Effect::SetVar(set)),
                None => self.note(format!("setvar:{value}"), "no collection outlives a request; nothing is set"),
            },
            "ctl" => self.control(value)?,
            "capture" => self.capture = true,
            "multimatch" => self.multi_match = true,
            "chain" => self.chain = true,
            "accuracy" | "maturity" => {}
            "initcol" | "expirevar" | "deprecatevar" | "setuid" | "setsid" | "setrsc" => {
                self.note(format!("{name}:{value}"), "no collection outlives a request");
            }
            "sanitisearg"
            | "sanitizearg"
            | "sanitisematched"
            | "sanitizematched"
            | "sanitisematchedbytes"
            | "sanitizematchedbytes"
            | "sanitiserequestheader"
            | "sanitizerequestheader"
            | "sanitiseresponseheader"
            | "sanitizeresponseheader" => {
                self.note(name.to_owned(), "no value of a request is ever logged");
            }
            "setenv" | "xmlns" | "append" | "prepend" => self.note(name.to_owned(), "there is nothing that it acts on"),
            "exec" | "redirect" | "proxy" | "pause" => {
                return Err(unsupported(name, "is not supported", "use deny with a status"));
            }
            _ => return Err(fault(name, "is not an action", "docs/waf.md lists the actions")),
        }
        Ok(())
    }

    /// What a match leads to, and who learns of it.
    fn take_verdict(&mut self, word: &str, value: &str) -> Result<bool, Fault> {
        match word {
            "pass" => self.disposition = Some(Verb::Is(Disposition::Pass)),
            "deny" => self.disposition = Some(Verb::Is(Disposition::Deny)),
            "drop" => self.disposition = Some(Verb::Is(Disposition::Drop)),
            "block" => self.disposition = Some(Verb::Block),
            "allow" => {
                let scope = match value.to_ascii_lowercase().as_str() {
                    "" => AllowScope::Everything,
                    "phase" => AllowScope::Phase,
                    "request" => AllowScope::Request,
                    _ => {
                        return Err(fault(
                            format!("allow:{value}"),
                            "is no part of a request",
                            "write allow, allow:phase or allow:request",
                        ));
                    }
                };
                self.disposition = Some(Verb::Is(Disposition::Allow(scope)));
            }
            "log" => (self.log, self.auditlog) = (Some(true), Some(true)),
            "nolog" => (self.log, self.auditlog) = (Some(false), Some(false)),
            "auditlog" => self.auditlog = Some(true),
            "noauditlog" => self.auditlog = Some(false),
            "skipafter" => self.skip_after = Some(value.into()),
            "skip" => self.skip = Some(parsed("skip", value, "write a number of rules", |text| text.parse().ok())?),
            "status" => {
                let status = |text: &str| text.parse().ok().filter(|status| (200..=599).contains(status));
                self.status = Some(parsed("status", value, "write 200 to 599, such as status:403", status)?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What the rule is called.
    fn take_words(&mut self, word: &str, value: &str) -> Result<bool, Fault> {
        match word {
            "id" => {
                self.id =
                    Some(parsed("id", value, "write a number from 1", |text| text.parse().ok().filter(|id| *id > 0))?)
            }
            "phase" => self.phase = Some(parsed("phase", value, "write 1 or 2 (request)", names::phase)?),
            "msg" => self.msg = Some(macros::text(value, Unknown::Stays)?),
            "tag" => self.tags.push(macros::text(value, Unknown::Stays)?),
            "logdata" => self.logdata = Some(macros::text(value, Unknown::Stays)?),
            "severity" => self.severity = Some(parsed("severity", value, "write CRITICAL or 0 to 7", names::severity)?),
            "rev" => self.rev = Some(value.into()),
            "ver" => self.ver = Some(value.into()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn note(&mut self, construct: String, what: &str) {
        self.notes.push(fault(construct, what, ""));
    }

    fn control(&mut self, value: &str) -> Result<(), Fault> {
        let (name, setting) = value.split_once('=').unwrap_or((value, ""));
        let (control, ignored) = control(name.trim(), setting.trim())?;
        if let Some(what) = ignored {
            self.note(format!("ctl:{}", name.trim()), what);
        }
        self.effects.push(Effect::Control(control));
        Ok(())
    }
}

fn parsed<T>(name: &str, value: &str, hint: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Fault> {
    let value = value.trim();
    parse(value).ok_or_else(|| fault(format!("{name}:{value}"), "is not a value of that action", hint))
}

fn transform(value: &str) -> Result<Option<Transform>, Fault> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let known = names::transform(value).map(Some);
    known.ok_or_else(|| {
        unsupported(format!("t:{value}"), "is not a transformation that there is", "docs/waf.md lists them")
    })
}

/// `None`: of a collection that outlives a request.
fn set_var(value: &str) -> Result<Option<SetVar>, Fault> {
    let (remove, rest) = match value.trim().strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, value.trim()),
    };
    let (name, assigned) = match rest.split_once('=') {
        Some((name, assigned)) => (name.trim(), Some(assigned.trim())),
        None => (rest, None),
    };
    let Some((collection, member)) = name.split_once(['.', ':']) else {
        return Err(fault(format!("setvar:{value}"), "names no collection", "write setvar:'tx.NAME=VALUE'"));
    };
    if names::is_persistent(collection) {
        return Ok(None);
    }
    if !collection.eq_ignore_ascii_case("tx") {
        return Err(unsupported(
            format!("setvar:{value}"),
            "only members of TX can be set",
            "write setvar:'tx.NAME=VALUE'",
        ));
    }
    let text = |text: &str| macros::text(text.trim(), Unknown::Refused);
    let name = text(member)?;
    Ok(Some(match (remove, assigned) {
        (true, _) => SetVar::Remove { name },
        (false, None) => SetVar::Assign { name, value: Text::literal("1") },
        (false, Some(assigned)) => match (assigned.strip_prefix('+'), assigned.strip_prefix('-')) {
            (Some(by), _) => SetVar::Add { name, value: text(by)?, negative: false },
            (_, Some(by)) => SetVar::Add { name, value: text(by)?, negative: true },
            _ => SetVar::Assign { name, value: text(assigned)? },
        },
    }))
}

/// The control, and why it has no effect where that is so.
fn control(name: &str, setting: &str) -> Result<(Control, Option<&'static str>), Fault> {
    let wrong = |hint: &str| fault(format!("ctl:{name}={setting}"), "is not a value of that control", hint);
    let on = || match setting.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(wrong("write On or Off")),
    };
    let target = || {
        let parts = setting.split_once(';').map(|(of, target)| (of.trim(), target));
        parts.ok_or_else(|| wrong("write RULE;TARGET, such as 1001;ARGS:prompt"))
    };
    let control = match name.to_ascii_lowercase().as_str() {
        "ruleengine" => Control::Engine(mode(setting).ok_or_else(|| wrong("write On, DetectionOnly or Off"))?),
        "requestbodyaccess" => Control::RequestBodyAccess(on()?),
        "forcerequestbodyvariable" => Control::ForceRequestBodyVariable(on()?),
        "requestbodyprocessor" => Control::BodyProcessor(match setting.to_ascii_lowercase().as_str() {
            "urlencoded" => BodyProcessor::UrlEncoded,
            "multipart" => BodyProcessor::Multipart,
            "json" => BodyProcessor::Json,
            "xml" => BodyProcessor::Xml,
            _ => return Err(wrong("write URLENCODED, MULTIPART, JSON or XML")),
        }),
        "ruleremovebyid" => {
            let (from, to) = range(setting).ok_or_else(|| wrong("write a number or a range such as 1-9"))?;
            Control::RemoveById(from, to)
        }
        "ruleremovebytag" => Control::RemoveByTag(setting.into()),
        "ruleremovebymsg" => Control::RemoveByMsg(setting.into()),
        "ruleremovetargetbyid" => {
            let (of, written) = target()?;
            let (from, to) = range(of).ok_or_else(|| wrong("write a number or a range in front of the semicolon"))?;
            Control::RemoveTargetById { from, to, target: targets::single(written)? }
        }
        "ruleremovetargetbytag" => {
            let (tag, written) = target()?;
            Control::RemoveTargetByTag { tag: tag.into(), target: targets::single(written)? }
        }
        "auditengine" | "auditlogparts" | "debugloglevel" => {
            return Ok((Control::Ignored(name.into()), Some("there is no audit log and no debug log of rules")));
        }
        "requestbodylimit" | "responsebodyaccess" | "responsebodylimit" | "hashengine" | "hashenforcement" => {
            return Ok((Control::Ignored(name.into()), Some("there is nothing that it acts on")));
        }
        _ => {
            return Err(unsupported(format!("ctl:{name}"), "is not a control that there is", "docs/waf.md lists them"));
        }
    };
    Ok((control, None))
}

/// `On`, `DetectionOnly`, `Off`.
pub(super) fn mode(word: &str) -> Option<Mode> {
    match word.to_ascii_lowercase().as_str() {
        "on" => Some(Mode::On),
        "detectiononly" => Some(Mode::DetectionOnly),
        "off" => Some(Mode::Off),
        _ => None,
    }
}

/// `7` or `1-9`, both ends included.
pub(super) fn range(text: &str) -> Option<(u64, u64)> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (from <= to).then_some((from, to))
}
