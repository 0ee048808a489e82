//! Rule files: finds the files that a path or a pattern means, and reads them. Notes each as one that the plan depends on.
//!
//! A pattern has `*` and `?` in any part of the path; a folder means all files in it. Files come sorted by name.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::resolve::Context;
use crate::policy::waf::text::Given;

/// Bytes of a file of rules or phrases.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The files that `written` means, with their contents; `folder` is where relative paths count from. None where there is
/// no such file, or where no file may be read.
///
/// # Errors
/// A file or a folder is there and cannot be read.
pub(super) fn read(written: &str, folder: &Path, context: &Context<'_>) -> Result<Given, String> {
    if context.ticketer.is_none() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for path in find(&folder.join(written))? {
        context.reads(&path);
        let name: Arc<str> = path.to_string_lossy().into();
        let bytes = read_file(&path).map_err(|e| format!("cannot read {name}: {e}"))?;
        files.push((name, bytes));
    }
    Ok(files)
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let size = fs::metadata(path).map_err(|e| e.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    fs::read(path).map_err(|e| e.to_string())
}

/// All files that a path with patterns means.
fn find(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let text = component.as_os_str();
        let is_pattern =
            matches!(component, Component::Normal(_)) && text.as_bytes().iter().any(|b| matches!(b, b'*' | b'?'));
        let mut next = Vec::new();
        for folder in found {
            match is_pattern {
                true => next.extend(
                    entries(&folder)?.into_iter().filter(|name| matches(text, name)).map(|name| folder.join(name)),
                ),
                false => next.push(folder.join(text)),
            }
        }
        found = next;
    }
    let mut files = Vec::new();
    for path in found {
        match fs::metadata(&path) {
            Ok(of) if of.is_dir() => {
                let inside = entries(&path)?.into_iter().map(|name| path.join(name));
                files.extend(inside.filter(|path| path.is_file()));
            }
            Ok(_) => files.push(path),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(format!("cannot read {}: {e}", path.display())),
        }
    }
    Ok(files)
}

/// The names in a folder, sorted, without hidden ones; none where there is no such folder.
fn entries(folder: &Path) -> Result<Vec<std::ffi::OsString>, String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let cannot = |e: std::io::Error| format!("cannot read {}: {e}", folder.display());
    let listed = match fs::read_dir(folder) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        listed => listed.map_err(cannot)?,
    };
    let mut names = Vec::new();
    for entry in listed {
        let name = entry.map_err(cannot)?.file_name();
        if !name.as_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a name has the form of a pattern with `*` and `?`.
fn matches(pattern: &OsStr, name: &OsStr) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || name.get(n) == Some(c) => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((at, reach)) = star else { return false };
                star = Some((at, reach + 1));
                (p, n) = (at + 1, reach + 1);
            }
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns() {
        for (pattern, name, wanted) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("REQUEST-9?1-*", "REQUEST-901-INIT.conf", true),
            ("*a*b", "xaybzb", true),
            ("*", "", true),
            ("a", "b", false),
        ] {
            assert_eq!(matches(OsStr::new(pattern), OsStr::new(name)), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_found_sorted() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", "c.data", ".hidden.conf"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            let found = find(&folder.path().join(pattern)).unwrap();
            found.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names("*.conf"), ["a.conf", "b.conf"]);
        assert_eq!(names(""), ["a.conf", "b.conf", "c.data"]);
        assert_eq!(names("c.data"), ["c.data"]);
        assert!(names("none.conf").is_empty() && names("none/*.conf").is_empty());
    }
}
