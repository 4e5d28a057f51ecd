//! What a query may say beside its text: which hits, like what, how many passages, with which counts.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::path::Path;

use akin_fixtures::models::ModelCopy;
use common::{Workplace, ids, sentences};
use serde_json::{Value, json};

/// An index of `n` sentences, each with a colour and an author.
fn with_notes(n: usize) -> Workplace {
    with_notes_by(n, &common::tiny_model())
}

/// The same with a model of one's own.
fn with_notes_by(n: usize, model: &Path) -> Workplace {
    let workplace = Workplace::new();
    let lines = sentences(n).into_iter().enumerate().map(|(at, text)| {
        let color = if at % 3 == 0 { json!(["red", "blue"]) } else { json!("green") };
        let author = json!({ "name": if at % 2 == 0 { "Ada" } else { "Bob" } });
        json!({ "id": at, "text": text, "color": color, "author": author }).to_string() + "\n"
    });
    workplace.write("notes.jsonl", lines.collect::<String>());
    workplace.akin(&["index", "notes", "notes.jsonl", "--model", model.to_str().unwrap()]).succeeded();
    workplace
}

fn ask(workplace: &Workplace, more: &[&str]) -> Value {
    workplace.akin(&[&["query", "notes", "--json"], more].concat()).succeeded().json()
}

fn scores(answer: &Value) -> Vec<f64> {
    answer["hits"].as_array().unwrap().iter().map(|hit| hit["score"].as_f64().unwrap()).collect()
}

#[test]
fn pages_follow_one_another() {
    let workplace = with_notes(40);
    for mode in ["semantic", "keyword", "hybrid"] {
        let text = &sentences(40)[3];
        let whole = ask(&workplace, &[text, "--mode", mode, "-k", "9"]);
        let pages: Vec<Value> = ["0", "3", "6"]
            .iter()
            .flat_map(|offset| {
                let page = ask(&workplace, &[text, "--mode", mode, "-k", "3", "--offset", offset]);
                page["hits"].as_array().unwrap().clone()
            })
            .collect();
        assert_eq!(whole["hits"], json!(pages), "{mode}");
        let beyond = ask(&workplace, &[text, "--mode", mode, "--offset", "40"]);
        assert_eq!(beyond["hits"], json!([]));
    }
}

#[test]
fn hits_below_the_least_score_are_left_out() {
    let workplace = with_notes(40);
    let text = &sentences(40)[3];
    let all = scores(&ask(&workplace, &[text, "-k", "40"]));
    let least = all[7].to_string();
    assert_eq!(scores(&ask(&workplace, &[text, "-k", "40", "--min-score", &least])), all[..8]);
    assert_eq!(scores(&ask(&workplace, &[text, "-k", "40", "--min-score", "-1"])).len(), 40);
    let refused = workplace.akin(&["query", "notes", "x", "--min-score", "high"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("a number"), "{}", refused.stderr);
}

#[test]
fn documents_are_found_by_examples_without_a_model() {
    let model = ModelCopy::tiny("bert");
    let workplace = with_notes_by(40, model.path());
    let found = ask(&workplace, &[&sentences(40)[3], "-k", "4", "--mode", "semantic"]);
    let by_text = ids(&found);
    assert_eq!(by_text[0], "3");
    let both = ask(&workplace, &[&sentences(40)[7], "--like", "3", "--mode", "hybrid"]);
    assert_eq!(ids(&both)[0], "7");
    let refused = workplace.akin(&["query", "notes", "x", "--like", "3", "--mode", "keyword"]).refused();
    assert!(refused.contains("--mode keyword"), "{refused}");
    // From here on the model is not where it was.
    drop(model);
    workplace.akin(&["query", "notes", "x"]).refused();
    let by_example = ask(&workplace, &["--like", "3", "-k", "3"]);
    assert_eq!(ids(&by_example), by_text[1..]);
    assert_eq!(by_example["query"], "");
    // What is liked most but one is disliked: it is no hit, and what is like it falls.
    let unlike = ask(&workplace, &["--like", "3", "--unlike", by_text[1], "-k", "40"]);
    assert_eq!(ids(&unlike).len(), 38);
    let refused = workplace.akin(&["query", "notes", "--like", "nobody"]).refused();
    assert!(refused.contains("\"nobody\""), "{refused}");
}

#[test]
fn diverse_hits_leave_copies_behind() {
    let workplace = Workplace::new();
    let texts = sentences(20);
    let lines: Vec<String> = (0..10)
        .map(|copy| json!({ "id": format!("copy-{copy}"), "text": texts[0] }))
        .chain((1..20).map(|at| json!({ "id": format!("other-{at}"), "text": texts[at] })))
        .map(|line| line.to_string() + "\n")
        .collect();
    workplace.write("notes.jsonl", lines.concat());
    workplace.akin(&["index", "notes", "notes.jsonl"]).succeeded();
    let copies = |answer: &Value| ids(answer).iter().filter(|id| id.starts_with("copy")).count();
    for mode in ["semantic", "keyword", "hybrid"] {
        let plain = ask(&workplace, &[&texts[0], "-k", "5", "--mode", mode]);
        assert_eq!(copies(&plain), 5, "{mode}");
        let diverse = ask(&workplace, &[&texts[0], "-k", "5", "--mode", mode, "--diverse"]);
        let found = ids(&diverse);
        assert!(found[1].starts_with("other") && found.len() == 5, "{mode}: {found:?}");
        // By words hardly any other is found at all.
        assert!(mode == "keyword" || copies(&diverse) <= 2, "{mode}: {found:?}");
        assert_eq!(diverse["hits"][0], plain["hits"][0], "{mode}");
    }
}

#[test]
fn facets_count_the_values_of_the_best_hits() {
    let workplace = with_notes(30);
    let answer = ask(&workplace, &["baker", "-k", "2", "--facet", "color", "--facet", "author.name"]);
    assert_eq!(answer["hits"].as_array().unwrap().len(), 2);
    let expected =
        json!({"color": {"green": 20, "blue": 10, "red": 10}, "author.name": {"Ada": 15, "Bob": 15}});
    assert_eq!(answer["facets"], expected);
    assert_eq!(
        answer["facets"]["color"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["green", "blue", "red"]
    );
    let filtered =
        ask(&workplace, &["baker", "--facet", "color", "--filter", "author.name = Ada and color = red"]);
    assert_eq!(filtered["facets"], json!({"color": {"blue": 5, "red": 5}}));
    let shown = workplace.akin(&["query", "notes", "baker", "--facet", "color"]).succeeded().stdout;
    assert!(shown.contains("color: green 20, blue 10, red 10"), "{shown}");
}

#[test]
fn several_passages_of_a_document_are_shown_best_first() {
    let workplace = Workplace::with_passages();
    let long = sentences(60).join("\n\n");
    workplace.write("notes.jsonl", json!({"id": "long", "text": long}).to_string() + "\n");
    workplace.akin(&["index", "notes", "notes.jsonl"]).succeeded();
    for mode in ["semantic", "keyword", "hybrid"] {
        let answer = ask(&workplace, &[&sentences(60)[40], "--mode", mode, "--per-document", "3"]);
        let hit = &answer["hits"][0];
        let passages = hit["passages"].as_array().unwrap();
        assert_eq!(passages.len(), 3, "{mode}");
        assert!(passages.is_sorted_by(|a, b| a["score"].as_f64() >= b["score"].as_f64()), "{mode}");
        for passage in passages {
            let span = passage["start"].as_u64().unwrap() as usize..passage["end"].as_u64().unwrap() as usize;
            assert_eq!(passage["text"], long[span], "{mode}");
        }
        assert_eq!(passages[0]["text"], hit["passage"]["text"], "{mode}");
        let one = ask(&workplace, &[&sentences(60)[40], "--mode", mode]);
        assert!(one["hits"][0].get("passages").is_none());
        assert!(one["hits"][0]["passage"].get("score").is_none());
    }
}

#[test]
fn a_document_is_shown_by_its_id() {
    let workplace = with_notes(4);
    let shown = workplace.akin(&["show", "notes", "3", "1", "--json"]).succeeded().json_lines();
    assert_eq!(shown.iter().map(|line| line["id"].as_str().unwrap()).collect::<Vec<_>>(), ["3", "1"]);
    assert_eq!(shown[0]["text"], sentences(4)[3]);
    assert_eq!(shown[1]["metadata"], json!({"color": "green", "author": {"name": "Bob"}}));
    let refused = workplace.akin(&["show", "notes", "7"]).refused();
    assert!(refused.contains("notes has no document with the id \"7\""), "{refused}");
}
