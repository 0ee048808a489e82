//! The snapshot: the stored answers of a process in one file, so that the next process starts warm.
//!
//! [`write()`] puts them there, [`open`] and [`Snapshot::restore`] bring them back. All of it blocks and belongs on a
//! thread beside the control loop; the cores serve on, because objects are immutable. What is wrong with a file ends
//! reading there and is told in one line: no answer is worth refusing to start, and none is served whose checksum fails.
//!
//! The file: a preface (magic, format, salt, moment, version bumps of the routes), records, a record that says how many
//! there were. Preface and records carry a checksum each, bound to the file's salt and the record's number.

mod read;
mod record;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};

pub use read::{Restored, Snapshot, open};
pub use write::{Written, discard, write};

/// Why a snapshot was not written, or not read to its end. Its text is one line for an operator.
#[derive(Debug)]
pub struct SnapshotError {
    pub path: PathBuf,
    pub fault: Fault,
    pub consequence: Consequence,
}

/// What is wrong.
#[derive(Debug)]
pub enum Fault {
    /// The system refused something.
    Io { doing: &'static str, error: std::io::Error },
    /// Another process holds the file that is being written.
    Busy,
    /// Not a file: a folder, a link, a pipe.
    NotAFile,
    /// It belongs to another user.
    Owner { user: u32 },
    /// Others may read or write it.
    Mode { mode: u32 },
    /// It does not begin as a snapshot does.
    Foreign,
    /// Written in another format, by a newer or an older program.
    Format { format: u16 },
    /// The preface is damaged.
    Preface,
    /// The file ends inside this record, counted from 0.
    Cut { record: u64 },
    /// This record is damaged, counted from 0.
    Damaged { record: u64 },
    /// The names of the routes take more room than a preface has.
    Versions,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The file was not written; the former one stays.
    FormerStays,
    /// The file is not used.
    ColdStart,
    /// So many answers were taken, and nothing behind them.
    Partial { objects: u64 },
}

impl SnapshotError {
    fn new(path: &Path, fault: Fault, consequence: Consequence) -> Self {
        Self { path: path.to_owned(), fault, consequence }
    }
}

impl std::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cache snapshot {}: ", self.path.display())?;
        match &self.fault {
            Fault::Io { doing, error } => write!(f, "{doing}: {error}")?,
            Fault::Busy => f.write_str("another process is writing it")?,
            Fault::NotAFile => f.write_str("not a regular file; remove it or name another path")?,
            Fault::Owner { user } => {
                write!(f, "it belongs to user {user}; chown it to the user of the gateway, or remove it")?;
            }
            Fault::Mode { mode } => {
                write!(f, "others have rights on it (mode {mode:03o}); chmod 600 it, or remove it")?
            }
            Fault::Foreign => f.write_str("not a snapshot of a cache; remove it or name another path")?,
            Fault::Format { format } => {
                write!(f, "written in format {format}, this program reads format {}", record::FORMAT)?;
            }
            Fault::Preface => f.write_str("its beginning is damaged")?,
            Fault::Cut { record } => write!(f, "it ends inside record {record}")?,
            Fault::Damaged { record } => write!(f, "record {record} is damaged")?,
            Fault::Versions => {
                write!(f, "the names of the routes are longer than {} bytes", record::PREFACE_BYTES_MAX)?
            }
        }
        match self.consequence {
            Consequence::FormerStays => f.write_str("; it was not written, the former one stays"),
            Consequence::ColdStart => f.write_str("; the cache starts cold"),
            Consequence::Partial { objects: 0 } => f.write_str("; the cache starts cold"),
            Consequence::Partial { objects } => {
                write!(f, "; the cache starts with the {objects} answers that came before")
            }
        }
    }
}

impl std::error::Error for SnapshotError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
