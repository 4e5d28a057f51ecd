//! `akin eval triplets`: counts the triplets whose anchor is nearer to the positive than to the negative.

use std::io::{self, Write};

use akin_trainer::sentence_pairs::read_triplets;
use akin_trainer::triplets;
use anyhow::Context;
use serde_json::json;

use super::Evaluated;
use crate::commands::cli::TripletsArguments;
use crate::commands::terminal::{Style, Terminal, grouped};

/// Prints the accuracy by each distance.
pub fn run(arguments: &TripletsArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let triplets = read_triplets(&arguments.file)?;
    let model = Evaluated::load(&arguments.model, &arguments.compute.options())?;
    let result =
        model.watch(terminal, |embedder, observer| triplets::evaluate(embedder, &triplets, observer))?;
    model.note_truncated(terminal, &arguments.file.display().to_string(), result.truncated);
    let mut output = io::stdout().lock();
    let figures =
        [("euclidean", result.euclidean), ("manhattan", result.manhattan), ("cosine", result.cosine)];
    if arguments.json {
        let mut line = json!({ "file": arguments.file, "triplets": result.triplets });
        for (name, accuracy) in figures {
            line[name] = json!(100.0 * accuracy);
        }
        return writeln!(output, "{line}").context("cannot write to stdout");
    }
    let heading = format!("{:11}  accuracy of {}", "distance", grouped(result.triplets));
    writeln!(output, "{}", terminal.paint(Style::Dim, &heading)).context("cannot write to stdout")?;
    for (name, accuracy) in figures {
        writeln!(output, "{name:11}  {:8.2}", 100.0 * accuracy).context("cannot write to stdout")?;
    }
    Ok(())
}
