//! `akin eval sts-cv`: cross-validation, which trains on all folds but one and tests on that one, in turn.

use std::io::{self, Write};

use akin_trainer::base::BaseModel;
use akin_trainer::cross_validation::{Split, evaluate, read_topic_pairs};
use akin_trainer::objective::Objective;
use akin_trainer::training::TrainingSettings;
use anyhow::Context;
use serde_json::json;

use super::base_directory;
use crate::commands::cli::CrossValidationArguments;
use crate::commands::terminal::{Style, Terminal, on_one_line};

/// Prints the correlations of each part, and their mean.
pub fn run(arguments: &CrossValidationArguments, terminal: &Terminal) -> anyhow::Result<()> {
    akin_kernels::memory::keep_freed_memory();
    let pairs = read_topic_pairs(&arguments.file, arguments.cross_topic, arguments.max_score)?;
    let pooling = arguments.pooling.map(|name| name.pooling());
    let base = BaseModel::open(&base_directory(&arguments.base)?, pooling, None)?;
    let objective = if arguments.cross_encoder { Objective::CrossEncoder } else { Objective::Regression };
    let settings = TrainingSettings {
        epochs: arguments.epochs.get(),
        seed: arguments.seed,
        ..TrainingSettings::new(objective)
    };
    let split = match arguments.cross_topic {
        true => Split::Topics,
        false => Split::Folds(arguments.folds.get()),
    };
    let bar = terminal.documents_bar(0);
    let results = evaluate(&base, &settings, &pairs, split, arguments.max_score, &mut |part, step, of| {
        bar.set_length(of as u64);
        bar.set_position(step as u64);
        bar.set_message(format!("for {part}"));
    });
    bar.finish_and_clear();
    let mut rows = results.with_context(|| format!("cannot evaluate {}", arguments.file.display()))?;
    let mut output = io::stdout().lock();
    if !arguments.json {
        let heading = format!("{:24}  {:>8}  {:>8}", "tested on", "pearson", "spearman");
        writeln!(output, "{}", terminal.paint(Style::Dim, &heading)).context("cannot write to stdout")?;
    }
    let count = rows.len() as f64;
    let mut mean = rows[0].1;
    mean.pearson = rows.iter().map(|(_, found)| found.pearson).sum::<f64>() / count;
    mean.spearman = rows.iter().map(|(_, found)| found.spearman).sum::<f64>() / count;
    rows.push(("mean".to_owned(), mean));
    for (name, found) in &rows {
        let [pearson, spearman] = [found.pearson, found.spearman].map(|value| 100.0 * value);
        if arguments.json {
            writeln!(output, "{}", json!({ "part": name, "pearson": pearson, "spearman": spearman }))
        } else {
            writeln!(output, "{:24}  {pearson:>8.2}  {spearman:>8.2}", on_one_line(name))
        }
        .context("cannot write to stdout")?;
    }
    Ok(())
}
