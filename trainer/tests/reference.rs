//! The losses of the first 50 steps beside those of PyTorch, which `reference/losses.py` kept.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::path::{Path, PathBuf};

use akin_fixtures::families::networks;
use akin_fixtures::models::{ModelCopy, tiny};
use akin_trainer::base::BaseModel;
use akin_trainer::encoder::Encoder;
use akin_trainer::example::Example;
use akin_trainer::examples::{TrainingSet, read_taught_set, read_training_set};
use akin_trainer::lora::{Adapted, LoraSettings};
use akin_trainer::network::Network;
use akin_trainer::objective::{Concatenation, Objective};
use akin_trainer::teacher::Teacher;
use akin_trainer::training::{Trainer, TrainingSettings, device};

const STEPS: usize = 50;
const BATCH: usize = 8;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The tiny model of the reference, and what it learns from.
fn workshop(model: &str, objective: Objective) -> (BaseModel, TrainingSet) {
    let base = BaseModel::open(&tiny(model), None, None).unwrap();
    let file = match objective {
        Objective::Triplet => "triplets.tsv",
        Objective::Ranking | Objective::Margin => "ranked.tsv",
        _ => "pairs.tsv",
    };
    let file = path("reference").join(file);
    let set = match objective {
        Objective::Distillation => {
            let teacher = Teacher::open(&tiny("roberta")).unwrap();
            read_taught_set(&file, &base, objective, Some(&teacher), &mut |_, _| {}).unwrap()
        }
        _ => read_training_set(&file, &base, objective, 5.0).unwrap(),
    };
    (base, set)
}

fn settings(objective: Objective) -> TrainingSettings {
    TrainingSettings { learning_rate: 5e-4, dropout: false, ..TrainingSettings::new(objective) }
}

fn losses(base: &BaseModel, set: &TrainingSet, settings: TrainingSettings) -> Vec<f64> {
    train(base, set, settings).0
}

/// The losses of all steps, and the network after the last.
fn train(base: &BaseModel, set: &TrainingSet, settings: TrainingSettings) -> (Vec<f64>, Network) {
    let device = device();
    let bert = base.network(&device).unwrap();
    let mut network = Network::new(bert, base, settings.objective, set.labels.len(), 42, &device).unwrap();
    if let Some(lora) = settings.lora {
        network = network.with_adapters(&lora, 42);
    }
    let mut trainer = Trainer::new(base, network, settings, STEPS);
    let losses = (0..STEPS).map(|step| {
        let examples: Vec<&Example> =
            (0..BATCH).map(|i| &set.examples[(step * BATCH + i) % set.examples.len()]).collect();
        trainer.step(&examples).unwrap()
    });
    (losses.collect(), trainer.into_network())
}

#[track_caller]
fn check(name: &str, model: &str, objective: Objective) {
    let (base, set) = workshop(model, objective);
    compare(name, &losses(&base, &set, settings(objective)));
}

#[track_caller]
fn check_with(name: &str, settings: TrainingSettings) {
    let (base, set) = workshop("bert", settings.objective);
    compare(name, &losses(&base, &set, settings));
}

/// A random network of a family, and what it learns from. Its directory lasts as long as the last value.
fn of_family(name: &str, objective: Objective) -> (BaseModel, TrainingSet, ModelCopy) {
    let (networks, _) = networks();
    let model = networks.iter().find(|network| network.name == name).unwrap().model("mean");
    let base = BaseModel::open(model.path(), None, Some(48)).unwrap();
    let set = read_training_set(&path("reference/pairs.tsv"), &base, objective, 5.0).unwrap();
    (base, set, model)
}

#[track_caller]
fn check_family(name: &str, objective: Objective, kept: &str) {
    let (base, set, _model) = of_family(name, objective);
    compare(&format!("{name}-{kept}"), &losses(&base, &set, settings(objective)));
}

/// The middle values of a parameter before and after all steps, beside those that the reference keeps.
#[track_caller]
fn compare_weights(name: &str, before: &[f32], after: &[f32]) {
    let expected = kept(name);
    assert!(expected.len() <= after.len() && !expected.is_empty());
    let first = (after.len() - expected.len()) / 2;
    let greatest = |values: &[f32]| {
        values[first..].iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
    };
    let (moved, apart) = (greatest(before), greatest(after));
    println!("{name}: moved by {moved:.1e}, at most {apart:.1e} apart");
    assert!(apart < 1e-3 * moved, "{apart} apart, and they moved by {moved}");
}

/// What the reference keeps under a name.
fn kept(name: &str) -> Vec<f64> {
    let file = std::fs::read_to_string(path("reference/losses.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&file).unwrap();
    serde_json::from_value(kept[name].clone()).unwrap()
}

#[track_caller]
fn compare(name: &str, found: &[f64]) {
    let expected = kept(name);
    assert_eq!((expected.len(), found.len()), (STEPS, STEPS));
    let worst = expected
        .iter()
        .zip(found)
        .map(|(expected, found)| ((expected - found) / expected).abs())
        .fold(0.0, f64::max);
    println!("{name}: at most {worst:.1e} apart");
    for (step, (expected, found)) in expected.iter().zip(found).enumerate() {
        let error = ((expected - found) / expected).abs();
        assert!(error < 1e-4, "{name}, step {}: {found} is not {expected}, {error:.1e} apart", step + 1);
    }
}

#[test]
fn regression_goes_as_in_pytorch() {
    check("regression", "bert", Objective::Regression);
}

#[test]
fn classification_goes_as_in_pytorch() {
    check("classification", "bert", Objective::Classification(Concatenation::UVDifference));
}

#[test]
fn the_triplet_objective_goes_as_in_pytorch() {
    check("triplet", "bert", Objective::Triplet);
}

#[test]
fn a_cross_encoder_goes_as_in_pytorch() {
    check("cross-encoder", "bert", Objective::CrossEncoder);
}

#[test]
fn roberta_goes_as_in_pytorch() {
    check("roberta-regression", "roberta", Objective::Regression);
}

#[test]
fn networks_of_other_families_go_as_in_pytorch() {
    for name in ["xlm-roberta", "camembert", "distilbert", "electra", "mpnet"] {
        check_family(name, Objective::Regression, "regression");
    }
}

#[test]
fn modernbert_goes_as_in_pytorch() {
    for name in ["modernbert", "modernbert-biases"] {
        check_family(name, Objective::Regression, "regression");
    }
}

#[test]
fn deberta_goes_as_in_pytorch() {
    for name in ["deberta-v3", "deberta-v2", "deberta-unshared"] {
        check_family(name, Objective::Regression, "regression");
    }
}

#[test]
fn networks_with_rotary_positions_or_slopes_go_as_in_pytorch() {
    for name in ["nomic", "gte", "jina-v3", "jina-v2"] {
        check_family(name, Objective::Regression, "regression");
    }
}

#[test]
fn albert_and_narrow_embeddings_go_as_in_pytorch() {
    for name in ["albert", "electra-narrow", "bert-relu"] {
        check_family(name, Objective::Regression, "regression");
    }
}

#[test]
fn t5_qwen_and_gemma_go_as_in_pytorch() {
    for name in ["t5", "t5-gated", "qwen3", "gemma3"] {
        check_family(name, Objective::Regression, "regression");
    }
}

#[test]
fn cross_encoders_of_other_families_go_as_in_pytorch() {
    for name in ["mpnet", "modernbert", "deberta-v3", "deberta-v2", "albert", "distilbert", "electra"] {
        check_family(name, Objective::CrossEncoder, "cross-encoder");
    }
}

#[test]
fn adapters_of_other_families_go_as_in_pytorch() {
    for name in ["deberta-v3", "nomic"] {
        let (base, set, _model) = of_family(name, Objective::Regression);
        let lora = Some(LoraSettings { rank: 4, alpha: 32.0, on: Adapted::All });
        let settings = TrainingSettings { learning_rate: 5e-3, lora, ..settings(Objective::Regression) };
        compare(&format!("{name}-lora"), &losses(&base, &set, settings));
    }
}

/// The numbers that MPNet adds to scores by distance are those of PyTorch after the last step too.
#[test]
fn mpnet_learns_what_distances_add_as_in_pytorch() {
    let (base, set, _model) = of_family("mpnet", Objective::Regression);
    let before = base.network(&device()).unwrap();
    let trained = train(&base, &set, settings(Objective::Regression)).1;
    let of = |encoder: &Encoder| -> Vec<f32> {
        let weight = encoder.bert().unwrap().distances.as_ref().unwrap().weight.val();
        weight.inner().into_data().try_into_vec().unwrap()
    };
    compare_weights("mpnet-distances", &of(&before), &of(trained.encoder()));
}

/// The vectors that DeBERTa multiplies queries and keys by are those of PyTorch after the last step too.
#[test]
fn deberta_learns_the_vectors_of_distances_as_in_pytorch() {
    let (base, set, _model) = of_family("deberta-v3", Objective::Regression);
    let before = base.network(&device()).unwrap();
    let trained = train(&base, &set, settings(Objective::Regression)).1;
    let of = |encoder: &Encoder| -> Vec<f32> {
        let vectors = encoder.described().unwrap().distances.as_ref().unwrap().vectors.val();
        vectors.inner().into_data().try_into_vec().unwrap()
    };
    compare_weights("deberta-v3-distances", &of(&before), &of(trained.encoder()));
}

#[test]
fn ranking_goes_as_in_sentence_transformers_with_negatives_and_without() {
    check("ranking", "bert", Objective::Ranking);
    let (base, mut set) = workshop("bert", Objective::Ranking);
    set.examples.iter_mut().for_each(|example| example.sentences.truncate(2));
    compare("ranking-pairs", &losses(&base, &set, settings(Objective::Ranking)));
}

#[test]
fn ranking_that_is_cached_goes_as_ranking_that_is_not() {
    for at_once in [1, 5, 24, 100] {
        check_with("ranking", TrainingSettings { cached: Some(at_once), ..settings(Objective::Ranking) });
    }
    let concatenation = Objective::Classification(Concatenation::UVDifference);
    check_with("classification", TrainingSettings { cached: Some(5), ..settings(concatenation) });
}

#[test]
fn cosent_goes_as_in_sentence_transformers() {
    check("cosent", "bert", Objective::Cosent);
}

#[test]
fn margins_go_as_in_sentence_transformers() {
    check("margin", "bert", Objective::Margin);
}

#[test]
fn distillation_goes_as_in_pytorch() {
    check("distillation", "bert", Objective::Distillation);
}

#[test]
fn embeddings_cut_to_several_dimensions_go_as_in_sentence_transformers() {
    let cut = |objective| TrainingSettings { dimensions: vec![32, 16, 8], ..settings(objective) };
    check_with("matryoshka-ranking", cut(Objective::Ranking));
    check_with("matryoshka-ranking", TrainingSettings { cached: Some(7), ..cut(Objective::Ranking) });
    check_with("matryoshka-cosent", cut(Objective::Cosent));
}

#[test]
fn adapters_go_as_in_pytorch() {
    let adapted = |objective, on| TrainingSettings {
        learning_rate: 5e-3,
        lora: Some(LoraSettings { rank: 4, alpha: 32.0, on }),
        ..settings(objective)
    };
    check_with("lora-query-value", adapted(Objective::Ranking, Adapted::QueryValue));
    check_with("lora-all", adapted(Objective::Regression, Adapted::All));
}
