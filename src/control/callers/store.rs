//! The store of keys: a JSON file that is read as a whole and replaced as a whole.
//!
//! Holds no secret, only SHA-256 of secrets; its mode is 0600 all the same, for names and rights are nobody's business.
//! Writers exclude each other by a lock on `FILE.lock`; readers see the former file or the new one, never a part. What
//! is not understood is refused, never dropped: a store that was written by a later version stays as it is.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bounds;
use crate::policy::auth::key::{NewKey, RANDOM_BYTES, SecretHash, is_id};
use crate::policy::auth::model::Pattern;
use crate::policy::auth::{CallerParts, Callers, Former};
use crate::policy::limit::Limit;

/// Bytes of a store.
const STORE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The version that is read and written.
const VERSION: u32 = 1;
/// Bytes of a name, of a key, a route, a model or a limit.
const NAME_BYTES_MAX: usize = 128;

/// All keys, as the file has them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    version: u32,
    pub keys: Vec<StoredKey>,
}

/// One key. Times are RFC 3339.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredKey {
    pub id: String,
    pub name: String,
    /// SHA-256 of the secret, hexadecimal.
    sha256: String,
    pub created: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<StoredFormer>,
    #[serde(default)]
    pub routes: Vec<String>,
    #[serde(default)]
    pub models: Vec<String>,
    #[serde(default)]
    pub limits: Vec<String>,
    #[serde(default)]
    pub disabled: bool,
}

/// The secret before a rotation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredFormer {
    sha256: String,
    pub until: String,
}

/// What a new key may do.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub name: String,
    /// Unix epoch, milliseconds.
    pub expires_ms: Option<u64>,
    pub routes: Vec<String>,
    pub models: Vec<String>,
    pub limits: Vec<String>,
}

impl Default for Store {
    fn default() -> Self {
        Self { version: VERSION, keys: Vec::new() }
    }
}

impl Store {
    /// Reads a store. Blocks.
    ///
    /// # Errors
    /// What is wrong with it, without its path.
    pub fn read(path: &Path) -> Result<Self, String> {
        let cannot = |error: std::io::Error| format!("cannot be read: {error}");
        let about = fs::metadata(path).map_err(cannot)?;
        // A pipe would be waited for, and a device has no end.
        if !about.is_file() {
            return Err("is no file".to_owned());
        }
        if about.len() > STORE_BYTES_MAX {
            return Err(format!("is larger than {STORE_BYTES_MAX} bytes"));
        }
        Self::parse(&fs::read(path).map_err(cannot)?)
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let store: Self = serde_json::from_slice(text).map_err(|error| format!("is no store of keys: {error}"))?;
        if store.version != VERSION {
            return Err(format!("has version {}, but this program knows version {VERSION}", store.version));
        }
        let (mut ids, mut names) = (HashSet::new(), HashSet::new());
        for key in &store.keys {
            key.check()?;
            if !ids.insert(&key.id) || !names.insert(&key.name) {
                return Err(format!("has the key {:?} ({}) twice", key.name, key.id));
            }
        }
        Ok(store)
    }

    /// The callers, for requests; `limits` finds those of a key.
    ///
    /// # Errors
    /// None for a store that was read.
    pub fn callers(&self, limits: impl Fn(&StoredKey) -> Box<[Arc<Limit>]>) -> Result<Callers, String> {
        let parts = |key: &StoredKey| Ok::<_, String>(CallerParts { limits: limits(key), ..key.parts()? });
        let parts: Result<Vec<_>, _> = self.keys.iter().map(parts).collect();
        Ok(Callers::new(parts?))
    }

    /// Adds a key. `now_ms`: Unix epoch.
    ///
    /// # Errors
    /// The wish cannot be fulfilled, or the system has no randomness.
    pub fn create(&mut self, wish: Wish, now_ms: u64) -> Result<NewKey, String> {
        if self.keys.iter().any(|key| key.name == wish.name) {
            return Err(format!("there is a key {:?} already; rotate or revoke it, or choose another name", wish.name));
        }
        let new = NewKey::of(&random()?);
        let key = StoredKey {
            id: new.id.clone(),
            name: wish.name,
            sha256: to_hex(&new.sha256),
            created: time(now_ms)?,
            expires: wish.expires_ms.map(time).transpose()?,
            former: None,
            routes: wish.routes,
            models: wish.models,
            limits: wish.limits,
            disabled: false,
        };
        key.check()?;
        if self.keys.iter().any(|other| other.id == key.id) {
            return Err("the new key has the id of another one; try again".to_owned());
        }
        self.keys.push(key);
        Ok(new)
    }

    /// Takes a key out, by its id or name.
    ///
    /// # Errors
    /// There is none.
    pub fn revoke(&mut self, who: &str) -> Result<StoredKey, String> {
        let index = self.place(who)?;
        Ok(self.keys.remove(index))
    }

    /// Gives a key another secret, by its id or name; the present one counts for `grace_ms` more.
    ///
    /// # Errors
    /// There is none, or the system has no randomness.
    pub fn rotate(&mut self, who: &str, grace_ms: u64, now_ms: u64) -> Result<NewKey, String> {
        let index = self.place(who)?;
        let key = self.keys.get_mut(index).ok_or("is empty")?;
        let new = NewKey::renewed(&key.id, &random()?);
        let former = std::mem::replace(&mut key.sha256, to_hex(&new.sha256));
        key.former = match grace_ms {
            0 => None,
            _ => Some(StoredFormer { sha256: former, until: time(now_ms.saturating_add(grace_ms))? }),
        };
        Ok(new)
    }

    fn place(&self, who: &str) -> Result<usize, String> {
        // A name may look like an id: the id counts.
        let by_id = self.keys.iter().position(|key| key.id == who);
        by_id
            .or_else(|| self.keys.iter().position(|key| key.name == who))
            .ok_or_else(|| format!("there is no key with the id or name {who:?}"))
    }
}

impl StoredKey {
    /// Without its limits, which only the configuration knows.
    fn parts(&self) -> Result<CallerParts, String> {
        let boxed = |list: &[String]| list.iter().map(|text| text.as_str().into()).collect();
        let former = |former: &StoredFormer| -> Result<Former, String> {
            Ok(Former { sha256: from_hex(&former.sha256)?, until_ms: from_time(&former.until)? })
        };
        Ok(CallerParts {
            id: self.id.as_bytes().try_into().map_err(|_| format!("has a key with the id {:?}", self.id))?,
            name: self.name.as_str().into(),
            sha256: from_hex(&self.sha256)?,
            former: self.former.as_ref().map(former).transpose()?,
            expires_ms: self.expires.as_deref().map(from_time).transpose()?,
            routes: boxed(&self.routes),
            models: self.models.iter().map(|text| Pattern::new(text)).collect(),
            limits: Box::default(),
            disabled: self.disabled,
        })
    }

    fn check(&self) -> Result<(), String> {
        let of = |what: &str| format!("the key {:?}: {what}", self.name);
        if !is_id(self.id.as_bytes()) {
            return Err(of("its id is not 12 letters and digits"));
        }
        let lists = [&self.routes, &self.models, &self.limits];
        for text in lists.into_iter().flatten().chain([&self.name]) {
            // Names go to logs and lists.
            let fits = (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
            if !fits {
                return Err(of(&format!("{text:?} is not 1 to {NAME_BYTES_MAX} bytes without control characters")));
            }
        }
        if self.limits.len() > bounds::LIMITS_PER_KEY_MAX {
            return Err(of(&format!("it has more than {} limits", bounds::LIMITS_PER_KEY_MAX)));
        }
        from_time(&self.created).map_err(|why| of(&why))?;
        self.parts().map(drop).map_err(|why| of(&why))
    }
}

/// Reads a store, lets `change` work on it, and replaces it by the result; one writer at a time. With `create` a store
/// that is not there is an empty one. Blocks.
///
/// # Errors
/// The file, or what `change` says; then nothing was changed.
pub fn change<T>(path: &Path, create: bool, change: impl FnOnce(&mut Store) -> Result<T, String>) -> Result<T, String> {
    // A link stays a link: what it leads to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let of = |why: String| format!("{}: {why}", path.display());
    let locked = lock(&path).map_err(&of)?;
    let mut store = match fs::metadata(&path) {
        Err(error) if create && error.kind() == ErrorKind::NotFound => Store::default(),
        _ => Store::read(&path).map_err(&of)?,
    };
    let outcome = change(&mut store)?;
    write(&path, &store).map_err(|error| of(format!("cannot be written: {error}")))?;
    drop(locked);
    Ok(outcome)
}

/// Holds until it is dropped. The file stays: who removed it would let two in.
fn lock(path: &Path) -> Result<File, String> {
    let beside = beside(path, ".lock");
    let mut options = OpenOptions::new();
    // Nobody is led elsewhere by a link that somebody else has put there.
    options.write(true).mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    let opened = match options.create_new(true).open(&beside) {
        // Only what was made here is given away; that fails where there is no right to, and nothing needs it.
        Ok(file) => {
            let _ = give_to_owner(&file, path);
            Ok(file)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => options.create_new(false).open(&beside),
        Err(error) => Err(error),
    };
    let file = opened.map_err(|error| format!("{} cannot be opened: {error}", beside.display()))?;
    file.lock().map_err(|error| format!("{} cannot be locked: {error}", beside.display()))?;
    Ok(file)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Under another name first, so that a reader, or a loss of power, finds one of the two whole.
fn write(path: &Path, store: &Store) -> std::io::Result<()> {
    let mut text = serde_json::to_vec_pretty(store)?;
    text.push(b'\n');
    let new = beside(path, ".new");
    // One that was left behind by a writer that died: nobody else writes while we hold the lock.
    let _ = fs::remove_file(&new);
    let written = write_new(path, &new, &text);
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_new(path: &Path, new: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    file.write_all(text)?;
    give_to_owner(&file, path)?;
    file.sync_all()?;
    fs::rename(new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Who could read the store before must be able to read it, and to change it: it may be the gateway's user, and we root.
fn give_to_owner(file: &File, store: &Path) -> std::io::Result<()> {
    let (Ok(former), Ok(own)) = (fs::metadata(store), file.metadata()) else { return Ok(()) };
    match (former.uid(), former.gid()) == (own.uid(), own.gid()) {
        true => Ok(()),
        false => fchown(file, Some(former.uid()), Some(former.gid())),
    }
}

fn random() -> Result<[u8; RANDOM_BYTES], String> {
    let mut bytes = [0; RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system has no randomness to make a key of".to_owned())?;
    Ok(bytes)
}

fn time(unix_ms: u64) -> Result<String, String> {
    let seconds = i64::try_from(unix_ms / 1_000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map(|at| at.to_string()).map_err(|_| "the time is too far away".to_owned())
}

/// Unix epoch, milliseconds; what was before it is its begin.
fn from_time(text: &str) -> Result<u64, String> {
    let at: Timestamp = text.parse().map_err(|_| format!("{text:?} is no time such as 2030-01-31T00:00:00Z"))?;
    Ok(u64::try_from(at.as_millisecond()).unwrap_or(0))
}

fn to_hex(hash: &SecretHash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Result<SecretHash, String> {
    let bad = || "its sha256 is not 64 hexadecimal digits".to_owned();
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(bad());
    }
    for (place, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
        *place = u8::from_str_radix(digits, 16).map_err(|_| bad())?;
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::auth::Key;

    const NOW_MS: u64 = 1_795_000_000_000;

    fn wish(name: &str) -> Wish {
        Wish { name: name.to_owned(), ..Wish::default() }
    }

    fn counts(path: &Path, key: &str, now_ms: u64) -> bool {
        let callers = Store::read(path).unwrap().callers(|_| Box::default()).unwrap();
        callers.find(&Key::parse(key.as_bytes()).unwrap(), now_ms).is_ok()
    }

    #[test]
    fn a_key_lives_from_its_creation_to_its_end_and_its_secret_is_not_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("callers.json");
        assert!(change(&path, false, |store| store.create(wish("ci"), NOW_MS)).is_err(), "it is not there");
        let expires_ms = Some(NOW_MS + 5_000);
        let key = change(&path, true, |store| store.create(Wish { expires_ms, ..wish("ci") }, NOW_MS)).unwrap().text;
        assert!(counts(&path, &key, NOW_MS) && !counts(&path, &key, NOW_MS + 5_000));
        assert!(!fs::read_to_string(&path).unwrap().contains(&key[16..]));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let twice = change(&path, false, |store| store.create(wish("ci"), NOW_MS)).err();
        assert!(twice.unwrap().contains("already"));

        let renewed = change(&path, false, |store| store.rotate("ci", 1_000, NOW_MS)).unwrap().text;
        assert_eq!(key[..15], renewed[..15], "the id stays");
        assert!(counts(&path, &key, NOW_MS) && counts(&path, &renewed, NOW_MS));
        assert!(!counts(&path, &key, NOW_MS + 1_000) && counts(&path, &renewed, NOW_MS + 1_000));
        let last = change(&path, false, |store| store.rotate(&renewed[3..15], 0, NOW_MS)).unwrap().text;
        assert!(!counts(&path, &renewed, NOW_MS) && counts(&path, &last, NOW_MS));

        change(&path, false, |store| store.revoke("ci")).unwrap();
        assert!(!counts(&path, &last, NOW_MS));
        assert!(change(&path, false, |store| store.revoke("ci")).is_err());
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "the store and its lock: {left:?}");
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("callers.json");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..5 {
                        change(path, true, |store| store.create(wish(&format!("{writer}-{number}")), NOW_MS)).unwrap();
                    }
                });
            }
        });
        assert_eq!(Store::read(&path).unwrap().keys.len(), 20);
    }

    #[test]
    fn links_pipes_and_remains_do_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("callers.json");
        let elsewhere = folder.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, folder.path().join("callers.json.lock")).unwrap();
        let refused = change(&path, true, |store| store.create(wish("ci"), NOW_MS)).err().unwrap();
        assert!(refused.contains("cannot be opened") && !elsewhere.exists() && !path.exists(), "{refused}");
        fs::remove_file(folder.path().join("callers.json.lock")).unwrap();
        // A writer that died has left a part, and somebody a link to lead us astray.
        std::os::unix::fs::symlink(&elsewhere, folder.path().join("callers.json.new")).unwrap();
        let key = change(&path, true, |store| store.create(wish("ci"), NOW_MS)).unwrap().text;
        assert!(counts(&path, &key, NOW_MS) && !elsewhere.exists());
        // The store itself may be a link: what it leads to is replaced.
        let link = folder.path().join("link.json");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        change(&link, false, |store| store.revoke("ci")).unwrap();
        assert!(link.is_symlink() && !counts(&path, &key, NOW_MS));
        assert_eq!(Store::read(folder.path()).unwrap_err(), "is no file");
        assert_eq!(Store::read(Path::new("/dev/zero")).unwrap_err(), "is no file");
    }

    #[test]
    fn a_change_that_fails_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("callers.json");
        let key = change(&path, true, |store| store.create(wish("ci"), NOW_MS)).unwrap().text;
        let before = fs::read(&path).unwrap();
        let limits = (0..=bounds::LIMITS_PER_KEY_MAX).map(|i| i.to_string()).collect();
        let many = change(&path, false, |store| store.create(Wish { limits, ..wish("b") }, NOW_MS)).err().unwrap();
        assert!(many.contains("more than 4 limits"), "{many}");
        assert!(change(&path, false, |store| store.rotate("nobody", 0, NOW_MS)).is_err());
        assert!(change(&path, false, |store| store.rotate("ci", u64::MAX, NOW_MS)).is_err(), "too far away");
        assert_eq!(fs::read(&path).unwrap(), before);
        assert!(counts(&path, &key, NOW_MS));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let key = |fields: &str| {
            format!(
                r#"{{"version":1,"keys":[{{"id":"abcdefghijkl","name":"a","sha256":"{}","created":"2026-01-01T00:00:00Z"{fields}}}]}}"#,
                "0".repeat(64)
            )
        };
        assert!(Store::parse(key("").as_bytes()).is_ok());
        let twice = key("").replace("}]", "},X]").replace('X', &key("")[21..key("").len() - 2]);
        for (text, said) in [
            (key("").replace("\"version\":1", "\"version\":2"), "version 2"),
            (key(r#","color":"red""#), "unknown field `color`"),
            (key(r#","expires":"tomorrow""#), "\"tomorrow\" is no time"),
            (key("").replace("ghijkl", "ghij-l"), "12 letters"),
            (key("").replace("\"0000", "\"000g"), "64 hexadecimal"),
            (key("").replace("\"name\":\"a\"", "\"name\":\"a\\n\""), "control characters"),
            (key(r#","routes":[""]"#), "1 to 128 bytes"),
            (key(r#","limits":["a","b","c","d","e"]"#), "more than 4 limits"),
            (twice, "twice"),
            (String::new(), "no store of keys"),
        ] {
            let error = Store::parse(text.as_bytes()).err().unwrap_or_default();
            assert!(error.contains(said), "{text}\n{error}");
        }
    }
}
