//! Where does a step of training spend its time: forward, backward, or in the optimizer?
//!
//!     cargo bench -p akin-trainer --bench step -- MODEL TRAIN.tsv [STEPS]

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::time::{Duration, Instant};

use akin_trainer::autodiff::{SparseGradient, word_embeddings};
use akin_trainer::base::BaseModel;
use akin_trainer::example::Example;
use akin_trainer::examples::read_training_set;
use akin_trainer::gradients::ParameterGradients;
use akin_trainer::network::{Conditions, Network};
use akin_trainer::objective::{Goal, Objective};
use akin_trainer::optimizer::{AdamW, AdamWSettings};
use akin_trainer::training::device;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [model, train, steps @ ..] = arguments.as_slice() else {
        // As when every bench of the workspace is run.
        println!("usage: step MODEL TRAIN.tsv [STEPS]");
        return Ok(());
    };
    akin_kernels::memory::keep_freed_memory();
    let steps: usize = steps.first().map_or(Ok(20), |steps| steps.parse())?;
    let objective = Objective::Regression;
    let base = BaseModel::open(model.as_ref(), None, Some(128))?;
    let set = read_training_set(train.as_ref(), &base, objective, 5.0)?;
    let device = device();
    let mut network = Network::new(base.network(&device)?, &base, objective, 0, 42, &device)?;
    let mut optimizer = AdamW::new(AdamWSettings::default());
    let words = SparseGradient::default();
    let [mut forward, mut backward, mut optimize] = [Duration::ZERO; 3];
    let mut tokens = 0;
    for step in 0..steps {
        let examples: Vec<&Example> =
            (0..16).map(|i| &set.examples[(step * 16 + i) % set.examples.len()]).collect();
        tokens += examples.iter().flat_map(|example| &example.sentences).map(Vec::len).sum::<usize>();
        let clock = Instant::now();
        let conditions = Conditions { randomness: base.randomness(step as u64), words: Some(&words) };
        let loss = network.loss(&base, Goal::of(objective), &examples, &conditions)?;
        let _: f32 = loss.clone().inner().into_scalar();
        forward += clock.elapsed();
        let clock = Instant::now();
        let mut gradients = ParameterGradients::of(&network, loss.backward());
        backward += clock.elapsed();
        let clock = Instant::now();
        gradients.set_rows(word_embeddings(network.encoder()), words.take());
        (network, _) = optimizer.step(network, gradients, 2e-5);
        optimize += clock.elapsed();
    }
    let each = |time: Duration| time.as_secs_f64() * 1e3 / steps as f64;
    println!(
        "{steps} steps of {} tokens: forward {:.1} ms, backward {:.1} ms, optimizer {:.1} ms",
        tokens / steps.max(1),
        each(forward),
        each(backward),
        each(optimize)
    );
    Ok(())
}
