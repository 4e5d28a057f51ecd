//! A NumPy file of vectors that gets its name when it is complete.

use std::path::{Path, PathBuf};

use akin_index::Embeddings;
use akin_indexer::npy::NpyWriter;
use anyhow::{Context, bail};

use crate::commands::output::{OutputFile, cannot_write};

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
