//! `akin eval senteval`: trains a logistic regression on frozen embeddings, and measures its accuracy.

use std::io::{self, Write};

use akin_trainer::senteval::Task;
use anyhow::Context;
use serde_json::json;

use super::Evaluated;
use crate::commands::cli::SentevalArguments;
use crate::commands::terminal::{Style, Terminal, grouped};

/// Prints the accuracy of each task, and their mean.
pub fn run(arguments: &SentevalArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let tasks = arguments.folders.iter().map(|folder| Task::read(folder)).collect::<Result<Vec<_>, _>>()?;
    let model = Evaluated::load(&arguments.model, &arguments.compute.options())?;
    let mut output = io::stdout().lock();
    if !arguments.json {
        let heading = format!("{:12}  {:>8}  {:>8}", "task", "examples", "accuracy");
        writeln!(output, "{}", terminal.paint(Style::Dim, &heading)).context("cannot write to stdout")?;
    }
    let mut sum = 0.0;
    for task in &tasks {
        let result = model.watch(terminal, |embedder, observer| task.evaluate(embedder, observer))?;
        sum += result.accuracy;
        let accuracy = 100.0 * result.accuracy;
        if arguments.json {
            let line = json!({
                "task": task.name,
                "examples": result.examples,
                "accuracy": accuracy,
                "ten_fold": result.folds,
            });
            writeln!(output, "{line}")
        } else {
            let folds = if result.folds { "  ten-fold" } else { "" };
            writeln!(output, "{:12}  {:>8}  {accuracy:>8.2}{folds}", task.name, grouped(result.examples))
        }
        .context("cannot write to stdout")?;
    }
    if tasks.len() > 1 && !arguments.json {
        let mean = 100.0 * sum / tasks.len() as f64;
        writeln!(output, "{:12}  {:>8}  {mean:>8.2}", "mean", "").context("cannot write to stdout")?;
    }
    Ok(())
}
