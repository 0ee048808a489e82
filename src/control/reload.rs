//! Reloads and new addresses: read beside the control thread, one at a time, so that a slow resolver or disk delays
//! neither a scrape nor a signal.

use tokio::task::JoinHandle;

use super::config::{self, Keep, Loaded};
use super::source::Source;
use crate::plan::Plan;

/// What is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Everything, because somebody asked.
    Reload,
    /// The files that the plan names have changed.
    Files,
    /// The names of upstreams.
    Names,
}

/// What came of it.
pub enum Read {
    Loaded(Work, Result<Box<Loaded>, String>),
    /// `None` = the names mean what they meant.
    Names(Option<Box<Plan>>),
}

/// The work in progress and what waits behind it.
#[derive(Default)]
pub struct Reader {
    running: Option<JoinHandle<Read>>,
    /// At most one of a kind needs to wait: it sees everything that has changed until it begins.
    waiting: Vec<Work>,
}

impl Reader {
    /// Asks for work; it begins at once or behind the one in progress.
    pub fn ask(&mut self, work: Work) {
        if !self.waiting.contains(&work) {
            self.waiting.push(work);
        }
    }

    /// Waits for the work in progress, having begun the next where there was none; for ever when there is nothing to do.
    pub async fn next(&mut self, source: &Source, loaded: &Loaded, keep: &Keep) -> Read {
        if self.running.is_none() && !self.waiting.is_empty() {
            let work = self.waiting.remove(0);
            let (source, loaded, keep) = (source.clone(), loaded.clone(), keep.clone());
            self.running = Some(tokio::task::spawn_blocking(move || read(work, &source, &loaded, &keep)));
        }
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let read = running.await;
        self.running = None;
        read.unwrap_or_else(|error| {
            Read::Loaded(Work::Reload, Err(format!("reading the configuration failed: {error}")))
        })
    }
}

fn read(work: Work, source: &Source, loaded: &Loaded, keep: &Keep) -> Read {
    match work {
        Work::Reload => Read::Loaded(work, source.load(keep).map(Box::new)),
        Work::Files => Read::Loaded(work, source.load_again(loaded, keep).map(Box::new)),
        Work::Names => Read::Names(config::resolve_again(&loaded.plan).map(Box::new)),
    }
}
