//! Commands whose INDEX is a collection of Milvus. Left out where no server can be started.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::fs;

use akin_fixtures::models;
use common::server::Server;
use common::{Workplace, ids, sentences};
use serde_json::{Value, json};

fn collection(name: &str) -> Option<String> {
    Some(format!("{}/{name}_{}", akin_fixtures::milvus()?, std::process::id()))
}

#[test]
fn a_collection_is_indexed_asked_changed_exported_and_copied_as_a_folder_is() {
    let Some(collection) = collection("notes") else { return };
    let workplace = Workplace::new();
    let lines: Vec<String> = sentences(200)
        .iter()
        .enumerate()
        .map(|(n, text)| {
            serde_json::json!({"id": format!("n{n}"), "text": text, "year": 1900 + n % 100}).to_string()
        })
        .collect();
    workplace.write("notes.jsonl", lines.join("\n"));
    let index = ["index", &collection, "notes.jsonl", "--json"];
    let report = workplace.akin(&index).succeeded().json();
    assert_eq!((&report["added"], &report["unchanged"]), (&200.into(), &0.into()));
    let again = workplace.akin(&index).succeeded().json();
    assert_eq!((&again["added"], &again["unchanged"]), (&0.into(), &200.into()));
    workplace.akin(&["index", "folder", "notes.jsonl"]).succeeded();
    for arguments in
        [&["-k", "3"][..], &["--filter", "year > 1950 and year <= 1960"], &["--offset", "2", "-k", "2"]]
    {
        let ask = |index: &str| {
            let question =
                ["query", index, "a painter of bridges", "--exact", "--mode", "semantic", "--json"];
            let answer = workplace.akin(&[&question[..], arguments].concat()).succeeded().json();
            let hits = answer["hits"].as_array().unwrap().clone();
            hits.iter().map(|hit| (hit["id"].clone(), hit["rank"].clone())).collect::<Vec<_>>()
        };
        assert_eq!(ask("folder"), ask(&collection), "{arguments:?}");
    }
    workplace.write("questions.txt", "frozen lake\n\nseven stones\n");
    let answers =
        workplace.akin(&["batch", &collection, "questions.txt", "-k", "2"]).succeeded().json_lines();
    assert_eq!(answers.iter().map(|answer| ids(answer).len()).collect::<Vec<_>>(), [2, 0, 2]);
    let said = workplace.akin(&["delete", &collection, "n7", "nobody"]).succeeded().stderr;
    assert!(said.contains("not there: nobody") && said.contains("deleted 1 document, 199 left"), "{said}");
    let stat = workplace.akin(&["stat", &collection, "--json"]).succeeded().json();
    assert_eq!((&stat["documents"], &stat["graph"]), (&199.into(), &false.into()));
    workplace.akin(&["export", &collection, "--documents", "out.jsonl", "--vectors", "out.npy"]).succeeded();
    let out = fs::read_to_string(workplace.path("out.jsonl")).unwrap();
    let kept: Vec<&String> = lines.iter().filter(|line| !line.contains("\"n7\"")).collect();
    assert_eq!(out.lines().collect::<Vec<_>>(), kept);
    let copied = workplace.akin(&["copy", &collection, "back", "--json"]).succeeded().json();
    assert_eq!((&copied["documents"], &copied["added"]), (&199.into(), &199.into()));
    let other = models::tiny("roberta");
    for (arguments, said) in [
        (
            &["index", &collection, "notes.jsonl", "--model", other.to_str().unwrap()][..],
            "was built with the model",
        ),
        (&["index", &collection, "notes.jsonl", "--passages", "7"], "was begun with --passages auto"),
        (&["query", &collection, "x", "--diverse"], "--diverse"),
        (&["query", &collection, " "], "the query is blank"),
    ] {
        let sentence = workplace.akin(arguments).refused();
        assert!(sentence.contains(said), "{sentence}");
    }
}

#[test]
fn what_a_collection_cannot_be_is_refused_in_a_sentence_without_the_password() {
    let workplace = Workplace::new();
    workplace.write("a.txt", "one\ntwo\n");
    for (arguments, said) in [
        (&["query", "milvus://a:hidden@127.0.0.1:9/t", "x"][..], "cannot reach the server at 127.0.0.1:9"),
        (&["stat", "milvus://a:hidden@127.0.0.1:9/T-1"], "is no name for a collection"),
        (&["verify", "milvus://a:hidden@127.0.0.1:9/t"], "this command takes folders alone"),
        (&["index", "milvus://a:hidden@127.0.0.1:9/t", "a.txt", "--sync"], "--sync"),
    ] {
        let sentence = workplace.akin(arguments).refused();
        assert!(sentence.contains(said) && !sentence.contains("hidden"), "{sentence}");
    }
    let Some(collection) = collection("refused") else { return };
    let nothing = workplace.akin(&["query", &collection, "x"]).refused();
    assert!(
        nothing.contains("there is no collection") && nothing.contains("`akin index` makes one"),
        "{nothing}"
    );
}

#[test]
fn words_are_found_in_a_collection_alone_and_beside_meaning() {
    let Some(collection) = collection("worded") else { return };
    let workplace = Workplace::new();
    let mut lines = sentences(40);
    lines.push("the quokkas of rottnest".into());
    workplace.write("notes.txt", lines.join("\n"));
    let index = ["index", &collection, "notes.txt", "--engine-option", "text_config=english"];
    workplace.akin(&index).succeeded();
    assert_eq!(workplace.akin(&["stat", &collection, "--json"]).succeeded().json()["text_config"], "english");
    let stat = workplace.akin(&["stat", &collection]).succeeded().stdout;
    assert!(stat.contains("words        english"), "{stat}");
    let ask = |arguments: &[&str]| {
        workplace.akin(&[&["query", &collection, "--json"], arguments].concat()).succeeded().json()
    };
    // Without the model, which words do not need.
    let found = workplace.akin(&[
        "query",
        &collection,
        "Quokka",
        "--mode",
        "keyword",
        "--json",
        "--model",
        "nowhere",
    ]);
    assert_eq!(ids(&found.succeeded().json()), ["notes.txt:41"]);
    assert_eq!(ids(&ask(&["rottnest -quokka", "--mode", "keyword"])), [""; 0]);
    for mode in [&["--mode", "hybrid"][..], &[]] {
        let answer = ask(&[&["quokka", "-k", "3"], mode].concat());
        assert_eq!((ids(&answer)[0], ids(&answer).len()), ("notes.txt:41", 3), "{mode:?}");
    }
    workplace.write("questions.txt", "quokkas\n\nnobody\n");
    let batch = ["batch", &collection, "questions.txt", "--mode", "keyword"];
    let answers = workplace.akin(&batch).succeeded().json_lines();
    assert_eq!(answers.iter().map(|answer| ids(answer).len()).collect::<Vec<_>>(), [1, 0, 0]);
}

#[test]
fn a_collection_without_words_says_how_to_get_them_and_its_copy_has_them() {
    let (Some(plain), Some(copy)) = (collection("plain"), collection("copied")) else { return };
    let workplace = Workplace::new();
    workplace.write("notes.txt", sentences(20).join("\n"));
    workplace.akin(&["index", &plain, "notes.txt", "--engine-option", "text_config=none"]).succeeded();
    assert_eq!(workplace.akin(&["stat", &plain, "--json"]).succeeded().json()["text_config"], Value::Null);
    assert_eq!(ids(&workplace.akin(&["query", &plain, "baker", "--json"]).succeeded().json()).len(), 10);
    let refused = workplace.akin(&["query", &plain, "baker", "--mode", "keyword"]).refused();
    assert!(refused.contains("keeps no words") && refused.contains("`akin copy`"), "{refused}");
    let index = ["index", &plain, "notes.txt", "--engine-option", "text_config=english"];
    let refused = workplace.akin(&index).refused();
    assert!(
        refused.contains("was made without words") && refused.contains("another collection"),
        "{refused}"
    );
    workplace.akin(&["copy", &plain, &copy]).succeeded();
    let found = workplace.akin(&["query", &copy, "baker", "--mode", "keyword", "--json"]).succeeded().json();
    assert!(!ids(&found).is_empty());
    let unknown = workplace.akin(&["index", &copy, "notes.txt", "--engine-option", "text_config=klingon"]);
    assert!(unknown.refused().contains("kept by \"simple\""));
}

#[test]
fn a_collection_is_served() {
    let Some(collection) = collection("served") else { return };
    let name = collection.rsplit('/').next().unwrap().to_owned();
    let workplace = Workplace::new();
    workplace.write("notes.txt", sentences(40).join("\n"));
    workplace.akin(&["index", &collection, "notes.txt"]).succeeded();
    let server = Server::start(&workplace, &[&collection, "--writable"]);
    let path = |rest: &str| format!("/v1/indexes/{name}{rest}");
    let text = &sentences(40)[3];
    let line = workplace.akin(&["query", &collection, text, "--json"]).succeeded().stdout;
    assert_eq!(server.post(&path("/query"), &json!({ "text": text })), (200, line));
    let document = json!({ "id": "new", "text": "zebras of the steppe", "metadata": { "year": 7 } });
    let write = json!({ "documents": [document] });
    assert_eq!(server.post(&path("/documents"), &write).0, 200);
    let (status, found) = server.get(&path("/documents/new"));
    assert_eq!((status, serde_json::from_str::<Value>(&found).unwrap()), (200, document));
    assert_eq!(server.get(&path("/documents/nobody")).0, 404);
    for mode in ["hybrid", "keyword"] {
        let (status, found) =
            server.post(&path("/query"), &json!({ "text": "zebras", "k": 1, "mode": mode }));
        assert_eq!((status, ids(&serde_json::from_str(&found).unwrap())), (200, vec!["new"]), "{mode}");
    }
    server.stop("-TERM");
    let sync = workplace.akin(&["index", &collection, "notes.txt", "--sync"]).refused();
    assert!(sync.contains("--sync"), "{sync}");
}
