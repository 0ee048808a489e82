//! Limits of the process: raised to what the system allows at start, and compared with what the plan asks for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that the process needs besides connections: listeners, rings, logs, the standard streams.
const DESCRIPTORS_SPARE: u64 = 64;
/// A proxied exchange has a connection on each side.
const DESCRIPTORS_PER_CONNECTION: u64 = 2;

/// Raises the limits on open files and locked memory to their ceilings. Returns what an operator should know: limits
/// that are too low for `connections_max`, each with what to do.
pub fn raise(connections_max: usize) -> Vec<String> {
    let mut notes = Vec::new();
    let files = raise_one(Resource::Nofile);
    raise_one(Resource::Memlock);
    let wanted = connections_max as u64 * DESCRIPTORS_PER_CONNECTION + DESCRIPTORS_SPARE;
    if let Some(files) = files.filter(|files| *files < wanted) {
        let possible = files.saturating_sub(DESCRIPTORS_SPARE) / DESCRIPTORS_PER_CONNECTION;
        notes.push(format!(
            "open files are limited to {files}: enough for {possible} proxied connections, {connections_max} are \
             configured (server.connections_max); raise the hard limit (ulimit -Hn, LimitNOFILE={wanted})"
        ));
    }
    notes
}

/// The limit in force afterwards; `None` = there is none.
fn raise_one(resource: Resource) -> Option<u64> {
    let now = getrlimit(resource);
    let wished = Rlimit { current: now.maximum, maximum: now.maximum };
    if setrlimit(resource, wished).is_ok() { now.maximum } else { now.current }
}
