//! Orders: the only way control speaks to a core. A core never waits for control, and control never waits for a core.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use crate::bounds;
use crate::net::mailbox::{self, mailbox};
use crate::plan::Plan;

/// What a core is told.
pub enum Order {
    /// New exchanges use this plan; `listeners` is parallel to the plan's.
    Adopt { plan: Arc<Plan>, listeners: Vec<ListenerOrder> },
    /// No new connection; leave when the running exchanges have ended, at the latest at `deadline_ms` of the coarse
    /// monotonic clock.
    Drain { deadline_ms: u64 },
}

/// One listener of a plan, for one core.
pub struct ListenerOrder {
    /// The same number in the next plan means the same sockets.
    pub id: u64,
    /// The core's socket, where the listener is new.
    pub socket: Option<TcpListener>,
}

/// Control's end.
pub type Outbox = mailbox::Outbox<Order>;
/// The core's end.
pub type Inbox = mailbox::Inbox<Order>;

/// A queue of orders for one core.
///
/// # Errors
/// The process has no descriptor left.
pub fn queue() -> io::Result<(Outbox, Inbox)> {
    mailbox(bounds::ORDERS_MAX)
}
