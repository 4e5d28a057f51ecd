//! `--rerank`: hits are ranked again by a cross-encoder or another sentence encoder.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::collections::HashMap;

use akin_encoder::{CrossEncoder, Precision, Role, SentenceEncoder};
use akin_fixtures::models::ModelCopy;
use common::{Workplace, ids, sentences};
use serde_json::Value;

const QUESTION: &str = "the baker repairs a wooden bridge";

/// An index of sentences whose ids are their numbers.
fn with_sentences(n: usize) -> Workplace {
    let workplace = Workplace::new();
    let lines = sentences(n).into_iter().enumerate();
    let lines = lines.map(|(at, text)| serde_json::json!({ "id": at, "text": text }).to_string() + "\n");
    workplace.write("notes.jsonl", lines.collect::<String>());
    workplace.akin(&["index", "notes", "notes.jsonl"]).succeeded();
    workplace
}

fn ask(workplace: &Workplace, options: &[&str]) -> Value {
    let command = [&["query", "notes", QUESTION, "--json"], options].concat();
    workplace.akin(&command).succeeded().json()
}

/// The score that the cross-encoder gives the question with each of some texts.
fn scores(model: &ModelCopy, question: &str, texts: &[&str]) -> Vec<f32> {
    let encoder = CrossEncoder::load(model.path(), Precision::F32).unwrap();
    encoder.score(&texts.iter().map(|text| (question, *text)).collect::<Vec<_>>()).unwrap()
}

#[test]
fn the_order_and_the_scores_are_those_of_the_cross_encoder_in_every_mode() {
    let workplace = with_sentences(130);
    let model = ModelCopy::cross_encoder("bert");
    let name = model.path().to_str().unwrap();
    for mode in ["semantic", "keyword", "hybrid"] {
        let wide = ask(&workplace, &["--mode", mode, "-k", "20"]);
        let hits = wide["hits"].as_array().unwrap();
        let texts: Vec<&str> = hits.iter().map(|hit| hit["text"].as_str().unwrap()).collect();
        let mut expected: Vec<(&str, f32)> =
            ids(&wide).into_iter().zip(scores(&model, QUESTION, &texts)).collect();
        expected.sort_by(|a, b| b.1.total_cmp(&a.1));
        let found = ask(&workplace, &["--mode", mode, "-k", "5", "--rerank", name, "--rerank-depth", "20"]);
        assert_eq!(ids(&found), expected[..5].iter().map(|(id, _)| *id).collect::<Vec<_>>(), "{mode}");
        assert_ne!(ids(&found), ids(&wide)[..5], "{mode}: nothing is ranked again");
        for (hit, (_, score)) in found["hits"].as_array().unwrap().iter().zip(&expected) {
            assert!((hit["score"].as_f64().unwrap() - f64::from(*score)).abs() < 1e-5, "{mode}: {hit}");
        }
    }
    // With a depth of no more than k it only orders what was found anyway.
    let mut narrow = ids(&ask(&workplace, &["--rerank", name, "--rerank-depth", "1"])).join(" ");
    let mut plain = ids(&ask(&workplace, &[])).join(" ");
    for ids in [&mut narrow, &mut plain] {
        let mut sorted: Vec<&str> = ids.split(' ').collect();
        sorted.sort_unstable();
        *ids = sorted.join(" ");
    }
    assert_eq!(narrow, plain);
}

/// Scores with a mean of 0 and a standard deviation of 1.
fn standardised(scores: &[f64]) -> Vec<f64> {
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / scores.len() as f64;
    scores.iter().map(|score| (score - mean) / variance.sqrt()).collect()
}

#[test]
fn with_a_weight_the_scores_of_the_search_count_too() {
    let workplace = with_sentences(130);
    let model = ModelCopy::cross_encoder("bert");
    let plain = ask(&workplace, &["-k", "20"]);
    let hits = plain["hits"].as_array().unwrap();
    let texts: Vec<&str> = hits.iter().map(|hit| hit["text"].as_str().unwrap()).collect();
    let found: Vec<f64> = hits.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    let read: Vec<f64> = scores(&model, QUESTION, &texts)
        .into_iter()
        .map(|share| (f64::from(share) / (1.0 - f64::from(share))).ln())
        .collect();
    let sums =
        standardised(&found).into_iter().zip(standardised(&read)).map(|(found, read)| found + 0.5 * read);
    let mut expected: Vec<(&str, f64)> = ids(&plain).into_iter().zip(sums).collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    let name = model.path().to_str().unwrap();
    let weighed = |weight| {
        ask(&workplace, &["-k", "20", "--rerank", name, "--rerank-depth", "20", "--rerank-weight", weight])
    };
    let half = weighed("0.5");
    for (hit, (id, sum)) in half["hits"].as_array().unwrap().iter().zip(&expected) {
        assert!((hit["score"].as_f64().unwrap() - sum).abs() < 1e-2, "{id}: {hit} and {sum}");
    }
    let alone = ask(&workplace, &["-k", "20", "--rerank", name, "--rerank-depth", "20"]);
    assert_eq!(ids(&weighed("0")), ids(&plain));
    assert_ne!(ids(&half), ids(&plain));
    assert_ne!(ids(&half), ids(&alone));
}

#[test]
fn a_weight_that_is_none_or_without_a_cross_encoder_is_refused() {
    let workplace = with_sentences(10);
    let model = ModelCopy::cross_encoder("bert");
    let name = model.path().to_str().unwrap();
    for weight in ["-1", "NaN", "inf", "much"] {
        let weight = format!("--rerank-weight={weight}");
        let refused = workplace.akin(&["query", "notes", QUESTION, "--rerank", name, &weight]);
        assert_eq!(refused.code, Some(2), "{weight}");
        assert!(refused.stderr.contains("a number from 0 to 1000"), "{weight}: {}", refused.stderr);
    }
    let refused = workplace.akin(&["query", "notes", QUESTION, "--rerank-weight", "0.3"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("--rerank <DIR|HUB-ID>"), "{}", refused.stderr);
}

#[test]
fn a_batch_and_a_session_rank_again_too() {
    let workplace = with_sentences(60);
    let model = ModelCopy::cross_encoder("roberta");
    let options = ["--rerank", model.path().to_str().unwrap(), "-k", "3", "--json"];
    let expected = ask(&workplace, &options[..4]);
    // More queries than are answered together.
    workplace.write("queries.txt", format!("{QUESTION}\n\n{}", "another question\n".repeat(40)));
    let batch = [&["batch", "notes", "queries.txt"], &options[..4]].concat();
    let answers = workplace.akin(&batch).succeeded().json_lines();
    assert_eq!(answers.len(), 42);
    let approximately = |answer: &Value| -> HashMap<String, i64> {
        let hits = answer["hits"].as_array().unwrap().iter();
        hits.map(|hit| (hit["id"].to_string(), (hit["score"].as_f64().unwrap() * 1e4).round() as i64))
            .collect()
    };
    assert_eq!(ids(&answers[0]), ids(&expected));
    assert_eq!(approximately(&answers[0]), approximately(&expected));
    assert!(ids(&answers[1]).is_empty() && ids(&answers[41]).len() == 3);
    let session = [&["query", "notes"], &options[..]].concat();
    let answered = workplace.akin_reading(&session, format!("{QUESTION}\n").as_bytes()).succeeded();
    assert_eq!(ids(&answered.json()), ids(&expected));
}

#[test]
fn the_passage_that_was_found_is_what_the_cross_encoder_reads() {
    let workplace = Workplace::with_passages();
    let text = sentences(40).join(". ");
    workplace.write("long.jsonl", serde_json::json!({ "id": "long", "text": text }).to_string() + "\n");
    workplace.akin(&["index", "notes", "long.jsonl"]).succeeded();
    let model = ModelCopy::cross_encoder("bert");
    let hit = &ask(&workplace, &["--rerank", model.path().to_str().unwrap()])["hits"][0];
    let passage = hit["passage"]["text"].as_str().unwrap();
    assert!(passage.len() < text.len());
    let expected = scores(&model, QUESTION, &[passage])[0];
    assert!((hit["score"].as_f64().unwrap() - f64::from(expected)).abs() < 1e-5, "{hit} and {expected}");
}

#[test]
fn the_words_of_a_query_are_read_without_their_marks() {
    let workplace = with_sentences(130);
    let model = ModelCopy::cross_encoder("bert");
    let query = "\"day 17\" -violin";
    let command = [
        "query",
        "notes",
        "--mode",
        "keyword",
        "--json",
        "--rerank",
        model.path().to_str().unwrap(),
        "--",
        query,
    ];
    let answer = workplace.akin(&command).succeeded().json();
    assert_eq!(answer["query"], query);
    let hit = &answer["hits"][0];
    let expected = scores(&model, "day 17", &[hit["text"].as_str().unwrap()])[0];
    assert!((hit["score"].as_f64().unwrap() - f64::from(expected)).abs() < 1e-5, "{hit} and {expected}");
}

#[test]
fn a_sentence_encoder_ranks_by_its_own_similarity() {
    let workplace = with_sentences(130);
    // Its embeddings have other lengths than one.
    let model = ModelCopy::tiny("roberta").pooled("cls");
    let name = model.path().to_str().unwrap();
    let encoder = SentenceEncoder::load(model.path()).unwrap();
    let asked = encoder.encode_as(Role::Query, &[QUESTION]).unwrap().embeddings;
    let cosine = |text: &str| {
        let found = encoder.encode_as(Role::Document, &[text]).unwrap().embeddings;
        let dot =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let (a, b) = (asked.row(0), found.row(0));
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let wide = ask(&workplace, &["-k", "20"]);
    let mut expected: Vec<(&str, f64)> = wide["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| (hit["id"].as_str().unwrap(), cosine(hit["text"].as_str().unwrap())))
        .collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    let found = ask(&workplace, &["-k", "20", "--rerank", name, "--rerank-depth", "20"]);
    assert_eq!(ids(&found), expected.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    assert_ne!(ids(&found), ids(&wide));
    for (hit, (_, cosine)) in found["hits"].as_array().unwrap().iter().zip(&expected) {
        assert!((hit["score"].as_f64().unwrap() - cosine).abs() < 1e-5, "{hit} and {cosine}");
    }
    workplace.write("queries.txt", format!("{QUESTION}\n\nanother question\n{QUESTION}\n"));
    let batch = ["batch", "notes", "queries.txt", "-k", "20", "--rerank", name, "--rerank-depth", "20"];
    let answers = workplace.akin(&batch).succeeded().json_lines();
    assert_eq!(ids(&answers[0]), ids(&found));
    assert_eq!(ids(&answers[3]), ids(&found));
    assert!(ids(&answers[1]).is_empty() && ids(&answers[2]) != ids(&found));
}

#[test]
fn a_model_of_the_wrong_kind_is_refused_with_a_remedy() {
    let workplace = with_sentences(3);
    let cross_encoder = ModelCopy::cross_encoder("bert");
    let cross_encoder = cross_encoder.path().to_str().unwrap();
    for command in [
        ["query", "notes", "x", "--model", cross_encoder],
        ["index", "other", "notes.jsonl", "--model", cross_encoder],
    ] {
        let refused = workplace.akin(&command).refused();
        assert!(
            refused.contains("is a cross-encoder") && refused.contains("name a sentence encoder"),
            "{refused}"
        );
    }
    let missing = workplace.akin(&["query", "notes", "x", "--rerank", "./none"]).refused();
    assert!(missing.contains("./none") && missing.contains("neither a directory"), "{missing}");
    let alone = workplace.akin(&["query", "notes", "x", "--rerank-depth", "7"]);
    assert!(alone.code == Some(2) && alone.stderr.contains("--rerank"), "{alone:?}");
}
