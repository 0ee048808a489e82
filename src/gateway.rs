//! Puts a plan to work: limits, driver, sockets, log, workers, control. The one place that knows both planes.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use ringway::base::clock;
use ringway::bounds;
use ringway::cache::Cache;
use ringway::control::admin::{AdminState, CacheAdmin};
use ringway::control::config::Keep;
use ringway::control::limits;
use ringway::control::listeners::Bound;
use ringway::control::source::Source;
use ringway::control::supervise::{Control, Signals, supervise};
use ringway::control::warm_restart::WarmRestart;
use ringway::log::{AccessFormat, CoreLog, Level, LogLane, LogOptions, LogSink, LogWriter, event, redact};
use ringway::net::mailbox;
use ringway::order::{self, Inbox, ListenerOrder, Outbox};
use ringway::plan::{AccessLog, Cores, Plan};
use ringway::proxy::in_flight::InFlight;
use ringway::proxy::wakes::Bell;
use ringway::stats::{CoreStats, ProcessInfo};
use ringway::worker::driver::{self, Driver};
use ringway::worker::{self, Assignment};
use tokio::sync::{Notify, mpsc};

/// A gateway that serves.
pub struct Gateway {
    runtime: tokio::runtime::Runtime,
    signals: Signals,
    control: Control,
    workers: Vec<JoinHandle<()>>,
    log: Rc<LogWriter>,
    urls: Vec<String>,
}

/// Tells which worker has ended, and why.
type Ended = mpsc::Receiver<(usize, Result<(), String>)>;

/// What every worker gets a part of.
struct Parts {
    cpus: Vec<usize>,
    driver: Driver,
    plan: Arc<Plan>,
    connections_max: usize,
    in_flight: Arc<InFlight>,
    cache: Arc<Cache>,
    bells: Vec<Bell>,
    stats: Vec<Arc<CoreStats>>,
    ended: mpsc::Sender<(usize, Result<(), String>)>,
    ready: std::sync::mpsc::SyncSender<()>,
}

impl Gateway {
    /// Starts everything and prints the ready line.
    ///
    /// # Errors
    /// What could not be had, where, and what to do.
    pub fn start(source: Source, keep: Keep) -> Result<Self, String> {
        let loaded = source.load(&keep)?;
        let runtime = super::control_runtime()?;
        let signals = {
            let _inside = runtime.enter();
            Signals::new()?
        };
        let start = &loaded.plan.start;
        // Before the first line, the first key and the first snapshot.
        redact::also_hide(&start.hidden_names);
        let limits = limits::raise(start.connections_max);
        for warning in loaded.warnings.iter().chain(&limits.note) {
            event(Level::Warn, warning);
        }
        let cpus = choose_cores(&start.cores)?;
        let (driver, why) = driver::probe(start.driver)?;
        why.iter().for_each(|why| event(Level::Warn, why));
        let admin_listener = bind_admin(&loaded.plan, source.chose_admin())?;
        let mut bound = Bound::default();
        let sockets = bound.bind(&loaded.plan, cpus.len()).map_err(|e| e.to_string())?;
        let (log, mut lanes) = start_log(&loaded.plan, cpus.len())?;
        let events = lanes.pop().map_or_else(CoreLog::disabled, CoreLog::of_events);
        let stats: Vec<_> = cpus.iter().map(|_| CoreStats::new()).collect();
        let (ended, mut ended_seen) = mpsc::channel(cpus.len());
        let (ready, ready_seen) = std::sync::mpsc::sync_channel(cpus.len());
        let plan = Arc::new(loaded.plan.clone());
        let connections_max = limits.connections_max;
        let (warm, notes) = WarmRestart::begin(&loaded.plan.start.cache, &keep)?;
        notes.iter().for_each(|note| event(Level::Info, note));
        let cache = Arc::clone(warm.cache());
        let (bells, rung) = make_bells(cpus.len())?;
        let stats_of = stats.clone();
        let parts = Parts {
            cpus,
            driver,
            plan,
            connections_max,
            in_flight: InFlight::new(loaded.plan.start.in_flight_bytes),
            cache: Arc::clone(&cache),
            bells,
            stats: stats_of,
            ended,
            ready,
        };
        let (workers, outboxes) = start_workers(&parts, sockets, lanes, rung)?;
        let cpus = parts.cpus.clone();
        drop(parts);
        wait_until_ready(&ready_seen, workers.len(), &mut ended_seen)?;
        let urls = urls(&loaded.plan, &bound);
        let admin = admin_listener.as_ref().and_then(|l| l.local_addr().ok());
        let ready_line = ready_line(&urls, &cpus, driver, admin);
        let process = process_info(driver, &log);
        let ready = Arc::new(AtomicBool::new(true));
        let cache = Arc::new(CacheAdmin::new(cache));
        let admin_state = Arc::new(AdminState { cores: stats, process, ready, draining: Arc::default(), cache });
        let control = Control {
            source,
            keep,
            loaded,
            bound,
            outboxes,
            log: Rc::clone(&log),
            events,
            admin_state,
            admin_listener,
            warm,
            ended: ended_seen,
            stop: Arc::default(),
            ready_line,
        };
        Ok(Self { runtime, signals, control, workers, log, urls })
    }

    /// The URL of the first listener.
    pub fn first_url(&self) -> String {
        self.urls.first().cloned().unwrap_or_default()
    }

    /// Runs the control plane on this thread until the gateway has drained.
    ///
    /// # Errors
    /// Why it ended in another way.
    pub fn supervise(mut self, stop: Arc<Notify>) -> Result<(), String> {
        self.control.stop = stop;
        let runtime = self.runtime;
        let outcome = runtime.block_on(supervise(self.control, self.signals));
        // Not by dropping it: that would wait for a name look-up in progress, however long the resolver takes.
        runtime.shutdown_background();
        if outcome.is_ok() {
            for worker in self.workers {
                // A worker that panicked has said so through its end already.
                let _ = worker.join();
            }
        }
        if let Some(log) = Rc::into_inner(self.log) {
            log.finish();
        }
        outcome
    }
}

/// The CPU cores to run on.
fn choose_cores(wish: &Cores) -> Result<Vec<usize>, String> {
    let available: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    let count = available.len();
    match wish {
        Cores::All => Ok(available),
        Cores::Count(wanted) if (1..=count).contains(wanted) => Ok(available.into_iter().take(*wanted).collect()),
        Cores::Count(wanted) => {
            Err(format!("cores: {wanted} are asked for, {count} may be used; ask for 1 to {count}"))
        }
        Cores::List(list) => match list.iter().find(|cpu| !available.contains(cpu)) {
            None => Ok(list.clone()),
            Some(cpu) => Err(format!("cores: core {cpu} may not be used by this process; available are {available:?}")),
        },
    }
}

/// The admin listener's socket. Nobody asked for it on a command line: where its port is taken, `proxy` runs without.
fn bind_admin(plan: &Plan, configured: bool) -> Result<Option<std::net::TcpListener>, String> {
    let Some(address) = plan.start.admin else { return Ok(None) };
    let listener = match std::net::TcpListener::bind(address) {
        Ok(listener) => listener,
        Err(error) if !configured => {
            event(Level::Warn, &format!("no admin listener: {address}: {error}"));
            return Ok(None);
        }
        Err(error) => {
            return Err(format!(
                "the admin listener cannot listen on {address}: {error}; set server.admin to another address or to \"off\""
            ));
        }
    };
    listener.set_nonblocking(true).map_err(|e| format!("the admin listener: {e}"))?;
    Ok(Some(listener))
}

fn start_log(plan: &Plan, cores: usize) -> Result<(Rc<LogWriter>, Vec<LogLane>), String> {
    let sink = match &plan.start.access_log {
        AccessLog::File(path) => LogSink::File(path.clone()),
        AccessLog::SyslogSocket(path) => LogSink::SyslogSocket(path.clone()),
        AccessLog::SyslogUdp(server) => LogSink::SyslogUdp(server.clone()),
        AccessLog::Stdout | AccessLog::Off => LogSink::Stdout,
    };
    // One lane more: control's own.
    let (writer, lanes) = LogWriter::start(sink, cores + 1).map_err(|e| e.to_string())?;
    Ok((Rc::new(writer), lanes))
}

fn start_workers(
    parts: &Parts,
    sockets: Vec<Vec<ListenerOrder>>,
    lanes: Vec<LogLane>,
    rung: Vec<mailbox::Inbox<u64>>,
) -> Result<(Vec<JoinHandle<()>>, Vec<Outbox>), String> {
    let (mut workers, mut outboxes) = (Vec::new(), Vec::new());
    for (index, ((listeners, log), rung)) in sockets.into_iter().zip(lanes).zip(rung).enumerate() {
        let (outbox, inbox) = order::queue().map_err(|e| format!("the order queue of a core: {e}"))?;
        let worker = assignment(parts, index, (listeners, log), inbox, rung).and_then(|a| worker::start(a).ok());
        workers.push(worker.ok_or("no thread for a core could be made; raise the limit on processes")?);
        outboxes.push(outbox);
    }
    Ok((workers, outboxes))
}

fn assignment(
    parts: &Parts,
    index: usize,
    (listeners, log): (Vec<ListenerOrder>, LogLane),
    inbox: Inbox,
    rung: mailbox::Inbox<u64>,
) -> Option<Assignment> {
    let cpu = *parts.cpus.get(index)?;
    let (ready, ended) = (parts.ready.clone(), parts.ended.clone());
    let log_off = parts.plan.start.access_log == AccessLog::Off;
    Some(Assignment {
        cpu,
        driver: parts.driver,
        plan: Arc::clone(&parts.plan),
        listeners,
        inbox,
        index,
        cache: Arc::clone(&parts.cache),
        bells: parts.bells.clone().into(),
        rung,
        stats: Arc::clone(parts.stats.get(index)?),
        in_flight: Arc::clone(&parts.in_flight),
        log_options: if log_off { LogOptions::of(AccessFormat::Off) } else { parts.plan.start.log.clone() },
        log,
        open_max: parts.connections_max.div_ceil(parts.cpus.len()),
        // Both channels have room for every worker; a closed one means that the process is ending.
        on_ready: Box::new(move || ready.send(()).unwrap_or_default()),
        on_end: Box::new(move |outcome| ended.try_send((cpu, outcome)).unwrap_or_default()),
    })
}

/// A bell for each core, and what rings in it.
fn make_bells(cores: usize) -> Result<(Vec<Bell>, Vec<mailbox::Inbox<u64>>), String> {
    let bells = (0..cores).map(|_| mailbox::mailbox(bounds::WAKES_MAX));
    let bells: Vec<_> = bells.collect::<Result<_, _>>().map_err(|e| format!("the bell of a core: {e}"))?;
    Ok(bells.into_iter().unzip())
}

fn wait_until_ready(ready: &std::sync::mpsc::Receiver<()>, workers: usize, ended: &mut Ended) -> Result<(), String> {
    for _ in 0..workers {
        if ready.recv().is_err() {
            let why =
                ended.try_recv().map(|(cpu, outcome)| format!("core {cpu}: {}", outcome.err().unwrap_or_default()));
            return Err(format!("a core could not start to serve: {}", why.unwrap_or_default()));
        }
    }
    Ok(())
}

fn urls(plan: &Plan, bound: &Bound) -> Vec<String> {
    let scheme = |tls: bool| if tls { "https" } else { "http" };
    plan.listeners.iter().zip(bound.addresses()).map(|(l, a)| format!("{}://{a}", scheme(l.tls.is_some()))).collect()
}

/// The line that scripts wait for.
fn ready_line(urls: &[String], cpus: &[usize], driver: Driver, admin: Option<std::net::SocketAddr>) -> String {
    let cores: Vec<String> = cpus.iter().map(usize::to_string).collect();
    format!(
        "ready listen={} cores={} driver={} flags={} admin={} version={}",
        urls.join(","),
        cores.join(","),
        driver.name(),
        driver.flags(),
        admin.map_or_else(|| "off".to_owned(), |a| format!("http://{a}")),
        env!("CARGO_PKG_VERSION"),
    )
}

fn process_info(driver: Driver, log: &LogWriter) -> ProcessInfo {
    ProcessInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        driver: driver.name().to_owned(),
        driver_flags: driver.flags().to_owned(),
        start_unix_ms: clock::unix_ms(),
        log_failures: log.failures(),
        log_lines_lost: log.lost(),
    }
}
