//! Prints figures: aligned for people, a JSON line a setting for programs.

use std::io::{self, Write};

use akin_trainer::retrieval::RetrievalResult;
use akin_trainer::significance::{Comparison, Interval, interval};
use anyhow::Context;
use serde_json::{Map, Value, json};

use super::setting::Setting;
use crate::commands::cli::passages_option;
use crate::commands::terminal::{Terminal, counted};

/// The figures of a setting.
pub struct Row {
    pub setting: Setting,
    pub result: RetrievalResult,
    pub against: Option<Against>,
}

/// Beside another setting.
pub struct Against {
    /// The other setting.
    pub setting: String,
    /// For each figure its mean there, and the comparison.
    pub figures: Vec<(f64, Comparison)>,
}

/// A JSON line a row.
pub fn print_json(rows: &[Row], missing: usize) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    for row in rows {
        writeln!(output, "{}", to_json(row, missing)).context("cannot write to stdout")?;
    }
    Ok(())
}

fn to_json(row: &Row, missing: usize) -> Value {
    let Row { setting, result, against } = row;
    let mut line = Map::new();
    line.insert("queries".into(), result.queries.into());
    line.insert("documents".into(), result.documents.into());
    let name = |name: &str| name.to_ascii_lowercase();
    line.extend(result.figures.iter().map(|figure| (name(&figure.name), figure.mean().into())));
    let intervals: Map<String, Value> =
        result.figures.iter().map(|figure| (name(&figure.name), bounds(interval(&figure.values)))).collect();
    line.insert("intervals".into(), intervals.into());
    line.insert("missing_documents".into(), missing.into());
    if setting.mode.is_some() {
        line.insert("mode".into(), setting.mode_name().into());
        if let Some(rerank) = &setting.rerank {
            line.insert("rerank".into(), rerank.as_str().into());
        }
        line.insert("passages".into(), passages_option(setting.passages).into());
    }
    if let Some(against) = against {
        let mut compared = Map::from_iter([("setting".into(), against.setting.clone().into())]);
        compared.extend(result.figures.iter().zip(&against.figures).map(|(figure, (mean, found))| {
            let Comparison { difference, interval, p, better, worse } = *found;
            let value = json!({ "mean": mean, "difference": difference, "interval": bounds(interval), "p": p, "better": better, "worse": worse });
            (name(&figure.name), value)
        }));
        line.insert("against".into(), compared.into());
    }
    line.into()
}

fn bounds(interval: Interval) -> Value {
    json!([interval.low, interval.high])
}

/// A line a figure for a model alone, a row a mode for an index.
pub fn print(rows: &[Row], terminal: &Terminal) -> anyhow::Result<()> {
    if let Some(Row { result, .. }) = rows.first() {
        terminal.note(format_args!(
            "{} among {}; in brackets the bounds of 95 % confidence",
            counted(result.queries, "query").replace("querys", "queries"),
            counted(result.documents, "document")
        ));
    }
    let mut text = match rows {
        [row] if row.setting.mode.is_none() => lines(row),
        rows => table(rows),
    };
    for row in rows {
        if let Some(against) = &row.against {
            text += &comparison(row, against);
        }
    }
    io::stdout().lock().write_all(text.as_bytes()).context("cannot write to stdout")
}

fn lines(row: &Row) -> String {
    let line = |figure: &akin_trainer::retrieval::Figure| {
        format!("{:11}  {:.4}  {}\n", figure.name, figure.mean(), brackets(interval(&figure.values)))
    };
    row.result.figures.iter().map(line).collect()
}

fn table(rows: &[Row]) -> String {
    let mut text = format!("{:8}", "mode");
    let figures = rows.first().map_or(&[][..], |row| &row.result.figures);
    figures.iter().for_each(|figure| text += &format!("  {:19}", figure.name));
    for row in rows {
        text.truncate(text.trim_end().len());
        text += &format!("\n{:8}", row.setting.mode_name());
        for figure in &row.result.figures {
            text += &format!("  {:.3} {}", figure.mean(), brackets(interval(&figure.values)));
        }
    }
    text + "\n"
}

/// How a setting differs from the other.
fn comparison(row: &Row, against: &Against) -> String {
    let mut text = format!("\n{} against {}\n", row.setting.mode_name(), against.setting);
    for (figure, (mean, found)) in row.result.figures.iter().zip(&against.figures) {
        let Comparison { difference, interval, p, better, worse } = *found;
        text += &format!(
            "{:11}  {:.4} - {mean:.4} = {difference:+.4} [{:+.4}, {:+.4}]  p {p:.4}  {better} better, {worse} worse\n",
            figure.name,
            figure.mean(),
            interval.low,
            interval.high,
        );
    }
    text
}

fn brackets(interval: Interval) -> String {
    format!("[{:.3}, {:.3}]", interval.low, interval.high)
}

#[cfg(test)]
mod tests {
    use akin_index::PassageSize;
    use akin_query::Mode;
    use akin_trainer::retrieval::Figure;
    use akin_trainer::significance::compare;

    use super::*;

    fn row(mode: Option<Mode>, values: &[f64]) -> Row {
        let figures = vec![Figure { name: "nDCG@10".into(), values: values.to_vec() }];
        let result = RetrievalResult { queries: values.len(), documents: 9, figures, truncated: 0 };
        Row {
            setting: Setting { model: "m".into(), mode, passages: PassageSize::Window, rerank: None },
            result,
            against: None,
        }
    }

    #[test]
    fn a_model_alone_has_a_line_a_figure_and_modes_have_a_row_each() {
        assert_eq!(lines(&row(None, &[0.5, 0.5])), "nDCG@10      0.5000  [0.500, 0.500]\n");
        assert_eq!(
            table(&[row(Some(Mode::Semantic), &[0.5]), row(Some(Mode::Hybrid), &[1.0])]),
            "mode      nDCG@10\nsemantic  0.500 [0.500, 0.500]\nhybrid    1.000 [1.000, 1.000]\n"
        );
    }

    #[test]
    fn a_comparison_says_by_how_much_and_how_surely() {
        let (ours, other) = ([1.0; 20], [0.5; 20]);
        let figures = vec![(0.5, compare(&ours, &other))];
        let against = Against { setting: "mode=semantic".into(), figures };
        let row = Row { against: Some(against), ..row(Some(Mode::Hybrid), &ours) };
        let text = comparison(&row, row.against.as_ref().unwrap());
        let begin = "\nhybrid against mode=semantic\nnDCG@10      1.0000 - 0.5000 = +0.5000 [+0.5000, +0.5000]  p 0.0001";
        assert!(text.starts_with(begin) && text.ends_with("20 better, 0 worse\n"), "{text}");
        let line = to_json(&row, 0);
        assert_eq!(line["ndcg@10"], 1.0);
        assert_eq!(line["against"]["ndcg@10"]["difference"], 0.5);
        assert_eq!(line["intervals"]["ndcg@10"], json!([1.0, 1.0]));
    }
}
