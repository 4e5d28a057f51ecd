//! NumPy files of vectors, opened and created with errors that name the remedy.

use std::path::{Path, PathBuf};

use akin_index::Embeddings;
use akin_indexer::npy::{NpyReader, NpyWriter};
use anyhow::{Context, anyhow, bail};

use crate::output::{OutputFile, cannot_write};

/// Opens a file of vectors. If it is not one, the error says how to save one.
pub fn open(path: &Path) -> anyhow::Result<NpyReader> {
    NpyReader::open(path).map_err(|error| match error {
        akin_indexer::Error::Matrix { .. } => {
            anyhow!(
                "{error}: save one by numpy.save(path, x) with x a matrix of floats of shape (rows, dimension)"
            )
        }
        error => error.into(),
    })
}

/// A file of vectors that appears when it is complete.
pub struct VectorsOutput {
    path: PathBuf,
    writer: NpyWriter<OutputFile>,
}

impl VectorsOutput {
    /// Begins the file that will be at `path`.
    pub fn create(path: &Path, dimension: usize) -> anyhow::Result<Self> {
        if path == Path::new("-") || (path.exists() && !path.is_file() && !path.is_dir()) {
            bail!("cannot write a NumPy file to {}: name a file with --output", path.display());
        }
        let output = OutputFile::create(path)?;
        let writer = NpyWriter::new(output, dimension).with_context(|| cannot_write(path))?;
        Ok(Self { path: path.to_owned(), writer })
    }

    /// Adds rows at the end.
    pub fn write(&mut self, embeddings: &Embeddings) -> anyhow::Result<()> {
        self.writer.write(embeddings).with_context(|| cannot_write(&self.path))
    }

    /// Completes the file and gives it its name.
    pub fn finish(self) -> anyhow::Result<()> {
        self.writer.finish().with_context(|| cannot_write(&self.path))?.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stdout_is_refused() {
        assert!(VectorsOutput::create(Path::new("-"), 2).is_err());
    }
}
