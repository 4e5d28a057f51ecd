//! Long texts: cut into passages, found by the passage that answers.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use common::{Workplace, sentences};
use serde_json::json;

/// A corpus of one text of `count` sentences, each a paragraph, and of one that is short.
fn with_long_text(count: usize) -> (Workplace, String) {
    let workplace = Workplace::with_passages();
    let long = sentences(count).join("\n\n");
    let lines = [json!({"id": "long", "text": long}), json!({"id": "short", "text": "two words"})];
    workplace.write("notes.jsonl", lines.map(|line| line.to_string() + "\n").concat());
    (workplace, long)
}

#[test]
fn a_long_text_is_found_by_what_its_end_says_and_the_passage_is_named() {
    let (workplace, long) = with_long_text(200);
    let report = workplace.akin(&["index", "notes", "notes.jsonl", "--json"]).succeeded().json();
    assert_eq!((&report["added"], &report["truncated"]), (&json!(2), &json!(0)));
    assert!(report["passages"].as_u64().unwrap() > 3, "{report}");
    let figures = workplace.figures("notes");
    assert_eq!((&figures["passages"], &figures["passage_size"]), (&report["passages"], &json!("auto")));
    let last = &sentences(200)[199];
    let answer = workplace.akin(&["query", "notes", last, "--json"]).succeeded().json();
    assert_eq!(answer["hits"][0]["id"], "long");
    let passage = &answer["hits"][0]["passage"];
    let (start, end) =
        (passage["start"].as_u64().unwrap() as usize, passage["end"].as_u64().unwrap() as usize);
    assert_eq!(passage["text"], &long[start..end]);
    assert!(start == 0 || long[..start].ends_with("\n\n"), "a paragraph was cut");
    let short = workplace.akin(&["query", "notes", "two words", "--json", "-k", "1"]).succeeded().json();
    assert_eq!((&short["hits"][0]["id"], short["hits"][0].get("passage")), (&json!("short"), None));
    workplace.akin(&["verify", "notes"]).succeeded();
}

#[test]
fn of_a_long_text_only_the_passages_that_changed_are_encoded_again() {
    let (workplace, long) = with_long_text(200);
    workplace.akin(&["index", "notes", "notes.jsonl"]).succeeded();
    let changed = json!({"id": "long", "text": format!("{long}\n\nOne more paragraph.")});
    workplace.write("notes.jsonl", changed.to_string() + "\n");
    let report = workplace.akin(&["index", "notes", "notes.jsonl", "--json"]).succeeded().json();
    assert_eq!(report["replaced"], 1);
    assert!(report["passages"].as_u64().unwrap() > 3 && report["encoded"].as_u64().unwrap() <= 3, "{report}");
}

#[test]
fn an_index_keeps_the_size_of_its_passages_and_refuses_another() {
    let (workplace, _) = with_long_text(40);
    workplace.akin(&["index", "notes", "notes.jsonl", "--passages", "20"]).succeeded();
    let many = workplace.figures("notes")["passages"].as_u64().unwrap();
    assert!(many > 10, "{many}");
    let refused = workplace.akin(&["index", "notes", "notes.jsonl", "--passages", "none"]).refused();
    assert!(refused.contains("--passages 20") && refused.contains("another index"), "{refused}");
    let again = workplace.akin(&["index", "notes", "notes.jsonl", "--json"]).succeeded().json();
    assert_eq!(again["unchanged"], 2);
    workplace.akin(&["index", "whole", "notes.jsonl", "--passages", "none"]).succeeded();
    assert_eq!(workplace.figures("whole")["passages"], 2);
}

#[test]
fn passages_beyond_the_window_are_refused_before_an_index_is_begun() {
    let (workplace, _) = with_long_text(2);
    let refused = workplace.akin(&["index", "notes", "notes.jsonl", "--passages", "9999"]).refused();
    assert!(refused.contains("9999") && refused.contains("--passages auto"), "{refused}");
    assert!(!workplace.path("notes").exists());
    let refused = workplace.akin(&["index", "notes", "notes.jsonl", "--passages", "0"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("auto, none"), "{refused:#?}");
}

#[test]
fn an_export_has_a_row_and_a_line_for_each_passage() {
    let (workplace, long) = with_long_text(60);
    let report =
        workplace.akin(&["index", "notes", "notes.jsonl", "--passages", "20", "--json"]).succeeded().json();
    let passages = report["passages"].as_u64().unwrap() as usize;
    let export = ["export", "notes", "--vectors", "v.npy", "--documents", "d.jsonl"];
    let run = workplace.akin(&export).succeeded();
    assert!(run.stderr.contains(&format!("{passages} passages of 2 documents exported")), "{run:?}");
    assert_eq!(akin_fixtures::npy::read(&workplace.path("v.npy")).rows(), passages);
    let lines = common::json_lines(&workplace.read("d.jsonl"));
    assert_eq!(lines.len(), passages);
    for line in lines.iter().filter(|line| line["id"] == "long") {
        let [start, end] = ["start", "end"].map(|at| line["passage"][at].as_u64().unwrap() as usize);
        assert_eq!(line["text"], long[start..end]);
    }
    assert_eq!(lines[passages - 1]["text"], "two words");
    // Documents by themselves are whole.
    let whole = workplace.akin(&["export", "notes", "--documents", "-"]).succeeded();
    assert_eq!(common::json_lines(&whole.stdout).len(), 2);
}
