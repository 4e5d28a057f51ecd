//! Throughput, latency and start: rounds in turn, medians, ratios.

use std::path::Path;
use std::time::Instant;

use akin_encoder::SentenceEncoder;
use akin_fixtures::similarity::cosine;

use crate::contender::{Contender, Ours};
use crate::peers::Peers;
use crate::texts::Set;

/// What one contender came to: the greater, the faster.
pub struct Rate {
    pub name: String,
    pub precision: String,
    pub is_ours: bool,
    pub texts_per_second: f64,
}

/// Texts a second of everyone.
pub fn throughput(
    contenders: &[Contender],
    peers: &mut Option<Peers>,
    set: &Set,
    rounds: usize,
) -> anyhow::Result<Vec<Rate>> {
    if let Some(peers) = peers {
        peers.give(set)?;
    }
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    // The first round is for warming up.
    for round in 0..=rounds {
        for (contender, seconds) in contenders.iter().zip(&mut seconds) {
            let time = contender.encode(peers, set)?;
            if round > 0 {
                seconds.push(time);
            }
        }
    }
    println!("{}, {} tokens", set.name, set.tokens());
    println!("  {:24} {:>10} {:>10} {:>8} {:>8}", "", "texts/s", "tokens/s", "least", "most");
    let mut rates = Vec::new();
    for (contender, seconds) in contenders.iter().zip(&seconds) {
        let rate = |seconds: f64| set.texts.len() as f64 / seconds;
        let rates_of = |percent| rate(percentile(seconds, percent));
        let texts_per_second = rates_of(50.0);
        println!(
            "  {:24} {texts_per_second:10.0} {:10.0} {:8.0} {:8.0}",
            contender.name(),
            texts_per_second * set.mean_length(),
            rates_of(100.0),
            rates_of(0.0)
        );
        rates.push(Rate {
            name: contender.name(),
            precision: contender.precision().to_owned(),
            is_ours: contender.is_ours(),
            texts_per_second,
        });
    }
    print_ratios(&rates, "texts/s, ours / theirs");
    Ok(rates)
}

/// p50 and p99 of one text at a time.
pub fn latency(
    contenders: &[Contender],
    peers: &mut Option<Peers>,
    set: &Set,
    rounds: usize,
) -> anyhow::Result<()> {
    if let Some(peers) = peers {
        peers.give(set)?;
    }
    let mut percentiles: Vec<[Vec<f64>; 2]> = vec![Default::default(); contenders.len()];
    for round in 0..=rounds {
        for (contender, [p50, p99]) in contenders.iter().zip(&mut percentiles) {
            let seconds = contender.latency(peers, set)?;
            if round > 0 {
                p50.push(percentile(&seconds, 50.0));
                p99.push(percentile(&seconds, 99.0));
            }
        }
    }
    println!("one query at a time, {:.1} tokens on average", set.mean_length());
    println!("  {:24} {:>10} {:>10} {:>10}", "", "p50 ms", "p99 ms", "cosine");
    let reference = contenders[0].vectors(peers, set)?;
    let mut rates = Vec::new();
    for (contender, [p50, p99]) in contenders.iter().zip(&percentiles) {
        let (p50, p99) = (percentile(p50, 50.0), percentile(p99, 50.0));
        let vectors = contender.vectors(peers, set)?;
        let cosines = vectors.iter().zip(&reference).map(|(a, b)| cosine(a, b));
        let least = cosines.fold(f64::INFINITY, f64::min);
        println!("  {:24} {:10.2} {:10.2} {least:10.5}", contender.name(), p50 * 1e3, p99 * 1e3);
        rates.push(Rate {
            name: contender.name(),
            precision: contender.precision().to_owned(),
            is_ours: contender.is_ours(),
            texts_per_second: 1.0 / p50,
        });
    }
    println!("  cosine: the least with ours in f32, which shows that all compute the same");
    print_time_ratios(&rates);
    Ok(())
}

/// From the files to the first embedding; the files are in the page cache, as after a first start.
pub fn load(model: &Path, ours: &[Ours], peers: Option<&Peers>, rounds: usize) -> anyhow::Result<()> {
    println!("load to first embedding");
    for Ours { precision, options, .. } in ours {
        let mut seconds = Vec::new();
        for _ in 0..rounds {
            let start = Instant::now();
            drop(SentenceEncoder::load_with(model, options)?.encode(&["hello, world"])?);
            seconds.push(start.elapsed().as_secs_f64());
        }
        println!("  {:24} {:10.0} ms", format!("Akin {precision}"), percentile(&seconds, 50.0) * 1e3);
    }
    for peer in peers.into_iter().flat_map(|peers| &peers.all) {
        println!("  {:24} {:10.0} ms, once, its library imported", peer.name, peer.seconds * 1e3);
    }
    println!();
    Ok(())
}

/// Each of ours beside the best peer that computes in f32, and the best of all.
fn print_ratios(rates: &[Rate], what: &str) {
    for ours in rates.iter().filter(|rate| rate.is_ours) {
        let f32_only = [true, false];
        for (best, kind) in f32_only.map(|only| best_peer(rates, only)).into_iter().zip(["f32 peer", "peer"])
        {
            if let Some(best) = best {
                let ratio = ours.texts_per_second / best.texts_per_second;
                println!("  {} / best {kind} ({}): {ratio:.2} ({what})", ours.name, best.name);
            }
        }
    }
    println!();
}

fn print_time_ratios(rates: &[Rate]) {
    for ours in rates.iter().filter(|rate| rate.is_ours) {
        for (only_f32, kind) in [(true, "f32 peer"), (false, "peer")] {
            if let Some(best) = best_peer(rates, only_f32) {
                let ratio = best.texts_per_second / ours.texts_per_second;
                println!("  {} / best {kind} ({}): {ratio:.2} (time)", ours.name, best.name);
            }
        }
    }
    println!();
}

fn best_peer(rates: &[Rate], only_f32: bool) -> Option<&Rate> {
    rates
        .iter()
        .filter(|rate| !rate.is_ours && (!only_f32 || rate.precision == "f32"))
        .max_by(|a, b| a.texts_per_second.total_cmp(&b.texts_per_second))
}

/// The value that `percent` of the values are not above; nearest rank.
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}
