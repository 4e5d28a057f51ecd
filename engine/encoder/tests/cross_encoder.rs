//! Cross-encoders against sentence-transformers' own scores, and directories that are none.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use akin_encoder::{CrossEncoder, Error, Precision, SentenceEncoder};
use akin_fixtures::families::scorers;
use akin_fixtures::models::{ModelCopy, tiny};
use akin_fixtures::{fixture, sentences};
use serde_json::{Value, json};

/// The pairs of `fixtures/cross_encoders.py`, in its order.
fn pairs() -> Vec<(String, String)> {
    let texts = sentences();
    let at = |row: usize| texts[row % texts.len()].clone();
    let other = (0..texts.len()).map(|row| (at(row), at(5 * row + 1)));
    let long: Vec<(String, String)> = (0..texts.len())
        .map(|row| (at(row), (1..6).map(|step| at(row + step)).collect::<Vec<_>>().join(" ")))
        .collect();
    let turned = long[..50].iter().map(|(text, passage)| (passage.clone(), text.clone())).collect::<Vec<_>>();
    other.chain(long).chain(turned).collect()
}

/// The logits that sentence-transformers gives the pairs.
fn expected(architecture: &str) -> Vec<f32> {
    let file = std::fs::read(fixture("references/cross-encoders.json")).unwrap();
    let logits: Value = serde_json::from_slice(&file).unwrap();
    serde_json::from_value(logits[architecture].clone()).unwrap()
}

/// The tiny cross-encoder with the logits as its scores.
fn plain(architecture: &str) -> ModelCopy {
    ModelCopy::cross_encoder(architecture).edited("config.json", |json| {
        json["sentence_transformers"] = json!({ "activation_fn": "torch.nn.modules.linear.Identity" });
    })
}

fn load(model: &ModelCopy) -> CrossEncoder {
    CrossEncoder::load(model.path(), Precision::F32).unwrap()
}

fn scores(encoder: &CrossEncoder, pairs: &[(String, String)]) -> Vec<f32> {
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    encoder.score(&pairs).unwrap()
}

#[track_caller]
fn assert_near(found: &[f32], expected: &[f32], bound: f32) {
    assert_eq!(found.len(), expected.len());
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).enumerate();
    let (row, worst) = apart.fold((0, 0.0), |worst, next| if next.1 > worst.1 { next } else { worst });
    println!("at most {worst:.2e} apart");
    assert!(worst <= bound, "pair {row}: {} and not {}", found[row], expected[row]);
}

#[test]
fn scores_are_those_of_sentence_transformers() {
    let pairs = pairs();
    for architecture in ["bert", "roberta"] {
        let encoder = load(&plain(architecture));
        assert_eq!(encoder.max_tokens(), 64);
        assert_near(&scores(&encoder, &pairs), &expected(architecture), 1e-4);
    }
}

#[test]
fn scores_of_every_family_are_those_of_sentence_transformers() {
    let pairs: Vec<_> = pairs().into_iter().step_by(6).collect();
    let scorers = scorers();
    assert_eq!(scorers.len(), 8);
    for scorer in scorers {
        println!("{}", scorer.name);
        assert_near(&scores(&load(&scorer.model()), &pairs), &scorer.logits, 1e-4);
    }
}

#[test]
fn what_a_head_of_another_family_is_not_is_named() {
    let scorers = scorers();
    let model = |name: &str| scorers.iter().find(|scorer| scorer.name == name).unwrap().model();
    let with =
        |name: &str, key: &str, value: Value| model(name).edited("config.json", |json| json[key] = value);
    for (model, words) in [
        (with("modernbert", "classifier_pooling", json!("max")), ["classifier_pooling", "mean"]),
        (with("modernbert", "classifier_bias", json!(1)), ["classifier_bias", "true or false"]),
        (with("modernbert", "classifier_activation", json!("mish")), ["classifier_activation", "mish"]),
        (with("deberta-v3", "pooler_hidden_act", json!(2)), ["pooler_hidden_act", "2"]),
    ] {
        refused(&model, "config.json", &words);
    }
    let headless = model("modernbert").with_tensors("f32", |tensors| {
        tensors.remove("head.norm.weight");
    });
    refused(&headless, "model.safetensors", &["head.norm.weight"]);
}

#[test]
fn coarser_numbers_keep_the_scores() {
    let pairs = pairs();
    for architecture in ["bert", "roberta"] {
        // The scores of the pairs lie within 3 of one another.
        for (precision, bound) in [(Precision::Bf16, 0.15), (Precision::Int8, 0.3)] {
            match CrossEncoder::load(plain(architecture).path(), precision) {
                Err(Error::Precision { precision: Precision::Bf16, .. }) => {}
                encoder => assert_near(&scores(&encoder.unwrap(), &pairs), &expected(architecture), bound),
            }
        }
    }
}

#[test]
fn a_score_does_not_depend_on_the_pairs_beside_it() {
    let pairs: Vec<_> = pairs().into_iter().step_by(29).collect();
    let encoder = load(&plain("bert"));
    let together = scores(&encoder, &pairs);
    let alone: Vec<f32> = pairs.chunks(1).map(|pair| scores(&encoder, pair)[0]).collect();
    assert_near(&alone, &together, 1e-5);
    assert!(encoder.score(&[]).unwrap().is_empty());
}

#[test]
fn the_activation_is_the_models_own_and_a_sigmoid_where_it_names_none() {
    let pairs = &pairs()[..20];
    let logits = &expected("bert")[..20];
    let probabilities: Vec<f32> = logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
    let with = |settings: Value| {
        ModelCopy::cross_encoder("bert").edited("config.json", |json| {
            json.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        })
    };
    let (identity, sigmoid) = ("torch.nn.modules.linear.Identity", "torch.nn.modules.activation.Sigmoid");
    for (settings, expected) in [
        (json!({}), &probabilities[..]),
        (json!({ "sentence_transformers": { "activation_fn": sigmoid } }), &probabilities),
        (json!({ "sentence_transformers": { "activation_fn": identity } }), logits),
        (json!({ "sbert_ce_default_activation_function": identity }), logits),
        (
            json!({ "sentence_transformers": { "activation_fn": sigmoid }, "sbert_ce_default_activation_function": identity }),
            &probabilities,
        ),
        (json!({ "sentence_transformers": { "version": "4.1.0" } }), &probabilities),
    ] {
        assert_near(&scores(&load(&with(settings)), pairs), expected, 1e-4);
    }
    for activation in ["torch.nn.modules.activation.Tanh", "my.own.Sigmoid", "Identity", ""] {
        let model = with(json!({ "sentence_transformers": { "activation_fn": activation } }));
        refused(&model, "config.json", &[activation, "Sigmoid"]);
    }
}

#[test]
fn a_directory_of_release_6_has_its_settings_beside_its_modules() {
    let model = ModelCopy::cross_encoder("bert")
        .with_file(
            "modules.json",
            r#"[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}]"#,
        )
        .with_file(
            "sentence_bert_config.json",
            r#"{"transformer_task": "sequence-classification", "module_output_name": "scores",
                "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}}}"#,
        )
        .with_file(
            "config_sentence_transformers.json",
            r#"{"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity", "prompts": {"ask": "query: "},
                "default_prompt_name": null}"#,
        );
    let pairs = pairs();
    assert_near(&scores(&load(&model), &pairs), &expected("bert"), 1e-4);

    // A prompt stands before the first text alone.
    let model =
        model.edited("config_sentence_transformers.json", |json| json["default_prompt_name"] = "ask".into());
    let prompted: Vec<_> = pairs[..9].iter().map(|(a, b)| (format!("query: {a}"), b.clone())).collect();
    assert_eq!(scores(&load(&model), &pairs[..9]), scores(&load(&plain("bert")), &prompted));

    let model = model.edited("sentence_bert_config.json", |json| json["max_seq_length"] = 9.into());
    assert_eq!(load(&model).max_tokens(), 9);
    let error = SentenceEncoder::load(model.path()).err().unwrap();
    assert!(matches!(error, Error::IsCrossEncoder { .. }), "{error}");
}

#[test]
fn a_long_text_is_read_as_far_as_the_model_reads() {
    let encoder = load(&plain("bert"));
    let (short, long) = ("a question", "the cat sat on a roof ".repeat(20));
    let far_longer = "the cat sat on a roof ".repeat(50_000);
    let [first, second] = [&long, &far_longer].map(|text| encoder.score(&[(short, text)]).unwrap()[0]);
    assert!((first - second).abs() < 1e-5, "{first} {second}");
    // Both lose their ends, and the longer text keeps the odd token.
    let both = encoder.score(&[(&long, &far_longer), (&far_longer, &long), (&long, &long)]).unwrap();
    assert!(both.iter().all(|score| score.is_finite()));
}

#[test]
fn token_types_are_given_where_the_tokenizer_has_them() {
    let pairs = &pairs()[..40];
    let without = plain("bert").edited("tokenizer_config.json", |json| {
        json["model_input_names"] = json!(["input_ids", "attention_mask"]);
    });
    let (with, without) = (scores(&load(&plain("bert")), pairs), scores(&load(&without), pairs));
    assert!(with.iter().zip(&without).filter(|(a, b)| (*a - *b).abs() > 1e-3).count() > 30);
}

#[track_caller]
fn refused(model: &ModelCopy, file: &str, words: &[&str]) {
    let error =
        CrossEncoder::load(model.path(), Precision::F32).err().expect("the model is refused").to_string();
    for word in [&[file], words].concat() {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
    assert!(!error.contains('\n'), "more than a line: {error}");
}

#[test]
fn a_model_that_scores_no_pairs_is_no_cross_encoder() {
    let no_cross_encoder = |model: &ModelCopy, words: &str| {
        let error = CrossEncoder::load(model.path(), Precision::F32).err().expect("the model is refused");
        assert!(matches!(error, Error::NoCrossEncoder { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{words:?} is not in: {error}");
    };
    no_cross_encoder(&ModelCopy::tiny("bert"), "its modules are Transformer, Pooling");
    no_cross_encoder(&ModelCopy::tiny("bert").without("modules.json"), "the architecture BertModel");
    let headless = |tensor: &str| {
        plain("bert").with_tensors("f32", |tensors| {
            tensors.remove(tensor);
        })
    };
    no_cross_encoder(&headless("classifier.weight"), "no classifier");
    no_cross_encoder(&headless("bert.pooler.dense.weight"), "no bert.pooler.dense");
    let labels = plain("bert").with_tensors("f32", |tensors| {
        tensors.insert("classifier.weight".into(), (vec![3, 32], vec![0.0; 96]));
    });
    no_cross_encoder(&labels, "3 labels");
}

#[test]
fn a_cross_encoder_makes_no_embeddings() {
    for architecture in ["bert", "roberta"] {
        let error = SentenceEncoder::load(ModelCopy::cross_encoder(architecture).path()).err().unwrap();
        assert!(matches!(error, Error::IsCrossEncoder { .. }), "{error}");
    }
}

#[test]
fn what_is_broken_is_named() {
    let missing = CrossEncoder::load(&tiny("bert").join("no-such-folder"), Precision::F32).err().unwrap();
    assert!(missing.to_string().contains("no such directory"), "{missing}");
    let with_tensor = |name: &'static str, shape: &[usize], value: f32| {
        let tensor = (shape.to_vec(), vec![value; shape.iter().product()]);
        plain("bert").with_tensors("f32", move |tensors| {
            tensors.insert(name.into(), tensor);
        })
    };
    refused(
        &with_tensor("classifier.bias", &[1], f32::NAN),
        "model.safetensors",
        &["classifier.bias", "NaN"],
    );
    refused(&with_tensor("classifier.bias", &[2], 0.0), "model.safetensors", &["classifier.bias", "shape"]);
    refused(
        &with_tensor("bert.pooler.dense.weight", &[32, 31], 0.0),
        "model.safetensors",
        &["bert.pooler", "shape"],
    );
    refused(&plain("bert").without("tokenizer.json"), "tokenizer.json", &["missing"]);
    refused(
        &plain("bert").edited("tokenizer_config.json", |json| json["model_max_length"] = 3.into()),
        "",
        &["special"],
    );
    // Two types of tokens in a pair, and the network knows one.
    let one_type = plain("bert")
        .edited("config.json", |json| json["type_vocab_size"] = 1.into())
        .with_tensors("f32", |tensors| {
            let (shape, values) = tensors.get_mut("bert.embeddings.token_type_embeddings.weight").unwrap();
            shape[0] = 1;
            values.truncate(32);
        });
    refused(&one_type, "tokenizer.json", &["the type 1"]);
    let overflowing = with_tensor("classifier.weight", &[1, 32], 3e38);
    let error = load(&overflowing).score(&[("a", "some text")]).unwrap_err().to_string();
    assert!(error.contains("some text") && error.contains("model.safetensors"), "{error}");
}
