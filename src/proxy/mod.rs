//! The pipeline of one exchange, in the field's verbs: receive → route → fetch → deliver → finish.

pub mod route;
pub mod service;
