//! Files of pairs that belong together: an anchor and its positive, perhaps with negatives, as ranking, distillation of
//! margins and translations have them.

use std::borrow::Cow;
use std::path::Path;

use crate::Result;
use crate::table::{Row, read_header, read_rows};

/// Columns that an anchor is looked for in: the first that there is.
pub const ANCHORS: [&str; 10] =
    ["anchor", "query", "question", "source", "english", "premise", "text1", "sentence1", "sentence", "text"];

/// Columns that a positive is looked for in: the first that there is.
pub const POSITIVES: [&str; 13] = [
    "positive",
    "pos",
    "answer",
    "passage",
    "document",
    "context",
    "translation",
    "non_english",
    "target",
    "hypothesis",
    "text2",
    "sentence2",
    "response",
];

/// Two texts that belong together, such as a question and its answer, and texts that do not belong to the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchored {
    /// The first text.
    pub anchor: String,
    /// What belongs to it.
    pub positive: String,
    /// What does not, though it looks so.
    pub negatives: Vec<String>,
}

/// Reads the pairs of the table at `path`. The anchor is in a column of [`ANCHORS`], the positive in one of [`POSITIVES`],
/// negatives in `negative`, `neg`, `negatives`, or `negative_1` and so on. In JSON positives and negatives may be lists:
/// each positive is a pair of its own.
///
/// # Errors
/// As [`read_table`](crate::table::read_table). A table whose rows have a label or a score is refused: it has pairs that do
/// not belong together.
pub fn read_anchored(path: &Path) -> Result<Vec<Anchored>> {
    let expected = "anchor, positive";
    let rows = read_rows(
        path,
        expected,
        |header| names(header.iter().map(String::as_str)).map(drop),
        |row| {
            let columns = row.columns();
            let (anchor, positive) = names(columns.iter().copied())?;
            let anchor = filled(row.text(anchor)?, anchor)?;
            let positives = row.texts(positive)?;
            if positives.is_empty() {
                return Err(format!("the {positive} is empty"));
            }
            let negatives = negatives(row, &columns)?;
            let pair = |positive: Cow<'_, str>| {
                let positive = filled(positive, "positive")?;
                Ok(Anchored { anchor: anchor.clone(), positive, negatives: negatives.clone() })
            };
            positives.into_iter().map(pair).collect::<Result<Vec<_>, String>>()
        },
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// An anchor, its positive and a negative, and by how much a teacher finds the positive closer.
#[derive(Debug, Clone, PartialEq)]
pub struct Margin {
    /// Anchor, positive and negative.
    pub texts: [String; 3],
    /// The score of the positive less that of the negative; none where the table has no margins.
    pub margin: Option<f64>,
}

/// Columns that a margin is looked for in.
const MARGINS: [&str; 3] = ["margin", "label", "score"];

/// Whether the table at `path` has margins.
///
/// # Errors
/// As [`read_table`](crate::table::read_table).
pub fn has_margins(path: &Path) -> Result<bool> {
    Ok(read_header(path)?.iter().any(|name| MARGINS.contains(&name.as_str())))
}

/// Reads the table at `path` as [`read_anchored`] does, a row for each negative. Where there is a column `margin`, `label`
/// or `score`, it has the margin of each row, which then has one negative.
///
/// # Errors
/// As [`read_anchored`], and for a row without a negative.
pub fn read_margins(path: &Path) -> Result<Vec<Margin>> {
    let expected = "anchor, positive, negative";
    let check = |header: &[String]| pair_names(header.iter().map(String::as_str)).map(drop);
    let rows = read_rows(path, expected, check, |row| {
        let columns = row.columns();
        let (anchor, positive) = pair_names(columns.iter().copied())?;
        let [anchor, positive] = [filled(row.text(anchor)?, anchor)?, filled(row.text(positive)?, positive)?];
        let negatives = negatives(row, &columns)?;
        let column = MARGINS.into_iter().find(|name| columns.contains(name));
        let margin = column.map(|name| number(&row.text(name)?, name)).transpose()?;
        match negatives.len() {
            0 => return Err("there is no negative: expected a column negative".to_owned()),
            1 => {}
            many if margin.is_some() => {
                return Err(format!("one margin for {many} negatives: give each a row"));
            }
            _ => {}
        }
        let each = |negative| Margin { texts: [anchor.clone(), positive.clone(), negative], margin };
        Ok(negatives.into_iter().map(each).collect::<Vec<_>>())
    })?;
    Ok(rows.into_iter().flatten().collect())
}

/// Reads the texts of the table at `path` that a student learns from a teacher: each row has one text, in a column of
/// [`ANCHORS`], and may have its translation, in a column of [`POSITIVES`].
///
/// # Errors
/// As [`read_anchored`].
pub fn read_translations(path: &Path) -> Result<Vec<(String, Option<String>)>> {
    let source = |columns: &[&str]| first(&ANCHORS, columns).ok_or_else(|| lacks("text", &ANCHORS));
    let check = |header: &[String]| source(&header.iter().map(String::as_str).collect::<Vec<_>>()).map(drop);
    read_rows(path, "sentence, or source and translation", check, |row| {
        let columns = row.columns();
        let name = source(&columns)?;
        let text = filled(row.text(name)?, name)?;
        let translation = first(&POSITIVES, &columns).map(|name| row.text(name)).transpose()?;
        Ok((text, translation.filter(|text| !text.trim().is_empty()).map(Cow::into_owned)))
    })
}

/// The columns of anchor and positive, in a table of nothing but pairs that belong together.
fn names<'a>(columns: impl Iterator<Item = &'a str>) -> Result<(&'static str, &'static str), String> {
    let columns: Vec<&str> = columns.collect();
    let mixed = ["label", "score"].into_iter().find(|name| columns.contains(name));
    if let Some(mixed) = mixed {
        return Err(format!(
            "the column {mixed} tells that some pairs do not belong together, and here all must: keep those that do, \
             without it"
        ));
    }
    pair_names(columns.into_iter())
}

fn pair_names<'a>(columns: impl Iterator<Item = &'a str>) -> Result<(&'static str, &'static str), String> {
    let columns: Vec<&str> = columns.collect();
    let anchor = first(&ANCHORS, &columns).ok_or_else(|| lacks("anchor", &ANCHORS))?;
    Ok((anchor, first(&POSITIVES, &columns).ok_or_else(|| lacks("positive", &POSITIVES))?))
}

fn first(known: &[&'static str], columns: &[&str]) -> Option<&'static str> {
    known.iter().copied().find(|name| columns.contains(name))
}

fn lacks(what: &str, known: &[&str]) -> String {
    format!("there is no column for the {what}: expected one of {}", known.join(", "))
}

/// The negatives of a row, in the order of its columns.
fn negatives(row: Row<'_>, columns: &[&str]) -> Result<Vec<String>, String> {
    let is_negative = |name: &str| {
        let rest = name.strip_prefix("negative").or_else(|| name.strip_prefix("neg"));
        rest.is_some_and(|rest| {
            rest == "s" || rest.trim_start_matches('_').chars().all(|c| c.is_ascii_digit())
        })
    };
    let mut negatives = Vec::new();
    for name in columns.iter().filter(|name| is_negative(name)) {
        negatives.extend(row.texts(name)?.into_iter().map(Cow::into_owned));
    }
    Ok(negatives)
}

fn filled(text: Cow<'_, str>, column: &str) -> Result<String, String> {
    match text.trim().is_empty() {
        true => Err(format!("the {column} is empty")),
        false => Ok(text.into_owned()),
    }
}

fn number(text: &str, column: &str) -> Result<f64, String> {
    let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("the {column} \"{text}\" is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn written(name: &str, content: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    fn read(name: &str, content: &str) -> Result<Vec<Anchored>> {
        read_anchored(&written(name, content).1)
    }

    fn anchored(anchor: &str, positive: &str, negatives: &[&str]) -> Anchored {
        let negatives = negatives.iter().map(|text| (*text).to_owned()).collect();
        Anchored { anchor: anchor.into(), positive: positive.into(), negatives }
    }

    #[track_caller]
    fn fault<T: std::fmt::Debug>(result: Result<T>) -> (usize, String) {
        match result {
            Err(Error::Table { line, reason, .. }) => (line, reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pairs_are_found_under_the_names_that_people_give_them() {
        for header in [
            "anchor,positive",
            "query,answer",
            "question,context",
            "premise,hypothesis",
            "sentence1,sentence2",
        ] {
            assert_eq!(
                read("x.csv", &format!("{header}\na,b\n")).unwrap(),
                [anchored("a", "b", &[])],
                "{header}"
            );
        }
        let rows = "anchor\tpositive\tnegative_1\tnegative_2\na\tb\tc\td\ne\tf\t\tg\n";
        assert_eq!(
            read("x.tsv", rows).unwrap(),
            [anchored("a", "b", &["c", "d"]), anchored("e", "f", &["g"])]
        );
        let lists = "{\"query\":\"q\",\"pos\":[\"p\",\"r\"],\"neg\":[\"n\",\"m\"],\"negation\":1}\n";
        assert_eq!(
            read("x.jsonl", lists).unwrap(),
            [anchored("q", "p", &["n", "m"]), anchored("q", "r", &["n", "m"])]
        );
    }

    #[test]
    fn pairs_that_may_not_belong_together_are_refused() {
        let (line, reason) = fault(read("x.tsv", "score\tsentence1\tsentence2\n5\ta\tb\n"));
        assert!(line == 1 && reason.contains("the column score"), "{reason}");
        let (line, reason) = fault(read("x.tsv", "anchor\tpositive\na\tb\n \tc\n"));
        assert_eq!((line, reason.as_str()), (3, "the anchor is empty"));
        assert!(fault(read("x.tsv", "anchor\tother\na\tb\n")).1.contains("no column for the positive"));
        assert!(fault(read("x.jsonl", "{\"query\":\"q\",\"pos\":[]}\n")).1.contains("pos is empty"));
    }

    #[test]
    fn a_margin_is_of_one_negative_and_else_left_to_a_teacher() {
        let (_folder, path) = written("x.csv", "query,positive,negative,score\nq,p,n,1.5\n");
        let rows = read_margins(&path).unwrap();
        assert_eq!((rows[0].texts[2].as_str(), rows[0].margin), ("n", Some(1.5)));
        let (_folder, path) =
            written("x.jsonl", "{\"query\":\"q\",\"positive\":\"p\",\"neg\":[\"n\",\"m\"]}\n");
        assert_eq!(read_margins(&path).unwrap().iter().filter(|row| row.margin.is_none()).count(), 2);
        let (_folder, path) = written("x.tsv", "query\tpositive\nq\tp\n");
        assert!(fault(read_margins(&path)).1.contains("no negative"));
    }

    #[test]
    fn translations_may_be_missing() {
        let (_folder, path) = written("x.tsv", "english\tnon_english\na dog\tein Hund\na cat\t\n");
        let expected = [("a dog".to_owned(), Some("ein Hund".to_owned())), ("a cat".to_owned(), None)];
        assert_eq!(read_translations(&path).unwrap(), expected);
        let (_folder, path) = written("x.tsv", "sentence\na dog\n");
        assert_eq!(read_translations(&path).unwrap(), [("a dog".to_owned(), None)]);
    }
}
