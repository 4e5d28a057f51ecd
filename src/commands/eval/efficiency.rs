//! `akin eval efficiency`: the paper's table 7 (sentences a second), and the time to find the best pair of many.

use std::io::{self, Write};
use std::time::Instant;

use akin_encoder::SentenceEncoder;
use akin_encoder::{EncoderOptions, Executor};
use akin_trainer::base::BaseModel;
use akin_trainer::efficiency::{batched_rate, best_pair, cross_encoder_rate, padded_rate};
use akin_trainer::network::Network;
use akin_trainer::objective::Objective;
use akin_trainer::sentence_pairs::read_scored_pairs;
use akin_trainer::training::device;
use anyhow::{Context, bail};
use serde_json::json;

use super::base_directory;
use crate::commands::cli::EfficiencyArguments;
use crate::commands::terminal::{Terminal, grouped};

/// Measures, and prints what was measured and what was extrapolated.
pub fn run(arguments: &EfficiencyArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let mut pairs = Vec::new();
    for path in &arguments.files {
        pairs.extend(read_scored_pairs(path)?);
    }
    let mut sentences: Vec<&str> =
        pairs.iter().flat_map(|pair| [pair.sentence1.as_str(), pair.sentence2.as_str()]).collect();
    sentences.truncate(arguments.sentences.get());
    if sentences.len() < 2 {
        bail!("it takes at least two sentences");
    }
    let directory = base_directory(&arguments.model.model)?;
    let load = |executor| {
        SentenceEncoder::load_with(&directory, &EncoderOptions { executor, ..EncoderOptions::default() })
    };
    let (burn, cpu) = (load(Executor::Burn)?, load(Executor::Cpu)?);
    let sample = &sentences[..sentences.len().min(arguments.sample.get())];
    terminal.step("sentences a second, burn");
    let padded = padded_rate(&burn, sample)?;
    let (smart, _) = batched_rate(&burn, sample)?;
    terminal.step("sentences a second, cpu");
    let (unpadded, _) = batched_rate(&cpu, sample)?;
    terminal.step("pairs a second, cross-encoder");
    let base = BaseModel::open(&directory, None, None)?;
    let device = device();
    let network = Network::new(base.network(&device)?, &base, Objective::CrossEncoder, 0, 42, &device)?;
    let tried = &pairs[..pairs.len().min(arguments.pairs.get())];
    let cross = cross_encoder_rate(&network, &base, tried)?;
    terminal.step("the best pair");
    let clock = Instant::now();
    let (_, embeddings) = batched_rate(&cpu, &sentences)?;
    let encoded = clock.elapsed().as_secs_f64();
    let found = best_pair(&embeddings);
    let whole = clock.elapsed().as_secs_f64();
    let count = sentences.len() * (sentences.len() - 1) / 2;
    let extrapolated = count as f64 / cross;

    let mut output = io::stdout().lock();
    if arguments.json {
        let line = json!({
            "sentences": sentences.len(),
            "padded_per_second": padded,
            "smart_batching_per_second": smart,
            "unpadded_per_second": unpadded,
            "cross_encoder_pairs_per_second": cross,
            "pairs": count,
            "best_pair_seconds": whole,
            "of_it_encoding_seconds": encoded,
            "cross_encoder_seconds_extrapolated": extrapolated,
            "extrapolated_from_pairs": tried.len(),
        });
        return writeln!(output, "{line}").context("cannot write to stdout");
    }
    let mut rows = vec![
        ("burn, no smart batching".to_owned(), format!("{padded:.0} sentences/s")),
        (
            "burn, smart batching".to_owned(),
            format!("{smart:.0} sentences/s, a gain of {:.0} %", 100.0 * (smart / padded - 1.0)),
        ),
        (
            "cpu executor, nothing padded".to_owned(),
            format!("{unpadded:.0} sentences/s, a gain of {:.0} %", 100.0 * (unpadded / padded - 1.0)),
        ),
        ("cross-encoder".to_owned(), format!("{cross:.1} pairs/s")),
        (
            format!("best of {} pairs, embeddings", grouped(count)),
            format!("{whole:.2} s, {encoded:.2} s of it encoding, in full"),
        ),
        (
            "the same by cross-encoder".to_owned(),
            format!("{:.1} h, extrapolated from {} pairs", extrapolated / 3600.0, grouped(tried.len())),
        ),
    ];
    if let Some((a, b, cosine)) = found {
        let [a, b] = [a, b].map(|row| sentences[row]);
        rows.push(("the best pair".to_owned(), format!("{cosine:.3}  {a}  |  {b}")));
    }
    for (name, figure) in rows {
        writeln!(output, "{name:40}  {figure}").context("cannot write to stdout")?;
    }
    Ok(())
}
