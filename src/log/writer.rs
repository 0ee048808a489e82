//! The thread that writes log lines, and the bounded lanes that lead to it.
//!
//! Each core has a lane of its own, so that a busy core cannot push out the lines of another. The thread sleeps until
//! a core hands something over; a slow disk or a stuck reader of stdout holds up this thread only.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

use super::sink::{LogSink, Output, explain};
use crate::bounds;

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
    lost: Arc<AtomicU64>,
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
    /// Opens the sink and starts the thread, with a lane for each core. To be called from a thread that is not pinned:
    /// the writer inherits the caller's set of cores.
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
            lost: Arc::new(AtomicU64::new(0)),
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

    /// Lines that were in such batches and are in no log.
    pub fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.lost)
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
                write(&mut output, &batch, shared);
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

fn write(output: &mut Output, batch: &Batch, shared: &Shared) {
    if batch.stream == Stream::Events {
        // Nobody is left to be told that stderr is gone.
        let _ = io::stderr().lock().write_all(&batch.bytes);
        return;
    }
    let lost = output.write(&batch.bytes);
    if lost > 0 {
        shared.failures.fetch_add(1, Ordering::Relaxed);
        shared.lost.fetch_add(lost, Ordering::Relaxed);
    }
}

/// A lane that nobody empties, for tests of what fills it.
#[cfg(test)]
pub(super) fn lane_without_writer() -> LogLane {
    LogLane { queues: Arc::new(Queues::new()), writer: thread::current() }
}

#[cfg(test)]
impl LogLane {
    pub(super) fn waiting(&self) -> usize {
        self.queues.full.len()
    }

    pub(super) fn take(&self) -> Option<Vec<u8>> {
        self.queues.full.pop().map(|batch| batch.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn access(text: &str) -> Batch {
        Batch { stream: Stream::Access, bytes: text.as_bytes().to_vec() }
    }

    fn start(path: &Path, cores: usize) -> (LogWriter, Vec<LogLane>) {
        LogWriter::start(LogSink::File(path.to_owned()), cores).unwrap()
    }

    #[test]
    fn everything_handed_over_before_the_end_is_written_and_appended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        fs::write(&path, "old\n").unwrap();
        let (writer, lanes) = start(&path, 3);
        let threads: Vec<_> = lanes
            .into_iter()
            .enumerate()
            .map(|(core, lane)| {
                thread::spawn(move || {
                    for index in 0..500 {
                        let mut batch = access(&format!("{core} {index}\n"));
                        while let Err(refused) = lane.send(batch) {
                            thread::yield_now();
                            batch = refused;
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let failures = writer.failures();
        assert!(writer.finish());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("old\n"));
        for core in 0..3 {
            let prefix = format!("{core} ");
            let order: Vec<usize> =
                text.lines().filter_map(|line| line.strip_prefix(&prefix)).map(|n| n.parse().unwrap()).collect();
            assert_eq!(order, (0..500).collect::<Vec<_>>(), "a core's lines keep their order");
        }
        assert_eq!(failures.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_moved_file_is_left_after_reopen() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
        let (writer, lanes) = start(&path, 1);
        lanes[0].send(access("one\n")).map_err(|_| "full").unwrap();
        // The queue is empty before the line is in the file: wait for the file.
        while fs::read(&path).unwrap().is_empty() {
            thread::yield_now();
        }
        fs::rename(&path, &moved).unwrap();
        writer.reopen();
        while !path.exists() {
            thread::yield_now();
        }
        lanes[0].send(access("two\n")).map_err(|_| "full").unwrap();
        assert!(writer.finish());
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no/such/access.log");
        let error = LogWriter::start(LogSink::File(path.clone()), 1).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }

    #[test]
    fn a_full_disk_is_counted_and_the_writer_lives_on() {
        let (writer, lanes) = start(Path::new("/dev/full"), 1);
        for _ in 0..3 {
            lanes[0].send(access("x\n")).map_err(|_| "full").unwrap();
        }
        let (failures, lost) = (writer.failures(), writer.lost());
        assert!(writer.finish());
        assert_eq!((failures.load(Ordering::Relaxed), lost.load(Ordering::Relaxed)), (3, 3));
    }

    #[test]
    fn buffers_come_back_but_only_those_of_the_usual_size() {
        let queues = Queues::new();
        queues.recycle(Vec::with_capacity(64));
        queues.recycle(Vec::with_capacity(bounds::LOG_BATCH_BYTES * 3));
        assert_eq!(queues.free.len(), 0);
        for _ in 0..bounds::LOG_BATCHES_FREE_MAX + 2 {
            queues.recycle(vec![1; bounds::LOG_BATCH_BYTES]);
        }
        assert_eq!(queues.free.len(), bounds::LOG_BATCHES_FREE_MAX);
        let lane = LogLane { queues: Arc::new(queues), writer: thread::current() };
        assert!(lane.buffer().is_empty());
    }
}
