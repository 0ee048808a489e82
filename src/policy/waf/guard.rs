//! Guard: a firewall as a route has it: its rules, and how much of a body they see.
//!
//! Made by the configuration, shared by all routes that name it, and never changed afterwards.

use std::sync::Arc;

use super::model::{Document, Mode};

/// A firewall by name.
#[derive(Debug)]
pub struct Guard {
    /// The `name` of its `[[waf]]`.
    pub name: Arc<str>,
    pub rules: Arc<Document>,
    /// What is done in place of what the rules say by `SecRuleEngine`.
    pub mode: Option<Mode>,
    /// Bytes of a body that are judged.
    pub inspect_bytes: u64,
    /// What becomes of a longer body.
    pub over: Over,
    /// Whether compressed bodies are judged by what is in them.
    pub decompress: bool,
}

/// What becomes of a request whose body is longer than what is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// It passes; its body is not judged.
    Allow,
    /// It is refused.
    Deny,
    /// It is judged by the beginning of its body.
    #[default]
    Partial,
}
