//! Memory per stored object: 1,000,000 objects with bodies of 1,024 bytes, VmRSS before and after.
//!
//! `cargo bench --bench cache_memory` runs itself once per cache, each in its own process, with the gateway's allocator
//! and without huge pages, as the gateway runs. Rivals hold `String` keys and `Bytes` bodies, nothing of a head.
//! For the gateway's cache it also says what was charged; and it goes on to put three times as many objects into a cache
//! that has room for a third of them, where what is used must stay below the capacity.

mod traces;

use std::io::Write;
use std::process::{Command, ExitCode};

use bytes::Bytes;
use quick_cache::Weighter;
use ringway::control::limits::forgo_huge_pages;
use traces::BODY_BYTES;
use traces::stored::Store;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OBJECTS: u64 = 1_000_000;
const CACHES: [&str; 5] = ["lru", "moka", "quick_cache", "ringway", "ringway-full"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench" && a != "--test").collect();
    let done = match arguments.first().map(String::as_str) {
        None => run_all(),
        Some(name) => measure(name),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run_all() -> Result<(), String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    for name in CACHES {
        let status = Command::new(&own).arg(name).status().map_err(|e| format!("{}: {e}", own.display()))?;
        if !status.success() {
            return Err(format!("{name}: {status}"));
        }
    }
    Ok(())
}

fn measure(name: &str) -> Result<(), String> {
    forgo_huge_pages();
    match name {
        "lru" => lru(),
        "moka" => moka(),
        "quick_cache" => quick_cache(),
        "ringway" => ringway(4 << 30, OBJECTS),
        "ringway-full" => ringway(512 << 20, 3 * OBJECTS),
        other => Err(format!("{other}: not one of {CACHES:?}")),
    }
}

/// Resident bytes of this process.
fn resident() -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|e| format!("/proc/self/status: {e}"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().map_err(|e| format!("{line}: {e}"))?;
    Ok(kib * 1_024)
}

fn body() -> Bytes {
    Bytes::from(vec![b'x'; BODY_BYTES as usize])
}

fn key(number: u64) -> String {
    format!("obj_{number}")
}

/// Says what the objects took beyond their keys and bodies.
fn report(name: &str, before: u64, objects: u64) -> Result<u64, String> {
    let used = resident()?.saturating_sub(before);
    let each = used / objects.max(1);
    let payload = u64::from(BODY_BYTES) + key(OBJECTS / 2).len() as u64;
    say(&format!("{name}: {objects} objects, {used} bytes, {each} each, {} beyond key and body", each - payload))?;
    Ok(used)
}

fn say(text: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{text}").map_err(|e| e.to_string())
}

fn lru() -> Result<(), String> {
    let mut cache = lru::LruCache::<String, Bytes>::unbounded();
    let before = resident()?;
    for number in 0..OBJECTS {
        cache.put(key(number), body());
    }
    report("lru", before, cache.len() as u64)?;
    Ok(())
}

fn moka() -> Result<(), String> {
    let weigher = |key: &String, body: &Bytes| u32::try_from(key.len() + body.len()).unwrap_or(u32::MAX);
    let cache = moka::sync::Cache::builder().max_capacity(1 << 40).weigher(weigher).build();
    let before = resident()?;
    for number in 0..OBJECTS {
        cache.insert(key(number), body());
    }
    cache.run_pending_tasks();
    report("moka", before, cache.entry_count())?;
    Ok(())
}

#[derive(Clone)]
struct Payload;

impl Weighter<String, Bytes> for Payload {
    fn weight(&self, key: &String, body: &Bytes) -> u64 {
        (key.len() + body.len()) as u64
    }
}

fn quick_cache() -> Result<(), String> {
    let cache = quick_cache::sync::Cache::with_weighter(1, 1 << 40, Payload);
    let before = resident()?;
    for number in 0..OBJECTS {
        cache.insert(key(number), body());
    }
    report("quick_cache", before, cache.len() as u64)?;
    Ok(())
}

fn ringway(capacity: u64, objects: u64) -> Result<(), String> {
    let before_all = resident()?;
    let mut store = Store::new(capacity);
    let before = resident()?;
    let (mut refused, mut most) = (0_u64, 0);
    for number in 0..objects {
        refused += u64::from(!store.put(number, BODY_BYTES as usize));
        most = most.max(store.cache.account().used());
    }
    let figures = store.cache.figures();
    let used = report("ringway", before, figures.objects)?;
    let all = resident()?.saturating_sub(before_all);
    say(&format!(
        "    charged {} ({} each, at most {most} of {capacity}), resident / charged {:.3}; with queues and ghost of the \
         empty cache {all}; refused {refused}",
        figures.bytes,
        figures.bytes / figures.objects.max(1),
        used as f64 / figures.bytes as f64,
    ))
}
