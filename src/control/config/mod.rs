//! The configuration: TOML → what was written → all errors at once, with line and column → `Plan`.
//!
//! Two types: `raw` says what is in the file, the plan says what it means. Nobody below `control` imports this module;
//! lower modules have their own small options. Blocks on files and on name resolution, so cores never call it.
//! Resolved secrets (`env:NAME`, `file:PATH`) go into the plan and nowhere else: no error shows one.

mod cache_values;
mod caching;
mod calling;
mod defaults;
mod endpoint;
mod fields;
mod firewall;
mod limiting;
mod listeners;
mod logging;
mod names;
mod problems;
mod proxy;
mod raw;
mod raw_cache;
mod raw_callers;
mod raw_limits;
mod raw_log;
mod raw_waf;
mod reader;
mod registry;
mod resolve;
mod routes;
mod rule_files;
mod upstreams;
mod values;

#[cfg(test)]
mod tests;

use rustls::server::ProducesTickets;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::secret::Secret;
use crate::bounds;
use crate::plan::{Cores, Plan};
use crate::tls::{TlsFailure, ticketer};
use problems::{Place, Problems};
use raw::RawConfig;
use registry::Registry;
use resolve::Context;

pub use names::resolve_again;
pub use problems::{ConfigError, ConfigErrors};
pub use proxy::{AdminChoice, ProxyArguments, proxy_plan};
pub use registry::KeptRoute;

/// Bytes of a configuration file.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Where `env:NAME` is looked up; an argument, so that tests do not depend on the process.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is kept over reloads.
#[derive(Clone)]
pub struct Keep {
    /// Encrypts session tickets of all cores; the same for the life of the process.
    ticketer: Arc<dyn ProducesTickets>,
    /// Versions and counters of the routes' caches.
    registry: Arc<Registry>,
}

impl Keep {
    /// Made once per process.
    ///
    /// # Errors
    /// The system has no randomness to make a key of.
    pub fn new() -> Result<Self, TlsFailure> {
        Ok(Self { ticketer: ticketer()?, registry: Registry::new() })
    }

    /// The routes with a cache in any plan that is still in use, and those whose version was ever raised, sorted by
    /// name. Adding one to the number invalidates all of a route's answers at once.
    pub fn routes(&self) -> Vec<KeptRoute> {
        self.registry.all()
    }

    /// Raises a route's version to what it was before a restart; it never falls. The route need not be in the plan.
    pub fn restore_version(&self, route: &str, bumps: u64) {
        self.registry.raise(route, bumps);
    }
}

/// A configuration that was accepted.
#[derive(Clone)]
pub struct Loaded {
    pub plan: Plan,
    /// Everything that was read: the configuration, certificates, keys, authorities, secrets. A change of one means
    /// that loading again gives another plan.
    pub files: Vec<PathBuf>,
    /// What does not stop the gateway, a line each, with its position.
    pub warnings: Vec<String>,
    /// What was made of rules of the firewall, a line for each `[[waf]]`.
    pub reports: Vec<String>,
    /// Host names of endpoints, for [`resolve_again`] there is work only if there are any.
    pub names: Vec<String>,
    /// The text of the configuration file; empty for a command line. May hold secrets.
    pub text: Secret,
}

impl std::fmt::Debug for Loaded {
    /// Without the plan, which is long.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { plan: _, files, warnings, reports, names, text: _ } = self;
        f.debug_struct("Loaded")
            .field("files", files)
            .field("warnings", warnings)
            .field("reports", reports)
            .field("names", names)
            .finish_non_exhaustive()
    }
}

/// Reads a configuration file and all that it names, secrets from the process environment. Blocks.
///
/// # Errors
/// All that is wrong.
pub fn load(path: &Path, keep: &Keep) -> Result<Loaded, ConfigErrors> {
    load_with(path, keep, &from_process)
}

/// As [`load`], with another environment for `env:NAME`.
///
/// # Errors
/// All that is wrong.
pub fn load_with(path: &Path, keep: &Keep, env: Environment<'_>) -> Result<Loaded, ConfigErrors> {
    load_from(read(path)?, path, keep, env)
}

/// As [`load`], with a text that was read before: what it names is read again.
///
/// # Errors
/// All that is wrong.
pub fn load_text(text: &Secret, path: &Path, keep: &Keep) -> Result<Loaded, ConfigErrors> {
    let text = String::from_utf8_lossy(text.expose()).into_owned();
    load_from(text, path, keep, &from_process)
}

fn load_from(text: String, path: &Path, keep: &Keep, env: Environment<'_>) -> Result<Loaded, ConfigErrors> {
    let mut loaded = parse_with(&text, path, keep, env, Names::Resolved)?;
    loaded.files.insert(0, path.to_owned());
    loaded.text = text.into();
    Ok(loaded)
}

/// Checks a configuration file and the files it names, without resolving host names: its plan is not to be used.
///
/// # Errors
/// All that is wrong.
pub fn check(path: &Path) -> Result<Loaded, ConfigErrors> {
    let keep = Keep::new().map_err(|e| ConfigErrors::of_file(path, e.to_string(), "check the system's randomness"))?;
    parse_with(&read(path)?, path, &keep, &from_process, Names::Left)
}

/// The plan of a configuration text. `file` names it in errors, and relative paths count from its folder. Certificates
/// and secrets are read; endpoints with host names have no addresses.
///
/// # Errors
/// All that is wrong.
pub fn parse(text: &str, file: &Path, keep: &Keep, env: Environment<'_>) -> Result<Loaded, ConfigErrors> {
    parse_with(text, file, keep, env, Names::Left)
}

/// Cores as written on a command line: `all`, a count (`4`), or a list (`0-3,6`; the one core 3 is `3-3`).
///
/// # Errors
/// What is wrong and what to write.
pub fn parse_cores(text: &str) -> Result<Cores, String> {
    values::cores(text).map_err(|fault| format!("{}; {}", fault.what, fault.hint))
}

/// A size for the cache as written on a command line: `1GiB`, `512MiB`; at least [`bounds::CACHE_BYTES_MIN`].
///
/// # Errors
/// What is wrong and what to write.
pub fn parse_cache_memory(text: &str) -> Result<u64, String> {
    let size = values::size_between(text, bounds::CACHE_BYTES_MIN, u64::MAX);
    size.map_err(|fault| format!("{}; {}", fault.what, fault.hint))
}

/// Entry of the fuzzers: reads any bytes as a configuration, and resolves it as far as that needs nothing outside.
#[doc(hidden)]
pub fn fuzz_config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let problems = Problems::default();
    if let Some(raw) = read_raw(text, &problems) {
        let env = |_: &str| Some("value".to_owned());
        let registry = Registry::new();
        let context = context(&problems, Path::new(""), &env, None, &registry);
        drop(resolve::resolve(&raw, &context));
    }
    if let Err(errors) = problems.finish(Path::new("fuzz.toml"), text) {
        assert!(errors.to_string().len() > errors.errors.len(), "every error says something");
    }
}

/// Whether host names are looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Resolved,
    Left,
}

fn from_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read(path: &Path) -> Result<String, ConfigErrors> {
    const HINT: &str = "check the path and its permissions";
    let cannot = |e: std::io::Error| ConfigErrors::of_file(path, format!("cannot be read: {e}"), HINT);
    let size = std::fs::metadata(path).map_err(cannot)?.len();
    if size > FILE_BYTES_MAX {
        return Err(ConfigErrors::of_file(path, format!("is larger than {FILE_BYTES_MAX} bytes"), HINT));
    }
    let bytes = std::fs::read(path).map_err(cannot)?;
    String::from_utf8(bytes).map_err(|e| not_utf8(path, &e))
}

/// The place of the first byte that is not UTF-8.
fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> ConfigErrors {
    let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
    let problems = Problems::default();
    let place = Place { offset: Some(good.len()), path: String::new() };
    problems.error(&place, "is not UTF-8 from here on", "save the file as UTF-8");
    let text = String::from_utf8_lossy(good);
    refused(problems, path, &text, "is not UTF-8")
}

/// The errors of a text that is known to have some; `what` stands in where none was noted.
fn refused(problems: Problems, file: &Path, text: &str, what: &str) -> ConfigErrors {
    problems.finish(file, text).err().unwrap_or_else(|| ConfigErrors::of_file(file, what.to_owned(), ""))
}

/// What is written in a text, or `None` when it is not TOML; that is noted.
fn read_raw(text: &str, problems: &Problems) -> Option<RawConfig> {
    reader::read_document(text, problems, raw::config).map_err(|(place, fault)| problems.fault(&place, fault)).ok()
}

fn parse_with(
    text: &str,
    file: &Path,
    keep: &Keep,
    env: Environment<'_>,
    names: Names,
) -> Result<Loaded, ConfigErrors> {
    let problems = Problems::default();
    match read_raw(text, &problems) {
        Some(raw) => finish(&raw, problems, text, file, keep, env, names),
        None => Err(refused(problems, file, text, "is not TOML")),
    }
}

/// From what was written to the plan. `text` is what places count in.
fn finish(
    raw: &RawConfig,
    problems: Problems,
    text: &str,
    file: &Path,
    keep: &Keep,
    env: Environment<'_>,
    names: Names,
) -> Result<Loaded, ConfigErrors> {
    let base_dir = file.parent().unwrap_or(Path::new(""));
    let context = context(&problems, base_dir, env, Some(keep.ticketer.clone()), &keep.registry);
    let mut plan = resolve::resolve(raw, &context);
    let reports = context.reports.take();
    let files = context.files.into_inner().into_iter().collect();
    let names = match names {
        Names::Resolved if !problems.any() => names::resolve_names(&mut plan, raw, &problems),
        _ => Vec::new(),
    };
    let warnings = problems.finish(file, text)?;
    Ok(Loaded { plan, files, warnings, reports, names, text: Secret::default() })
}

fn context<'a>(
    problems: &'a Problems,
    base_dir: &'a Path,
    env: Environment<'a>,
    ticketer: Option<Arc<dyn ProducesTickets>>,
    registry: &'a Registry,
) -> Context<'a> {
    Context { problems, base_dir, env, ticketer, registry, files: RefCell::default(), reports: RefCell::default() }
}
