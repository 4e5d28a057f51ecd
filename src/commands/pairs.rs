//! `akin pairs`: prints the most similar pairs of a corpus or an index.

use std::io::{self, BufWriter, Write};

use akin_index::Document;
use akin_mining::pairs::{MostSimilar, Pair, most_similar_with};
use anyhow::{Context, bail};
use serde_json::json;

use crate::commands::cli::PairsArguments;
use crate::commands::compared::{Compared, Source, tell_recall};
use crate::commands::terminal::{Style, Terminal, counted, on_one_line};

/// Encodes every text once, unless its vector is stored, and compares the embeddings.
pub fn run(arguments: &PairsArguments, terminal: &Terminal) -> anyhow::Result<()> {
    if !(-1.0..=1.0).contains(&arguments.threshold) {
        bail!("--threshold {} is no cosine similarity: from -1 to 1", arguments.threshold);
    }
    let Compared { documents, sentences } = Source::open(&arguments.compared)?.read(terminal)?;
    let (top, threshold) = (arguments.top.get(), arguments.threshold);
    let found =
        terminal.with_bar("comparing", |progress| most_similar_with(&sentences, top, threshold, progress))?;
    let MostSimilar { pairs, recall } = found;
    print(&documents, &pairs, arguments.json, terminal).context("cannot write to stdout")?;
    terminal.note(format_args!(
        "{} of {}",
        counted(pairs.len(), "pair"),
        counted(documents.len(), "document")
    ));
    tell_recall(recall, "pairs", terminal);
    Ok(())
}

fn print(documents: &[Document], pairs: &[Pair], json: bool, terminal: &Terminal) -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    for pair in pairs {
        let [first, second] = [pair.first, pair.second].map(|row| &documents[row]);
        if json {
            let one = |document: &Document| json!({ "id": document.id, "text": document.text });
            let line = json!({ "score": pair.score, "first": one(first), "second": one(second) });
            writeln!(output, "{line}")?;
            continue;
        }
        for (place, document) in [first, second].into_iter().enumerate() {
            let score = if place == 0 { format!("{:.3}", pair.score) } else { String::new() };
            let id = terminal.paint(Style::Dim, &on_one_line(&document.id));
            writeln!(output, "{score:5}  {id}  {}", on_one_line(&document.text))?;
        }
    }
    output.flush()
}
