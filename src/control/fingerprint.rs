//! Whether files have changed: by modification time, size and inode, looked at once a second.
//!
//! Polling sees what a watch on one file misses: a renamed-over file, a swapped symbolic link of a mounted secret.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What the files looked like.
pub struct Fingerprints {
    /// `None` = the file was not there.
    files: Vec<(PathBuf, Option<Look>)>,
}

#[derive(PartialEq, Eq)]
struct Look {
    modified: (i64, i64),
    bytes: u64,
    inode: u64,
}

impl Fingerprints {
    /// As the files look now.
    pub fn of(files: Vec<PathBuf>) -> Self {
        let look = |path: PathBuf| {
            let seen = std::fs::metadata(&path).ok().map(|m| Look {
                modified: (m.mtime(), m.mtime_nsec()),
                bytes: m.size(),
                inode: m.ino(),
            });
            (path, seen)
        };
        Self { files: files.into_iter().map(look).collect() }
    }

    /// Whether they look different from the last time; remembers the new look.
    pub fn changed(&mut self, files: Vec<PathBuf>) -> bool {
        let now = Self::of(files);
        // A file that is watched since a moment ago was read then: it has not changed.
        let before = |path: &PathBuf| self.files.iter().find(|(p, _)| p == path).map(|(_, look)| look);
        let changed = now.files.iter().any(|(path, look)| before(path).is_some_and(|former| former != look));
        *self = now;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewritten_or_removed_file_is_noticed_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cert.pem");
        std::fs::write(&path, "one").expect("write");
        let mut prints = Fingerprints::of(vec![path.clone()]);
        assert!(!prints.changed(vec![path.clone()]));
        std::fs::write(&path, "three").expect("write");
        assert!(prints.changed(vec![path.clone()]));
        assert!(!prints.changed(vec![path.clone()]));
        std::fs::remove_file(&path).expect("remove");
        assert!(prints.changed(vec![path]));
    }
}
