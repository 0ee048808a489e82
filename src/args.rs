//! The command line: what may be said, and its help. Meaning is given to it by `main` and `control::config`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ringway::control::callers::commands::KeyCommand;
use ringway::control::config::{AdminChoice, parse_cache_memory, parse_cores};
use ringway::control::mock_llm::MockOptions;
use ringway::control::purge_command::PurgeOptions;
use ringway::plan::{AccessLog, Cores, DriverChoice};

/// Accelerating gateway for HTTP and LLM APIs.
#[derive(Debug, Parser)]
#[command(name = "ringway", version, about, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  ringway demo                                          see it work: a mock LLM API, the gateway, a few calls, a stream
  ringway proxy --to https://api.example.com            a gateway on 127.0.0.1:8080, no file needed
  ringway proxy --to https://api.example.com --cache    the same, and repeats are answered from memory
  ringway proxy --to http://10.0.0.7:9000 --listen 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem --cores 4
  ringway check --config ringway.toml                   every error of a configuration at once
  ringway purge --tag news --soft                       stale at once: what carries the tag, in the gateway that runs
  ringway key create --store callers.json --name ci     a key of the house for one caller, shown once
  ringway run --config ringway.toml                     the real thing; SIGHUP reloads, SIGTERM drains";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a gateway in front of one URL; no file needed
    Proxy(ProxyCommand),
    /// Run the gateway that a configuration file describes
    Run(RunCommand),
    /// Check a configuration file: all errors at once, with line and column
    Check(CheckCommand),
    /// Drop answers from the cache of a running gateway, by way of its admin listener
    Purge(PurgeOptions),
    /// Make, list, renew and revoke keys of callers
    #[command(subcommand)]
    Key(KeyCommand),
    /// Run an upstream to try the gateway on: OpenAI- and Anthropic-shaped endpoints, JSON and SSE
    MockLlm(MockCommand),
    /// Show the gateway at work: mock-llm, gateway, a few calls and a visible stream
    Demo(DemoCommand),
}

#[derive(Debug, Args)]
pub struct ProxyCommand {
    /// URL of the upstream, e.g. https://api.example.com
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// Address to listen on; may be given several times
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: Vec<SocketAddr>,
    /// PEM file with the certificate chain: the listeners speak TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the key of the certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Where access lines go: stdout, off, or a file
    #[arg(long, value_name = "stdout|off|FILE", default_value = "stdout", value_parser = access_log)]
    pub access_log: AccessLog,
    /// Address of the admin listener (/health, /ready, /metrics, /cache), or off; default 127.0.0.1:9901 where it is free
    #[arg(long, value_name = "ADDR|off", value_parser = admin)]
    pub admin: Option<AdminChoice>,
    /// Answer repeats from memory (RFC 9111) and merge identical calls in flight
    #[arg(long)]
    pub cache: bool,
    /// Memory of the cache, such as 1GiB; default 256MiB
    #[arg(long, value_name = "SIZE", requires = "cache", value_parser = parse_cache_memory)]
    pub cache_memory: Option<u64>,
    #[command(flatten)]
    pub start: StartOptions,
}

#[derive(Debug, Args)]
pub struct RunCommand {
    /// The configuration (TOML), see examples/
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    #[command(flatten)]
    pub start: StartOptions,
}

#[derive(Debug, Args)]
pub struct CheckCommand {
    /// The configuration (TOML), see examples/
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub struct MockCommand {
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub options: MockOptions,
}

#[derive(Debug, Args)]
pub struct DemoCommand {
    /// Serve on until Ctrl-C
    #[arg(long)]
    pub keep: bool,
    #[command(flatten)]
    pub start: StartOptions,
}

/// What overrides the plan's start.
#[derive(Debug, Args)]
pub struct StartOptions {
    /// Cores to run on: a number, or a list like 0-3,6; default all
    #[arg(long, value_name = "N|LIST", value_parser = parse_cores)]
    pub cores: Option<Cores>,
    /// I/O driver
    #[arg(long, value_enum, value_name = "DRIVER")]
    pub driver: Option<DriverArgument>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DriverArgument {
    /// io_uring where it is as fast as epoll and allowed, else epoll
    Auto,
    #[value(name = "io_uring")]
    IoUring,
    Epoll,
}

impl From<DriverArgument> for DriverChoice {
    fn from(argument: DriverArgument) -> Self {
        match argument {
            DriverArgument::Auto => Self::Auto,
            DriverArgument::IoUring => Self::IoUring,
            DriverArgument::Epoll => Self::Epoll,
        }
    }
}

fn admin(text: &str) -> Result<AdminChoice, String> {
    match text {
        "off" => Ok(AdminChoice::Off),
        address => {
            address.parse().map(AdminChoice::At).map_err(|_| "write an address like 127.0.0.1:9901, or off".to_owned())
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a clap value parser")]
fn access_log(text: &str) -> Result<AccessLog, String> {
    Ok(match text {
        "stdout" => AccessLog::Stdout,
        "off" => AccessLog::Off,
        file => AccessLog::File(file.into()),
    })
}
