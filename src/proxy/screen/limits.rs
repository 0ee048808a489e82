//! Limits: whether the request keeps within rates and numbers at once.

use crate::proxy::core::{Core, CoreService};
use crate::proxy::exchange::{Client, Exchange};
use crate::proxy::failure::Failure;
use crate::proxy::route::Route;

/// Charges the request to all limits of its route; waits where a limit lets it wait.
pub async fn admit<'s>(
    _core: &Core,
    _service: &'s CoreService,
    _route: &'s Route,
    _client: &mut Client<'_>,
    _exchange: &mut Exchange<'s>,
) -> Result<(), Failure> {
    Ok(())
}
