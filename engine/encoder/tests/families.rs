//! Networks of every family against what transformers makes of them.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use akin_encoder::{Embeddings, EncoderOptions, Error, Precision, SentenceEncoder};
use akin_fixtures::families::{Network, networks};
use akin_fixtures::models::ModelCopy;
use akin_fixtures::on_threads;
use common::executors;

/// Cosines of the first numbers of each row, as many as the reference has.
fn cosines(found: &Embeddings, expected: &Embeddings) -> Vec<f64> {
    assert_eq!(found.rows(), expected.rows());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let rows = (0..found.rows()).map(|row| (&found.row(row)[..expected.dimension()], expected.row(row)));
    rows.map(|(a, b)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).collect()
}

fn encode(model: &ModelCopy, options: &EncoderOptions, texts: &[String]) -> Result<Embeddings, Error> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let encoder = SentenceEncoder::load_with(model.path(), options)?;
    // One text alone goes through the network by several threads together.
    let alone = encoder.encode(&texts[..1])?;
    let encoding = encoder.encode(&texts)?;
    assert_eq!(alone.embeddings.dimension(), encoding.embeddings.dimension());
    let mut rows = alone.embeddings;
    (1..texts.len()).for_each(|row| rows.push(encoding.embeddings.row(row)));
    Ok(rows)
}

/// The networks whose least cosine is below `least`, each with it.
fn below(least: f64, options: &EncoderOptions, networks: &[Network], texts: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    for network in networks {
        for (pooling, expected) in [("mean", &network.mean), ("cls", &network.first)] {
            let name =
                format!("{} {pooling} {} {:?}", network.name, common::name(options), options.precision);
            match encode(&network.model(pooling), options, texts) {
                // Not every processor multiplies bf16.
                Err(Error::Precision { precision: Precision::Bf16, .. }) => {}
                Err(error) => wrong.push(format!("{name}: {error}")),
                Ok(found) => {
                    let lowest = cosines(&found, expected).into_iter().fold(1.0, f64::min);
                    println!("{name}: cosine {lowest:.6} at least");
                    if lowest.is_nan() || lowest < least {
                        wrong.push(format!("{name}: {lowest:.6}"));
                    }
                }
            }
        }
    }
    wrong
}

#[test]
fn every_family_agrees_with_transformers_on_every_executor() {
    let (networks, texts) = networks();
    assert!(networks.len() > 25);
    for options in executors() {
        let wrong = on_threads(3, || below(0.99999, &options, &networks, &texts));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn coarser_numbers_stay_near_in_every_family() {
    let (networks, texts) = networks();
    for (precision, least) in [(Precision::Bf16, 0.995), (Precision::Int8, 0.97)] {
        let options = EncoderOptions { precision, ..Default::default() };
        let wrong = on_threads(3, || below(least, &options, &networks, &texts));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
