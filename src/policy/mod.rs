//! What may pass: decisions about a request that need no I/O and read no clock. Bytes and `now` in, verdicts out.
//!
//! `waf` judges by SecLang rules, `limit` by how often, `auth` by who asks and from where. Who carries a verdict out is
//! `proxy::screen`.

pub mod auth;
pub mod limit;
pub mod waf;
