//! Whatever the bytes of a graph are, they are refused or can be walked.
#![no_main]

use std::collections::HashMap;
use std::sync::LazyLock;

use akin_kernels::Embeddings;
use akin_index::graph::Graph;
use libfuzzer_sys::fuzz_target;

/// Enough points for an upper layer or two.
const POINTS: usize = 600;

static VECTORS: LazyLock<Embeddings> = LazyLock::new(|| {
    let values = (0..POINTS as u32 * 4).map(|i| (i.wrapping_mul(2654435761) >> 16) as f32 / 65536.0 - 0.5);
    Embeddings::from_values(4, values.collect())
});

static PARTS: LazyLock<Vec<(&str, Vec<u8>)>> =
    LazyLock::new(|| Graph::build(&VECTORS, &|_, _| {}).to_parts());

// A part that is wholly made up, if any, and changes of four bytes to all of them.
fuzz_target!(|data: (Option<(u8, Vec<u8>)>, Vec<(u8, u16, u32)>, Option<(u8, u16)>)| {
    let (replaced, changes, cut) = data;
    let mut parts = PARTS.clone();
    if let Some((part, bytes)) = replaced {
        parts[usize::from(part) % 4].1 = bytes;
    }
    for (part, at, word) in changes {
        let (word, bytes) = (word.to_le_bytes(), &mut parts[usize::from(part) % 4].1);
        let at = usize::from(at) * 4;
        if let Some(bytes) = bytes.get_mut(at..at + 4) {
            bytes.copy_from_slice(&word);
        }
    }
    if let Some((part, length)) = cut {
        parts[usize::from(part) % 4].1.truncate(usize::from(length));
    }
    let parts: HashMap<String, Vec<u8>> =
        parts.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    if let Ok(graph) = Graph::from_parts(&parts, &VECTORS) {
        for row in [0, POINTS - 1] {
            let query = VECTORS.row(row);
            assert!(graph.search(&VECTORS, query, 10, 20, None).len() <= 10);
            let hits = graph.search(&VECTORS, query, 10, 20, Some(&|row| row % 3 > 0));
            assert!(hits.iter().all(|hit| hit.1 % 3 > 0 && (hit.1 as usize) < POINTS));
        }
    }
});
