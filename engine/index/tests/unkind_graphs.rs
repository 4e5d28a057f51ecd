//! Every row of an unkind set is found by its own vector, and the neighbors of other queries are found too.

#![allow(clippy::unwrap_used)]

mod unkind;

use std::ops::ControlFlow;

use akin_index::Embeddings;
use akin_index::graph::Graph;
use akin_index::graph::exact::exact_search;
use rayon::prelude::*;
use unkind::Set;

const EF: usize = 96;

/// The share of rows that a walk finds by their own vectors: one as near as the row itself.
fn found_by_themselves(graph: &Graph, rows: &Embeddings) -> f64 {
    let found = (0..rows.rows()).into_par_iter().step_by(3).filter(|row| {
        let query = rows.row(*row);
        let own: f32 = query.iter().map(|x| x * x).sum();
        graph.search(rows, query, 1, EF, None).first().is_some_and(|hit| hit.0 >= 0.999 * own)
    });
    found.count() as f64 / rows.rows().div_ceil(3) as f64
}

/// The share of the ten nearest of other queries, counted by their scores.
fn recall(graph: &Graph, set: &Set) -> f64 {
    let right = (0..set.queries.rows()).into_par_iter().map(|at| {
        let query = set.queries.row(at);
        let exact = exact_search(&set.rows, query, 10, &|_| true);
        let least = exact.last().unwrap().0 - 1e-6;
        graph.search(&set.rows, query, 10, EF, None).iter().filter(|hit| hit.0 >= least).count()
    });
    right.sum::<usize>() as f64 / (10 * set.queries.rows()) as f64
}

#[test]
fn walks_find_what_is_there() {
    for set in unkind::all(20_000, 200) {
        let begun = std::time::Instant::now();
        let graph = Graph::build(&set.rows, &|_, _| ControlFlow::Continue(())).unwrap();
        let built = begun.elapsed();
        let own = found_by_themselves(&graph, &set.rows);
        println!("{:32} own {own:.4} recall {:.4}  built in {built:.1?}", set.name, recall(&graph, &set));
    }
}
