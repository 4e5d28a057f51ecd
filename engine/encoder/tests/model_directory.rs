//! What a model directory may say of itself: with no feature of the crate, as a program that only encodes builds it.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::fs;
use std::path::{Path, PathBuf};

use akin_encoder::{Error, SentenceEncoder};
use serde_json::{Value, json};
use tempfile::TempDir;

fn tiny(architecture: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models").join(format!("tiny-{architecture}"))
}

/// Loads the tiny model with one setting of one file changed.
fn changed(architecture: &str, file: &str, name: &str, value: &Value) -> Result<SentenceEncoder, Error> {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("1_Pooling")).unwrap();
    for entry in ["config.json", "modules.json", "sentence_bert_config.json", "tokenizer.json"]
        .into_iter()
        .chain(["tokenizer_config.json", "model.safetensors", "1_Pooling/config.json"])
    {
        fs::copy(tiny(architecture).join(entry), folder.path().join(entry)).unwrap();
    }
    let path = folder.path().join(file);
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json[name] = value.clone();
    fs::write(&path, json.to_string()).unwrap();
    SentenceEncoder::load(folder.path())
}

#[test]
fn a_directory_is_all_that_encoding_needs() {
    for architecture in ["bert", "roberta"] {
        let encoder = SentenceEncoder::load(&tiny(architecture)).unwrap();
        let encoding = encoder.encode(&["The shop opens at nine.", ""]).unwrap();
        assert_eq!((encoding.embeddings.rows(), encoding.embeddings.dimension()), (2, 32));
    }
}

#[test]
fn a_size_that_cannot_be_is_refused_by_the_name_of_file_and_setting() {
    let sizes = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"];
    for architecture in ["bert", "roberta"] {
        for name in
            sizes.into_iter().chain(["intermediate_size", "max_position_embeddings", "type_vocab_size"])
        {
            for value in [
                json!(0),
                json!(-1),
                json!(4_294_967_295u64),
                json!(u64::MAX),
                json!(1e30),
                json!(2.5),
                json!("2"),
                json!([]),
            ] {
                let Err(error) = changed(architecture, "config.json", name, &value) else {
                    panic!("{name} {value} is taken");
                };
                let error = error.to_string();
                assert!(error.contains("config.json") && error.contains(name), "{name} {value}: {error}");
            }
        }
    }
}

#[test]
fn a_padding_token_beyond_the_vocabulary_is_refused() {
    for architecture in ["bert", "roberta"] {
        for value in [json!(-1), json!(1_000_000), json!(u64::MAX), json!("1"), json!(1.5)] {
            let error =
                changed(architecture, "config.json", "pad_token_id", &value).err().unwrap().to_string();
            assert!(error.contains("config.json: pad_token_id is"), "{value}: {error}");
        }
    }
    // Within the vocabulary, but all positions lie before it.
    let error = changed("roberta", "config.json", "pad_token_id", &json!(900)).err().unwrap().to_string();
    assert!(error.contains("max_position_embeddings is"), "{error}");
}

#[test]
fn other_numbers_that_cannot_be_are_refused() {
    for (file, name, value) in [
        ("config.json", "layer_norm_eps", json!(0)),
        ("config.json", "layer_norm_eps", json!(-1e-5)),
        ("config.json", "layer_norm_eps", json!(1e300)),
        ("config.json", "layer_norm_eps", json!(1e-300)),
        ("1_Pooling/config.json", "word_embedding_dimension", json!(-1)),
        ("1_Pooling/config.json", "word_embedding_dimension", json!(u64::MAX)),
        ("sentence_bert_config.json", "max_seq_length", json!(-1)),
        ("sentence_bert_config.json", "max_seq_length", json!(0)),
        ("sentence_bert_config.json", "max_seq_length", json!(u64::MAX)),
        ("sentence_bert_config.json", "max_seq_length", json!(1.5)),
    ] {
        let Err(error) = changed("bert", file, name, &value) else { panic!("{name} {value} is taken") };
        let error = error.to_string();
        assert!(error.contains(file) && error.contains(name), "{name} {value}: {error}");
    }
}
