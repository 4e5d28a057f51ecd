//! `akin eval`, as a user runs it: every evaluation of the paper on files small enough to know the answer or its shape.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::fs;

use akin_fixtures::models::ModelCopy;
use common::{Workplace, tiny_model};

const PAIRS: &str = include_str!("../trainer/reference/pairs.tsv");
const TRIPLETS: &str = include_str!("../trainer/reference/triplets.tsv");

fn workshop() -> Workplace {
    let place = Workplace::new();
    place.write("pairs.tsv", PAIRS);
    place.write("triplets.tsv", TRIPLETS);
    place
}

#[test]
fn several_files_have_an_average_and_every_similarity_its_column() {
    let place = workshop();
    let lines = place.akin(&["eval", "sts", "pairs.tsv", "pairs.tsv", "--json"]).succeeded().json_lines();
    let line = &lines[0];
    assert_eq!(line["cosine"]["spearman"], line["spearman"]);
    for similarity in ["cosine", "manhattan", "euclidean", "dot"] {
        for figure in ["spearman", "pearson"] {
            assert!(line[similarity][figure].as_f64().unwrap().abs() <= 100.0, "{line}");
        }
    }
    let table = place.akin(&["eval", "sts", "pairs.tsv", "pairs.tsv"]).succeeded().stdout;
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["file", "pairs", "spearman", "pearson", "manhattan", "euclidean", "dot"]);
    assert_eq!((rows[3][0], &rows[3][2..]), ("average", &rows[1][2..]));
}

#[test]
fn the_baselines_of_the_paper_run_by_name() {
    let place = workshop();
    let spearman = |more: &[&str]| {
        let arguments = [&["eval", "sts", "pairs.tsv", "--json"], more].concat();
        place.akin(&arguments).succeeded().json()["spearman"].as_f64().unwrap()
    };
    let plain = spearman(&[]);
    assert_eq!(spearman(&["--pooling", "mean"]), plain);
    assert_ne!(spearman(&["--pooling", "cls"]), plain);
    // A word is the one-hot vector of its first letter: sentences of like words are alike.
    let words: String = ('a'..='z')
        .enumerate()
        .map(|(row, letter)| {
            let numbers: Vec<&str> = (0..26).map(|column| if column == row { "1" } else { "0" }).collect();
            format!("{letter} {}\n", numbers.join(" "))
        })
        .collect();
    place.write("letters.txt", words);
    place.write(
        "alike.tsv",
        "score\tsentence1\tsentence2\n5\ta b c\ta b c\n3\ta b c\ta b d\n0\ta b c\tx y z\n",
    );
    let run = place.akin(&["eval", "sts", "alike.tsv", "--word-vectors", "letters.txt", "--json"]);
    assert!((run.succeeded().json()["spearman"].as_f64().unwrap() - 100.0).abs() < 1e-9);
    place.write("broken.txt", "a 1 2\nb 1\n");
    let refused = place.akin(&["eval", "sts", "alike.tsv", "--word-vectors", "broken.txt"]).refused();
    assert!(refused.contains("broken.txt:2: "), "{refused}");
}

#[test]
fn triplets_of_equal_sentences_are_all_right_one_way_round() {
    let place = workshop();
    place.write("sure.tsv", "anchor\tpositive\tnegative\nthe shop opens\tthe shop opens\theavy snow\n");
    let line = place.akin(&["eval", "triplets", "sure.tsv", "--json"]).succeeded().json();
    for distance in ["euclidean", "manhattan", "cosine"] {
        assert_eq!(line[distance], 100.0, "{line}");
    }
    place.write("never.tsv", "anchor\tpositive\tnegative\nthe shop opens\theavy snow\tthe shop opens\n");
    assert_eq!(place.akin(&["eval", "triplets", "never.tsv", "--json"]).succeeded().json()["cosine"], 0.0);
}

#[test]
fn senteval_tells_apart_what_is_easily_told_apart() {
    let place = workshop();
    let rows: String = (0..60)
        .map(|row| match row % 2 {
            0 => format!("snow\theavy snow closed the mountain road on day {row}\n"),
            _ => format!("shop\tthe shop opens at nine and sells bread {row}\n"),
        })
        .collect();
    for (folder, files) in [("folds", &["all"][..]), ("split", &["train", "dev", "test"][..])] {
        fs::create_dir(place.path(folder)).unwrap();
        for file in files {
            place.write(format!("{folder}/{file}.tsv"), format!("label\tsentence\n{rows}"));
        }
    }
    let lines = place.akin(&["eval", "senteval", "folds", "split", "--json"]).succeeded().json_lines();
    for (line, folds) in lines.iter().zip([true, false]) {
        assert_eq!(line["ten_fold"], folds);
        assert!(line["accuracy"].as_f64().unwrap() > 95.0, "{line}");
    }
    fs::create_dir(place.path("other")).unwrap();
    place.write("other/train.tsv", format!("label\tsentence\n{rows}"));
    place.write("other/test.tsv", "label\tsentence\nrain\tit rains\n");
    let refused = place.akin(&["eval", "senteval", "other"]).refused();
    assert!(refused.contains("other: the label \"rain\" is not in the training examples"), "{refused}");
}

#[test]
fn retrieval_finds_the_document_that_says_the_same() {
    let place = workshop();
    fs::create_dir_all(place.path("set/qrels")).unwrap();
    let texts = ["the shop opens at nine", "heavy snow closed the road", "a man feeds the ducks"];
    let line =
        |row: usize, prefix: &str| format!("{{\"_id\":\"{prefix}{row}\",\"text\":\"{}\"}}\n", texts[row]);
    place.write("set/corpus.jsonl", (0..3).map(|row| line(row, "d")).collect::<String>());
    place.write("set/queries.jsonl", (0..2).map(|row| line(row, "q")).collect::<String>());
    place.write("set/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq0\td0\t1\nq1\td1\t1\n");
    let found = place.akin(&["eval", "retrieval", "set", "-k", "1", "--json"]).succeeded().json();
    for figure in ["ndcg@10", "mrr@10", "recall@1"] {
        assert_eq!(found[figure], 1.0, "{found}");
    }
    let prompts = ["--query-prompt", "query: ", "--document-prompt", "passage: "];
    let kept = ["eval", "retrieval", "set", "--mode", "semantic", "--index", "kept"];
    place.akin(&[&kept[..], &prompts].concat()).succeeded();
    let model = &place.figures("kept")["model"];
    assert_eq!((&model["query_prompt"], &model["document_prompt"]), (&"query: ".into(), &"passage: ".into()));
    place.write("set/corpus.jsonl", "{\"_id\":\"d0\"}\n");
    let refused = place.akin(&["eval", "retrieval", "set"]).refused();
    assert!(refused.contains("corpus.jsonl:1: not an object with _id and text"), "{refused}");
}

/// A set of eight documents and as many queries, which share no word with others.
fn retrieval_set(place: &Workplace) {
    fs::create_dir_all(place.path("set/qrels")).unwrap();
    let words = ["baker", "harbour", "violin", "glacier", "ledger", "saddle", "comet", "orchard"];
    let corpus = words.iter().enumerate();
    let corpus = corpus
        .map(|(at, word)| format!("{{\"_id\":\"d{at}\",\"title\":\"{word}\",\"text\":\"it is here\"}}\n"));
    place.write("set/corpus.jsonl", corpus.collect::<String>());
    let queries = words.iter().enumerate();
    let queries =
        queries.map(|(at, word)| format!("{{\"_id\":\"q{at}\",\"text\":\"where is the {word}\"}}\n"));
    place.write("set/queries.jsonl", queries.collect::<String>());
    let judged = (0..8).map(|at| format!("q{at}\td{at}\t1\n")).collect::<String>();
    place.write("set/qrels/test.tsv", format!("query-id\tcorpus-id\tscore\n{judged}q0\tgone\t1\n"));
}

#[test]
fn every_mode_of_an_index_is_evaluated_and_compared() {
    let place = workshop();
    retrieval_set(&place);
    let run = place.akin(&["eval", "retrieval", "set", "--mode", "all", "--index", "kept", "--json"]);
    assert!(
        run.stderr.contains("1 judgement of documents that corpus.jsonl lacks, the first of \"gone\""),
        "{run:?}"
    );
    let lines = run.succeeded().json_lines();
    let modes: Vec<&str> = lines.iter().map(|line| line["mode"].as_str().unwrap()).collect();
    assert_eq!(modes, ["semantic", "keyword", "hybrid"]);
    let keyword = &lines[1];
    // One query has half of what it should find.
    assert_eq!((&keyword["mrr@10"], &keyword["recall@10"]), (&1.0.into(), &(7.5 / 8.0).into()), "{keyword}");
    assert_eq!(keyword["missing_documents"], 1);
    assert_eq!(keyword["intervals"]["map@100"][1], 1.0);
    let stat = place.akin(&["stat", "kept", "--json"]).succeeded().json();
    assert_eq!(stat["documents"], 8);

    let against = ["eval", "retrieval", "set", "--mode", "keyword", "--against", "mode=semantic"];
    let compared = place.akin(&[&against[..], &["--json", "--index", "kept"]].concat()).succeeded().json();
    let other = &compared["against"]["ndcg@10"];
    let difference = compared["ndcg@10"].as_f64().unwrap() - other["mean"].as_f64().unwrap();
    assert!((other["difference"].as_f64().unwrap() - difference).abs() < 1e-12, "{compared}");
    assert_eq!(other["mean"], lines[0]["ndcg@10"]);
    let table = place.akin(&against).succeeded().stdout;
    assert!(
        table.starts_with("mode      nDCG@10") && table.contains("keyword against mode=semantic,"),
        "{table}"
    );

    let refused =
        place.akin(&["eval", "retrieval", "set", "--mode", "hybrid", "--against", "mode=hybrid"]).refused();
    assert!(refused.contains("same setting"), "{refused}");
    let without_mode = place.akin(&["eval", "retrieval", "set", "--passages", "none"]);
    assert!(without_mode.code == Some(2) && without_mode.stderr.contains("--mode"), "{without_mode:?}");
}

#[test]
fn an_index_is_evaluated_with_a_cross_encoder_and_without() {
    let place = workshop();
    retrieval_set(&place);
    let model = ModelCopy::cross_encoder("bert");
    let rerank = format!("rerank={}", model.path().display());
    let asked = ["eval", "retrieval", "set", "--mode", "keyword", "--json", "--against", &rerank];
    let plain = place.akin(&asked).succeeded().json();
    let asked =
        ["eval", "retrieval", "set", "--mode", "keyword", "--json", "--rerank", &rerank["rerank=".len()..]];
    let ranked = place.akin(&asked).succeeded().json();
    assert_eq!(ranked["rerank"], rerank["rerank=".len()..]);
    assert!(plain.get("rerank").is_none());
    // A head of random numbers ranks in another order.
    assert_eq!(plain["against"]["ndcg@10"]["mean"], ranked["ndcg@10"]);
    assert!(ranked["ndcg@10"].as_f64() < plain["ndcg@10"].as_f64(), "{ranked}");
    let refused = place.akin(&["eval", "retrieval", "set", "--rerank", "x"]).refused();
    assert!(refused.contains("--mode"), "{refused}");
}

#[test]
fn the_model_alone_keeps_its_figures_and_gets_bounds() {
    let place = workshop();
    retrieval_set(&place);
    let line = place.akin(&["eval", "retrieval", "set", "--json"]).succeeded().json();
    let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
    assert_eq!(keys[..6], ["queries", "documents", "ndcg@10", "mrr@10", "recall@10", "recall@100"]);
    assert!(line.get("mode").is_none() && line["intervals"]["ndcg@10"][0].is_f64(), "{line}");
    let table = place.akin(&["eval", "retrieval", "set"]).succeeded().stdout;
    assert!(
        table.starts_with(&format!("nDCG@10      {:.4}  [", line["ndcg@10"].as_f64().unwrap())),
        "{table}"
    );
}

#[test]
fn cross_validation_tests_on_every_fold_and_on_every_topic() {
    let place = workshop();
    let topics: String = PAIRS
        .lines()
        .enumerate()
        .map(|(row, line)| match row {
            0 => format!("{line}\ttopic\n"),
            row => format!("{line}\t{}\n", ["guns", "marriage", "penalty"][row % 3]),
        })
        .collect();
    place.write("topics.tsv", topics);
    let cross_validate = |more: &[&str]| {
        let mut command = place.command(&["eval", "sts-cv", "topics.tsv", "--json"]);
        common::Run::of(command.arg("--base").arg(tiny_model()).args(more))
    };
    let lines = cross_validate(&["--cross-topic"]).succeeded().json_lines();
    let parts: Vec<&str> = lines.iter().map(|line| line["part"].as_str().unwrap()).collect();
    assert_eq!(parts, ["guns", "marriage", "penalty", "mean"]);
    let mean = lines[..3].iter().map(|line| line["spearman"].as_f64().unwrap()).sum::<f64>() / 3.0;
    assert!((lines[3]["spearman"].as_f64().unwrap() - mean).abs() < 1e-9);
    assert_eq!(cross_validate(&["--folds", "5"]).succeeded().json_lines().len(), 6);
    let refused = cross_validate(&["--folds", "50"]).refused();
    assert!(refused.contains("at least two pairs"), "{refused}");
}

#[test]
fn a_cross_encoder_is_trained_written_and_evaluated() {
    let place = workshop();
    let mut command =
        place.command(&["train", "--objective", "cross-encoder", "--output", "cross", "--json"]);
    command.arg("--base").arg(tiny_model()).args(["--train", "pairs.tsv", "--dev", "pairs.tsv"]);
    let report =
        common::Run::of(command.args(["--epochs", "3", "--learning-rate", "1e-3"])).succeeded().json();
    let figures = place.akin(&["eval", "cross-encoder", "pairs.tsv", "--model", "cross", "--json"]);
    let found = figures.succeeded().json()["spearman"].as_f64().unwrap();
    // The network after the best epoch is the one that was kept.
    assert!((found - report["dev_score"].as_f64().unwrap()).abs() < 1e-3, "{found} {report}");
    let config: serde_json::Value = serde_json::from_str(&place.read("cross/config.json")).unwrap();
    assert_eq!(config["architectures"][0], "BertForSequenceClassification");
    let mut command = place.command(&["eval", "cross-encoder", "pairs.tsv", "--model"]);
    let refused = common::Run::of(command.arg(tiny_model())).refused();
    assert!(refused.contains("it is no cross-encoder"), "{refused}");
}

#[test]
fn the_ablation_has_the_rows_of_the_paper() {
    let place = workshop();
    let mut command =
        place.command(&["eval", "ablation", "--labelled", "pairs.tsv", "--scored", "pairs.tsv"]);
    command.args(["--dev", "pairs.tsv", "--examples", "16", "--json", "--base"]).arg(tiny_model());
    let lines = common::Run::of(&mut command).succeeded().json_lines();
    let names = |what: &str| -> Vec<&str> { lines.iter().filter_map(|line| line[what].as_str()).collect() };
    assert_eq!(names("pooling"), ["MEAN", "MAX", "CLS"]);
    assert_eq!(
        names("concatenation"),
        ["(u,v)", "(|u-v|)", "(u*v)", "(|u-v|,u*v)", "(u,v,u*v)", "(u,v,|u-v|)", "(u,v,|u-v|,u*v)"]
    );
    assert!(lines.iter().all(|line| line["labels"].is_f64()), "{lines:?}");
    assert!(lines[..3].iter().all(|line| line["scores"].is_f64()), "{lines:?}");
}

#[test]
fn efficiency_says_what_was_measured_and_what_extrapolated() {
    let place = workshop();
    let arguments = ["eval", "efficiency", "pairs.tsv", "--sentences", "100", "--pairs", "10"];
    let line = place.akin(&[&arguments[..], &["--json"]].concat()).succeeded().json();
    assert_eq!((&line["sentences"], &line["pairs"]), (&100.into(), &4950.into()));
    assert_eq!(line["extrapolated_from_pairs"], 10);
    for figure in ["padded", "smart_batching", "unpadded"] {
        assert!(line[format!("{figure}_per_second")].as_f64().unwrap() > 0.0, "{line}");
    }
    let text = place.akin(&arguments).succeeded().stdout;
    assert!(text.contains("extrapolated from 10 pairs") && text.contains("in full"), "{text}");
}
