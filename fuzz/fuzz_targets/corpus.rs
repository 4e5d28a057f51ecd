//! Whatever a file holds, each reader of corpora gives its documents or a sentence.
#![no_main]

use std::io::{Seek, Write};
use std::sync::{LazyLock, Mutex};

use akin_indexer::corpus::{CorpusOptions, CorpusReader, Format, MAX_ID_BYTES};
use libfuzzer_sys::fuzz_target;
use tempfile::NamedTempFile;

static FILE: LazyLock<Mutex<NamedTempFile>> =
    LazyLock::new(|| Mutex::new(NamedTempFile::new().expect("there is a folder for temporary files")));

fuzz_target!(|data: &[u8]| {
    let Some((choice, content)) = data.split_first() else { return };
    let mut file = FILE.lock().expect("one at a time");
    file.as_file().set_len(0).expect("the file can be emptied");
    file.rewind().expect("the file can be rewound");
    file.write_all(content).expect("there is room for the file");
    let format = [Format::Text, Format::Jsonl, Format::Csv, Format::Tsv][usize::from(choice & 3)];
    let options = CorpusOptions { format, keep_blank_lines: choice & 4 > 0, ..CorpusOptions::default() };
    let paths = [file.path().to_owned()];
    let mut reader = CorpusReader::open(&paths, &options).expect("the file is there");
    // Compressed input may be a thousand times as long.
    for document in reader.by_ref().take(10_000) {
        match document {
            Ok(document) => assert!(!document.id.is_empty() && document.id.len() <= MAX_ID_BYTES),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    if content.len() < 4096 && reader.next().is_none() {
        let _ = CorpusReader::open(&paths, &options).map(|mut reader| reader.survey());
    }
});
