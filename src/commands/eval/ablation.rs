//! `akin eval ablation`: the paper's table 6.

use std::io::{self, Write};

use akin_trainer::ablation::Ablation;
use akin_trainer::objective::Objective;
use akin_trainer::sentence_pairs::read_scored_pairs;
use akin_trainer::training::TrainingSettings;
use anyhow::Context;
use serde_json::json;

use super::base_directory;
use crate::commands::cli::AblationArguments;
use crate::commands::terminal::{Style, Terminal};

/// Trains every variant and prints the table.
pub fn run(arguments: &AblationArguments, terminal: &Terminal) -> anyhow::Result<()> {
    akin_kernels::memory::keep_freed_memory();
    let dev = read_scored_pairs(&arguments.dev)?;
    let ablation = Ablation {
        base: &base_directory(&arguments.base)?,
        labelled: &arguments.labelled,
        scored: &arguments.scored,
        most: arguments.max_score,
        dev: &dev,
        examples: arguments.examples.map(usize::from),
        settings: TrainingSettings {
            epochs: arguments.epochs.get(),
            seed: arguments.seed,
            ..TrainingSettings::new(Objective::Regression)
        },
    };
    let bar = terminal.documents_bar(0);
    let tables = ablation.run(&mut |[run, runs, step, steps]| {
        bar.set_length((runs * steps) as u64);
        bar.set_position(((run - 1) * steps + step) as u64);
        bar.set_message(format!("run {run} of {runs}"));
    });
    bar.finish_and_clear();
    let mut output = io::stdout().lock();
    for (what, rows) in ["pooling", "concatenation"].into_iter().zip(tables?) {
        if !arguments.json {
            let heading = format!("{what:16}  {:>8}  {:>8}", "labels", "scores");
            writeln!(output, "{}", terminal.paint(Style::Dim, &heading)).context("cannot write to stdout")?;
        }
        for row in rows {
            let [labels, scores] = [row.labelled, row.scored].map(|score| score.map(|score| 100.0 * score));
            if arguments.json {
                let line = json!({ what: row.name, "labels": labels, "scores": scores });
                writeln!(output, "{line}")
            } else {
                let print = |score: Option<f64>| score.map_or("-".to_owned(), |score| format!("{score:.2}"));
                writeln!(output, "{:16}  {:>8}  {:>8}", row.name, print(labels), print(scores))
            }
            .context("cannot write to stdout")?;
        }
    }
    Ok(())
}
