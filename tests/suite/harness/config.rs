//! Configuration files of the tests, built from lines: one listener, one upstream and one route unless more are said.

use tempfile::TempDir;

use super::gateway::Gateway;
use super::origin::{Origin, Serving};

/// The parts of a configuration; each holds lines of TOML.
#[derive(Clone, Default)]
pub struct Config {
    server: String,
    limits: String,
    log: String,
    listener: String,
    address: String,
    upstream: String,
    endpoints: String,
    route: String,
    path: String,
    cache: Option<String>,
    more: String,
}

/// Whoever can be an endpoint.
pub trait Endpoint {
    /// Its URL without a path.
    fn endpoint(&self) -> String;
}

impl Endpoint for Origin {
    fn endpoint(&self) -> String {
        self.url()
    }
}

impl Endpoint for Serving {
    fn endpoint(&self) -> String {
        self.url()
    }
}

impl Endpoint for &str {
    fn endpoint(&self) -> String {
        (*self).to_owned()
    }
}

impl Endpoint for String {
    fn endpoint(&self) -> String {
        self.clone()
    }
}

impl Config {
    /// Everything goes to this origin.
    pub fn to(endpoint: &impl Endpoint) -> Self {
        Self::to_all(&[endpoint])
    }

    /// Everything goes to these endpoints in turn.
    pub fn to_all(endpoints: &[&dyn Endpoint]) -> Self {
        let endpoints: Vec<String> = endpoints.iter().map(|e| format!("{:?}", e.endpoint())).collect();
        let address = "127.0.0.1:0".to_owned();
        Self { endpoints: endpoints.join(", "), address, path: "path = \"/\"".to_owned(), ..Self::default() }
    }

    /// Adds a line to `[server]`.
    pub fn server(self, line: &str) -> Self {
        Self { server: self.server + line + "\n", ..self }
    }

    /// Adds a line to `[server.limits]`.
    pub fn limits(self, line: &str) -> Self {
        Self { limits: self.limits + line + "\n", ..self }
    }

    /// Adds a line to `[log]`.
    pub fn log(self, line: &str) -> Self {
        Self { log: self.log + line + "\n", ..self }
    }

    /// Adds lines to the listener.
    pub fn listener(self, line: &str) -> Self {
        Self { listener: self.listener + line + "\n", ..self }
    }

    /// Where the listener listens instead of a port chosen by the system.
    pub fn address(self, address: impl ToString) -> Self {
        Self { address: address.to_string(), ..self }
    }

    /// Adds lines to the upstream.
    pub fn upstream(self, line: &str) -> Self {
        Self { upstream: self.upstream + line + "\n", ..self }
    }

    /// Adds lines to the route.
    pub fn route(self, line: &str) -> Self {
        Self { route: self.route + line + "\n", ..self }
    }

    /// Adds a `[route.cache]` table with these lines.
    pub fn cache(self, lines: &str) -> Self {
        Self { cache: Some(self.cache.unwrap_or_default() + lines + "\n"), ..self }
    }

    /// The line of the route that says which paths it takes.
    pub fn path(self, line: &str) -> Self {
        Self { path: line.to_owned(), ..self }
    }

    /// Adds whole tables at the end.
    pub fn more(self, tables: &str) -> Self {
        Self { more: self.more + tables + "\n", ..self }
    }

    /// The file.
    pub fn toml(&self) -> String {
        let Self { server, limits, log, listener, address, upstream, endpoints, route, path, cache, more } = self;
        let cache = cache.as_ref().map(|lines| format!("[route.cache]\n{lines}")).unwrap_or_default();
        let admin = if server.contains("admin") { "" } else { "admin = \"127.0.0.1:0\"\n" };
        // A machine that runs many tests at once makes cores late: only the tests of that care.
        let overload = if more.contains("[server.overload]") { "" } else { "[server.overload]\ntarget = \"off\"\n" };
        format!(
            "[server]\n{admin}{server}\n[server.limits]\n{limits}\n{overload}[log]\n{log}\n[[listener]]\naddress = \"{address}\"\n\
             {listener}\n[[upstream]]\nname = \"origin\"\nendpoints = [{endpoints}]\n{upstream}\n[[route]]\n\
             name = \"all\"\n{path}\nupstream = \"origin\"\n{route}\n{cache}\n{more}\n"
        )
    }

    /// Starts a gateway on it.
    #[track_caller]
    pub fn start(&self) -> Gateway {
        Gateway::start(&self.toml())
    }

    /// Starts a gateway on it, with files in its folder.
    #[track_caller]
    pub fn start_in(&self, dir: TempDir) -> Gateway {
        Gateway::start_in(dir, &self.toml())
    }
}
