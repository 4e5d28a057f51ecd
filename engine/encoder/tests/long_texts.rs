//! Texts of 8,192 tokens against what transformers makes of them.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use akin_encoder::SentenceEncoder;
use akin_fixtures::families::networks_of_long_texts;
use akin_fixtures::on_threads;

fn cosine(found: &[f32], expected: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let found = &found[..expected.len()];
    dot(found, expected) / (dot(found, found) * dot(expected, expected)).sqrt()
}

#[test]
fn texts_of_8192_tokens_agree_with_transformers() {
    let (networks, texts) = networks_of_long_texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let last = texts.len() - 1;
    let mut wrong = Vec::new();
    for network in &networks {
        for (pooling, expected) in [("mean", &network.mean), ("cls", &network.first)] {
            let model = network.model(pooling);
            let encoder = SentenceEncoder::load(model.path()).unwrap();
            // With others a text goes through the network in one thread, alone by several threads together.
            let first = if pooling == "mean" { 0 } else { last };
            let found = on_threads(2, || encoder.encode(&texts[first..])).unwrap().embeddings;
            for row in first..texts.len() {
                let found = found.row(row - first);
                let cosine = cosine(found, expected.row(row));
                println!("{} {pooling}: text {row}, cosine {cosine:.7}", network.name);
                if cosine.is_nan() || cosine < 0.99999 {
                    wrong.push(format!("{} {pooling}: text {row}, cosine {cosine:.7}", network.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
