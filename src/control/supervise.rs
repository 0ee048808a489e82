//! The control plane's life: admin listener, signals, reloads, changed certificates, moved names, the drain.
//!
//! Runs on the control thread's tokio runtime. It speaks to the cores by orders only.

use std::io::Write as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::admin::{self, AdminState, Sight};
use super::config::{Keep, Loaded};
use super::fingerprint::Fingerprints;
use super::listeners::Bound;
use super::reload::{Read, Reader, Work};
use super::source::Source;
use super::warm_restart::WarmRestart;
use crate::base::clock;
use crate::log::{CoreLog, Level, LogWriter, event};
use crate::order::{Order, Outbox};
use crate::plan::Plan;

/// What control works with.
pub struct Control {
    pub source: Source,
    pub keep: Keep,
    pub loaded: Loaded,
    pub bound: Bound,
    pub outboxes: Vec<Outbox>,
    pub log: Rc<LogWriter>,
    pub admin_state: Arc<AdminState>,
    pub admin_listener: Option<std::net::TcpListener>,
    pub warm: WarmRestart,
    /// Says that a worker has ended: its core and why.
    pub ended: mpsc::Receiver<(usize, Result<(), String>)>,
    /// Notified by `demo`: stops as a signal would.
    pub stop: Arc<Notify>,
    /// What control has to say: by way of the log writer, so that a reader of stderr that is stuck stops nothing else.
    pub events: CoreLog,
    /// Printed once everything runs.
    pub ready_line: String,
}

/// How often certificate files are looked at, and names are resolved again.
const WATCH_PERIOD: Duration = Duration::from_secs(1);
const RESOLVE_TICKS: u64 = 30;
/// How often the cache is looked through for what has died by itself.
const SWEEP_TICKS: u64 = 10;
/// How long after the drain deadline the cores may take to come home.
const HOME_MS: u64 = 2_000;

/// The signals that the gateway answers to. Made before anything is served, so that none of them ends the process in
/// the meantime.
pub struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
    reopen: Signal,
}

impl Signals {
    /// Listens to them from now on. Needs the control thread's runtime around it.
    ///
    /// # Errors
    /// The system gives no more handlers.
    pub fn new() -> Result<Self, String> {
        Self::listen().map_err(|error| format!("signals cannot be received: {error}"))
    }

    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            reopen: signal(SignalKind::user_defined1())?,
        })
    }
}

/// Runs until the gateway has drained.
///
/// # Errors
/// Why the gateway ends in another way, as the last line of the process.
pub async fn supervise(mut control: Control, mut signals: Signals) -> Result<(), String> {
    let (shutdown, shutdown_seen) = watch::channel(false);
    control.show_plan();
    let admin = control.start_admin(shutdown_seen)?;
    let mut ticks = interval(WATCH_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = Arc::clone(&control.stop);
    let mut fingerprints = Fingerprints::of(control.watched());
    let mut reader = Reader::default();
    // A closed stdout has nobody who waits for the line.
    let _ = writeln!(std::io::stdout(), "{}", control.ready_line);
    let mut tick = 0u64;
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.reopen.recv() => control.log.reopen(),
            _ = signals.hangup.recv() => {
                // Looked at before reading: what changes from now on is another change.
                fingerprints = Fingerprints::of(control.watched());
                reader.ask(Work::Reload);
            }
            () = stop.notified() => break,
            ended = control.ended.recv() => return Err(dead_core(ended)),
            _ = ticks.tick() => {
                tick += 1;
                if fingerprints.changed(control.watched()) {
                    reader.ask(Work::Files);
                }
                if tick.is_multiple_of(SWEEP_TICKS) {
                    control.admin_state.cache.sweep_soon();
                }
                if let Some(why) = control.warm.tick().await {
                    control.say(Level::Warn, &why);
                }
                if tick.is_multiple_of(RESOLVE_TICKS) && !control.loaded.names.is_empty() {
                    reader.ask(Work::Names);
                }
            }
            read = reader.next(&control.source, &control.loaded, &control.keep) => control.take_up(read),
        }
    }
    let outcome = control.drain(&mut signals).await;
    if outcome.is_ok()
        && let Some(why) = control.warm.finish().await
    {
        control.say(Level::Warn, &why);
    }
    // Nobody listens any more where admin is off.
    let _ = shutdown.send(true);
    if let Some(admin) = admin {
        let _ = admin.await;
    }
    outcome
}

fn dead_core(ended: Option<(usize, Result<(), String>)>) -> String {
    match ended {
        Some((cpu, Err(why))) => format!("core {cpu} died: {why}; the gateway stops, restart it"),
        Some((cpu, Ok(()))) => format!("core {cpu} ended without being told; the gateway stops, restart it"),
        None => "all cores are gone; the gateway stops, restart it".to_owned(),
    }
}

impl Control {
    fn say(&self, level: Level, text: &str) {
        self.events.event(level, text);
        self.events.flush();
    }

    fn watched(&self) -> Vec<PathBuf> {
        self.source.watched(&self.loaded)
    }

    fn start_admin(&mut self, shutdown: watch::Receiver<bool>) -> Result<Option<tokio::task::JoinHandle<()>>, String> {
        let Some(listener) = self.admin_listener.take() else { return Ok(None) };
        let listener = tokio::net::TcpListener::from_std(listener).map_err(|e| format!("admin listener: {e}"))?;
        let state = Arc::clone(&self.admin_state);
        Ok(Some(tokio::spawn(async move {
            if let Err(error) = admin::serve(listener, state, shutdown).await {
                event(Level::Error, &format!("the admin listener stopped: {error}; the gateway serves on"));
            }
        })))
    }

    /// Puts what was read to work. A bad configuration is refused whole and the plan in force serves on.
    fn take_up(&mut self, read: Read) {
        match read {
            Read::Names(None) => {}
            Read::Names(Some(plan)) => match self.give_out(&plan) {
                Ok(()) => {
                    self.say(Level::Info, "the addresses of an upstream have changed; the cores use the new ones");
                    self.loaded.plan = *plan;
                }
                Err(why) => self.say(Level::Warn, &format!("the new addresses of an upstream are not used: {why}")),
            },
            Read::Loaded(work, outcome) => {
                let cause = if work == Work::Reload { "SIGHUP" } else { "a watched file changed" };
                match outcome.and_then(|loaded| self.adopt(*loaded)) {
                    Ok(()) => self.say(Level::Info, &format!("reloaded ({cause})")),
                    Err(why) => {
                        self.say(Level::Error, &format!("reload refused, the former plan serves on ({cause}): {why}"))
                    }
                }
            }
        }
    }

    fn adopt(&mut self, loaded: Loaded) -> Result<(), String> {
        for warning in &loaded.warnings {
            self.say(Level::Warn, warning);
        }
        if loaded.plan.start != self.loaded.plan.start {
            let text = "server.cores, driver, admin, connections_max, in_flight_bytes, [log] and cache.memory, snapshot, \
                        snapshot_interval take effect at the next start only";
            self.say(Level::Warn, text);
        }
        self.give_out(&loaded.plan)?;
        self.loaded = loaded;
        self.show_plan();
        Ok(())
    }

    /// Tells the admin listener which plan is in force.
    fn show_plan(&self) {
        self.admin_state.cache.take_up(Sight::of(&self.loaded.plan, self.keep.routes()));
    }

    fn give_out(&mut self, plan: &Plan) -> Result<(), String> {
        let orders = self.bound.bind(plan, self.outboxes.len()).map_err(|error| error.to_string())?;
        let plan = Arc::new(plan.clone());
        for (outbox, listeners) in self.outboxes.iter().zip(orders) {
            if !outbox.send(Order::Adopt { plan: Arc::clone(&plan), listeners }) {
                return Err("a core does not take orders; restart the gateway if this repeats".to_owned());
            }
        }
        Ok(())
    }

    /// Tells the cores to go home and waits for them. A second signal ends the waiting.
    async fn drain(&mut self, signals: &mut Signals) -> Result<(), String> {
        self.admin_state.ready.store(false, Ordering::Release);
        self.admin_state.draining.store(true, Ordering::Release);
        let drain_ms = self.loaded.plan.drain_ms;
        self.say(Level::Info, &format!("draining: running exchanges have {drain_ms} ms to end"));
        let deadline_ms = clock::now_ms() + drain_ms;
        for outbox in &self.outboxes {
            if !outbox.send(Order::Drain { deadline_ms }) {
                return Err("a core does not take the order to drain; its connections are cut".to_owned());
            }
        }
        let mut patience = Box::pin(tokio::time::sleep(Duration::from_millis(drain_ms + HOME_MS)));
        for _ in 0..self.outboxes.len() {
            tokio::select! {
                ended = self.ended.recv() => if let Some((cpu, Err(why))) = ended {
                    return Err(format!("core {cpu} died while draining: {why}"));
                },
                _ = signals.terminate.recv() => return Err("stopped at once by a second signal".to_owned()),
                _ = signals.interrupt.recv() => return Err("stopped at once by a second signal".to_owned()),
                () = &mut patience => return Err("a core did not end in time; its connections are cut".to_owned()),
            }
        }
        Ok(())
    }
}
