//! Models without layers, against sentence-transformers 6.2 and the rules of model2vec.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::fs;
use std::path::Path;

use akin_encoder::{EncoderOptions, SentenceEncoder};
use akin_fixtures::fixture;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use tempfile::TempDir;

fn model() -> TempDir {
    let folder = TempDir::new().unwrap();
    for entry in fs::read_dir(fixture("models/modules/static-normalized")).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            fs::write(folder.path().join(entry.file_name()), fs::read(entry.path()).unwrap()).unwrap();
        }
    }
    folder
}

fn without_normalize(folder: &TempDir) {
    let path = folder.path().join("modules.json");
    let modules: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fs::write(path, json!([modules[0]]).to_string()).unwrap();
}

fn load(folder: &Path) -> SentenceEncoder {
    SentenceEncoder::load(folder).unwrap()
}

fn rows(encoder: &SentenceEncoder, texts: &[&str]) -> Vec<Vec<f32>> {
    let embeddings = encoder.encode(texts).unwrap().embeddings;
    (0..texts.len()).map(|row| embeddings.row(row).to_vec()).collect()
}

#[test]
fn a_static_embedding_is_that_of_sentence_transformers() {
    let all: Value = serde_json::from_slice(&fs::read(fixture("references/modules.json")).unwrap()).unwrap();
    let texts: Vec<&str> =
        all["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    for case in ["static-normalized", "static"] {
        let folder = model();
        if case == "static" {
            without_normalize(&folder);
        }
        let expected: Vec<Vec<f32>> = serde_json::from_value(all["cases"][case]["vectors"].clone()).unwrap();
        for (row, expected) in rows(&load(folder.path()), &texts).iter().zip(&expected) {
            let difference = row.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference < 2e-6, "{case}: {difference}");
        }
    }
}

#[test]
fn the_short_way_to_tokens_is_the_long_one() {
    let folder = model();
    let quick = load(folder.path());
    // A further token that no text has makes all texts go the long way: its first letter is in each of them.
    let path = folder.path().join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for letter in "abcdefghijklmnopqrstuvwxyz0123456789 !\"#$%&'()*+,-./:;<=>?@\\]^_`{|}~\t\n\r\u{1}".chars()
    {
        let id = tokenizer["added_tokens"].as_array().unwrap().len() + 1200;
        tokenizer["added_tokens"].as_array_mut().unwrap().push(json!({
            "id": id, "content": format!("{letter}\u{3b1}\u{3b2}"), "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": false,
        }));
    }
    fs::write(&path, tokenizer.to_string()).unwrap();
    let bytes = fs::read(folder.path().join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let table = tensors.tensor("embedding.weight").unwrap();
    let mut data = table.data().to_vec();
    data.resize(data.len() + 100 * table.shape()[1] * 4, 0);
    let shape = vec![table.shape()[0] + 100, table.shape()[1]];
    let view = TensorView::new(Dtype::F32, shape, &data).unwrap();
    fs::write(
        folder.path().join("model.safetensors"),
        safetensors::serialize([("embedding.weight", view)], None).unwrap(),
    )
    .unwrap();
    let long = load(folder.path());
    let mut texts = akin_fixtures::sentences();
    texts.extend(
        ["", " ", "a\u{1}b c\u{7f}d", "tab\tand\nline\r\n", "WHO'S (there)?!", "x".repeat(300).as_str()]
            .map(String::from),
    );
    texts.push("A long-winded_word ".repeat(400));
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_eq!(rows(&quick, &texts), rows(&long, &texts));
    // Each thread remembers the words of one model: two models in turn do not mix them.
    assert_eq!(rows(&quick, &texts[..3]), rows(&long, &texts[..3]));
}

/// Writes a directory of model2vec: the same table under its own name, in 8 bits, with a row for two tokens each.
fn model2vec(folder: &TempDir, config: &Value) {
    let tokens = 1200usize;
    let bytes: Vec<u8> = (0..tokens / 2 * 4).map(|at| (at * 37 % 251) as u8).collect();
    let mapping: Vec<u8> = (0..tokens as i64).flat_map(|token| (token / 2).to_le_bytes()).collect();
    let weights: Vec<u8> = (0..tokens).flat_map(|token| (1.0 / (1 + token) as f32).to_le_bytes()).collect();
    let tensors = [
        ("embeddings", TensorView::new(Dtype::I8, vec![tokens / 2, 4], &bytes).unwrap()),
        ("mapping", TensorView::new(Dtype::I64, vec![tokens], &mapping).unwrap()),
        ("weights", TensorView::new(Dtype::F32, vec![tokens], &weights).unwrap()),
    ];
    fs::write(folder.path().join("model.safetensors"), safetensors::serialize(tensors, None).unwrap())
        .unwrap();
    fs::remove_file(folder.path().join("modules.json")).unwrap();
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
}

#[test]
fn a_directory_of_model2vec_leaves_unknown_tokens_and_long_ends_out() {
    let folder = model();
    model2vec(&folder, &json!({ "model_type": "model2vec", "normalize": false, "max_length": 8 }));
    let encoder = load(folder.path());
    assert_eq!((encoder.dimension(), encoder.max_tokens()), (4, 8));
    let starts = encoder.token_starts("a cat sleeps").unwrap();
    assert!(starts.len() >= 3, "{starts:?}");
    // The unknown token takes a place among those that are read.
    let [short, unknown, long] =
        ["a cat", "a \u{2603} cat", &"a cat ".repeat(8)].map(|text| rows(&encoder, &[text]).remove(0));
    assert_eq!(short, unknown);
    assert_ne!(short, long);
    let encoding = encoder.encode(&["a cat", &"a cat ".repeat(8)]).unwrap();
    assert_eq!(encoding.truncated, 1);

    model2vec(&model(), &json!({ "model_type": "model2vec" }));
    let normalized = model();
    model2vec(&normalized, &json!({ "model_type": "model2vec", "normalize": true, "max_length": null }));
    let encoder = load(normalized.path());
    assert_eq!(encoder.max_tokens(), usize::MAX);
    let row = rows(&encoder, &["a cat"]).remove(0);
    assert!((row.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5, "{row:?}");
}

#[test]
fn what_is_wrong_with_a_static_model_is_named() {
    let broken = |change: &dyn Fn(&TempDir)| {
        let folder = model();
        change(&folder);
        SentenceEncoder::load(folder.path()).err().expect("the model is refused").to_string()
    };
    let write = |folder: &TempDir, tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]| {
        let views: Vec<_> = tensors
            .iter()
            .map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.clone(), data).unwrap()))
            .collect();
        fs::write(folder.path().join("model.safetensors"), safetensors::serialize(views, None).unwrap())
            .unwrap();
    };
    let table = |rows: usize, value: f32| value.to_le_bytes().repeat(rows * 2);
    for (change, word) in [
        (
            &(|folder: &TempDir| {
                write(folder, &[("other", Dtype::F32, vec![1], table(1, 0.0)[..4].to_vec())])
            }) as &dyn Fn(&TempDir),
            "embedding.weight",
        ),
        (&|folder| write(folder, &[("embedding.weight", Dtype::F32, vec![8], table(4, 0.0))]), "shape"),
        (
            &|folder| write(folder, &[("embedding.weight", Dtype::F32, vec![4, 2], table(4, 0.0))]),
            "does not fit",
        ),
        (
            &|folder| {
                write(folder, &[("embedding.weight", Dtype::F32, vec![1201, 2], table(1201, f32::NAN))])
            },
            "NaN",
        ),
        (
            &|folder| {
                let mapping = (0..1201i64).flat_map(|_| 4i64.to_le_bytes()).collect();
                write(
                    folder,
                    &[
                        ("embeddings", Dtype::F32, vec![4, 2], table(4, 0.0)),
                        ("mapping", Dtype::I64, vec![1201], mapping),
                    ],
                );
            },
            "mapping",
        ),
        (&|folder| fs::remove_file(folder.path().join("tokenizer.json")).unwrap(), "tokenizer.json"),
        (&|folder| fs::remove_file(folder.path().join("model.safetensors")).unwrap(), "model.safetensors"),
    ] {
        let error = broken(change);
        assert!(error.contains(word), "{word}: {error}");
    }
    let options = EncoderOptions::default();
    let folder = model();
    let error =
        SentenceEncoder::load_pooled(folder.path(), &options, akin_encoder::Pooling::Cls).err().unwrap();
    assert!(error.to_string().contains("StaticEmbedding"), "{error}");
}
