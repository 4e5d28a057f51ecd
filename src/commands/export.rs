//! `akin export`: writes the vectors and documents of an index to files.

use std::io::Write;
use std::path::Path;

use akin_index::{DocId, Document, Embeddings, Passage, Snapshot};
use anyhow::bail;
use indicatif::ProgressBar;
use serde_json::json;

use crate::commands::cli::ExportArguments;
use crate::commands::corpus;
use crate::commands::engine;
use crate::commands::interrupt;
use crate::commands::model;
use crate::commands::output::write_whole;
use crate::commands::terminal::{Terminal, counted};
use crate::commands::vectors::VectorsOutput;

/// Vectors that are written together.
const BATCH: usize = 1024;

/// The field of a line that says where its passage is.
const PASSAGE_FIELD: &str = "passage";

/// Writes what was asked for, in the order of the documents.
pub fn run(arguments: &ExportArguments, terminal: &Terminal) -> anyhow::Result<()> {
    if let Some(address) = engine::address(&arguments.index)? {
        return engine::export(arguments, address, terminal);
    }
    if arguments.id_field == arguments.text_field {
        bail!("--id-field and --text-field are both {:?}: a document has both", arguments.id_field);
    }
    let index = model::open_reader(&arguments.index)?.snapshot();
    let mut rows = index.len();
    if let Some(path) = &arguments.vectors {
        rows = write_vectors(&index, path, &terminal.documents_bar(index.len()).with_message("vectors"))?;
    }
    // A line for each row of the matrix.
    let lines = if rows > index.len() { Lines::Passages } else { Lines::Documents };
    if let Some(path) = &arguments.documents {
        let bar = terminal.documents_bar(index.len()).with_message("documents");
        write_whole(Some(path), &mut |output| write_documents(&index, arguments, lines, output, &bar))?;
    }
    match lines {
        Lines::Documents => terminal.note(format_args!("{} exported", counted(index.len(), "document"))),
        Lines::Passages => terminal.note(format_args!(
            "{} of {} exported: a row is the vector of a passage",
            counted(rows, "passage"),
            counted(index.len(), "document")
        )),
    }
    Ok(())
}

/// What a JSON line is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    Documents,
    Passages,
}

/// Writes the vectors of all passages, and gives how many there are.
fn write_vectors(index: &Snapshot, path: &Path, bar: &ProgressBar) -> anyhow::Result<usize> {
    let dimension = index.model().dimension;
    let mut output = VectorsOutput::create(path, dimension)?;
    let mut rows = Embeddings::empty(dimension);
    let mut written = 0;
    for doc in index.docs()? {
        interrupt::check()?;
        index.vectors(doc)?.iter().for_each(|vector| rows.push(vector));
        bar.inc(1);
        if rows.rows() >= BATCH {
            output.write(&rows)?;
            written += rows.rows();
            rows = Embeddings::empty(dimension);
        }
    }
    output.write(&rows)?;
    written += rows.rows();
    bar.finish_and_clear();
    output.finish()?;
    Ok(written)
}

/// A JSON line a document: its id, its text, and its other fields. A line a passage has the text of the passage, and where it is
/// in that of the document.
fn write_documents(
    index: &Snapshot,
    arguments: &ExportArguments,
    lines: Lines,
    output: &mut dyn Write,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    for doc in index.docs()? {
        interrupt::check()?;
        let document = index.document(doc)?;
        let passages = match lines {
            Lines::Documents => None,
            Lines::Passages => Some(passages_of(index, doc, &document)?),
        };
        match passages {
            None => corpus::write_line(output, document, &arguments.id_field, &arguments.text_field)?,
            Some(passages) => {
                for passage in passages {
                    corpus::write_line(output, passage, &arguments.id_field, &arguments.text_field)?;
                }
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// The passages of a document as documents of its id, each with its place in the field `passage`.
fn passages_of(index: &Snapshot, doc: DocId, document: &Document) -> anyhow::Result<Vec<Document>> {
    if document.metadata.contains_key(PASSAGE_FIELD) {
        bail!(
            "the document {:?} has a field {PASSAGE_FIELD:?}, where the place of a passage is to be: export vectors and \
             documents each by itself",
            document.id
        );
    }
    let whole = Passage { start: 0, end: document.text.len() as u32 };
    let passages = index.passages(doc)?.unwrap_or_else(|| vec![whole]);
    let of = |passage: Passage| {
        let (start, end) = (passage.start as usize, passage.end as usize);
        let mut metadata = document.metadata.clone();
        metadata.insert(PASSAGE_FIELD.into(), json!({"start": start, "end": end}));
        // A text that does not fit its passages is the index's fault, and is found by `verify`.
        let text = document.text.get(start..end).unwrap_or_default().to_owned();
        Document { id: document.id.clone(), text, metadata }
    };
    Ok(passages.into_iter().map(of).collect())
}
