//! NumPy files: what is written is what NumPy reads, and every kind is read right or refused by name.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::fs::File;

use akin_fixtures::npy::{dictionary, file};
use akin_fixtures::{Folder, random, similarity};
use akin_indexer::Error;
use akin_indexer::npy::{NpyReader, NpyWriter};
use akin_kernels::Embeddings;
use half::f16;
use proptest::prelude::*;

fn write(folder: &Folder, name: &str, parts: &[&Embeddings]) {
    let output = File::create(folder.path(name)).unwrap();
    let mut writer = NpyWriter::new(output, parts[0].dimension()).unwrap();
    parts.iter().for_each(|part| writer.write(part).unwrap());
    writer.finish().unwrap();
}

fn read(bytes: &[u8]) -> Result<Embeddings, Error> {
    let folder = Folder::new();
    let mut reader = NpyReader::open(&folder.write("m.npy", bytes))?;
    reader.read(reader.rows())
}

#[test]
fn the_file_is_what_numpy_reads() {
    let folder = Folder::new();
    let parts = [vec![1.0, -2.0], vec![0.5, 4.0, 8.0, 16.0]].map(|values| Embeddings::from_values(2, values));
    write(&folder, "m.npy", &[&parts[0], &parts[1]]);
    let bytes = std::fs::read(folder.path("m.npy")).unwrap();
    assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
    assert_eq!(bytes.len(), 128 + 6 * 4);
    let header = std::str::from_utf8(&bytes[10..128]).unwrap();
    assert!(header.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"), "{header}");
    assert!(header.ends_with(" \n"));
    let values = akin_fixtures::npy::read(&folder.path("m.npy"));
    assert_eq!(values.as_slice(), [1.0, -2.0, 0.5, 4.0, 8.0, 16.0]);
}

#[test]
fn what_is_written_is_read_again_some_rows_at_a_time() {
    let folder = Folder::new();
    write(&folder, "m.npy", &[&Embeddings::from_values(2, vec![1.0, -2.0, 0.5, 4.0, 8.0, 16.0])]);
    let mut reader = NpyReader::open(&folder.path("m.npy")).unwrap();
    assert_eq!((reader.rows(), reader.dimension()), (3, 2));
    assert_eq!(reader.read(2).unwrap().as_slice(), [1.0, -2.0, 0.5, 4.0]);
    assert_eq!(reader.read(2).unwrap().as_slice(), [8.0, 16.0]);
    assert_eq!(reader.read(2).unwrap().rows(), 0);
    reader.rewind();
    assert_eq!(reader.read(1).unwrap().as_slice(), [1.0, -2.0]);
}

#[test]
fn every_type_byte_order_and_layout_gives_the_same_matrix() {
    let matrix = random::unit_vectors(5, 3, 1);
    let columns: Vec<f32> = (0..3).flat_map(|column| matrix.iter().map(move |row| row[column])).collect();
    for fortran_order in [false, true] {
        let values = if fortran_order { &columns } else { matrix.as_slice() };
        for descr in ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"] {
            let bytes = |value: &f32| -> Vec<u8> {
                let mut bytes = match &descr[1..] {
                    "f2" => f16::from_f32(*value).to_le_bytes().to_vec(),
                    "f4" => value.to_le_bytes().to_vec(),
                    _ => f64::from(*value).to_le_bytes().to_vec(),
                };
                if descr.starts_with('>') {
                    bytes.reverse();
                }
                bytes
            };
            let values: Vec<u8> = values.iter().flat_map(bytes).collect();
            let whole = file(&dictionary(descr, fortran_order, "(5, 3)"), &values);
            let folder = Folder::new();
            let mut reader = NpyReader::open(&folder.write("m.npy", whole)).unwrap();
            let mut found = reader.read(2).unwrap();
            reader.read(9).unwrap().iter().for_each(|row| found.push(row));
            assert_eq!(reader.read(9).unwrap().rows(), 0);
            let difference = similarity::greatest_difference(found.as_slice(), matrix.as_slice());
            let bound = if descr.ends_with("f2") { 1e-3 } else { 0.0 };
            assert!(difference <= bound, "{descr}, fortran_order {fortran_order}: {difference}");
        }
    }
}

#[test]
fn later_versions_of_the_format_are_read() {
    for version in [2, 3] {
        let dictionary = dictionary("<f4", false, "(1, 1)");
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        bytes.extend((dictionary.len() as u32).to_le_bytes());
        bytes.extend(dictionary.as_bytes());
        bytes.extend(2.5f32.to_le_bytes());
        assert_eq!(read(&bytes).unwrap().as_slice(), [2.5]);
    }
}

#[test]
fn a_matrix_without_rows_is_read() {
    let found = read(&file(&dictionary("<f4", false, "(0, 4)"), &[])).unwrap();
    assert_eq!((found.rows(), found.dimension()), (0, 4));
}

#[test]
fn what_is_no_matrix_of_floats_is_refused_with_what_was_found() {
    let of = |descr: &str, shape: &str, bytes: usize| file(&dictionary(descr, false, shape), &vec![0; bytes]);
    let mut newer = of("<f4", "(3, 2)", 24);
    newer[6] = 9;
    for (bytes, said) in [
        (Vec::new(), "no NumPy header"),
        (b"something else altogether".to_vec(), "no NumPy header"),
        (b"\x93NUMPY\x01".to_vec(), "a header that is cut off"),
        (of("<f4", "(3, 2)", 0)[..30].to_vec(), "a header that is cut off"),
        (newer, "the format version 9"),
        (of("|i1", "(3, 2)", 6), "the type |i1"),
        (of("<i4", "(3, 2)", 24), "the type <i4"),
        (of("<c8", "(3, 2)", 48), "the type <c8"),
        (
            file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }", &[0; 12]),
            "several fields",
        ),
        (file("{'descr': '<f4', 'shape': (3, 2), }", &[0; 24]), "without fortran_order"),
        (of("<f4", "(6,)", 24), "the shape (6,)"),
        (of("<f4", "()", 4), "the shape ()"),
        (of("<f4", "(3, 0)", 0), "the shape (3, 0)"),
        (of("<f4", "(3, 2, 1)", 24), "the shape (3, 2, 1)"),
        (of("<f4", "(3, 2)", 23), "cut off"),
        (of("<f4", "(3, 2)", 25), "cut off"),
        (of("<f8", "(3, 2)", 24), "cut off"),
        (of("<f4", "(9223372036854775807, 2)", 24), "cut off"),
    ] {
        let error = read(&bytes).unwrap_err();
        assert!(matches!(&error, Error::Matrix { path, .. } if path.ends_with("m.npy")), "{error:?}");
        assert!(error.to_string().contains(said), "no {said:?} in {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the header says, the file is read or refused.
    #[test]
    fn no_header_makes_the_reader_panic(
        header in "[{}'\"():, a-z<>0-9]{0,20}('descr': ?'[<>|]?[fi][0-9]', ?)?('fortran_order': ?(True|False), ?)?('shape': ?\\([0-9]{0,20},? ?[0-9]{0,20}\\))?",
        values in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let _ = read(&file(&header, &values));
    }
}
