//! `akin export`: writes the vectors and documents of an index to files.

use std::io::Write;
use std::path::Path;

use akin_index::{Embeddings, Index};
use anyhow::{Context, bail};

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
    let index = model::open_index(&arguments.index)?;
    if let Some(path) = &arguments.vectors {
        write_vectors(&index, path)?;
    }
    if let Some(path) = &arguments.documents {
        write_whole(Some(path), &mut |output| write_documents(&index, arguments, output))?;
    }
    terminal.note(format_args!("{} exported", counted(index.len(), "document")));
    Ok(())
}

fn write_vectors(index: &Index, path: &Path) -> anyhow::Result<()> {
    let dimension = index.model().dimension;
    let mut output = VectorsOutput::create(path, dimension)?;
    let mut rows = Embeddings::empty(dimension);
    for doc in index.docs() {
        rows.push(&index.vector(doc).context("a document vanished while it was exported")?);
        if rows.rows() == BATCH {
            output.write(&rows)?;
            rows = Embeddings::empty(dimension);
        }
    }
    output.write(&rows)?;
    output.finish()
}

/// A JSON line a document: its id, its text, and its other fields.
fn write_documents(index: &Index, arguments: &ExportArguments, output: &mut dyn Write) -> anyhow::Result<()> {
    for doc in index.docs() {
        corpus::write_line(output, index.document(doc)?, &arguments.id_field, &arguments.text_field)?;
    }
    Ok(())
}
