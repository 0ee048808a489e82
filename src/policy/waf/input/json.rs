//! stub.
use super::arena::Copied;
use super::{Fault, Input};

/// Where the leaves of a document go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Into {
    Args,
    JsonOnly,
}

#[derive(Debug, Default)]
pub(super) struct Scratch {}

pub(super) fn read(_input: &mut Input, _body: &[u8], _copy: Copied, _into: Into) -> Result<(), Fault> {
    Ok(())
}
