//! What only fuzz targets call: records of the store, read from any bytes.

use crate::store::records::{DocumentRecord, Manifest, ModelRecord, decode};

/// Reads a manifest and checks it.
pub fn read_manifest(bytes: &[u8]) {
    let _ = decode::<Manifest>(bytes).and_then(|manifest| manifest.check());
}

/// Reads what an index notes of its model.
pub fn read_model(bytes: &[u8]) {
    let _ = decode::<ModelRecord>(bytes);
}

/// Reads a document whole, and its metadata alone: both can be read, or neither but for the JSON in it.
pub fn read_document(bytes: &[u8]) {
    if DocumentRecord::decode(bytes).is_ok() {
        let metadata = DocumentRecord::metadata(bytes).expect("a document that can be read has metadata");
        crate::filter::pick::pick(metadata, &["a", "b"])
            .expect("metadata that can be read can be picked from");
    }
    let _ = DocumentRecord::hash(bytes);
}
