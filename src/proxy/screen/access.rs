//! Access: whether the client's address may use the route.

use std::net::IpAddr;

use crate::proxy::failure::Failure;
use crate::proxy::route::Route;
use crate::stats::Reason;

/// Whether the client may come at all; every rule of the route must admit it.
pub fn may_come(route: &Route, address: IpAddr) -> Result<(), Failure> {
    match route.screen.access.iter().all(|rule| rule.admits(address)) {
        true => Ok(()),
        false => Err(Reason::AccessDenied.into()),
    }
}
