//! `@rx`: a compiled pattern of PCRE.
//!
//! Most are run by the regex engine (automata, linear time); those with look-around by [`Looking`]. A pattern that is one
//! macro, with or without anchors around it (`^%{tx.charsets}$`), is never compiled while requests are judged: its value is
//! taken for alternatives of plain text.

use regex_automata::Input;
use regex_automata::meta::{Config, Regex};
use regex_automata::util::primitives::NonMaxUsize;

use super::super::model::{Part, Text, Variable};
use super::captures::{Captures, GROUPS};
use super::pattern::{self, Looking, Required};

/// Bytes of the compiled program of one pattern.
const PROGRAM_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of the automaton that the engine builds as it goes: for each pattern that is run, on each core that runs it.
const SCRATCH_BYTES_MAX: usize = 512 * 1024;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Rx {
    engine: Engine,
    required: Required,
}

#[derive(Clone, Debug)]
enum Engine {
    Regular(Box<Regex>),
    /// The first is the pattern without its conditions: most values fail there already, and faster.
    Looking(Box<Regex>, Box<Looking>),
    Macro {
        operand: Text,
        from_start: bool,
        to_end: bool,
    },
}

impl Rx {
    /// Compiles `pattern`.
    ///
    /// # Errors
    ///
    /// What of it cannot be taken.
    pub fn new(pattern: &str) -> Result<Self, String> {
        if let Some(engine) = of_macro(pattern)? {
            return Ok(Self { engine, required: Required::default() });
        }
        let node = pattern::parse(pattern.as_bytes())?;
        let required = pattern::required(&node);
        let config = Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(PROGRAM_BYTES_MAX))
            .hybrid_cache_capacity(SCRATCH_BYTES_MAX);
        let regex = Regex::builder().configure(config).build_from_hir(&pattern::lower(&node));
        let regex = Box::new(regex.map_err(|error| match error.size_limit() {
            Some(_) => "a pattern that is too large when compiled".to_owned(),
            None => error.to_string(),
        })?);
        let engine = if node.looks_around() {
            Engine::Looking(regex, Box::new(Looking::new(&node)?))
        } else {
            Engine::Regular(regex)
        };
        Ok(Self { engine, required })
    }

    /// What every match contains.
    pub fn required(&self) -> &Required {
        &self.required
    }

    /// How much a byte of a value costs, roughly, in what a byte costs that is only scanned.
    pub fn work(&self) -> u64 {
        match &self.engine {
            Engine::Regular(_) => 4,
            Engine::Looking(..) => 32,
            Engine::Macro { .. } => 1,
        }
    }

    /// The macro that must be expanded first.
    pub fn operand(&self) -> Option<&Text> {
        match &self.engine {
            Engine::Macro { operand, .. } => Some(operand),
            Engine::Regular(_) | Engine::Looking(..) => None,
        }
    }

    /// Whether the pattern matches somewhere in `value`. A pattern with look-around or of a macro captures nothing.
    pub fn matches(&self, value: &[u8], operand: &[u8], captures: Option<&mut Captures>) -> bool {
        match (&self.engine, captures) {
            (Engine::Regular(regex), None) => regex.is_match(value),
            (Engine::Regular(regex), Some(captures)) => {
                let mut slots: [Option<NonMaxUsize>; GROUPS * 2] = [None; GROUPS * 2];
                if regex.search_slots(&Input::new(value), &mut slots).is_none() {
                    return false;
                }
                for (n, slot) in slots.chunks_exact(2).enumerate() {
                    if let [Some(start), Some(end)] = slot {
                        captures.set(n, start.get(), end.get());
                    }
                }
                true
            }
            (Engine::Looking(rough, looking), _) => rough.is_match(value) && looking.is_match(value),
            (Engine::Macro { from_start, to_end, .. }, _) => is_one_of(value, operand, *from_start, *to_end),
        }
    }
}

/// The engine where the pattern holds a macro of TX.
fn of_macro(pattern: &str) -> Result<Option<Engine>, String> {
    let Some((before, rest)) = pattern.split_once("%{") else { return Ok(None) };
    let Some((name, after)) = rest.split_once('}') else { return Ok(None) };
    let lower = name.to_ascii_lowercase();
    let Some(selector) = lower.strip_prefix("tx.").or_else(|| lower.strip_prefix("tx:")) else { return Ok(None) };
    if !matches!(before, "" | "^") || !matches!(after, "" | "$") {
        return Err("a macro with more of a pattern around it than `^` and `$`".to_owned());
    }
    let part = Part::Macro(Variable::Tx, Some(selector.into()));
    let operand = Text { parts: Box::new([part]) };
    Ok(Some(Engine::Macro { operand, from_start: before == "^", to_end: after == "$" }))
}

/// As the pattern `^a|b|c$` of plain alternatives: `^` belongs to the first of them, `$` to the last.
fn is_one_of(value: &[u8], alternatives: &[u8], from_start: bool, to_end: bool) -> bool {
    let last = alternatives.iter().filter(|byte| **byte == b'|').count();
    alternatives.split(|byte| *byte == b'|').enumerate().any(|(n, text)| {
        match (from_start && n == 0, to_end && n == last) {
            (true, true) => value == text,
            (true, false) => value.starts_with(text),
            (false, true) => value.ends_with(text),
            (false, false) => memchr::memmem::find(value, text).is_some(),
        }
    })
}
