//! `akin adopt`: indexes of parts become one, which is that of the whole.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use akin_fixtures::Random;
use akin_fixtures::models;
use common::{Workplace, sentences};
use serde_json::Value;

/// Ids and scores of the hits of an answer, rounded, as a set.
fn hits(answer: &Value) -> BTreeSet<(String, i64)> {
    let hit = |hit: &Value| {
        (hit["id"].as_str().unwrap().to_owned(), (hit["score"].as_f64().unwrap() * 1e5).round() as i64)
    };
    answer["hits"].as_array().unwrap().iter().map(hit).collect()
}

/// A workplace with `count` sentences, cut into `parts` that are indexed.
fn with_parts(count: usize, parts: usize) -> (Workplace, Vec<String>) {
    let workplace = Workplace::new();
    workplace.write("notes.txt", sentences(count).join("\n"));
    let number = parts.to_string();
    workplace.akin(&["shard", "notes.txt", "--parts", &number, "--output", "shards"]).succeeded();
    let names: Vec<String> = (0..parts).map(|part| format!("part-{part}")).collect();
    for (part, name) in names.iter().enumerate() {
        let file = format!("shards/part-{part:05}-of-{parts:05}.jsonl");
        workplace.akin(&["index", name, &file]).succeeded();
    }
    (workplace, names)
}

#[test]
fn an_index_whose_creation_was_interrupted_is_begun_anew() {
    let (workplace, parts) = with_parts(30, 2);
    for made in [&[][..], &["writer.lock"], &["writer.lock", "manifest.next"]] {
        let index = format!("index-{}", made.len());
        fs::create_dir(workplace.path(&index)).unwrap();
        made.iter().for_each(|file| fs::write(workplace.path(&index).join(file), "").unwrap());
        workplace.akin(&["adopt", &index, &parts[0], &parts[1]]).succeeded();
        assert_eq!(workplace.akin(&["stat", &index, "--json"]).succeeded().json()["documents"], 30);
    }
    fs::create_dir(workplace.path("other")).unwrap();
    workplace.write("other/letter.txt", "kept");
    let refused = workplace.akin(&["adopt", "other", &parts[0]]).refused();
    assert!(refused.contains("a folder of other things"), "{refused}");
}

#[test]
fn parts_that_are_indexed_apart_become_the_index_of_the_whole() {
    let (workplace, parts) = with_parts(900, 3);
    let adopt = ["adopt", "index", &parts[0], &parts[1], &parts[2]];
    let report = workplace.akin(&[&adopt[..], &["--json"]].concat()).succeeded().json();
    assert_eq!((&report["adopted"], &report["documents"]), (&900.into(), &900.into()));
    assert_eq!((&report["bytes_copied"], &report["replaced"]), (&0.into(), &0.into()));
    parts.iter().for_each(|part| fs::remove_dir_all(workplace.path(part)).unwrap());
    workplace.akin(&["verify", "index"]).succeeded();
    workplace.akin(&["index", "whole", "notes.txt"]).succeeded();
    for (query, mode) in
        [("a painter of bridges", "semantic"), ("frozen lake", "keyword"), ("seven stones", "semantic")]
    {
        let ask = |index| {
            let run = workplace.akin(&["query", index, query, "--mode", mode, "--exact", "--json"]);
            hits(&run.succeeded().json())
        };
        assert_eq!(ask("index"), ask("whole"), "{query}");
    }
    // The documents are those of the text, so that nothing is encoded again.
    let again = workplace.akin(&["index", "index", "notes.txt", "--json"]).succeeded().json();
    assert_eq!((&again["unchanged"], &again["encoded"]), (&900.into(), &0.into()), "{again}");
    workplace.akin(&["compact", "index"]).succeeded();
    workplace.akin(&["verify", "index"]).succeeded();
}

#[test]
fn a_folder_that_a_part_indexed_is_passed_over_where_nothing_has_changed() {
    let workplace = Workplace::new();
    fs::create_dir(workplace.path("docs")).unwrap();
    for n in 0..5 {
        workplace.write(format!("docs/{n}.md"), format!("# Note {n}\n\nabout {n} things"));
    }
    workplace.akin(&["index", "part", "docs"]).succeeded();
    workplace.akin(&["adopt", "index", "part"]).succeeded();
    fs::remove_dir_all(workplace.path("part")).unwrap();
    fs::remove_file(workplace.path("docs/4.md")).unwrap();
    workplace.write("docs/3.md", "another text");
    let report = workplace.akin(&["index", "index", "docs", "--json"]).succeeded().json();
    let figures = ["unchanged", "replaced", "removed", "added"].map(|name| report[name].as_u64().unwrap());
    assert_eq!(figures, [3, 1, 1, 0], "{report}");
}

#[test]
fn of_one_id_the_last_part_counts_or_the_first() {
    let workplace = Workplace::new();
    for (name, text) in [("own", "zero"), ("one", "first"), ("two", "second")] {
        workplace.write(format!("{name}.jsonl"), format!("{{\"id\":\"same\",\"text\":\"{text}\"}}\n"));
        workplace.akin(&["index", name, &format!("{name}.jsonl")]).succeeded();
    }
    let text = |index| workplace.akin(&["show", index, "same", "--json"]).succeeded().json()["text"].clone();
    workplace.akin(&["adopt", "last", "one", "two"]).succeeded();
    assert_eq!(text("last"), "second");
    workplace.akin(&["adopt", "first", "one", "two", "--keep", "first", "--copy"]).succeeded();
    assert_eq!(text("first"), "first");
    workplace.akin(&["adopt", "own", "one", "two", "--keep", "first"]).succeeded();
    assert_eq!(text("own"), "zero");
    workplace.akin(&["adopt", "own", "one"]).succeeded();
    assert_eq!(text("own"), "first");
}

#[test]
fn what_cannot_be_adopted_is_refused_in_a_sentence_and_leaves_nothing() {
    let workplace = Workplace::new();
    workplace.write("a.txt", "one\ntwo\n");
    workplace.akin(&["index", "a", "a.txt"]).succeeded();
    let other = models::tiny("roberta");
    workplace.akin(&["index", "b", "a.txt", "--model", other.to_str().unwrap()]).succeeded();
    workplace.akin(&["index", "c", "a.txt", "--passages", "5"]).succeeded();
    for (arguments, said) in [
        (&["adopt", "new", "a", "b"][..], "its model is"),
        (&["adopt", "a", "b"], "build it again with the model"),
        (&["adopt", "a", "c"], "its size of passages is 5 tokens, and not what the model reads"),
        (&["adopt", "a", "a"], "is the index itself"),
        (&["adopt", "new", "a", "a"], "named twice"),
        (&["adopt", "new", "nowhere"], "nowhere is not an Akin index"),
        (&["adopt", "new", "a.txt"], "it is a file"),
    ] {
        let sentence = workplace.akin(arguments).refused();
        assert!(sentence.contains(said), "{sentence}");
        assert!(!workplace.path("new").exists());
    }
}

fn adopting<'a>(index: &'a str, parts: &'a [String]) -> Vec<&'a str> {
    ["adopt", index].into_iter().chain(parts.iter().map(String::as_str)).collect()
}

#[test]
fn a_killed_run_leaves_all_or_nothing_and_the_same_command_completes_it() {
    let (workplace, parts) = with_parts(600, 4);
    let begin = Instant::now();
    workplace.akin(&adopting("rehearsal", &parts)).succeeded();
    let took = begin.elapsed();
    let mut random = Random::new(11);
    let mut kills = 0;
    for round in 0..25 {
        let index = format!("index-{}", round / 5);
        let mut child = workplace
            .command(&adopting(&index, &parts))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(took.mul_f64(random.below(1000) as f64 / 1000.0));
        kills += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        if workplace.path(&index).join("manifest").exists() {
            let documents =
                workplace.akin(&["stat", &index, "--json"]).succeeded().json()["documents"].clone();
            assert!(documents == 0 || documents == 600, "{documents}");
            workplace.akin(&["verify", &index]).succeeded();
        }
    }
    assert!(kills > 0);
    for index in (0..5).map(|number| format!("index-{number}")) {
        workplace.akin(&adopting(&index, &parts)).succeeded();
        assert_eq!(workplace.akin(&["stat", &index, "--json"]).succeeded().json()["documents"], 600);
        workplace.akin(&["verify", &index]).succeeded();
    }
    parts.iter().for_each(|part| drop(workplace.akin(&["verify", part]).succeeded()));
}
