//! The gateway under test: the real executable with a configuration file in a scratch folder, its output collected.
//!
//! It ends with the test that started it: killed by its own process id on drop, or stopped in order by `stop`.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use ringway::base::clock;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::message::Response;
use super::wire::{Connection, Wire};
use super::{WAIT, eventually, now_ms};

/// Lines of a stream of the child, collected by a thread of their own.
#[derive(Clone, Default)]
pub struct Lines(Arc<(Mutex<Collected>, Condvar)>);

#[derive(Default)]
struct Collected {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn collect(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let shared = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                shared.0.0.lock().expect("no panic while collecting").lines.push(line);
                shared.0.1.notify_all();
            }
            shared.0.0.lock().expect("no panic while collecting").ended = true;
            shared.0.1.notify_all();
        });
        lines
    }

    /// Those of a stream that nobody reads.
    fn none() -> Self {
        let lines = Self::default();
        lines.0.0.lock().expect("no panic while collecting").ended = true;
        lines
    }

    /// Lines so far.
    pub fn all(&self) -> Vec<String> {
        self.0.0.lock().expect("no panic while collecting").lines.clone()
    }

    /// Everything that a process has written that has ended.
    #[track_caller]
    pub fn whole(&self) -> String {
        eventually("the output is read", || self.0.0.lock().expect("no panic while collecting").ended);
        self.all().join("\n")
    }

    /// Waits for a line, from the given number on; `None` when the stream ended or the time is over.
    pub fn wait_from(&self, first: usize, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let start = clock::now_ms();
        let mut collected = self.0.0.lock().expect("no panic while collecting");
        loop {
            if let Some(line) = collected.lines.iter().skip(first).find(|line| wanted(line)) {
                return Some(line.clone());
            }
            let left = WAIT.saturating_sub(std::time::Duration::from_millis(clock::now_ms() - start));
            if collected.ended || left.is_zero() {
                return None;
            }
            collected = self.0.1.wait_timeout(collected, left).expect("no panic while collecting").0;
        }
    }

    /// Waits for a line that contains this text.
    #[track_caller]
    pub fn wait(&self, text: &str) -> String {
        let line = self.wait_from(0, |line| line.contains(text));
        line.unwrap_or_else(|| panic!("no line with {text:?} in {:#?}", self.all()))
    }
}

/// What the `ready` line says.
#[derive(Clone, Debug, Default)]
pub struct Ready {
    pub line: String,
    pub schemes: Vec<String>,
    pub listen: Vec<SocketAddr>,
    pub admin: Option<SocketAddr>,
}

impl Ready {
    /// Reads the line; every part is `name=value`.
    fn parse(line: &str) -> Self {
        let mut ready = Self { line: line.to_owned(), ..Self::default() };
        for url in ready.part("listen").unwrap_or_default().split(',').filter(|u| !u.is_empty()) {
            let (scheme, address) = url.split_once("://").expect("listen=scheme://address");
            ready.schemes.push(scheme.to_owned());
            ready.listen.push(address.parse().expect("listen=scheme://address:port"));
        }
        ready.admin = ready.part("admin").and_then(|a| a.strip_prefix("http://")?.parse().ok());
        ready
    }

    /// The value of a part.
    pub fn part(&self, name: &str) -> Option<String> {
        self.line.split_whitespace().find_map(|p| p.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    }
}

/// A running gateway.
pub struct Gateway {
    child: Child,
    pub dir: TempDir,
    pub ready: Ready,
    pub out: Lines,
    pub err: Lines,
}

/// A gateway that ended instead of getting ready.
#[derive(Debug)]
pub struct Failed {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The executable with the arguments, its input empty.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The same under a seccomp filter that refuses io_uring_setup as container runtimes do; `None` where there is no python3
/// to set it.
pub fn command_without_io_uring(args: &[&str]) -> Option<Command> {
    Command::new("python3").arg("--version").stdout(Stdio::null()).status().ok()?.success().then_some(())?;
    let mut command = Command::new("python3");
    command.args(["-c", include_str!("without_io_uring.py"), env!("CARGO_BIN_EXE_ringway")]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(command)
}

/// Runs a command that ends by itself.
#[track_caller]
pub fn run(args: &[&str]) -> Failed {
    let mut child = command(args).spawn().expect("the executable starts");
    let (out, err) = collect(&mut child);
    let status = wait_exit(&mut child).unwrap_or_else(|| panic!("{args:?} should have ended"));
    Failed { code: status.code(), out: out.whole(), err: err.whole() }
}

/// Collects what the child writes to pipes; a stream that a test has put elsewhere has no lines.
fn collect(child: &mut Child) -> (Lines, Lines) {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    (out.map_or_else(Lines::none, Lines::collect), err.map_or_else(Lines::none, Lines::collect))
}

/// Waits for the end of a child; kills it when the time is over.
fn wait_exit(child: &mut Child) -> Option<ExitStatus> {
    let start = clock::now_ms();
    loop {
        match child.try_wait().expect("the child is ours") {
            Some(status) => return Some(status),
            None if clock::now_ms() - start > WAIT.as_millis() as u64 => {
                child.kill().expect("the child is ours");
                child.wait().expect("the child is ours");
                return None;
            }
            None => super::pause(),
        }
    }
}

impl Gateway {
    /// `ringway run` with this configuration, on one core and the driver under test.
    #[track_caller]
    pub fn start(config: &str) -> Self {
        Self::start_in(TempDir::new().expect("a scratch folder"), config)
    }

    /// The same with a scratch folder that already holds files the configuration names.
    #[track_caller]
    pub fn start_in(dir: TempDir, config: &str) -> Self {
        Self::try_start_in(dir, config)
            .unwrap_or_else(|failed| panic!("the gateway did not start: {failed:#?}\n{config}"))
    }

    /// The same for a start that may fail.
    pub fn try_start_in(dir: TempDir, config: &str) -> Result<Self, Failed> {
        let file = dir.path().join("gateway.toml");
        std::fs::write(&file, config).expect("a file in the scratch folder");
        let file = file.to_str().expect("a path of text").to_owned();
        Self::spawn(dir, &["run", "--config", &file, "--cores", "1", "--driver", super::driver()])
    }

    /// The same on so many cores.
    #[track_caller]
    pub fn start_on_cores(config: &str, cores: usize) -> Self {
        let dir = TempDir::new().expect("a scratch folder");
        let file = dir.path().join("gateway.toml");
        std::fs::write(&file, config).expect("a file in the scratch folder");
        let cores = cores.to_string();
        let args = ["run", "--config", text(&file), "--cores", &cores, "--driver", super::driver()];
        let started = Self::spawn(dir, &args);
        started.unwrap_or_else(|failed| panic!("the gateway did not start: {failed:#?}\n{config}"))
    }

    /// The same on every core of the machine.
    #[track_caller]
    pub fn start_on_all_cores(config: &str) -> Self {
        let dir = TempDir::new().expect("a scratch folder");
        let file = dir.path().join("gateway.toml");
        std::fs::write(&file, config).expect("a file in the scratch folder");
        let started = Self::spawn(dir, &["run", "--config", text(&file), "--driver", super::driver()]);
        started.unwrap_or_else(|failed| panic!("the gateway did not start: {failed:#?}\n{config}"))
    }

    /// `ringway proxy` with these arguments, on one core and the driver under test.
    #[track_caller]
    pub fn proxy(args: &[&str]) -> Self {
        let mut all = vec!["proxy", "--cores", "1", "--driver", super::driver()];
        all.extend_from_slice(args);
        Self::proxy_in(TempDir::new().expect("a scratch folder"), &all)
    }

    /// The same with every argument given. `proxy` has its admin listener on one fixed port: while another test holds it,
    /// the start is tried again.
    #[track_caller]
    pub fn proxy_in(dir: TempDir, args: &[&str]) -> Self {
        let mut started = Self::spawn(dir, args);
        eventually("the admin port of `proxy` is free", || {
            let busy = started.as_ref().is_err_and(|failed| failed.err.contains("127.0.0.1:9901"));
            if busy {
                started = Self::spawn(TempDir::new().expect("a scratch folder"), args);
            }
            !busy
        });
        started.unwrap_or_else(|failed| panic!("the gateway did not start: {failed:#?}"))
    }

    /// Starts the executable and waits for its `ready` line.
    pub fn spawn(dir: TempDir, args: &[&str]) -> Result<Self, Failed> {
        Self::spawn_by(dir, command(args), "ready")
    }

    /// The same by another command, which becomes the executable, until a line that starts so.
    pub fn spawn_by(dir: TempDir, mut command: Command, start: &str) -> Result<Self, Failed> {
        let mut child = command.current_dir(dir.path()).spawn().expect("the executable starts");
        let (out, err) = collect(&mut child);
        let Some(line) = out.wait_from(0, |line| line.starts_with(start)) else {
            let code = wait_exit(&mut child).and_then(|status| status.code());
            return Err(Failed { code, out: out.whole(), err: err.whole() });
        };
        Ok(Self { child, dir, ready: Ready::parse(&line), out, err })
    }

    /// The same for a command whose `ready` line cannot be read: until this address, known beforehand, is listened on.
    #[track_caller]
    pub fn spawn_unseen(dir: TempDir, mut command: Command, address: SocketAddr) -> Self {
        let mut child = command.current_dir(dir.path()).spawn().expect("the executable starts");
        let (out, err) = collect(&mut child);
        let ready = Ready { listen: vec![address], ..Ready::default() };
        let gateway = Self { child, dir, ready, out, err };
        eventually("the gateway listens", || TcpStream::connect(address).is_ok());
        gateway
    }

    /// SIGSTOP; returns when the process has stopped.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        eventually("the process has stopped", || self.state().contains('T'));
    }

    /// The address of the first listener.
    pub fn address(&self) -> SocketAddr {
        self.ready.listen[0]
    }

    /// A plain client of the first listener.
    #[track_caller]
    pub fn client(&self) -> Connection {
        connect(self.address())
    }

    /// A request on a connection of its own: `GET path`, answer whole.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        let mut client = self.client();
        client.send(format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n"));
        client.read_response()
    }

    /// A request that a played origin answers with 200.
    #[track_caller]
    pub fn get_through(&self, origin: &super::Origin) -> Response {
        let mut client = self.client();
        client.send("GET /through HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        let (mut peer, _) = origin.accept_request();
        peer.send(super::ok("through"));
        client.read_response()
    }

    /// A request to the admin listener.
    #[track_caller]
    pub fn admin(&self, path: &str) -> Response {
        let mut client = connect(self.ready.admin.expect("an admin listener"));
        client.send(format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n"));
        client.read_response()
    }

    /// JSON posted to the admin listener, with these field lines (each with its CRLF) beside the usual ones.
    #[track_caller]
    pub fn admin_post_with(&self, path: &str, fields: &str, json: &str) -> Response {
        let mut client = connect(self.ready.admin.expect("an admin listener"));
        client.send(format!(
            "POST {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\ncontent-type: application/json\r\n\
             {fields}content-length: {}\r\n\r\n{json}",
            json.len()
        ));
        client.read_response()
    }

    /// JSON posted to the admin listener, and the JSON that comes back; the status is 200.
    #[track_caller]
    pub fn admin_post(&self, path: &str, json: &str) -> serde_json::Value {
        let response = self.admin_post_with(path, "", json);
        assert_eq!(response.status, 200, "{path} {json}: {}", response.text());
        serde_json::from_slice(&response.body.bytes).expect("the admin listener answers with JSON")
    }

    /// The sum of all series of a metric whose line contains every one of `parts`; 0 when there is none.
    #[track_caller]
    pub fn metric(&self, name: &str, parts: &[&str]) -> f64 {
        let text = self.admin("/metrics").text();
        let named = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let lines = text.lines().filter(named).filter(|line| parts.iter().all(|part| line.contains(part)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until a metric, counted behind the answer that a client has seen, has reached this number and no more.
    #[track_caller]
    pub fn expect_metric(&self, name: &str, parts: &[&str], number: f64) {
        let start = now_ms();
        while self.metric(name, parts) < number && now_ms() - start < WAIT.as_millis() as u64 {
            super::pause();
        }
        assert_eq!(self.metric(name, parts), number, "{name} {parts:?}");
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the gateway alone.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the child is ours and alive");
    }

    /// Open file descriptors of the process.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("the child is alive").count()
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("the child is ours").is_none()
    }

    /// What /proc says of the process: it may have ended without a word.
    fn state(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        status.lines().find(|line| line.starts_with("State")).unwrap_or("the process is gone").to_owned()
    }

    /// Rewrites the configuration file.
    pub fn write_config(&self, config: &str) {
        std::fs::write(self.dir.path().join("gateway.toml"), config).expect("a file in the scratch folder");
    }

    /// Rewrites the configuration, sends SIGHUP and waits for the verdict: whether it was taken, and the line.
    #[track_caller]
    pub fn reload(&self, config: &str) -> (bool, String) {
        self.write_config(config);
        let first = self.err.all().len();
        self.signal(Signal::HUP);
        let line = self.err.wait_from(first, |line| line.contains("reloaded") || line.contains("reload refused"));
        let line = line.unwrap_or_else(|| panic!("no verdict on the reload; {} {:#?}", self.state(), self.err.all()));
        (!line.contains("refused"), line)
    }

    /// Waits for the end after a signal; returns the exit code.
    #[track_caller]
    pub fn wait_exit(&mut self) -> Option<i32> {
        wait_exit(&mut self.child).expect("the gateway should have ended").code()
    }

    /// SIGTERM; the gateway ends with 0.
    #[track_caller]
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.wait_exit(), Some(0), "{:#?}", self.err.all());
    }

    /// The access-log lines so far that are JSON, read.
    pub fn access(&self) -> Vec<serde_json::Value> {
        self.out.all().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for the access-log line of a path.
    #[track_caller]
    pub fn access_of(&self, path: &str) -> serde_json::Value {
        let of = |line: &str| -> Option<serde_json::Value> {
            let json: serde_json::Value = serde_json::from_str(line).ok()?;
            json["path"].as_str()?.starts_with(path).then_some(json)
        };
        let line = self.out.wait_from(0, |line| of(line).is_some());
        line.and_then(|line| of(&line)).unwrap_or_else(|| panic!("no access line of {path} in {:#?}", self.out.all()))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("stderr of the gateway: {:#?}", self.err.all());
        }
        // A child that has ended already cannot be killed, and that is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A plain connection.
#[track_caller]
pub fn connect(address: SocketAddr) -> Connection {
    Connection::new(Wire::Plain(TcpStream::connect(address).expect("the listener takes the connection")))
}

/// A path as text for a configuration file.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}
