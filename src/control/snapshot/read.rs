//! Reading a snapshot: its preface first, because the cache is made with its salt, then its records into the cache.
//!
//! The file is believed in nothing: lengths are checked against what is left of it before anything is allocated, a
//! record counts when its checksum is right, and the first that is not ends reading.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use rustix::fs::OFlags;

use super::record::{self, Cursor, Entry, FORMAT, FRAME_BYTES, Frame, Kept, Kind, MAGIC, SUM_BYTES, Sum};
use super::{Consequence, Fault, SnapshotError};
use crate::cache::account::{Account, Charge, footprint};
use crate::cache::ledger::{tag_mark, url_mark};
use crate::cache::life::State;
use crate::cache::object::{Origin, USES_MAX};
use crate::cache::{Answer, Body, Cache, Content, Object, key};

const BUFFER_BYTES: usize = 256 * 1024;
/// Bodies up to here come in one piece, larger ones in chunks.
const PIECE_BYTES_MAX: u64 = 128 * 1024;
const CHUNK_BYTES: u64 = 64 * 1024;

/// A snapshot whose preface is read.
#[derive(Debug)]
pub struct Snapshot {
    input: Input,
    path: PathBuf,
    salt: [u8; 32],
    written_ms: u64,
    /// Mark of the probe in the process that wrote it.
    probe: u64,
    versions: Vec<(String, u64)>,
    /// Records read.
    number: u64,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Restored {
    pub objects: u64,
    /// Bytes of the cache that they take.
    pub bytes: u64,
    /// Records that were passed over: of no use any more, purged meanwhile, without room, or in the place of something
    /// newer.
    pub skipped: u64,
    /// Why the file was not read to its end: one line for the log.
    pub cut: Option<SnapshotError>,
}

/// Opens a snapshot and reads its preface; `None` = there is no such file. Blocks for the disk.
///
/// # Errors
/// It is not a file of this user alone, not a snapshot, of another format, or damaged at its beginning. The text of the
/// error is one line for the log, and the cache starts cold.
pub fn open(path: &Path) -> Result<Option<Snapshot>, SnapshotError> {
    open_file(path).map_err(|fault| SnapshotError::new(path, fault, Consequence::ColdStart))
}

fn open_file(path: &Path) -> Result<Option<Snapshot>, Fault> {
    // Neither a link to something else nor a pipe that waits for a writer.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(Fault::NotAFile);
        }
        Err(error) => return Err(Fault::Io { doing: "opening it", error }),
        Ok(file) => file,
    };
    let metadata = file.metadata().map_err(|error| Fault::Io { doing: "looking at it", error })?;
    if !metadata.is_file() {
        return Err(Fault::NotAFile);
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Fault::Owner { user: metadata.uid() });
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(Fault::Mode { mode: metadata.mode() & 0o777 });
    }
    let mut input = Input { file: BufReader::with_capacity(BUFFER_BYTES, file), left: metadata.len() };
    let preface = read_preface(&mut input)?;
    let mut cursor = Cursor { rest: &preface };
    let (salt, written_ms) = cursor.salt().zip(cursor.u64()).ok_or(Fault::Preface)?;
    let probe = cursor.u64().ok_or(Fault::Preface)?;
    let mut versions = Vec::new();
    while !cursor.rest.is_empty() {
        let (name, bumps) = cursor.text().zip(cursor.u64()).ok_or(Fault::Preface)?;
        versions.push((name.to_owned(), bumps));
    }
    Ok(Some(Snapshot { input, path: path.to_owned(), salt, written_ms, probe, versions, number: 0 }))
}

/// The preface behind magic and format, its checksum verified.
fn read_preface(input: &mut Input) -> Result<Vec<u8>, Fault> {
    let magic: [u8; MAGIC.len()] = input.array().map_err(|stop| stop.or(Fault::Foreign))?;
    if magic != *MAGIC {
        return Err(Fault::Foreign);
    }
    let format = u16::from_le_bytes(input.array().map_err(|stop| stop.or(Fault::Preface))?);
    if format != FORMAT {
        return Err(Fault::Format { format });
    }
    let length = u32::from_le_bytes(input.array().map_err(|stop| stop.or(Fault::Preface))?);
    if length > record::PREFACE_BYTES_MAX {
        return Err(Fault::Preface);
    }
    let mut preface = Vec::new();
    input.fill(&mut preface, u64::from(length)).map_err(|stop| stop.or(Fault::Preface))?;
    let stored: [u8; SUM_BYTES] = input.array().map_err(|stop| stop.or(Fault::Preface))?;
    let salt = Cursor { rest: &preface }.salt().ok_or(Fault::Preface)?;
    let mut sum = Sum::new(&salt, u64::MAX);
    sum.add(&preface);
    if sum.finish() == stored { Ok(preface) } else { Err(Fault::Preface) }
}

impl Snapshot {
    /// The salt that the cache must be made with.
    pub fn salt(&self) -> &[u8; 32] {
        &self.salt
    }

    /// When it was written, milliseconds since the Unix epoch.
    pub fn written_ms(&self) -> u64 {
        self.written_ms
    }

    /// How often the version of each route was bumped, by name.
    pub fn versions(&self) -> &[(String, u64)] {
        &self.versions
    }

    /// Puts the records into a cache that was made with this snapshot's salt, as far as there is room: nothing is evicted
    /// for them, and nothing that stands there already is replaced. Blocks for the disk.
    ///
    /// Purges that come meanwhile hold for all of it. Where marks are made in another way than in the process that wrote
    /// the file (another salt was used first, or the program's hash has changed), answers with tags are skipped: a purge
    /// would miss them.
    pub fn restore(mut self, cache: &Cache, now_ms: u64) -> Restored {
        let mut restored = Restored::default();
        // The sequence of now: a later purge concerns all of it.
        let birth = cache.sequence();
        let mut head = Vec::new();
        loop {
            match self.next(cache, birth, now_ms, &mut head) {
                Ok(Some(Came::Taken { bytes })) => {
                    restored.objects += 1;
                    restored.bytes += bytes;
                }
                Ok(Some(Came::Skipped)) => restored.skipped += 1,
                Ok(None) => return restored,
                Err(stop) => {
                    let fault = stop.or(Fault::Cut { record: self.number });
                    let consequence = Consequence::Partial { objects: restored.objects };
                    restored.cut = Some(SnapshotError::new(&self.path, fault, consequence));
                    return restored;
                }
            }
            self.number += 1;
        }
    }

    /// The next record; `None` = it was the last one.
    fn next(&mut self, cache: &Cache, birth: u64, now_ms: u64, head: &mut Vec<u8>) -> Result<Option<Came>, Stop> {
        let damaged = || Stop::Fault(Fault::Damaged { record: self.number });
        let bytes: [u8; FRAME_BYTES] = self.input.array()?;
        let frame = Frame::from_bytes(&bytes).ok_or_else(damaged)?;
        self.input.fill(head, u64::from(frame.head_bytes))?;
        if self.input.left.checked_sub(frame.body_bytes).is_none_or(|left| left < SUM_BYTES as u64) {
            return Err(Stop::Short);
        }
        let mut sum = Sum::new(&self.salt, self.number);
        sum.add(&bytes);
        sum.add(head);
        if frame.kind == Kind::End {
            let stored: [u8; SUM_BYTES] = self.input.array()?;
            let is_end = sum.finish() == stored && head[..] == self.number.to_le_bytes() && self.input.left == 0;
            return if is_end { Ok(None) } else { Err(damaged()) };
        }
        // Believed only when the checksum is right; what it asks for until then is bounded by the file.
        let entry = record::read(frame.kind, head).ok_or_else(damaged)?;
        let room = match &entry.kept {
            Kept::Answer(head) if !record::is_usable(head, now_ms) => None,
            Kept::Answer(head) if !head.tags.is_empty() && self.probe != tag_mark(record::PROBE) => None,
            _ => Room::take(cache.account(), &entry, frame.body_bytes),
        };
        let Some(room) = room else {
            self.input.skip(frame.body_bytes + SUM_BYTES as u64)?;
            return Ok(Some(Came::Skipped));
        };
        let chunks = self.input.body(frame.body_bytes, &mut sum)?;
        let stored: [u8; SUM_BYTES] = self.input.array()?;
        if sum.finish() != stored {
            return Err(damaged());
        }
        Ok(Some(put(cache, birth, entry, chunks, room)))
    }
}

/// What became of a record.
enum Came {
    Taken { bytes: u64 },
    Skipped,
}

/// The cache's bytes for one record, taken before its body is read.
struct Room {
    object: Charge,
    content: Charge,
    body: Charge,
}

impl Room {
    /// `None` = it is not free. Nothing is evicted: what the cache has by now is worth more than what it had.
    fn take(account: &Arc<Account>, entry: &Entry, body_bytes: u64) -> Option<Self> {
        let pieces = pieces_of(body_bytes).filter_map(|bytes| usize::try_from(bytes).ok()).map(footprint).sum();
        Some(Self {
            object: account.charge(entry.object_bytes())?,
            content: account.charge(entry.content_bytes())?,
            body: account.charge(pieces)?,
        })
    }
}

/// Puts what was read where nothing newer stands.
fn put(cache: &Cache, birth: u64, entry: Entry, chunks: Vec<Bytes>, room: Room) -> Came {
    let bytes = room.object.bytes() + room.content.bytes() + room.body.bytes();
    let Entry { hash, key, method, uses, soft, kept } = entry;
    let url = url_mark(key::identity(&key));
    let origin = Origin { key, method, birth, url };
    let (object, charge) = match kept {
        Kept::Answer(head) => {
            let body = Body::new(chunks, room.body);
            let answer = Answer { head: Arc::new(head), body, charge: room.content };
            (Content::Answer(answer), room.object)
        }
        Kept::Variants(names) => {
            let mut charge = room.object;
            charge.absorb(room.content);
            (Content::Variants(names), charge)
        }
    };
    let object = Object::complete(origin, object, charge);
    object.uses.store(uses.min(USES_MAX), Ordering::Relaxed);
    if soft {
        object.life.soften();
    }
    // One that was purged meanwhile is dead as soon as it stands there.
    if cache.place(hash, &object).is_err() || object.life.state() == State::Dead {
        return Came::Skipped;
    }
    cache.admit(hash, &object);
    Came::Taken { bytes }
}

/// Lengths of the pieces that a body is read in.
fn pieces_of(length: u64) -> impl Iterator<Item = u64> {
    let piece = if length <= PIECE_BYTES_MAX { length } else { CHUNK_BYTES };
    let whole = length.checked_div(piece).unwrap_or(0);
    let rest = length.checked_rem(piece).filter(|rest| *rest > 0);
    std::iter::repeat_n(piece, usize::try_from(whole).unwrap_or(usize::MAX)).chain(rest)
}

/// Why reading stopped.
enum Stop {
    /// The file has no more bytes.
    Short,
    Fault(Fault),
}

impl Stop {
    /// The fault, where a file that is too short is this one.
    fn or(self, short: Fault) -> Fault {
        match self {
            Self::Short => short,
            Self::Fault(fault) => fault,
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // It became shorter while it was read.
            io::ErrorKind::UnexpectedEof => Self::Short,
            _ => Self::Fault(Fault::Io { doing: "reading it", error }),
        }
    }
}

/// The file and how much of it is left. Nothing longer than that is asked for.
#[derive(Debug)]
struct Input {
    file: BufReader<File>,
    left: u64,
}

impl Input {
    fn take(&mut self, bytes: u64) -> Result<(), Stop> {
        self.left = self.left.checked_sub(bytes).ok_or(Stop::Short)?;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        self.take(N as u64)?;
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Makes `buffer` the next bytes.
    fn fill(&mut self, buffer: &mut Vec<u8>, bytes: u64) -> Result<(), Stop> {
        self.take(bytes)?;
        buffer.clear();
        buffer.resize(usize::try_from(bytes).map_err(|_| Stop::Short)?, 0);
        self.file.read_exact(buffer)?;
        Ok(())
    }

    fn body(&mut self, length: u64, sum: &mut Sum) -> Result<Vec<Bytes>, Stop> {
        let mut chunks = Vec::with_capacity(pieces_of(length).size_hint().0);
        for piece in pieces_of(length) {
            let mut chunk = Vec::new();
            self.fill(&mut chunk, piece)?;
            sum.add(&chunk);
            chunks.push(Bytes::from(chunk.into_boxed_slice()));
        }
        Ok(chunks)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Stop> {
        self.take(bytes)?;
        self.file.seek_relative(i64::try_from(bytes).map_err(|_| Stop::Short)?)?;
        Ok(())
    }
}
