//! The vocabulary of RFC 9110 over one owned buffer: methods, versions, known field names, heads.
//!
//! Knows no wire format: `h1` and `h2` fill these types; nothing here allocates per field.

pub mod field;
pub mod head;
pub mod method;
pub mod syntax;

pub use field::FieldId;
pub use head::{Field, FieldRef, RequestHead, ResponseHead, Span};
pub use method::{Method, Version};
