//! The Prometheus text exposition (format 0.0.4), summed over the cores.
//!
//! For the control plane: it allocates and reads `/proc/self`. Every family has HELP and TYPE before its samples, as
//! the format asks, and appears once. A response code or a reason that never occurred has no sample for the code, and
//! a zero for the reason, so that an alert on a reason's rate works from the start.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{CoreStats, Counter, Gauge, Histogram, Reason, STATUS_FIRST, STATUS_OTHER, buckets, process};

/// What is known of the process beside the counters.
#[derive(Clone, Debug, Default)]
pub struct ProcessInfo {
    /// Version of the gateway.
    pub version: String,
    /// The driver in use: `io_uring` or `epoll`.
    pub driver: String,
    /// Flags of the ring, or why io_uring is not used.
    pub driver_flags: String,
    /// Start of the process in milliseconds since the Unix epoch.
    pub start_unix_ms: u64,
    /// Log batches that could not be written (`LogWriter::failures`).
    pub log_failures: Arc<AtomicU64>,
}

/// The metrics of all cores and of the process as text. The position of a core in the slice is its label.
pub fn render(cores: &[Arc<CoreStats>], info: &ProcessInfo) -> String {
    let mut out = String::with_capacity(32 * 1024);
    // Writing into a String cannot fail, so neither can this.
    let _ = render_all(&mut out, cores, info);
    out
}

fn render_all(out: &mut String, cores: &[Arc<CoreStats>], info: &ProcessInfo) -> fmt::Result {
    for &counter in Counter::ALL {
        family(out, counter.name(), counter.help(), "counter")?;
        let sum: u64 = cores.iter().map(|core| core.counter_value(counter)).sum();
        writeln!(out, "{} {sum}", counter.name())?;
    }
    for &gauge in Gauge::ALL {
        family(out, gauge.name(), gauge.help(), "gauge")?;
        let sum: i64 = cores.iter().map(|core| core.gauge_value(gauge)).sum();
        writeln!(out, "{} {sum}", gauge.name())?;
    }
    for &histogram in Histogram::ALL {
        render_histogram(out, cores, histogram)?;
    }
    render_statuses(out, cores)?;
    render_reasons(out, cores)?;
    render_per_core(out, cores)?;
    render_process(out, cores.len(), info)
}

fn family(out: &mut String, name: &str, help: &str, kind: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}.\n# TYPE {name} {kind}")
}

fn render_histogram(out: &mut String, cores: &[Arc<CoreStats>], histogram: Histogram) -> fmt::Result {
    let name = histogram.name();
    family(out, name, histogram.help(), "histogram")?;
    let mut count = 0_u64;
    for index in 0..buckets::COUNT {
        count += cores.iter().map(|core| core.histograms[histogram as usize].buckets[index].load(Relaxed)).sum::<u64>();
        match buckets::bound(index) {
            Some(micros) => writeln!(out, "{name}_bucket{{le=\"{}\"}} {count}", Seconds(micros))?,
            None => writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}")?,
        }
    }
    let sum: u64 = cores.iter().map(|core| core.histogram_value(histogram).1).sum();
    // The count is the last bucket by definition, even while cores go on counting.
    writeln!(out, "{name}_sum {}\n{name}_count {count}", Seconds(sum))
}

fn render_statuses(out: &mut String, cores: &[Arc<CoreStats>]) -> fmt::Result {
    let name = "ringway_responses_total";
    family(out, name, "Responses sent to clients, by status code", "counter")?;
    for index in 0..=STATUS_OTHER {
        let sum: u64 = cores.iter().map(|core| core.statuses[index].load(Relaxed)).sum();
        match (sum, index) {
            (0, _) => {}
            (_, STATUS_OTHER) => writeln!(out, "{name}{{code=\"other\"}} {sum}")?,
            _ => writeln!(out, "{name}{{code=\"{}\"}} {sum}", usize::from(STATUS_FIRST) + index)?,
        }
    }
    Ok(())
}

fn render_reasons(out: &mut String, cores: &[Arc<CoreStats>]) -> fmt::Result {
    let name = "ringway_failures_total";
    family(out, name, "Exchanges and connections that ended badly, by reason", "counter")?;
    for &reason in Reason::ALL {
        let sum: u64 = cores.iter().map(|core| core.reason_value(reason)).sum();
        writeln!(out, "{name}{{reason=\"{}\"}} {sum}", reason.name())?;
    }
    Ok(())
}

/// How connections and requests spread over the cores: an uneven spread is the first thing to look at.
fn render_per_core(out: &mut String, cores: &[Arc<CoreStats>]) -> fmt::Result {
    let name = "ringway_core_connections_accepted_total";
    family(out, name, "Client connections accepted, by core", "counter")?;
    for (index, core) in cores.iter().enumerate() {
        writeln!(out, "{name}{{core=\"{index}\"}} {}", core.counter_value(Counter::ConnectionsAccepted))?;
    }
    let name = "ringway_core_connections_open";
    family(out, name, "Client connections open now, by core", "gauge")?;
    for (index, core) in cores.iter().enumerate() {
        writeln!(out, "{name}{{core=\"{index}\"}} {}", core.gauge_value(Gauge::ConnectionsOpen))?;
    }
    let name = "ringway_core_requests_total";
    family(out, name, "Requests, by core", "counter")?;
    for (index, core) in cores.iter().enumerate() {
        writeln!(out, "{name}{{core=\"{index}\"}} {}", core.counter_value(Counter::Requests))?;
    }
    Ok(())
}

fn render_process(out: &mut String, cores: usize, info: &ProcessInfo) -> fmt::Result {
    family(out, "ringway_build_info", "The version that runs", "gauge")?;
    writeln!(out, "ringway_build_info{{version=\"{}\"}} 1", Label(&info.version))?;
    family(out, "ringway_driver_info", "The input/output driver of the cores and its flags", "gauge")?;
    let (driver, flags) = (Label(&info.driver), Label(&info.driver_flags));
    writeln!(out, "ringway_driver_info{{driver=\"{driver}\",flags=\"{flags}\"}} 1")?;
    one(out, "ringway_cores", "Cores that serve", "gauge", Some(cores))?;
    let failures = info.log_failures.load(Relaxed);
    one(out, "ringway_log_write_failures_total", "Log batches that could not be written", "counter", Some(failures))?;
    let start = Seconds(info.start_unix_ms.saturating_mul(1_000));
    one(out, "process_start_time_seconds", "Start of the process since the Unix epoch", "gauge", Some(start))?;
    let numbers = process::read();
    let resident = numbers.resident_bytes;
    one(out, "process_resident_memory_bytes", "Resident memory", "gauge", resident)?;
    one(out, "process_threads", "Threads", "gauge", numbers.threads)?;
    one(out, "process_open_fds", "Open file descriptors", "gauge", numbers.open_fds)?;
    one(out, "process_max_fds", "Most file descriptors that may be open", "gauge", numbers.fds_max)?;
    one(out, "process_cpu_seconds_total", "User and system time", "counter", numbers.cpu_seconds)
}

/// A family of one sample; nothing when the value is not known.
fn one(out: &mut String, name: &str, help: &str, kind: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    let Some(value) = value else { return Ok(()) };
    family(out, name, help, kind)?;
    writeln!(out, "{name} {value}")
}

/// Microseconds shown as seconds, exactly, without trailing zeros.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut digits, mut fraction) = (6, self.0 % 1_000_000);
        write!(f, "{}", self.0 / 1_000_000)?;
        if fraction == 0 {
            return Ok(());
        }
        while fraction % 10 == 0 {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, ".{fraction:0digits$}")
    }
}

/// The value of a label: backslash, quote and line feed escaped, as the format asks.
struct Label<'a>(&'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}
