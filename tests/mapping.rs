//! The documents of an index laid out in the plane: `akin map`.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use common::{Workplace, sentences};

fn indexed() -> Workplace {
    let workplace = Workplace::new();
    workplace.write("notes.txt", sentences(40).join("\n"));
    workplace.akin(&["index", "notes", "notes.txt"]).succeeded();
    workplace
}

#[test]
fn every_document_has_a_place_and_a_seed_gives_the_same_ones() {
    let workplace = indexed();
    let map = ["map", "notes", "--json"];
    let run = workplace.akin(&map).succeeded();
    let lines = run.json_lines();
    assert_eq!(lines.len(), 40, "{run:?}");
    for line in &lines {
        assert!(line["x"].as_f64().is_some_and(f64::is_finite) && line["region"].is_number(), "{line}");
    }
    assert!(run.stderr.contains("40 documents") && run.stderr.contains("on the map"), "{run:?}");
    assert_eq!(workplace.akin(&[&map[..], &["--threads", "1"]].concat()).succeeded().stdout, run.stdout);
    assert_ne!(workplace.akin(&[&map[..], &["--seed", "9"]].concat()).succeeded().stdout, run.stdout);
    let csv = workplace.akin(&["map", "notes", "--csv"]).succeeded().stdout;
    assert_eq!((csv.lines().count(), csv.lines().next()), (41, Some("id,x,y,region,words")));
}

#[test]
fn the_page_is_one_file_with_all_texts() {
    let workplace = indexed();
    workplace.akin(&["map", "notes", "--output", "map.html"]).succeeded();
    let page = workplace.read("map.html");
    assert!(page.starts_with("<!doctype html>") && page.contains("<title>notes: a map</title>"));
    assert!(!page.contains("http://") && !page.contains("https://"));
    assert!(page.contains("notes.txt:40"));
}

#[test]
fn without_a_file_or_documents_it_says_what_to_do() {
    let workplace = indexed();
    let message = workplace.akin(&["map", "notes"]).refused();
    assert!(message.contains("--output map.html"), "{message}");
    assert!(workplace.akin(&["map", "nowhere", "--json"]).refused().contains("akin index"));
}
