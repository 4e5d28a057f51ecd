//! What does a collection of Milvus find of 20,000 vectors, and what do we add to the time of the server's own client, pymilvus?
//!
//! `AKIN_MILVUS=milvus://HOST:PORT cargo bench -p akin-engines --bench milvus -- VECTORS.npy [ROWS]`, with a matrix that `akin encode`
//! wrote, of 200 rows more than ROWS. Python with pymilvus is that of the variable AKIN_PYMILVUS, else the one that the server of the
//! tests was installed into.

#![allow(clippy::unwrap_used, missing_docs)] // a benchmark that panics has found something

use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use akin_engines::milvus::{Address, MilvusEngine};
use akin_engines::{Ask, Engine, Source};
use akin_index::{Document, Embeddings, Filter, ModelIdentity};
use serde_json::json;

const QUERIES: usize = 200;
const BATCH: usize = 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let Some(path) = arguments.first() else {
        println!("left out: no VECTORS.npy is named");
        return;
    };
    let rows: usize = arguments.get(1).map_or(20_000, |rows| rows.parse().unwrap());
    let Some(server) = akin_fixtures::milvus() else { return };
    let (vectors, queries) = read(Path::new(path), rows);
    let model = ModelIdentity::new("b".repeat(64), "bench", vectors.dimension());
    let address = Address::parse(&format!("{server}/bench_{}", std::process::id())).unwrap();
    let mut engine = MilvusEngine::open_or_create(address, &model).unwrap();
    let mut peer = Peer::start(&server, engine.place().rsplit_once('/').unwrap().1, path);
    load(&mut engine, &mut peer, &vectors);
    let began = Instant::now();
    engine.finish(&|_, _| ControlFlow::Continue(())).unwrap();
    println!("graph: {:.1?}, {:?}", began.elapsed(), engine.figures().unwrap());
    overhead(&mut engine, &mut peer, &queries, rows);
    for filter in [None, Some("tenth = 3"), Some("hundredth = 42")] {
        recall(&mut engine, &vectors, &queries, filter);
    }
    println!("collection: {}", engine.place());
}

/// The server's own client, in a process of its own.
struct Peer {
    program: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    fn start(server: &str, collection: &str, vectors: &str) -> Self {
        let installed = || std::env::temp_dir().join("akin-milvus-lite-3.2.2/bin/python");
        let python = std::env::var_os("AKIN_PYMILVUS").map_or_else(installed, PathBuf::from);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/pymilvus_peer.py");
        let uri = server.replace("milvus://", "http://");
        let mut program = Command::new(python)
            .arg(script)
            .args([&uri, collection, vectors])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (program.stdin.take(), BufReader::new(program.stdout.take().unwrap()));
        Self { program, orders, answers }
    }

    /// How long an order took, by its own clock.
    fn order(&mut self, order: &str) -> Duration {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        Duration::from_secs_f64(answer.trim().parse().unwrap())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.program.wait();
    }
}

/// Loads the rows by both, a tenth in turn.
fn load(engine: &mut MilvusEngine, peer: &mut Peer, vectors: &Embeddings) {
    let (mut ours, mut own, mut looked) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let all: Vec<usize> = (0..vectors.rows()).collect();
    for tenth in all.chunks(vectors.rows().div_ceil(10)) {
        let began = Instant::now();
        for batch in tenth.chunks(BATCH) {
            let documents: Vec<Document> = batch.iter().map(|row| document(*row)).collect();
            let mut embeddings = Embeddings::empty(vectors.dimension());
            batch.iter().for_each(|row| embeddings.push(vectors.row(*row)));
            let looking = Instant::now();
            assert!(engine.unchanged(&documents).unwrap().iter().all(|unchanged| !unchanged));
            looked += looking.elapsed();
            engine.upsert(&documents, None, &embeddings).unwrap();
        }
        ours += began.elapsed();
        own += peer.order(&format!("load {} {}", tenth[0], tenth[0] + tenth.len()));
    }
    println!(
        "load: {ours:.1?} by the engine, of which {looked:.1?} to look for what is there; {own:.1?} by pymilvus, speed {:.2}",
        own.div_duration_f64(ours)
    );
}

/// The same query by the engine and by the server's own client, in turn.
fn overhead(engine: &mut MilvusEngine, peer: &mut Peer, queries: &Embeddings, first: usize) {
    let (mut ours, mut own) = (Vec::new(), Vec::new());
    for (turn, query) in queries.iter().enumerate() {
        // Who comes second finds what it needs in the caches: they take turns.
        for by_engine in [turn % 2 == 0, turn % 2 == 1] {
            if by_engine {
                let began = Instant::now();
                assert_eq!(engine.nearest(query, &Ask::default()).unwrap().len(), 10);
                ours.push(began.elapsed());
            } else {
                own.push(peer.order(&format!("search {}", first + turn)));
            }
        }
    }
    let (ours, own) = (median(&mut ours), median(&mut own));
    println!(
        "a query, p50: {ours:.2?} by the engine, {own:.2?} by pymilvus, ratio {:.2}",
        ours.div_duration_f64(own)
    );
}

/// The first rows of a matrix that `akin encode` wrote, and those after them that are the queries.
fn read(path: &Path, rows: usize) -> (Embeddings, Embeddings) {
    let bytes = std::fs::read(path).unwrap();
    let begin = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8_lossy(&bytes[10..begin]).into_owned();
    let shape = header.split('(').nth(1).unwrap().split(')').next().unwrap();
    let dimension: usize = shape.split(',').nth(1).unwrap().trim().parse().unwrap();
    let values: Vec<f32> =
        bytes[begin..].as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
    let (kept, others) = values.split_at(rows * dimension);
    let others = others[..QUERIES * dimension].to_vec();
    (Embeddings::from_values(dimension, kept.to_vec()), Embeddings::from_values(dimension, others))
}

fn document(row: usize) -> Document {
    let metadata = json!({"tenth": row % 10, "hundredth": row % 100});
    Document {
        id: row.to_string(),
        text: format!("the text of row {row}"),
        metadata: metadata.as_object().unwrap().clone(),
    }
}

/// The share of the true ten nearest that are found; as near as the tenth is right.
fn recall(engine: &mut MilvusEngine, vectors: &Embeddings, queries: &Embeddings, filter: Option<&str>) {
    let parsed = filter.map(|filter| Filter::parse(filter).unwrap());
    let fits = |row: &usize| parsed.as_ref().is_none_or(|filter| filter.matches(&document(*row).metadata));
    let (mut found, mut times) = (0, Vec::new());
    for query in queries.iter() {
        let dot =
            |row: usize| vectors.row(row).iter().zip(query).map(|(one, other)| one * other).sum::<f32>();
        let mut scores: Vec<f32> = (0..vectors.rows()).filter(fits).map(dot).collect();
        scores.sort_by(|one, other| other.total_cmp(one));
        let began = Instant::now();
        let near = engine.nearest(query, &Ask { filter: parsed.clone(), ..Ask::default() }).unwrap();
        times.push(began.elapsed());
        found += near.iter().filter(|hit| hit.score >= scores[9] - 1e-5).count().min(10);
    }
    println!(
        "{}: recall@10 {:.4}, p50 {:.2?}",
        filter.unwrap_or("all"),
        found as f64 / (10 * queries.rows()) as f64,
        median(&mut times)
    );
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
