//! How long do the most similar pairs of many vectors take?
//!
//! `cargo bench --bench pairs -- VECTORS.npy [ROWS] [ROUNDS]`: the matrix is f32, a row per text, of length 1; its
//! first ROWS count. The median of the rounds is printed as a JSON line, on all processors and with the most
//! memory that the process took. `peers/mining.py` holds it against sentence-transformers.

use std::time::Instant;

use akin_indexer::npy::NpyReader;
use akin_mining::Sentences;
use akin_mining::pairs::most_similar;

/// Pairs to find.
const TOP: usize = 100;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let Some((path, numbers)) = arguments.split_first() else {
        return Err("which vectors? cargo bench --bench pairs -- VECTORS.npy [ROWS] [ROUNDS]".into());
    };
    let number = |at: usize, otherwise: usize| match numbers.get(at) {
        Some(number) => number.parse().map_err(|error| format!("{number}: {error}")),
        None => Ok(otherwise),
    };
    let mut file = NpyReader::open(path.as_ref()).map_err(|error| error.to_string())?;
    let vectors = file.read(number(0, file.rows())?).map_err(|error| error.to_string())?;
    let rows = vectors.rows();
    let sentences = Sentences::of(&vectors);
    drop(vectors);
    let mut seconds = Vec::new();
    let mut best = None;
    for _ in 0..number(1, 5)?.max(1) {
        let begun = Instant::now();
        best = most_similar(&sentences, TOP, -1.0).pairs.first().copied();
        seconds.push(begun.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let score = best.map_or(0.0, |pair| pair.score);
    println!(
        "{{\"rows\":{rows},\"seconds\":{:.4},\"best\":{score:.6},\"peak_mb\":{}}}",
        seconds[seconds.len() / 2],
        peak_megabytes().unwrap_or(0)
    );
    Ok(())
}

/// The most memory that this process has taken, where the system tells.
fn peak_megabytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1000)
}
