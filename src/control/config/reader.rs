//! Reads typed values out of a parsed TOML table, with their places. A wrong type, a missing key or an unknown one is
//! noted and reading goes on, so that one run shows all mistakes.
//!
//! Knows TOML, not the gateway: which keys exist is said by whoever asks for them (`raw.rs`).

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problems::{At, Fault, Place, Problems, fault};

/// The longest list of known keys that an error repeats, in keys.
const KEYS_SHOWN_MAX: usize = 16;

/// One table being read. Every key must be asked for, so that what is left over is known to be unknown.
pub(super) struct Table<'d> {
    entries: &'d DeTable<'d>,
    place: Place,
    asked: Vec<&'static str>,
    problems: &'d Problems,
}

/// Reads a whole document with `read`.
///
/// # Errors
/// The first syntax error of the document, alone.
pub(super) fn read_document<T>(
    text: &str,
    problems: &Problems,
    read: impl FnOnce(&mut Table<'_>) -> T,
) -> Result<T, (Place, Fault)> {
    let document = DeTable::parse(text).map_err(|e| {
        let offset = e.span().map_or(0, |span| span.start);
        let what = e.message().replace('\n', ", ");
        let hint = match what.as_str() {
            "duplicate key" => "write each key, and each table, once",
            _ => "correct it: this is not TOML, and nothing after it was checked",
        };
        (Place { offset: Some(offset), path: String::new() }, fault(what, hint))
    })?;
    let place = Place { offset: Some(0), path: String::new() };
    Ok(read_entries(document.get_ref(), place, problems, read))
}

fn read_entries<T>(
    entries: &DeTable<'_>,
    place: Place,
    problems: &Problems,
    read: impl FnOnce(&mut Table<'_>) -> T,
) -> T {
    let mut table = Table { entries, place, asked: Vec::new(), problems };
    let value = read(&mut table);
    table.refuse_unknown();
    value
}

impl<'d> Table<'d> {
    /// Where the table begins.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Notes that a key is missing here; the table's own place is shown.
    pub fn missing(&self, key: &str, hint: &str) {
        self.problems.error(&self.place_of(key, self.place.offset), "is missing", hint);
    }

    /// Whether the key was written, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// A string turned into a value by `parse`.
    pub fn parsed<T>(&mut self, key: &'static str, parse: impl FnOnce(&str) -> Result<T, Fault>) -> Option<At<T>> {
        let (value, place) = self.take(key)?;
        let text = self.text(value, &place)?;
        self.problems.keep(&place, parse(text)).map(|value| At { value, place })
    }

    /// As [`Self::parsed`], and an absent key is an error that shows `hint`.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        hint: &str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<At<T>> {
        if !self.has(key) {
            self.missing(key, hint);
        }
        self.parsed(key, parse)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &'static str) -> Option<At<bool>> {
        let (value, place) = self.take(key)?;
        match value.get_ref().as_bool() {
            Some(value) => Some(At { value, place }),
            None => self.wrong(value, &place, "true or false", "write it without quotes"),
        }
    }

    /// A whole number, or a string that `parse` turns into one.
    pub fn number_or<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        number: impl FnOnce(u64) -> Result<T, Fault>,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<At<T>> {
        let (value, place) = self.take(key)?;
        let result = match value.get_ref() {
            DeValue::Integer(digits) => match u64::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(n) => number(n),
                Err(_) => Err(fault("is negative or too large", format!("write {wanted}"))),
            },
            DeValue::String(text) => parse(text),
            _ => return self.wrong(value, &place, wanted, ""),
        };
        self.problems.keep(&place, result).map(|value| At { value, place })
    }

    /// A whole number between two bounds, both included.
    pub fn count(&mut self, key: &'static str, least: u64, most: u64) -> Option<At<u64>> {
        let wanted = format!("a whole number from {least} to {most}");
        let number = |n: u64| match (least..=most).contains(&n) {
            true => Ok(n),
            false => Err(fault(format!("{n} is out of range"), format!("write {wanted}"))),
        };
        let quoted = |_: &str| Err(fault("is a string", format!("write {wanted}, without quotes")));
        self.number_or(key, &wanted, number, quoted)
    }

    /// A number from 0 to 1, as so many parts of `whole`.
    pub fn share(&mut self, key: &'static str, whole: u32) -> Option<At<u32>> {
        const WANTED: &str = "a number from 0 to 1, such as 0.01";
        let (value, place) = self.take(key)?;
        let text = match value.get_ref() {
            DeValue::Integer(digits) => digits.as_str(),
            DeValue::Float(digits) => digits.as_str(),
            _ => return self.wrong(value, &place, WANTED, "write it without quotes"),
        };
        let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
        let parts = share.map(|share| (share * f64::from(whole)).round() as u32);
        let parts = parts.ok_or_else(|| fault("is out of range", format!("write {WANTED}")));
        self.problems.keep(&place, parts).map(|value| At { value, place })
    }

    /// A list of strings, each turned into a value by `parse`; `None` when the key is absent. What cannot be read is
    /// noted and left out.
    pub fn list<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, Fault>) -> Option<At<Vec<At<T>>>> {
        let (value, place) = self.take(key)?;
        let Some(items) = value.get_ref().as_array() else {
            return self.wrong(value, &place, "a list of strings", r#"write ["…", "…"]"#);
        };
        let mut list = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let place = Place { offset: Some(item.span().start), path: format!("{}[{index}]", place.path) };
            let Some(text) = self.text(item, &place) else { continue };
            list.extend(self.problems.keep(&place, parse(text)).map(|value| At { value, place }));
        }
        Some(At { value: list, place })
    }

    /// A table of strings in the order written; names with their own places. Empty when absent.
    pub fn pairs<T>(&mut self, key: &'static str, make: impl Fn(&str) -> T) -> Vec<(At<String>, At<T>)> {
        let Some((value, place)) = self.take(key) else { return Vec::new() };
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong::<()>(value, &place, "a table of strings", r#"write { "name" = "value" }"#);
            return Vec::new();
        };
        let mut pairs = Vec::with_capacity(entries.len());
        for (name, value) in entries.iter() {
            let path = format!("{}.{}", place.path, shown(name.get_ref()));
            let at_name = Place { offset: Some(name.span().start), path: path.clone() };
            let at_value = Place { offset: Some(value.span().start), path };
            if let Some(text) = self.text(value, &at_value) {
                let name = At { value: name.get_ref().to_string(), place: at_name };
                pairs.push((name, At { value: make(text), place: at_value }));
            }
        }
        pairs.sort_by_key(|(name, _)| name.place.offset);
        pairs
    }

    /// A table inside this one; `None` when absent.
    pub fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Table<'_>) -> T) -> Option<T> {
        let (value, place) = self.take(key)?;
        match value.get_ref().as_table() {
            Some(entries) => Some(read_entries(entries, place, self.problems, read)),
            None => {
                self.wrong(value, &place, "a table", &format!("write [{}], with single brackets", header(&place.path)))
            }
        }
    }

    /// An array of tables (`[[key]]`); empty when absent.
    pub fn tables<T>(&mut self, key: &'static str, read: impl Fn(&mut Table<'_>) -> T) -> Vec<T> {
        let Some((value, place)) = self.take(key) else { return Vec::new() };
        let hint = format!("write [[{}]], with double brackets", header(&place.path));
        let Some(items) = value.get_ref().as_array() else {
            self.wrong::<()>(value, &place, "an array of tables", &hint);
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let place = Place { offset: Some(item.span().start), path: format!("{}[{index}]", place.path) };
            match item.get_ref().as_table() {
                Some(entries) => tables.push(read_entries(entries, place, self.problems, &read)),
                None => drop(self.wrong::<()>(item, &place, "a table", &hint)),
            }
        }
        tables
    }

    /// As [`Self::tables`], and no table at all is an error that shows `hint`.
    pub fn required_tables<T>(&mut self, key: &'static str, hint: &str, read: impl Fn(&mut Table<'_>) -> T) -> Vec<T> {
        match self.entries.get(key) {
            None => self.missing(key, hint),
            Some(value) if value.get_ref().as_array().is_some_and(|items| items.is_empty()) => {
                self.problems.error(&self.place_of(key, Some(value.span().start)), "is empty", hint);
            }
            Some(_) => {}
        }
        self.tables(key, read)
    }

    fn take(&mut self, key: &'static str) -> Option<(&'d Spanned<DeValue<'d>>, Place)> {
        self.asked.push(key);
        let value = self.entries.get(key)?;
        Some((value, self.place_of(key, Some(value.span().start))))
    }

    fn place_of(&self, key: &str, offset: Option<usize>) -> Place {
        let path = match self.place.path.as_str() {
            "" => shown(key),
            above => format!("{above}.{}", shown(key)),
        };
        Place { offset, path }
    }

    fn text<'v>(&self, value: &'v Spanned<DeValue<'v>>, place: &Place) -> Option<&'v str> {
        match value.get_ref().as_str() {
            Some(text) => Some(text),
            None => self.wrong(value, place, "a string", "write it in quotes"),
        }
    }

    fn wrong<T>(&self, value: &Spanned<DeValue<'_>>, place: &Place, wanted: &str, hint: &str) -> Option<T> {
        let what = format!("is {}, but must be {wanted}", kind(value.get_ref()));
        self.problems.error(place, what, hint);
        None
    }

    fn refuse_unknown(&self) {
        for key in self.entries.keys() {
            if self.asked.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let place = self.place_of(key.get_ref(), Some(key.span().start));
            self.problems.error(&place, "is not a known key", did_you_mean(key.get_ref(), &self.asked));
        }
    }
}

/// What stands in the brackets of a table: its path without the numbers of tables in arrays.
fn header(path: &str) -> String {
    path.split('.').map(|key| key.split('[').next().unwrap_or(key)).collect::<Vec<_>>().join(".")
}

/// A key as it is shown: control characters never reach a terminal.
fn shown(key: &str) -> String {
    key.escape_debug().to_string()
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The known word that is meant, or all of them.
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> String {
    let lower = word.to_lowercase();
    // Long words are not compared: the distance costs the product of both lengths.
    let nearest = known
        .iter()
        .filter(|_| word.len() <= 64)
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), *k))
        .filter(|(distance, k)| *distance <= 1 + k.len().min(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, k)) => format!("did you mean `{k}`?"),
        None if known.is_empty() => String::new(),
        None if known.len() > KEYS_SHOWN_MAX => {
            let shown: Vec<&str> = known.iter().copied().take(KEYS_SHOWN_MAX).collect();
            format!("known are {} and others", shown.join(", "))
        }
        None => format!("known are {}", known.join(", ")),
    }
}
