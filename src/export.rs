//! `akin export`: the vectors and documents of an index as files.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use akin_engine::{Embeddings, Index};
use anyhow::Context;
use serde_json::{Map, Value};

use crate::cli::ExportArguments;
use crate::model;
use crate::npy::NpyWriter;
use crate::output::{OutputFile, cannot_write, open_special};
use crate::terminal::{Terminal, counted};

/// Vectors that are written together.
const BATCH: usize = 1024;

/// Writes what was asked for, in the order of the documents.
pub fn run(arguments: &ExportArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let index = model::open_index(&arguments.index)?;
    if let Some(path) = &arguments.vectors {
        write_vectors(&index, path)?;
    }
    match &arguments.documents {
        Some(path) if path == Path::new("-") => {
            let mut output = BufWriter::new(io::stdout().lock());
            write_documents(&index, &mut output, "stdout")?;
        }
        Some(path) => match open_special(path)? {
            Some(file) => write_documents(&index, &mut BufWriter::new(file), &path.display().to_string())?,
            None => {
                let mut output = OutputFile::create(path)?;
                write_documents(&index, &mut output, &path.display().to_string())?;
                output.finish()?;
            }
        },
        None => {}
    }
    terminal.note(format_args!("{} exported", counted(index.len(), "document")));
    Ok(())
}

fn write_vectors(index: &Index, path: &Path) -> anyhow::Result<()> {
    let dimension = index.model().dimension;
    let mut output = NpyWriter::create(path, dimension)?;
    let mut rows = Embeddings::empty(dimension);
    for doc in index.docs() {
        rows.push(&index.vector(doc).context("a document vanished while it was exported")?);
        if rows.rows() == BATCH {
            output.write(&rows)?;
            rows = Embeddings::empty(dimension);
        }
    }
    output.write(&rows)?;
    output.finish().with_context(|| cannot_write(path))
}

/// A JSON line a document: its id, its text, and its other fields.
fn write_documents(index: &Index, output: &mut dyn Write, name: &str) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {name}");
    for doc in index.docs() {
        let document = index.document(doc)?;
        let mut line = Map::new();
        line.insert("id".into(), document.id.into());
        line.insert("text".into(), document.text.into());
        for (field, value) in document.metadata {
            line.entry(field).or_insert(value);
        }
        serde_json::to_writer(&mut *output, &Value::Object(line))
            .map_err(io::Error::from)
            .with_context(cannot)?;
        output.write_all(b"\n").with_context(cannot)?;
    }
    output.flush().with_context(cannot)
}
