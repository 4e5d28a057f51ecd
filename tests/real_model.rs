//! What all of it is for: the real model finds what means the same, whatever the words.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use akin_fixtures::similarity::cosines;
use akin_fixtures::{fixture, npy};
use common::{Run, Workplace, ids, real_model};

/// Descriptions that share no telling word with the questions asked of them.
const NOTES: &str = "\
{\"id\": \"acrophobia\", \"text\": \"a morbid dread of great heights\"}
{\"id\": \"arachnophobia\", \"text\": \"a morbid dread of spiders\"}
{\"id\": \"thermometer\", \"text\": \"an instrument that measures how hot something is\"}
{\"id\": \"barometer\", \"text\": \"an instrument that measures the pressure of the air\"}
{\"id\": \"orphan\", \"text\": \"a child whose parents have died\"}
{\"id\": \"widow\", \"text\": \"a woman whose husband has died\"}
{\"id\": \"baker\", \"text\": \"someone who makes bread for a living\"}
{\"id\": \"cobbler\", \"text\": \"someone who mends shoes for a living\"}
{\"id\": \"monsoon\", \"text\": \"a season of heavy rain in southern Asia\"}
{\"id\": \"drought\", \"text\": \"a long time without any rain\"}
";

const QUESTIONS: [(&str, &str); 6] = [
    ("afraid of being high up", "acrophobia"),
    ("tells you the temperature", "thermometer"),
    ("boy without mother and father", "orphan"),
    ("he repairs boots", "cobbler"),
    ("the fields dry out", "drought"),
    ("frightened by things with eight legs", "arachnophobia"),
];

fn run(workplace: &Workplace, arguments: &[&str]) -> Run {
    Run::of(workplace.command(arguments).env("AKIN_MODEL", real_model()))
}

#[test]
fn what_means_the_same_is_found_whatever_the_words() {
    let workplace = Workplace::new();
    workplace.write("notes.jsonl", NOTES);
    run(&workplace, &["index", "notes", "notes.jsonl"]).succeeded();
    for (question, word) in QUESTIONS {
        let answer = run(&workplace, &["query", "notes", question, "--json", "-k", "3"]).succeeded().json();
        assert_eq!(ids(&answer)[0], word, "{question}: {answer}");
        assert_eq!(ids(&answer).len(), 3);
    }
}

#[test]
fn correlations_are_those_of_sentence_transformers_and_scipy() {
    let workplace = Workplace::new();
    let pairs = fixture("similar.tsv");
    let said = run(&workplace, &["eval", "sts", pairs.to_str().unwrap(), "--json"]).succeeded().json();
    let reference = std::fs::read_to_string(fixture("references/similar.json")).unwrap();
    let reference: serde_json::Value = serde_json::from_str(&reference).unwrap();
    assert_eq!(said["pairs"], reference["pairs"]);
    for figure in ["spearman", "pearson"] {
        let (ours, theirs) = (said[figure].as_f64().unwrap(), reference[figure].as_f64().unwrap());
        // `eval` speaks of percentages, as the paper does.
        assert!((ours - 100.0 * theirs).abs() < 0.01, "{figure}: {ours} is not {theirs}");
    }
}

#[test]
fn an_encoded_corpus_is_the_matrix_of_sentence_transformers() {
    let workplace = Workplace::new();
    let sentences = fixture("sentences.jsonl");
    let arguments = ["encode", sentences.to_str().unwrap(), "--output", "ours.npy"];
    run(&workplace, &arguments).succeeded();
    let (ours, theirs) = (npy::read(&workplace.path("ours.npy")), npy::reference("minilm"));
    for (row, cosine) in cosines(&ours, &theirs).enumerate() {
        assert!(cosine >= 0.99999, "sentence {row}: {cosine}");
    }
}
