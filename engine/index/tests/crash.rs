//! What an index promises when a process is killed, a disk is full, or bytes on it change.

#![allow(clippy::unwrap_used)]

mod synthetic;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use akin_index::{Document, Embeddings, Error};
use akin_index::{Index, SearchOptions};
use proptest::prelude::*;
use synthetic::{document, documents, embedding, embeddings, filled, go_on, is_torture, model};
use tempfile::TempDir;

/// Set for the process that writes until it is killed: the path of the index.
const WRITER: &str = "AKIN_TEST_WRITER";

/// Documents a step of the writer adds.
const STEP: u64 = 64;

/// What the index must hold after `steps` steps of the writer: each adds its own documents, writes
/// the first of the step before it anew, and deletes the second.
fn after(steps: u64) -> HashMap<String, Option<Document>> {
    let mut expected = HashMap::new();
    for step in 0..steps {
        for i in step * STEP..(step + 1) * STEP {
            expected.insert(document(i).id, Some(document(i)));
        }
        if let Some(before) = step.checked_sub(1) {
            let first = before * STEP;
            expected.insert(document(first).id, Some(renewed(first)));
            expected.insert(document(first + 1).id, None);
        }
    }
    expected
}

fn renewed(i: u64) -> Document {
    Document { text: format!("The newer text of {i}."), ..document(i) }
}

/// The steps that an index has begun, by the documents that are there.
fn begun(index: &Index) -> u64 {
    (0..).take_while(|step| index.get(&document(step * STEP + 5).id).unwrap().is_some()).count() as u64
}

fn step(index: &mut Index, step: u64) {
    let own = step * STEP..(step + 1) * STEP;
    let mut added = documents(own.clone());
    let mut rows = embeddings(own);
    if let Some(before) = step.checked_sub(1) {
        added.push(renewed(before * STEP));
        rows.push(&embedding(before * STEP));
    }
    index.upsert(&added, &rows).unwrap();
    finish(index, step + 1);
}

/// Does what may be missing of the last of `steps` steps.
fn finish(index: &mut Index, steps: u64) {
    if let Some(before) = steps.checked_sub(2) {
        index.delete(&[&document(before * STEP + 1).id]).unwrap();
    }
}

/// Not a test of its own: the process that the tests kill. It says each step that was acknowledged.
#[test]
fn writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(WRITER) else {
        return;
    };
    println!("opening");
    let mut index = Index::open_or_create(Path::new(&path), &model()).unwrap();
    println!("opened");
    let steps = begun(&index);
    finish(&mut index, steps);
    for number in steps.. {
        step(&mut index, number);
        println!("acknowledged {number}");
    }
}

fn writer(path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "writes_until_it_is_killed", "--nocapture"])
        .env(WRITER, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Every acknowledged step is there, whole; of the one after it nothing, its upsert, or all. Then
/// that one is finished.
fn check(path: &Path, acknowledged: u64) -> u64 {
    let mut index = Index::open_or_create(path, &model()).unwrap();
    index.verify().unwrap();
    let steps = begun(&index);
    assert!(steps >= acknowledged, "{acknowledged} acknowledged, {steps} found");
    let mut expected = after(steps);
    if steps > acknowledged && steps >= 2 {
        // The last step may have ended between its upsert and its delete.
        let id = document((steps - 2) * STEP + 1).id;
        if let Some(document) = index.get(&id).unwrap() {
            expected.insert(id, Some(document));
        }
    }
    for (id, document) in &expected {
        assert_eq!(index.get(id).unwrap(), *document, "{id}");
    }
    assert_eq!(index.len(), expected.values().flatten().count());
    finish(&mut index, steps);
    steps
}

#[test]
fn a_writer_killed_at_any_moment_loses_nothing_acknowledged() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("index");
    let mut acknowledged = 0;
    for round in 0..20u64 {
        let mut child = writer(&path).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The first rounds end amid creation; then at 0 to 6 steps and a bit, never the same bit.
        let wanted = if round < 6 { round.min(1) } else { 2 + round % 6 };
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("acknowledged ") {
                acknowledged = number.parse::<u64>().unwrap() + 1;
            }
            seen += u64::from(line.starts_with("acknowledged") || line.starts_with("open"));
            if seen > wanted {
                break;
            }
        }
        let mut spin = round * 7919 % 4001 * 40;
        while spin > 0 {
            spin -= 1;
            std::hint::black_box(spin);
        }
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success());
        if round % 3 == 2 {
            acknowledged = check(&path, acknowledged);
        }
    }
    assert!(check(&path, acknowledged) > 10);
}

/// A limit on the size of files stands in for a full disk: it needs no disk of its own.
#[cfg(unix)]
#[test]
fn a_disk_that_takes_no_more_is_an_error_and_the_index_stays_as_it_was() {
    // Every so many blocks more, another write is the first that fails.
    let limits: Vec<usize> =
        if is_torture() { (100..4000).step_by(20).collect() } else { vec![700, 1500, 3000] };
    for blocks in limits {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("index");
        let mut acknowledged = 0;
        for _ in 0..3 {
            let output = Command::new("sh")
                .arg("-c")
                .arg(format!(r#"trap "" XFSZ; ulimit -f {blocks}; exec "$0" "$@""#))
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", "writes_until_it_is_killed", "--nocapture"])
                .env(WRITER, &path)
                .output()
                .unwrap();
            assert!(!output.status.success());
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            let told = format!("{said}{errors}");
            assert!(told.contains("Write {"), "{told}");
            let steps = said.lines().filter_map(|line| line.strip_prefix("acknowledged "));
            if let Some(last) = steps.max_by_key(|step| step.parse::<u64>().unwrap()) {
                acknowledged = last.parse::<u64>().unwrap() + 1;
            }
        }
        if path.join("manifest").exists() {
            let steps = check(&path, acknowledged);
            let mut index = Index::open(&path).unwrap();
            step(&mut index, steps);
            drop(index);
            check(&path, steps + 1);
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for file in files_below(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, &target).unwrap();
    }
}

/// Everything an index of documents `0..n` answers is right or an error.
fn answers_rightly(path: &Path, n: u64) -> Result<(), Error> {
    let index = Index::open(path)?;
    assert_eq!(index.len() as u64, n);
    index.verify()?;
    for i in 0..n {
        assert_eq!(index.get(&document(i).id)?, Some(document(i)));
    }
    for exact in [true, false] {
        let options = SearchOptions { k: 3, exact, ..SearchOptions::default() };
        let hits = index.search(&embedding(3), &options)?;
        assert_eq!(hits[0].document, document(3));
        assert_eq!(hits.len(), 3);
    }
    Ok(())
}

#[test]
fn a_changed_byte_is_an_error_or_changes_no_answer() {
    let folder = TempDir::new().unwrap();
    let whole = folder.path().join("whole");
    let n = if is_torture() { 5 } else { 200 };
    drop(filled(&whole, n));
    // Once with the whole log to replay, once after the database has taken its snapshot.
    for pass in 0..2 {
        let mut noticed = 0;
        for file in files_below(&whole) {
            let length = fs::metadata(&file).unwrap().len();
            let name = file.strip_prefix(&whole).unwrap().to_owned();
            let places = if is_torture() { length } else { 40.min(length) };
            for place in 0..places {
                let mut bytes = fs::read(&file).unwrap();
                let at = (length * place / places + place * 13 % (length / places)) as usize;
                // Of the megabyte that a log begins with nearly all are zeros which nobody reads.
                if is_torture() && place % 97 > 0 && bytes[at..].iter().take(64).all(|byte| *byte == 0) {
                    continue;
                }
                let copied = folder.path().join("copy");
                let _ = fs::remove_dir_all(&copied);
                copy(&whole, &copied);
                bytes[at] ^= 1 << (place % 8);
                fs::write(copied.join(&name), bytes).unwrap();
                match answers_rightly(&copied, n) {
                    Ok(()) => {}
                    Err(
                        Error::Damaged { .. }
                        | Error::NotAnIndex { .. }
                        | Error::Format { .. }
                        | Error::Catalogue { .. }
                        | Error::Io { .. },
                    ) => noticed += 1,
                    Err(error) => panic!("{} at {at}: {error}", name.display()),
                }
            }
        }
        assert!(noticed > 0, "no change was noticed in pass {pass}");
        answers_rightly(&whole, n).unwrap();
    }
}

#[derive(Debug, Clone)]
enum Operation {
    Upsert(Vec<(u8, u8)>),
    Delete(Vec<u8>),
    Seal,
    Merge,
    Compact,
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => prop::collection::vec((0..40u8, any::<u8>()), 0..8).prop_map(Operation::Upsert),
        2 => prop::collection::vec(0..40u8, 0..4).prop_map(Operation::Delete),
        1 => Just(Operation::Seal),
        1 => Just(Operation::Merge),
        1 => Just(Operation::Compact),
        1 => Just(Operation::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if is_torture() { 2000 } else { 24 },
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_index_is_a_map_whatever_is_done_to_it(operations in prop::collection::vec(operation(), 1..24)) {
        let folder = TempDir::new().unwrap();
        let mut index = Index::open_or_create(folder.path(), &model()).unwrap();
        let mut map: HashMap<String, (Document, u64)> = HashMap::new();
        for operation in operations {
            match operation {
                Operation::Upsert(pairs) => {
                    let pairs: HashMap<u8, u8> = pairs.into_iter().collect();
                    let mut added = Vec::new();
                    let mut rows = Embeddings::empty(synthetic::DIMENSION);
                    let known = map.len();
                    for (key, value) in &pairs {
                        let entry = Document {
                            id: format!("{key}"),
                            text: format!("{value}").repeat(usize::from(*value) * 20),
                            ..document(u64::from(*value))
                        };
                        rows.push(&embedding(u64::from(*value)));
                        map.insert(entry.id.clone(), (entry.clone(), u64::from(*value)));
                        added.push(entry);
                    }
                    let upserted = index.upsert(&added, &rows).unwrap();
                    prop_assert_eq!(upserted.added, map.len() - known);
                    prop_assert_eq!(upserted.added + upserted.replaced, added.len());
                }
                Operation::Delete(keys) => {
                    let keys: Vec<String> = keys.iter().map(u8::to_string).collect();
                    let ids: Vec<&str> = keys.iter().map(String::as_str).collect();
                    let existed = index.delete(&ids).unwrap();
                    for (id, existed) in ids.iter().zip(existed) {
                        prop_assert_eq!(map.remove(*id).is_some(), existed);
                    }
                }
                Operation::Seal => index.seal(&go_on).unwrap(),
                Operation::Merge => index.merge(&go_on).unwrap(),
                Operation::Compact => {
                    index.compact(&go_on).unwrap();
                }
                Operation::Reopen => {
                    drop(index);
                    index = Index::open(folder.path()).unwrap();
                    index.verify().unwrap();
                }
            }
            prop_assert_eq!(index.len(), map.len());
        }
        index.verify().unwrap();
        for (id, (document, seed)) in &map {
            let found = index.get(id).unwrap();
            prop_assert_eq!(found.as_ref(), Some(document));
            prop_assert!(index.is_unchanged(document).unwrap());
            let options = SearchOptions { k: map.len(), exact: true, ..SearchOptions::default() };
            let hits = index.search(&embedding(*seed), &options).unwrap();
            prop_assert_eq!(hits.len(), map.len());
            let own = hits.iter().find(|hit| hit.document.id == *id).unwrap();
            prop_assert!((own.score - 1.0).abs() < 1e-5);
        }
    }
}
