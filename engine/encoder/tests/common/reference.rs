//! Reference numbers under `fixtures/`.

use std::path::PathBuf;

use akin_kernels::Embeddings;

/// The folder of fixtures.
pub fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// The sentences that the reference numbers are of.
pub fn sentences() -> Vec<String> {
    let lines = std::fs::read_to_string(fixtures().join("sentences.jsonl")).unwrap();
    let text = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().unwrap().to_string()
    };
    lines.lines().map(text).collect()
}

/// A matrix of f32, row-major, in numpy's format.
pub fn npy(name: &str) -> Embeddings {
    let path = fixtures().join("references").join(name).with_extension("npy");
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let header_length = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    let header = String::from_utf8_lossy(&bytes[10..10 + header_length]).into_owned();
    assert!(header.contains("'descr': '<f4'") && header.contains("'fortran_order': False"), "{header}");
    let (_, shape) = header.split_once('(').unwrap();
    let columns = shape.split([',', ')']).nth(1).unwrap().trim().parse().unwrap();
    let (words, _) = bytes[10 + header_length..].as_chunks::<4>();
    Embeddings::from_values(columns, words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}

/// The cosine of each row with its counterpart.
pub fn cosines<'a>(ours: &'a Embeddings, theirs: &'a Embeddings) -> impl Iterator<Item = f64> + 'a {
    assert_eq!((ours.rows(), ours.dimension()), (theirs.rows(), theirs.dimension()));
    ours.iter().zip(theirs.iter()).map(|(a, b)| {
        let dot =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    })
}
