//! Reads values out of a parsed file and keeps every error with its place.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::values;

/// Something wrong in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// All that is wrong with a file, in the order of places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// The known name that is nearest to one that is not, if it is near.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&name.to_ascii_lowercase(), k), k))
        .filter(|(distance, k)| *distance <= 1 + k.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

/// A value with its place.
pub(super) type Value<'s> = Spanned<DeValue<'s>>;
/// A key with its place.
pub(super) type Key<'s> = Spanned<DeString<'s>>;

/// The file's text and what was found wrong with it.
pub(super) struct Reader<'s> {
    file: &'s str,
    source: &'s str,
    faults: Vec<(Range<usize>, String)>,
    /// The syntax was wrong somewhere: values may have been made up in place of what could not be read.
    mended: bool,
}

impl<'s> Reader<'s> {
    pub(super) fn new(file: &'s str, source: &'s str) -> Self {
        Self { file, source, faults: Vec::new(), mended: false }
    }

    /// Parses the text; a fault of syntax is kept, and what could be read is returned all the same.
    pub(super) fn document(&mut self) -> Spanned<DeTable<'s>> {
        let (table, errors) = DeTable::parse_recoverable(self.source);
        let mut line = None;
        for error in errors {
            let at = error.span().unwrap_or_default();
            // What else is odd in that line follows from the first.
            let this = self.place(at.start).0;
            if line.replace(this) != Some(this) {
                self.fault(at, error.message().to_owned());
            }
            self.mended = true;
        }
        table
    }

    pub(super) fn fault(&mut self, at: Range<usize>, message: impl Into<String>) {
        // A value that was made up lies nowhere; what stands in its place was told.
        if !(self.mended && at.is_empty()) {
            self.faults.push((at, message.into()));
        }
    }

    /// Whether nothing was wrong so far.
    pub(super) fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    pub(super) fn finish(mut self) -> Faults {
        self.faults.sort_by_key(|(at, _)| at.start);
        let faults = self.faults.iter().map(|(at, message)| {
            let (line, column) = self.place(at.start);
            Fault { file: self.file.to_owned(), line, column, message: message.clone() }
        });
        Faults(faults.collect())
    }

    /// Line and column of an offset, both from 1.
    fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.source.get(..offset).unwrap_or(self.source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// A key that is not known here.
    pub(super) fn unknown<'k>(
        &mut self,
        key: &Key<'_>,
        place: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        let name = key.get_ref();
        let known: Vec<&str> = known.into_iter().collect();
        let hint = match (nearest(name, known.iter().copied()), known.as_slice()) {
            (Some(near), _) => format!("; did you mean {near:?}?"),
            (None, []) => "; this version knows no keys there".to_owned(),
            (None, known) if known.len() <= 12 => format!("; known: {}", known.join(", ")),
            (None, _) => String::new(),
        };
        self.fault(key.span(), format!("unknown key {name:?} in {place}{hint}"));
    }

    /// The wrong type or form.
    pub(super) fn expected(&mut self, value: &Value<'_>, what: &str) {
        let found = match value.get_ref() {
            DeValue::String(text) => format!("{text:?}"),
            DeValue::Integer(number) => number.to_string(),
            other => format!("a value of type {}", other.type_str()),
        };
        self.fault(value.span(), format!("expected {what}, found {found}"));
    }

    pub(super) fn table<'v>(
        &mut self,
        value: &'v Value<'s>,
        what: &str,
    ) -> Option<&'v DeTable<'s>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.expected(value, what);
        }
        table
    }

    pub(super) fn string<'v>(&mut self, value: &'v Value<'_>, what: &str) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.expected(value, what);
        }
        text
    }

    /// A string that is not empty and is shown on lines, so it holds no control characters.
    pub(super) fn name(&mut self, value: &Value<'_>) -> Option<String> {
        let text = self.string(value, "a name in quotation marks")?;
        if text.is_empty() || text.len() > 200 || text.chars().any(char::is_control) {
            self.expected(value, "a name of 1 to 200 bytes without control characters");
            return None;
        }
        Some(text.to_owned())
    }

    pub(super) fn boolean(&mut self, value: &Value<'_>) -> Option<bool> {
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.expected(value, "true or false");
        }
        found
    }

    pub(super) fn number(
        &mut self,
        value: &Value<'_>,
        range: Range<u64>,
        what: &str,
    ) -> Option<u64> {
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        match number.filter(|n| range.contains(n)) {
            Some(n) => Some(n),
            None => {
                self.expected(value, what);
                None
            }
        }
    }

    pub(super) fn span(&mut self, value: &Value<'_>) -> Option<u64> {
        let span = value.get_ref().as_str().and_then(values::span);
        if span.is_none() {
            self.expected(value, "a span of time such as \"10m\" (us, ms, s, m, h, d)");
        }
        span
    }

    pub(super) fn size(&mut self, value: &Value<'_>) -> Option<u64> {
        let size = value.get_ref().as_str().and_then(values::size);
        if size.is_none() {
            self.expected(value, "a size such as \"64MiB\" (B, KiB, MiB, GiB)");
        }
        size
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&mut self, value: &Value<'_>, words: &[(T, &str)]) -> Option<T> {
        let list =
            || words.iter().map(|(_, word)| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        let text = match value.get_ref().as_str() {
            Some(text) => text,
            None => {
                self.expected(value, &format!("one of {}", list()));
                return None;
            }
        };
        let found = words.iter().find(|(_, word)| *word == text).map(|(meaning, _)| *meaning);
        if found.is_none() {
            let hint = match nearest(text, words.iter().map(|(_, word)| *word)) {
                Some(near) => format!("; did you mean {near:?}?"),
                None => String::new(),
            };
            self.fault(value.span(), format!("expected one of {}, found {text:?}{hint}", list()));
        }
        found
    }

    /// A list, each item by `item`; a bad item is a fault and left out.
    pub(super) fn list<T>(
        &mut self,
        value: &Value<'s>,
        what: &str,
        mut item: impl FnMut(&mut Self, &Value<'s>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(array) = value.get_ref().as_array() else {
            self.expected(value, what);
            return None;
        };
        Some(array.iter().filter_map(|value| item(self, value)).collect())
    }

    pub(super) fn net(&mut self, value: &Value<'_>) -> Option<values::Net> {
        let text = self.string(value, "an address or a network in quotation marks")?;
        match values::Net::parse(text) {
            Ok(net) => Some(net),
            Err(message) => {
                self.fault(value.span(), message);
                None
            }
        }
    }
}
