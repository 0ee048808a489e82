//! Patterns of PCRE, read into a tree of our own: the language of `@rx`.
//!
//! `parse` reads; `class` holds sets of bytes; `lower` hands what is regular to the regex engine; `looking` runs what has
//! look-around, also in linear time; `required` says which literals every match contains. Semantics are those of
//! ModSecurity v2: bytes (no UTF mode), dot matches newline, `$` matches at the very end only. Nothing here backtracks.

mod class;
mod looking;
mod lower;
mod parse;
mod required;

pub use class::Class;
pub use looking::Looking;
pub use lower::lower;
pub use parse::parse;
pub use required::{Required, required};

/// A pattern or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Empty,
    /// One byte of the set.
    Byte(Class),
    At(Position),
    Concat(Vec<Node>),
    /// At least one alternative.
    Alternation(Vec<Node>),
    /// `min` to `max` times (`None`: without end). Possessive ones of more than a set of bytes are taken as greedy ones.
    Repeat {
        min: u32,
        max: Option<u32>,
        greedy: bool,
        node: Box<Node>,
    },
    /// Group `index`, from 1.
    Group(u32, Box<Node>),
    /// `(?=`, `(?!`, `(?<=`, `(?<!`
    Around {
        ahead: bool,
        negative: bool,
        node: Box<Node>,
    },
}

/// A condition on a place between bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// `^`, `\A`
    Start,
    /// `$`, `\z`
    End,
    /// `^` under `(?m)`
    LineStart,
    /// `$` under `(?m)`
    LineEnd,
    /// `\b`, of ASCII words
    Word,
    /// `\B`
    NotWord,
}

impl Node {
    /// Whether a look-around is somewhere in it.
    pub fn looks_around(&self) -> bool {
        match self {
            Self::Empty | Self::Byte(_) | Self::At(_) => false,
            Self::Around { .. } => true,
            Self::Concat(nodes) | Self::Alternation(nodes) => nodes.iter().any(Self::looks_around),
            Self::Repeat { node, .. } | Self::Group(_, node) => node.looks_around(),
        }
    }
}
