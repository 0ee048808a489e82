//! Problems of a configuration: where they are, what is wrong, what to do; collected, never stopped at the first.
//!
//! Owns the public error types and the translation of byte offsets into lines and columns. Texts here are shown to
//! people and written to logs: nobody may put the resolved value of a secret into them.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// One thing wrong in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConfigError {
    /// Counted from 1; 0 = not a place in a file (a command-line option, an unreadable file).
    pub line: usize,
    /// Counted in characters from 1; 0 as for `line`.
    pub column: usize,
    /// The key, such as `route[2].upstream` (tables of an array count from 0), or the option; may be empty.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

/// All that is wrong in a configuration, sorted by position. `Display` writes one line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file, or `command line`.
    pub file: PathBuf,
    /// Never empty.
    pub errors: Vec<ConfigError>,
}

impl ConfigErrors {
    /// The one problem of a file that has no position in it.
    pub(super) fn of_file(file: &Path, what: String, hint: &str) -> Self {
        let error = ConfigError { line: 0, column: 0, path: String::new(), what, hint: hint.to_owned() };
        Self { file: file.to_owned(), errors: vec![error] }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{error}", self.file.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Everything but the file: `line:column: path: what; what to do`.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, " {}:", self.path)?;
        }
        write!(f, " {}", self.what)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

/// Why a text is not the value that is wanted; the place is added by whoever read it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub what: String,
    pub hint: String,
}

/// A fault from its two halves.
pub(super) fn fault(what: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault { what: what.into(), hint: hint.into() }
}

/// Where something was written.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Byte offset in the file; `None` on a command line.
    pub offset: Option<usize>,
    /// As in [`ConfigError::path`].
    pub path: String,
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub value: T,
    pub place: Place,
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Collects errors and warnings. Shared by all readers of one configuration, hence the cells.
#[derive(Debug, Default)]
pub(super) struct Problems {
    errors: RefCell<Vec<(Place, Fault)>>,
    warnings: RefCell<Vec<(Place, Fault)>>,
}

impl Problems {
    /// Notes an error.
    pub fn error(&self, place: &Place, what: impl Into<String>, hint: impl Into<String>) {
        self.fault(place, fault(what, hint));
    }

    /// Notes an error that a value check found.
    pub fn fault(&self, place: &Place, fault: Fault) {
        self.errors.borrow_mut().push((place.clone(), fault));
    }

    /// Notes what does not stop the gateway but should be known.
    pub fn warn(&self, place: &Place, what: impl Into<String>, hint: impl Into<String>) {
        self.warnings.borrow_mut().push((place.clone(), fault(what, hint)));
    }

    /// The value, or its fault noted.
    pub fn keep<T>(&self, place: &Place, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.fault(place, fault)).ok()
    }

    /// Whether an error was noted so far.
    pub fn any(&self) -> bool {
        !self.errors.borrow().is_empty()
    }

    /// Whether an error was noted at this key or inside of it.
    pub fn any_under(&self, path: &str) -> bool {
        self.errors.borrow().iter().any(|(place, _)| {
            place.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// The warnings as lines, or all errors. `text` is what the offsets count in.
    pub fn finish(self, file: &Path, text: &str) -> Result<Vec<String>, ConfigErrors> {
        let lines = Lines::of(text);
        let errors = lines.positioned(self.errors.into_inner());
        if errors.is_empty() {
            let warnings = lines.positioned(self.warnings.into_inner());
            return Ok(warnings.iter().map(|w| format!("{}:{w}", file.display())).collect());
        }
        Err(ConfigErrors { file: file.to_owned(), errors })
    }
}

/// Where the lines of a text begin.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|i| i + 1)).collect();
        Self { text, starts }
    }

    fn positioned(&self, problems: Vec<(Place, Fault)>) -> Vec<ConfigError> {
        let mut problems = problems;
        problems.sort_by_key(|(place, _)| place.offset); // stable: problems of one place stay in the order found
        // Two listeners that share a bad certificate are one mistake.
        let mut seen = HashSet::new();
        problems
            .into_iter()
            .map(|(Place { offset, path }, Fault { what, hint })| {
                let (line, column) = offset.map_or((0, 0), |offset| self.position(offset));
                ConfigError { line, column, path, what, hint }
            })
            .filter(|error| seen.insert(error.clone()))
            .collect()
    }

    /// Line and column of a byte offset; an offset past the end is the end.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.as_bytes().get(start..offset.min(self.text.len())).unwrap_or_default();
        // Characters are counted by the bytes that begin one.
        let column = before.iter().filter(|b| **b & 0xC0 != 0x80).count() + 1;
        (line, column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_becomes_a_line_and_a_column_in_characters() {
        let lines = Lines::of("ab\r\näöü = 1\n");
        for (offset, position) in
            [(0, (1, 1)), (1, (1, 2)), (4, (2, 1)), (6, (2, 2)), (10, (2, 4)), (15, (3, 1)), (999, (3, 1))]
        {
            assert_eq!(lines.position(offset), position, "{offset}");
        }
        assert_eq!(Lines::of("").position(0), (1, 1));
    }

    #[test]
    fn errors_are_shown_sorted_one_a_line() {
        let problems = Problems::default();
        let place = |offset, path: &str| Place { offset: Some(offset), path: path.to_owned() };
        problems.error(&place(5, "b"), "is wrong", "mend it");
        problems.error(&place(0, ""), "is bad", "");
        problems.warn(&place(0, "w"), "never shown beside errors", "");
        let errors = problems.finish(Path::new("f.toml"), "a=1\nbb=2\n").unwrap_err();
        assert_eq!(errors.to_string(), "f.toml:1:1: is bad\nf.toml:2:2: b: is wrong; mend it");
        let errors = ConfigErrors::of_file(Path::new("f.toml"), "cannot be read".to_owned(), "look");
        assert_eq!(errors.to_string(), "f.toml: cannot be read; look");
    }
}
