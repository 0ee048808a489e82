//! Compression of field blocks (RFC 7541), in both directions.
//!
//! A [`Decoder`] and an [`Encoder`] belong to one connection each and must see its blocks in order. Both take bytes and
//! give bytes: what a field may mean, and whether its name is allowed (RFC 9113 §8.2), is judged by whoever reads the
//! lines. Nothing here trusts the peer: integers, strings, tables and the work of one block are bounded, and every
//! refusal has a name ([`DecodeError`]). Strings are never written in Huffman code, only read.

#[cfg(test)]
mod appendix_c;
mod decoder;
mod encoder;
#[doc(hidden)]
pub mod fuzz;
mod huffman;
mod integer;
#[cfg(test)]
mod referee;
mod rule;
mod static_table;
mod table;

pub use decoder::{BLOCK_BYTES_MAX, DecodeError, Decoder};
pub use encoder::Encoder;

use crate::http::FieldId;

/// Bytes of a dynamic table where nobody has said otherwise (RFC 9113 §6.5.2), and the most that is used here.
pub const TABLE_BYTES_DEFAULT: usize = 4_096;

/// One field line of a block.
#[derive(Clone, Copy, Debug)]
pub struct FieldLine<'a> {
    /// Number of the name; [`FieldId::Other`] where it is unknown or that of a pseudo-field.
    pub id: FieldId,
    /// The name as the peer sent it. RFC 9113 §8.2 demands lower case: whoever reads checks. Pseudo-fields begin with `:`.
    pub name: &'a [u8],
    /// The value as the peer sent it; any bytes.
    pub value: &'a [u8],
}
