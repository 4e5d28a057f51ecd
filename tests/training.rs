//! `akin train`, as a user runs it: a model from files, a run that is killed, and everything that can be wrong.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use akin_fixtures::npy;
use akin_fixtures::similarity::greatest_difference;
use common::{Workplace, tiny_model};

const PAIRS: &str = include_str!("../trainer/reference/pairs.tsv");
const TRIPLETS: &str = include_str!("../trainer/reference/triplets.tsv");

/// A folder with files to train from.
fn workshop() -> Workplace {
    let place = Workplace::new();
    place.write("pairs.tsv", PAIRS);
    place.write("triplets.tsv", TRIPLETS);
    place
}

/// `akin train` of the tiny model, with more arguments.
fn train<'a>(place: &Workplace, output: &'a str, more: &[&'a str]) -> Command {
    let mut command = place.command(&["train", "--output", output, "--learning-rate", "1e-3"]);
    command.arg("--base").arg(tiny_model()).args(more);
    command
}

const REGRESSION: [&str; 6] = ["--objective", "regression", "--train", "pairs.tsv", "--dev", "pairs.tsv"];

fn run(command: &mut Command) -> common::Run {
    common::Run::of(command)
}

#[test]
fn a_trained_model_is_a_model_like_any_other() {
    let place = workshop();
    let more = [&REGRESSION[..], &["--epochs", "4", "--pooling", "max", "--json"]].concat();
    let report = run(&mut train(&place, "tuned", &more)).succeeded().json();
    assert_eq!(report["steps"], 16);
    assert!(report["dev_score"].as_f64().unwrap() > 0.0);
    let figures = place.akin(&["eval", "sts", "pairs.tsv", "--model", "tuned", "--json"]).succeeded().json();
    let difference = figures["spearman"].as_f64().unwrap() - report["dev_score"].as_f64().unwrap();
    assert!(difference.abs() < 1e-3, "{figures} {report}");
    assert!(place.read("tuned/1_Pooling/config.json").contains("\"pooling_mode_max_tokens\": true"));
    assert_eq!(place.read("tuned/loss.csv").lines().count(), 17);
    assert!(place.read("tuned/loss.svg").starts_with("<svg "));
    assert!(!place.path("tuned/checkpoints").exists());
    // And one can go on from there.
    let mut again = place.command(&["train", "--base", "tuned", "--output", "again"]);
    let run = common::Run::of(again.args(["--objective", "triplet", "--train", "triplets.tsv"])).succeeded();
    assert!(run.stdout.starts_with("again: 4 steps"), "{run:?}");
}

#[test]
fn every_concatenation_of_the_paper_trains() {
    let place = workshop();
    for parts in ["u,v", "diff", "prod", "diff,prod", "u,v,prod", "u,v,diff", "u,v,diff,prod"] {
        let more = ["--objective", "classification", "--concatenation", parts, "--train", "pairs.tsv"];
        run(&mut train(&place, parts, &more)).succeeded();
        assert!(place.path(parts).join("model.safetensors").is_file());
    }
}

#[test]
fn pairs_train_a_model_in_every_format_and_with_every_addition() {
    let place = workshop();
    let rows: Vec<Vec<&str>> = TRIPLETS.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let csv = rows.iter().map(|row| format!("\"{}\",\"{}\"\n", row[0], row[1]));
    place.write("pairs.csv", format!("query,answer\n{}", csv.collect::<String>()));
    let json = rows
        .iter()
        .map(|row| format!("{}\n", serde_json::json!({ "query": row[0], "pos": [row[1]], "neg": [row[2]] })));
    place.write("pairs.jsonl", json.collect::<String>());
    for (output, file, more) in [
        ("plain", "pairs.csv", &[][..]),
        ("cached", "pairs.csv", &["--cached", "5"]),
        ("short", "pairs.jsonl", &["--matryoshka", "32,16,8", "--dev", "pairs.csv"]),
        ("adapted", "pairs.jsonl", &["--lora", "2", "--lora-on", "all", "--lora-alpha", "8"]),
    ] {
        let more = [&["--objective", "ranking", "--train", file, "--no-dropout", "--json"], more].concat();
        let report = run(&mut train(&place, output, &more)).succeeded().json();
        assert_eq!(report["steps"], 4, "{output}");
        assert_eq!(report["dev_score"].is_number(), output == "short", "{report}");
    }
    // The cache changes the memory, and the losses only in their last digits.
    let losses = |output: &str| -> Vec<f64> {
        let table = place.read(format!("{output}/loss.csv"));
        table.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect()
    };
    assert!(losses("plain").iter().zip(losses("cached")).all(|(a, b)| (a - b).abs() < 1e-4));
    let more = ["--objective", "cosent", "--train", "pairs.tsv", "--dev", "pairs.tsv"];
    run(&mut train(&place, "cosent", &more)).succeeded();
}

#[test]
fn a_student_follows_its_teacher_also_over_translations() {
    let place = workshop();
    let teacher = tiny_model();
    let teacher = teacher.to_str().unwrap();
    place.write(
        "talks.tsv",
        "english\tnon_english\nThe shop opens at nine.\tDer Laden öffnet um neun.\nok\t\n",
    );
    let more = ["--objective", "distillation", "--teacher", teacher, "--train", "talks.tsv"];
    run(&mut train(&place, "student", &more)).succeeded();
    let more = ["--objective", "margin", "--teacher", teacher, "--train", "triplets.tsv"];
    run(&mut train(&place, "margins", &more)).succeeded();
    place.write("margins.csv", "query,positive,negative,margin\na,b,c,0.5\n");
    run(&mut train(&place, "own", &["--objective", "margin", "--train", "margins.csv"])).succeeded();

    let refused = |more: &[&str]| run(&mut train(&place, "no", more)).refused();
    let error = refused(&["--objective", "margin", "--train", "triplets.tsv"]);
    assert!(error.contains("no column margin: --teacher names a model"), "{error}");
    let error = refused(&["--objective", "regression", "--train", "pairs.tsv", "--teacher", teacher]);
    assert!(error.contains("--teacher is for the objectives distillation and margin"), "{error}");
    let error = refused(&["--objective", "ranking", "--train", "pairs.tsv"]);
    assert!(error.contains("pairs.tsv:1: the column label"), "{error}");
    let error = refused(&["--objective", "ranking", "--train", "triplets.tsv", "--matryoshka", "64"]);
    assert!(error.contains("embeddings of 32 numbers cannot be cut to 64"), "{error}");
}

#[test]
fn a_student_learns_to_read_a_script_that_its_base_does_not_know() {
    let place = workshop();
    let teacher = tiny_model();
    let teacher = teacher.to_str().unwrap();
    place.write("runes.tsv", "english\tnon_english\nThe shop opens at nine.\tᚠ ᚢ\nA big dog sleeps.\tᚦ ᚨ\n");
    let score = |model: &str| {
        place.write(
            "order.tsv",
            "anchor\tpositive\tnegative\nThe shop opens at nine.\tᚠ ᚢ\tᚦ ᚨ\nA big dog sleeps.\tᚦ ᚨ\tᚠ ᚢ\n",
        );
        let run = place.akin(&["eval", "triplets", "order.tsv", "--model", model, "--json"]).succeeded();
        run.json()["cosine"].as_f64().unwrap()
    };
    let taught = ["--objective", "distillation", "--teacher", teacher, "--train", "runes.tsv"];
    let more = [&taught[..], &["--epochs", "40", "--add-characters"]].concat();
    let run = run(&mut train(&place, "student", &more)).succeeded();
    assert!(run.stderr.contains("4 pieces added to the vocabulary"), "{run:?}");
    assert_eq!((score(teacher), score("student")), (0.0, 100.0));
    // It goes on from there without being told again.
    let mut again = place.command(&["train", "--output", "again", "--base", "student"]);
    common::Run::of(again.args(taught)).succeeded();
    assert_eq!(score("again"), 100.0);
    let more = [&taught[..], &["--add-characters", "--lora", "2"]].concat();
    let refused = common::Run::of(&mut train(&place, "no", &more));
    assert!(refused.code == Some(2) && refused.stderr.contains("--lora"), "{refused:?}");
}

#[test]
fn a_run_that_was_killed_goes_on_to_the_same_model() {
    let place = workshop();
    let more = [&REGRESSION[..], &["--epochs", "6", "--evaluate-every", "2", "--threads", "1"]].concat();
    run(&mut train(&place, "whole", &more)).succeeded();
    let mut child =
        train(&place, "killed", &more).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let reached = lines.map_while(Result::ok).find(|line| line.starts_with("step 6:"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(reached.is_some());
    let refused = run(&mut train(&place, "killed", &more)).refused();
    assert!(refused.contains("--resume"), "{refused}");
    let resumed = run(&mut train(&place, "killed", &[&more[..], &["--resume"]].concat())).succeeded();
    assert!(resumed.stderr.contains("going on after step "), "{resumed:?}");
    let weights = |model: &str| fs::read(place.path(model).join("model.safetensors")).unwrap();
    assert!(weights("whole") == weights("killed"));
    assert_eq!(place.read("whole/loss.csv"), place.read("killed/loss.csv"));
}

#[test]
fn what_is_wrong_with_the_examples_is_said_with_file_and_line() {
    let place = workshop();
    place.write("columns.tsv", "sentence1\tsentence2\na\tb\n");
    place.write("number.tsv", "score\tsentence1\tsentence2\n1\ta\tb\nhigh\ta\tb\n");
    place.write("range.tsv", "score\tsentence1\tsentence2\n1\ta\tb\n5.5\ta\tb\n");
    place.write("two.tsv", "anchor\tpositive\na\tb\n");
    place.write("short.tsv", "anchor\tpositive\tnegative\na\tb\tc\na\tb\n");
    place.write("labels.tsv", "label\tsentence1\tsentence2\nentailment\ta\tb\nmaybe\ta\tb\n");
    place.write("one.tsv", "label\tsentence1\tsentence2\nyes\ta\tb\nyes\ta\tb\n");
    for (objective, file, expected) in [
        ("regression", "columns.tsv", "columns.tsv:1: the header lacks the column score"),
        ("regression", "number.tsv", "number.tsv:3: the score \"high\" is not a number"),
        ("regression", "range.tsv", "range.tsv:3: the score 5.5 is not within 0 to 5"),
        ("cross-encoder", "number.tsv", "number.tsv:3: "),
        ("classification", "columns.tsv", "columns.tsv:1: the header lacks the column label"),
        ("classification", "one.tsv", "one.tsv: every label is \"yes\""),
        ("triplet", "two.tsv", "two.tsv:1: the header lacks the column negative"),
        ("triplet", "short.tsv", "short.tsv:3: 2 fields"),
    ] {
        let refused = run(&mut train(&place, "out", &["--objective", objective, "--train", file])).refused();
        assert!(refused.contains(expected), "{refused}");
        assert!(!place.path("out").exists());
    }
    let more = ["--objective", "classification", "--train", "pairs.tsv", "--dev", "labels.tsv"];
    let refused = run(&mut train(&place, "out", &more)).refused();
    assert!(refused.contains("labels.tsv:3: the label \"maybe\" is none of contradiction"), "{refused}");
}

#[test]
fn scores_of_another_scale_are_told() {
    let place = workshop();
    place.write("unit.tsv", "score\tsentence1\tsentence2\n1\ta\tb\n0\ta\tb\n0.25\ta\tb\n");
    let more = ["--objective", "regression", "--train", "unit.tsv"];
    let told = run(&mut train(&place, "five", &more)).succeeded().stderr;
    assert!(told.contains("no score is above 1, and they are taken as of 0 to 5: --max-score"), "{told}");
    let one = run(&mut train(&place, "one", &[&more[..], &["--max-score", "1"]].concat())).succeeded();
    assert!(!one.stderr.contains("--max-score"), "{one:?}");
}

#[test]
fn a_base_that_cannot_be_trained_and_an_output_that_exists_are_refused() {
    let place = workshop();
    let copy = |to: &str, without: &str| {
        fs::create_dir(place.path(to)).unwrap();
        for name in ["config.json", "tokenizer.json", "model.safetensors"] {
            if name != without {
                fs::copy(tiny_model().join(name), place.path(to).join(name)).unwrap();
            }
        }
    };
    copy("weightless", "model.safetensors");
    copy("bare", "");
    let from = |base: &str, output: &str, more: &[&str]| {
        let mut command = place.command(&["train", "--base", base, "--output", output]);
        common::Run::of(command.args(["--objective", "triplet", "--train", "triplets.tsv"]).args(more))
    };
    let refused = from("weightless", "out", &[]).refused();
    assert!(refused.contains("model.safetensors: the file is missing"), "{refused}");
    let refused = from("no-such-base", "out", &[]).refused();
    assert!(refused.contains("no-such-base"), "{refused}");
    fs::create_dir(place.path("there")).unwrap();
    let refused = from("bare", "there", &[]).refused();
    assert!(refused.contains("there exists: choose another output"), "{refused}");
    // The shape of a network is enough for one with random weights, and a bare Hugging Face directory for a base.
    from("weightless", "fresh", &["--from-scratch"]).succeeded();
    from("bare", "tuned", &["--reinitialize", "1", "--seed", "7"]).succeeded();
    for model in ["fresh", "tuned"] {
        place.akin(&["eval", "sts", "pairs.tsv", "--model", model]).succeeded();
    }
}

#[test]
fn a_loss_that_is_no_number_stops_and_keeps_the_last_good_model() {
    let place = workshop();
    let mut command = place.command(&["train", "--output", "out", "--learning-rate", "1e30"]);
    command.arg("--base").arg(tiny_model()).args(REGRESSION).args(["--evaluate-every", "1"]);
    let run = common::Run::of(&mut command);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("no number to go on from"), "{run:?}");
    assert!(run.stderr.contains("out/checkpoints/best"), "{run:?}");
    place.akin(&["eval", "sts", "pairs.tsv", "--model", "out/checkpoints/best"]).succeeded();
}

/// Python's sentence-transformers reads what Akin wrote and Akin what it wrote, with equal embeddings. Where there is no
/// such Python, the reference numbers in `fixtures/` stand for it.
#[test]
fn python_and_akin_read_the_models_of_each_other() {
    let python = std::env::var("AKIN_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import sentence_transformers"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        eprintln!("no Python with sentence-transformers (AKIN_PYTHON names one): left out");
        return;
    }
    let place = workshop();
    run(&mut train(&place, "tuned", &REGRESSION)).succeeded();
    place.write("texts.txt", "The shop opens at nine.\nHeavy snow closed the mountain road.\nok\n");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("trainer/reference/embeddings.py");
    let mut command = Command::new(&python);
    command.arg(script).args(["tuned", "texts.txt", "python.npy", "--rewrite", "rewritten"]);
    common::Run::of(place.settle(&mut command)).succeeded();
    let python = npy::read(&place.path("python.npy"));
    for (model, output) in [("tuned", "tuned.npy"), ("rewritten", "rewritten.npy")] {
        place.akin(&["encode", "texts.txt", "--model", model, "--output", output]).succeeded();
        let difference = greatest_difference(npy::read(&place.path(output)).as_slice(), python.as_slice());
        assert!(difference < 1e-4, "{model}: {difference}");
    }
}
