//! NumPy's `.npy` files that hold one matrix of floats, `[rows, dimension]`: written and read some rows at a time.
//!
//! [`NpyReader`] reads float16, float32 and float64, in either byte order, in C or Fortran order, and gives float32.
//! [`NpyWriter`] writes float32, little-endian, in C order.
//!
//! The format (NEP 1): the magic `\x93NUMPY`, a version of two bytes, the length of the header (u16, from version 2.0
//! on u32, little-endian), the header, the values. The header is a Python dictionary, padded with blanks so that the
//! values begin at a multiple of 64.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use akin_kernels::Embeddings;
use half::f16;

use crate::{Error, Result};

/// Bytes before the first value in a file that is written here.
const WRITTEN_HEADER: usize = 128;

/// The longest header that is read. NumPy's own are shorter than a kilobyte.
const LONGEST_HEADER: usize = 1 << 16;

/// Writes a float32 matrix `[rows, dimension]`. The number of rows is written last, by [`finish`](Self::finish).
#[derive(Debug)]
pub struct NpyWriter<W> {
    output: W,
    rows: usize,
    dimension: usize,
}

impl<W: Write + Seek> NpyWriter<W> {
    /// Begins a file of rows of `dimension` numbers. `output` is empty.
    ///
    /// # Errors
    /// What `output` reports.
    pub fn new(mut output: W, dimension: usize) -> io::Result<Self> {
        output.write_all(&header(0, dimension))?;
        Ok(Self { output, rows: 0, dimension })
    }

    /// Adds rows at the end.
    ///
    /// # Errors
    /// What the output reports.
    ///
    /// # Panics
    /// If the rows have another dimension.
    pub fn write(&mut self, embeddings: &Embeddings) -> io::Result<()> {
        assert_eq!(embeddings.dimension(), self.dimension, "rows of another dimension");
        let bytes: Vec<u8> = embeddings.as_slice().iter().flat_map(|value| value.to_le_bytes()).collect();
        self.output.write_all(&bytes)?;
        self.rows += embeddings.rows();
        Ok(())
    }

    /// Writes the number of rows into the header, and returns the output.
    ///
    /// # Errors
    /// What the output reports.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.seek(SeekFrom::Start(0))?;
        self.output.write_all(&header(self.rows, self.dimension))?;
        Ok(self.output)
    }
}

fn header(rows: usize, dimension: usize) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&((WRITTEN_HEADER - 10) as u16).to_le_bytes());
    let dictionary = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dimension}), }}");
    bytes.extend_from_slice(dictionary.as_bytes());
    bytes.resize(WRITTEN_HEADER - 1, b' ');
    bytes.push(b'\n');
    bytes
}

/// Reads a matrix of floats, some rows at a time, as float32.
#[derive(Debug)]
pub struct NpyReader {
    path: PathBuf,
    file: File,
    layout: Layout,
    /// Rows read so far.
    read: usize,
}

impl NpyReader {
    /// Reads the header and compares it with the length of the file.
    ///
    /// # Errors
    /// [`Error::Read`], or [`Error::Matrix`] if the file is not a matrix of floats.
    pub fn open(path: &Path) -> Result<Self> {
        let cannot_read = |error: io::Error| Error::unreadable(path, &error);
        let file = File::open(path).map_err(cannot_read)?;
        let length = file.metadata().map_err(cannot_read)?.len();
        let mut begin = Vec::new();
        (&file).take(LONGEST_HEADER as u64 + 12).read_to_end(&mut begin).map_err(cannot_read)?;
        let layout = Layout::parse(&begin, length).map_err(|Mismatch { found, expected }| Error::Matrix {
            path: path.to_owned(),
            found,
            expected,
        })?;
        Ok(Self { path: path.to_owned(), file, layout, read: 0 })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.layout.rows
    }

    /// The numbers in a row: at least one.
    pub fn dimension(&self) -> usize {
        self.layout.dimension
    }

    /// The next `count` rows, or as many as are left. Numbers may be infinite or NaN, as the file has them; a float64
    /// beyond the range of float32 becomes infinite.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn read(&mut self, count: usize) -> Result<Embeddings> {
        let Layout { rows, dimension, column_major, .. } = self.layout;
        let count = count.min(rows - self.read);
        let mut values;
        if column_major {
            values = vec![0.0; count * dimension];
            for column in 0..dimension {
                let part = self.numbers(column * rows + self.read, count)?;
                let places = values.iter_mut().skip(column).step_by(dimension);
                places.zip(part).for_each(|(place, number)| *place = number);
            }
        } else {
            values = self.numbers(self.read * dimension, count * dimension)?;
        }
        self.read += count;
        Ok(Embeddings::from_values(dimension, values))
    }

    /// Goes back to the first row.
    pub fn rewind(&mut self) {
        self.read = 0;
    }

    /// `count` numbers, from number `first` of the file on.
    fn numbers(&mut self, first: usize, count: usize) -> Result<Vec<f32>> {
        let Layout { begin, float, big_endian, .. } = self.layout;
        let mut bytes = vec![0; count * float.size()];
        let place = begin + (first * float.size()) as u64;
        self.file
            .seek(SeekFrom::Start(place))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|error| Error::unreadable(&self.path, &error))?;
        if big_endian {
            bytes.chunks_exact_mut(float.size()).for_each(<[u8]>::reverse);
        }
        Ok(match float {
            Float::F16 => {
                bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()
            }
            Float::F32 => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Float::F64 => bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
        })
    }
}

/// Where the numbers of a file are, and their type.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// The place of the first number, in bytes.
    begin: u64,
    float: Float,
    big_endian: bool,
    /// Column after column (Fortran order), not row after row (C order).
    column_major: bool,
    rows: usize,
    dimension: usize,
}

#[derive(Debug, Clone, Copy)]
enum Float {
    F16,
    F32,
    F64,
}

impl Float {
    /// Bytes of a number.
    fn size(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// What a file has, and what it should have.
struct Mismatch {
    found: String,
    expected: String,
}

fn mismatch(found: impl Into<String>, expected: impl Into<String>) -> Mismatch {
    Mismatch { found: found.into(), expected: expected.into() }
}

impl Layout {
    /// Reads the header in the first bytes of a file of `length` bytes.
    fn parse(bytes: &[u8], length: u64) -> Result<Self, Mismatch> {
        let Some(version) = bytes.strip_prefix(b"\x93NUMPY") else {
            return Err(mismatch("no NumPy header", "a .npy file"));
        };
        let cut_off = || mismatch("a header that is cut off", "a whole one");
        let (header_length, begin) = match *version {
            [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([a, b])), 10),
            [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 12),
            [1..=3, ..] | [] => return Err(cut_off()),
            [version, ..] => {
                return Err(mismatch(format!("the format version {version}"), "version 1, 2 or 3"));
            }
        };
        if header_length > LONGEST_HEADER {
            let limit = format!("at most {LONGEST_HEADER}");
            return Err(mismatch(format!("a header of {header_length} bytes"), limit));
        }
        let header = bytes.get(begin..begin + header_length).ok_or_else(cut_off)?;
        let header = String::from_utf8_lossy(header);
        let begin = (begin + header_length) as u64;

        let (float, big_endian) = float_of(value_of(&header, "descr")?)?;
        let column_major = match value_of(&header, "fortran_order")? {
            order if order.starts_with("True") => true,
            order if order.starts_with("False") => false,
            _ => return Err(mismatch("an unknown fortran_order", "True or False")),
        };
        let (rows, dimension) = shape_of(value_of(&header, "shape")?)?;
        let whole = [rows as u64, dimension as u64, float.size() as u64]
            .into_iter()
            .try_fold(1, u64::checked_mul)
            .and_then(|bytes| bytes.checked_add(begin));
        if whole != Some(length) {
            let expected = whole.map_or("more than any file has".into(), |whole| whole.to_string());
            return Err(mismatch(
                format!("{length} bytes"),
                format!("{expected} for {rows} x {dimension} numbers: it is cut off or damaged"),
            ));
        }
        Ok(Self { begin, float, big_endian, column_major, rows, dimension })
    }
}

/// The text after a key of the dictionary.
fn value_of<'a>(header: &'a str, key: &str) -> Result<&'a str, Mismatch> {
    let after = ['\'', '"'].iter().find_map(|quote| header.split_once(&format!("{quote}{key}{quote}")));
    let value = after.and_then(|(_, rest)| rest.trim_start().strip_prefix(':'));
    value.map(str::trim_start).ok_or_else(|| mismatch(format!("a header without {key}"), "one with it"))
}

/// The type of the numbers, and whether they are big-endian.
fn float_of(value: &str) -> Result<(Float, bool), Mismatch> {
    let name = value.strip_prefix(['\'', '"']).and_then(|rest| rest.split(['\'', '"']).next());
    let name = name.unwrap_or("of several fields");
    let float = match name.get(1..) {
        Some("f2") => Some(Float::F16),
        Some("f4") => Some(Float::F32),
        Some("f8") => Some(Float::F64),
        _ => None,
    };
    match (float, name.as_bytes().first()) {
        (Some(float), Some(b'<')) => Ok((float, false)),
        (Some(float), Some(b'>')) => Ok((float, true)),
        _ => Err(mismatch(format!("numbers of the type {name}"), "float16, float32 or float64")),
    }
}

/// Rows and numbers in a row.
fn shape_of(value: &str) -> Result<(usize, usize), Mismatch> {
    let shape = value.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or("", |(shape, _)| shape);
    let parts: Option<Vec<usize>> = shape
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().ok())
        .collect();
    match parts.as_deref() {
        Some(&[rows, dimension]) if dimension > 0 => Ok((rows, dimension)),
        _ => Err(mismatch(format!("the shape ({shape})"), "a matrix (rows, dimension)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_header_has_room_for_any_matrix() {
        let header = header(usize::MAX, usize::MAX);
        assert_eq!((header.len(), header.last()), (WRITTEN_HEADER, Some(&b'\n')));
    }
}
