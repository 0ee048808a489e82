//! Inspect: what the rules of the firewall say of the request.

use crate::proxy::core::Core;
use crate::proxy::exchange::{Client, Exchange};
use crate::proxy::failure::Failure;
use crate::proxy::route::Route;

/// Judges the request by the route's rules, its body too.
pub async fn inspect(
    _core: &Core,
    _route: &Route,
    _client: &mut Client<'_>,
    _exchange: &mut Exchange<'_>,
) -> Result<(), Failure> {
    Ok(())
}
