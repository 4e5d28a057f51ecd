//! NumPy's file format, version 1.0, for one float32 matrix written row by row.
//!
//! A file is the magic `\x93NUMPY`, the version, the length of the header (u16, little-endian), the
//! header (a Python dictionary padded with blanks so that the values start at a multiple of 64), and
//! the values. How many rows there are is known last: the header has room for any number of them and
//! is written again at the end.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use akin_engine::Embeddings;
use anyhow::{Context, bail};

use crate::output::{OutputFile, cannot_write};

/// Bytes before the first value.
const HEADER: usize = 128;

/// Writes a float32 matrix `[rows, dimension]` to a `.npy` file.
pub struct NpyWriter {
    path: PathBuf,
    output: OutputFile,
    rows: usize,
    dimension: usize,
}

impl NpyWriter {
    /// Begins the file that will be at `path`.
    pub fn create(path: &Path, dimension: usize) -> anyhow::Result<Self> {
        if path == Path::new("-") || (path.exists() && !path.is_file() && !path.is_dir()) {
            bail!("cannot write a NumPy file to {}: name a file with --output", path.display());
        }
        let mut output = OutputFile::create(path)?;
        output.write_all(&header(0, dimension)).with_context(|| cannot_write(path))?;
        Ok(Self { path: path.to_owned(), output, rows: 0, dimension })
    }

    /// Adds rows at the end.
    pub fn write(&mut self, embeddings: &Embeddings) -> anyhow::Result<()> {
        let mut bytes = Vec::with_capacity(embeddings.as_slice().len() * 4);
        for value in embeddings.as_slice() {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        self.output.write_all(&bytes).with_context(|| cannot_write(&self.path))?;
        self.rows += embeddings.rows();
        Ok(())
    }

    /// Says how many rows there are and gives the file its name.
    pub fn finish(mut self) -> anyhow::Result<()> {
        let header = header(self.rows, self.dimension);
        self.output
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.output.write_all(&header))
            .with_context(|| cannot_write(&self.path))?;
        self.output.finish()
    }
}

fn header(rows: usize, dimension: usize) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&((HEADER - 10) as u16).to_le_bytes());
    let dictionary = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dimension}), }}");
    bytes.extend_from_slice(dictionary.as_bytes());
    bytes.resize(HEADER - 1, b' ');
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_file_is_what_numpy_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.npy");
        let mut writer = NpyWriter::create(&path, 2).unwrap();
        writer.write(&Embeddings::from_values(2, vec![1.0, -2.0])).unwrap();
        writer.write(&Embeddings::from_values(2, vec![0.5, 4.0, 8.0, 16.0])).unwrap();
        writer.finish().unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert_eq!(bytes.len(), 128 + 6 * 4);
        let header = std::str::from_utf8(&bytes[10..128]).unwrap();
        assert!(
            header.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"),
            "{header}"
        );
        assert!(header.ends_with(" \n"));
        let values: Vec<f32> =
            bytes[128..].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(values, [1.0, -2.0, 0.5, 4.0, 8.0, 16.0]);
    }

    #[test]
    fn the_header_has_room_for_any_matrix() {
        let header = header(usize::MAX, usize::MAX);
        assert_eq!((header.len(), header.last()), (HEADER, Some(&b'\n')));
    }

    #[test]
    fn stdout_is_refused() {
        assert!(NpyWriter::create(Path::new("-"), 2).is_err());
    }
}
