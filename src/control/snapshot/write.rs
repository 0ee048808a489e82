//! Writing a snapshot: beside the former one, to the end, then in its place. A half-written file never has its name.
//!
//! Objects are collected first (32 bytes each) and written then, so that no part of the table waits for the disk; one
//! that dies meanwhile is left out.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use rustix::fs::{FlockOperation, OFlags, flock};

use super::record::{self, FORMAT, Frame, Kind, MAGIC, Sum};
use super::{Consequence, Fault, SnapshotError};
use crate::base::clock;
use crate::cache::key::{self, KeyHash};
use crate::cache::ledger::tag_mark;
use crate::cache::{AnswerHead, Cache, Content, Object, Standing};
use crate::log::redact;

const BUFFER_BYTES: usize = 256 * 1024;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub objects: u64,
    /// Objects left out because a credential stands in their URL or among the values they were chosen by.
    pub withheld: u64,
    /// Size of the file.
    pub bytes: u64,
    pub milliseconds: u64,
    /// The cache's sequence before the first object: where it has grown since, the file may hold what was purged.
    pub sequence: u64,
}

/// Writes what is stored to `path`, mode 0600, with the version bumps of the routes by name. Blocks for the disk.
///
/// The answers that were used lately come first. Left out are those that arrive, notes without an answer, purged ones,
/// and those that nobody can be given any more at `now_ms` (Unix epoch, milliseconds).
///
/// # Errors
/// The system refused, or another process writes to the same path. The former file stays as it was.
pub fn write<N: AsRef<str>>(
    cache: &Cache,
    path: &Path,
    versions: &[(N, u64)],
    now_ms: u64,
) -> Result<Written, SnapshotError> {
    write_file(cache, path, versions, now_ms).map_err(|fault| SnapshotError::new(path, fault, Consequence::FormerStays))
}

/// Removes the snapshot: what is purged must not come back after a crash. It is no error if there is none.
///
/// # Errors
/// The system refused: the file may still be there.
pub fn discard(path: &Path) -> Result<(), SnapshotError> {
    let removed = match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Fault::Io { doing: "removing it", error }),
        Ok(()) => sync_folder(path),
    };
    removed.map_err(|fault| SnapshotError::new(path, fault, Consequence::FormerStays))
}

fn write_file<N: AsRef<str>>(cache: &Cache, path: &Path, versions: &[(N, u64)], now_ms: u64) -> Result<Written, Fault> {
    let started_ms = clock::now_ms();
    let sequence = cache.sequence();
    let draft = Draft::create(path)?;
    let mut pen = Pen {
        out: BufWriter::with_capacity(BUFFER_BYTES, &draft.file),
        salt: *cache.salt(),
        head: Vec::new(),
        number: 0,
        bytes: 0,
        withheld: 0,
    };
    pen.preface(versions, now_ms)?;
    for (hash, object) in in_order(cache) {
        pen.object(cache, hash, &object, now_ms).map_err(writing)?;
    }
    let (objects, withheld, bytes) = pen.end().map_err(writing)?;
    draft.publish(path)?;
    let milliseconds = clock::now_ms().saturating_sub(started_ms);
    Ok(Written { objects, withheld, bytes, milliseconds, sequence })
}

fn writing(error: io::Error) -> Fault {
    Fault::Io { doing: "writing it", error }
}

/// Everything alive, what was used lately before the rest: a smaller cache takes the beginning of the file.
fn in_order(cache: &Cache) -> impl Iterator<Item = (KeyHash, Arc<Object>)> {
    let (mut hot, mut cold) = (Vec::new(), Vec::new());
    cache.for_each(|hash, object| {
        let list = if object.uses.load(Ordering::Relaxed) > 0 { &mut hot } else { &mut cold };
        list.push((hash, Arc::clone(object)));
    });
    hot.into_iter().chain(cold)
}

/// Writes the parts of the file one after the other.
struct Pen<'a> {
    out: BufWriter<&'a File>,
    salt: [u8; 32],
    head: Vec<u8>,
    /// Records written.
    number: u64,
    bytes: u64,
    withheld: u64,
}

impl Pen<'_> {
    fn preface<N: AsRef<str>>(&mut self, versions: &[(N, u64)], now_ms: u64) -> Result<(), Fault> {
        let mut preface = Vec::new();
        preface.extend_from_slice(&self.salt);
        preface.extend_from_slice(&now_ms.to_le_bytes());
        preface.extend_from_slice(&tag_mark(record::PROBE).to_le_bytes());
        for (name, bumps) in versions {
            record::put(&mut preface, name.as_ref().as_bytes());
            preface.extend_from_slice(&bumps.to_le_bytes());
        }
        let length = u32::try_from(preface.len()).ok().filter(|length| *length <= record::PREFACE_BYTES_MAX);
        let length = length.ok_or(Fault::Versions)?;
        // No record has this number.
        let mut sum = Sum::new(&self.salt, u64::MAX);
        sum.add(&preface);
        let sum = sum.finish();
        for part in [&MAGIC[..], &FORMAT.to_le_bytes(), &length.to_le_bytes(), &preface, &sum] {
            self.put(part).map_err(writing)?;
        }
        Ok(())
    }

    /// Writes an object, where it belongs into the file.
    fn object(&mut self, cache: &Cache, hash: KeyHash, object: &Object, now_ms: u64) -> io::Result<()> {
        let Some(content) = object.content() else { return Ok(()) };
        let tags = match &*content {
            Content::Answer(answer) => &answer.head.tags[..],
            _ => &[],
        };
        let soft = match cache.standing(object, tags) {
            Standing::Purged => return Ok(()),
            Standing::Soft => true,
            Standing::Good => object.life.is_soft(),
        };
        let mut head = std::mem::take(&mut self.head);
        let written = match &*content {
            Content::Answer(answer) if !record::is_usable(&answer.head, now_ms) => Ok(()),
            Content::Answer(answer) if holds_credential(&object.key, Some(&answer.head)) => {
                self.withheld += 1;
                Ok(())
            }
            Content::Variants(_) if holds_credential(&object.key, None) => {
                self.withheld += 1;
                Ok(())
            }
            Content::Answer(answer) if record::write_answer(&mut head, hash, object, soft, &answer.head) => {
                self.record(Kind::Answer, &head, answer.body.chunks())
            }
            Content::Variants(names) if record::write_variants(&mut head, hash, object, soft, names) => {
                self.record(Kind::Variants, &head, &[])
            }
            Content::Answer(_) | Content::Variants(_) | Content::HitForMiss { .. } => Ok(()),
        };
        self.head = head;
        written
    }

    fn record(&mut self, kind: Kind, head: &[u8], body: &[Bytes]) -> io::Result<()> {
        let head_bytes = u32::try_from(head.len()).map_err(io::Error::other)?;
        let body_bytes = body.iter().map(|chunk| chunk.len() as u64).sum();
        let frame = Frame { kind, head_bytes, body_bytes }.to_bytes();
        let mut sum = Sum::new(&self.salt, self.number);
        for part in [&frame[..], head].into_iter().chain(body.iter().map(|chunk| &chunk[..])) {
            sum.add(part);
            self.put(part)?;
        }
        self.put(&sum.finish())?;
        self.number += 1;
        Ok(())
    }

    /// Writes the last record. Returns records, objects withheld, bytes.
    fn end(mut self) -> io::Result<(u64, u64, u64)> {
        let count = self.number;
        self.record(Kind::End, &count.to_le_bytes(), &[])?;
        self.out.flush()?;
        Ok((count, self.withheld, self.bytes))
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// Whether a credential stands in the clear in what would be written: in the URL, or in the values that the answer was
/// chosen by. Keys hold others as digests only. When in doubt it is one: the answer is fetched again after a restart.
fn holds_credential(key: &[u8], head: Option<&AnswerHead>) -> bool {
    let names = head.and_then(|h| h.vary.as_deref()).map_or(&[][..], |vary| &vary.names);
    let identity = key::identity(key);
    let mut shown = Vec::with_capacity(identity.len());
    redact::uri(identity, &mut shown);
    shown != identity || names.iter().any(|name| redact::is_secret_name(name.as_bytes()))
}

/// A file in the making: `PATH.new`, locked while this process writes it, removed where it does not come to its end.
struct Draft {
    file: File,
    path: PathBuf,
    published: bool,
}

impl Draft {
    fn create(path: &Path) -> Result<Self, Fault> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let draft = PathBuf::from(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = match options.open(&draft) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove_left_over(&draft)?;
                options.open(&draft)
            }
            opened => opened,
        };
        let file = file.map_err(|error| Fault::Io { doing: "creating it", error })?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| Fault::Busy)?;
        Ok(Self { file, path: draft, published: false })
    }

    /// To the disk, then in the place of the former file.
    fn publish(mut self, path: &Path) -> Result<(), Fault> {
        self.file.sync_all().map_err(|error| Fault::Io { doing: "syncing it", error })?;
        // Somebody who took it for a left-over removed it: what has the name now is not ours.
        if !self.is_ours() {
            self.published = true;
            return Err(Fault::Busy);
        }
        std::fs::rename(&self.path, path).map_err(|error| Fault::Io { doing: "renaming it", error })?;
        self.published = true;
        sync_folder(path)
    }

    fn is_ours(&self) -> bool {
        let identity = |m: std::fs::Metadata| (m.dev(), m.ino());
        let (named, open) = (std::fs::symlink_metadata(&self.path), self.file.metadata());
        named.is_ok_and(|named| open.is_ok_and(|open| identity(named) == identity(open)))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.published {
            // Where this fails too, the next writer removes it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes what a process that was killed left, and not what another one is writing.
fn remove_left_over(draft: &Path) -> Result<(), Fault> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    if let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(draft) {
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| Fault::Busy)?;
    }
    std::fs::remove_file(draft).map_err(|error| Fault::Io { doing: "removing a left-over .new file", error })
}

/// A rename or removal is kept over a loss of power when the folder is on the disk.
fn sync_folder(path: &Path) -> Result<(), Fault> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Fault::Io { doing: "syncing its folder", error })
}
