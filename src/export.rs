//! `akin export`: writes the vectors and documents of an index to files.

use std::io::Write;
use std::path::Path;

use akin_index::{Embeddings, Snapshot};
use anyhow::bail;
use indicatif::ProgressBar;

use crate::cli::ExportArguments;
use crate::corpus;
use crate::model;
use crate::output::write_whole;
use crate::terminal::{Terminal, counted};
use crate::vectors::VectorsOutput;

/// Vectors that are written together.
const BATCH: usize = 1024;

/// Writes what was asked for, in the order of the documents.
pub fn run(arguments: &ExportArguments, terminal: &Terminal) -> anyhow::Result<()> {
    if arguments.id_field == arguments.text_field {
        bail!("--id-field and --text-field are both {:?}: a document has both", arguments.id_field);
    }
    let index = model::open_reader(&arguments.index)?.snapshot();
    if let Some(path) = &arguments.vectors {
        write_vectors(&index, path, &terminal.documents_bar(index.len()).with_message("vectors"))?;
    }
    if let Some(path) = &arguments.documents {
        let bar = terminal.documents_bar(index.len()).with_message("documents");
        write_whole(Some(path), &mut |output| write_documents(&index, arguments, output, &bar))?;
    }
    terminal.note(format_args!("{} exported", counted(index.len(), "document")));
    Ok(())
}

fn write_vectors(index: &Snapshot, path: &Path, bar: &ProgressBar) -> anyhow::Result<()> {
    let dimension = index.model().dimension;
    let mut output = VectorsOutput::create(path, dimension)?;
    let mut rows = Embeddings::empty(dimension);
    for doc in index.docs()? {
        let vectors = index.vectors(doc)?;
        let [vector] = &vectors[..] else {
            bail!(
                "the document {:?} has {}: a matrix has one row for each document",
                index.document(doc)?.id,
                counted(vectors.len(), "passage")
            );
        };
        rows.push(vector);
        if rows.rows() == BATCH {
            output.write(&rows)?;
            bar.inc(BATCH as u64);
            rows = Embeddings::empty(dimension);
        }
    }
    output.write(&rows)?;
    bar.finish_and_clear();
    output.finish()
}

/// A JSON line a document: its id, its text, and its other fields.
fn write_documents(
    index: &Snapshot,
    arguments: &ExportArguments,
    output: &mut dyn Write,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    for doc in index.docs()? {
        corpus::write_line(output, index.document(doc)?, &arguments.id_field, &arguments.text_field)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}
