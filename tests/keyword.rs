//! `--mode keyword` and `--mode hybrid`.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use common::{Workplace, ids, sentences};

/// An index of sentences whose ids are their numbers.
fn with_sentences(n: usize) -> Workplace {
    let workplace = Workplace::new();
    let lines = sentences(n).into_iter().enumerate();
    let lines = lines
        .map(|(at, text)| serde_json::json!({ "id": at, "text": text, "odd": at % 2 }).to_string() + "\n");
    workplace.write("notes.jsonl", lines.collect::<String>());
    workplace.akin(&["index", "notes", "notes.jsonl"]).succeeded();
    workplace
}

#[test]
fn keywords_are_found_without_the_model() {
    let workplace = with_sentences(130);
    let ask = |text: &str| {
        // There is no such model: nothing may look for it.
        let command = ["query", "notes", "--mode", "keyword", "--model", "none/such", "--json", "--", text];
        let run = workplace.akin(&command);
        run.succeeded().json()
    };
    assert_eq!(ids(&ask("\"day 17\"")), ["17"]);
    assert_eq!(ids(&ask("FISHERMEN 13 -\"stray dog\""))[0], "13");
    assert!(ids(&ask("violin*")).iter().all(|id| id.parse::<usize>().unwrap() % 12 == 10));
    let run = workplace.akin(&["query", "notes", "--mode", "keyword", "--", "-baker"]).succeeded();
    assert_eq!(run.stdout, "no hits\n");
    assert!(run.stderr.contains("only what must not be there"), "{run:?}");
}

#[test]
fn a_batch_and_a_filter_take_the_mode() {
    let workplace = with_sentences(130);
    workplace.write("queries.txt", "\"day 17\"\n\nbaker \"day 24\"\n\"day 18\"\n");
    let batch = ["batch", "notes", "queries.txt", "--mode", "keyword", "--filter", "odd = 0"];
    let answers = workplace.akin(&batch).succeeded().json_lines();
    let found: Vec<Vec<&str>> = answers.iter().map(ids).collect();
    assert_eq!(found, [vec![], vec![], vec!["24"], vec!["18"]]);
}

#[test]
fn the_hybrid_mode_puts_both_together_and_keeps_to_phrases_and_exclusions() {
    let workplace = with_sentences(130);
    let ask = |text: &str| {
        workplace.akin(&["query", "notes", "--mode", "hybrid", "--json", "--", text]).succeeded().json()
    };
    let answer = ask("the baker repairs a wooden bridge on day 0");
    assert_eq!(ids(&answer)[0], "0");
    assert!(ids(&answer).len() == 10 && answer["hits"][0]["score"].as_f64().unwrap() > 0.0, "{answer}");
    assert!(
        ids(&ask("somebody repairs something -baker")).iter().all(|id| id.parse::<usize>().unwrap() % 12 > 0)
    );
    assert_eq!(ids(&ask("somebody \"day 77\"")), ["77"]);
}

#[test]
fn without_a_mode_both_count_and_marks_mean_nothing() {
    let workplace = with_sentences(130);
    let ask = |more: &[&str]| {
        let text = "the baker \"repairs nothing\" -bridge 17";
        let run = workplace.akin(&[&["query", "notes", "--json"], more, &["--", text]].concat());
        run.succeeded().json()
    };
    let both = ask(&[]);
    assert_eq!(ids(&both).len(), 10, "{both}");
    let scores: Vec<f64> =
        both["hits"].as_array().unwrap().iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b) && scores[0] <= 1.0, "{scores:?}");
    assert_ne!(ids(&both), ids(&ask(&["--mode", "semantic"])));
    assert!(ids(&ask(&["--mode", "hybrid"])).is_empty(), "a phrase that no document has");
}
