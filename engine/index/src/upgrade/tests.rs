use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use akin_fixtures::Random;
use tempfile::TempDir;

use super::records::SegmentRecord;
use super::*;

const FILES: [&str; 4] = ["akin-index", "generation", "store/conf", "store/db"];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/format-3")
}

/// The index of the fixture: its files with their names.
fn files() -> Vec<(String, Vec<u8>)> {
    let snapshot = fs::read_dir(fixture().join("index/store")).unwrap().find_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.starts_with("snap.").then(|| format!("store/{}", name.trim_end_matches(".zst")))
    });
    let names = FILES.iter().map(|name| (*name).to_owned()).chain(snapshot);
    let unpack = |name: String| {
        let packed = fs::File::open(fixture().join(format!("index/{name}.zst"))).unwrap();
        (name, zstd::decode_all(packed).unwrap())
    };
    let files: Vec<_> = names.map(unpack).collect();
    assert_eq!(files.len(), 5);
    files
}

fn write(files: &[(String, Vec<u8>)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("store")).unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn unpacked() -> TempDir {
    write(&files())
}

/// Documents and vectors, row for row.
type Content = (Vec<Document>, Vec<f32>);

fn content(index: &OlderIndex, rows: usize) -> Result<Content> {
    let (mut documents, mut vectors) = (Vec::new(), Vec::new());
    index.each_batch(rows, &mut |mut some, mut their_vectors| {
        assert!((1..=rows).contains(&some.len()));
        assert_eq!(their_vectors.len(), some.len() * index.model().2);
        documents.append(&mut some);
        vectors.append(&mut their_vectors);
        Ok(())
    })?;
    assert_eq!(documents.len(), index.documents());
    Ok((documents, vectors))
}

fn read(path: &Path) -> Result<Content> {
    content(&OlderIndex::open(path)?, 7)
}

/// What `akin export` wrote.
fn exported(documents: &Path, vectors: &Path) -> Content {
    let documents = fs::read_to_string(documents).unwrap();
    let documents = documents.lines().map(|line| {
        let mut metadata: crate::Metadata = serde_json::from_str(line).unwrap();
        let mut field = |name| metadata.shift_remove(name).unwrap().as_str().unwrap().to_owned();
        Document { id: field("id"), text: field("text"), metadata }
    });
    let vectors = fs::read(vectors).unwrap();
    let header = 10 + u16::from_le_bytes([vectors[8], vectors[9]]) as usize;
    let words = vectors[header..].as_chunks().0.iter();
    (documents.collect(), words.map(|word| f32::from_le_bytes(*word)).collect())
}

fn expected() -> Content {
    exported(&fixture().join("expected.jsonl"), &fixture().join("expected.npy"))
}

/// Changes a record of an index and gives it a checksum that holds.
fn edit_record(index: &Path, tree: &str, key: &[u8], edit: impl FnOnce(&mut Vec<u8>)) {
    let db = sled::Config::new()
        .path(index.join("store"))
        .segment_size(1 << 20)
        .mode(sled::Mode::LowSpace)
        .flush_every_ms(None)
        .open()
        .unwrap();
    let records = db.open_tree(tree).unwrap();
    let mut payload = records.get(key).unwrap().unwrap().to_vec();
    payload.truncate(payload.len() - 4);
    edit(&mut payload);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(&payload);
    payload.extend(hasher.finalize().to_le_bytes());
    records.insert(key, payload).unwrap();
    db.flush().unwrap();
}

fn is_damaged<T>(outcome: &Result<T>) -> bool {
    matches!(outcome, Err(Error::Damaged { .. }))
}

#[test]
fn every_live_document_comes_back_in_order_with_its_vector() {
    let folder = unpacked();
    assert!(is_older(folder.path()));
    let index = OlderIndex::open(folder.path()).unwrap();
    let (fingerprint, location, dimension) = index.model();
    assert_eq!((fingerprint.len(), location.as_str(), dimension), (64, "/tmp/akin-format-3/model", 32));
    assert_eq!((index.ef(), index.documents()), (0, 36));
    for rows in [1, 7, 36, 1000] {
        assert!(content(&index, rows).unwrap() == expected(), "{rows}");
    }
}

#[test]
fn the_ef_that_was_chosen_is_kept() {
    let folder = unpacked();
    edit_record(folder.path(), "manifest", b"manifest", |payload| *payload.last_mut().unwrap() = 97);
    assert_eq!(OlderIndex::open(folder.path()).unwrap().ef(), 97);
}

#[test]
fn a_failing_batch_ends_the_reading_with_its_error() {
    let folder = unpacked();
    let index = OlderIndex::open(folder.path()).unwrap();
    let mut batches = 0;
    let outcome = index.each_batch(5, &mut |_, _| {
        batches += 1;
        if batches == 2 { Err(Error::Invalid("enough".into())) } else { Ok(()) }
    });
    assert!(matches!(outcome, Err(Error::Invalid(_))));
    assert_eq!(batches, 2);
}

#[test]
fn a_held_index_is_locked_and_a_dropped_one_opens_again() {
    let folder = unpacked();
    for _ in 0..3 {
        let index = OlderIndex::open(folder.path()).unwrap();
        assert!(matches!(OlderIndex::open(folder.path()), Err(Error::Locked { .. })));
        drop(index);
    }
}

#[test]
fn an_interrupted_replacement_is_completed() {
    let folder = unpacked();
    let (store, old) = (folder.path().join("store"), folder.path().join("store.old"));
    fs::rename(&store, &old).unwrap();
    assert!(is_older(folder.path()));
    assert!(read(folder.path()).unwrap() == expected());
    fs::create_dir(&old).unwrap();
    fs::write(old.join("db"), b"what was replaced").unwrap();
    assert!(read(folder.path()).unwrap() == expected());
    assert!(!old.exists());
}

#[test]
fn other_formats_are_refused_by_number() {
    for other in [1u32, 2, 4, 900] {
        let folder = unpacked();
        edit_record(folder.path(), "meta", b"format", |format| *format = other.to_le_bytes().to_vec());
        let outcome = OlderIndex::open(folder.path());
        assert!(matches!(outcome, Err(Error::Format { found, known: 3, .. }) if found == other));
    }
}

#[test]
fn a_commit_that_the_database_has_lost_is_damage() {
    let folder = unpacked();
    let number = 1_000u64.to_le_bytes();
    let noted = [&number[..], &crc32fast::hash(&number).to_le_bytes()].concat();
    fs::write(folder.path().join("generation"), noted).unwrap();
    assert!(is_damaged(&OlderIndex::open(folder.path())));
}

#[test]
fn a_removed_index_leaves_an_empty_folder() {
    let folder = unpacked();
    fs::create_dir(folder.path().join("store.begun")).unwrap();
    OlderIndex::open(folder.path()).unwrap().remove().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    remove_files(folder.path()).unwrap();
    assert!(!is_older(folder.path()));
    assert!(matches!(OlderIndex::open(folder.path()), Err(Error::NotAnIndex { .. })));
}

#[test]
fn only_a_marker_and_a_database_without_a_newer_manifest_are_older() {
    let folder = unpacked();
    assert!(!is_older(&folder.path().join("nowhere")));
    fs::write(folder.path().join("manifest"), b"").unwrap();
    assert!(!is_older(folder.path()));
    fs::remove_file(folder.path().join("manifest")).unwrap();
    fs::remove_dir_all(folder.path().join("store")).unwrap();
    assert!(!is_older(folder.path()));
}

#[test]
fn flipped_bytes_are_an_error_or_change_nothing() {
    let (files, expected) = (files(), expected());
    let mut random = Random::new(3);
    let mut errors = 0;
    for (file, (name, bytes)) in files.iter().enumerate() {
        // Most of the log is zero, and nothing reads it.
        let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        for try_number in 0..if name == "store/db" { 200 } else { 30 } {
            let at = match try_number % 4 {
                0 => random.below(bytes.len() as u64) as usize,
                _ => written[random.below(written.len() as u64) as usize],
            };
            let mut files = files.clone();
            files[file].1[at] ^= 1 << random.below(8);
            match read(write(&files).path()) {
                Ok(found) => assert!(found == expected, "byte {at} of {name}"),
                Err(_) => errors += 1,
            }
        }
    }
    assert!(errors > 50, "{errors}");
}

#[test]
fn files_that_are_cut_or_gone_are_an_error_or_change_nothing() {
    let (files, expected) = (files(), expected());
    let mut random = Random::new(5);
    for file in 0..files.len() {
        let name = &files[file].0;
        for try_number in 0..20 {
            let mut files = files.clone();
            let bytes = match try_number {
                0 => 0,
                _ => random.below(files[file].1.len() as u64) as usize,
            };
            files[file].1.truncate(bytes);
            if let Ok(found) = read(write(&files).path()) {
                assert!(found == expected, "{name} cut to {bytes} bytes");
            }
        }
        let folder = write(&files);
        fs::remove_file(folder.path().join(name)).unwrap();
        if let Ok(found) = read(folder.path()) {
            assert!(found == expected, "{name} gone");
        }
    }
}

/// The manifest of an index of one pending segment, with these fields of it.
fn hostile_manifest(end_doc: u64, rows: u64, record_bytes: u64) -> Vec<u8> {
    let segments = [(0u64, 0u64, end_doc, rows, record_bytes, Vec::<(String, u64)>::new())];
    let rest = (vec![0u8; 0], end_doc, 0u64, 1u64, 0u32);
    bincode::encode_to_vec((1u64, segments.to_vec(), rest), bincode::config::standard()).unwrap()
}

#[test]
fn lengths_that_the_database_does_not_bear_out_are_damage() {
    let huge_list = [&[1u8, 253][..], &u64::MAX.to_le_bytes()].concat();
    let huge_slots = [&[1u8, 0, 253][..], &(1u64 << 40).to_le_bytes()].concat();
    let most = u64::from(u32::MAX);
    for manifest in [
        hostile_manifest(most, most, 10),
        hostile_manifest(46, 46, u64::MAX),
        hostile_manifest(46, 46, 1 << 40),
        hostile_manifest(46, 46, 100),
        hostile_manifest(47, 46, 100),
        hostile_manifest(u64::MAX, u64::MAX, 0),
        huge_list,
        huge_slots,
        Vec::new(),
    ] {
        let folder = unpacked();
        edit_record(folder.path(), "manifest", b"manifest", |payload| payload.clone_from(&manifest));
        assert!(is_damaged(&read(folder.path())), "{manifest:?}");
    }
}

#[test]
fn changed_records_with_checksums_that_hold_end_in_no_panic() {
    let mut random = Random::new(7);
    let targets = [
        ("manifest", b"manifest".to_vec()),
        ("meta", b"model".to_vec()),
        ("documents", arrays::key(0, 0, 32).to_vec()),
        ("documents", arrays::key(0, 1, 32).to_vec()),
        ("segments", arrays::key(0, 0, 32).to_vec()),
    ];
    let mut errors = 0;
    for try_number in 0..100 {
        let folder = unpacked();
        let (tree, key) = &targets[try_number % targets.len()];
        edit_record(folder.path(), tree, key, |payload| {
            let at = random.below(payload.len().min(200) as u64) as usize;
            match random.below(4) {
                0 => payload[at] = random.below(256) as u8,
                1 => payload[at] = 253,
                2 => payload.truncate(at),
                _ => payload.extend([0; 5]),
            }
        });
        errors += usize::from(read(folder.path()).is_err());
    }
    assert!(errors > 30, "{errors}");
}

/// Vectors as a NumPy file.
fn npy(rows: usize, dimension: usize, random: &mut Random) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dimension}), }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(118u16.to_le_bytes());
    bytes.extend(format!("{header:<117}\n").bytes());
    for _ in 0..rows * dimension {
        bytes.extend((random.below(2001) as f32 / 1000.0 - 1.0).to_le_bytes());
    }
    bytes
}

/// With `AKIN_RELEASE_3` a path of an `akin` that writes format 3: an index with merged, sealed and pending
/// segments, as that program exports it.
#[test]
fn a_merged_index_of_a_release_comes_back_as_the_release_exports_it() {
    let Some(akin) = std::env::var_os("AKIN_RELEASE_3") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = |arguments: &[&str]| {
        let status = Command::new(&akin).current_dir(folder.path()).arg("-q").args(arguments).status();
        assert!(status.unwrap().success(), "{arguments:?}");
    };
    let mut random = Random::new(11);
    let mut import = |numbers: Vec<usize>, version: usize| {
        fs::write(at("v.npy"), npy(numbers.len(), 100, &mut random)).unwrap();
        let line = |number: &usize| {
            let words = "word ".repeat(number % 40);
            format!("{{\"id\":\"{number}\",\"text\":\"Version {version}. {words}\",\"number\":{number}}}\n")
        };
        fs::write(at("d.jsonl"), numbers.iter().map(line).collect::<String>()).unwrap();
        run(&["import", "index", "--vectors", "v.npy", "--documents", "d.jsonl"]);
    };
    import((0..9000).collect(), 1);
    import((0..9000).filter(|number| number % 9 < 5).collect(), 2);
    import((8900..9300).collect(), 3);
    run(&["delete", "index", "1", "8", "17", "4000", "9000", "9299"]);

    let index = OlderIndex::open(&at("index")).unwrap();
    let consecutive = index.manifest.segments.iter().map(SegmentRecord::is_consecutive);
    assert_eq!(consecutive.collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(index.documents(), 9294);
    let asked = std::time::Instant::now();
    let found = content(&index, 512).unwrap();
    println!("{} documents read in {:?}", found.0.len(), asked.elapsed());
    drop(index);
    run(&["export", "index", "--vectors", "e.npy", "--documents", "e.jsonl"]);
    assert!(found == exported(&at("e.jsonl"), &at("e.npy")));
}
