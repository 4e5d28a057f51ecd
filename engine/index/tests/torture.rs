//! `kill -9` at any instant of adding, replacing, deleting, sealing, merging and compacting: nothing that was
//! acknowledged is lost, nothing that was deleted comes back, and the index opens.
//!
//! `make torture` kills a thousand times; as a test among others it kills forty times.

#![allow(clippy::unwrap_used)]

mod synthetic;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use akin_fixtures::Random;
use akin_index::Document;
use akin_index::Index;
use synthetic::{document, embedding, embeddings, go_on, is_torture, model};
use tempfile::TempDir;

/// Set for the process that writes until it is killed: the path of the index.
const WRITER: &str = "AKIN_TEST_CHURN";

/// Documents there may be; each is written anew again and again, so that segments die and are merged.
const KEYS: u64 = 6016;
/// Documents that a step writes.
const STEP: u64 = 64;
/// The document that every step writes: its text is the number of the step.
const COUNTER: u64 = KEYS;

fn written(step: u64, key: u64) -> Document {
    Document { text: format!("As step {step} left it."), ..document(key) }
}

/// The documents that a step writes, and then the one that it deletes.
fn keys(step: u64) -> (impl Iterator<Item = u64>, u64) {
    ((0..STEP).map(move |i| (step * STEP + i) % KEYS), (step * STEP * 7 + 3) % KEYS)
}

/// What is there after `steps` steps.
fn after(steps: u64) -> HashMap<u64, Document> {
    let mut expected = HashMap::new();
    for step in 0..steps {
        let (added, deleted) = keys(step);
        expected.extend(added.map(|key| (key, written(step, key))));
        expected.insert(COUNTER, counter(step));
        expected.remove(&deleted);
    }
    expected
}

fn counter(step: u64) -> Document {
    Document { text: step.to_string(), ..document(COUNTER) }
}

/// How many steps the index has begun.
fn begun(index: &Index) -> u64 {
    let counter = index.get(&document(COUNTER).id).unwrap();
    counter.map_or(0, |counter| counter.text.parse::<u64>().unwrap() + 1)
}

/// Deletes what the last of `steps` steps was to delete.
fn finish(index: &mut Index, steps: u64) {
    if let Some(last) = steps.checked_sub(1) {
        index.delete(&[&document(keys(last).1).id]).unwrap();
    }
}

/// Not a test of its own: the process that the test kills. It says what it does and what is done.
#[test]
fn churns_until_it_is_killed() {
    let Some(path) = std::env::var_os(WRITER) else {
        return;
    };
    println!("opening");
    let mut index = Index::open_or_create(Path::new(&path), &model()).unwrap();
    let steps = begun(&index);
    finish(&mut index, steps);
    for step in steps.. {
        let mut added: Vec<Document> = keys(step).0.map(|key| written(step, key)).collect();
        let mut rows = embeddings(keys(step).0);
        added.push(counter(step));
        rows.push(&embedding(COUNTER));
        index.upsert(&added, &rows).unwrap();
        finish(&mut index, step + 1);
        println!("acknowledged {step}");
        if step % 7 == 6 {
            println!("merging");
            index.seal(&go_on).unwrap();
            index.merge(&go_on).unwrap();
        }
        if step % 23 == 22 {
            println!("compacting");
            index.compact(&go_on).unwrap();
        }
    }
}

/// Runs the writer until it has said so much, and a moment more. Returns the steps that it acknowledged.
fn churn_and_kill(path: &Path, random: &mut Random) -> (Option<u64>, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "churns_until_it_is_killed", "--nocapture"])
        .env(WRITER, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let awaited = ["opening", "acknowledged", "merging", "compacting"][random.below(4) as usize];
    let mut left = if awaited == "acknowledged" { 1 + random.below(9) } else { 1 };
    let (mut acknowledged, mut last) = (None, String::new());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut hear = |line: String| {
        if let Some(step) = line.strip_prefix("acknowledged ").and_then(|step| step.parse::<u64>().ok()) {
            acknowledged = Some(step + 1);
        }
        last = line;
    };
    while left > 0
        && let Some(Ok(line)) = lines.next()
    {
        left -= u64::from(line.starts_with(awaited));
        hear(line);
    }
    let longest = if awaited == "acknowledged" { 8_000 } else { 60_000 };
    std::thread::sleep(Duration::from_micros(random.below(longest)));
    child.kill().unwrap();
    lines.map_while(Result::ok).for_each(hear);
    assert!(!child.wait().unwrap().success(), "it ended by itself");
    (acknowledged, last)
}

#[test]
fn a_kill_at_any_instant_loses_nothing_and_brings_nothing_back() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("index");
    let seed = u64::from(SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos());
    println!("seed {seed}");
    let mut random = Random::new(seed | 1);
    let mut acknowledged = 0;
    let mut places: HashMap<String, usize> = HashMap::new();
    for round in 0..if is_torture() { 1000 } else { 40 } {
        let (steps, last) = churn_and_kill(&path, &mut random);
        acknowledged = steps.unwrap_or(acknowledged);
        *places.entry(last.split(' ').next().unwrap().to_owned()).or_default() += 1;
        let mut index = Index::open_or_create(&path, &model()).unwrap();
        let steps = begun(&index);
        let context = format!("round {round}, after {last:?}, {acknowledged} acknowledged, {steps} begun");
        assert!((acknowledged..=acknowledged + 1).contains(&steps), "{context}");
        // The last step may have ended before its deletion; so may the one that nobody heard of.
        finish(&mut index, steps);
        acknowledged = steps;
        let expected = after(steps);
        assert_eq!(index.len(), expected.len(), "{context}");
        for key in 0..=COUNTER {
            assert_eq!(
                index.get(&document(key).id).unwrap().as_ref(),
                expected.get(&key),
                "{context}: {key}"
            );
        }
        if round % 100 == 99 {
            println!("{} kills, {places:?}, {steps} steps", round + 1);
        }
        if round % 4 == 0 {
            assert_eq!(index.verify().unwrap().documents, expected.len(), "{context}");
        }
    }
    println!("killed {places:?}, {acknowledged} steps");
    assert!(places.len() >= 3, "{places:?}");
}
