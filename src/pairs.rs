//! `akin pairs`: the most similar pairs of a corpus.

use std::io::{self, BufWriter, Write};

use akin_engine::{Document, Embeddings};
use akin_indexer::corpus::CorpusReader;
use akin_query::pairs::{Pair, most_similar};
use anyhow::{Context, bail};
use serde_json::json;

use crate::cli::PairsArguments;
use crate::model;
use crate::terminal::{Style, Terminal, counted, on_one_line};

/// Documents that are encoded together.
const CHUNK: usize = 1024;

/// Encodes every document once, and compares the embeddings.
pub fn run(arguments: &PairsArguments, terminal: &Terminal) -> anyhow::Result<()> {
    if !(-1.0..=1.0).contains(&arguments.threshold) {
        bail!("--threshold {} is no cosine similarity: from -1 to 1", arguments.threshold);
    }
    let mut corpus = CorpusReader::open(&arguments.corpus.paths, &arguments.corpus.options())?;
    let survey = corpus.survey()?;
    let encoder = model::load(&arguments.model.model, &arguments.compute.options())?;
    let bar = terminal.documents_bar(survey.documents);
    let mut documents: Vec<Document> = Vec::with_capacity(survey.documents);
    let mut embeddings = Embeddings::empty(encoder.dimension());
    loop {
        let chunk = corpus.by_ref().take(CHUNK).collect::<akin_indexer::Result<Vec<_>>>()?;
        if chunk.is_empty() {
            break;
        }
        let texts: Vec<&str> = chunk.iter().map(|document| document.text.as_str()).collect();
        encoder.encode(&texts)?.embeddings.iter().for_each(|row| embeddings.push(&unit(row)));
        documents.extend(chunk);
        bar.set_position(documents.len() as u64);
    }
    bar.set_message("comparing");
    let pairs = most_similar(&embeddings, arguments.top.get(), arguments.threshold);
    bar.finish_and_clear();
    print(&documents, &pairs, arguments.json, terminal).context("cannot write to stdout")?;
    terminal.note(format_args!(
        "{} of {}",
        counted(pairs.len(), "pair"),
        counted(documents.len(), "document")
    ));
    Ok(())
}

/// In the direction of `row`, of length one: not every model makes such.
fn unit(row: &[f32]) -> Vec<f32> {
    let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
    row.iter().map(|value| if length > 0.0 { value / length } else { 0.0 }).collect()
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
