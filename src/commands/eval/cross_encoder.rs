//! `akin eval cross-encoder`: the paper's baseline, which scores each pair by reading both sentences together.

use std::io::{self, Write};

use akin_trainer::base::BaseModel;
use akin_trainer::correlation::{pearson, spearman};
use akin_trainer::dev::cross_encoder_scores;
use akin_trainer::network::Network;
use akin_trainer::sentence_pairs::read_scored_pairs;
use akin_trainer::training::device;
use anyhow::Context;
use serde_json::json;

use crate::commands::cli::CrossEncoderArguments;
use crate::commands::terminal::{Style, Terminal, grouped, on_one_line};

/// Prints a table of correlations.
pub fn run(arguments: &CrossEncoderArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let files = arguments
        .files
        .iter()
        .map(|path| Ok((path.display().to_string(), read_scored_pairs(path)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let base = BaseModel::open(&arguments.model, None, None)?;
    let network = Network::open_cross_encoder(&base, &device())?;
    let width = files.iter().map(|(name, _)| on_one_line(name).chars().count()).max().unwrap_or(0).max(4);
    let mut output = io::stdout().lock();
    if !arguments.json {
        let heading = format!("{:width$}  {:>8}  {:>8}  {:>8}", "file", "pairs", "spearman", "pearson");
        writeln!(output, "{}", terminal.paint(Style::Dim, &heading)).context("cannot write to stdout")?;
    }
    for (name, pairs) in &files {
        let scores = cross_encoder_scores(&network, &base, pairs)?;
        let gold: Vec<f64> = pairs.iter().map(|pair| pair.score).collect();
        let [spearman, pearson] = [spearman(&scores, &gold), pearson(&scores, &gold)]
            .map(|found| found.with_context(|| format!("cannot evaluate {name}")));
        let (spearman, pearson) = (100.0 * spearman?, 100.0 * pearson?);
        if arguments.json {
            let line =
                json!({ "file": name, "pairs": pairs.len(), "spearman": spearman, "pearson": pearson });
            writeln!(output, "{line}")
        } else {
            let (name, pairs) = (on_one_line(name), grouped(pairs.len()));
            writeln!(output, "{name:width$}  {pairs:>8}  {spearman:>8.2}  {pearson:>8.2}")
        }
        .context("cannot write to stdout")?;
    }
    Ok(())
}
