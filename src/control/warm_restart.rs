//! When the snapshot is read and written: before the cores serve, every so often, and behind the drain. Reading blocks
//! the start; writing runs beside the control loop, one at a time.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::config::Keep;
use super::snapshot::{self, SnapshotError, Written};
use crate::base::clock;
use crate::cache::Cache;
use crate::plan::CacheStart;

/// The snapshot of a running gateway.
pub struct WarmRestart {
    cache: Arc<Cache>,
    keep: Keep,
    /// `None` = nothing outlasts the process.
    path: Option<PathBuf>,
    /// 0 = only behind the drain.
    interval_ms: u64,
    written_ms: u64,
    /// Number of the last purge that the file knows of, and the sum of the versions in it.
    known: (u64, u64),
    /// What the last writing took.
    took_ms: u64,
    writing: Option<JoinHandle<Result<Written, SnapshotError>>>,
}

/// A purge is in the file after so long, where writing every so often is wanted at all: what was purged must not come
/// back with a process that was killed.
const PURGE_MS: u64 = 10_000;

/// This part of the configured memory is never charged: it is for what the allocator holds back, so that the process
/// takes little more than it was told.
const RESERVED_PART: u64 = 24;

/// Writing takes one part in so many of the time, at most.
const WRITING_SHARE: u64 = 10;

/// The sum of all versions: it grows with each bump.
fn bumps(keep: &Keep) -> u64 {
    keep.routes().iter().map(|(_, bumps, _)| bumps.load(std::sync::atomic::Ordering::Acquire)).sum()
}

impl WarmRestart {
    /// The process's cache, with what a former process left in it. The second part is what there is to say about it.
    ///
    /// # Errors
    /// The system has no randomness to make keys with.
    pub fn begin(start: &CacheStart, keep: &Keep) -> Result<(Self, Vec<String>), String> {
        let mut notes = Vec::new();
        let found = match start.snapshot.as_deref().map(snapshot::open) {
            Some(Ok(found)) => found,
            Some(Err(error)) => {
                notes.push(error.to_string());
                None
            }
            None => None,
        };
        let salt = match &found {
            Some(found) => *found.salt(),
            None => random_salt()?,
        };
        let cache = Cache::new(start.memory_bytes - start.memory_bytes / RESERVED_PART, salt);
        if let Some(found) = found {
            found.versions().iter().for_each(|(route, bumps)| keep.restore_version(route, *bumps));
            let restored = found.restore(&cache, clock::unix_ms());
            notes.push(format!("the cache starts with {} answers, {} bytes", restored.objects, restored.bytes));
            notes.extend(restored.cut.map(|error| error.to_string()));
        }
        let known = (cache.sequence(), bumps(keep));
        let (path, interval_ms, keep) = (start.snapshot.clone(), start.snapshot_interval_ms, keep.clone());
        let warm =
            Self { cache, keep, path, interval_ms, written_ms: clock::now_ms(), known, took_ms: 0, writing: None };
        Ok((warm, notes))
    }

    /// The process's cache.
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// Looks whether it is time to write; says what came of the last time, where that is bad.
    pub async fn tick(&mut self) -> Option<String> {
        if self.writing.as_ref().is_some_and(JoinHandle::is_finished) {
            return self.settle().await;
        }
        let age_ms = clock::now_ms().saturating_sub(self.written_ms);
        let purged = (self.cache.sequence(), bumps(&self.keep)) != self.known;
        if purged && self.interval_ms == 0 {
            return self.discard();
        }
        // Who purges all the time does not write all the time.
        let soon_ms = PURGE_MS.max(self.took_ms.saturating_mul(WRITING_SHARE));
        let due_ms = if purged { self.interval_ms.min(soon_ms) } else { self.interval_ms };
        if self.writing.is_none() && self.interval_ms > 0 && age_ms >= due_ms {
            self.write();
        }
        None
    }

    /// Nothing is written before the drain, so what was purged must not come back from the file of the last process.
    fn discard(&mut self) -> Option<String> {
        self.known = (self.cache.sequence(), bumps(&self.keep));
        snapshot::discard(self.path.as_deref()?).err().map(|error| error.to_string())
    }

    /// Writes what is there at the end; says what is wrong.
    pub async fn finish(&mut self) -> Option<String> {
        // One at a time: what runs does not know of the last answers.
        let former = self.settle().await;
        self.write();
        let last = self.settle().await;
        former.or(last)
    }

    fn write(&mut self) {
        let Some(path) = self.path.clone() else { return };
        let (cache, routes) = (Arc::clone(&self.cache), self.keep.routes());
        self.known.1 = bumps(&self.keep);
        self.written_ms = clock::now_ms();
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let bumped = |bumps: &std::sync::atomic::AtomicU64| bumps.load(std::sync::atomic::Ordering::Acquire);
            let versions: Vec<_> = routes.iter().map(|(name, bumps, _)| (name, bumped(bumps))).collect();
            snapshot::write(&cache, &path, &versions, clock::unix_ms())
        }));
    }

    async fn settle(&mut self) -> Option<String> {
        match self.writing.take()?.await {
            Ok(Ok(written)) => {
                self.known.0 = written.sequence;
                self.took_ms = written.milliseconds;
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(format!("writing the snapshot failed: {error}; the former one stays")),
        }
    }
}

/// Randomness that keys of the cache are made with: nobody outside can tell which of them meet.
fn random_salt() -> Result<[u8; 32], String> {
    let mut salt = [0; 32];
    let filled = aws_lc_rs::rand::fill(&mut salt);
    filled.map_err(|_| "the system has no randomness for the keys of the cache; check its source of it".to_owned())?;
    Ok(salt)
}
