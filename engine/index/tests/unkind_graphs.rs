//! On unkind sets every row is found by its own vector, and the neighbors of other queries are found too, with the
//! default number of candidates.

#![allow(clippy::unwrap_used)]

mod unkind;

use std::ops::ControlFlow;

use akin_index::Embeddings;
use akin_index::graph::Graph;
use akin_index::graph::exact::exact_search;
use rayon::prelude::*;
use unkind::Set;

/// Candidates of a search that names none.
const EF: usize = 96;

/// The share of every other row that a walk finds by its own vector: one as near as the row itself.
fn found_by_themselves(graph: &Graph, rows: &Embeddings) -> f64 {
    let asked = (0..rows.rows()).into_par_iter().step_by(2);
    let found = asked.clone().filter(|row| {
        let hits = graph.search(rows, rows.row(*row), 1, EF, None);
        hits.first().is_some_and(|hit| hit.0 >= 0.999)
    });
    found.count() as f64 / asked.len() as f64
}

/// The share of the ten nearest of other queries, counted by their scores.
fn recall(graph: &Graph, set: &Set) -> f64 {
    let right = (0..set.queries.rows()).into_par_iter().map(|at| {
        let query = set.queries.row(at);
        let truth = exact_search(&set.rows, query, 10, &|_| true);
        let least = truth.last().unwrap().0;
        let least = least - 1e-6 * least.abs().max(1.0);
        graph.search(&set.rows, query, 10, EF, None).iter().filter(|hit| hit.0 >= least).count()
    });
    right.sum::<usize>() as f64 / (10 * set.queries.rows()) as f64
}

#[test]
fn every_row_is_found_by_its_own_vector_and_other_queries_find_their_neighbors() {
    let mut lost = Vec::new();
    for set in unkind::all(20_000, 200) {
        let graph = Graph::build(&set.rows, &|_, _| ControlFlow::Continue(())).unwrap();
        let (own, recall) = (found_by_themselves(&graph, &set.rows), recall(&graph, &set));
        println!("{:28} found by themselves {own:.4}, recall {recall:.4}", set.name);
        if own < 0.999 || recall < 0.98 {
            lost.push(set.name);
        }
    }
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn the_nearest_by_dot_product_are_found_among_vectors_of_unlike_lengths() {
    let mut lost = Vec::new();
    for set in unkind::unlike_lengths(20_000, 200) {
        let graph = Graph::build(&set.rows, &|_, _| ControlFlow::Continue(())).unwrap();
        let recall = recall(&graph, &set);
        println!("{:28} recall {recall:.4}", set.name);
        // In a cluster the longest are the nearest, wherever they are in it: walks find those less well.
        let is_hard = ["clusters", "all"].iter().any(|name| set.name.starts_with(name));
        if recall < if is_hard { 0.9 } else { 0.98 } {
            lost.push(set.name);
        }
    }
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn the_order_of_rows_does_not_matter() {
    let set = unkind::crowd_beside_others(20_000);
    let mut rows: Vec<&[f32]> = set.rows.iter().collect();
    // By their first numbers, down and up: no longer as they were drawn.
    rows.sort_by(|a, b| a[0].total_cmp(&b[0]));
    for _ in 0..2 {
        rows.reverse();
        let rows = Embeddings::from_values(set.rows.dimension(), rows.concat());
        let graph = Graph::build(&rows, &|_, _| ControlFlow::Continue(())).unwrap();
        let own = found_by_themselves(&graph, &rows);
        assert!(own >= 0.999, "{own}");
    }
}
