//! Hit ratio of the cache beside LRU, moka and quick_cache, on the traces of `benches/traces`.
//!
//! `cargo bench --bench hit_ratio [-- PART-OF-A-NAME]` prints a table in per cent; deterministic.
//! `… -- --replay FILE --bytes N` replays a file of lines `KEY BYTES` into the gateway's cache alone and prints what
//! `benches/ratio/servers.py` reads.
//!
//! Two ways to weigh an entry: *payload* is key and body for everybody and compares ways of eviction; *memory* is what it
//! really takes. Non-goal: speed.

mod traces;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::ExitCode;

use traces::contenders::{NAMES, Weights, make};
use traces::stored::Store;
use traces::{Ask, Trace};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: hit_ratio [PART-OF-A-NAME] | hit_ratio --replay FILE --bytes N";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench" && a != "--test").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => table(""),
        [part] if !part.starts_with('-') => table(part),
        ["--replay", file, "--bytes", bytes] => replay(file, bytes),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn hits(trace: &Trace, contender: usize, capacity: u64, weights: Weights) -> usize {
    let mut cache = make(contender, capacity, weights);
    trace.asks.iter().filter(|ask| cache.ask(**ask)).count()
}

fn table(part: &str) -> Result<(), String> {
    let mut out = std::io::stdout();
    let mut say = |text: &str| writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|e| e.to_string());
    let columns = |weights: &str| NAMES.map(|name| format!(" {weights}: {name} |")).concat();
    say(&format!("| trace | capacity |{}{}", columns("payload"), columns("memory")))?;
    say(&format!("|---|---|{}", "---|".repeat(2 * NAMES.len())))?;
    for make_trace in traces::all() {
        let trace = make_trace();
        if !trace.name.contains(part) {
            continue;
        }
        for (name, capacity) in &trace.capacities {
            let mut row = format!("| {} | {name} |", trace.name);
            for weights in [Weights::Payload, Weights::Memory] {
                for contender in 0..NAMES.len() {
                    let share = hits(&trace, contender, *capacity, weights) as f64 / trace.asks.len() as f64;
                    row += &format!(" {:.2} |", 100.0 * share);
                }
            }
            say(&row)?;
        }
    }
    Ok(())
}

fn replay(file: &str, bytes: &str) -> Result<(), String> {
    let capacity: u64 = bytes.parse().map_err(|e| format!("--bytes {bytes}: {e}"))?;
    let lines = BufReader::new(File::open(file).map_err(|e| format!("{file}: {e}"))?).lines();
    let mut store = Store::new(capacity);
    let (mut asks, mut hits) = (0, 0);
    for line in lines {
        let line = line.map_err(|e| format!("{file}: {e}"))?;
        let ask = ask(&line).ok_or_else(|| format!("{file}: `{line}` is not KEY BYTES"))?;
        asks += 1;
        if store.get(ask.key) {
            hits += 1;
        } else {
            store.put(ask.key, ask.bytes as usize);
        }
    }
    let figures = store.cache.figures();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    let peak = peak.trim().trim_end_matches(" kB");
    let (objects, charged) = (figures.objects, figures.bytes);
    writeln!(std::io::stdout(), "asks {asks} hits {hits} objects {objects} charged {charged} peak_kib {peak}")
        .map_err(|e| e.to_string())
}

fn ask(line: &str) -> Option<Ask> {
    let (key, bytes) = line.split_once(' ')?;
    Some(Ask { key: key.parse().ok()?, bytes: bytes.parse().ok()? })
}
