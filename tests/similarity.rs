//! A model says how its embeddings are compared, and an index does so.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use akin_encoder::{Role, SentenceEncoder, Similarity};
use akin_fixtures::models::ModelCopy;
use common::{Workplace, sentences};
use serde_json::json;

const FILE: &str = "config_sentence_transformers.json";

fn model(similarity: Similarity) -> ModelCopy {
    ModelCopy::tiny("bert").with_file(FILE, json!({ "similarity_fn_name": similarity.name() }).to_string())
}

#[test]
fn answers_are_ranked_and_scored_as_the_model_says() {
    let texts = sentences(40);
    for similarity in [Similarity::Dot, Similarity::Euclidean, Similarity::Manhattan] {
        let (workplace, model) = (Workplace::new(), model(similarity));
        let path = model.path().to_str().unwrap().to_owned();
        workplace.write("corpus.txt", texts.join("\n"));
        workplace.akin(&["index", "index", "corpus.txt", "--model", &path]).succeeded();
        let encoder = SentenceEncoder::load(model.path()).unwrap();
        let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
        let rows = encoder.encode_as(Role::Document, &refs).unwrap().embeddings;
        let question = "a question of some words";
        let query = encoder.encode_as(Role::Query, &[question]).unwrap().embeddings;
        let mut truth: Vec<f32> = rows.iter().map(|row| similarity.of(query.row(0), row)).collect();
        truth.sort_by(|a, b| b.total_cmp(a));
        let answer = workplace.akin(&["query", "index", question, "--json"]).succeeded().json();
        let scores: Vec<f64> =
            answer["hits"].as_array().unwrap().iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
        assert_eq!(scores.len(), 10);
        for (score, truth) in scores.iter().zip(truth) {
            let truth = f64::from(truth);
            assert!(
                (score - truth).abs() < 1e-5 * truth.abs().max(1.0),
                "{similarity:?}: {score} and {truth}"
            );
        }
    }
}

#[test]
fn a_model_that_says_otherwise_since_is_refused() {
    let (workplace, model) = (Workplace::new(), model(Similarity::Dot));
    let path = model.path().to_str().unwrap().to_owned();
    workplace.write("corpus.txt", sentences(5).join("\n"));
    workplace.akin(&["index", "index", "corpus.txt", "--model", &path]).succeeded();
    let model = model.with_file(FILE, json!({ "similarity_fn_name": "cosine" }).to_string());
    let path = model.path().to_str().unwrap();
    for arguments in [
        vec!["query", "index", "a cat", "--model", path],
        vec!["index", "index", "corpus.txt", "--model", path],
    ] {
        let said = workplace.akin(&arguments).refused();
        assert!(
            said.contains("dot") && said.contains("cosine") && said.contains("build another index"),
            "{said}"
        );
    }
}
