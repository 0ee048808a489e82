//! Who asks: keys of the house, what each may do, and from which addresses. See docs/callers.md.
//!
//! Owns the meaning of keys and address lists. Reads no file and no clock, and never shows a secret.

pub mod address;
pub mod callers;
pub mod key;
pub mod model;

pub use address::{AccessRule, AddressSet, ClientAddress};
pub use callers::{Caller, CallerParts, Callers, Former};
pub use key::{Key, Presented};
