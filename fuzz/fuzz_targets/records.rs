//! Whatever a record of the store holds, it is read or refused.
#![no_main]

use akin_index::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((choice, bytes)) = data.split_first() {
        match choice % 3 {
            0 => fuzzing::read_manifest(bytes),
            1 => fuzzing::read_directory(bytes),
            _ => fuzzing::read_document(bytes),
        }
    }
});
