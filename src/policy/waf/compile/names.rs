//! Names of TX variables become slots, texts become templates.
//!
//! A name that any rule writes has a slot of its own from the start; `0` to `9`, the captures, are slots 0 to 9.

use std::collections::HashMap;

use super::super::model::{self, Part, Variable};
use super::super::operator::number;
use super::program::{Piece, Template, Text, TxName};

/// Slots of captures: TX.0 to TX.9.
pub const CAPTURE_SLOTS: usize = 10;

/// What gives out slots and text numbers.
#[derive(Debug)]
pub struct Names {
    slots: HashMap<Box<[u8]>, usize>,
    names: Vec<Box<[u8]>>,
    texts: Vec<Text>,
    text_numbers: HashMap<Box<[u8]>, usize>,
}

impl Names {
    pub fn new() -> Self {
        let mut names =
            Self { slots: HashMap::new(), names: Vec::new(), texts: Vec::new(), text_numbers: HashMap::new() };
        for digit in b'0'..=b'9' {
            names.slot(&[digit]);
        }
        // The empty text is number 0.
        names.text(b"");
        names
    }

    /// The slot of a TX name, whatever its case.
    pub fn slot(&mut self, name: &[u8]) -> usize {
        let name: Box<[u8]> = name.to_ascii_lowercase().into();
        *self.slots.entry(name).or_insert_with_key(|name| {
            self.names.push(name.clone());
            self.names.len() - 1
        })
    }

    fn text(&mut self, bytes: &[u8]) -> usize {
        *self.text_numbers.entry(bytes.into()).or_insert_with(|| {
            self.texts.push(Text { bytes: bytes.into(), number: number(bytes) });
            self.texts.len() - 1
        })
    }

    /// A text, ready to be expanded.
    pub fn template(&mut self, text: &model::Text) -> Template {
        if let Some(literal) = text.as_literal() {
            return Template::Fixed(self.text(literal.as_bytes()));
        }
        let pieces: Vec<Piece> = text.parts.iter().map(|part| self.piece(part)).collect();
        match *pieces {
            [Piece::Tx(slot)] => Template::Tx(slot),
            _ => Template::Pieces(pieces.into()),
        }
    }

    fn piece(&mut self, part: &Part) -> Piece {
        match part {
            Part::Literal(text) => Piece::Literal(text.as_bytes().into()),
            Part::Macro(Variable::Tx, Some(name)) => Piece::Tx(self.slot(name.as_bytes())),
            Part::Macro(Variable::Rule, name) => match name.as_deref() {
                Some("id") => Piece::RuleId,
                Some("msg") => Piece::RuleMessage,
                _ => Piece::Literal(Box::default()),
            },
            Part::Macro(variable, name) => {
                Piece::Variable(*variable, name.as_deref().map(|name| name.to_ascii_lowercase().into_bytes().into()))
            }
        }
    }

    /// The name of a TX variable as `setvar` writes it.
    pub fn tx_name(&mut self, name: &model::Text) -> TxName {
        match name.as_literal() {
            Some(literal) => TxName::Slot(self.slot(literal.as_bytes())),
            None => TxName::Made(self.template(name)),
        }
    }

    /// What was gathered.
    pub fn finish(self) -> Finished {
        (self.names.into(), self.slots, self.texts.into())
    }
}

/// Names by slot, slots by name, texts by number.
pub type Finished = (Box<[Box<[u8]>]>, HashMap<Box<[u8]>, usize>, Box<[Text]>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_slot_whatever_its_case() {
        let mut names = Names::new();
        assert_eq!(names.slot(b"Anomaly_Score"), names.slot(b"anomaly_score"));
        assert_eq!(names.slot(b"3"), 3);
    }
}
