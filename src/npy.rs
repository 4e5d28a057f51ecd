//! NumPy's file format for one float32 matrix, written and read row by row.
//!
//! A file is the magic `\x93NUMPY`, the version, the length of the header (u16, or u32 from version 2.0
//! on, little-endian), the header (a Python dictionary padded with blanks so that the values start at a multiple of 64), and
//! the values. How many rows there are is known last: the header has room for any number of them and
//! is written again at the end.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use akin_kernels::Embeddings;
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

/// Reads a float32 matrix `[rows, dimension]` from a `.npy` file, some rows at a time.
pub struct NpyReader {
    path: PathBuf,
    input: BufReader<File>,
    rows: usize,
    dimension: usize,
    read: usize,
}

impl NpyReader {
    /// Reads the header and holds it against the length of the file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let cannot_read = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(cannot_read)?;
        let length = file.metadata().with_context(cannot_read)?.len();
        let mut input = BufReader::new(file);
        let Some((rows, dimension)) = read_header(&mut input).with_context(cannot_read)? else {
            bail!(
                "{} is not a NumPy file of a float32 matrix: save one by numpy.save(path, x.astype('float32')) \
                 with x of shape (rows, dimension), in C order",
                path.display()
            );
        };
        let begin = input.stream_position().with_context(cannot_read)?;
        let values = (rows as u64).checked_mul(dimension as u64).and_then(|values| values.checked_mul(4));
        if values.and_then(|bytes| bytes.checked_add(begin)) != Some(length) {
            bail!("{} is cut off or damaged: {rows} x {dimension} numbers do not fill it", path.display());
        }
        Ok(Self { path: path.to_owned(), input, rows, dimension, read: 0 })
    }

    /// How many rows the matrix has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many numbers a row has, at least one.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The next `count` rows, or as many as there are.
    pub fn read(&mut self, count: usize) -> anyhow::Result<Embeddings> {
        let count = count.min(self.rows - self.read);
        let mut bytes = vec![0; count * self.dimension * 4];
        self.input.read_exact(&mut bytes).with_context(|| format!("cannot read {}", self.path.display()))?;
        self.read += count;
        let values = bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value));
        Ok(Embeddings::from_values(self.dimension, values.collect()))
    }
}

/// The shape of the matrix, if it is one of little-endian float32 in C order.
fn read_header(input: &mut impl Read) -> std::io::Result<Option<(usize, usize)>> {
    let mut begin = [0; 10];
    if read_up_to(input, &mut begin)? < begin.len() || !begin.starts_with(b"\x93NUMPY") {
        return Ok(None);
    }
    let mut length = usize::from(u16::from_le_bytes([begin[8], begin[9]]));
    if begin[6] > 1 {
        let mut more = [0; 2];
        input.read_exact(&mut more)?;
        length |= usize::from(u16::from_le_bytes(more)) << 16;
    }
    // NumPy's own are shorter than a kilobyte.
    if begin[6] > 3 || length > 1 << 16 {
        return Ok(None);
    }
    let mut header = vec![0; length];
    input.read_exact(&mut header)?;
    let header = String::from_utf8_lossy(&header).replace([' ', '"'], "").replace('\'', "");
    let shape = header.split_once("shape:(").and_then(|(_, rest)| rest.split_once(')'));
    let shape: Option<Vec<usize>> =
        shape.and_then(|(shape, _)| shape.split(',').map(|number| number.parse().ok()).collect());
    Ok(match shape.as_deref() {
        Some(&[rows, dimension])
            if header.contains("descr:<f4") && header.contains("fortran_order:False") && dimension > 0 =>
        {
            Some((rows, dimension))
        }
        _ => None,
    })
}

/// Fills as much of `buffer` as the input has.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..])? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(filled)
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
    fn what_is_written_is_read_again_some_rows_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.npy");
        let mut writer = NpyWriter::create(&path, 2).unwrap();
        writer.write(&Embeddings::from_values(2, vec![1.0, -2.0, 0.5, 4.0, 8.0, 16.0])).unwrap();
        writer.finish().unwrap();
        let mut reader = NpyReader::open(&path).unwrap();
        assert_eq!((reader.rows(), reader.dimension()), (3, 2));
        assert_eq!(reader.read(2).unwrap().as_slice(), [1.0, -2.0, 0.5, 4.0]);
        assert_eq!(reader.read(2).unwrap().as_slice(), [8.0, 16.0]);
        assert_eq!(reader.read(2).unwrap().rows(), 0);
    }

    #[test]
    fn what_is_not_a_float32_matrix_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.npy");
        let file = |dictionary: &str, values: usize| {
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((dictionary.len() as u16).to_le_bytes());
            bytes.extend(dictionary.as_bytes());
            bytes.resize(bytes.len() + values, 0);
            bytes
        };
        let matrix = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }";
        for (bytes, said) in [
            (Vec::new(), "not a NumPy file"),
            (b"something else altogether".to_vec(), "not a NumPy file"),
            (file(&matrix.replace("<f4", "<f8"), 48), "not a NumPy file"),
            (file(&matrix.replace("False", "True"), 24), "not a NumPy file"),
            (file(&matrix.replace("(3, 2)", "(6,)"), 24), "not a NumPy file"),
            (file(&matrix.replace("(3, 2)", "(3, 2, 1)"), 24), "not a NumPy file"),
            (file(matrix, 23), "cut off"),
            (file(matrix, 25), "cut off"),
            (file(&matrix.replace('3', "9223372036854775807"), 24), "cut off"),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = NpyReader::open(&path).err().unwrap().to_string();
            assert!(error.contains(said), "{error}");
        }
        fs::write(&path, file(matrix, 24)).unwrap();
        assert_eq!(NpyReader::open(&path).unwrap().rows(), 3);
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
