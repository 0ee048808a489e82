//! Arguments → plan → workers and control → signals → exit code.

mod args;
mod gateway;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use args::{Arguments, CheckCommand, Command, DemoCommand, MockCommand, ProxyCommand, RunCommand, StartOptions};
use clap::Parser;
use gateway::Gateway;
use ringway::base::clock;
use ringway::control::callers::commands::{self, KeyCommand};
use ringway::control::config::{self, AdminChoice, Keep, ProxyArguments};
use ringway::control::purge_command::{self, PurgeOptions};
use ringway::control::source::{Origin, Source};
use ringway::control::{demo, limits, mock_llm};
use ringway::plan::AccessLog;
use tokio::sync::Notify;

/// Writes a line to stdout. Where stdout is closed nobody waits for it.
macro_rules! say {
    ($($text:tt)*) => {
        let _ = writeln!(std::io::stdout(), $($text)*);
    };
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    limits::forgo_huge_pages();
    let outcome = match Arguments::parse().command {
        Command::Proxy(command) => proxy(command),
        Command::Run(command) => run(command),
        Command::Check(command) => check(&command),
        Command::Purge(options) => purge(&options),
        Command::Key(command) => key(command),
        Command::MockLlm(command) => mock(command),
        Command::Demo(command) => show(command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
    }
}

fn keep() -> Result<Keep, String> {
    Keep::new().map_err(|e| format!("session tickets: {e}; check the system's source of randomness"))
}

fn proxy(command: ProxyCommand) -> Result<(), String> {
    let arguments = ProxyArguments {
        to: command.to,
        listen: command.listen,
        tls_cert: command.tls_cert,
        tls_key: command.tls_key,
        access_log: command.access_log,
        admin: command.admin,
        cache: command.cache,
        cache_memory: command.cache_memory,
    };
    Gateway::start(source(Origin::CommandLine(arguments), command.start), keep()?)?.supervise(Arc::default())
}

fn run(command: RunCommand) -> Result<(), String> {
    Gateway::start(source(Origin::File(command.config), command.start), keep()?)?.supervise(Arc::default())
}

fn source(origin: Origin, start: StartOptions) -> Source {
    Source { origin, cores: start.cores, driver: start.driver.map(Into::into) }
}

fn check(command: &CheckCommand) -> Result<(), String> {
    let loaded = config::check(&command.config).map_err(|errors| errors.to_string())?;
    for warning in loaded.warnings {
        eprintln!("warning: {warning}");
    }
    for report in loaded.reports {
        say!("{report}");
    }
    say!("ok: {}", command.config.display());
    Ok(())
}

fn purge(options: &PurgeOptions) -> Result<(), String> {
    let line = control_runtime()?.block_on(purge_command::run(options))?;
    say!("{line}");
    Ok(())
}

fn key(command: KeyCommand) -> Result<(), String> {
    let said = commands::run(command, clock::unix_ms())?;
    if !said.beside.is_empty() {
        eprintln!("{}", said.beside);
    }
    say!("{}", said.text);
    Ok(())
}

fn control_runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("the control thread's runtime: {e}"))
}

fn mock(command: MockCommand) -> Result<(), String> {
    control_runtime()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(command.listen)
            .await
            .map_err(|e| format!("mock-llm cannot listen on {}: {e}; choose another --listen", command.listen))?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        say!("ready listen=http://{address}");
        let stop = stop_signal();
        mock_llm::serve(listener, command.options, stop).await.map_err(|e| format!("mock-llm: {e}"))
    })
}

/// SIGINT or SIGTERM.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        // Without a handler SIGTERM ends the process, which is as good.
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

/// mock-llm, the gateway in front of it, and the calls through both, all in this process.
fn show(command: DemoCommand) -> Result<(), String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|e| format!("mock-llm: {e}"))?;
    let mock_url = format!("http://{}", listener.local_addr().map_err(|e| e.to_string())?);
    let stop = Arc::new(Notify::new());
    let mock = std::thread::spawn(move || serve_mock(listener));
    say!("mock-llm  {mock_url}");
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let arguments = ProxyArguments {
        to: mock_url,
        listen: vec![local],
        access_log: AccessLog::Off,
        admin: Some(AdminChoice::At(local)),
        ..ProxyArguments::default()
    };
    let gateway = Gateway::start(source(Origin::CommandLine(arguments), command.start), keep()?)?;
    let url = gateway.first_url();
    let calls = std::thread::spawn({
        let (stop, keep_serving) = (Arc::clone(&stop), command.keep);
        move || call(&url, &stop, keep_serving)
    });
    gateway.supervise(stop)?;
    let outcome = calls.join().map_err(|_| "the demo's client panicked".to_owned())?;
    // The mock serves until the process ends.
    drop(mock);
    outcome
}

fn serve_mock(listener: std::net::TcpListener) -> Result<(), String> {
    control_runtime()?.block_on(async {
        listener.set_nonblocking(true).map_err(|e| e.to_string())?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(|e| e.to_string())?;
        let options = mock_llm::MockOptions::default();
        mock_llm::serve(listener, options, std::future::pending()).await.map_err(|e| e.to_string())
    })
}

fn call(url: &str, stop: &Notify, keep_serving: bool) -> Result<(), String> {
    let outcome = control_runtime()
        .and_then(|runtime| runtime.block_on(demo::run(url, &mut std::io::stdout())).map_err(|e| e.to_string()));
    if keep_serving && outcome.is_ok() {
        say!("serving on at {url} until Ctrl-C");
    } else {
        stop.notify_one();
    }
    outcome
}
