//! What only fuzz targets call: records and segments of an index, read from any bytes.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use crate::document::DocumentRecord;
use crate::graph::Graph;
use crate::manifest::{IndexId, Manifest, ModelRecord, Origin, decode};
use crate::segment::search::Wanted;
use crate::segment::sections::Section;
use crate::segment::write::{Header, SegmentWriter};
use crate::segment::{Deleted, Segment};
use crate::storage::Memory;
use crate::{Document, Embeddings, ModelIdentity};

/// Reads a published manifest and checks it.
pub fn read_manifest(bytes: &[u8]) {
    let _ = Manifest::from_bytes(bytes);
    let _ = decode::<Manifest>(bytes).map(|manifest| Manifest::from_bytes(&manifest.to_bytes()));
}

/// Reads the directory of a segment.
pub fn read_directory(bytes: &[u8]) {
    if let Ok(header) = decode::<Header>(bytes)
        && let Some(shape) = &header.graph
    {
        let _ = shape.check();
    }
}

/// Reads a document whole, and its metadata alone: both can be read, or neither but for the JSON in it.
pub fn read_document(bytes: &[u8]) {
    if DocumentRecord::document(bytes).is_ok() {
        let metadata = DocumentRecord::metadata(bytes).expect("a document that can be read has metadata");
        crate::filter::pick::pick(metadata, &["a", "b"])
            .expect("metadata that can be read can be picked from");
    }
    let _ = DocumentRecord::hash(bytes);
}

/// Points of the graph of [`search_forged`].
const POINTS: usize = 600;

/// Changes words of the arrays of a small segment, writes it under checksums that hold, and searches it: it is
/// refused, or gives rows that exist. A change names an array, a word of it and the word's new value.
pub fn search_forged(changes: &[(u8, u16, u32)]) {
    let (storage, index) = (Memory::new(), IndexId([0; 16]));
    let mut arrays = ARRAYS.clone();
    for (array, at, word) in changes {
        let words = &mut arrays[usize::from(*array) % FORGED.len()];
        let at = 4 * usize::from(*at);
        if let Some(place) = words.get_mut(at..at + 4) {
            place.copy_from_slice(&word.to_le_bytes());
        }
    }
    let mut writer = SegmentWriter::create(&storage, index, 1).expect("memory takes it");
    for (section, bytes) in FORGED.iter().zip(&arrays) {
        writer.section(*section, bytes).expect("memory takes it");
    }
    writer.finish(header()).expect("memory takes it");
    let Ok(segment) = Segment::open_file(&storage, Origin { index, segment: 1 }, 1) else { return };
    for row in [0, POINTS - 1] {
        for deleted in [None, Some(Deleted::none(POINTS))] {
            let wanted = Wanted {
                query: VECTORS.row(row),
                k: 10,
                ef: 20,
                exact: false,
                among: None,
                deleted: deleted.as_ref(),
            };
            if let Ok(found) = segment.nearest(&wanted) {
                assert!(found.len() <= 10 && found.iter().all(|(_, row)| (*row as usize) < POINTS));
            }
        }
    }
    let _ = segment.verify(&|_| true);
    for document in [0, POINTS - 1] {
        let _ = segment.document(document);
        let _ = segment.find("0", crate::document::id_hash("0"));
    }
}

/// The sections that are forged.
const FORGED: [Section; 9] = [
    Section::GraphBase,
    Section::GraphUpper,
    Section::GraphRows,
    Section::Codes,
    Section::Vectors,
    Section::DocumentEnds,
    Section::Documents,
    Section::IdHashes,
    Section::IdDocuments,
];

static VECTORS: LazyLock<Embeddings> = LazyLock::new(|| {
    let values = (0..POINTS as u32 * 4).map(|i| (i.wrapping_mul(2654435761) >> 16) as f32 / 65536.0 - 0.5);
    Embeddings::from_values(4, values.collect())
});

static GRAPH: LazyLock<Graph> =
    LazyLock::new(|| Graph::build(&VECTORS, &|_, _| ControlFlow::Continue(())).expect("nothing stops it"));

/// The sections as they should be.
static ARRAYS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let document = |i: usize| Document { id: i.to_string(), ..Document::default() };
    let records: Vec<Vec<u8>> =
        (0..POINTS).map(|i| DocumentRecord::encode(&document(i)).expect("it is short")).collect();
    let ends: Vec<u64> = records
        .iter()
        .scan(0, |end, record| {
            *end += record.len() as u64;
            Some(*end)
        })
        .collect();
    let mut ids: Vec<(u64, u32)> =
        (0..POINTS).map(|i| (crate::document::id_hash(&i.to_string()), i as u32)).collect();
    ids.sort_unstable();
    let (hashes, documents): (Vec<u64>, Vec<u32>) = ids.into_iter().unzip();
    vec![
        bytemuck::cast_slice(&GRAPH.base).to_vec(),
        bytemuck::cast_slice(&GRAPH.upper).to_vec(),
        bytemuck::cast_slice(&GRAPH.rows).to_vec(),
        GRAPH.codes.to_vec(),
        bytemuck::cast_slice(VECTORS.as_slice()).to_vec(),
        bytemuck::cast_slice(&ends).to_vec(),
        records.concat(),
        bytemuck::cast_slice(&hashes).to_vec(),
        bytemuck::cast_slice(&documents).to_vec(),
    ]
});

fn header() -> Header {
    Header {
        documents: POINTS as u64,
        passages: POINTS as u64,
        dimension: 4,
        model: ModelRecord::of(&ModelIdentity::unknown(4)),
        generation: 1,
        replaces: Vec::new(),
        graph: Some(GRAPH.shape.clone()),
        sections: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn forged_arrays_are_refused_or_searched(
            changes in prop::collection::vec((any::<u8>(), 0..9600u16, prop_oneof![0..700u32, any::<u32>()]), 0..40),
        ) {
            search_forged(&changes);
        }
    }
}
