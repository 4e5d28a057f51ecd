//! What a precision costs: how far its embeddings are from those in f32, and whether they find the same.

use std::collections::HashSet;
use std::path::Path;

use akin_index::exact::exact_search;
use akin_kernels::Embeddings;
use akin_trainer::{sentence_pairs, sts};

use crate::contender::Ours;
use crate::speed::cosine;
use crate::texts::Texts;

/// Hits a query.
const K: usize = 10;

/// Cosines with f32, recall, and Spearman's correlation where there are scored pairs.
pub fn print(ours: &[Ours], texts: &Texts, scored: Option<&Path>) -> anyhow::Result<()> {
    println!("quality");
    println!("  {:24} {:>12} {:>12} {:>10} {:>10}", "", "mean cosine", "least", "recall@10", "Spearman");
    let pairs = scored.map(sentence_pairs::read_scored_pairs).transpose()?;
    let sentences = texts.sentences.borrowed();
    let collection: Vec<&str> = texts.collection.iter().map(String::as_str).collect();
    let mut reference: Option<(Embeddings, Vec<HashSet<u32>>)> = None;
    for Ours { precision, encoder, .. } in ours {
        let embeddings = encoder.encode(&sentences)?.embeddings;
        let searched = encoder.encode(&collection)?.embeddings;
        let queries = encoder.encode(&texts.queries.borrowed())?.embeddings;
        let found: Vec<HashSet<u32>> = queries
            .iter()
            .map(|query| exact_search(&searched, query, K, &|_| true).into_iter().map(|hit| hit.1).collect())
            .collect();
        let (expected, truth) = reference.get_or_insert_with(|| (embeddings.clone(), found.clone()));
        let cosines: Vec<f64> = embeddings.iter().zip(expected.iter()).map(|(a, b)| cosine(a, b)).collect();
        let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
        let least = cosines.iter().copied().fold(f64::INFINITY, f64::min);
        let right: usize =
            found.iter().zip(truth.iter()).map(|(found, truth)| found.intersection(truth).count()).sum();
        let recall = right as f64 / (K * found.len()) as f64;
        print!("  {:24} {mean:12.6} {least:12.6} {recall:10.4}", format!("Akin {precision}"));
        match &pairs {
            Some(pairs) => {
                println!(" {:10.2}", 100.0 * sts::evaluate(encoder, pairs, &mut |_, _| ())?.spearman());
            }
            None => println!(" {:>10}", "-"),
        }
    }
    println!();
    Ok(())
}
