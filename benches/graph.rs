//! How much faster than `hnsw_rs` is a graph built, and how much faster searched at which recall?
//!
//! `cargo bench --bench graph -- VECTORS.npy [EF...]`: the matrix is f32, a row per text, of length 1,
//! as `akin encode` writes it. Every twentieth row (1,000 at most) is a query and is left out of the
//! graph. Searches run on one thread, builds on all.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use akin_index::graph::Graph;
use akin_index::graph::exact::exact_search;
use akin_index::recall::right_hits;
use akin_indexer::npy::NpyReader;
use akin_kernels::Embeddings;
use akin_kernels::{cpu, dot};
use hnsw_rs::anndists::dist::distances::Distance;
use hnsw_rs::hnsw::Hnsw;

/// What `Graph` is built with.
const NEIGHBORS: usize = 16;
const EF_CONSTRUCTION: usize = 200;
/// Hits a query.
const K: usize = 10;
/// How long each search is repeated.
const WHILE: Duration = Duration::from_millis(500);

struct OneMinusDot;

impl Distance<f32> for OneMinusDot {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - dot(a, b)).max(0.0)
    }
}

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let Some((path, efs)) = arguments.split_first() else {
        return Err("which vectors? cargo bench --bench graph -- VECTORS.npy [EF...]".into());
    };
    let efs: Vec<usize> = match efs {
        [] => vec![16, 32, 64, 96, 128, 256],
        efs => efs.iter().map(|ef| ef.parse().map_err(|e| format!("{ef}: {e}"))).collect::<Result<_, _>>()?,
    };
    let (vectors, queries) = held_out(&read(path)?);
    let (rows, dimension) = (vectors.rows(), vectors.dimension());
    println!("{rows} vectors of {dimension}, {} queries, k {K}, {:?}", queries.rows(), cpu::isa());

    let start = Instant::now();
    let graph = Graph::build(&vectors, &|_, _| ControlFlow::Continue(())).expect("nothing stops it");
    let build = start.elapsed();
    let mut bytes = graph.bytes();
    bytes /= rows;
    println!(
        "build: {:.2} s, {:.0} points/s, {:.1} neighbors and {bytes} bytes a point",
        build.as_secs_f64(),
        rows as f64 / build.as_secs_f64(),
        graph.edges() as f64 / rows as f64
    );
    let start = Instant::now();
    let hnsw = Hnsw::new(NEIGHBORS, rows, 16, EF_CONSTRUCTION, OneMinusDot);
    let all: Vec<(&[f32], usize)> = vectors.iter().zip(0..).collect();
    hnsw.parallel_insert_slice(&all);
    println!("hnsw_rs alone: {:.2} s", start.elapsed().as_secs_f64());

    let everything = |_: u32| true;
    let exact = |query: &[f32]| -> Vec<f32> {
        exact_search(&vectors, query, K, &everything).into_iter().map(|hit| hit.0).collect()
    };
    let truth: Vec<Vec<f32>> = queries.iter().map(exact).collect();
    let (scans, _) = measure(&queries, &truth, exact);
    println!("exact, all threads: {scans:.0} queries/s");
    println!(
        "{:>5} {:>12} {:>8} {:>12} {:>8} {:>6}",
        "ef", "frozen q/s", "recall", "hnsw_rs q/s", "recall", "ratio"
    );
    for ef in efs {
        let (ours, our_recall) = measure(&queries, &truth, |query| {
            graph.search(&vectors, query, K, ef, None).into_iter().map(|hit| hit.0).collect()
        });
        let (theirs, their_recall) = measure(&queries, &truth, |query| {
            hnsw.search(query, K, ef).into_iter().map(|hit| dot(query, vectors.row(hit.d_id))).collect()
        });
        let ratio = ours / theirs;
        println!("{ef:>5} {ours:>12.0} {our_recall:>8.4} {theirs:>12.0} {their_recall:>8.4} {ratio:>6.2}");
    }
    Ok(())
}

/// The matrix of a NumPy file.
fn read(path: &str) -> Result<Embeddings, String> {
    let mut file = NpyReader::open(path.as_ref()).map_err(|error| error.to_string())?;
    let vectors = file.read(file.rows()).map_err(|error| error.to_string())?;
    if vectors.rows() < 20 { Err(format!("{path} has fewer than 20 rows")) } else { Ok(vectors) }
}

/// Queries a second, and the share of the true hits that were found. A search gives the scores of its hits.
fn measure(queries: &Embeddings, truth: &[Vec<f32>], search: impl Fn(&[f32]) -> Vec<f32>) -> (f64, f64) {
    let found: usize = queries.iter().zip(truth).map(|(query, truth)| right_hits(search(query), truth)).sum();
    let start = Instant::now();
    let mut asked = 0;
    for query in (0..queries.rows()).cycle().map(|row| queries.row(row)) {
        black_box(search(query));
        asked += 1;
        if start.elapsed() > WHILE {
            break;
        }
    }
    let possible = truth.iter().map(Vec::len).sum::<usize>();
    (f64::from(asked) / start.elapsed().as_secs_f64(), found as f64 / possible as f64)
}

/// The rows to search among, and the queries.
fn held_out(all: &Embeddings) -> (Embeddings, Embeddings) {
    let every = (all.rows() / 1000).max(20);
    let mut parts = (Embeddings::empty(all.dimension()), Embeddings::empty(all.dimension()));
    for (row, vector) in all.iter().enumerate() {
        let part = if row % every == every - 1 { &mut parts.1 } else { &mut parts.0 };
        part.push(vector);
    }
    parts
}
