//! Files of sentence pairs: tab-separated, a header line, no quoting.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::{Error, Result};

/// Two sentences and how alike people found them.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredPair {
    /// The similarity people gave; only its order and proportions matter, not its range.
    pub score: f64,
    /// The one sentence.
    pub sentence1: String,
    /// The other.
    pub sentence2: String,
}

/// The columns that a file must have, in any order and among others.
const COLUMNS: [&str; 3] = ["score", "sentence1", "sentence2"];

/// Reads the pairs of the file at `path`, whose header names the columns `score`, `sentence1` and
/// `sentence2` among any others. Blank lines are passed over.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::Pairs`] with the line that is not as it
/// should be; a file without pairs is refused.
pub fn read_scored_pairs(path: &Path) -> Result<Vec<ScoredPair>> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(io)?);
    let mut bytes = Vec::new();
    let mut number = 0;
    let mut columns = None;
    let mut pairs = Vec::new();
    loop {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(io)? == 0 {
            break;
        }
        number += 1;
        let fault = |reason: String| Error::Pairs { path: path.to_owned(), line: number, reason };
        let line = std::str::from_utf8(&bytes)
            .map_err(|error| fault(format!("not UTF-8 after {} bytes", error.valid_up_to())))?;
        let line = line.trim_end_matches(['\n', '\r']).trim_start_matches('\u{feff}');
        if line.trim().is_empty() {
            continue;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        match columns {
            None => columns = Some(locate_columns(&fields).map_err(fault)?),
            Some(columns) => pairs.push(parse_pair(&fields, columns).map_err(fault)?),
        }
    }
    if pairs.is_empty() {
        let reason =
            format!("no pairs in it: expected a header with {} and a pair a line", COLUMNS.join(", "));
        return Err(Error::Pairs { path: path.to_owned(), line: number.max(1), reason });
    }
    Ok(pairs)
}

fn locate_columns(header: &[&str]) -> Result<[usize; 3], String> {
    let mut found = [0; 3];
    for (column, name) in found.iter_mut().zip(COLUMNS) {
        *column = header.iter().position(|field| field.trim() == name).ok_or_else(|| {
            format!("the header lacks the column {name}: expected tab-separated {}", COLUMNS.join(", "))
        })?;
    }
    Ok(found)
}

fn parse_pair(fields: &[&str], columns: [usize; 3]) -> Result<ScoredPair, String> {
    let [score, sentence1, sentence2] = columns.map(|column| fields.get(column).copied());
    let (Some(score), Some(sentence1), Some(sentence2)) = (score, sentence1, sentence2) else {
        return Err(format!("{} fields, fewer than the header promises", fields.len()));
    };
    let number = score.trim().parse().ok().filter(|number: &f64| number.is_finite());
    Ok(ScoredPair {
        score: number.ok_or_else(|| format!("the score \"{score}\" is not a number"))?,
        sentence1: sentence1.to_owned(),
        sentence2: sentence2.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(content: &[u8]) -> Result<Vec<ScoredPair>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        read_scored_pairs(file.path())
    }

    fn fault(content: &[u8]) -> (usize, String) {
        match read(content) {
            Err(Error::Pairs { line, reason, .. }) => (line, reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn columns_are_found_by_name_among_others() {
        let pairs = read(
            "\u{feff}sentence2\tlabel\tscore\tsentence1\r\nein Hund\tx\t4.5\ta \"dog\"\r\n\r\n".as_bytes(),
        );
        let expected = ScoredPair { score: 4.5, sentence1: "a \"dog\"".into(), sentence2: "ein Hund".into() };
        assert_eq!(pairs.unwrap(), [expected]);
    }

    #[test]
    fn a_fault_names_its_line() {
        assert_eq!(fault(b"score\tsentence1\tsentence2\n1\ta\tb\nx\ta\tb\n").0, 3);
        assert_eq!(fault(b"score\tsentence1\tsentence2\nNaN\ta\tb\n").0, 2);
        assert_eq!(fault(b"score\tsentence1\tsentence2\n\n1\ta\n").0, 3);
        assert_eq!(fault(b"score\tsentence1\tsentence2\n1\ta\t\xff\n").0, 2);
    }

    #[test]
    fn a_header_without_a_column_is_refused_by_its_name() {
        let (line, reason) = fault(b"score\tsentence1\tother\n1\ta\tb\n");
        assert_eq!(line, 1);
        assert!(reason.contains("sentence2"), "{reason}");
    }

    #[test]
    fn a_file_without_pairs_is_refused() {
        assert!(fault(b"").1.contains("no pairs"));
        assert!(fault(b"score\tsentence1\tsentence2\n").1.contains("no pairs"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read_scored_pairs(Path::new("no/such/pairs.tsv")).unwrap_err();
        assert!(error.to_string().contains("no/such/pairs.tsv"), "{error}");
    }
}
