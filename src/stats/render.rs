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
    /// Access lines that could not be written.
    pub log_lines_lost: Arc<AtomicU64>,
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

/// The two lines before the samples of a family.
pub(crate) fn family(out: &mut String, name: &str, help: &str, kind: &str) -> fmt::Result {
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
    let lost = info.log_lines_lost.load(Relaxed);
    one(out, "ringway_log_lines_lost_total", "Access lines that could not be written", "counter", Some(lost))?;
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
pub(crate) struct Label<'a>(pub &'a str);

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

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    /// A checker of the text format: every sample belongs to the family declared last, families are declared once,
    /// values are numbers, no sample comes twice. Returns the samples.
    fn check(text: &str) -> HashMap<String, f64> {
        let (mut samples, mut families) = (HashMap::new(), HashSet::new());
        let mut family = (String::new(), String::new());
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty() && families.insert(name.to_owned()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(families.contains(name) && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                family = (name.to_owned(), kind.to_owned());
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let name = series.split('{').next().unwrap();
                let base = if family.1 == "histogram" {
                    let suffix = ["_bucket", "_sum", "_count"].into_iter().find_map(|end| name.strip_suffix(end));
                    suffix.unwrap()
                } else {
                    name
                };
                assert_eq!(base, family.0, "{line}");
                assert!(samples.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{line}");
            }
        }
        samples
    }

    #[test]
    fn cores_are_summed_and_the_text_is_well_formed() {
        let cores = [CoreStats::new(), CoreStats::new()];
        for core in &cores {
            core.add(Counter::Requests, 3);
            core.gauge(Gauge::ConnectionsOpen, 2);
            core.status(200);
            core.status(712);
            core.reason(Reason::UpstreamReset);
            core.observe(Histogram::TimeToFirstByte, 48);
            core.observe(Histogram::TimeToFirstByte, 1 << 40);
        }
        cores[1].inc(Counter::Requests);
        let info = ProcessInfo {
            version: "0.1.0".to_owned(),
            driver: "epoll".to_owned(),
            driver_flags: "refused: \"EPERM\"\\\n".to_owned(),
            start_unix_ms: 1_795_449_600_250,
            log_failures: Arc::new(AtomicU64::new(9)),
            log_lines_lost: Arc::default(),
        };
        let text = render(&cores, &info);
        let samples = check(&text);
        let value = |series: &str| *samples.get(series).unwrap_or_else(|| panic!("{series} is missing"));
        assert_eq!(value("ringway_requests_total"), 7.0);
        assert_eq!(value("ringway_core_requests_total{core=\"1\"}"), 4.0);
        assert_eq!(value("ringway_connections_open"), 4.0);
        assert_eq!(value("ringway_responses_total{code=\"200\"}"), 2.0);
        assert_eq!(value("ringway_responses_total{code=\"other\"}"), 2.0);
        assert_eq!(value("ringway_failures_total{reason=\"upstream_reset\"}"), 2.0);
        assert_eq!(value("ringway_failures_total{reason=\"panic\"}"), 0.0);
        assert_eq!(value("ringway_first_byte_seconds_bucket{le=\"0.000032\"}"), 0.0);
        assert_eq!(value("ringway_first_byte_seconds_bucket{le=\"0.000048\"}"), 2.0);
        assert_eq!(value("ringway_first_byte_seconds_bucket{le=\"536.870912\"}"), 2.0);
        assert_eq!(value("ringway_first_byte_seconds_bucket{le=\"+Inf\"}"), 4.0);
        assert_eq!(value("ringway_first_byte_seconds_count"), 4.0);
        assert_eq!(value("ringway_first_byte_seconds_sum"), (2.0 * f64::powi(2.0, 40) + 96.0) / 1e6);
        assert_eq!(value("ringway_log_write_failures_total"), 9.0);
        assert_eq!(value("process_start_time_seconds"), 1_795_449_600.25);
        assert!(value("process_resident_memory_bytes") > 0.0 && value("process_open_fds") > 0.0);
        assert!(text.contains("ringway_driver_info{driver=\"epoll\",flags=\"refused: \\\"EPERM\\\"\\\\\\n\"} 1\n"));
        assert!(!samples.keys().any(|series| series.contains("404")));
    }

    #[test]
    fn no_core_at_all_is_still_well_formed() {
        assert_eq!(check(&render(&[], &ProcessInfo::default()))["ringway_cores"], 0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn buckets_never_fall_and_end_at_the_count(micros in proptest::collection::vec(0_u64..1 << 34, 0..40)) {
            let core = CoreStats::new();
            for &value in &micros {
                core.observe(Histogram::UpstreamTime, value);
            }
            let mut out = String::new();
            render_histogram(&mut out, &[core], Histogram::UpstreamTime).unwrap();
            let mut below = 0.0;
            for (series, count) in out.lines().filter(|l| l.contains("le=\"")).map(|l| l.rsplit_once(' ').unwrap()) {
                let bound = series.split('"').nth(1).unwrap();
                let bound: f64 = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
                let count: f64 = count.parse().unwrap();
                let expected = micros.iter().filter(|&&value| value as f64 / 1e6 <= bound).count();
                prop_assert_eq!(count, expected as f64);
                prop_assert!(count >= below);
                below = count;
            }
            let sum: u64 = micros.iter().sum();
            let last = format!("{}_sum {}\n{}_count {}\n", "ringway_upstream_seconds", Seconds(sum), "ringway_upstream_seconds", micros.len());
            prop_assert!(out.ends_with(&last));
        }

        #[test]
        fn seconds_are_exact(micros in any::<u64>()) {
            let text = Seconds(micros).to_string();
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            prop_assert!(!fraction.ends_with('0') && fraction.len() <= 6);
            let back = whole.parse::<u64>().unwrap() * 1_000_000 + format!("{fraction:0<6}").parse::<u64>().unwrap();
            prop_assert_eq!(back, micros);
        }
    }
}
