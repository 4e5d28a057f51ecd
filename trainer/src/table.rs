//! Tables of sentences: tab-separated, a header line, no quoting.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::{Error, Result};

/// Reads the table at `path`. Its header names `columns` in any order, and may name others. `parse` reads the fields of
/// each row, or says what is wrong with them. Blank lines are skipped.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::Table`] with the first line that is wrong, or for a table without
/// rows.
pub fn read_table<const N: usize, T>(
    path: &Path,
    columns: [&str; N],
    mut parse: impl FnMut([&str; N]) -> Result<T, String>,
) -> Result<Vec<T>> {
    let mut places = None;
    let mut rows = Vec::new();
    let mut last = 1;
    each_line(path, &mut |number, line| {
        last = number;
        let fields: Vec<&str> = line.split('\t').collect();
        match places {
            None => places = Some(locate(&fields, columns)?),
            Some(places) => rows.push(parse(pick(&fields, places)?)?),
        }
        Ok(true)
    })?;
    if rows.is_empty() {
        let reason = format!("no rows in it: expected a header with {} and a row a line", columns.join(", "));
        return Err(Error::Table { path: path.to_owned(), line: last, reason });
    }
    Ok(rows)
}

/// The names of the columns of the table at `path`.
///
/// # Errors
/// As [`read_table`].
pub fn read_header(path: &Path) -> Result<Vec<String>> {
    let mut header = Vec::new();
    each_line(path, &mut |_, line| {
        header = line.split('\t').map(|name| name.trim().to_owned()).collect();
        Ok(false)
    })?;
    Ok(header)
}

/// Calls `visit` with every line that is not blank and its number, until it says to stop.
fn each_line(path: &Path, visit: &mut dyn FnMut(usize, &str) -> Result<bool, String>) -> Result<()> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(io)?);
    let mut bytes = Vec::new();
    let mut line = 0;
    loop {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(io)? == 0 {
            return Ok(());
        }
        line += 1;
        let fault = |reason: String| Error::Table { path: path.to_owned(), line, reason };
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| fault(format!("not UTF-8 after {} bytes", error.valid_up_to())))?;
        let text = text.trim_end_matches(['\n', '\r']).trim_start_matches('\u{feff}');
        if !text.trim().is_empty() && !visit(line, text).map_err(fault)? {
            return Ok(());
        }
    }
}

fn locate<const N: usize>(header: &[&str], columns: [&str; N]) -> Result<[usize; N], String> {
    let mut places = [0; N];
    for (place, name) in places.iter_mut().zip(columns) {
        let mut named = (0..header.len()).filter(|place| header[*place].trim() == name);
        *place = named.next().ok_or_else(|| {
            format!("the header lacks the column {name}: expected tab-separated {}", columns.join(", "))
        })?;
        if named.next().is_some() {
            return Err(format!("the header names the column {name} twice: rename one of them"));
        }
    }
    Ok(places)
}

fn pick<'a, const N: usize>(fields: &[&'a str], places: [usize; N]) -> Result<[&'a str; N], String> {
    match places.iter().all(|place| *place < fields.len()) {
        true => Ok(places.map(|place| fields[place])),
        false => Err(format!("{} fields, fewer than the header promises", fields.len())),
    }
}
