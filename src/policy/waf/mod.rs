//! The web application firewall: SecLang rules, loaded from text, judged against requests. See docs/waf.md.
//!
//! `text` reads rules into the `model`; `input` takes a request apart; `transform` and `operator` are its pure parts;
//! `compile` makes a rule set of a model, and `transaction` judges one request by it. Nothing here does I/O.

pub mod guard;
pub mod model;
pub mod text;
