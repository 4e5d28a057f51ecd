//! Readers in other processes work beside a writer: none is refused, and none sees half of a commit.

#![allow(clippy::unwrap_used)]

mod synthetic;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use akin_index::{Document, Index, Reader, ReaderOptions, Reload, SEAL_PASSAGES};
use synthetic::{document, documents, embedding, embeddings, exact, go_on, model};
use tempfile::TempDir;

/// Set for the processes that read: the path of the index.
const READER: &str = "AKIN_TEST_READER";
/// Set for those that keep one reader.
const KEEPS: &str = "AKIN_TEST_KEEPS";
/// Rounds of the writer. Then it makes this file beside the index, and the readers may end.
const ROUNDS: u64 = 6;
const ENOUGH: &str = "enough";
/// Queries of a process, at least.
const QUERIES: u64 = 250;

/// Documents that are written in pairs: each pair has one vector, and one text at any time.
fn pair(i: u64, round: u64) -> [Document; 2] {
    [2 * i, 2 * i + 1].map(|i| Document { text: format!("pair {} of round {round}", i / 2), ..document(i) })
}

const PAIRS: u64 = 8;

fn write_pairs(index: &mut Index, round: u64) {
    for i in 0..PAIRS {
        index.upsert(&pair(i, round), &embeddings([2 * i, 2 * i])).unwrap();
    }
}

/// Looks at one pair, and at whether what else is found is what its id says.
fn ask(reader: &Reader, turn: u64) {
    let snapshot = reader.snapshot();
    let i = turn % PAIRS;
    let hits = snapshot.search(&embedding(2 * i), &exact(6)).unwrap();
    let own: Vec<&str> = hits[..2].iter().map(|hit| hit.document.text.as_str()).collect();
    assert!(own[0].starts_with(&format!("pair {i} of round")), "{own:?}");
    assert_eq!(own[0], own[1]);
    for hit in &hits[2..] {
        let number: u64 = hit.document.id.strip_prefix("doc ").unwrap().parse().unwrap();
        assert!(number < 2 * PAIRS || hit.document == document(number), "{:?}", hit.document);
    }
    for hit in snapshot.search(&embedding(turn * 7), &Default::default()).unwrap() {
        assert_eq!(snapshot.get(&hit.document.id).unwrap().as_ref(), Some(&hit.document));
    }
    assert_eq!(snapshot.len() % 2, 0);
}

/// Not a test of its own: a process that reads.
#[test]
fn reads_until_it_has_asked_enough() {
    let Some(path) = std::env::var_os(READER) else {
        return;
    };
    let path = Path::new(&path);
    let options = ReaderOptions { reload: Reload::OnChange, threads: Some(1) };
    let kept = std::env::var_os(KEEPS).map(|_| Reader::open_with(path, options).unwrap());
    println!("opened");
    let mut generations = 0;
    let mut last = 0;
    let enough = || path.with_file_name(ENOUGH).exists();
    for turn in (0..).take_while(|turn| *turn < QUERIES || !enough()) {
        match &kept {
            Some(reader) => {
                ask(reader, turn);
                let now = reader.snapshot().generation();
                assert!(now >= last);
                generations += u64::from(now > last);
                last = now;
            }
            None => ask(&Reader::open_with(path, options).unwrap(), turn),
        }
    }
    println!("saw {generations} commits");
    assert!(kept.is_none() || generations > 1);
}

fn reader(path: &Path, keeps: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "reads_until_it_has_asked_enough", "--nocapture"]).env(READER, path);
    if keeps {
        command.env(KEEPS, "1");
    }
    command.stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn readers_in_other_processes_are_never_refused_and_see_whole_commits() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("index");
    let mut index = Index::open_or_create(&path, &model()).unwrap();
    write_pairs(&mut index, 0);
    let sealed = 100..100 + SEAL_PASSAGES as u64;
    index.upsert(&documents(sealed.clone()), &embeddings(sealed)).unwrap();
    index.seal(&go_on).unwrap();
    let mut readers: Vec<Child> = (0..8).map(|number| reader(&path, number % 2 == 0)).collect();
    for reader in &mut readers {
        // The harness of the test says something first.
        let mut said = BufReader::new(reader.stdout.as_mut().unwrap()).lines().map_while(Result::ok);
        assert!(said.any(|line| line.contains("opened")));
    }
    for rounds in 1..=ROUNDS {
        write_pairs(&mut index, rounds);
        let own = 10_000 + rounds * 100..10_000 + (rounds + 1) * 100;
        index.upsert(&documents(own.clone()), &embeddings(own.clone())).unwrap();
        let dead: Vec<String> =
            own.chain(100 + rounds * 200..100 + rounds * 200 + 200).map(|i| document(i).id).collect();
        index.delete(&dead.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        index.merge(&go_on).unwrap();
        if rounds % 3 == 2 {
            index.compact(&go_on).unwrap();
        }
        if rounds % 5 == 4 {
            let again = 100..100 + SEAL_PASSAGES as u64;
            index.upsert(&documents(again.clone()), &embeddings(again)).unwrap();
            index.seal(&go_on).unwrap();
        }
        if rounds % 4 == 3 {
            // Another writer takes over.
            drop(index);
            index = Index::open(&path).unwrap();
        }
    }
    std::fs::write(path.with_file_name(ENOUGH), "").unwrap();
    for reader in readers {
        assert!(reader.wait_with_output().unwrap().status.success());
    }
    index.verify().unwrap();
}
