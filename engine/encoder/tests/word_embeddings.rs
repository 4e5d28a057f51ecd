//! Vectors of words against sentence-transformers 6.2, by the numbers that `fixtures/words.py` keeps.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::fs;
use std::path::Path;

use akin_encoder::{EncoderOptions, Pooling, SentenceEncoder};
use akin_fixtures::fixture;
use serde_json::{Value, json};
use tempfile::TempDir;

const TOKENIZER: &str = "whitespacetokenizer_config.json";
const WORDS: &str = "wordembedding_config.json";
const POOLING: &str = "1_Pooling/config.json";

fn reference() -> (Vec<String>, Value) {
    let all: Value = serde_json::from_slice(&fs::read(fixture("references/words.json")).unwrap()).unwrap();
    (serde_json::from_value(all["texts"].clone()).unwrap(), all)
}

/// The model with some settings of a file changed.
fn changed(file: &str, change: Value) -> TempDir {
    let folder = TempDir::new().unwrap();
    copy(&fixture("models/words"), folder.path());
    let path = folder.path().join(file);
    let mut settings: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (key, value) in change.as_object().unwrap() {
        settings[key] = value.clone();
    }
    fs::write(&path, settings.to_string()).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy(&from, &to) } else { fs::write(&to, fs::read(&from).unwrap()).unwrap() }
    }
}

fn refused(folder: &TempDir) -> String {
    SentenceEncoder::load(folder.path()).err().expect("the model is refused").to_string()
}

#[test]
fn pooled_vectors_of_words_are_those_of_sentence_transformers() {
    let (texts, all) = reference();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let joined = json!({ "pooling_mode": ["mean_sqrt_len_tokens", "weightedmean", "lasttoken"] });
    for (case, folder) in [
        ("mean", changed(POOLING, json!({}))),
        ("lower-case", changed(TOKENIZER, json!({ "do_lower_case": true }))),
        ("short", changed(WORDS, json!({ "max_seq_length": 3 }))),
        ("joined", changed(POOLING, joined)),
    ] {
        let expected: Vec<Vec<f32>> = serde_json::from_value(all["cases"][case].clone()).unwrap();
        let encoder = SentenceEncoder::load(folder.path()).unwrap();
        let found = encoder.encode(&texts).unwrap().embeddings;
        assert_eq!((found.rows(), found.dimension()), (expected.len(), expected[0].len()), "{case}");
        for (row, (expected, text)) in expected.iter().zip(&texts).enumerate() {
            let apart = found.row(row).iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let greatest = expected.iter().map(|x| x.abs()).fold(1.0, f32::max);
            assert!(apart < 2e-6 * greatest, "{case}, {text:?}: {apart}");
        }
    }
}

#[test]
fn words_are_found_as_sentence_transformers_finds_them_and_with_their_places() {
    let (texts, all) = reference();
    let encoder = SentenceEncoder::load(&fixture("models/words")).unwrap();
    let ids: Vec<Vec<u32>> = serde_json::from_value(all["ids"].clone()).unwrap();
    for (text, ids) in texts.iter().zip(&ids) {
        assert_eq!(&encoder.tokenize(&[text]).unwrap()[0].ids, ids, "{text:?}");
        let pieces = encoder.pieces(text, true).unwrap();
        assert_eq!(pieces.iter().map(|piece| piece.id).collect::<Vec<_>>(), *ids, "{text:?}");
        let starts: Vec<usize> = pieces.iter().map(|piece| piece.span.start).collect();
        assert_eq!(encoder.token_starts(text).unwrap(), starts, "{text:?}");
        for piece in &pieces {
            let written = &text[piece.span.clone()];
            assert_eq!(written.to_lowercase(), piece.token.to_lowercase(), "{text:?}");
        }
    }
    assert_eq!(encoder.decode(&[5, 6], false).unwrap(), "sleeps warm");
    assert_eq!(encoder.text_of_ids(&[5, 6]).unwrap().as_deref(), Some("sleeps warm"));
    let unknown = encoder.decode(&[99], false).unwrap_err().to_string();
    assert!(unknown.contains("99"), "{unknown}");
}

#[test]
fn a_text_of_more_words_than_are_read_loses_its_end_and_is_counted() {
    let folder = changed(WORDS, json!({ "max_seq_length": 3 }));
    let encoder = SentenceEncoder::load(folder.path()).unwrap();
    assert_eq!(encoder.max_tokens(), 3);
    let found = encoder.encode(&["cat warm gold", "cat warm gold cat", "cat unknown warm gold"]).unwrap();
    assert_eq!((found.truncated, found.tokens), (1, 9));
    assert_eq!(found.embeddings.row(0), found.embeddings.row(1));
    let unlimited = changed(WORDS, json!({ "max_seq_length": null }));
    assert_eq!(SentenceEncoder::load(unlimited.path()).unwrap().max_tokens(), usize::MAX);
}

/// Releases of sentence-transformers before 6 gave the module a folder of its own.
#[test]
fn vectors_and_words_may_lie_in_a_folder_of_their_own() {
    let folder = changed("modules.json", json!({}));
    let own = SentenceEncoder::load(folder.path()).unwrap();
    let path = folder.path().join("0_WordEmbeddings");
    fs::create_dir(&path).unwrap();
    for file in [TOKENIZER, WORDS, "model.safetensors"] {
        fs::rename(folder.path().join(file), path.join(file)).unwrap();
    }
    let modules = folder.path().join("modules.json");
    let mut listed: Value = serde_json::from_slice(&fs::read(&modules).unwrap()).unwrap();
    listed[0]["path"] = "0_WordEmbeddings".into();
    fs::write(&modules, listed.to_string()).unwrap();
    let moved = SentenceEncoder::load(folder.path()).unwrap();
    assert_eq!(own.fingerprint(), moved.fingerprint());
    assert_eq!(own.encode(&["a warm cat"]).unwrap(), moved.encode(&["a warm cat"]).unwrap());
}

#[test]
fn what_a_model_of_words_depends_on_is_in_its_fingerprint() {
    let of = |folder: &TempDir| SentenceEncoder::load(folder.path()).unwrap().fingerprint().to_owned();
    let own = of(&changed(POOLING, json!({})));
    assert_eq!(own, of(&changed(WORDS, json!({ "update_embeddings": true }))));
    for other in [
        changed(TOKENIZER, json!({ "do_lower_case": true })),
        changed(TOKENIZER, json!({ "stop_words": [] })),
        changed(WORDS, json!({ "max_seq_length": 3 })),
        changed(POOLING, json!({ "pooling_mode": "max" })),
    ] {
        assert_ne!(own, of(&other));
    }
}

#[test]
fn what_is_wrong_with_a_model_of_words_is_named() {
    let class = "sentence_transformers.models.tokenizer.PhraseTokenizer.PhraseTokenizer";
    let many: Vec<String> = (0..39).map(|number| number.to_string()).collect();
    for (file, change, word) in [
        (WORDS, json!({ "tokenizer_class": class }), "PhraseTokenizer"),
        (WORDS, json!({ "max_seq_length": 0 }), "max_seq_length"),
        (WORDS, json!({ "max_seq_length": "x" }), "max_seq_length"),
        (TOKENIZER, json!({ "vocab": many }), "39 words"),
        (TOKENIZER, json!({ "vocab": 3 }), "JSON"),
        (TOKENIZER, json!({ "ngram_separator": "_" }), "ngram_separator"),
        (POOLING, json!({ "pooling_mode": "cls" }), "cls"),
        (POOLING, json!({ "embedding_dimension": 13 }), "embedding_dimension"),
    ] {
        let error = refused(&changed(file, change));
        assert!(error.contains(word) && error.contains(file.rsplit('/').next().unwrap()), "{error}");
    }
    for file in [TOKENIZER, WORDS, POOLING, "model.safetensors"] {
        let folder = changed(POOLING, json!({}));
        fs::remove_file(folder.path().join(file)).unwrap();
        assert!(refused(&folder).contains(file.rsplit('/').next().unwrap()), "{file}");
    }
    let folder = changed(POOLING, json!({}));
    fs::write(folder.path().join("model.safetensors"), safetensors_without_table()).unwrap();
    assert!(refused(&folder).contains("emb_layer.weight"));
    let whole = fixture("models/words");
    let error =
        SentenceEncoder::load_pooled(&whole, &EncoderOptions::default(), Pooling::Mean).err().unwrap();
    assert!(error.to_string().contains("WordEmbeddings"), "{error}");
    let error = SentenceEncoder::load(&whole).unwrap().token_embeddings(None, &["cat"]).unwrap_err();
    assert!(error.to_string().contains("no layers"), "{error}");
}

fn safetensors_without_table() -> Vec<u8> {
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &[0; 4]).unwrap();
    safetensors::serialize([("other", view)], None).unwrap()
}
