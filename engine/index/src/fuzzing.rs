//! What only fuzz targets call: records of an index, read from any bytes.

use crate::document::DocumentRecord;
use crate::manifest::{Manifest, decode};
use crate::segment::write::Header;

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
