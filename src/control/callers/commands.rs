//! `ringway key …`: keys made, shown, renewed and taken away, in the store itself. A running gateway sees it.
//!
//! A key is written to standard output once, alone on its line, and never again; all else that is said goes beside it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::store::{Store, StoredKey, Wish, change};
use crate::base::units;

/// What to do with a key
#[derive(Clone, Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key; it is shown this once
    Create(CreateOptions),
    /// Show all keys, without their secrets
    List(ListOptions),
    /// Take a key away, for good
    Revoke(RevokeOptions),
    /// Give a key another secret; it is shown this once
    Rotate(RotateOptions),
}

/// Options of `key create`.
#[derive(Clone, Debug, Args)]
pub struct CreateOptions {
    /// The store, as [callers] names it; it is made where it is not there
    #[arg(long, value_name = "FILE")]
    pub store: PathBuf,
    /// Who is to have the key; shown in the access log
    #[arg(long)]
    pub name: String,
    /// How long it counts, such as 30d; without it there is no end
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub expires: Option<Duration>,
    /// A route that it may use; may be given several times, none means all
    #[arg(long, value_name = "NAME")]
    pub route: Vec<String>,
    /// A model that it may ask, `*` stands for any characters; may be given several times, none means all
    #[arg(long, value_name = "PATTERN")]
    pub model: Vec<String>,
    /// A [[limit]] that counts for it too; may be given several times
    #[arg(long, value_name = "NAME")]
    pub limit: Vec<String>,
}

/// Options of `key list`.
#[derive(Clone, Debug, Args)]
pub struct ListOptions {
    /// The store
    #[arg(long, value_name = "FILE")]
    pub store: PathBuf,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `key revoke`.
#[derive(Clone, Debug, Args)]
pub struct RevokeOptions {
    /// The store
    #[arg(long, value_name = "FILE")]
    pub store: PathBuf,
    /// Id or name of the key
    #[arg(value_name = "ID|NAME")]
    pub key: String,
}

/// Options of `key rotate`.
#[derive(Clone, Debug, Args)]
pub struct RotateOptions {
    /// The store
    #[arg(long, value_name = "FILE")]
    pub store: PathBuf,
    /// How long the present secret still counts; 0s = not at all
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub grace: Duration,
    /// Id or name of the key
    #[arg(value_name = "ID|NAME")]
    pub key: String,
}

/// What a command says.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// For standard output.
    pub text: String,
    /// For standard error; may be empty.
    pub beside: String,
}

/// Carries a command out; `now_ms` is of the Unix epoch. Blocks on files.
///
/// # Errors
/// What is wrong, as a line for a person.
pub fn run(command: KeyCommand, now_ms: u64) -> Result<Said, String> {
    match command {
        KeyCommand::Create(options) => create(options, now_ms),
        KeyCommand::List(options) => {
            let store = Store::read(&options.store).map_err(|why| format!("{}: {why}", options.store.display()))?;
            let text = if options.json { format!("{:#}", shown(&store)) } else { table(&store) };
            Ok(Said { text, beside: String::new() })
        }
        KeyCommand::Revoke(options) => {
            let gone = change(&options.store, false, |store| store.revoke(&options.key))?;
            Ok(Said { text: format!("revoked {} ({})", gone.name, gone.id), beside: String::new() })
        }
        KeyCommand::Rotate(options) => {
            let grace_ms = milliseconds(options.grace);
            let new = change(&options.store, false, |store| store.rotate(&options.key, grace_ms, now_ms))?;
            let grace = units::format_duration(options.grace);
            let beside = format!("{}: this is shown once; the former secret counts for {grace} more", new.id);
            Ok(Said { text: new.text, beside })
        }
    }
}

fn create(options: CreateOptions, now_ms: u64) -> Result<Said, String> {
    let CreateOptions { store, name, expires, route, model, limit } = options;
    let expires_ms = expires.map(|lifetime| now_ms.saturating_add(milliseconds(lifetime)));
    let wish = Wish { name, expires_ms, routes: route, models: model, limits: limit };
    let new = change(&store, true, |store| store.create(wish, now_ms))?;
    Ok(Said { text: new.text, beside: format!("{}: this is shown once, the store has only a hash of it", new.id) })
}

/// All keys as JSON, without hashes.
pub fn shown(store: &Store) -> Value {
    json!({ "keys": store.keys.iter().map(shown_key).collect::<Vec<_>>() })
}

/// A key as JSON, without hashes.
fn shown_key(key: &StoredKey) -> Value {
    json!({
        "id": key.id, "name": key.name, "created": key.created, "expires": key.expires,
        "former_until": key.former.as_ref().map(|former| &former.until),
        "routes": key.routes, "models": key.models, "limits": key.limits, "disabled": key.disabled,
    })
}

fn table(store: &Store) -> String {
    let list = |texts: &[String], none: &str| if texts.is_empty() { none.to_owned() } else { texts.join(",") };
    let mut rows = vec![["ID", "NAME", "EXPIRES", "ROUTES", "MODELS", "LIMITS"].map(str::to_owned)];
    rows.extend(store.keys.iter().map(|key| {
        let end = if key.disabled { Some("disabled") } else { key.expires.as_deref() };
        let end = end.unwrap_or("never").to_owned();
        let rights = [list(&key.routes, "all"), list(&key.models, "all"), list(&key.limits, "none")];
        let [routes, models, limits] = rights;
        [key.id.clone(), key.name.clone(), end, routes, models, limits]
    }));
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..6).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_once_and_lists_have_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("callers.json");
        let options = CreateOptions {
            store: store.clone(),
            name: "ci".to_owned(),
            expires: Some(Duration::from_secs(86_400)),
            route: vec!["chat".to_owned()],
            model: vec!["gpt-4o*".to_owned()],
            limit: Vec::new(),
        };
        let made = run(KeyCommand::Create(options), 0).unwrap();
        let (id, secret) = (&made.text[3..15], &made.text[16..]);
        assert!(made.beside.contains(id) && !made.beside.contains(secret));
        for json in [false, true] {
            let said = run(KeyCommand::List(ListOptions { store: store.clone(), json }), 0).unwrap();
            for shown in [id, "ci", "chat", "gpt-4o*", "1970-01-02T00:00:00Z"] {
                assert!(said.text.contains(shown), "{}", said.text);
            }
            assert!(!said.text.contains(secret) && !said.text.contains("sha256"));
        }
        let key = "ci".to_owned();
        let rotate = RotateOptions { store: store.clone(), grace: Duration::from_secs(3_600), key: key.clone() };
        let renewed = run(KeyCommand::Rotate(rotate), 0).unwrap();
        assert!(renewed.beside.contains("1h") && renewed.text != made.text);
        let gone = run(KeyCommand::Revoke(RevokeOptions { store: store.clone(), key }), 0).unwrap();
        assert_eq!(gone.text, format!("revoked ci ({id})"));
        let missing = ListOptions { store: folder.path().join("no"), json: false };
        assert!(run(KeyCommand::List(missing), 0).unwrap_err().contains("cannot be read"));
    }
}
