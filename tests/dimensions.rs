//! The first numbers of each embedding alone (`--dimensions`), which an index remembers.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use akin_encoder::{EncoderOptions, Role, SentenceEncoder};
use common::{Workplace, sentences, tiny_model};

#[test]
fn an_index_keeps_the_first_numbers_of_each_embedding_and_remembers_how_many() {
    let texts = sentences(30);
    let workplace = Workplace::new();
    let model = tiny_model().to_str().unwrap().to_owned();
    workplace.write("first.txt", texts[..20].join("\n"));
    workplace.write("second.txt", texts[20..].join("\n"));
    workplace.akin(&["index", "index", "first.txt", "--dimensions", "5"]).succeeded();
    // What is not said again is remembered, whether the model is named or not.
    workplace.akin(&["index", "index", "second.txt"]).succeeded();
    workplace.akin(&["index", "index", "second.txt", "--model", &model]).succeeded();
    let stat = workplace.akin(&["stat", "index", "--json"]).succeeded().json();
    assert_eq!((&stat["dimension"], &stat["documents"]), (&5.into(), &30.into()));

    let options = EncoderOptions { dimensions: 5.try_into().ok(), ..EncoderOptions::default() };
    let encoder = SentenceEncoder::load_with(&tiny_model(), &options).unwrap();
    let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
    let rows = encoder.encode_as(Role::Document, &refs).unwrap().embeddings;
    let question = "a question of some words";
    let query = encoder.encode_as(Role::Query, &[question]).unwrap().embeddings;
    let cosine = |row: &[f32]| {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
        dot(query.row(0), row) / (dot(query.row(0), query.row(0)) * dot(row, row)).sqrt()
    };
    let best = rows.iter().map(cosine).fold(-1.0, f64::max);
    let answer =
        workplace.akin(&["query", "index", question, "--mode", "semantic", "--json"]).succeeded().json();
    let score = answer["hits"][0]["score"].as_f64().unwrap();
    assert!((score - best).abs() < 1e-5, "{score} and {best}");
}

#[test]
fn other_dimensions_than_those_of_the_index_are_refused_and_more_than_the_model_makes() {
    let workplace = Workplace::new();
    workplace.write("corpus.txt", sentences(5).join("\n"));
    workplace.akin(&["index", "index", "corpus.txt", "--dimensions", "5"]).succeeded();
    for arguments in [
        ["query", "index", "a cat", "--dimensions", "6"],
        ["index", "index", "corpus.txt", "--dimensions", "6"],
        ["query", "index", "a cat", "--dimensions", "32"],
    ] {
        let said = workplace.akin(&arguments).refused();
        assert!(said.contains("leave --dimensions out"), "{said}");
    }
    let said = workplace.akin(&["index", "other", "corpus.txt", "--dimensions", "33"]).refused();
    assert!(said.contains("33") && said.contains("32 numbers"), "{said}");
    assert!(!workplace.path("other").exists());
}

#[test]
fn the_matrix_of_the_embeddings_has_as_many_columns() {
    let workplace = Workplace::new();
    workplace.write("corpus.txt", sentences(5).join("\n"));
    workplace.akin(&["encode", "corpus.txt", "--output", "rows.npy", "--dimensions", "7"]).succeeded();
    let rows = akin_fixtures::npy::read(&workplace.path("rows.npy"));
    assert_eq!((rows.rows(), rows.dimension()), (5, 7));
}
