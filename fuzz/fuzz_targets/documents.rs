//! Whatever a file of one document holds, its reader gives text or a reason, and does not panic.
#![no_main]

use std::path::Path;

use akin_indexer::documents::{DocumentFormat, read};
use libfuzzer_sys::fuzz_target;

/// All but PDF, whose reader is a library of others that may panic.
const FORMATS: [DocumentFormat; 11] = [
    DocumentFormat::Text,
    DocumentFormat::Markdown,
    DocumentFormat::Html,
    DocumentFormat::Docx,
    DocumentFormat::Odt,
    DocumentFormat::Epub,
    DocumentFormat::Rtf,
    DocumentFormat::Pptx,
    DocumentFormat::Xlsx,
    DocumentFormat::Notebook,
    DocumentFormat::Mail,
];

fuzz_target!(|data: &[u8]| {
    let Some((choice, content)) = data.split_first() else { return };
    let format = FORMATS[usize::from(*choice) % FORMATS.len()];
    // Compressed input may be a thousand times as long; a reader gives 64 MiB at most.
    if let Ok(document) = read(Path::new("file"), content.to_vec(), Some(format), None) {
        assert!(document.text.len() <= 64 << 20);
    }
});
