//! Models of sentencepiece that merge pairs, without a `tokenizer.json`, against sentencepiece and transformers, by the ids that
//! `fixtures/byte_pairs.py` keeps.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::fs;

use akin_encoder::SentenceEncoder;
use akin_fixtures::fixture;
use akin_fixtures::models::ModelCopy;
use serde_json::{Value, json};

/// Tokens that the tiny network reads.
const MOST: usize = 48;

fn reference() -> (Vec<String>, Value) {
    let all: Value =
        serde_json::from_slice(&fs::read(fixture("references/byte-pairs.json")).unwrap()).unwrap();
    (serde_json::from_value(all["texts"].clone()).unwrap(), all)
}

/// The tiny BERT with a model of sentencepiece in place of its tokenizer.
fn model(name: &str, settings: Value) -> ModelCopy {
    let pieces = fs::read(fixture(format!("models/byte-pairs/{name}.model"))).unwrap();
    let mut written = json!({ "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": MOST });
    written.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    ModelCopy::tiny("bert")
        .without("tokenizer.json")
        .with_file("tokenizer.model", pieces)
        .with_file("tokenizer_config.json", written.to_string())
}

#[test]
fn the_ids_are_those_of_sentencepiece_and_transformers() {
    let (texts, all) = reference();
    for name in ["bytes", "unknown", "spaces", "across"] {
        let model = model(name, json!({}));
        let encoder = SentenceEncoder::load(model.path()).unwrap();
        let expected: Vec<Vec<u32>> = serde_json::from_value(all["transformers"][name].clone()).unwrap();
        // None where transformers has other ids: for some accents, and U+2581 before a text.
        let same: Vec<Option<Vec<u32>>> = serde_json::from_value(all["sentencepiece"][name].clone()).unwrap();
        assert!(same.iter().flatten().count() + 3 >= texts.len(), "{name}");
        for ((text, expected), same) in texts.iter().zip(&expected).zip(&same) {
            assert!(same.as_ref().is_none_or(|same| same == expected), "{name}: {text:?}");
            let found = &encoder.tokenize(&[text]).unwrap()[0];
            assert_eq!(found.ids, expected[..expected.len().min(MOST)], "{name}: {text:?}");
            assert_eq!(found.truncated, expected.len() > MOST, "{name}: {text:?}");
        }
    }
}

#[test]
fn the_tokens_around_a_text_are_those_of_transformers() {
    let (texts, all) = reference();
    let tokens =
        json!({ "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_eos_token": true });
    for (case, begins) in [("framed", true), ("ended", false)] {
        let mut settings = tokens.clone();
        settings["add_bos_token"] = json!(begins);
        let model = model("bytes", settings);
        let encoder = SentenceEncoder::load(model.path()).unwrap();
        let expected: Vec<Vec<u32>> = serde_json::from_value(all[case].clone()).unwrap();
        for (text, expected) in texts.iter().zip(&expected).filter(|(_, expected)| expected.len() <= MOST) {
            assert_eq!(&encoder.tokenize(&[text]).unwrap()[0].ids, expected, "{case}: {text:?}");
        }
    }
}

#[test]
fn what_is_not_followed_beside_such_a_model_is_named() {
    let listed = |id: &str, content: &str, normalized: bool| {
        let token = json!({ "content": content, "special": true, "normalized": normalized });
        json!({ "added_tokens_decoder": { id: token } })
    };
    for (settings, word) in [
        (json!({ "tokenizer_class": "GemmaTokenizer" }), "GemmaTokenizer"),
        (json!({ "tokenizer_class": "XLMRobertaTokenizer" }), "XLMRobertaTokenizer"),
        (json!({ "legacy": false }), "legacy"),
        (json!({ "add_bos_token": true }), "bos_token"),
        (listed("7", "<s>", false), "added_tokens_decoder"),
        (listed("1", "<s>", true), "added_tokens_decoder"),
    ] {
        let model = model("bytes", settings);
        let error = SentenceEncoder::load(model.path()).err().unwrap().to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
    assert!(SentenceEncoder::load(model("bytes", listed("1", "<s>", false)).path()).is_ok());
}

#[test]
fn what_a_model_depends_on_is_in_its_fingerprint() {
    let of = |name: &str, settings: Value| {
        SentenceEncoder::load(model(name, settings).path()).unwrap().fingerprint().to_owned()
    };
    let ends = json!({ "eos_token": "</s>", "add_eos_token": true });
    let all = [of("bytes", json!({})), of("spaces", json!({})), of("bytes", ends)];
    assert!(all[0] != all[1] && all[0] != all[2]);
    assert_eq!(all[0], of("bytes", json!({ "model_max_length": 48 })));
}
