//! Hands a pattern to the regex engine, as its intermediate form, without its look-around.
//!
//! The engine's own syntax is never written: what the tree says is what is run. Sizes are not judged here; the engine
//! refuses what is too large.

use regex_syntax::hir::{Capture, Class as HirClass, ClassBytes, ClassBytesRange, Hir, Look, Repetition};

use super::super::captures::GROUPS;
use super::{Class, Node, Position};

/// The engine's form of `node`. Groups beyond those that can be read are left out. Look-around has no form there and is left
/// out, too: then what comes matches wherever the pattern does, and elsewhere.
pub fn lower(node: &Node) -> Hir {
    match node {
        Node::Empty => Hir::empty(),
        Node::Byte(class) => byte(class),
        Node::At(position) => Hir::look(match position {
            Position::Start => Look::Start,
            Position::End => Look::End,
            Position::LineStart => Look::StartLF,
            Position::LineEnd => Look::EndLF,
            Position::Word => Look::WordAscii,
            Position::NotWord => Look::WordAsciiNegate,
        }),
        Node::Concat(nodes) => Hir::concat(nodes.iter().map(lower).collect()),
        Node::Alternation(nodes) => Hir::alternation(nodes.iter().map(lower).collect()),
        Node::Repeat { min, max, greedy, node } => {
            Hir::repetition(Repetition { min: *min, max: *max, greedy: *greedy, sub: Box::new(lower(node)) })
        }
        Node::Group(index, node) if (*index as usize) < GROUPS => {
            Hir::capture(Capture { index: *index, name: None, sub: Box::new(lower(node)) })
        }
        Node::Group(_, node) => lower(node),
        Node::Around { .. } => Hir::empty(),
    }
}

fn byte(class: &Class) -> Hir {
    let ranges = class.ranges();
    match ranges.as_slice() {
        [(start, end)] if start == end => Hir::literal([*start]),
        _ => {
            let ranges = ranges.into_iter().map(|(start, end)| ClassBytesRange::new(start, end));
            Hir::class(HirClass::Bytes(ClassBytes::new(ranges)))
        }
    }
}
