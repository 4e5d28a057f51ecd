//! `akin eval sts`: correlates similarities of pairs with the scores that people gave.

use std::io::{self, Write};

use akin_trainer::sentence_pairs::{ScoredPair, read_scored_pairs};
use akin_trainer::sts::{self, StsResult};
use anyhow::Context;
use serde_json::json;

use super::Evaluated;
use crate::commands::cli::StsArguments;
use crate::commands::terminal::{Style, Terminal, grouped, on_one_line};

/// Prints a table of correlations, with their average over several files.
pub fn run(arguments: &StsArguments, terminal: &Terminal) -> anyhow::Result<()> {
    // All files before any encoding: a mistake in the last must not cost the time of the others.
    let files = arguments
        .files
        .iter()
        .map(|path| Ok((path.display().to_string(), read_scored_pairs(path)?)))
        .collect::<anyhow::Result<Vec<(String, Vec<ScoredPair>)>>>()?;
    let model = Evaluated::load(&arguments.model, &arguments.compute.options())?;
    let mut results = Vec::new();
    for (name, pairs) in &files {
        let result = model.watch(terminal, |embedder, observer| sts::evaluate(embedder, pairs, observer));
        let result = result.with_context(|| format!("cannot evaluate {name}"))?;
        model.note_truncated(terminal, name, result.truncated);
        results.push((name.as_str(), result));
    }
    let mut output = io::stdout().lock();
    if arguments.json {
        print_json(&results, &mut output)
    } else {
        print_table(&results, terminal, &mut output)
    }
    .context("cannot write to stdout")
}

fn print_json(results: &[(&str, StsResult)], output: &mut dyn Write) -> io::Result<()> {
    for (name, result) in results {
        let [spearman, pearson] = [result.spearman(), result.pearson()].map(|value| 100.0 * value);
        let mut line =
            json!({ "file": name, "pairs": result.pairs, "spearman": spearman, "pearson": pearson });
        for (similarity, found) in &result.correlations {
            let [spearman, pearson] = [found.spearman, found.pearson].map(|value| 100.0 * value);
            line[similarity.name()] = json!({ "spearman": spearman, "pearson": pearson });
        }
        writeln!(output, "{line}")?;
    }
    Ok(())
}

/// Spearman's correlation by each similarity, and Pearson's of the cosine.
fn print_table(results: &[(&str, StsResult)], terminal: &Terminal, output: &mut dyn Write) -> io::Result<()> {
    let names: Vec<String> = results.iter().map(|(name, _)| on_one_line(name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max("average".len());
    let heading = format!(
        "{:width$}  {:>8}  {:>8}  {:>8}  {:>9}  {:>9}  {:>8}",
        "file", "pairs", "spearman", "pearson", "manhattan", "euclidean", "dot"
    );
    writeln!(output, "{}", terminal.paint(Style::Dim, &heading))?;
    let figures = |result: &StsResult| {
        let [(_, cosine), (_, manhattan), (_, euclidean), (_, dot)] = result.correlations;
        [cosine.spearman, cosine.pearson, manhattan.spearman, euclidean.spearman, dot.spearman]
    };
    let mut row = |name: &str, pairs: usize, figures: [f64; 5]| {
        let pairs = grouped(pairs);
        let [cosine, pearson, manhattan, euclidean, dot] = figures.map(|figure| 100.0 * figure);
        writeln!(
            output,
            "{name:width$}  {pairs:>8}  {cosine:>8.2}  {pearson:>8.2}  {manhattan:>9.2}  {euclidean:>9.2}  {dot:>8.2}"
        )
    };
    for (name, (_, result)) in names.iter().zip(results) {
        row(name, result.pairs, figures(result))?;
    }
    if results.len() > 1 {
        let mut means = [0.0; 5];
        for (_, result) in results {
            for (mean, figure) in means.iter_mut().zip(figures(result)) {
                *mean += figure / results.len() as f64;
            }
        }
        row("average", results.iter().map(|(_, result)| result.pairs).sum(), means)?;
    }
    Ok(())
}
