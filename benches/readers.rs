//! What does a reader of an index cost: time to open it, memory after many different queries, queries a second?
//!
//! `cargo bench --bench readers -- INDEX VECTORS.npy [QUERIES] [--loaded]`. Run it in a memory control group to see what a limit
//! does. Prints the resident memory for each passage, beyond what the process had before it opened the index, and
//! queries a second on one thread, for each tenth of the queries: the first find the files unread, the last the
//! graph in memory. With `--loaded`, graph and vectors are copied into memory first, as a server does it.

use std::path::Path;
use std::time::Instant;

use akin_index::{Reader, SearchOptions};
use akin_indexer::npy::NpyReader;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let is_loaded = arguments.iter().any(|argument| argument == "--loaded");
    let plain: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let [index, vectors, rest @ ..] = &plain[..] else {
        eprintln!("readers: name an index and a NumPy file of queries");
        return;
    };
    let count = rest.first().map_or(10_000, |count| count.parse().expect("a number of queries"));
    let mut file = NpyReader::open(Path::new(vectors)).expect("the queries can be read");
    let queries = file.read(count.min(file.rows())).expect("the queries can be read");
    let before = resident();

    let begun = Instant::now();
    let reader = Reader::open(Path::new(index)).expect("the index can be opened");
    let snapshot = reader.snapshot();
    let passages = snapshot.stat().expect("the index can be listed").passages;
    println!(
        "{passages} passages opened in {:.2?}, {:.1} MB",
        begun.elapsed(),
        (resident() - before) as f64 / 1e6
    );
    if is_loaded {
        let begun = Instant::now();
        snapshot.load();
        println!("loaded in {:.2?}", begun.elapsed());
    }
    let options = SearchOptions::default();
    let tenth = queries.rows().div_ceil(10).max(1);
    for first in (0..queries.rows()).step_by(tenth) {
        let rows = first..queries.rows().min(first + tenth);
        let (begun, asked) = (Instant::now(), rows.len());
        for row in rows {
            snapshot.nearest(queries.row(row), &options).expect("the index can be searched");
        }
        let rate = asked as f64 / begun.elapsed().as_secs_f64();
        let memory = resident().saturating_sub(before);
        println!(
            "{:>8} queries: {rate:>8.0} a second, {:>7.1} MB, {:>6.0} bytes a passage",
            first + asked,
            memory as f64 / 1e6,
            memory as f64 / passages.max(1) as f64
        );
    }
}

/// Bytes of this process in memory, those of mapped files too.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10
}
