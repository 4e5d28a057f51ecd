//! Many queries: a batch of them, and those that come by a pipe.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use common::{ids, sentences, with_notes};

#[test]
fn each_piped_query_is_answered_before_the_next_is_asked() {
    let workplace = with_notes(15);
    let mut child = workplace
        .command(&["query", "notes", "--json", "-k", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in [3, 0, 14] {
        writeln!(stdin, "{}", sentences(15)[line]).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert_eq!(ids(&answer), [format!("notes.txt:{}", line + 1)]);
    }
    drop(stdin);
    assert!(answers.next().is_none());
    assert!(child.wait().unwrap().success());
}

#[test]
fn piped_queries_without_json_are_told_apart_by_a_heading() {
    let workplace = with_notes(5);
    let input = format!("{}\r\n\n{}", sentences(5)[1], sentences(5)[3]);
    let run = workplace.akin_reading(&["query", "notes", "-k", "1"], input.as_bytes()).succeeded();
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 8, "{run:#?}");
    assert_eq!(lines[0], format!("> {}", sentences(5)[1]));
    assert!(lines[1].contains("notes.txt:2"), "{run:#?}");
    assert_eq!((lines[3].trim(), lines[4]), (">", "no hits"));
    assert!(lines[7].contains("notes.txt:4"), "{run:#?}");
}

#[test]
fn a_batch_answers_every_line_in_order() {
    let workplace = with_notes(50);
    // More than a chunk, so that order across chunks is seen; and a blank line among them.
    let mut queries: Vec<String> = (0..700).map(|n| sentences(50)[n * 7 % 50].clone()).collect();
    queries[300] = String::new();
    workplace.write("questions.txt", queries.join("\n") + "\n");
    let batch = ["batch", "notes", "questions.txt", "-k", "2"];
    let run = workplace.akin(&batch).succeeded();
    let answers = run.json_lines();
    assert_eq!(answers.len(), queries.len());
    for (n, (answer, query)) in answers.iter().zip(&queries).enumerate() {
        assert_eq!(answer["query"], query.as_str());
        if n == 300 {
            assert!(ids(answer).is_empty());
        } else {
            assert_eq!(ids(answer)[0], format!("notes.txt:{}", n * 7 % 50 + 1));
            assert_eq!(ids(answer).len(), 2);
        }
    }

    let to_file = [&batch[..], &["--output", "hits.jsonl"]].concat();
    assert_eq!(workplace.akin(&to_file).succeeded().stdout, "");
    assert_eq!(workplace.read("hits.jsonl"), run.stdout);
}

#[test]
fn a_batch_reads_its_queries_from_a_pipe_and_from_a_table() {
    let workplace = with_notes(9);
    let texts = sentences(9);
    let piped = workplace.akin_reading(&["batch", "notes", "-"], texts[5].as_bytes()).succeeded();
    assert_eq!(ids(&piped.json())[0], "notes.txt:6");
    workplace.write("questions.csv", format!("_id,question\nq1,{}\nq2,{}\n", texts[7], texts[2]));
    let table = ["batch", "notes", "questions.csv", "--text-field", "question", "-k", "1"];
    let answers = workplace.akin(&table).succeeded().json_lines();
    assert_eq!(answers.iter().flat_map(ids).collect::<Vec<_>>(), ["notes.txt:8", "notes.txt:3"]);
}

#[test]
fn a_batch_that_fails_leaves_the_old_answers_in_place() {
    let workplace = with_notes(5);
    workplace.write("hits.jsonl", "old\n");
    workplace.write("questions.txt", b"fine\n\xff\xfe\n");
    let sentence = workplace.akin(&["batch", "notes", "questions.txt", "--output", "hits.jsonl"]).refused();
    assert!(sentence.contains("questions.txt") && sentence.contains('2'), "{sentence}");
    assert_eq!(workplace.read("hits.jsonl"), "old\n");
}
