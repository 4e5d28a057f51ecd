//! The encoder against reference numbers of sentence-transformers and transformers, and against models
//! that are broken in every way we know.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::path::{Path, PathBuf};

use akin_encoder::{DEFAULT_MODEL, Embeddings, Error, SentenceEncoder, hub};
use akin_encoder::{EncoderOptions, Executor, Precision};
use akin_fixtures::models::{self, ModelCopy};
use akin_fixtures::npy::reference;
use akin_fixtures::sentences;
use akin_fixtures::similarity::{cosines, greatest_difference};
use akin_kernels::cpu::isa;
use common::{executors, name};

fn minilm() -> PathBuf {
    models::minilm(hub::installed(DEFAULT_MODEL))
}

fn load(model: &Path, executor: Executor) -> SentenceEncoder {
    load_with(model, &EncoderOptions { executor, ..Default::default() })
}

fn load_with(model: &Path, options: &EncoderOptions) -> SentenceEncoder {
    SentenceEncoder::load_with(model, options).unwrap()
}

fn encode(encoder: &SentenceEncoder, texts: &[String]) -> Embeddings {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    encoder.encode(&texts).unwrap().embeddings
}

#[test]
fn embeddings_are_those_of_sentence_transformers() {
    let texts = sentences();
    assert!(texts.len() >= 200);
    let reference = reference("minilm");
    for options in executors() {
        let embeddings = encode(&load_with(&minilm(), &options), &texts);
        for (row, cosine) in cosines(&embeddings, &reference).enumerate() {
            assert!(cosine >= 0.99999, "{}: cosine {cosine} for {:?}", name(&options), texts[row]);
        }
    }
}

#[test]
fn coarser_numbers_keep_the_direction_of_the_embeddings() {
    let texts = sentences();
    let reference = reference("minilm");
    for (precision, mean_at_least, least_at_least) in
        [(Precision::Bf16, 0.9998, 0.999), (Precision::Int8, 0.998, 0.99)]
    {
        let options = EncoderOptions { precision, ..Default::default() };
        let encoder = match SentenceEncoder::load_with(&minilm(), &options) {
            // Not every processor multiplies bf16, and then the error says what it multiplies.
            Err(Error::Precision { precision: Precision::Bf16, reason }) => {
                assert!(!isa().multiplies_bf16() && reason.contains("int8"), "{reason}");
                continue;
            }
            loaded => loaded.unwrap(),
        };
        let embeddings = encode(&encoder, &texts);
        let cosines: Vec<f64> = cosines(&embeddings, &reference).collect();
        let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
        let least = cosines.iter().copied().fold(1.0, f64::min);
        println!("{precision:?}: cosine to f32 {mean:.5} on average, {least:.5} at least");
        assert!(mean >= mean_at_least && least >= least_at_least, "{precision:?}: {mean}, {least}");
    }
}

#[test]
fn the_reference_executor_has_one_precision() {
    let options =
        EncoderOptions { executor: Executor::Burn, precision: Precision::Int8, ..Default::default() };
    let refusal = SentenceEncoder::load_with(ModelCopy::tiny("bert").path(), &options).err().unwrap();
    assert!(matches!(&refusal, Error::Precision { reason, .. } if reason.contains("f32")), "{refusal}");
}

#[test]
fn embeddings_do_not_depend_on_their_neighbors_and_keep_their_order() {
    let texts: Vec<String> = sentences().into_iter().take(40).collect();
    let encoder = load(&minilm(), Executor::Burn);
    let together = encode(&encoder, &texts);
    let reversed = encode(&encoder, &texts.iter().rev().cloned().collect::<Vec<_>>());
    for (row, text) in texts.iter().enumerate() {
        let alone = encode(&encoder, std::slice::from_ref(text));
        for other in [alone.row(0), reversed.row(texts.len() - 1 - row)] {
            let difference = greatest_difference(together.row(row), other);
            assert!(difference < 1e-5, "{difference} for {text:?}");
        }
    }
}

#[test]
fn what_is_truncated_is_counted() {
    let encoder = load(&minilm(), Executor::Burn);
    assert_eq!((encoder.max_tokens(), encoder.dimension()), (256, 384));
    let long = "word ".repeat(254);
    let longer = "word ".repeat(255);
    let far_longer = "word ".repeat(2_000_000);
    let blank = " \n".repeat(1_000_000);
    let encoding = encoder.encode(&["word", &long, &longer, &far_longer, &blank, ""]).unwrap();
    assert_eq!(encoding.truncated, 2);
    assert_eq!(encoding.tokens, 3 + 3 * 256 + 2 + 2);
    assert_eq!(encoding.embeddings.row(1), encoding.embeddings.row(2));
    assert!(greatest_difference(encoding.embeddings.row(2), encoding.embeddings.row(3)) < 1e-5);
}

#[test]
fn no_texts_make_no_embeddings() {
    let encoding = load(ModelCopy::tiny("bert").path(), Executor::Burn).encode(&[]).unwrap();
    assert_eq!((encoding.embeddings.rows(), encoding.tokens, encoding.truncated), (0, 0, 0));
}

#[test]
fn the_fingerprint_knows_weights_tokenizer_and_settings() {
    let print = |model: &ModelCopy| load(model.path(), Executor::Burn).fingerprint().to_string();
    let plain = print(&ModelCopy::tiny("bert"));
    assert_eq!(plain.len(), 64);
    assert_eq!(plain, print(&ModelCopy::tiny("bert")));
    let pooled = ModelCopy::tiny("bert").pooled("cls");
    let shorter =
        ModelCopy::tiny("bert").edited("sentence_bert_config.json", |json| json["max_seq_length"] = 7.into());
    let halved = ModelCopy::tiny("bert").in_type("bf16");
    let spaced = ModelCopy::tiny("bert").rewritten("tokenizer.json", |bytes| bytes.push(b' '));
    for other in [pooled, shorter, halved, spaced] {
        assert_ne!(plain, print(&other));
    }
}

#[test]
fn a_model_without_normalize_gives_embeddings_of_their_own_length() {
    let length = |model: &ModelCopy| {
        let embeddings = encode(&load(model.path(), Executor::Burn), &["some text".into()]);
        embeddings.row(0).iter().map(|x| x * x).sum::<f32>().sqrt()
    };
    let edit = |normalize: bool| {
        ModelCopy::tiny("bert").edited("modules.json", |json| {
            let modules = json.as_array_mut().unwrap();
            modules.truncate(2);
            if normalize {
                modules.push(serde_json::json!({"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}));
            }
        })
    };
    assert!((length(&edit(true)) - 1.0).abs() < 1e-6);
    assert!((length(&edit(false)) - 1.0).abs() > 1e-3);
}

/// The error of a model, which must name `file` and say each of `words`.
fn refused(model: &ModelCopy, file: &str, words: &[&str]) {
    let error = SentenceEncoder::load(model.path()).err().expect("the model is refused");
    assert!(matches!(error, Error::Model { .. }), "{error:?}");
    let sentence = error.to_string();
    for word in [&[file], words].concat() {
        assert!(sentence.contains(word), "{word:?} is not in: {sentence}");
    }
    assert!(!sentence.contains('\n'), "more than a line: {sentence}");
}

#[test]
fn a_missing_file_is_named_with_what_is_expected() {
    for file in ["config.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json"] {
        refused(&ModelCopy::tiny("bert").without(file), file, &["is missing", "sentence-transformers"]);
    }
}

#[test]
fn a_directory_without_any_settings_is_no_model() {
    let model = ModelCopy::tiny("bert").without("config.json").without("modules.json");
    refused(&model, "modules.json", &["is missing", "sentence-transformers"]);
}

#[test]
fn weights_of_pytorch_that_are_none_are_named() {
    let model = ModelCopy::tiny("bert").without("model.safetensors").with_file("pytorch_model.bin", "x");
    refused(&model, "pytorch_model.bin", &["torch.save", "fetch"]);
}

#[test]
fn a_directory_that_is_not_there_is_refused() {
    let error = SentenceEncoder::load("no/such/model".as_ref()).err().unwrap().to_string();
    assert!(error.contains("no/such/model") && error.contains("no such directory"), "{error}");
}

#[test]
fn truncated_weights_are_refused_wherever_they_end() {
    let length =
        std::fs::metadata(ModelCopy::tiny("bert").path().join("model.safetensors")).unwrap().len() as usize;
    for keep in [0, 1, 7, 8, 9, 100, length / 2, length - 1] {
        let model = ModelCopy::tiny("bert").rewritten("model.safetensors", |bytes| bytes.truncate(keep));
        refused(&model, "model.safetensors", &["fetch"]);
    }
}

#[test]
fn garbage_in_place_of_weights_is_refused() {
    for garbage in [vec![0u8; 4096], vec![0xff; 4096], b"<html>not found</html>".to_vec()] {
        let model = ModelCopy::tiny("bert").rewritten("model.safetensors", |bytes| *bytes = garbage);
        refused(&model, "model.safetensors", &["truncated or corrupt"]);
    }
}

#[test]
fn values_that_are_not_numbers_are_refused_by_tensor() {
    for (dtype, nan) in
        [("f32", f32::NAN), ("f32", f32::INFINITY), ("f16", f32::NAN), ("bf16", f32::NEG_INFINITY)]
    {
        let name = "encoder.layer.1.output.dense.bias";
        let model =
            ModelCopy::tiny("bert").with_tensors(dtype, |tensors| tensors.get_mut(name).unwrap().1[3] = nan);
        refused(&model, "model.safetensors", &[name, "NaN"]);
    }
}

#[test]
fn a_missing_tensor_and_a_wrong_shape_are_named() {
    let name = "encoder.layer.0.attention.self.key.weight";
    let model = ModelCopy::tiny("bert").with_tensors("f32", |tensors| {
        tensors.remove(name);
    });
    refused(&model, "model.safetensors", &[name, "missing"]);
    let square = ModelCopy::tiny("bert").edited("config.json", |json| json["intermediate_size"] = 3.into());
    refused(&square, "model.safetensors", &["intermediate.dense", "shape"]);
}

#[test]
fn a_tokenizer_that_does_not_fit_is_refused() {
    let model = ModelCopy::tiny("bert").with_tensors("f32", |tensors| {
        let (shape, values) = tensors.get_mut("embeddings.word_embeddings.weight").unwrap();
        shape[0] -= 1;
        values.truncate(shape[0] * shape[1]);
    });
    let model = model
        .edited("config.json", |json| json["vocab_size"] = (json["vocab_size"].as_u64().unwrap() - 1).into());
    refused(&model, "tokenizer.json", &["does not fit the model"]);
}

#[test]
fn an_added_token_without_an_embedding_is_refused_in_the_text_that_has_it() {
    let model = ModelCopy::tiny("bert").edited("tokenizer.json", |json| {
        json["added_tokens"].as_array_mut().unwrap().push(serde_json::json!({
            "id": 1200, "content": "<ent>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true,
        }));
    });
    let encoder = load(model.path(), Executor::Cpu);
    assert!(encoder.encode(&["a cat"]).is_ok());
    let error = encoder.encode(&["a <ent> cat"]).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json") && error.contains("1201"), "{error}");
}

#[test]
fn what_cannot_be_honored_is_refused_by_name() {
    let tiny = || ModelCopy::tiny("bert");
    let lstm = tiny().edited("modules.json", |json| json.as_array_mut().unwrap().push(serde_json::json!({"idx": 2, "name": "2", "path": "2_LSTM", "type": "sentence_transformers.models.LSTM"})));
    refused(&lstm, "modules.json", &["LSTM"]);
    let outside = tiny().edited("modules.json", |json| json[1]["path"] = "../1_Pooling".into());
    refused(&outside, "modules.json", &["../1_Pooling"]);
    for (key, value) in
        [("model_type", "xlnet"), ("hidden_act", "mish"), ("position_embedding_type", "relative_key")]
    {
        refused(&tiny().edited("config.json", |json| json[key] = value.into()), "config.json", &[key, value]);
    }
    refused(
        &tiny().edited("config.json", |json| json["num_attention_heads"] = 5.into()),
        "config.json",
        &["num_attention_heads 5"],
    );
    refused(
        &tiny().edited("config.json", |json| json["hidden_size"] = 0.into()),
        "config.json",
        &["hidden_size"],
    );
    let attention = tiny().edited("1_Pooling/config.json", |json| json["pooling_mode"] = "attention".into());
    refused(&attention, "1_Pooling", &["attention", "lasttoken"]);
    refused(&tiny().pooled("no_such_mode"), "1_Pooling", &["pooling mode"]);
    let prompts = tiny().with_file("config_sentence_transformers.json", r#"{"default_prompt_name": "none"}"#);
    refused(&prompts, "config_sentence_transformers.json", &["default_prompt_name", "none"]);
    let long = tiny().edited("sentence_bert_config.json", |json| json["max_seq_length"] = 100_000.into());
    refused(&long, "", &["max_seq_length is 100000"]);
    let short = tiny().edited("sentence_bert_config.json", |json| json["max_seq_length"] = 2.into());
    refused(&short, "", &["no text fits"]);
    refused(&tiny().with_file("config.json", "{"), "config.json", &["JSON"]);
    refused(&tiny().with_file("tokenizer.json", "{}"), "tokenizer.json", &[]);
}

#[test]
fn weights_that_overflow_are_an_error_and_not_an_embedding() {
    let model = ModelCopy::tiny("bert").with_tensors("f32", |tensors| {
        for (name, (_, values)) in tensors.iter_mut() {
            if name.ends_with("output.dense.weight") {
                values.fill(1e38);
            }
        }
    });
    let error = SentenceEncoder::load(model.path()).unwrap().encode(&["some text"]).unwrap_err().to_string();
    assert!(error.contains("model.safetensors") && error.contains("some text"), "{error}");
}

#[test]
fn old_names_of_layer_norms_and_prefixes_are_understood() {
    let texts = ["one text".to_string(), "another one, longer".to_string()];
    let plain = encode(&load(ModelCopy::tiny("bert").path(), Executor::Burn), &texts);
    let renamed = ModelCopy::tiny("bert").with_tensors("f32", |tensors| {
        for (name, tensor) in std::mem::take(tensors) {
            let old = name
                .replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta");
            tensors.insert(format!("bert.{old}"), tensor);
        }
    });
    for options in executors() {
        let embeddings = encode(&load_with(renamed.path(), &options), &texts);
        assert!(cosines(&embeddings, &plain).all(|cosine| cosine > 0.999999));
    }
}

#[test]
fn tiny_models_agree_with_transformers_in_every_architecture_pooling_and_type() {
    let texts = sentences();
    for architecture in ["bert", "roberta"] {
        for pooling in ["mean", "cls", "max"] {
            for dtype in ["f32", "f16", "bf16"] {
                // The reference of the rounded weights exists for one pooling; the others must come close.
                let exact = dtype == "f32" || pooling == "mean";
                let rounding = if exact && dtype != "f32" { format!("-{dtype}") } else { String::new() };
                let reference = reference(&format!("tiny-{architecture}{rounding}-{pooling}"));
                let model = ModelCopy::tiny(architecture).pooled(pooling).in_type(dtype);
                for options in executors() {
                    let embeddings = encode(&load_with(model.path(), &options), &texts);
                    let bound = if exact { 0.99999 } else { 0.999 };
                    for (row, cosine) in cosines(&embeddings, &reference).enumerate() {
                        assert!(
                            cosine >= bound,
                            "{} {architecture} {pooling} {dtype}: cosine {cosine} for {:?}",
                            name(&options),
                            texts[row]
                        );
                    }
                }
            }
        }
    }
}
