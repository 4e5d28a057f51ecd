//! Modules, files of weights and vocabularies against sentence-transformers 6.2, by the numbers that `fixtures/modules.py`
//! keeps.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::fs;
use std::path::Path;

use akin_encoder::{EncoderOptions, Error, Executor, Precision, Prompts, Role, SentenceEncoder, Similarity};
use akin_fixtures::fixture;
use akin_fixtures::models::ModelCopy;
use akin_kernels::cpu::isa;
use serde_json::{Value, json};

/// The texts, and the vectors of a case.
fn reference(case: &str) -> (Vec<String>, Vec<Vec<f32>>) {
    let all: Value = serde_json::from_slice(&fs::read(fixture("references/modules.json")).unwrap()).unwrap();
    let texts = serde_json::from_value(all["texts"].clone()).unwrap();
    (texts, serde_json::from_value(all["cases"][case]["vectors"].clone()).unwrap())
}

/// The tiny BERT with the files that are kept of a case.
fn with_files_of(case: &str) -> ModelCopy {
    let model = ModelCopy::tiny("bert");
    copy(&fixture(format!("models/modules/{case}")), model.path());
    model
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy(&from, &to) } else { fs::write(&to, fs::read(&from).unwrap()).unwrap() }
    }
}

fn pooled(mode: &Value, include_prompt: bool) -> ModelCopy {
    let settings =
        json!({ "embedding_dimension": 32, "pooling_mode": mode, "include_prompt": include_prompt });
    ModelCopy::tiny("bert").with_file("1_Pooling/config.json", settings.to_string())
}

fn load(model: &ModelCopy, options: &EncoderOptions) -> SentenceEncoder {
    SentenceEncoder::load_with(model.path(), options).unwrap()
}

/// The least cosine with the vectors of a case; rows of zeros must be zeros.
fn least_cosine(encoder: &SentenceEncoder, case: &str) -> f64 {
    let (texts, expected) = reference(case);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let found = match encoder.prompts().document {
        Some(_) => encoder.encode_as(Role::Document, &texts),
        None => encoder.encode(&texts),
    };
    let found = found.unwrap().embeddings;
    assert_eq!((found.rows(), found.dimension()), (expected.len(), expected[0].len()), "{case}");
    let cosine = |(row, expected): (usize, &Vec<f32>)| {
        let dot =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        let (found, length) = (found.row(row), dot(expected, expected));
        match length > 0.0 {
            true => dot(found, expected) / (length * dot(found, found)).sqrt(),
            false => f64::from(u8::from(found.iter().all(|x| *x == 0.0))),
        }
    };
    expected.iter().enumerate().map(cosine).fold(1.0, f64::min)
}

/// Holds a model against a case: on every executor exactly, and in coarser numbers nearly.
fn holds(model: &ModelCopy, case: &str, prompts: &Prompts) {
    for executor in common::executors() {
        let options = EncoderOptions { prompts: prompts.clone(), ..executor };
        let cosine = least_cosine(&load(model, &options), case);
        assert!(cosine >= 0.99999, "{case} {}: {cosine}", common::name(&options));
    }
    for (precision, least) in [(Precision::Int8, 0.97), (Precision::Bf16, 0.99)] {
        if precision == Precision::Bf16 && !isa().multiplies_bf16() {
            continue;
        }
        let options = EncoderOptions { precision, prompts: prompts.clone(), ..Default::default() };
        let cosine = least_cosine(&load(model, &options), case);
        assert!(cosine >= least, "{case} {precision:?}: {cosine}");
    }
}

#[test]
fn every_pooling_is_that_of_sentence_transformers_with_and_without_a_prompt() {
    let prompts = Prompts { document: Some("find this: ".into()), query: None };
    for mode in ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"] {
        holds(&pooled(&json!(mode), true), &format!("pool-{mode}"), &Prompts::default());
        holds(&pooled(&json!(mode), false), &format!("pool-{mode}-without-prompt"), &prompts);
    }
    holds(&pooled(&json!(["lasttoken", "cls", "weightedmean"]), true), "pool-joined", &Prompts::default());
}

#[test]
fn modules_after_the_pooling_are_those_of_sentence_transformers() {
    for case in [
        "dense",
        "dense-without-bias",
        "dense-twice",
        "dense-residual",
        "dense-residual-square",
        "layer-norm",
    ] {
        holds(&with_files_of(case), case, &Prompts::default());
    }
}

#[test]
fn weights_of_pytorch_are_read_in_both_of_its_forms() {
    for case in ["torch-zip", "torch-sequence"] {
        holds(&with_files_of(case).without("model.safetensors"), case, &Prompts::default());
    }
}

#[test]
fn a_vocabulary_of_sentencepiece_is_enough() {
    let model = with_files_of("sentence-pieces").without("tokenizer.json");
    let settings = json!({ "tokenizer_class": "XLMRobertaTokenizer", "model_max_length": 48 });
    let model = model.with_file("tokenizer_config.json", settings.to_string());
    holds(&model, "sentence-pieces", &Prompts::default());
    let other = model.with_file("tokenizer_config.json", r#"{"tokenizer_class": "T5Tokenizer"}"#);
    let error = SentenceEncoder::load(other.path()).err().unwrap().to_string();
    assert!(error.contains("sentencepiece.bpe.model") && error.contains("T5Tokenizer"), "{error}");
}

#[test]
fn a_list_of_word_pieces_or_byte_pairs_is_enough() {
    for architecture in ["bert", "roberta"] {
        let whole = ModelCopy::tiny(architecture);
        let tokenizer: Value =
            serde_json::from_slice(&fs::read(whole.path().join("tokenizer.json")).unwrap()).unwrap();
        let bare = ModelCopy::tiny(architecture).without("tokenizer.json");
        let bare = match architecture {
            "bert" => {
                let vocabulary = tokenizer["model"]["vocab"].as_object().unwrap();
                let mut pieces: Vec<(&String, u64)> =
                    vocabulary.iter().map(|(p, id)| (p, id.as_u64().unwrap())).collect();
                pieces.sort_by_key(|(_, id)| *id);
                let lines: String = pieces.iter().map(|(piece, _)| format!("{piece}\n")).collect();
                bare.with_file("vocab.txt", lines)
            }
            _ => {
                let merges = tokenizer["model"]["merges"].as_array().unwrap().iter();
                let lines: String = merges
                    .map(|pair| format!("{} {}\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
                    .collect();
                bare.with_file("vocab.json", tokenizer["model"]["vocab"].to_string())
                    .with_file("merges.txt", lines)
            }
        };
        let texts: Vec<String> = akin_fixtures::sentences();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let rows = |model: &ModelCopy| SentenceEncoder::load(model.path()).unwrap().encode(&texts).unwrap();
        assert_eq!(rows(&bare), rows(&whole), "{architecture}");
    }
}

#[test]
fn weights_in_several_files_are_those_of_one() {
    let whole = ModelCopy::tiny("bert");
    let bytes = fs::read(whole.path().join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut places = serde_json::Map::new();
    let mut model = ModelCopy::tiny("bert").without("model.safetensors");
    for shard in 0..3 {
        let name = format!("model-0000{shard}-of-00003.safetensors");
        let own = tensors.tensors().into_iter().enumerate().filter(|(number, _)| number % 3 == shard);
        let own: Vec<_> = own.map(|(_, tensor)| tensor).collect();
        places.extend(own.iter().map(|(tensor, _)| (tensor.clone(), json!(name))));
        model = model.with_file(&name, safetensors::serialize(own, None).unwrap());
    }
    let index = |places: &serde_json::Map<String, Value>| json!({ "weight_map": places }).to_string();
    let model = model.with_file("model.safetensors.index.json", index(&places));
    for executor in [Executor::Cpu, Executor::Burn] {
        let options = EncoderOptions { executor, ..Default::default() };
        let texts = ["a cat", "another text"];
        let (one, several) = (load(&whole, &options), load(&model, &options));
        assert_eq!(one.encode(&texts).unwrap(), several.encode(&texts).unwrap());
        assert_ne!(one.fingerprint(), several.fingerprint());
    }
    for (file, word) in
        [("../secret.safetensors", "../secret"), ("absent.safetensors", "absent.safetensors"), ("..", "..")]
    {
        let mut other = places.clone();
        other.insert("further.weight".into(), json!(file));
        let broken = ModelCopy::tiny("bert").without("model.safetensors");
        let broken = broken.with_file("model.safetensors.index.json", index(&other));
        let error = SentenceEncoder::load(broken.path()).err().unwrap().to_string();
        assert!(error.contains(word) || error.contains("is missing"), "{file}: {error}");
    }
}

#[test]
fn weights_in_double_precision_are_rounded() {
    let whole = ModelCopy::tiny("bert");
    let double = ModelCopy::tiny("bert").in_type("f64");
    for executor in [Executor::Cpu, Executor::Burn] {
        let options = EncoderOptions { executor, ..Default::default() };
        let texts = ["a cat", "another text"];
        let [one, other] = [&whole, &double].map(|model| load(model, &options).encode(&texts).unwrap());
        assert_eq!(one, other);
    }
}

#[test]
fn weights_of_pytorch_that_are_damaged_are_refused_by_name() {
    let model = with_files_of("torch-zip").without("model.safetensors");
    let length = fs::metadata(model.path().join("pytorch_model.bin")).unwrap().len() as usize;
    for keep in [1, 100, length / 2, length - 1] {
        let cut = with_files_of("torch-zip").without("model.safetensors");
        let cut = cut.rewritten("pytorch_model.bin", |bytes| bytes.truncate(keep));
        let error = SentenceEncoder::load(cut.path()).err().unwrap();
        assert!(matches!(error, Error::Model { .. }), "{error:?}");
        assert!(error.to_string().contains("pytorch_model.bin"), "{error}");
    }
    let old = with_files_of("torch-sequence").without("model.safetensors");
    let old = old.rewritten("pytorch_model.bin", |bytes| bytes.truncate(bytes.len() - 1));
    let error = SentenceEncoder::load(old.path()).err().unwrap().to_string();
    assert!(error.contains("truncated"), "{error}");
}

#[test]
fn fewer_dimensions_are_the_first_ones_and_of_length_one_again() {
    let model = with_files_of("dense");
    let cut = load(&model, &EncoderOptions { dimensions: 5.try_into().ok(), ..Default::default() });
    assert!(least_cosine(&cut, "dense-cut") >= 0.99999);
    assert_eq!((cut.dimension(), cut.own_dimension(), cut.asked_dimensions()), (5, 12, Some(5)));
    let row = cut.encode(&["a cat"]).unwrap().embeddings.row(0).to_vec();
    assert!((row.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5, "{row:?}");
    let whole = load(&model, &EncoderOptions::default());
    assert_eq!(whole.fingerprint(), cut.fingerprint());
    for dimensions in [0, 13, usize::MAX] {
        let error = load(&model, &EncoderOptions::default()).with_dimensions(dimensions).err().unwrap();
        assert!(matches!(error, Error::Dimensions { made: 12, .. }), "{error}");
    }
    // The model's own cut is left as sentence-transformers leaves it, and its products are no cosines.
    let settings = json!({ "truncate_dim": 5, "similarity_fn_name": "dot" }).to_string();
    let own =
        load(&model.with_file("config_sentence_transformers.json", settings), &EncoderOptions::default());
    assert!(least_cosine(&own, "dense-cut") >= 0.99999);
    assert_eq!((own.own_dimension(), own.similarity()), (5, Similarity::Dot));
    let dot = with_files_of("dense")
        .with_file("config_sentence_transformers.json", r#"{"similarity_fn_name": "dot"}"#);
    let dot = load(&dot, &EncoderOptions { dimensions: 5.try_into().ok(), ..Default::default() });
    assert_eq!(dot.similarity(), Similarity::Cosine);
}

#[test]
fn what_a_module_says_and_akin_does_not_compute_is_refused_by_name() {
    let dense = |name: &str, value: Value| {
        with_files_of("dense").edited("2_Dense/config.json", |json| json[name] = value)
    };
    for (model, file, word) in [
        (dense("in_features", json!(31)), "2_Dense", "31"),
        (dense("in_features", json!(u64::MAX)), "2_Dense", "in_features"),
        (dense("out_features", json!(0)), "2_Dense", "out_features"),
        (dense("out_features", json!(13)), "model.safetensors", "linear.weight"),
        (dense("bias", json!("yes")), "2_Dense", "bias"),
        (dense("module_input_name", json!("token_embeddings")), "2_Dense", "token_embeddings"),
        (dense("activation_function", json!("torch.nn.modules.activation.Softplus")), "2_Dense", "Softplus"),
        (with_files_of("dense").without("2_Dense/model.safetensors"), "model.safetensors", "missing"),
        (with_files_of("dense").without("2_Dense/config.json"), "config.json", "missing"),
        (
            with_files_of("layer-norm").with_file("3_LayerNorm/config.json", r#"{"dimension": 33}"#),
            "3_LayerNorm",
            "33",
        ),
    ] {
        let error = SentenceEncoder::load(model.path()).err().unwrap().to_string();
        assert!(error.contains(file) && error.contains(word), "{error}");
    }
}

#[test]
fn a_model_without_modules_is_pooled_by_its_mean() {
    let bare = ModelCopy::tiny("bert").without("modules.json");
    let mean = load(&ModelCopy::tiny("bert"), &EncoderOptions::default());
    let texts = ["a cat"];
    let found = load(&bare, &EncoderOptions::default()).encode(&texts).unwrap();
    assert_eq!(found, mean.encode(&texts).unwrap());
}
