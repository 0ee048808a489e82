//! Callers: keys of the house in front of an origin that must never see one, and addresses that may come.

mod access;
mod harm;
mod keys;
mod leaks;
mod limits;
mod store;

use super::harness::config::Endpoint;
use super::harness::*;
use tempfile::TempDir;

/// A store of keys, made by the executable.
pub struct Keys {
    pub dir: TempDir,
}

impl Keys {
    /// A store with nothing in it but what is made by `create`.
    pub fn new() -> Self {
        Self { dir: TempDir::new().expect("a scratch folder") }
    }

    /// `ringway key create --name NAME …`: the key.
    #[track_caller]
    pub fn create(&self, name: &str, more: &[&str]) -> String {
        key_command(self.dir.path(), "create", &[&["--name", name], more].concat())
    }

    /// A configuration that asks for keys, before this origin, whose credential is planted.
    pub fn config(&self, endpoint: &impl Endpoint) -> Config {
        Config::to(endpoint)
            .route("callers = \"required\"")
            .upstream("credential = { bearer = \"of-the-house\" }")
            .more("[callers]\nstore = \"callers.json\"")
    }
}

/// `ringway key WHAT` on the store in this folder: what it prints.
#[track_caller]
pub fn key_command(dir: &std::path::Path, what: &str, more: &[&str]) -> String {
    let store = dir.join("callers.json");
    let args = [&["key", what, "--store", store.to_str().expect("a path of text")], more].concat();
    let ended = run(&args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.out.trim_end().to_owned()
}

/// `GET path` with these field lines.
pub fn get_with(path: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("GET {path} HTTP/1.1\r\nhost: t\r\n{fields}\r\n")
}

/// A JSON body posted with a key.
pub fn ask(path: &str, key: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Status, and what the failure says where it is one.
#[track_caller]
pub fn outcome(gateway: &Gateway, request: &str) -> (u16, String) {
    let mut client = gateway.client();
    client.send(request);
    let response = client.read_response();
    (response.status, response.text())
}
