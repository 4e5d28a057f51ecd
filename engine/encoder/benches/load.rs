//! How long is it from nothing to the first embedding, and what takes it?
//!
//! `cargo bench -p akin-encoder --bench load`. Loads all-MiniLM-L6-v2 where it is installed, or the model in
//! `AKIN_MODEL_DIR`, `AKIN_ROUNDS` times, or 10, in f32 and in int8, and encodes one sentence with it. Prints the least
//! and the middle time of each step: the tokenizer alone, the weights alone (opened and looked through, but not packed), and
//! all of it. The files are in the system's cache after the first round.

use std::path::Path;
use std::time::Instant;

use akin_encoder::model::{ModelDir, ModelWeights, SentenceTokenizer};
use akin_encoder::{DEFAULT_MODEL, EncoderOptions, Precision, SentenceEncoder, hub};
use akin_fixtures::models;

fn main() {
    let model = models::minilm(hub::installed(DEFAULT_MODEL));
    let rounds = std::env::var("AKIN_ROUNDS").map_or(10, |rounds| rounds.parse().expect("a number"));
    println!("{}", model.display());
    let settings = ModelDir::open(&model).expect("a model");
    report("tokenizer", rounds, || {
        SentenceTokenizer::load(&settings).expect("a tokenizer");
    });
    report("weights", rounds, || {
        ModelWeights::open(&settings).expect("weights");
    });
    for precision in [Precision::F32, Precision::Int8] {
        report(&format!("first embedding in {precision:?}"), rounds, || first_embedding(&model, precision));
    }
}

fn first_embedding(model: &Path, precision: Precision) {
    let options = EncoderOptions { precision, ..EncoderOptions::default() };
    let encoder = SentenceEncoder::load_with(model, &options).expect("a model");
    encoder.encode(&["A man is eating food."]).expect("an embedding");
}

fn report(name: &str, rounds: usize, step: impl Fn()) {
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            step();
            1e3 * start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:27} least {:6.1} ms, middle {:6.1} ms", times[0], times[times.len() / 2]);
}
