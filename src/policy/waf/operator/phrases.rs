//! `@pm`, `@pmFromFile`: any of many phrases, without regard to ASCII case, in one pass.
//!
//! The phrases are their own literals: whoever has searched for all literals of all rules at once has the answer.
//! White space within and around phrases is the reader's to judge; here each byte counts.

use aho_corasick::AhoCorasick;

use super::captures::Captures;

/// Compiled phrases.
#[derive(Clone, Debug)]
pub struct Phrases {
    phrases: Vec<Box<[u8]>>,
    search: AhoCorasick,
}

impl Phrases {
    /// Compiles the phrases; empty ones are left out.
    ///
    /// # Errors
    ///
    /// They are too many.
    pub fn new(phrases: &[Box<[u8]>]) -> Result<Self, String> {
        let mut phrases: Vec<Box<[u8]>> = phrases
            .iter()
            .filter(|phrase| !phrase.is_empty())
            .map(|phrase| phrase.to_ascii_lowercase().into())
            .collect();
        phrases.sort_unstable();
        phrases.dedup();
        let search = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(&phrases)
            .map_err(|error| format!("too many phrases: {error}"))?;
        Ok(Self { phrases, search })
    }

    /// Whether one of them is in `value`; captures the one that ends first.
    pub fn matches(&self, value: &[u8], captures: Option<&mut Captures>) -> bool {
        match (self.search.find(value), captures) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(found), Some(captures)) => {
                captures.set(0, found.start(), found.end());
                true
            }
        }
    }

    /// The phrases in lower case.
    pub fn literals(&self) -> &[Box<[u8]>] {
        &self.phrases
    }
}
