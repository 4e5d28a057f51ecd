//! `akin index --recall`: the `ef` that it chooses, and what it says of it.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use common::{Run, Workplace, sentences};

/// What was told: the mean recall, that of the worst region, how many regions, and the `ef`.
fn told(run: &Run) -> (f64, f64, usize, usize) {
    let line =
        run.stderr.lines().find(|line| line.starts_with("recall ")).unwrap_or_else(|| panic!("{run:#?}"));
    let numbers: Vec<f64> = line
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter_map(|word| word.trim_end_matches('.').parse().ok())
        .collect();
    // recall MEAN (worst of REGIONS regions WORST) with ef EF
    (numbers[0], numbers[2], numbers[1] as usize, numbers[3] as usize)
}

#[test]
fn recall_is_told_as_mean_and_worst_region_and_kept_in_the_index() {
    let workplace = Workplace::new();
    workplace.write("c.txt", sentences(5000).join("\n"));
    let run = workplace.akin(&["index", "ix", "c.txt", "--recall", "0.9", "--json"]).succeeded();
    let (mean, worst, regions, ef) = told(&run);
    assert!(worst >= 0.9 && mean >= worst && mean <= 1.0 && regions > 1, "{run:?}");
    assert_eq!(workplace.figures("ix")["ef"], ef);
    let line = run.json();
    assert_eq!((&line["ef"], &line["regions"]), (&ef.into(), &regions.into()));
    assert_eq!(line["recall_reached"], true);
    assert!((line["recall"].as_f64().unwrap() - mean).abs() < 1e-3, "{line}");
    assert!((line["recall_worst"].as_f64().unwrap() - worst).abs() < 1e-3, "{line}");
    let again = workplace.akin(&["index", "ix", "c.txt", "--recall", "0.9"]).succeeded();
    assert_eq!(told(&again), (mean, worst, regions, ef), "the same index gives the same answer");
}

#[test]
fn equal_texts_take_nothing_off_the_recall() {
    let workplace = Workplace::new();
    let texts = sentences(150);
    let corpus: Vec<&str> = (0..30).flat_map(|_| texts.iter().map(String::as_str)).collect();
    workplace.write("c.txt", corpus.join("\n"));
    let run = workplace.akin(&["index", "ix", "c.txt", "--recall", "0.95", "--json"]).succeeded();
    let (mean, _, _, _) = told(&run);
    assert!(mean > 0.95, "{run:?}");
    // Rounds of 150 texts: one of each went through the model.
    assert_eq!((&run.json()["added"], &run.json()["encoded"]), (&4500.into(), &150.into()));
}

#[test]
fn an_index_without_a_graph_has_nothing_to_tune() {
    let workplace = Workplace::new();
    workplace.write("c.txt", sentences(10).join("\n"));
    let run = workplace.akin(&["index", "ix", "c.txt", "--recall", "0.9", "--json"]).succeeded();
    assert!(run.stderr.contains("nothing to tune") && run.json().get("ef").is_none(), "{run:?}");
}
