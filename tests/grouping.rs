//! Documents compared with each other: `akin dedup`, `akin pairs` and `akin cluster`, of a corpus or an index.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::collections::HashSet;

use akin_fixtures::npy;
use akin_index::Embeddings;
use common::{Workplace, real_model, sentences};
use serde_json::Value;

/// Forty sentences; numbers 6 and 32 are the same, and so are 11, 21 and 40.
fn with_copies() -> (Workplace, Vec<String>) {
    let workplace = Workplace::new();
    let mut texts = sentences(40);
    texts[31] = texts[5].clone();
    texts[20] = texts[10].clone();
    texts[39] = texts[10].clone();
    workplace.write("notes.txt", texts.join("\n"));
    (workplace, texts)
}

#[test]
fn duplicates_come_in_groups_with_the_one_that_is_kept() {
    let (workplace, texts) = with_copies();
    let dedup = ["dedup", "notes.txt", "--threshold", "0.9999"];
    let run = workplace.akin(&[&dedup[..], &["--json"]].concat()).succeeded();
    let groups = run.json_lines();
    assert_eq!(groups.len(), 2, "{run:?}");
    assert_eq!(groups[0]["kept"], serde_json::json!({ "id": "notes.txt:6", "text": texts[5] }));
    assert_eq!(groups[0]["duplicates"][0]["id"], "notes.txt:32");
    assert_eq!(groups[1]["kept"]["id"], "notes.txt:11");
    let ids: Vec<_> = groups[1]["duplicates"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, ["notes.txt:21", "notes.txt:40"]);
    for one in groups.iter().flat_map(|group| group["duplicates"].as_array().unwrap()) {
        let keys: Vec<_> = one.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["id", "text", "score", "link"]);
        assert!(one["score"].as_f64().unwrap() > 0.9999 && one["link"].as_f64().unwrap() <= 1.0);
    }
    assert!(run.stderr.contains("3 of 40 documents say what an earlier one says, in 2 groups"), "{run:?}");
    let table = workplace.akin(&dedup).succeeded().stdout;
    assert_eq!(table.lines().count(), 6, "{table}");
    assert!(table.starts_with("  kept  notes.txt:6"), "{table}");
    workplace.akin(&[&dedup[..], &["--output", "groups.jsonl"]].concat()).succeeded();
    assert_eq!(workplace.read("groups.jsonl"), run.stdout);
}

#[test]
fn a_corpus_is_written_without_its_duplicates_as_it_was_read() {
    let workplace = Workplace::new();
    let lines = [
        r#"{"key":"a","body":"The first.","n":1,"text":"a field of its own"}"#,
        r#"{"key":"b","body":"Something else altogether.","n":[2]}"#,
        r#"{"key":"c","body":"The first.","n":3}"#,
    ];
    workplace.write("c.jsonl", lines.join("\n"));
    let dedup = ["dedup", "c.jsonl", "--id-field", "key", "--text-field", "body", "--threshold", "0.9999"];
    let run = workplace.akin(&[&dedup[..], &["--unique", "-"]].concat()).succeeded();
    let unique = run.json_lines();
    assert_eq!(
        unique,
        lines[..2].iter().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>()
    );
    let both = [&dedup[..], &["--unique", "unique.jsonl", "--json"]].concat();
    assert_eq!(workplace.akin(&both).succeeded().json_lines().len(), 1);
    assert_eq!(workplace.read("unique.jsonl"), run.stdout);
}

#[test]
fn every_document_has_a_cluster_and_a_seed_gives_the_same() {
    let (workplace, _) = with_copies();
    let cluster = ["cluster", "notes.txt", "--clusters", "7"];
    let run = workplace.akin(&[&cluster[..], &["--json"]].concat()).succeeded();
    let lines = run.json_lines();
    assert_eq!(lines.len(), 40);
    let of = |line: usize| lines[line]["cluster"].as_u64().unwrap();
    assert!((0..40).all(|line| of(line) < 7) && (0..7).all(|one| (0..40).any(|line| of(line) == one)));
    assert_eq!((of(5), of(10), of(20)), (of(31), of(39), of(39)));
    assert_eq!(lines[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "cluster", "score"]);
    let again = [&cluster[..], &["--output", "c.jsonl", "--threads", "1", "--quiet"]].concat();
    workplace.akin(&again).succeeded();
    assert_eq!(workplace.read("c.jsonl"), run.stdout);
    let blocks = workplace.akin(&[&cluster[..], &["--show", "1"]].concat()).succeeded().stdout;
    assert!(blocks.starts_with("cluster 0: ") && blocks.matches("cluster ").count() == 7, "{blocks}");
}

#[test]
fn agglomerative_clustering_stops_at_a_number_or_a_similarity() {
    let (workplace, _) = with_copies();
    let cluster = ["cluster", "notes.txt", "--method", "agglomerative", "--json"];
    let count = |more: &[&str]| {
        let lines = workplace.akin(&[&cluster[..], more].concat()).succeeded().json_lines();
        lines.iter().map(|line| line["cluster"].as_u64().unwrap()).max().unwrap() + 1
    };
    assert_eq!(count(&["--clusters", "9"]), 9);
    assert_eq!(count(&["--threshold", "0.9999"]), 37, "all but the copies are on their own");
    assert_eq!(count(&["--threshold", "-1"]), 1);
}

#[test]
fn what_cannot_be_grouped_is_refused_with_what_to_do() {
    let (workplace, _) = with_copies();
    for (arguments, said) in [
        (&["dedup", "notes.txt", "--threshold", "2"][..], "--threshold 2"),
        (&["dedup", "notes.txt", "--threshold", "NaN"], "--threshold NaN"),
        (&["cluster", "notes.txt"], "add --clusters"),
        (&["cluster", "notes.txt", "--clusters", "41"], "40 documents"),
        (&["cluster", "notes.txt", "--threshold", "0.5"], "--method agglomerative"),
        (&["cluster", "notes.txt", "--method", "agglomerative"], "not both"),
        (&["cluster", "notes.txt", "--method", "agglomerative", "--threshold", "7"], "--threshold 7"),
        (&["cluster", "missing.txt", "--clusters", "2"], "missing.txt"),
    ] {
        let sentence = workplace.akin(arguments).refused();
        assert!(sentence.contains(said), "{sentence}");
    }
    workplace.write("many.txt", "a line\n".repeat(16_385));
    let agglomerative = ["cluster", "many.txt", "--clusters", "3", "--method", "agglomerative"];
    let sentence = workplace.akin(&agglomerative).refused();
    assert!(sentence.contains("at most 16,384") && sentence.contains("kmeans"), "{sentence}");
}

/// The ids of the documents of each group, the kept one first.
fn groups(lines: &[Value]) -> Vec<Vec<String>> {
    let id = |document: &Value| document["id"].as_str().unwrap().to_owned();
    let group = |line: &Value| {
        let duplicates = line["duplicates"].as_array().unwrap().iter().map(id);
        std::iter::once(id(&line["kept"])).chain(duplicates).collect()
    };
    lines.iter().map(group).collect()
}

/// The ids of both documents of each pair.
fn pairs(lines: &[Value]) -> Vec<[String; 2]> {
    lines.iter().map(|line| ["first", "second"].map(|one| line[one]["id"].as_str().unwrap().into())).collect()
}

#[test]
fn each_copy_of_a_text_is_in_one_pair_with_the_first() {
    let workplace = Workplace::new();
    let mut texts = sentences(20);
    texts.extend(std::iter::repeat_n(texts[3].clone(), 500));
    workplace.write("c.txt", texts.join("\n"));
    let run = workplace.akin(&["pairs", "c.txt", "--top", "1000", "--json"]).succeeded();
    let lines = run.json_lines();
    assert_eq!(lines.len(), 500 + 20 * 19 / 2, "no pair of two copies");
    let (equal, others) = lines.split_at(500);
    assert!(equal.iter().all(|line| line["score"] == 1.0 && line["first"]["id"] == "c.txt:4"));
    let copies: HashSet<String> = pairs(equal).into_iter().map(|[_, copy]| copy).collect();
    assert_eq!(copies.len(), 500, "each copy once");
    assert!(others.iter().all(|line| line["first"]["text"] != line["second"]["text"]));
    assert_eq!(
        workplace.akin(&["pairs", "c.txt", "--top", "30", "--json"]).succeeded().json_lines().len(),
        30
    );
}

#[test]
fn an_index_is_compared_by_its_stored_vectors_without_a_model() {
    let (workplace, _) = with_copies();
    workplace.akin(&["index", "ix", "notes.txt"]).succeeded();
    let of_index = |arguments: &[&str]| {
        let mut command = workplace.command(arguments);
        let run = common::Run::of(command.env("AKIN_MODEL", "/there/is/no/model")).succeeded();
        run.json_lines()
    };
    let dedup = |path| ["dedup", path, "--threshold", "0.9999", "--json"];
    let of_corpus = workplace.akin(&dedup("notes.txt")).succeeded().json_lines();
    assert_eq!(groups(&of_index(&dedup("ix"))), groups(&of_corpus));
    let equal = |path| ["pairs", path, "--threshold", "0.9999", "--json"];
    let of_corpus = workplace.akin(&equal("notes.txt")).succeeded().json_lines();
    assert_eq!(of_corpus.len(), 3);
    assert_eq!(of_index(&equal("ix")), of_corpus);
    let clusters = of_index(&["cluster", "ix", "--clusters", "7", "--json"]);
    assert_eq!(clusters.len(), 40);
    assert_eq!(clusters[5]["cluster"], clusters[31]["cluster"]);
    // What was deleted is compared no more; what is kept is written.
    workplace.akin(&["delete", "ix", "notes.txt:11"]).succeeded();
    assert_eq!(groups(&of_index(&dedup("ix")))[1], ["notes.txt:21", "notes.txt:40"]);
    let unique = of_index(&["dedup", "ix", "--threshold", "0.9999", "--unique", "-"]);
    assert_eq!(unique.len(), 39 - 2);
}

#[test]
fn equal_texts_are_duplicates_though_their_vectors_differ() {
    let workplace = Workplace::new();
    let lines: Vec<String> = ["same", "other", "same", "third", "same"]
        .iter()
        .enumerate()
        .map(|(id, text)| serde_json::json!({ "id": id, "text": text }).to_string())
        .collect();
    workplace.write("d.jsonl", lines.join("\n"));
    let vectors = [1.0, 0.0, 0.0, 1.0, 0.6, 0.8, -1.0, 0.0, 0.0, 0.0];
    workplace.write("v.npy", npy::matrix(&Embeddings::from_values(2, vectors.to_vec())));
    workplace.akin(&["import", "ix", "--vectors", "v.npy", "--documents", "d.jsonl"]).succeeded();
    let dedup = workplace.akin(&["dedup", "ix", "--threshold", "1", "--json"]).succeeded().json_lines();
    assert_eq!(groups(&dedup), [["0", "2", "4"]]);
    let found = workplace.akin(&["pairs", "ix", "--threshold", "1", "--json"]).succeeded().json_lines();
    assert_eq!(pairs(&found), [["0", "2"], ["0", "4"]]);
}

#[test]
fn vectors_without_texts_are_duplicates_if_the_vectors_are() {
    let workplace = Workplace::new();
    let mut vectors = akin_fixtures::random::unit_vectors(50, 4, 7);
    for copy in [3, 3, 9] {
        let row = vectors.row(copy).to_vec();
        vectors.push(&row);
    }
    vectors.push(&[0.0; 4]);
    vectors.push(&[0.0; 4]);
    workplace.write("v.npy", npy::matrix(&vectors));
    workplace.akin(&["import", "ix", "--vectors", "v.npy"]).succeeded();
    let dedup = workplace.akin(&["dedup", "ix", "--threshold", "0.9999", "--json"]).succeeded().json_lines();
    assert_eq!(groups(&dedup), [vec!["3", "50", "51"], vec!["9", "52"]]);
    for arguments in [&["--clusters", "5"][..], &["--method", "agglomerative", "--threshold", "0.5"]] {
        let run = workplace.akin(&[&["cluster", "ix", "--json"], arguments].concat()).succeeded();
        assert_eq!(run.json_lines().len(), 55);
        assert!(run.json_lines().iter().all(|line| line["score"].is_f64()), "no NaN: {run:?}");
    }
}

#[test]
fn what_makes_no_sense_beside_an_index_is_refused() {
    let (workplace, _) = with_copies();
    workplace.akin(&["index", "ix", "notes.txt"]).succeeded();
    workplace.akin(&["index", "empty", "notes.txt"]).succeeded();
    let ids: Vec<String> = (1..=40).map(|line| format!("notes.txt:{line}")).collect();
    let delete: Vec<&str> = ["delete", "empty"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    workplace.akin(&delete).succeeded();
    let other = real_model();
    for (arguments, said) in [
        (&["dedup", "ix", "--model", other.to_str().unwrap()][..], "was built with the model"),
        (&["pairs", "ix", "notes.txt"], "name it alone"),
        (&["pairs", "notes.txt", "ix"], "name it alone"),
        (&["cluster", "ix", "--clusters", "2", "--format", "jsonl"], "--format"),
        (&["dedup", "ix", "--precision", "int8"], "--precision"),
        (&["dedup", "ix", "--device", "cuda"], "--device"),
        (&["dedup", "empty"], "is empty"),
        (&["cluster", "ix", "--clusters", "41"], "40 documents"),
        (&["dedup", ".", "--format", "csv"], "directory"),
    ] {
        let sentence = workplace.akin(arguments).refused();
        assert!(sentence.contains(said), "{arguments:?}: {sentence}");
    }
    let own = common::tiny_model();
    workplace.akin(&["dedup", "ix", "--model", own.to_str().unwrap()]).succeeded();
}

#[test]
fn few_and_equal_and_empty_documents_are_clustered() {
    let workplace = Workplace::new();
    workplace.write("one.txt", "one\n");
    workplace.write("same.txt", "same\n".repeat(50));
    workplace.write(
        "empty.jsonl",
        "{\"id\":1,\"text\":\"\"}\n{\"id\":2,\"text\":\"two\"}\n{\"id\":3,\"text\":\"\"}\n",
    );
    let agglomerative = ["--method", "agglomerative", "--threshold", "0.5"];
    for (file, how, lines) in [
        ("one.txt", &["--clusters", "1"][..], 1),
        ("one.txt", &agglomerative, 1),
        ("same.txt", &["--clusters", "5"], 50),
        ("same.txt", &["--clusters", "50"], 50),
        ("same.txt", &agglomerative, 50),
        ("empty.jsonl", &["--clusters", "3"], 3),
        ("empty.jsonl", &agglomerative, 3),
    ] {
        let run = workplace.akin(&[&["cluster", file, "--json"], how].concat()).succeeded();
        assert_eq!(run.json_lines().len(), lines, "{file} {how:?}");
        assert!(run.json_lines().iter().all(|line| line["score"].is_f64()), "no NaN: {run:?}");
    }
    assert_eq!(workplace.akin(&["pairs", "one.txt", "--json"]).succeeded().stdout, "");
    let unique = workplace.akin(&["dedup", "same.txt", "--unique", "-"]).succeeded();
    assert_eq!(unique.json_lines().len(), 1);
}
