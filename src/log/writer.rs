//! The thread that writes log lines, and the bounded lanes that lead to it.
//!
//! Each core has a lane of its own, so that a busy core cannot push out the lines of another. The thread sleeps until
//! a core hands something over; a slow disk or a stuck reader of stdout holds up this thread only.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

use super::{Level, event};
use crate::bounds;

/// Where access lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSink {
    Stdout,
    /// Appended to; made with mode 0640, because lines hold addresses of people.
    File(PathBuf),
}

/// Lines that travel together, line feeds included.
pub(super) struct Batch {
    pub stream: Stream,
    pub bytes: Vec<u8>,
}

/// Where a batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Access,
    Events,
}

/// The way of one core to the writer. At most [`bounds::LOG_BATCHES_MAX`] batches wait in it.
pub struct LogLane {
    queues: Arc<Queues>,
    writer: Thread,
}

struct Queues {
    full: ArrayQueue<Batch>,
    /// Written batches, cleared, to be filled again.
    free: ArrayQueue<Vec<u8>>,
}

/// The running writer. Control holds it: to reopen the file, and to finish after the cores have drained.
pub struct LogWriter {
    shared: Arc<Shared>,
    handle: JoinHandle<()>,
    /// Closed by the thread when it ends.
    done: Receiver<()>,
}

struct Shared {
    lanes: Vec<Arc<Queues>>,
    stop: AtomicBool,
    reopen: AtomicBool,
    failures: Arc<AtomicU64>,
}

impl LogLane {
    /// Hands a batch over and wakes the writer; gives it back when the lane is full.
    pub(super) fn send(&self, batch: Batch) -> Result<(), Batch> {
        self.queues.full.push(batch)?;
        self.writer.unpark();
        Ok(())
    }

    /// An empty buffer of [`bounds::LOG_BATCH_BYTES`], one that was used before if there is one.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.queues.free.pop().unwrap_or_else(|| Vec::with_capacity(bounds::LOG_BATCH_BYTES))
    }
}

impl LogWriter {
    /// Opens the sink and starts the thread, with a lane for each core.
    ///
    /// # Errors
    /// The file cannot be opened, or the thread cannot be started; the error names which and what to do.
    pub fn start(sink: LogSink, cores: usize) -> io::Result<(Self, Vec<LogLane>)> {
        let output = Output::open(sink)?;
        let lanes: Vec<Arc<Queues>> = (0..cores).map(|_| Arc::new(Queues::new())).collect();
        let shared = Arc::new(Shared {
            lanes: lanes.clone(),
            stop: AtomicBool::new(false),
            reopen: AtomicBool::new(false),
            failures: Arc::new(AtomicU64::new(0)),
        });
        let (alive, done) = channel();
        let theirs = Arc::clone(&shared);
        let handle = thread::Builder::new()
            .name("ringway-log".to_owned())
            .spawn(move || run(&theirs, output, alive))
            .map_err(|error| explain(&error, "start the log thread", "raise the limit on processes"))?;
        let writer = handle.thread().clone();
        let lanes = lanes.into_iter().map(|queues| LogLane { queues, writer: writer.clone() }).collect();
        Ok((Self { shared, handle, done }, lanes))
    }

    /// Asks the thread to open the file again by its name, after it was moved away. When that fails, the old file
    /// is kept and a warning is written.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.handle.thread().unpark();
    }

    /// Batches that could not be written, as a number that stays readable while the writer runs.
    pub fn failures(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.failures)
    }

    /// Writes everything that was handed over before this call and ends the thread. Returns false when the sink is
    /// stuck for longer than [`bounds::LOG_FINISH_MS_MAX`]; the rest of the lines is then lost with the process.
    pub fn finish(self) -> bool {
        self.shared.stop.store(true, Ordering::Release);
        self.handle.thread().unpark();
        // Nothing is ever sent: the channel reports the end of the thread by closing.
        let wait = self.done.recv_timeout(Duration::from_millis(bounds::LOG_FINISH_MS_MAX));
        wait != Err(std::sync::mpsc::RecvTimeoutError::Timeout) && self.handle.join().is_ok()
    }
}

impl Queues {
    fn new() -> Self {
        Self { full: ArrayQueue::new(bounds::LOG_BATCHES_MAX), free: ArrayQueue::new(bounds::LOG_BATCHES_FREE_MAX) }
    }

    fn recycle(&self, mut bytes: Vec<u8>) {
        // Buffers that grew for an odd line, and the small ones of events, are freed.
        if (bounds::LOG_BATCH_BYTES..=2 * bounds::LOG_BATCH_BYTES).contains(&bytes.capacity()) {
            bytes.clear();
            // Beyond the bound of free ones it is freed.
            let _ = self.free.push(bytes);
        }
    }
}

/// The thread: drain every lane, then sleep until somebody unparks it.
fn run(shared: &Shared, mut output: Output, alive: Sender<()>) {
    loop {
        // Read before draining: what was handed over before the stop is written.
        let is_last = shared.stop.load(Ordering::Acquire);
        let mut wrote = false;
        for lane in &shared.lanes {
            // A bound per turn, so that one busy core does not keep the writer from the others.
            for _ in 0..bounds::LOG_BATCHES_MAX {
                let Some(batch) = lane.full.pop() else { break };
                wrote = true;
                output.write(&batch, &shared.failures);
                lane.recycle(batch.bytes);
            }
        }
        if shared.reopen.swap(false, Ordering::AcqRel) {
            output.reopen();
        }
        match (is_last, wrote) {
            (true, false) => break,
            (false, false) => thread::park(),
            (_, true) => {}
        }
    }
    drop(alive);
}

/// The open sink.
struct Output {
    /// `None`: stdout.
    file: Option<(PathBuf, File)>,
    /// The last write failed in the middle of a line.
    is_torn: bool,
    /// The last write failed: said once, not once per batch.
    is_failing: bool,
}

impl Output {
    fn open(sink: LogSink) -> io::Result<Self> {
        let file = match sink {
            LogSink::Stdout => None,
            LogSink::File(path) => {
                let file = open_append(&path)?;
                Some((path, file))
            }
        };
        Ok(Self { file, is_torn: false, is_failing: false })
    }

    fn reopen(&mut self) {
        let Some((path, file)) = &mut self.file else { return };
        match open_append(path) {
            Ok(new) => {
                *file = new;
                self.is_torn = false;
            }
            Err(error) => event(Level::Warn, &format!("{error}; the file that was open is kept")),
        }
    }

    fn write(&mut self, batch: &Batch, failures: &AtomicU64) {
        if batch.stream == Stream::Events {
            // Nobody is left to be told that stderr is gone.
            let _ = io::stderr().lock().write_all(&batch.bytes);
            return;
        }
        let result = match &mut self.file {
            Some((_, file)) => write_lines(file, &batch.bytes, &mut self.is_torn),
            None => write_lines(&mut io::stdout().lock(), &batch.bytes, &mut self.is_torn),
        };
        let Err(error) = result else {
            self.is_failing = false;
            return;
        };
        failures.fetch_add(1, Ordering::Relaxed);
        if !self.is_failing {
            self.is_failing = true;
            let place = self.file.as_ref().map_or("stdout".to_owned(), |(path, _)| path.display().to_string());
            event(
                Level::Error,
                &format!("access log: cannot write to {place}: {error}; lines are lost until it works"),
            );
        }
    }
}

/// Writes whole lines; a line that an earlier failure tore is ended first.
fn write_lines(sink: &mut impl Write, bytes: &[u8], is_torn: &mut bool) -> io::Result<()> {
    if *is_torn {
        sink.write_all(b"\n")?;
        *is_torn = false;
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        match sink.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                *is_torn = rest.get(count.wrapping_sub(1)) != Some(&b'\n');
                rest = rest.get(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    sink.flush()
}

fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path).map_err(|error| {
        let what = format!("open the access log {}", path.display());
        explain(&error, &what, "check the folder and its permissions")
    })
}

fn explain(error: &io::Error, what: &str, remedy: &str) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what}: {error}; {remedy}"))
}
