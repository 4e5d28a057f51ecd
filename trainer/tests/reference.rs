//! The losses of the first 50 steps beside those of PyTorch, which `reference/losses.py` kept.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::path::{Path, PathBuf};

use akin_fixtures::models::tiny;
use akin_trainer::base::BaseModel;
use akin_trainer::examples::read_training_set;
use akin_trainer::network::{Example, Network};
use akin_trainer::objective::{Concatenation, Objective};
use akin_trainer::training::{Trainer, TrainingSettings, device};

const STEPS: usize = 50;
const BATCH: usize = 8;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn losses(model: &str, objective: Objective) -> Vec<f64> {
    let base = BaseModel::open(&tiny(model), None, None).unwrap();
    let file = if objective == Objective::Triplet { "triplets.tsv" } else { "pairs.tsv" };
    let set = read_training_set(&path("reference").join(file), &base, objective, 5.0).unwrap();
    let settings =
        TrainingSettings { learning_rate: 5e-4, dropout: false, ..TrainingSettings::new(objective) };
    let device = device();
    let bert = base.network(&device).unwrap();
    let network = Network::new(bert, &base, objective, set.labels.len(), 42, &device).unwrap();
    let mut trainer = Trainer::new(&base, network, settings, STEPS);
    (0..STEPS)
        .map(|step| {
            let examples: Vec<&Example> =
                (0..BATCH).map(|i| &set.examples[(step * BATCH + i) % set.examples.len()]).collect();
            trainer.step(&examples).unwrap()
        })
        .collect()
}

#[track_caller]
fn check(name: &str, model: &str, objective: Objective) {
    let file = std::fs::read_to_string(path("reference/losses.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&file).unwrap();
    let expected: Vec<f64> = serde_json::from_value(kept[name].clone()).unwrap();
    let found = losses(model, objective);
    assert_eq!(expected.len(), STEPS);
    let worst = expected
        .iter()
        .zip(&found)
        .map(|(expected, found)| ((expected - found) / expected).abs())
        .fold(0.0, f64::max);
    println!("{name}: at most {worst:.1e} apart");
    for (step, (expected, found)) in expected.iter().zip(&found).enumerate() {
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
