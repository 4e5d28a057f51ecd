//! Files of sentence pairs, with scores or labels, and of triplets: what encoders are trained on and evaluated with.

use std::path::Path;

use crate::Result;
use crate::table::{read_header, read_table};

/// Two sentences and how alike people found them.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredPair {
    /// The similarity that people gave, in any range.
    pub score: f64,
    /// The one sentence.
    pub sentence1: String,
    /// The other.
    pub sentence2: String,
}

/// Two sentences and the label of their relation, as in natural language inference.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledPair {
    /// The name of the class.
    pub label: String,
    /// The one sentence.
    pub sentence1: String,
    /// The other.
    pub sentence2: String,
}

/// A sentence, one that is closer to it in meaning, and one that is less close.
#[derive(Debug, Clone, PartialEq)]
pub struct Triplet {
    /// The sentence.
    pub anchor: String,
    /// The closer one.
    pub positive: String,
    /// The other one.
    pub negative: String,
}

/// Reads the pairs of the table at `path`, whose header names the columns `score`, `sentence1` and `sentence2` among
/// any others.
///
/// # Errors
/// As [`read_table`].
pub fn read_scored_pairs(path: &Path) -> Result<Vec<ScoredPair>> {
    read_scored_pairs_within(path, f64::NEG_INFINITY, f64::INFINITY)
}

/// The same, and every score must lie in `least..=most`.
///
/// # Errors
/// As [`read_table`].
pub fn read_scored_pairs_within(path: &Path, least: f64, most: f64) -> Result<Vec<ScoredPair>> {
    read_table(path, ["score", "sentence1", "sentence2"], |[score, sentence1, sentence2]| {
        let number = score.trim().parse().ok().filter(|number: &f64| number.is_finite());
        let number = number.ok_or_else(|| format!("the score \"{score}\" is not a number"))?;
        if !(least..=most).contains(&number) {
            return Err(format!("the score {number} is not within {least} to {most}"));
        }
        Ok(ScoredPair { score: number, sentence1: sentence1.into(), sentence2: sentence2.into() })
    })
}

/// Reads the pairs of the table at `path` that a cross-encoder learns from: by their `score`, within 0 to `most`, or where
/// the header names no such column by their `label`, which is 1 where the second text answers the first and 0 where it
/// does not. All scores come out within 0 to 1.
///
/// # Errors
/// As [`read_table`].
pub fn read_relevant_pairs(path: &Path, most: f64) -> Result<Vec<ScoredPair>> {
    let header = read_header(path)?;
    let has = |name: &str| header.iter().any(|column| column == name);
    if has("score") || !has("label") {
        let mut pairs = read_scored_pairs_within(path, 0.0, most)?;
        pairs.iter_mut().for_each(|pair| pair.score /= most);
        return Ok(pairs);
    }
    read_table(path, ["label", "sentence1", "sentence2"], |[label, sentence1, sentence2]| {
        let number = label.trim().parse().ok().filter(|number| (0.0..=1.0).contains(number));
        let score = number.ok_or_else(|| format!("the label \"{label}\" is not a number from 0 to 1"))?;
        Ok(ScoredPair { score, sentence1: sentence1.into(), sentence2: sentence2.into() })
    })
}

/// Reads the pairs of the table at `path`, whose header names the columns `label`, `sentence1` and `sentence2` among
/// any others. With `labels`, any other label is refused.
///
/// # Errors
/// As [`read_table`].
pub fn read_labelled_pairs(path: &Path, labels: Option<&[String]>) -> Result<Vec<LabelledPair>> {
    read_table(path, ["label", "sentence1", "sentence2"], |[label, sentence1, sentence2]| {
        let label = label.trim();
        if label.is_empty() {
            return Err("the label is empty".into());
        }
        if let Some(labels) = labels.filter(|labels| !labels.iter().any(|known| known == label)) {
            return Err(format!("the label {label:?} is none of {}", labels.join(", ")));
        }
        Ok(LabelledPair { label: label.into(), sentence1: sentence1.into(), sentence2: sentence2.into() })
    })
}

/// Reads the triplets of the table at `path`, whose header names the columns `anchor`, `positive` and `negative` among
/// any others.
///
/// # Errors
/// As [`read_table`].
pub fn read_triplets(path: &Path) -> Result<Vec<Triplet>> {
    read_table(path, ["anchor", "positive", "negative"], |[anchor, positive, negative]| {
        Ok(Triplet { anchor: anchor.into(), positive: positive.into(), negative: negative.into() })
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::Error;

    fn written(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn read(content: &[u8]) -> Result<Vec<ScoredPair>> {
        read_scored_pairs(written(content).path())
    }

    #[track_caller]
    fn fault<T: std::fmt::Debug>(result: Result<T>) -> (usize, String) {
        match result {
            Err(Error::Table { line, reason, .. }) => (line, reason),
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
        assert_eq!(fault(read(b"score\tsentence1\tsentence2\n1\ta\tb\nx\ta\tb\n")).0, 3);
        assert_eq!(fault(read(b"score\tsentence1\tsentence2\nNaN\ta\tb\n")).0, 2);
        assert_eq!(fault(read(b"score\tsentence1\tsentence2\n\n1\ta\n")).0, 3);
        assert_eq!(fault(read(b"score\tsentence1\tsentence2\n1\ta\t\xff\n")).0, 2);
    }

    #[test]
    fn a_header_without_a_column_is_refused_by_its_name() {
        let (line, reason) = fault(read(b"score\tsentence1\tother\n1\ta\tb\n"));
        assert_eq!(line, 1);
        assert!(reason.contains("sentence2"), "{reason}");
        let (line, reason) = fault(read_triplets(written(b"anchor\tpositive\na\tb\n").path()));
        assert_eq!(line, 1);
        assert!(reason.contains("negative"), "{reason}");
    }

    #[test]
    fn a_file_without_pairs_is_refused() {
        assert!(fault(read(b"")).1.contains("no rows"));
        assert!(fault(read(b"score\tsentence1\tsentence2\n")).1.contains("no rows"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read_scored_pairs(Path::new("no/such/pairs.tsv")).unwrap_err();
        assert!(error.to_string().contains("no/such/pairs.tsv"), "{error}");
    }

    #[test]
    fn scores_and_labels_out_of_range_are_refused_with_their_line() {
        let file = written(b"score\tlabel\tsentence1\tsentence2\n5\tyes\ta\tb\n5.1\tmaybe\ta\tb\n");
        let (line, reason) = fault(read_scored_pairs_within(file.path(), 0.0, 5.0));
        assert_eq!((line, reason.contains("5.1")), (3, true));
        let (line, reason) = fault(read_relevant_pairs(file.path(), 5.0));
        assert_eq!((line, reason.contains("5.1")), (3, true));
        let labels = ["no".to_owned(), "yes".to_owned()];
        let (line, reason) = fault(read_labelled_pairs(file.path(), Some(&labels)));
        assert_eq!((line, reason.contains("maybe")), (3, true));
        assert_eq!(read_labelled_pairs(file.path(), None).unwrap()[1].label, "maybe");
    }

    #[test]
    fn a_cross_encoder_learns_from_scores_and_else_from_labels_of_0_and_1() {
        let scores = |content: &[u8], most| -> Vec<f64> {
            let pairs = read_relevant_pairs(written(content).path(), most).unwrap();
            pairs.iter().map(|pair| pair.score).collect()
        };
        let both = b"label\tsentence1\tscore\tsentence2\nx\ta\t4\tb\nx\ta\t1\tc\n";
        assert_eq!(scores(both, 4.0), [1.0, 0.25]);
        let labels = b"label\tsentence1\tsentence2\n1\ta\tb\n0\ta\tc\n0.75\ta\td\n";
        assert_eq!(scores(labels, 5.0), [1.0, 0.0, 0.75]);
        for label in ["2", "yes", "", "NaN", "-1"] {
            let file = written(format!("label\tsentence1\tsentence2\n{label}\ta\tb\n").as_bytes());
            let (line, reason) = fault(read_relevant_pairs(file.path(), 5.0));
            assert_eq!((line, reason.contains("from 0 to 1")), (2, true), "{reason}");
        }
        let (line, reason) = fault(read_relevant_pairs(written(b"sentence1\tsentence2\na\tb\n").path(), 5.0));
        assert_eq!((line, reason.contains("score")), (1, true));
    }
}
