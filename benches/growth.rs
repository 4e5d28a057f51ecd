//! How do building and searching grow with the number of vectors?
//!
//! `cargo bench --bench growth -- [GREATEST] [PICTURE.svg]`: made-up vectors of 64 numbers around as many
//! centres as have forty of them each, from 10,000 to 1,000,000, doubling. Beside the seconds of a build stand
//! those divided by n log n, and beside the microseconds of a query at the default `ef` those divided by
//! log n, both as multiples of the first row: what stays near 1 grows no faster than it may.

use std::fmt::Write as _;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Instant;

use akin_index::DEFAULT_EF;
use akin_index::graph::Graph;
use akin_index::graph::exact::exact_search;
use akin_index::recall::right_hits;
use akin_kernels::Embeddings;

const DIMENSION: usize = 64;
const FIRST: usize = 10_000;
const AROUND_A_CENTRE: usize = 40;
const QUERIES: usize = 1000;
const K: usize = 10;

/// What was measured of one number of vectors.
struct Row {
    vectors: usize,
    build_seconds: f64,
    query_micros: f64,
    recall: f64,
}

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let greatest = match arguments.first() {
        Some(count) => count.parse().map_err(|error| format!("{count}: {error}"))?,
        None => 1_000_000,
    };
    println!(
        "{:>9} {:>9} {:>9} {:>9} {:>9} {:>8}",
        "vectors", "build s", "/ n log n", "query us", "/ log n", "recall"
    );
    let mut rows: Vec<Row> = Vec::new();
    let mut vectors = FIRST;
    loop {
        rows.push(measure(vectors));
        let (first, row) = (&rows[0], &rows[rows.len() - 1]);
        println!(
            "{:>9} {:>9.2} {:>9.2} {:>9.1} {:>9.2} {:>8.4}",
            row.vectors,
            row.build_seconds,
            row.build_seconds / first.build_seconds / (n_log_n(row) / n_log_n(first)),
            row.query_micros,
            row.query_micros / first.query_micros / (log_n(row) / log_n(first)),
            row.recall
        );
        if vectors >= greatest {
            break;
        }
        vectors = (2 * vectors).min(greatest);
    }
    match arguments.get(1) {
        Some(path) => std::fs::write(path, picture(&rows)).map_err(|error| format!("{path}: {error}")),
        None => Ok(()),
    }
}

fn scores(hits: &[(f32, u32)]) -> impl Iterator<Item = f32> {
    hits.iter().map(|hit| hit.0)
}

fn log_n(row: &Row) -> f64 {
    (row.vectors as f64).ln()
}

fn n_log_n(row: &Row) -> f64 {
    row.vectors as f64 * log_n(row)
}

fn measure(count: usize) -> Row {
    let all = clustered(count + QUERIES);
    let (vectors, queries) = all.as_slice().split_at(count * DIMENSION);
    let part = |values: &[f32]| Embeddings::from_values(DIMENSION, values.to_vec());
    let (vectors, queries) = (part(vectors), part(queries));
    let begun = Instant::now();
    let graph = Graph::build(&vectors, &|_, _| ControlFlow::Continue(())).expect("nothing stops it");
    let build_seconds = begun.elapsed().as_secs_f64();
    let found: usize = queries
        .iter()
        .take(200)
        .map(|query| {
            let truth = exact_search(&vectors, query, K, &|_| true);
            let hits = graph.search(&vectors, query, K, DEFAULT_EF, None);
            right_hits(scores(&hits), &scores(&truth).collect::<Vec<_>>())
        })
        .sum();
    let query_micros = (0..3)
        .map(|_| {
            let begun = Instant::now();
            for query in queries.iter() {
                black_box(graph.search(&vectors, query, K, DEFAULT_EF, None));
            }
            begun.elapsed().as_secs_f64() * 1e6 / QUERIES as f64
        })
        .fold(f64::INFINITY, f64::min);
    Row { vectors: count, build_seconds, query_micros, recall: found as f64 / (200 * K) as f64 }
}

/// Unit vectors around centres drawn in a space of fewer dimensions, as those of sentences lie, in no order.
fn clustered(count: usize) -> Embeddings {
    let centres = (count / AROUND_A_CENTRE).max(1) as u64;
    let mut all = Embeddings::empty(DIMENSION);
    let mut row = [0f32; DIMENSION];
    for n in 0..count as u64 {
        let (mut centre, mut own) = (Noise::of(hash(n) % centres), Noise::of(!n));
        row.iter_mut().for_each(|value| *value = centre.next() + 0.7 * own.next());
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        row.iter_mut().for_each(|value| *value /= length);
        all.push(&row);
    }
    all
}

/// Roughly normal numbers, the same ones for the same seed.
struct Noise(u64);

impl Noise {
    fn of(seed: u64) -> Self {
        Self(hash(seed ^ 0x5851_f42d_4c95_7f2d))
    }

    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = hash(self.0);
        (0..4).map(|part| (bits >> (16 * part) & 0xffff) as f32 / 65_536.0 - 0.5).sum()
    }
}

/// The mixing of splitmix64 (Steele, Lea & Flood 2014).
fn hash(seed: u64) -> u64 {
    let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Both curves, on logarithmic axes for the builds, with what n log n and log n would be from the first point.
fn picture(rows: &[Row]) -> String {
    let mut picture = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 860 340\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
    );
    let first = &rows[0];
    let builds: Vec<(f64, f64)> = rows.iter().map(|row| (row.vectors as f64, row.build_seconds)).collect();
    let bound = |row: &Row| first.build_seconds * n_log_n(row) / n_log_n(first);
    let bounds: Vec<(f64, f64)> = rows.iter().map(|row| (row.vectors as f64, bound(row))).collect();
    panel(&mut picture, 60.0, "seconds to build (dashed: n log n)", &builds, &bounds, true);
    let queries: Vec<(f64, f64)> = rows.iter().map(|row| (row.vectors as f64, row.query_micros)).collect();
    let bound = |row: &Row| first.query_micros * log_n(row) / log_n(first);
    let bounds: Vec<(f64, f64)> = rows.iter().map(|row| (row.vectors as f64, bound(row))).collect();
    panel(&mut picture, 490.0, "microseconds a query (dashed: log n)", &queries, &bounds, false);
    picture + "</svg>\n"
}

/// A panel with its left edge at `left`, whose upright axis is logarithmic or begins with 0.
fn panel(
    picture: &mut String,
    left: f64,
    title: &str,
    measured: &[(f64, f64)],
    bound: &[(f64, f64)],
    logarithmic: bool,
) {
    let (width, top, bottom) = (340.0, 40.0, 290.0);
    let all = || measured.iter().chain(bound).map(|point| point.1);
    let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let scale = |value: f64| if logarithmic { value.ln() } else { value };
    let origin = if logarithmic { scale(least) } else { 0.0 };
    let ends = (measured[0].0.ln(), measured[measured.len() - 1].0.ln().max(measured[0].0.ln() + 1.0));
    let place = |(x, y): (f64, f64)| {
        let across = (x.ln() - ends.0) / (ends.1 - ends.0);
        let up = (scale(y) - origin) / (scale(most) - origin);
        (left + width * across, bottom - (bottom - top) * up)
    };
    for (points, style) in [
        (bound, "stroke=\"#999\" stroke-dasharray=\"5 4\""),
        (measured, "stroke=\"#2b5c9e\" stroke-width=\"2\""),
    ] {
        let places: Vec<String> =
            points.iter().map(|point| place(*point)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(picture, "<polyline fill=\"none\" {style} points=\"{}\"/>", places.join(" "));
    }
    for point in measured {
        let (x, y) = place(*point);
        let _ = writeln!(picture, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#2b5c9e\"/>");
    }
    let right = left + width;
    let _ = writeln!(picture, "<path d=\"M{left},{top} V{bottom} H{right}\" fill=\"none\" stroke=\"#444\"/>");
    let mut text = |x: f64, y: f64, anchor: &str, text: &str| {
        let _ = writeln!(picture, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>");
    };
    text(left, top - 14.0, "start", title);
    text(left - 6.0, top + 4.0, "end", &format!("{most:.0}"));
    text(left - 6.0, bottom, "end", &format!("{:.1}", if logarithmic { least } else { 0.0 }));
    text(left, bottom + 18.0, "start", &format!("{} vectors", measured[0].0));
    text(right, bottom + 18.0, "end", &format!("{}", measured[measured.len() - 1].0));
}
