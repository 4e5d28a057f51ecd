//! Commands whose INDEX is a table of PostgreSQL. Left out where no server can be started.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::fs;

use akin_fixtures::models::{self, ModelCopy};
use common::{Workplace, ids, sentences};
use serde_json::Value;

fn table(name: &str) -> Option<String> {
    Some(format!("{}/{name}_{}", akin_fixtures::postgres()?, std::process::id()))
}

#[test]
fn a_table_is_indexed_asked_changed_and_exported_as_a_folder_is() {
    let Some(table) = table("notes") else { return };
    let workplace = Workplace::new();
    let lines: Vec<String> = sentences(300)
        .iter()
        .enumerate()
        .map(|(n, text)| {
            serde_json::json!({"id": format!("n{n}"), "text": text, "year": 1900 + n % 100}).to_string()
        })
        .collect();
    workplace.write("notes.jsonl", lines.join("\n"));
    let index = ["index", &table, "notes.jsonl", "--json"];
    let report = workplace.akin(&index).succeeded().json();
    assert_eq!((&report["added"], &report["unchanged"]), (&300.into(), &0.into()));
    let again = workplace.akin(&index).succeeded().json();
    assert_eq!((&again["added"], &again["unchanged"]), (&0.into(), &300.into()));
    workplace.akin(&["index", "folder", "notes.jsonl"]).succeeded();
    for arguments in
        [&["-k", "3"][..], &["--filter", "year > 1950 and year <= 1960"], &["--offset", "2", "-k", "2"]]
    {
        let ask = |index: &str| {
            let question =
                ["query", index, "a painter of bridges", "--exact", "--mode", "semantic", "--json"];
            workplace.akin(&[&question[..], arguments].concat()).succeeded().json()
        };
        let (ours, theirs) = (ask("folder"), ask(&table));
        assert_eq!(ours["hits"][0]["rank"], theirs["hits"][0]["rank"]);
        let scores = |answer: &Value| -> Vec<f64> {
            answer["hits"].as_array().unwrap().iter().map(|hit| hit["score"].as_f64().unwrap()).collect()
        };
        let (ours, theirs) = (scores(&ours), scores(&theirs));
        // Numbers of 16 bits: documents that are alike may change places.
        let is_near = ours.iter().zip(&theirs).all(|(one, other)| (one - other).abs() < 2e-3);
        assert!(ours.len() == theirs.len() && is_near, "{arguments:?}: {ours:?} and {theirs:?}");
    }
    workplace.write("questions.txt", "frozen lake\n\nseven stones\n");
    let answers = workplace.akin(&["batch", &table, "questions.txt", "-k", "2"]).succeeded().json_lines();
    assert_eq!(answers.iter().map(|answer| ids(answer).len()).collect::<Vec<_>>(), [2, 0, 2]);
    let said = workplace.akin(&["delete", &table, "n7", "nobody"]).succeeded().stderr;
    assert!(said.contains("not there: nobody") && said.contains("deleted 1 document, 299 left"), "{said}");
    let stat = workplace.akin(&["stat", &table, "--json"]).succeeded().json();
    assert_eq!((&stat["documents"], &stat["graph"]), (&299.into(), &false.into()));
    assert!(!stat["engine"].as_str().unwrap().contains("secret"));
    workplace.akin(&["export", &table, "--documents", "out.jsonl", "--vectors", "out.npy"]).succeeded();
    let out = fs::read_to_string(workplace.path("out.jsonl")).unwrap();
    let kept: Vec<&String> = lines.iter().filter(|line| !line.contains("\"n7\"")).collect();
    assert_eq!(out.lines().collect::<Vec<_>>(), kept);
}

#[test]
fn a_table_is_asked_by_words_by_both_and_ranked_again() {
    let Some(table) = table("words") else { return };
    let workplace = Workplace::new();
    let mut lines = sentences(40);
    lines.push("the quokkas of rottnest".into());
    workplace.write("notes.txt", lines.join("\n"));
    let index = ["index", &table, "notes.txt", "--engine-option", "text_config=english"];
    workplace.akin(&index).succeeded();
    assert_eq!(workplace.akin(&["stat", &table, "--json"]).succeeded().json()["text_config"], "english");
    let ask = |arguments: &[&str]| {
        workplace.akin(&[&["query", &table, "--json"], arguments].concat()).succeeded().json()
    };
    // Without the model, which words do not need.
    let found =
        workplace.akin(&["query", &table, "Quokka", "--mode", "keyword", "--json", "--model", "nowhere"]);
    assert_eq!(ids(&found.succeeded().json()), ["notes.txt:41"]);
    assert_eq!(ids(&ask(&["rottnest", "--mode", "keyword"])), ["notes.txt:41"]);
    assert_eq!(ids(&ask(&["rottnest -quokka", "--mode", "keyword"])), [""; 0]);
    for mode in [&["--mode", "hybrid"][..], &[]] {
        let answer = ask(&[&["quokka", "-k", "3"], mode].concat());
        assert_eq!((ids(&answer)[0], ids(&answer).len()), ("notes.txt:41", 3), "{mode:?}");
    }
    let reranker = ModelCopy::cross_encoder("bert");
    let reranker = reranker.path().to_str().unwrap();
    let reranked = ask(&["quokka", "-k", "4", "--rerank", reranker, "--rerank-depth", "10"]);
    let scores = |answer: &Value| -> Vec<f64> {
        answer["hits"].as_array().unwrap().iter().map(|hit| hit["score"].as_f64().unwrap()).collect()
    };
    assert_eq!(scores(&reranked).len(), 4);
    assert!(scores(&reranked).is_sorted_by(|a, b| a >= b));
    let both = ["--rerank", reranker, "--rerank-weight", "0.3", "--offset", "2"];
    assert_eq!(ask(&[&["quokka"], &both[..]].concat())["hits"][0]["rank"], 3);
}

#[test]
fn what_vanished_from_a_folder_is_removed_with_sync_alone_and_what_another_brought_stays() {
    let Some(table) = table("synced") else { return };
    let workplace = Workplace::new();
    fs::create_dir(workplace.path("folder")).unwrap();
    for name in ["a", "b", "c"] {
        workplace.write(format!("folder/{name}.txt").as_str(), format!("the text of {name} about quokkas"));
    }
    workplace.write("more.jsonl", "{\"id\":\"c.txt\",\"text\":\"other\"}\n{\"id\":\"x\",\"text\":\"x\"}\n");
    let figures = |arguments: &[&str]| {
        let report = workplace.akin(&[&["index", &table, "--json"], arguments].concat()).succeeded().json();
        ["added", "replaced", "unchanged", "removed"].map(|name| report[name].as_u64().unwrap())
    };
    let listed = || {
        let found = workplace.akin(&["query", &table, "quokkas other x", "--mode", "keyword", "--json"]);
        let answer = found.succeeded().json();
        let mut all: Vec<String> = ids(&answer).into_iter().map(str::to_owned).collect();
        all.sort();
        all
    };
    assert_eq!(figures(&["more.jsonl", "--sync"]), [2, 0, 0, 0]);
    assert_eq!(figures(&["folder", "--sync"]), [2, 1, 0, 0]);
    for gone in ["a", "c"] {
        fs::remove_file(workplace.path(format!("folder/{gone}.txt").as_str())).unwrap();
    }
    assert_eq!(figures(&["folder"]), [0, 0, 1, 0]);
    assert_eq!(listed(), ["a.txt", "b.txt", "c.txt", "x"]);
    assert_eq!(figures(&["./folder", "--sync"]), [0, 0, 1, 1]);
    assert_eq!(listed(), ["b.txt", "c.txt", "x"], "another corpus brought c.txt");
    workplace.write("more.jsonl", "{\"id\":\"x\",\"text\":\"x\"}\n");
    assert_eq!(figures(&["more.jsonl", "--sync"]), [0, 0, 1, 1]);
    assert_eq!(listed(), ["b.txt", "x"]);
    // A file that cannot be read is not gone.
    let cell = r#"{"cell_type":"markdown","source":["a cell about quokkas"],"metadata":{}}"#;
    let notebook = format!(r#"{{"cells":[{cell}],"metadata":{{}},"nbformat":4,"nbformat_minor":5}}"#);
    workplace.write("folder/n.ipynb", notebook);
    assert_eq!(figures(&["folder", "--sync"]), [1, 0, 1, 0]);
    workplace.write("folder/n.ipynb", "{");
    assert_eq!(figures(&["folder", "--sync"]), [0, 0, 1, 0]);
    assert_eq!(listed(), ["b.txt", "n.ipynb", "x"]);
    fs::remove_file(workplace.path("folder/n.ipynb")).unwrap();
    assert_eq!(figures(&["folder", "--sync"]), [0, 0, 1, 1]);
}

#[test]
fn an_index_is_copied_to_a_table_and_back() {
    let workplace = Workplace::new();
    workplace.write("notes.txt", sentences(700).join("\n"));
    workplace.akin(&["index", "notes", "notes.txt"]).succeeded();
    let same = workplace.akin(&["copy", "notes", "./notes"]).refused();
    assert!(same.contains("both ends of the copy"), "{same}");
    let lost = workplace.akin(&["copy", "nowhere", "other"]).refused();
    assert!(lost.contains("nowhere"), "{lost}");
    let copied = workplace.akin(&["copy", "notes", "beside", "--json"]).succeeded().json();
    assert_eq!((&copied["documents"], &copied["added"]), (&700.into(), &700.into()));
    let ask = |index: &str| {
        let question = ["query", index, "a painter of bridges", "--exact", "--json"];
        workplace.akin(&question).succeeded().json()["hits"].clone()
    };
    assert_eq!(ask("beside"), ask("notes"));
    let Some(table) = table("copied") else { return };
    let figures = |arguments: &[&str]| {
        let report = workplace.akin(&[&["copy", "--json"], arguments].concat()).succeeded().json();
        ["documents", "added", "replaced", "unchanged", "others"].map(|name| report[name].as_u64().unwrap())
    };
    assert_eq!(figures(&["notes", &table]), [700, 700, 0, 0, 0]);
    assert_eq!(figures(&["notes", &table]), [700, 0, 0, 700, 0]);
    workplace.akin(&["delete", "notes", "notes.txt:1"]).succeeded();
    assert_eq!(figures(&["notes", &table])[3..], [699, 1]);
    assert_eq!(figures(&[&table, "back"]), [700, 700, 0, 0, 0]);
    assert_eq!(ask("back").as_array().unwrap().len(), 10);
    let other = models::tiny("roberta");
    workplace.akin(&["index", "other", "notes.txt", "--model", other.to_str().unwrap()]).succeeded();
    let refused = workplace.akin(&["copy", "other", &table]).refused();
    assert!(refused.contains("its model is"), "{refused}");
}

#[test]
fn what_a_table_does_not_do_or_cannot_is_refused_in_a_sentence() {
    let workplace = Workplace::new();
    workplace.write("a.txt", "one\ntwo\n");
    for (arguments, said) in [
        (
            &["query", "postgres://a:hidden@127.0.0.1:9/d/t", "x"][..],
            "cannot reach the server at 127.0.0.1:9",
        ),
        (&["stat", "postgres://a:hidden@127.0.0.1:9/d/T-1"], "is no name for a table"),
        (&["verify", "postgres://a:hidden@127.0.0.1:9/d/t"], "this command takes folders alone"),
        (&["index", "http://localhost/x", "a.txt"], "http:// is no engine that this release knows"),
        (&["index", "postgres://a:hidden@127.0.0.1:9/d/t", "-", "--sync"], "comes by a pipe"),
        (&["index", "postgres://a:hidden@127.0.0.1:9/d/t", "a.txt", "--watch"], "--watch"),
        (&["index", "milvus://localhost/x", "a.txt", "--sync"], "--sync"),
    ] {
        let sentence = workplace.akin(arguments).refused();
        assert!(sentence.contains(said) && !sentence.contains("hidden"), "{sentence}");
    }
    let Some(table) = table("refused") else { return };
    let nothing = workplace.akin(&["query", &table, "x"]).refused();
    assert!(nothing.contains("there is no table") && nothing.contains("`akin index` makes one"), "{nothing}");
    workplace.akin(&["index", &table, "a.txt"]).succeeded();
    let other = models::tiny("roberta");
    for (arguments, said) in [
        (&["index", &table, "a.txt", "--model", other.to_str().unwrap()][..], "was built with the model"),
        (&["index", &table, "a.txt", "--passages", "7"], "was begun with --passages auto"),
        (
            &["index", &table, "a.txt", "--engine-option", "text_config=english"],
            "they are kept by \"simple\"",
        ),
        (
            &["index", &table, "a.txt", "--engine-option", "shards=3"],
            "the option shards: a table of PostgreSQL has none",
        ),
        (
            &["index", &table, "a.txt", "--engine-option", "M=3"],
            "text_config, m, ef_construction, shards are",
        ),
        (&["index", &table, "a.txt", "--engine-option", "m=1000"], "it is 2 to 100 there"),
        (&["index", "folder", "a.txt", "--engine-option", "text_config=english"], "--engine-option"),
        (&["query", &table, "x", "--like", "a"], "--like and --unlike"),
        (&["query", &table, "x", "--diverse"], "--diverse"),
        (&["query", &table, "x", "--filter", "a.b.c.d.e.f.g = 1"], "the filter cannot be asked of"),
        (&["query", &table, " "], "the query is blank"),
    ] {
        let sentence = workplace.akin(arguments).refused();
        assert!(sentence.contains(said) && !sentence.contains("secret"), "{sentence}");
    }
}
