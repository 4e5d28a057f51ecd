//! Commands whose INDEX is a table of PostgreSQL. Left out where no server can be started.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::fs;

use akin_fixtures::models;
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
        (&["index", "postgres://a:hidden@127.0.0.1:9/d/t", "a.txt", "--sync"], "--sync"),
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
        (&["query", &table, "x", "--mode", "keyword"], "--mode keyword and hybrid"),
        (&["query", &table, "x", "--diverse"], "--diverse"),
        (&["query", &table, "x", "--filter", "a.b.c.d.e.f.g = 1"], "the filter cannot be asked of"),
        (&["query", &table, " "], "the query is blank"),
    ] {
        let sentence = workplace.akin(arguments).refused();
        assert!(sentence.contains(said) && !sentence.contains("secret"), "{sentence}");
    }
}
