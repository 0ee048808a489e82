//! Compression of field blocks (RFC 7541). Stands in until the coder is there: plain literals only.

use crate::http::FieldId;

/// One field line of a block.
#[derive(Clone, Copy, Debug)]
pub struct FieldLine<'a> {
    pub id: FieldId,
    pub name: &'a [u8],
    pub value: &'a [u8],
}

/// Writes blocks.
#[derive(Debug, Default)]
pub struct Encoder;

impl Encoder {
    pub fn new() -> Self {
        Self
    }
    pub fn begin(&mut self, _out: &mut Vec<u8>) {}
    pub fn status(&mut self, out: &mut Vec<u8>, status: u16) {
        self.pseudo(out, b":status", itoa::Buffer::new().format(status).as_bytes());
    }
    pub fn pseudo(&mut self, out: &mut Vec<u8>, name: &'static [u8], value: &[u8]) {
        self.field(out, FieldId::Other, name, value);
    }
    pub fn field(&mut self, out: &mut Vec<u8>, _id: FieldId, name: &[u8], value: &[u8]) {
        for text in [name.to_ascii_lowercase().as_slice(), value] {
            out.extend_from_slice(&(text.len() as u32).to_be_bytes());
            out.extend_from_slice(text);
        }
    }
}

/// Reads blocks.
#[derive(Debug)]
pub struct Decoder;

#[derive(Debug)]
pub struct DecodeError;

impl Decoder {
    pub fn new(_table_bytes_max: usize) -> Self {
        Self
    }
    pub fn decode(&mut self, mut block: &[u8], mut visit: impl FnMut(FieldLine<'_>)) -> Result<(), DecodeError> {
        fn text<'b>(block: &mut &'b [u8]) -> Option<&'b [u8]> {
            let (length, rest) = block.split_first_chunk::<4>()?;
            let (text, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            *block = rest;
            Some(text)
        }
        while !block.is_empty() {
            let name = text(&mut block).ok_or(DecodeError)?;
            let value = text(&mut block).ok_or(DecodeError)?;
            visit(FieldLine { id: FieldId::of(name), name, value });
        }
        Ok(())
    }
}
