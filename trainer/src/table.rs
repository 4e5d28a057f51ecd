//! Files of sentences, row by row: tab-separated without quoting, or a JSON object a line (`.jsonl`, `.ndjson`, `.json`).
//! Pairs that belong together may be comma-separated too (`.csv`). Rows name their columns.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Map, Value};

use crate::{Error, Result};

/// One row, whose fields are found by the names of their columns.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// The fields of a line, in the order of the header.
    Fields {
        /// The names of the columns.
        header: &'a [String],
        /// The fields. There may be fewer than columns.
        fields: &'a [Cow<'a, str>],
    },
    /// A JSON object.
    Object(&'a Map<String, Value>),
}

impl<'a> Row<'a> {
    /// The names of its columns.
    pub fn columns(self) -> Vec<&'a str> {
        match self {
            Self::Fields { header, .. } => header.iter().map(String::as_str).collect(),
            Self::Object(object) => object.keys().map(String::as_str).collect(),
        }
    }

    /// The text in a column.
    ///
    /// # Errors
    /// What is wrong where the row has no such field, or one that is not a text or a number.
    pub fn text(self, column: &str) -> Result<Cow<'a, str>, String> {
        match self {
            Self::Fields { header, fields } => {
                let place = header.iter().position(|name| name == column);
                let place = place.ok_or_else(|| format!("the column {column} is missing"))?;
                let field = fields
                    .get(place)
                    .ok_or_else(|| format!("{} fields, fewer than the header promises", fields.len()))?;
                Ok(field.clone())
            }
            Self::Object(object) => {
                let value = object.get(column).ok_or_else(|| format!("the field {column} is missing"))?;
                scalar(value).ok_or_else(|| format!("the field {column} is no text"))
            }
        }
    }

    /// The texts in a column: all of a JSON list, or the one text. Empty fields of a table hold none.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn texts(self, column: &str) -> Result<Vec<Cow<'a, str>>, String> {
        if let Self::Object(object) = self
            && let Some(Value::Array(values)) = object.get(column)
        {
            let texts = values.iter().map(scalar).collect::<Option<Vec<_>>>();
            return texts.ok_or_else(|| format!("the list {column} holds something that is no text"));
        }
        let text = self.text(column)?;
        Ok(if text.trim().is_empty() { Vec::new() } else { vec![text] })
    }
}

/// A JSON text, or a number or truth value as one writes it.
fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(_) | Value::Bool(_) => Some(Cow::Owned(value.to_string())),
        _ => None,
    }
}

/// Reads the table at `path`, tab-separated or JSON. Its header names `columns` in any order, and may name others. `parse`
/// reads the fields of each row, or says what is wrong with them. Blank lines are skipped.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::Table`] with the first line that is wrong, or for a table without
/// rows.
pub fn read_table<const N: usize, T>(
    path: &Path,
    columns: [&str; N],
    mut parse: impl FnMut([&str; N]) -> Result<T, String>,
) -> Result<Vec<T>> {
    let check = |header: &[String]| columns.iter().try_for_each(|name| require(header, name, &columns));
    collect_rows(path, Commas::AsText, &columns.join(", "), check, |row| {
        let mut fields = [const { Cow::Borrowed("") }; N];
        for (field, name) in fields.iter_mut().zip(columns) {
            *field = row.text(name)?;
        }
        parse(fields.each_ref().map(|field| field.as_ref()))
    })
}

/// Reads the rows of the table at `path`, tab-separated, comma-separated or JSON, in which `expected` is asked for. `check`
/// sees the header of a file that has one, before any row.
///
/// # Errors
/// As [`read_table`].
pub fn read_rows<T>(
    path: &Path,
    expected: &str,
    check: impl FnOnce(&[String]) -> Result<(), String>,
    parse: impl FnMut(Row<'_>) -> Result<T, String>,
) -> Result<Vec<T>> {
    collect_rows(path, Commas::Separate, expected, check, parse)
}

/// What commas are in a file whose name ends in `.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Commas {
    Separate,
    AsText,
}

fn collect_rows<T>(
    path: &Path,
    commas: Commas,
    expected: &str,
    check: impl FnOnce(&[String]) -> Result<(), String>,
    mut parse: impl FnMut(Row<'_>) -> Result<T, String>,
) -> Result<Vec<T>> {
    let mut rows = Vec::new();
    let mut check = Some(check);
    let last = each_row(
        path,
        commas,
        &mut |header| check.take().map_or(Ok(()), |check| check(header)),
        &mut |row| {
            rows.push(parse(row)?);
            Ok(true)
        },
    )?;
    if rows.is_empty() {
        let reason = format!("no rows in it: expected a header with {expected} and a row a line");
        return Err(Error::Table { path: path.to_owned(), line: last, reason });
    }
    Ok(rows)
}

/// The names of the columns of the table at `path`; of JSON lines those of the first.
///
/// # Errors
/// As [`read_table`].
pub fn read_header(path: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if is_json(path) {
        each_row(path, Commas::Separate, &mut |_| Ok(()), &mut |row| {
            names = row.columns().into_iter().map(str::to_owned).collect();
            Ok(false)
        })?;
    } else {
        // A row after the header need not be right for this.
        let mut header = |found: &[String]| {
            // Of a file with tabs that is named .csv too.
            names =
                found.iter().flat_map(|name| name.split('\t')).map(|name| name.trim().to_owned()).collect();
            Ok(())
        };
        each_row(path, Commas::Separate, &mut header, &mut |_| Ok(false))?;
    }
    Ok(names)
}

/// Refuses a header that names no such column, or two.
fn require(header: &[String], name: &str, columns: &[&str]) -> Result<(), String> {
    match header.iter().filter(|known| *known == name).count() {
        1 => Ok(()),
        0 => {
            Err(format!("the header lacks the column {name}: expected tab-separated {}", columns.join(", ")))
        }
        _ => Err(format!("the header names the column {name} twice: rename one of them")),
    }
}

type OnHeader<'a> = dyn FnMut(&[String]) -> Result<(), String> + 'a;
type OnRow<'a> = dyn FnMut(Row<'_>) -> Result<bool, String> + 'a;

/// Shows the header of a table and its rows, until one is enough, and returns the number of the last line read.
fn each_row(
    path: &Path,
    commas: Commas,
    on_header: &mut OnHeader<'_>,
    on_row: &mut OnRow<'_>,
) -> Result<usize> {
    if is_json(path) {
        return each_line(path, &mut |_, line| {
            let object = serde_json::from_str::<Map<String, Value>>(line);
            on_row(Row::Object(&object.map_err(|error| format!("no JSON object: {error}"))?))
        });
    }
    if commas == Commas::Separate && has_extension(path, &["csv"]) {
        return each_record(path, on_header, on_row);
    }
    let mut header: Option<Vec<String>> = None;
    each_line(path, &mut |_, line| {
        let Some(header) = &header else {
            let names: Vec<String> = line.split('\t').map(|name| name.trim().to_owned()).collect();
            on_header(&names)?;
            header = Some(names);
            return Ok(true);
        };
        let fields: Vec<Cow<'_, str>> = line.split('\t').map(Cow::Borrowed).collect();
        on_row(Row::Fields { header, fields: &fields })
    })
}

fn is_json(path: &Path) -> bool {
    has_extension(path, &["jsonl", "ndjson", "json"])
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| known.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// Shows the rows of a comma-separated file with quoting.
fn each_record(path: &Path, on_header: &mut OnHeader<'_>, on_row: &mut OnRow<'_>) -> Result<usize> {
    let file = File::open(path).map_err(|source| io(path, source))?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let mut record = csv::StringRecord::new();
    let mut header: Option<Vec<String>> = None;
    let mut last = 1;
    loop {
        let more = reader.read_record(&mut record).map_err(|error| {
            let line = error.position().map_or(last, |position| position.line() as usize);
            match error.into_kind() {
                csv::ErrorKind::Io(source) => io(path, source),
                csv::ErrorKind::Utf8 { err, .. } => fault(path, line, format!("not UTF-8: {err}")),
                _ => fault(path, line, "no comma-separated record".to_owned()),
            }
        })?;
        if !more {
            return Ok(last);
        }
        last = record.position().map_or(last, |position| position.line() as usize);
        if record.iter().all(|field| field.trim().is_empty()) {
            continue;
        }
        let Some(header) = &header else {
            let name = |name: &str| name.trim_start_matches('\u{feff}').trim().to_owned();
            let names: Vec<String> = record.iter().map(name).collect();
            on_header(&names).map_err(|reason| fault(path, last, reason))?;
            header = Some(names);
            continue;
        };
        let fields: Vec<Cow<'_, str>> = record.iter().map(Cow::Borrowed).collect();
        let row = Row::Fields { header, fields: &fields };
        if !on_row(row).map_err(|reason| fault(path, last, reason))? {
            return Ok(last);
        }
    }
}

/// Calls `visit` with every line that is not blank and its number, until it says to stop. Returns the number of the last
/// line that it saw.
fn each_line(path: &Path, visit: &mut dyn FnMut(usize, &str) -> Result<bool, String>) -> Result<usize> {
    let mut reader = BufReader::new(File::open(path).map_err(|source| io(path, source))?);
    let mut bytes = Vec::new();
    let (mut line, mut last) = (0, 1);
    loop {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(|source| io(path, source))? == 0 {
            return Ok(last);
        }
        line += 1;
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| fault(path, line, format!("not UTF-8 after {} bytes", error.valid_up_to())))?;
        let text = text.trim_end_matches(['\n', '\r']).trim_start_matches('\u{feff}');
        if !text.trim().is_empty() {
            last = line;
            if !visit(line, text).map_err(|reason| fault(path, line, reason))? {
                return Ok(last);
            }
        }
    }
}

fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io { action: "read", path: path.to_owned(), source }
}

fn fault(path: &Path, line: usize, reason: String) -> Error {
    Error::Table { path: path.to_owned(), line, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(name: &str, content: &str) -> Result<Vec<(String, String)>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let has_both =
            |header: &[String]| ["a", "b"].iter().try_for_each(|name| require(header, name, &["a", "b"]));
        read_rows(&path, "a, b", has_both, |row| {
            Ok((row.text("a")?.into_owned(), row.text("b")?.into_owned()))
        })
    }

    #[track_caller]
    fn fault_of(name: &str, content: &str) -> (usize, String) {
        match pairs(name, content) {
            Err(Error::Table { line, reason, .. }) => (line, reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_rows_are_read_from_tabs_commas_and_json() {
        let expected = [("1, \"x\"".to_owned(), "2".to_owned()), ("3".to_owned(), String::new())];
        let tabs = "b\tother\ta\n2\t\t1, \"x\"\n\n\t-\t3\n";
        let commas = "\u{feff}b,other,a\r\n2,,\"1, \"\"x\"\"\"\r\n\r\n,-,3\r\n";
        let json = "{\"a\":\"1, \\\"x\\\"\",\"b\":2}\n\n{\"b\":\"\",\"a\":\"3\",\"other\":[]}\n";
        for (name, content) in [("x.tsv", tabs), ("x", tabs), ("x.CSV", commas), ("x.jsonl", json)] {
            assert_eq!(pairs(name, content).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn a_fault_names_its_line_in_every_format() {
        assert_eq!(fault_of("x.csv", "a,b\n\"one\nline\",2\n3\n").0, 4);
        assert!(fault_of("x.csv", "a,c\n1,2\n").1.contains("lacks the column b"));
        assert_eq!(fault_of("x.jsonl", "{\"a\":\"1\",\"b\":\"2\"}\n\n[1]\n").0, 3);
        let (line, reason) = fault_of("x.jsonl", "{\"a\":\"1\",\"b\":{}}\n");
        assert_eq!((line, reason.as_str()), (1, "the field b is no text"));
        assert_eq!(fault_of("x.jsonl", "{\"a\":\"1\"}\n"), (1, "the field b is missing".to_owned()));
        assert!(fault_of("x.jsonl", "").1.contains("no rows"));
        assert!(fault_of("x.csv", "a,b\n").1.contains("no rows"));
    }

    #[test]
    fn commas_separate_only_where_pairs_belong_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        let error = read_table(&path, ["a", "b"], |_| Ok(())).unwrap_err().to_string();
        assert!(
            error.contains("x.csv:1: the header lacks the column a: expected tab-separated a, b"),
            "{error}"
        );
        std::fs::write(&path, "a\tb\n1\t2\n").unwrap();
        assert_eq!(read_table(&path, ["a", "b"], |[a, b]| Ok(format!("{a}{b}"))).unwrap(), ["12"]);
    }
}
