//! Access: whether the client's address may use the route.

use crate::proxy::exchange::Client;
use crate::proxy::failure::Failure;
use crate::proxy::route::Route;

/// Whether the client may come at all.
pub fn may_come(_route: &Route, _client: &Client<'_>) -> Result<(), Failure> {
    Ok(())
}
