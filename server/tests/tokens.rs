//! Token ids, token vectors, shorter vectors and cut texts, in the interfaces that have them.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use akin_encoder::SentenceEncoder;
use akin_index::Embeddings;
use common::{Served, model};
use serde_json::{Value, json};

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

#[track_caller]
fn assert_near(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} and {b:?}");
}

fn ids(encoder: &SentenceEncoder, text: &str, special: bool) -> Vec<u32> {
    encoder.pieces(text, special).unwrap().iter().map(|piece| piece.id).collect()
}

#[test]
fn token_ids_of_the_model_give_the_vector_of_their_text() {
    let served = Served::notes(3);
    let encoder = SentenceEncoder::load(&model()).unwrap();
    let text = "they do not say one text";
    let expected = encoder.encode(&[text]).unwrap().embeddings;
    let embed = |input: Value| {
        let answer = served.post("/v1/embeddings", &json!({ "input": input, "model": "tiny-bert" })).ok();
        let vectors: Vec<Vec<f32>> =
            answer["data"].as_array().unwrap().iter().map(|item| floats(&item["embedding"])).collect();
        vectors
    };
    let framed = ids(&encoder, text, true);
    assert_near(&embed(json!(framed))[0], expected.row(0));
    let several = embed(json!([framed, text]));
    assert_eq!(several.len(), 2);
    several.iter().for_each(|vector| assert_near(vector, expected.row(0)));
    let tei = served.post("/embed", &json!({ "inputs": [framed], "normalize": false })).ok();
    assert_near(&floats(&tei[0]), expected.row(0));
}

#[test]
fn token_ids_of_another_vocabulary_are_refused_and_not_taken_for_other_words() {
    let served = Served::notes(3);
    let encoder = SentenceEncoder::load(&model()).unwrap();
    let plain = ids(&encoder, "they say", false);
    // The second part of a word, which no text begins with.
    let mut broken = ids(&encoder, "they say", true);
    broken[1] = broken[2];
    for wrong in [plain, broken] {
        let reply = served.post("/v1/embeddings", &json!({ "input": [wrong], "model": "tiny-bert" }));
        assert_eq!(reply.status, 400, "{reply:?}");
        let error = &reply.json()["error"];
        assert!(error["message"].as_str().unwrap().contains("check_embedding_ctx_length=False"), "{error}");
        assert_eq!(error["param"], "input");
    }
    let reply = served.post("/api/embed", &json!({ "input": [[1, 2]], "model": "tiny-bert" }));
    assert_eq!(reply.status, 400, "{reply:?}");
}

#[test]
fn shorter_vectors_are_the_first_numbers_at_length_one_where_the_model_has_that() {
    let served = Served::notes(3);
    let encoder = SentenceEncoder::load(&model()).unwrap();
    let whole = encoder.encode(&["one text"]).unwrap().embeddings.row(0)[..5].to_vec();
    let length = whole.iter().map(|x| x * x).sum::<f32>().sqrt();
    let unit: Vec<f32> = whole.iter().map(|x| x / length).collect();
    let expected = if encoder.normalizes() { &unit } else { &whole };
    let request = json!({ "input": "one text", "model": "tiny-bert", "dimensions": 5 });
    assert_near(&floats(&served.post("/v1/embeddings", &request).ok()["data"][0]["embedding"]), expected);
    assert_near(&floats(&served.post("/api/embed", &request).ok()["embeddings"][0]), expected);
    let tei = served.post("/embed", &json!({ "inputs": "one text", "dimensions": 5 })).ok();
    assert_near(&floats(&tei[0]), &unit);
    let reply = served.post("/embed", &json!({ "inputs": "a", "dimensions": 100_000 }));
    assert_eq!((reply.status, &reply.json()["error_type"]), (422, &json!("Validation")));
}

#[test]
fn the_vectors_of_tokens_are_those_that_the_model_pools() {
    let served = Served::notes(3);
    let encoder = SentenceEncoder::load(&model()).unwrap();
    let texts = ["one text", "a longer text than that"];
    let answer = served.post("/embed_all", &json!({ "inputs": texts })).ok();
    let expected = encoder.encode(&texts).unwrap().embeddings;
    for (at, text) in texts.iter().enumerate() {
        let rows: Vec<Vec<f32>> = answer[at].as_array().unwrap().iter().map(floats).collect();
        assert_eq!(rows.len(), ids(&encoder, text, true).len());
        let mut mean = vec![0.0; rows[0].len()];
        rows.iter()
            .for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / rows.len() as f32));
        if encoder.normalizes() {
            let length = mean.iter().map(|x| x * x).sum::<f32>().sqrt();
            mean.iter_mut().for_each(|x| *x /= length);
        }
        assert_near(&mean, expected.row(at));
    }
    assert_eq!(served.post("/embed_all", &json!({ "inputs": [] })).status, 422);
    assert_eq!(served.post("/embed_all", &json!({ "inputs": "word ".repeat(500) })).status, 413);
}

#[test]
fn ids_are_decoded() {
    let served = Served::notes(3);
    let encoder = SentenceEncoder::load(&model()).unwrap();
    let ids = ids(&encoder, "one text", true);
    let decoded = |request: Value| served.post("/decode", &request).ok();
    assert_eq!(decoded(json!({ "ids": ids })), json!([encoder.decode(&ids, true).unwrap()]));
    let both = decoded(json!({ "ids": [ids, ids], "skip_special_tokens": false }));
    assert_eq!(both, json!([encoder.decode(&ids, false).unwrap(), encoder.decode(&ids, false).unwrap()]));
    for wrong in [
        json!({ "ids": [9_999_999] }),
        json!({ "ids": [-1] }),
        json!({ "ids": [] }),
        json!({ "ids": "a" }),
        json!({}),
    ] {
        let reply = served.post("/decode", &wrong);
        assert_eq!((reply.status, &reply.json()["error_type"]), (422, &json!("Validation")), "{wrong}");
    }
}

#[test]
fn a_text_that_is_too_long_loses_the_end_that_is_named() {
    let served = Served::notes(3);
    let encoder = SentenceEncoder::load(&model()).unwrap();
    let long = format!("{} and the last words", "word ".repeat(500));
    let embed = |side: &str| {
        let request =
            json!({ "inputs": long, "truncate": true, "truncation_direction": side, "normalize": false });
        served.post("/embed", &request)
    };
    let right = floats(&embed("right").ok()[0]);
    assert_near(&right, encoder.encode(&[&long]).unwrap().embeddings.row(0));
    let left = floats(&embed("Left").ok()[0]);
    let starts = encoder.token_starts(&long).unwrap();
    let around = encoder.count_tokens(&[""]).unwrap()[0];
    let first = starts[starts.len() - (encoder.max_tokens() - around)];
    let ends: Embeddings = encoder.encode(&[&long[first..]]).unwrap().embeddings;
    // The cut may be some tokens later, where a word begins.
    let cosine = |a: &[f32], b: &[f32]| {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    assert!(cosine(&left, ends.row(0)) > 0.99 && cosine(&left, ends.row(0)) > cosine(&right, ends.row(0)));
    assert_eq!(embed("middle").status, 422);
}

#[test]
fn hostile_tokens_are_refused_in_the_form_of_the_interface() {
    let served = Served::with(3, |options| options.limits.texts = 4);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let inputs = [
        "NaN",
        "[NaN]",
        "[1e999]",
        "[4294967296]",
        "[1.0]",
        "[true]",
        "[[[1]]]",
        "\"\\ud800\"",
        "{}",
        "null",
        "[null]",
        &deep,
    ];
    for (path, field) in [
        ("/v1/embeddings", "input"),
        ("/embed", "inputs"),
        ("/embed_all", "inputs"),
        ("/decode", "ids"),
        ("/api/embed", "input"),
    ] {
        // Ollama's clients name the model always.
        let model = if path == "/api/embed" { ", \"model\": \"tiny-bert\"" } else { "" };
        for input in inputs {
            let reply = served.send("POST", path, &[], &format!("{{\"{field}\": {input}{model}}}"));
            let shown = &input[..input.len().min(20)];
            assert!([400, 422].contains(&reply.status), "{path} {shown}: {reply:?}");
            let error = reply.json();
            let said = if path == "/v1/embeddings" { &error["error"]["message"] } else { &error["error"] };
            assert!(said.as_str().is_some_and(|said| said.len() < 1000), "{path} {shown}: {error}");
        }
        let many = format!("{{\"{field}\": [{}]{model}}}", ["[5]"; 5].join(","));
        let reply = served.send("POST", path, &[], &many);
        assert!([400, 413].contains(&reply.status), "{path}: {reply:?}");
    }
    served.get("/health").ok();
}
