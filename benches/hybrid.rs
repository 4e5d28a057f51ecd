//! What does a query by meaning and words cost beside one by meaning alone, when it is encoded already?
//!
//! `cargo bench --bench hybrid -- INDEX QUERIES.txt`: an index with words, and a query a line. Prints the median time of a
//! query on one thread, for both ways to search and for the parts of the second, and the ratio of the two.

use std::path::Path;
use std::time::Instant;

use akin_encoder::{EncoderOptions, Role};
use akin_index::{Embeddings, ReaderOptions, SearchOptions, Snapshot, WordQuery};
use akin_query::Searcher;
use akin_query::both::nearest_by_both;

/// Each query is asked so often; its shortest time counts.
const TIMES: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [index, queries] = &arguments[..] else {
        eprintln!("hybrid: name an index and a file of queries");
        return;
    };
    let queries = std::fs::read_to_string(queries).expect("the queries can be read");
    let texts: Vec<&str> = queries.lines().filter(|line| !line.trim().is_empty()).collect();
    let searcher =
        Searcher::open(Path::new(index), None, &EncoderOptions::default(), ReaderOptions::default());
    let searcher = searcher.expect("the index can be opened");
    let encoder = searcher.encoder().expect("the index has a model");
    let encoded = encoder.encode_as(Role::Query, &texts).expect("the queries can be encoded");
    let embeddings: Vec<Embeddings> = encoded.embeddings.iter().map(one).collect();
    let words: Vec<WordQuery> = texts.iter().map(|text| WordQuery::plain(text).beside_meaning()).collect();
    let snapshot = searcher.snapshot();
    snapshot.load();

    let options = SearchOptions::default();
    let deep = |k| SearchOptions { k, ..options.clone() };
    let nearest = |options: SearchOptions| {
        let (snapshot, embeddings) = (&snapshot, &embeddings);
        move |at: usize| drop(snapshot.nearest(embeddings[at].row(0), &options).expect("it can be searched"))
    };
    let by_words = |options: SearchOptions| {
        let (snapshot, words) = (&snapshot, &words);
        move |at: usize| drop(snapshot.nearest_words(&words[at], &options).expect("it can be searched"))
    };
    let count = texts.len();
    let alone = median("by meaning, 10", count, nearest(options.clone()));
    median("by meaning, 20", count, nearest(deep(20)));
    median("by words, 10", count, by_words(options.clone()));
    median("by words, 20", count, by_words(deep(20)));
    median("background", count, |at| {
        snapshot.background(embeddings[at].row(0)).expect("it can be searched");
    });
    let found: Vec<_> = (0..count)
        .map(|at| snapshot.nearest_words(&words[at], &deep(20)).expect("it can be searched"))
        .collect();
    let near: Vec<_> = (0..count)
        .map(|at| vec![snapshot.nearest(embeddings[at].row(0), &deep(20)).expect("it can be searched")])
        .collect();
    median("words beside meaning", count, |at| {
        let words = std::slice::from_ref(&words[at]);
        drop(snapshot.nearest_words_beside_all(words, &near[at], &deep(20)).expect("it can be searched"));
    });
    median("similarities", count, |at| {
        snapshot.similarities(embeddings[at].row(0), &found[at]).expect("it can be searched");
    });
    let both = median("by both, 10", count, |at| both(&snapshot, &words[at], &embeddings[at], &options));
    println!("{:>20} {:.2}", "both / meaning", both / alone);
}

fn one(embedding: &[f32]) -> Embeddings {
    Embeddings::from_values(embedding.len(), embedding.to_vec())
}

fn both(snapshot: &Snapshot, words: &WordQuery, embedding: &Embeddings, options: &SearchOptions) {
    nearest_by_both(snapshot, std::slice::from_ref(words), embedding, options).expect("it can be searched");
}

/// The median of the queries' shortest times, in microseconds. All queries are asked before one is asked again, so that what
/// one has read is not at hand for itself alone.
fn median(name: &str, queries: usize, ask: impl Fn(usize)) -> f64 {
    let mut times = vec![f64::INFINITY; queries];
    for _ in 0..TIMES {
        for (at, time) in times.iter_mut().enumerate() {
            let begun = Instant::now();
            ask(at);
            *time = time.min(begun.elapsed().as_secs_f64() * 1e6);
        }
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    println!("{name:>20} {median:>8.0} us");
    median
}
