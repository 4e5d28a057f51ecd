//! `akin eval`: how good is a model?

use std::io::{self, Write};

use akin_trainer::pairs::{ScoredPair, read_scored_pairs};
use akin_trainer::sts::{self, StsResult};
use anyhow::Context;
use serde_json::json;

use crate::cli::{EvalArguments, Evaluation, StsArguments};
use crate::model;
use crate::terminal::{Style, Terminal, counted, grouped, on_one_line};

/// Runs an evaluation.
pub fn run(arguments: &EvalArguments, terminal: &Terminal) -> anyhow::Result<()> {
    match &arguments.evaluation {
        Evaluation::Sts(arguments) => run_sts(arguments, terminal),
    }
}

fn run_sts(arguments: &StsArguments, terminal: &Terminal) -> anyhow::Result<()> {
    // All files before any encoding: a mistake in the last must not cost the time of the others.
    let files = arguments
        .files
        .iter()
        .map(|path| Ok((path.display().to_string(), read_scored_pairs(path)?)))
        .collect::<anyhow::Result<Vec<(String, Vec<ScoredPair>)>>>()?;
    let encoder = model::load(&arguments.model.model, &arguments.compute.options())?;
    let mut results = Vec::new();
    for (name, pairs) in &files {
        let bar = terminal.count_bar(Some(0), "sentences");
        let result = sts::evaluate(&encoder, pairs, &mut |done, of| {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        let result = result.with_context(|| format!("cannot evaluate {name}"))?;
        if result.truncated > 0 {
            terminal.note(format_args!(
                "{name}: {} longer than the {} tokens the model reads, and lost the end",
                counted(result.truncated, "sentence"),
                encoder.max_tokens()
            ));
        }
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
