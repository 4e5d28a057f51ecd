//! How much of the processor is used: products of matrices only, for nothing else is counted as work.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use serde_json::Value;

use crate::contender::Ours;
use crate::product;
use crate::registers::{Operands, peak};
use crate::speed::{Rate, percentile};
use crate::texts::Set;

/// What one core can do, what we reach, and the share of the time that tokenising takes.
pub fn print(model: &Path, ours: &[Ours], set: &Set, rates: &[Rate], threads: usize) -> anyhow::Result<()> {
    let operations = operations(model, set)?;
    println!(
        "roofline: {:.3} G operations in the products of a sentence",
        operations / 1e9 / set.texts.len() as f64
    );
    for operands in Operands::ALL {
        if let Some(peak) = peak(operands) {
            println!(
                "  {:24} {:10.1} G/s a core",
                format!("{}, registers alone", operands.name()),
                peak / 1e9
            );
        }
    }
    for ours in ours {
        let Some(rate) = rates.iter().find(|rate| rate.is_ours && rate.precision == ours.precision) else {
            continue;
        };
        let reached = operations / set.texts.len() as f64 * rate.texts_per_second / threads as f64;
        let product = product::product(ours.options.precision);
        println!(
            "  {:24} {:10.1} G/s a core",
            format!("{}, our product alone", ours.precision),
            product / 1e9
        );
        print!("  {:24} {:10.1} G/s a core", rate.name, reached / 1e9);
        print!(", {:.3} of our product alone", reached / product);
        if let Some(peak) = peak(ours.operands) {
            print!(", {:.3} of the registers alone", reached / peak);
        }
        println!();
        let seconds = set.texts.len() as f64 / rate.texts_per_second;
        println!("  {:24} {:10.4} of the time", "  tokenising", tokenizing(ours, set)? / seconds);
    }
    println!();
    Ok(())
}

/// Seconds to cut all texts into tokens, on all threads.
fn tokenizing(ours: &Ours, set: &Set) -> anyhow::Result<f64> {
    let texts = set.borrowed();
    let mut seconds = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        ours.encoder.count_tokens(&texts)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(percentile(&seconds, 50.0))
}

/// Multiplications and additions in the products of matrices of all texts: those with weights, and those of
/// attention, whose number grows with the square of the length.
fn operations(model: &Path, set: &Set) -> anyhow::Result<f64> {
    let path = model.join("config.json");
    let config: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    let size = |name: &str| config[name].as_f64().with_context(|| format!("{name} in {}", path.display()));
    let (hidden, inner, layers) =
        (size("hidden_size")?, size("intermediate_size")?, size("num_hidden_layers")?);
    let tokens = set.tokens() as f64;
    let pairs: f64 = set.lengths.iter().map(|length| (length * length) as f64).sum();
    let weights = 2.0 * tokens * (4.0 * hidden * hidden + 2.0 * hidden * inner);
    let attention = 2.0 * 2.0 * pairs * hidden;
    Ok(layers * (weights + attention))
}
