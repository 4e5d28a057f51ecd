//! Whatever the arrays of a segment are, under checksums that hold: they are refused, or can be searched.
#![no_main]

use akin_index::fuzzing::search_forged;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|changes: Vec<(u8, u16, u32)>| search_forged(&changes));
