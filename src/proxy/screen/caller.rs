//! Caller: who asks, and whether that key may use the route and the model.

use crate::proxy::core::{Core, CoreService};
use crate::proxy::exchange::{Client, Exchange};
use crate::proxy::failure::Failure;
use crate::proxy::route::Route;

/// Finds the caller of a request.
pub async fn identify<'s>(
    _core: &Core,
    _service: &'s CoreService,
    _route: &'s Route,
    _client: &mut Client<'_>,
    _exchange: &mut Exchange<'s>,
) -> Result<(), Failure> {
    Ok(())
}
