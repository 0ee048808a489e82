//! Limits of the process: raised to what the system allows at start, and compared with what the plan asks for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::bounds;

/// Descriptors that the process needs besides connections: listeners, rings, logs, the standard streams.
const DESCRIPTORS_SPARE: u64 = 64;
/// A proxied exchange has a connection on each side.
const DESCRIPTORS_PER_CONNECTION: u64 = 2;

/// What the process may do after its limits were raised.
pub struct Limits {
    /// Client connections of the whole process.
    pub connections_max: usize,
    /// What an operator should know, with what to do.
    pub note: Option<String>,
}

/// Raises the limits on open files and locked memory to their ceilings. `wanted` are the connections that were
/// configured; without a wish it is as many as the descriptors allow.
pub fn raise(wanted: Option<usize>) -> Limits {
    let files = raise_one(Resource::Nofile).unwrap_or(u64::MAX);
    raise_one(Resource::Memlock);
    let possible = files.saturating_sub(DESCRIPTORS_SPARE) / DESCRIPTORS_PER_CONNECTION;
    let possible = usize::try_from(possible).unwrap_or(usize::MAX).clamp(1, bounds::CONNECTIONS_MAX);
    let Some(wanted) = wanted else { return Limits { connections_max: possible, note: None } };
    let note = (wanted > possible).then(|| {
        let needed = wanted as u64 * DESCRIPTORS_PER_CONNECTION + DESCRIPTORS_SPARE;
        format!(
            "open files are limited to {files}: enough for {possible} proxied connections, {wanted} are configured \
             (server.connections_max); raise the hard limit (ulimit -Hn, LimitNOFILE={needed})"
        )
    });
    Limits { connections_max: wanted, note }
}

/// Keeps the kernel from backing small allocations with 2 MiB pages: with them an idle connection was measured at more
/// than twice its size (docs/measurements.md). Call it first thing, before memory is touched.
pub fn forgo_huge_pages() {
    // A kernel that knows no such pages needs no telling.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// The limit in force afterwards; `None` = there is none.
fn raise_one(resource: Resource) -> Option<u64> {
    let now = getrlimit(resource);
    let wished = Rlimit { current: now.maximum, maximum: now.maximum };
    if setrlimit(resource, wished).is_ok() { now.maximum } else { now.current }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_beyond_the_descriptors_is_granted_and_noted() {
        let free = raise(None);
        assert!(free.note.is_none() && free.connections_max > 0);
        let wish = raise(Some(bounds::CONNECTIONS_MAX));
        assert_eq!(wish.connections_max, bounds::CONNECTIONS_MAX);
        assert_eq!(wish.note.is_some(), free.connections_max < bounds::CONNECTIONS_MAX);
    }
}
