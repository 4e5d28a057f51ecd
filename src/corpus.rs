//! Encodes a whole corpus in memory, for commands that compare all documents, and writes documents as JSON lines.

use std::io::{self, Write};

use akin_encoder::{Embeddings, SentenceEncoder};
use akin_index::Document;
use akin_indexer::corpus::CorpusReader;
use anyhow::bail;
use serde_json::{Map, Value};

use crate::terminal::{Terminal, counted};

/// Documents that are encoded together.
const CHUNK: usize = 1024;

/// Documents and their embeddings of length one, row for row.
pub struct Encoded {
    pub documents: Vec<Document>,
    pub embeddings: Embeddings,
}

/// Encodes every document of a corpus that was surveyed and has `total` of them.
pub fn encode(
    mut corpus: CorpusReader,
    total: usize,
    encoder: &SentenceEncoder,
    terminal: &Terminal,
) -> anyhow::Result<Encoded> {
    let bar = terminal.documents_bar(total);
    let mut documents: Vec<Document> = Vec::with_capacity(total);
    let mut embeddings = Embeddings::empty(encoder.dimension());
    let mut truncated = 0;
    loop {
        let chunk = corpus.by_ref().take(CHUNK).collect::<akin_indexer::Result<Vec<_>>>()?;
        if chunk.is_empty() {
            break;
        }
        let texts: Vec<&str> = chunk.iter().map(|document| document.text.as_str()).collect();
        let encoding = encoder.encode(&texts)?;
        encoding.embeddings.iter().for_each(|row| embeddings.push(&unit(row)));
        truncated += encoding.truncated;
        documents.extend(chunk);
        bar.set_position(documents.len() as u64);
    }
    bar.finish_and_clear();
    if truncated > 0 {
        terminal.note(format_args!(
            "{} longer than the {} tokens that the model reads: the end was left out",
            counted(truncated, "document"),
            encoder.max_tokens()
        ));
    }
    Ok(Encoded { documents, embeddings })
}

/// In the direction of `row`, of length one: not every model makes such.
fn unit(row: &[f32]) -> Vec<f32> {
    let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
    row.iter().map(|value| if length > 0.0 { value / length } else { 0.0 }).collect()
}

/// Writes a document as a JSON line: its id and its text under these names, and its other fields.
///
/// Refuses one that has a field of such a name besides: one of the two would be lost.
pub fn write_line(
    output: &mut dyn Write,
    document: Document,
    id_field: &str,
    text_field: &str,
) -> anyhow::Result<()> {
    for (own, option) in [(id_field, "--id-field"), (text_field, "--text-field")] {
        if document.metadata.contains_key(own) {
            bail!(
                "the document {:?} has a field {own:?} besides, and one of the two would be lost: name \
                 another with {option}",
                document.id
            );
        }
    }
    let mut line = Map::new();
    line.insert(id_field.to_owned(), document.id.into());
    line.insert(text_field.to_owned(), document.text.into());
    line.extend(document.metadata);
    serde_json::to_writer(&mut *output, &Value::Object(line)).map_err(io::Error::from)?;
    Ok(output.write_all(b"\n")?)
}
