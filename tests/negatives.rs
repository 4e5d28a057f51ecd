//! `akin negatives`, as a user runs it: hard negatives of pairs, from the pairs, a corpus or an index, and training on them.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use common::{Workplace, tiny_model};

const PAIRS: &str = "anchor\tpositive\n\
    A man is feeding the ducks.\tBy the pond, a man gives food to the ducks.\n\
    A man is feeding the ducks.\tDucks are fed.\n\
    The shop opens at nine.\tThe store opens at nine o'clock.\n\
    She sold her bicycle.\tShe found a buyer for her bike.\n";

const CORPUS: &str = "Ducks are fed.\nThe shop opens at nine.\nThe shop closes at nine.\nA man is feeding the geese.\n\
    The moon is full tonight.\nMy uncle collects stamps.\n";

fn workshop() -> Workplace {
    let place = Workplace::new();
    place.write("pairs.tsv", PAIRS);
    place.write("corpus.txt", CORPUS);
    place
}

/// The negatives of each pair, of a file of JSON lines.
fn negatives(lines: &str) -> Vec<Vec<String>> {
    let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["negatives"].clone();
    lines.lines().map(|line| serde_json::from_value(read(line)).unwrap()).collect()
}

#[test]
fn negatives_come_from_a_corpus_or_an_index_alike_and_belong_to_no_anchor() {
    let place = workshop();
    let model = tiny_model();
    let model = model.to_str().unwrap();
    place.akin(&["index", "notes", "corpus.txt", "--model", model]).succeeded();
    let of_corpus =
        place.akin(&["negatives", "pairs.tsv", "corpus.txt", "--model", model, "--count", "6"]).succeeded();
    let of_index = place.akin(&["negatives", "pairs.tsv", "notes", "--count", "6"]).succeeded();
    assert_eq!(of_corpus.stdout, of_index.stdout);
    let found = negatives(&of_corpus.stdout);
    // Without its other positive, and without a copy of itself.
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5, 5, 6]);
    assert!(found[..2].iter().flatten().all(|text| text != "Ducks are fed."));
    assert!(found[2].iter().all(|text| text != "The shop opens at nine."));
    assert!(of_corpus.stderr.contains("21 negatives for 4 pairs"), "{of_corpus:?}");
}

#[test]
fn without_a_corpus_the_positives_of_others_are_negatives_and_limits_hold() {
    let place = workshop();
    let model = tiny_model();
    let more = ["--model", model.to_str().unwrap()];
    let run = |arguments: &[&str]| {
        place.akin(&[&["negatives", "pairs.tsv"], arguments, &more].concat()).succeeded()
    };
    let found = negatives(&run(&[]).stdout);
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 3, 3]);
    assert_eq!(negatives(&run(&["--count", "1"]).stdout)[2], found[2][..1]);
    assert_eq!(negatives(&run(&["--skip", "2"]).stdout)[2], found[2][2..]);
    let none = run(&["--margin", "1"]);
    assert!(none.stderr.contains("4 pairs without a negative"), "{none:?}");
}

#[test]
fn a_model_is_trained_on_what_was_found() {
    let place = workshop();
    let model = tiny_model();
    let model = model.to_str().unwrap();
    for (output, objective) in
        [("mined.tsv", "triplet"), ("mined.tsv", "ranking"), ("mined.jsonl", "ranking")]
    {
        place
            .akin(&["negatives", "pairs.tsv", "corpus.txt", "--model", model, "--output", output])
            .succeeded();
        let name = format!("{objective}-{output}");
        let train =
            ["train", "--objective", objective, "--train", output, "--base", model, "--output", &name];
        place.akin(&train).succeeded();
    }
    assert!(place.read("mined.tsv").starts_with("anchor\tpositive\tnegative\n"));
}

#[test]
fn what_is_wrong_is_said() {
    let place = workshop();
    place.write("scored.tsv", "score\tsentence1\tsentence2\n5\ta\tb\n");
    let refused = place.akin(&["negatives", "scored.tsv", "corpus.txt"]).refused();
    assert!(refused.contains("scored.tsv:1: the column score"), "{refused}");
    let refused = place.akin(&["negatives", "pairs.tsv", "nowhere.txt"]).refused();
    assert!(refused.contains("nowhere.txt"), "{refused}");
}
