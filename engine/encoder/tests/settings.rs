//! Every setting of a model directory against sentence-transformers 6.2 (transformers 5.24), which the numbers are of.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use akin_encoder::model::{ALL_FILES, Effect};
use akin_encoder::{Error, Role, SentenceEncoder, Similarity};
use akin_fixtures::models::ModelCopy;
use serde_json::{Value, json};

const TEXT: &str = "  A naïve café owner's résumé [MASK] 東京 ";

/// Loads the tiny model of an architecture with settings changed: `{file: {key: value}}`.
fn changed(architecture: &str, changes: &Value) -> Result<SentenceEncoder, Error> {
    let mut model = ModelCopy::tiny(architecture);
    for (file, settings) in changes.as_object().unwrap() {
        if !model.path().join(file).is_file() {
            std::fs::create_dir_all(model.path().join(file).parent().unwrap()).unwrap();
            model = model.with_file(file, "{}");
        }
        model = model.edited(file, |json| {
            for (key, value) in settings.as_object().unwrap() {
                json[key] = value.clone();
            }
        });
    }
    SentenceEncoder::load(model.path())
}

fn vector(encoder: &SentenceEncoder, role: Option<Role>, text: &str) -> Vec<f32> {
    let encoding = match role {
        None => encoder.encode(&[text]),
        Some(role) => encoder.encode_as(role, &[text]),
    };
    encoding.unwrap().embeddings.row(0).to_vec()
}

#[test]
fn a_setting_of_the_tokenizer_changes_the_vector_as_in_sentence_transformers() {
    let (tokenizer, sentence) = ("tokenizer_config.json", "sentence_bert_config.json");
    for (architecture, changes, expected) in [
        ("bert", json!({}), [1.78667, 0.46508, -1.22358]),
        ("bert", json!({ tokenizer: { "strip_accents": false } }), [1.27123, -0.3247, -1.38506]),
        ("bert", json!({ tokenizer: { "do_lower_case": false } }), [1.34528, 0.01564, -1.5167]),
        ("bert", json!({ tokenizer: { "tokenize_chinese_chars": false } }), [1.95937, 0.48356, -1.05356]),
        (
            "bert",
            json!({ tokenizer: { "truncation_side": "left" }, sentence: { "max_seq_length": 8 } }),
            [1.58164, -0.51886, -1.02006],
        ),
        ("bert", json!({ tokenizer: { "cls_token": "[MASK]" } }), [1.87263, 0.62256, -1.09182]),
        ("bert", json!({ tokenizer: { "unk_token": "[MASK]" } }), [1.76962, 0.58796, -1.16126]),
        ("bert", json!({ tokenizer: { "split_special_tokens": true } }), [1.45864, 0.38232, -1.14456]),
        ("roberta", json!({}), [1.58775, -0.01611, -0.1042]),
        ("roberta", json!({ sentence: { "do_lower_case": true } }), [1.3953, 0.14955, -0.11568]),
    ] {
        let found = vector(&changed(architecture, &changes).unwrap(), None, TEXT);
        let difference = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 5e-5, "{architecture} {changes}: {:?} and not {expected:?}", &found[..3]);
    }
}

#[test]
fn a_prefix_space_is_a_space_before_the_text() {
    let plain = changed("roberta", &json!({})).unwrap();
    let spaced =
        changed("roberta", &json!({ "tokenizer_config.json": { "add_prefix_space": true } })).unwrap();
    assert_eq!(vector(&spaced, None, "lead"), vector(&plain, None, " lead"));
    assert_ne!(vector(&spaced, None, "lead"), vector(&plain, None, "lead"));
}

#[test]
fn a_prompt_goes_by_the_role_and_its_tokens_can_be_left_out_of_the_mean() {
    let prompts =
        json!({ "prompts": { "query": "query: ", "document": "passage: " }, "default_prompt_name": "query" });
    let file = "config_sentence_transformers.json";
    let with = changed("bert", &json!({ file: prompts })).unwrap();
    let without =
        changed("bert", &json!({ file: prompts, "1_Pooling/config.json": { "include_prompt": false } }));
    for (encoder, expected) in
        [(&with, [1.46646, 0.11066, -1.17078]), (&without.unwrap(), [1.41727, 0.09103, -1.19915])]
    {
        let found = vector(encoder, Some(Role::Document), TEXT);
        let difference = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 5e-5, "{:?} and not {expected:?}", &found[..3]);
    }
    let plain = changed("bert", &json!({})).unwrap();
    assert_eq!(vector(&with, None, "a cat"), vector(&plain, None, "query: a cat"));
    assert_eq!(vector(&with, Some(Role::Query), "a cat"), vector(&plain, None, "query: a cat"));
    assert_eq!(vector(&with, Some(Role::Document), "a cat"), vector(&plain, None, "passage: a cat"));
}

#[test]
fn an_embedding_is_cut_where_the_model_says_and_dot_is_cosine_of_unit_vectors() {
    let file = "config_sentence_transformers.json";
    let cut = changed("bert", &json!({ file: { "truncate_dim": 5, "similarity_fn_name": "dot" } })).unwrap();
    let plain = changed("bert", &json!({})).unwrap();
    assert_eq!((cut.dimension(), cut.similarity()), (5, Similarity::Dot));
    assert_eq!(vector(&cut, None, "a cat"), vector(&plain, None, "a cat")[..5]);
}

/// A change of each key that is honoured, which must show: another fingerprint, or a refusal.
fn example(file: &str, key: &str) -> Value {
    let value = match (file, key) {
        ("config.json", "model_type") => json!("xlnet"),
        ("config.json", "layer_norm_eps") => json!(1e-5),
        ("config.json", "tokenizer_class") => {
            return json!({
                file: { key: "PreTrainedTokenizerFast" },
                "tokenizer_config.json": { "tokenizer_class": null, "do_lower_case": null },
                "tokenizer.json": { "normalizer": null },
            });
        }
        ("config.json", "pad_token_id") => json!(-1),
        ("config.json", _) => json!(0),
        (_, "tokenizer_class") => json!("MPNetTokenizer"),
        (_, "do_lower_case") => json!(file != "tokenizer_config.json"),
        (_, "strip_accents" | "tokenize_chinese_chars" | "include_prompt") => json!(false),
        (_, "split_special_tokens") => json!(true),
        (_, "add_prefix_space") => json!("of another architecture"),
        (_, "truncation_side" | "padding_side") => json!("left"),
        (_, "model_max_length" | "max_len") => {
            return json!({
                "sentence_bert_config.json": { "max_seq_length": null },
                file: { "model_max_length": null, key: 10 },
            });
        }
        (_, "model_input_names") => json!(["input_ids"]),
        (_, "added_tokens_decoder") => json!({ "2": { "content": "[CLS]", "lstrip": true } }),
        (_, "additional_special_tokens" | "extra_special_tokens") => json!(["[NEW]"]),
        (_, "max_seq_length") => json!(7),
        (_, "pooling_mode_mean_tokens") => json!(false),
        (_, "pooling_mode") => json!("cls"),
        (_, "word_embedding_dimension" | "embedding_dimension") => json!(3),
        (_, "prompts") => json!({ "query": "query: " }),
        (_, "default_prompt_name" | "similarity_fn_name") => json!("none"),
        (_, "truncate_dim") => json!(8),
        (_, name) if name.starts_with("pooling_mode_") => json!(true),
        (_, name) if name.ends_with("_token") => json!("[NEW]"),
        _ => panic!("{file} has a new key, {key}: say how it shows"),
    };
    json!({ file: { key: value } })
}

#[test]
fn each_key_that_is_honoured_shows_and_each_that_has_no_effect_does_not() {
    let plain = changed("bert", &json!({})).unwrap();
    for file in ALL_FILES {
        for (key, effect) in file.keys {
            // A class other than BERT's reads this one.
            let elsewhere = *key == "add_prefix_space";
            match effect {
                Effect::Honoured if !elsewhere => match changed("bert", &example(file.file, key)) {
                    Ok(encoder) => {
                        assert_ne!(encoder.fingerprint(), plain.fingerprint(), "{} {key}", file.file);
                    }
                    Err(error) => {
                        assert!(matches!(error, Error::Model { .. }), "{} {key}: {error}", file.file)
                    }
                },
                Effect::Honoured | Effect::Only(_) => {}
                Effect::Nothing => {
                    let other = changed("bert", &json!({ file.file: { *key: "another value" } })).unwrap();
                    assert_eq!(other.fingerprint(), plain.fingerprint(), "{} {key}", file.file);
                }
            }
        }
    }
}

#[test]
fn settings_that_say_what_was_assumed_leave_the_fingerprint_as_it_is() {
    let plain = changed("bert", &json!({})).unwrap();
    let said = json!({
        "tokenizer_config.json": { "strip_accents": null, "tokenize_chinese_chars": true, "truncation_side": "right" },
        "1_Pooling/config.json": { "include_prompt": true },
        "config_sentence_transformers.json": {
            "prompts": { "query": "", "document": "" }, "default_prompt_name": null, "similarity_fn_name": "cosine"
        },
    });
    assert_eq!(changed("bert", &said).unwrap().fingerprint(), plain.fingerprint());
    let roberta = json!({ "tokenizer_config.json": { "add_prefix_space": false, "trim_offsets": true } });
    let expected = changed("roberta", &json!({})).unwrap();
    assert_eq!(changed("roberta", &roberta).unwrap().fingerprint(), expected.fingerprint());
}
