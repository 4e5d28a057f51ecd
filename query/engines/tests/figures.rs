//! What does a table of PostgreSQL find of many vectors, and what do we add to the time of the server's own client?
//!
//! `cargo test --release -p akin-engines --test figures -- --ignored --nocapture`. The variable AKIN_VECTORS names a matrix that `akin encode`
//! wrote, else vectors are made; AKIN_ROWS says how many are kept, 100,000 if nothing else. 500 more are the queries.

#![allow(clippy::unwrap_used)] // a benchmark that panics has found something

use std::path::Path;
use std::time::{Duration, Instant};

use akin_engines::postgres::{Address, PostgresEngine};
use akin_engines::{Ask, Engine, EngineOptions, Source};
use akin_fixtures::random::clustered;
use akin_index::{Document, Embeddings, Filter, ModelIdentity, WordQuery};
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::{ToSql, Type};
use serde_json::json;

const QUERIES: usize = 500;
const BATCH: usize = 1024;

#[test]
#[ignore = "it measures for minutes"]
fn figures() {
    let rows: usize = std::env::var("AKIN_ROWS").map_or(100_000, |rows| rows.parse().unwrap());
    let Some(server) = akin_fixtures::postgres() else { return };
    let (vectors, queries) = match std::env::var("AKIN_VECTORS") {
        Ok(path) => read(Path::new(&path), rows),
        Err(_) => {
            let all = clustered(rows + QUERIES, 384, 1000, 0.6, 5);
            split(384, rows, all.as_slice())
        }
    };
    let model = ModelIdentity::new("b".repeat(64), "bench", vectors.dimension());
    let mut client = postgres::Client::connect(&server, postgres::NoTls).unwrap();
    let (bare, table) = (format!("bare_{}", std::process::id()), format!("bench_{}", std::process::id()));
    let open = |table: &str, text_config: &str| {
        let address = Address::parse(&format!("{server}/{table}")).unwrap();
        PostgresEngine::open_or_create_with(address, &model, &EngineOptions::with_text_config(text_config))
            .unwrap()
    };
    print!("without words, ");
    load(&mut open(&bare, "none"), &mut client, &vectors, &bare, "");
    let mut engine = open(&table, "simple");
    print!("with words, ");
    let words_too = ", words tsvector GENERATED ALWAYS AS (to_tsvector('simple', text)) STORED";
    load(&mut engine, &mut client, &vectors, &table, words_too);
    let began = Instant::now();
    engine.finish(&|_, _| std::ops::ControlFlow::Continue(())).unwrap();
    println!("graph: {:.1?}, {:?}", began.elapsed(), engine.figures().unwrap());
    overhead(&mut engine, &mut client, &queries, &table);
    for filter in [None, Some("tenth = 3"), Some("hundredth = 42")] {
        recall(&mut engine, &queries, filter);
    }
    words(&mut engine, &queries);
    let tables = format!("{table}, {table}_words, {table}_own, {bare}, {bare}_own");
    client.batch_execute(&format!("DROP TABLE {tables}")).unwrap();
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
    split(dimension, rows, &values)
}

fn split(dimension: usize, rows: usize, values: &[f32]) -> (Embeddings, Embeddings) {
    let (kept, others) = values.split_at(rows * dimension);
    let others = others[..QUERIES * dimension].to_vec();
    (Embeddings::from_values(dimension, kept.to_vec()), Embeddings::from_values(dimension, others))
}

/// Loads the rows by both, a tenth in turn. Both are given documents and vectors that are there already. The table that COPY fills has a further column, or none.
fn load(
    engine: &mut PostgresEngine,
    client: &mut postgres::Client,
    vectors: &Embeddings,
    table: &str,
    column: &str,
) {
    let dimension = vectors.dimension();
    client
        .batch_execute(&format!(
            "CREATE TABLE {table}_own (id text, text text, metadata jsonb, embedding halfvec({dimension}){column}, PRIMARY KEY (id))"
        ))
        .unwrap();
    let statement = client.prepare("SELECT $1::halfvec").unwrap();
    let types = [Type::TEXT, Type::TEXT, Type::TEXT, statement.params()[0].clone()];
    let (mut ours, mut own) = (Duration::ZERO, Duration::ZERO);
    let (mut ours_worked, mut own_worked) = (Duration::ZERO, Duration::ZERO);
    let all: Vec<usize> = (0..vectors.rows()).collect();
    for tenth in all.chunks(vectors.rows().div_ceil(10)) {
        let batches = tenth.chunks(BATCH).map(|batch| {
            let documents: Vec<Document> = batch.iter().map(|row| document(*row)).collect();
            let mut embeddings = Embeddings::empty(dimension);
            batch.iter().for_each(|row| embeddings.push(vectors.row(*row)));
            (documents, embeddings)
        });
        let batches: Vec<_> = batches.collect();
        let (began, worked) = (Instant::now(), processor_time());
        for (documents, embeddings) in &batches {
            assert!(engine.unchanged(documents).unwrap().iter().all(|unchanged| !unchanged));
            engine.upsert(documents, None, embeddings).unwrap();
        }
        ours += began.elapsed();
        ours_worked += processor_time().saturating_sub(worked);
        let (began, worked) = (Instant::now(), processor_time());
        let copy = format!("COPY {table}_own (id, text, metadata, embedding) FROM STDIN (FORMAT binary)");
        let mut types = types.clone();
        types[2] = Type::JSONB;
        let mut writer = BinaryCopyInWriter::new(client.copy_in(&copy).unwrap(), &types);
        let documents = batches.iter().flat_map(|(documents, _)| documents);
        for (document, row) in documents.zip(tenth) {
            let metadata = Json(serde_json::to_string(&document.metadata).unwrap());
            let vector = Half(vectors.row(*row).to_vec());
            let values: [&(dyn ToSql + Sync); 4] = [&document.id, &document.text, &metadata, &vector];
            writer.write(&values).unwrap();
        }
        writer.finish().unwrap();
        own += began.elapsed();
        own_worked += processor_time().saturating_sub(worked);
    }
    println!(
        "load: {ours:.1?} by the engine, {own:.1?} by COPY alone, speed {:.2}; processor time of server and client {ours_worked:.1?}, \
         {own_worked:.1?}, {:.2}",
        own.div_duration_f64(ours),
        own_worked.div_duration_f64(ours_worked)
    );
}

/// The processor time of this process and of all of the server's, to a hundredth of a second; none where the system does not tell it.
fn processor_time() -> Duration {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Duration::ZERO };
    let of = |folder: std::path::PathBuf| {
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let is_ours = name == "postgres" || folder.ends_with(std::process::id().to_string());
        let mut ticks =
            rest.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap_or(0));
        is_ours.then(|| ticks.by_ref().sum::<u64>())
    };
    let ticks: u64 = processes.flatten().filter_map(|entry| of(entry.path())).sum();
    Duration::from_millis(10 * ticks)
}

fn document(row: usize) -> Document {
    let metadata = json!({"tenth": row % 10, "hundredth": row % 100});
    Document {
        id: row.to_string(),
        text: format!("the text of row {row}"),
        metadata: metadata.as_object().unwrap().clone(),
    }
}

/// The times of searches by words and by both.
fn words(engine: &mut PostgresEngine, queries: &Embeddings) {
    let (mut by_words, mut by_both) = (Vec::new(), Vec::new());
    for (row, query) in queries.iter().take(200).enumerate() {
        let text = WordQuery::plain(&format!("the text of row {}", row * 7));
        let began = Instant::now();
        engine.by_words(&text, &Ask::default()).unwrap();
        by_words.push(began.elapsed());
        let text = text.beside_meaning();
        let began = Instant::now();
        engine.by_both(&text, query, &Ask { k: 20, ..Ask::default() }).unwrap();
        by_both.push(began.elapsed());
    }
    println!(
        "words that all have and one that one has, p50: {:.2?}; by both: {:.2?}",
        median(&mut by_words),
        median(&mut by_both)
    );
}

/// The share of the true ten nearest that are found; as near as the tenth is right.
fn recall(engine: &mut PostgresEngine, queries: &Embeddings, filter: Option<&str>) {
    let parsed = filter.map(|filter| Filter::parse(filter).unwrap());
    let (mut found, mut wanted, mut times) = (0, 0, Vec::new());
    for query in queries.iter().take(100) {
        let exact = Ask { exact: true, filter: parsed.clone(), ..Ask::default() };
        let right = engine.nearest(query, &exact).unwrap();
        let began = Instant::now();
        let near = engine.nearest(query, &Ask { filter: parsed.clone(), ..Ask::default() }).unwrap();
        times.push(began.elapsed());
        let least = right.last().unwrap().score;
        wanted += right.len();
        found += near.iter().filter(|hit| hit.score >= least - 1e-6).count().min(right.len());
    }
    println!(
        "{}: recall@10 {:.4}, p50 {:.2?}",
        filter.unwrap_or("all"),
        found as f64 / wanted as f64,
        median(&mut times)
    );
}

/// The same query by the engine and by a prepared statement alone, in turn.
fn overhead(engine: &mut PostgresEngine, client: &mut postgres::Client, queries: &Embeddings, table: &str) {
    client
        .batch_execute("SET hnsw.ef_search = 100; SET hnsw.iterative_scan = relaxed_order; SET jit = off")
        .unwrap();
    let select =
        format!("SELECT id, text, fields, embedding <#> $1 FROM {table} ORDER BY embedding <#> $1 LIMIT 10");
    let statement = client.prepare(&select).unwrap();
    let (mut ours, mut own) = (Vec::new(), Vec::new());
    for (turn, query) in queries.iter().enumerate() {
        // Who comes second finds the pages in the caches: they take turns.
        for by_engine in [turn % 2 == 0, turn % 2 == 1] {
            let began = Instant::now();
            if by_engine {
                assert_eq!(engine.nearest(query, &Ask::default()).unwrap().len(), 10);
                ours.push(began.elapsed());
            } else {
                assert_eq!(client.query(&statement, &[&Half(query.to_vec())]).unwrap().len(), 10);
                own.push(began.elapsed());
            }
        }
    }
    let (ours, own) = (median(&mut ours), median(&mut own));
    println!(
        "a query, p50: {ours:.2?} by the engine, {own:.2?} by the client, ratio {:.2}",
        ours.div_duration_f64(own)
    );
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[derive(Debug)]
struct Half(Vec<f32>);

#[derive(Debug)]
struct Json(String);

type Written = Result<postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>>;

impl ToSql for Half {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Written {
        out.extend_from_slice(&(self.0.len() as u16).to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        for value in &self.0 {
            out.extend_from_slice(&half::f16::from_f32(*value).to_bits().to_be_bytes());
        }
        Ok(postgres::types::IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        ty.name() == "halfvec"
    }

    postgres::types::to_sql_checked!();
}

impl ToSql for Json {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Written {
        out.extend_from_slice(&[1]);
        out.extend_from_slice(self.0.as_bytes());
        Ok(postgres::types::IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }

    postgres::types::to_sql_checked!();
}
