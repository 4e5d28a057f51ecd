//! A corpus compared with itself: `akin dedup` and `akin cluster`.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use common::{Workplace, sentences};

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
