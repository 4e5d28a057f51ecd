//! `akin stat`: prints the size of an index, its segments and its model.

use std::io::{self, Write};

use akin_index::Stat;
use akin_query::json;
use anyhow::Context;

use crate::commands::cli::StatArguments;
use crate::commands::engine;
use crate::commands::model;
use crate::commands::terminal::{Style, Terminal, bytes, grouped};

/// Prints the figures, aligned or as one JSON line.
pub fn run(arguments: &StatArguments, terminal: &Terminal) -> anyhow::Result<()> {
    if let Some(address) = engine::address(&arguments.index)? {
        return engine::stat(arguments, address);
    }
    let stat = model::open_reader(&arguments.index)?.stat()?;
    let mut output = io::stdout().lock();
    if arguments.json {
        writeln!(output, "{}", json::stat(&stat))
    } else {
        print(&stat, terminal, &mut output)
    }
    .context("cannot write to stdout")
}

fn print(stat: &Stat, terminal: &Terminal, output: &mut dyn Write) -> io::Result<()> {
    let model = &stat.model;
    let prompts = [("query prompt", &model.query_prompt), ("document prompt", &model.document_prompt)];
    let prompts =
        prompts.into_iter().filter_map(|(name, prompt)| Some((name, format!("{:?}", prompt.as_ref()?))));
    let figures = [
        ("documents", grouped(stat.documents)),
        (
            "passages",
            format!("{} (--passages {})", grouped(stat.passages), json::passage_size(stat.model.passages)),
        ),
        ("deleted", grouped(stat.deleted)),
        ("pending", grouped(stat.pending)),
        ("segments", grouped(stat.segments.len())),
        ("ef", grouped(stat.ef)),
        ("dimension", grouped(stat.dimension)),
        ("similarity", stat.model.similarity.name().into()),
        ("model", if stat.model.is_known() { stat.model.location.clone() } else { "none".into() }),
        ("fingerprint", if stat.model.is_known() { stat.model.fingerprint.clone() } else { "none".into() }),
        ("format", stat.format.to_string()),
        ("on disk", bytes(stat.bytes_on_disk)),
    ];
    let figures: Vec<(&str, String)> = figures.into_iter().chain(prompts).collect();
    let width = figures.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, figure) in figures {
        writeln!(output, "{}  {figure}", terminal.paint(Style::Dim, &format!("{name:width$}")))?;
    }
    if stat.segments.is_empty() {
        return Ok(());
    }
    let heading = format!("{:>11}  {:>12}  {:>12}  {:>12}", "segment", "documents", "deleted", "edges");
    writeln!(output, "\n{}", terminal.paint(Style::Dim, &heading))?;
    for segment in &stat.segments {
        let [documents, deleted, edges] =
            [segment.documents, segment.deleted, segment.graph_edges].map(grouped);
        writeln!(output, "{:>11}  {documents:>12}  {deleted:>12}  {edges:>12}", segment.id)?;
    }
    Ok(())
}
