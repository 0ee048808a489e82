//! One core's life: a pinned thread, its runtime, its front; orders from control until it drains.
//!
//! A worker that ends in any other way takes the process with it: a silent dead core would answer its share of the
//! connections with nothing.

pub mod driver;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use ahash::AHashMap;

use crate::base::clock;
use crate::bounds;
use crate::cache::Cache;
use crate::front::{Front, Listener};
use crate::log::{CoreLog, Level, LogLane, LogOptions};
use crate::net::mailbox;
use crate::net::ready::Ready;
use crate::net::{Timer, task};
use crate::order::{Inbox, ListenerOrder, Order};
use crate::plan::Plan;
use crate::proxy::Core;
use crate::proxy::core::Parts;
use crate::proxy::in_flight::InFlight;
use crate::proxy::wakes::{Bell, Wakes};
use crate::stats::{CoreStats, Counter, Gauge};
use driver::Driver;

/// What a worker begins with.
pub struct Assignment {
    /// The CPU core to run on.
    pub cpu: usize,
    pub driver: Driver,
    pub plan: Arc<Plan>,
    pub listeners: Vec<ListenerOrder>,
    pub inbox: Inbox,
    /// Place of this core among those that serve, from 0.
    pub index: usize,
    pub cache: Arc<Cache>,
    /// The bells of all cores, in their order.
    pub bells: Box<[Bell]>,
    /// This core's own.
    pub rung: mailbox::Inbox<u64>,
    pub stats: Arc<CoreStats>,
    pub in_flight: Arc<InFlight>,
    pub log_options: LogOptions,
    pub log: LogLane,
    /// Connections this core takes at most.
    pub open_max: usize,
    /// Called once the core serves.
    pub on_ready: Box<dyn FnOnce() + Send>,
    /// Called when the worker has ended, with the reason where it was no drain.
    pub on_end: Box<dyn FnOnce(Result<(), String>) + Send>,
}

/// Starts the worker's thread.
///
/// # Errors
/// No thread could be made.
pub fn start(mut assignment: Assignment) -> io::Result<JoinHandle<()>> {
    let cpu = assignment.cpu;
    std::thread::Builder::new().name(format!("ringway-core-{cpu}")).spawn(move || {
        let on_end = std::mem::replace(&mut assignment.on_end, Box::new(|_| ()));
        task::keep_panics();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(assignment)));
        on_end(match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("it panicked: {}", task::take_panic())),
        });
    })
}

fn run(assignment: Assignment) -> io::Result<()> {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: assignment.cpu }) {
        return Err(io::Error::other(format!("core {} cannot be pinned to", assignment.cpu)));
    }
    driver::run(assignment.driver, serve(assignment))?
}

/// Everything a core does, on its runtime.
async fn serve(assignment: Assignment) -> io::Result<()> {
    let Assignment { cpu, plan, listeners, inbox, stats, log_options, log, open_max, on_ready, .. } = assignment;
    let Assignment { index, cache, bells, rung, in_flight, .. } = assignment;
    let log = CoreLog::new(log_options, log);
    let number = u16::try_from(cpu).unwrap_or(u16::MAX);
    let (service, wakes) = (Arc::clone(&plan.service), Wakes::new(index, bells));
    let core = Rc::new(Core::new(Parts { number, index, service, stats, log, cache, wakes, in_flight }));
    let worker = Worker { front: Front::new(Rc::clone(&core), open_max), core, listeners: RefCell::default() };
    worker.listen(&plan, listeners)?;
    let letters = worker.read_letters()?;
    worker.start_sweep(letters);
    worker.listen_for_bells(rung)?;
    on_ready();
    let deadline_ms = worker.obey(inbox).await?;
    worker.drain(deadline_ms).await;
    Ok(())
}

struct Worker {
    core: Rc<Core>,
    front: Rc<Front>,
    listeners: RefCell<AHashMap<u64, Rc<Listener>>>,
}

impl Worker {
    /// Carries out orders until one says to drain; returns the drain's deadline.
    async fn obey(&self, inbox: Inbox) -> io::Result<u64> {
        let wake = Ready::new(inbox.wake_descriptor()?)?;
        let never: Timer = self.core.deadlines.timer();
        loop {
            if let Err(error) = wake.readable(&never).await {
                // The kernel was short of memory for a moment: orders can wait.
                self.core.log.event(Level::Warn, &format!("core {}: waiting for orders: {error}", self.core.number));
                task::pause(bounds::ACCEPT_PAUSE_MS).await;
            }
            inbox.quit_wake();
            while let Some(order) = inbox.take() {
                self.core.stats.inc(Counter::OrdersHandled);
                match order {
                    Order::Drain { deadline_ms } => return Ok(deadline_ms),
                    Order::Adopt { plan, listeners } => {
                        if let Err(error) = self.adopt(&plan, listeners) {
                            let text = format!("core {}: a new listener is not served: {error}", self.core.number);
                            self.core.log.event(Level::Error, &text);
                        }
                    }
                }
            }
        }
    }

    fn adopt(&self, plan: &Plan, orders: Vec<ListenerOrder>) -> io::Result<()> {
        self.core.adopt(Arc::clone(&plan.service));
        self.listen(plan, orders)
    }

    /// Makes the listeners those of the plan: new ones start, known ones take their new options, others stop.
    fn listen(&self, plan: &Plan, orders: Vec<ListenerOrder>) -> io::Result<()> {
        let mut former = self.listeners.take();
        let mut current = AHashMap::with_capacity(orders.len());
        let mut outcome = Ok(());
        for (order, options) in orders.into_iter().zip(&plan.listeners) {
            let known = former.remove(&order.id);
            let listener = match (known, order.socket) {
                (Some(listener), _) => {
                    listener.adopt(Arc::clone(options));
                    Ok(listener)
                }
                (None, Some(socket)) => Listener::start(&self.front, Arc::clone(options), socket),
                (None, None) => Err(io::Error::other("no socket came with the order")),
            };
            match listener {
                Ok(listener) => drop(current.insert(order.id, listener)),
                Err(error) => outcome = Err(error),
            }
        }
        former.values().for_each(|listener| listener.stop());
        self.listeners.replace(current);
        outcome
    }

    /// The core's one clockwork: deadlines, log batches, pools.
    fn start_sweep(&self, letters: mailbox::Outbox<u64>) {
        let core = Rc::clone(&self.core);
        let sweep = async move {
            for tick in 1u64.. {
                let due_us = clock::now_us() + bounds::SWEEP_MS * 1_000;
                task::pause(bounds::SWEEP_MS).await;
                // One that is still on its way is late enough to say so.
                let _ = letters.send(due_us);
                core.beat.set(core.beat.get().wrapping_add(1));
                while core.deadlines.sweep(clock::now_ms()) {
                    core.deadlines.give_way().await;
                }
                core.front.sweep();
                if tick.is_multiple_of(LOG_TICKS) {
                    flush(&core);
                }
                if tick.is_multiple_of(POOL_TICKS) {
                    let idle = core.pools.sweep(clock::now_ms(), &core.buffers);
                    let former = core.stats.gauge_value(Gauge::UpstreamConnectionsIdle);
                    core.stats.gauge(Gauge::UpstreamConnectionsIdle, i64::try_from(idle).unwrap_or(i64::MAX) - former);
                }
            }
        };
        // Without it no time-out would ever come again.
        task::spawn(sweep, |text| abort(&format!("the clockwork of a core panicked: {text}")));
    }

    /// Reads the letters that the clockwork writes to this very core: they wait behind all that is ready, so how late they
    /// arrive is how late everybody's turn comes.
    fn read_letters(&self) -> io::Result<mailbox::Outbox<u64>> {
        let (outbox, inbox) = mailbox::mailbox(1)?;
        let wake = Ready::new(inbox.wake_descriptor()?)?;
        let core = Rc::clone(&self.core);
        let read = async move {
            let never: Timer = core.deadlines.timer();
            loop {
                if wake.readable(&never).await.is_err() {
                    task::pause(bounds::SWEEP_MS).await;
                }
                inbox.quit_wake();
                while let Some(due_us) = inbox.take() {
                    let (now_us, target_ms) = (clock::now_us(), core.service().shared.overload_target_ms);
                    core.overload.note(now_us.saturating_sub(due_us), now_us, target_ms, &core.stats);
                }
            }
        };
        // Without it an overload would never end.
        task::spawn(read, |text| abort(&format!("the letters of a core panicked: {text}")));
        Ok(outbox)
    }

    /// Wakes who waits on this core for an object that another core has filled.
    fn listen_for_bells(&self, rung: mailbox::Inbox<u64>) -> io::Result<()> {
        let core = Rc::clone(&self.core);
        let wake = Ready::new(rung.wake_descriptor()?)?;
        let listen = async move {
            let never: Timer = core.deadlines.timer();
            loop {
                if wake.readable(&never).await.is_err() {
                    task::pause(bounds::SWEEP_MS).await;
                }
                rung.quit_wake();
                if rung.take_missed() {
                    core.wakes.all_woken();
                }
                while let Some(number) = rung.take() {
                    core.wakes.woken(number);
                }
            }
        };
        // Without it nobody here would hear of what other cores fetch.
        task::spawn(listen, |text| abort(&format!("the bell of a core panicked: {text}")));
        Ok(())
    }

    /// Stops listening, ends idle connections, waits for the others until the deadline.
    async fn drain(&self, deadline_ms: u64) {
        self.core.draining.set(true);
        let mut listeners = self.listeners.take();
        listeners.values().for_each(|listener| listener.stop());
        // Other cores' clients may be reading what this one fetches.
        let flights = || self.core.stats.gauge_value(Gauge::FlightsActive) > 0;
        // Connections in the accept queue get their turn even where nobody was connected; then the socket closes.
        while (!listeners.is_empty() || self.front.open() > 0 || flights()) && clock::now_ms() < deadline_ms {
            listeners.retain(|_, listener| !listener.is_emptied());
            // Again each time: a connection may have been accepted, or have gone idle, in the meantime.
            self.core.deadlines.fire_idle();
            task::pause(DRAIN_PAUSE_MS).await;
        }
        if self.front.open() > 0 {
            let text =
                format!("core {}: {} connections are cut at the drain deadline", self.core.number, self.front.open());
            self.core.log.event(Level::Warn, &text);
            // Their waits end, so each says in the log how far it came.
            self.core.deadlines.end_all();
            let last_ms = clock::now_ms() + bounds::CUT_MS_MAX;
            while self.front.open() > 0 && clock::now_ms() < last_ms {
                task::pause(DRAIN_PAUSE_MS).await;
            }
        }
        self.core.pools.clear();
        flush(&self.core);
    }
}

/// Sweeps between two flushes of the log.
const LOG_TICKS: u64 = 100 / bounds::SWEEP_MS;
/// Sweeps between two looks at idle upstream connections.
const POOL_TICKS: u64 = 1_000 / bounds::SWEEP_MS;
/// Pause between two looks whether the drain is over, milliseconds.
const DRAIN_PAUSE_MS: u64 = 5;

fn flush(core: &Core) {
    core.log.flush();
    core.stats.add(Counter::LogLinesDropped, core.log.take_dropped());
    core.stats.add(Counter::LogLinesSampledOut, core.log.take_sampled_out());
}

fn abort(text: &str) {
    crate::log::event(Level::Error, &format!("{text}; the gateway stops"));
    std::process::abort();
}
