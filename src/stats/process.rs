//! What the kernel knows of this process, read from `/proc/self` at the time of a scrape.
//!
//! Blocking file reads: for the control plane only. A number that cannot be read is left out, never guessed.

use std::fs;

/// Ticks per second of `/proc/self/stat`: 100 for every program on Linux, whatever the kernel's own rate.
const TICKS_PER_SECOND: f64 = 100.0;

/// Numbers of the process; `None` where the kernel did not say.
pub struct ProcessNumbers {
    pub resident_bytes: Option<u64>,
    pub threads: Option<u64>,
    pub open_fds: Option<u64>,
    pub fds_max: Option<u64>,
    pub cpu_seconds: Option<f64>,
}

/// Reads them all.
pub fn read() -> ProcessNumbers {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    ProcessNumbers {
        resident_bytes: status_number(&status, "VmRSS:").map(|kib| kib * 1024),
        threads: status_number(&status, "Threads:"),
        open_fds: open_fds(),
        fds_max: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        cpu_seconds: cpu_seconds(&stat),
    }
}

/// The first number of a line of `/proc/self/status`.
fn status_number(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// User plus system time: fields 14 and 15 of `/proc/self/stat` (proc_pid_stat(5)).
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name in parentheses and may hold anything, spaces included.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

fn open_fds() -> Option<u64> {
    // Since Linux 6.2 the size of the folder is the number of descriptors; counting 100,000 entries takes long.
    let size = fs::metadata("/proc/self/fd").ok()?.len();
    if size > 0 {
        return Some(size);
    }
    // The descriptor that reads the folder is counted too.
    fs::read_dir("/proc/self/fd").ok().map(|entries| (entries.count() as u64).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_descriptors() {
        let numbers = read();
        assert!(numbers.resident_bytes.unwrap() > 100 * 1024);
        assert!(numbers.threads.unwrap() >= 1);
        assert!(numbers.open_fds.unwrap() >= 3);
        assert!(numbers.cpu_seconds.is_some());
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 5 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds(""), None);
        assert_eq!(status_number("Threads:\t4\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12));
        assert_eq!(status_number("Threads:\t4\n", "VmRSS:"), None);
    }
}
