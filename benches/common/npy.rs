//! The matrices that the benches read.

use akin_kernels::Embeddings;

/// Reads a matrix of little-endian f32 in C order from a NumPy file.
pub fn read(path: &str) -> Result<Embeddings, String> {
    let bytes = std::fs::read(path).map_err(|e| format!("cannot read {path}: {e}"))?;
    let other = || format!("{path} is not a NumPy file of a C-ordered f32 matrix");
    if !bytes.starts_with(b"\x93NUMPY\x01\x00") {
        return Err(other());
    }
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = bytes.get(10..10 + length).map(String::from_utf8_lossy).ok_or_else(other)?;
    if !header.contains("'<f4'") || !header.contains("'fortran_order': False") {
        return Err(other());
    }
    let shape = header.split(['(', ')']).nth(1).ok_or_else(other)?;
    let shape: Vec<usize> = shape.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    let [rows, dimension] = shape[..] else {
        return Err(other());
    };
    let (values, rest) = bytes[10 + length..].as_chunks::<4>();
    if rows * dimension != values.len() || !rest.is_empty() || rows < 20 || dimension == 0 {
        return Err(other());
    }
    Ok(Embeddings::from_values(dimension, values.iter().map(|v| f32::from_le_bytes(*v)).collect()))
}
